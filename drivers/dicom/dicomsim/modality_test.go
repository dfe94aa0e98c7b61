package dicomsim_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
	"github.com/rayhound/rayhound/drivers/dicom/dicomsim"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
	"github.com/rayhound/rayhound/drivers/dicom/mpps"
	"github.com/rayhound/rayhound/drivers/dicom/query"
)

// perform lets DR1 perform the first entry of its list with these options, and
// returns what the server heard.
func perform(t *testing.T, o dicomsim.Options) (*dicomsim.Step, []*mpps.Report) {
	t.Helper()
	h := open(t)
	m := h.machine(t, nil)
	entries, err := m.Worklist(t.Context(), query.Keys{})
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Grouped) > 0 {
		o.Grouped = entries[1:]
	}
	s, err := m.Perform(t.Context(), entries[0], o)
	if err != nil {
		t.Fatal(err)
	}
	return s, h.got()
}

// D71: the console pings the MPPS node first.
func TestEcho(t *testing.T) {
	if err := open(t).machine(t, nil).Echo(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPerform(t *testing.T) {
	s, got := perform(t, dicomsim.Options{Series: 2, Instances: 3})
	if len(got) != 2 {
		t.Fatalf("%d reports", len(got))
	}
	begin, end := got[0], got[1]
	want := []mpps.Reference{{
		StudyInstanceUID: "2.25.1001", AccessionNumber: "1001", RequestedProcedureID: "1001", ScheduledProcedureStepID: "1001-1",
	}}
	if begin.Status != mpps.InProgress || begin.Machine != "X-ray room 1" || begin.PatientName != "Müller^Bella" ||
		begin.PatientID != "4711" || begin.Modality != "DX" || len(begin.Notes) != 0 || begin.StartedAt.IsZero() ||
		begin.References[0].StudyInstanceUID != want[0].StudyInstanceUID || begin.References[0].ScheduledProcedureStepID != "1001-1" {
		t.Errorf("%+v", begin)
	}
	series, instances := end.Images()
	if end.Status != mpps.Completed || series != 2 || instances != 6 || len(end.Notes) != 0 || end.SOPInstanceUID != s.SOPInstanceUID {
		t.Errorf("%+v", end)
	}
}

func TestPerformOptions(t *testing.T) {
	reason := func(r dicomsim.Reason) *dicomsim.Reason { return &r }
	for name, c := range map[string]struct {
		options dicomsim.Options
		check   func(s *dicomsim.Step, got []*mpps.Report) bool
	}{
		"discontinued": {dicomsim.Options{Discontinue: reason(dicomsim.WrongEntry)}, func(_ *dicomsim.Step, got []*mpps.Report) bool {
			return got[1].Status == mpps.Discontinued && got[1].Discontinuation.WrongEntry()
		}},
		"discontinued without reason": {dicomsim.Options{Discontinue: reason(dicomsim.Reason{})}, func(_ *dicomsim.Step, got []*mpps.Report) bool {
			return got[1].Status == mpps.Discontinued && got[1].Discontinuation.IsZero()
		}},
		"without reference": {dicomsim.Options{WithoutReference: true}, func(_ *dicomsim.Step, got []*mpps.Report) bool {
			return len(got[0].References) == 0 && len(got) == 2
		}},
		"flat reference": {dicomsim.Options{FlatReference: true}, func(_ *dicomsim.Step, got []*mpps.Report) bool {
			return len(got[0].References) == 1 && got[0].References[0].AccessionNumber == "1001"
		}},
		"without UID": {dicomsim.Options{WithoutUID: true}, func(s *dicomsim.Step, got []*mpps.Report) bool {
			return got[0].UIDMinted && got[0].SOPInstanceUID == s.SOPInstanceUID && got[1].SOPInstanceUID == s.SOPInstanceUID
		}},
		"foreign study": {dicomsim.Options{ForeignStudyUID: true}, func(s *dicomsim.Step, got []*mpps.Report) bool {
			r := got[0].References[0]
			return r.StudyInstanceUID == s.StudyInstanceUID && r.StudyInstanceUID != "2.25.1001" && r.AccessionNumber == "1001"
		}},
		"no final": {dicomsim.Options{NoFinal: true}, func(_ *dicomsim.Step, got []*mpps.Report) bool {
			return len(got) == 1
		}},
		"in between": {dicomsim.Options{Progress: true}, func(_ *dicomsim.Step, got []*mpps.Report) bool {
			return len(got) == 3 && got[1].Status == "" && len(got[1].Series) == 1
		}},
		"grouped": {dicomsim.Options{Grouped: []*query.Entry{nil}}, func(_ *dicomsim.Step, got []*mpps.Report) bool {
			return len(got[0].References) == 2 && got[0].References[1].AccessionNumber == "1002" &&
				got[0].References[1].StudyInstanceUID == "2.25.1002"
		}},
		"charset changes": {dicomsim.Options{Charset: "ISO_IR 100", FinalCharset: "ISO_IR 192"}, func(_ *dicomsim.Step, got []*mpps.Report) bool {
			return got[0].PatientName == "Müller^Bella" && got[1].Series[0].Operator == "Technician"
		}},
		"empty series": {dicomsim.Options{EmptySeries: true}, func(_ *dicomsim.Step, got []*mpps.Report) bool {
			return got[1].Series != nil && len(got[1].Series) == 0 && len(got[1].Notes) == 1
		}},
		"no series": {dicomsim.Options{WithoutSeries: true}, func(_ *dicomsim.Step, got []*mpps.Report) bool {
			return got[1].Series == nil
		}},
		"omitted": {dicomsim.Options{Omit: []dataset.Tag{dataset.PatientID, dataset.Modality}}, func(_ *dicomsim.Step, got []*mpps.Report) bool {
			return got[0].PatientID == "" && len(got[0].Notes) == 1
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if s, got := perform(t, c.options); !c.check(s, got) {
				for _, r := range got {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

func TestPerformRefused(t *testing.T) {
	h := open(t)
	_, err := h.machine(t, nil).Perform(t.Context(), nil, dicomsim.Options{InitialStatus: "COMPLETED"})
	var status *dicomsim.StatusError
	if !errors.As(err, &status) || status.Status.Code != dimse.InvalidAttributeValue || status.Operation != "N-CREATE" {
		t.Errorf("%v", err)
	}
	if !errors.Is(err, dimse.Status{Code: dimse.InvalidAttributeValue}) {
		t.Errorf("%v does not wrap its status", err)
	}
}

func TestTransferSyntax(t *testing.T) {
	h := open(t)
	m := h.machine(t, func(c *dicomsim.Config) { c.TransferSyntax = dataset.ImplicitLE.UID() })
	if _, err := m.Perform(t.Context(), nil, dicomsim.Options{}); err != nil {
		t.Fatal(err)
	}
	if got := h.got()[0].TransferSyntaxUID; got != dataset.ImplicitLE.UID() {
		t.Errorf("%q", got)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []dicomsim.Config{
		{},
		{AETitle: "MUCH TOO LONG A TITLE"},
		{AETitle: "DR1", Charset: "KLINGON"},
		{AETitle: "DR1", TransferSyntax: "1.2.840.10008.1.2.2"},
	} {
		if _, err := dicomsim.New(c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

// Run performs everything on the list once, and what comes later too.
func TestRun(t *testing.T) {
	h := open(t)
	events := make(chan dicomsim.Event, 100)
	m := h.machine(t, func(c *dicomsim.Config) {
		c.Progress = func(e dicomsim.Event) {
			if e.Kind == dicomsim.Ended || e.Kind == dicomsim.Failed {
				events <- e
			}
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx, 5*time.Millisecond) }()
	ended := func(n int) (accessions []string) {
		for len(accessions) < n {
			e := <-events
			if e.Kind == dicomsim.Failed {
				t.Fatal(e.Err)
			}
			accessions = append(accessions, e.AccessionNumber)
		}
		return accessions
	}
	if got := ended(2); !slices.Equal(got, []string{"1001", "1002"}) {
		t.Errorf("%q", got)
	}
	h.mu.Lock()
	h.list = append(h.list[1:], "1003")
	h.mu.Unlock()
	if got := ended(1); !slices.Equal(got, []string{"1003"}) {
		t.Errorf("%q", got)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if n := len(h.got()); n != 6 {
		t.Errorf("%d reports", n)
	}
}
