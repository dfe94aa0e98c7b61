package mpps_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
	"github.com/rayhound/rayhound/drivers/dicom/mpps"
)

// build returns a data set in explicit VR little endian.
func build(t testing.TB, cs dataset.Charset, fill func(b *dataset.Builder, item func(func(*dataset.Builder)) *dataset.Builder)) []byte {
	t.Helper()
	b := dataset.NewBuilder(dataset.ExplicitLE, cs)
	fill(b, func(fill func(*dataset.Builder)) *dataset.Builder {
		i := dataset.NewBuilder(dataset.ExplicitLE, cs)
		fill(i)
		return i
	})
	data, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// parse reads data as explicit VR little endian.
func parse(t *testing.T, op mpps.Operation, data []byte, c mpps.ParseConfig) *mpps.Report {
	t.Helper()
	r, err := mpps.Parse(op, data, dataset.ExplicitLE.UID(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type itemOf = func(func(*dataset.Builder)) *dataset.Builder

func TestParseReadsEverythingOfACreate(t *testing.T) {
	zone := time.FixedZone("", 2*3600)
	data := build(t, dataset.Latin1, func(b *dataset.Builder, item itemOf) {
		b.Charset().
			Text(dataset.PatientName, "Müller^Bella").
			Text(dataset.PatientID, " 4711 ").
			Text(dataset.Modality, "DX").
			Text(dataset.PerformedProcedureStepID, "P1").
			Text(dataset.PerformedStationAETitle, "DR1").
			Text(dataset.PerformedStationName, "Röntgen 1").
			Text(dataset.PerformedProcedureStepDescription, "Thorax").
			Text(dataset.PerformedProcedureStepStartDate, "20261122").
			Text(dataset.PerformedProcedureStepStartTime, "101500").
			Text(dataset.PerformedProcedureStepStatus, "IN PROGRESS").
			Seq(dataset.PerformedSeriesSequence).
			Seq(dataset.ScheduledStepAttributesSequence,
				item(func(b *dataset.Builder) {
					b.Text(dataset.StudyInstanceUID, "2.25.1").Text(dataset.AccessionNumber, "1001").
						Text(dataset.RequestedProcedureID, "1001").Text(dataset.ScheduledProcedureStepID, "1001-1").
						Seq(dataset.ReferencedStudySequence, item(func(b *dataset.Builder) {
							b.Text(dataset.ReferencedSOPInstanceUID, "2.25.9")
						}))
				}),
				item(func(b *dataset.Builder) {
					b.Text(dataset.AccessionNumber, "1001").Text(dataset.ScheduledProcedureStepID, "1001-2")
				}),
				item(func(*dataset.Builder) {}),
				item(func(b *dataset.Builder) {
					b.Text(dataset.AccessionNumber, "1001").Text(dataset.ScheduledProcedureStepID, "1001-2")
				}),
			)
	})
	got := parse(t, mpps.NCreate, data, mpps.ParseConfig{Zone: zone})
	want := &mpps.Report{
		Operation: mpps.NCreate, TransferSyntaxUID: dataset.ExplicitLE.UID(),
		Status: mpps.InProgress, PatientName: "Müller^Bella", PatientID: "4711", Modality: "DX",
		PerformedProcedureStepID: "P1", StationAETitle: "DR1", StationName: "Röntgen 1", Description: "Thorax",
		StartedAt: time.Date(2026, 11, 22, 10, 15, 0, 0, zone),
		Series:    []mpps.Series{},
		References: []mpps.Reference{
			{
				StudyInstanceUID: "2.25.1", AccessionNumber: "1001", RequestedProcedureID: "1001",
				ScheduledProcedureStepID: "1001-1", ReferencedStudyUIDs: []string{"2.25.9"},
			},
			{AccessionNumber: "1001", ScheduledProcedureStepID: "1001-2"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseCountsImagesAndOtherObjects(t *testing.T) {
	data := build(t, dataset.UTF8, func(b *dataset.Builder, item itemOf) {
		object := func(uid string) *dataset.Builder {
			return item(func(b *dataset.Builder) { b.Text(dataset.ReferencedSOPInstanceUID, uid) })
		}
		b.Charset().Text(dataset.PerformedProcedureStepStatus, "completed").
			Text(dataset.PerformedProcedureStepEndDate, "20261122").
			Text(dataset.PerformedProcedureStepEndTime, "1030").
			Seq(dataset.PerformedSeriesSequence,
				item(func(b *dataset.Builder) {
					b.Text(dataset.SeriesInstanceUID, "2.25.2").Text(dataset.ProtocolName, "Thorax").
						Text(dataset.OperatorsName, "Čapek^Eva").Text(dataset.SeriesDescription, "lateral").
						Seq(dataset.ReferencedImageSequence, object("2.25.3"), object("2.25.4"), object("2.25.3")).
						Seq(dataset.ReferencedNonImageCompositeSOPInstanceSequence, object("2.25.5"), object(""))
				}),
				item(func(*dataset.Builder) {}),
				item(func(b *dataset.Builder) { b.Text(dataset.ProtocolName, "Abdomen") }))
	})
	got := parse(t, mpps.NSet, data, mpps.ParseConfig{})
	want := []mpps.Series{
		{SeriesInstanceUID: "2.25.2", Protocol: "Thorax", Operator: "Čapek^Eva", Description: "lateral", Instances: 4},
		{Protocol: "Abdomen"},
	}
	if diff := cmp.Diff(want, got.Series); diff != "" {
		t.Error(diff)
	}
	if !got.Final() || !got.EndedAt.Equal(time.Date(2026, 11, 22, 10, 30, 0, 0, time.UTC)) {
		t.Errorf("status %q, ended %v", got.Status, got.EndedAt)
	}
	if s, i := got.Images(); s != 2 || i != 4 {
		t.Errorf("%d series, %d instances", s, i)
	}
	if diff := cmp.Diff([]string{"a performed series without content", "a performed series without a UID"}, got.Notes); diff != "" {
		t.Error(diff)
	}
}

func TestParseReferencesAtTheTopLevel(t *testing.T) {
	flat := func(b *dataset.Builder) {
		b.Text(dataset.StudyInstanceUID, "2.25.1").Text(dataset.AccessionNumber, "1001").
			Text(dataset.ScheduledProcedureStepID, "1001")
	}
	whole := mpps.Reference{StudyInstanceUID: "2.25.1", AccessionNumber: "1001", ScheduledProcedureStepID: "1001"}
	for name, c := range map[string]struct {
		fill func(b *dataset.Builder, item itemOf)
		want []mpps.Reference
	}{
		"no sequence":    {func(b *dataset.Builder, _ itemOf) { flat(b) }, []mpps.Reference{whole}},
		"empty sequence": {func(b *dataset.Builder, _ itemOf) { flat(b); b.Seq(dataset.ScheduledStepAttributesSequence) }, []mpps.Reference{whole}},
		"empty item": {func(b *dataset.Builder, item itemOf) {
			flat(b)
			b.Seq(dataset.ScheduledStepAttributesSequence, item(func(*dataset.Builder) {}))
		}, []mpps.Reference{whole}},
		"half an item": {func(b *dataset.Builder, item itemOf) {
			flat(b)
			b.Seq(dataset.ScheduledStepAttributesSequence, item(func(b *dataset.Builder) { b.Text(dataset.StudyInstanceUID, "2.25.7") }))
		}, []mpps.Reference{{StudyInstanceUID: "2.25.7", AccessionNumber: "1001", ScheduledProcedureStepID: "1001"}}},
		"two items": {func(b *dataset.Builder, item itemOf) {
			flat(b)
			b.Seq(dataset.ScheduledStepAttributesSequence,
				item(func(b *dataset.Builder) { b.Text(dataset.AccessionNumber, "1") }),
				item(func(b *dataset.Builder) { b.Text(dataset.AccessionNumber, "2") }))
		}, []mpps.Reference{{AccessionNumber: "1"}, {AccessionNumber: "2"}}},
		"nothing": {func(*dataset.Builder, itemOf) {}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := parse(t, mpps.NCreate, build(t, dataset.Latin1, c.fill), mpps.ParseConfig{})
			if diff := cmp.Diff(c.want, got.References); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseTellsAbsentFromEmptySeries(t *testing.T) {
	absent := parse(t, mpps.NSet, nil, mpps.ParseConfig{})
	if absent.Series != nil {
		t.Error("an absent sequence is not nil")
	}
	empty := parse(t, mpps.NSet, build(t, 0, func(b *dataset.Builder, _ itemOf) {
		b.Seq(dataset.PerformedSeriesSequence)
	}), mpps.ParseConfig{})
	if empty.Series == nil || len(empty.Series) != 0 {
		t.Errorf("an empty sequence is %#v", empty.Series)
	}
}

func TestParseReasons(t *testing.T) {
	reason := func(value, scheme string) []byte {
		return build(t, dataset.Latin1, func(b *dataset.Builder, item itemOf) {
			b.Text(dataset.PerformedProcedureStepStatus, "DISCONTINUED").
				Seq(dataset.PerformedProcedureStepDiscontinuationReasonCodeSequence,
					item(func(*dataset.Builder) {}),
					item(func(b *dataset.Builder) {
						b.Text(dataset.CodeValue, value).Text(dataset.CodingSchemeDesignator, scheme).Text(dataset.CodeMeaning, "a reason")
					}))
		})
	}
	wrong := parse(t, mpps.NSet, reason("110514", "DCM"), mpps.ParseConfig{})
	if !wrong.Discontinuation.WrongEntry() || wrong.Discontinuation.Meaning != "a reason" {
		t.Errorf("%+v", wrong.Discontinuation)
	}
	for _, data := range [][]byte{reason("110513", "DCM"), reason("110514", "99X")} {
		if r := parse(t, mpps.NSet, data, mpps.ParseConfig{}); r.Discontinuation.WrongEntry() || r.Discontinuation.IsZero() {
			t.Errorf("%+v", r.Discontinuation)
		}
	}
}

// D69: each message is read with its own character set.
func TestParseText(t *testing.T) {
	name := func(charset string, value []byte) []byte {
		return build(t, 0, func(b *dataset.Builder, _ itemOf) {
			if charset != "" {
				b.Raw(dataset.SpecificCharacterSet, dataset.CS, []byte(charset))
			}
			b.Raw(dataset.PatientName, dataset.PN, value)
		})
	}
	latin1, utf8 := []byte("M\xfcller^Bella"), []byte("Müller^Bella")
	for what, c := range map[string]struct {
		data    []byte
		charset string
		want    string
	}{
		"Latin-1":                          {name("ISO_IR 100", latin1), "", "Müller^Bella"},
		"UTF-8":                            {name("ISO_IR 192", utf8), "", "Müller^Bella"},
		"misspelt":                         {name("ISO-IR 192", utf8), "", "Müller^Bella"},
		"undeclared UTF-8":                 {name("", utf8), "", "Müller^Bella"},
		"undeclared Latin-1":               {name("", latin1), "", "Müller^Bella"},
		"undeclared, the machine's":        {name("", []byte("\xc4\xe5\xed\xe8\xf1")), "ISO_IR 144", "Фхэшё"},
		"undeclared UTF-8, machine Latin1": {name("", utf8), "ISO_IR 100", "Müller^Bella"},
		"unknown set":                      {name("KLINGON", latin1), "auto", "Müller^Bella"},
		"declared UTF-8, is Latin-1":       {name("ISO_IR 192", latin1), "ISO_IR 100", "Müller^Bella"},
	} {
		if got := parse(t, mpps.NCreate, c.data, mpps.ParseConfig{Charset: c.charset}).PatientName; got != c.want {
			t.Errorf("%s: %q", what, got)
		}
	}
}

func TestParseTimes(t *testing.T) {
	start := func(date, clock, offset string) []byte {
		return build(t, 0, func(b *dataset.Builder, _ itemOf) {
			b.Raw(dataset.PerformedProcedureStepStartDate, dataset.DA, []byte(date)).
				Raw(dataset.PerformedProcedureStepStartTime, dataset.TM, []byte(clock))
			if offset != "" {
				b.Raw(dataset.TimezoneOffsetFromUTC, dataset.SH, []byte(offset))
			}
		})
	}
	helsinki := time.FixedZone("", 2*3600)
	for _, c := range []struct {
		date, clock, offset, want string
	}{
		{"20261122", "101500", "", "2026-11-22T10:15:00+02:00"},
		{"2026.11.22", "10:15", "", "2026-11-22T10:15:00+02:00"},
		{"20261122", "101500.25", "", "2026-11-22T10:15:00.25+02:00"},
		{"20261122", "101500", "+0500", "2026-11-22T10:15:00+05:00"},
		{"20261122", "101500", "what?", "2026-11-22T10:15:00+02:00"},
		{"20261122", "", "", "2026-11-22T00:00:00+02:00"},
		{"20261122", "9999", "", "2026-11-22T00:00:00+02:00"},
		{"", "101500", "", "0001-01-01T00:00:00Z"},
		{"00000000", "101500", "", "0001-01-01T00:00:00Z"},
	} {
		r := parse(t, mpps.NCreate, start(c.date, c.clock, c.offset), mpps.ParseConfig{Zone: helsinki})
		if got := r.StartedAt.Format(time.RFC3339Nano); got != c.want {
			t.Errorf("%q %q %q: %s, want %s", c.date, c.clock, c.offset, got, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	deep := bytes.Repeat([]byte{0x40, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0, 0xe0, 0xff, 0xff, 0xff, 0xff}, 1000)
	_, err := mpps.Parse(mpps.NCreate, deep, dataset.ImplicitLE.UID(), mpps.ParseConfig{})
	if !errors.As(err, new(*dataset.LimitError)) {
		t.Errorf("deep: %v", err)
	}
	_, err = mpps.Parse(mpps.NCreate, []byte("no data set"), dataset.ImplicitLE.UID(), mpps.ParseConfig{})
	if !errors.As(err, new(*dataset.SyntaxError)) {
		t.Errorf("garbage: %v", err)
	}
	if _, err = mpps.Parse(mpps.NCreate, nil, "1.2.840.10008.1.2.2", mpps.ParseConfig{}); err == nil {
		t.Error("big endian was read")
	}
}
