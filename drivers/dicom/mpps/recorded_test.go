package mpps_test

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
	"github.com/rayhound/rayhound/drivers/dicom/mpps"
)

// What independent programs send, read without them.
func TestRecorded(t *testing.T) {
	begun := time.Date(2026, 11, 22, 10, 15, 0, 0, time.UTC)
	ended := time.Date(2026, 11, 22, 10, 30, 0, 0, time.UTC)
	step := func(accession string) mpps.Reference {
		return mpps.Reference{
			StudyInstanceUID: "2.25.1234567890", AccessionNumber: accession, ScheduledProcedureStepID: accession,
		}
	}
	for file, want := range map[string]mpps.Report{
		"odil-n-create.dcm": {
			Operation: mpps.NCreate, Status: mpps.InProgress, PatientName: "Müller^Bella", PatientID: "4711", Modality: "DX",
			PerformedProcedureStepID: "1", StationAETitle: "DR1", StartedAt: begun, References: []mpps.Reference{step("1001")},
		},
		"odil-n-set.dcm": {
			Operation: mpps.NSet, Status: mpps.Completed, EndedAt: ended, Notes: []string{"ends without a performed series"},
		},
		"dcmjs-n-create.dcm": {
			Operation: mpps.NCreate, Status: mpps.InProgress, PatientName: "Bella", PatientID: "4711", Modality: "DX",
			PerformedProcedureStepID: "1", StationAETitle: "DR1", StartedAt: begun,
			References: []mpps.Reference{step("1001"), step("1002")}, Series: []mpps.Series{},
		},
		"dcmjs-n-set.dcm": {
			Operation: mpps.NSet, Status: mpps.Completed, EndedAt: ended,
			Series: []mpps.Series{{SeriesInstanceUID: "2.25.99", Protocol: "Thorax", Operator: "Tech", Instances: 1}},
		},
	} {
		data, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		got := parse(t, want.Operation, data, mpps.ParseConfig{})
		if diff := cmp.Diff(want, *got, cmpopts.IgnoreFields(mpps.Report{}, "TransferSyntaxUID")); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	data, err := os.ReadFile("testdata/dcmjs-n-create.dcm")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := mpps.Parse(mpps.NCreate, data, dataset.ExplicitLE.UID(), mpps.ParseConfig{}); err != nil {
			b.Fatal(err)
		}
	}
}
