package query

import (
	"testing"
	"unicode/utf8"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// Whatever a server answers, the entry is text.
func FuzzEntry(f *testing.F) {
	for _, syntax := range []dataset.Syntax{dataset.ImplicitLE, dataset.ExplicitLE} {
		item := dataset.NewBuilder(syntax, dataset.UTF8).Text(dataset.Modality, "DX")
		b, err := dataset.NewBuilder(syntax, dataset.UTF8).Charset().Text(dataset.PatientName, "Müller^Bella").
			Text(dataset.NumberOfStudyRelatedInstances, "12").Text(dataset.ModalitiesInStudy, `DX\SR`).
			Seq(dataset.ScheduledProcedureStepSequence, item).Bytes()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(syntax == dataset.ExplicitLE, b)
	}
	f.Fuzz(func(t *testing.T, explicit bool, data []byte) {
		syntax := dataset.ImplicitLE
		if explicit {
			syntax = dataset.ExplicitLE
		}
		set, err := dataset.Parse(data, syntax, answerLimits)
		if err != nil {
			return
		}
		e, s := newEntry(set), newStudy(set)
		for _, text := range append([]string{e.PatientName, e.Owner(), e.Patient(), e.Modality, s.StudyInstanceUID}, s.Modalities...) {
			if !utf8.ValidString(text) {
				t.Fatalf("%q is not UTF-8", text)
			}
		}
		if s.Instances < -1 || s.Series < -1 {
			t.Fatal(s.Series, s.Instances)
		}
	})
}

// Whatever keys are given, the identifier is a data set.
func FuzzKeys(f *testing.F) {
	f.Add("Müller*", `DX\CR`, "20261122-", "4711", "")
	f.Add("=^\\", "?", "-", "\xff", "ISO_IR 100")
	f.Fuzz(func(t *testing.T, name, modality, date, id, charset string) {
		k := Keys{PatientName: name, Modality: modality, Date: date, PatientID: id, Charset: charset}
		for _, syntax := range []dataset.Syntax{dataset.ImplicitLE, dataset.ExplicitLE} {
			b, err := k.identifier(syntax)
			if err != nil {
				return
			}
			if _, err := dataset.Parse(b, syntax, dataset.Limits{}); err != nil {
				t.Fatalf("%+v: %v", k, err)
			}
		}
	})
}

func FuzzParseTarget(f *testing.F) {
	f.Add("PACS@10.0.0.1:104")
	f.Add("X@Y@[::1]:104")
	f.Fuzz(func(t *testing.T, s string) {
		target, err := ParseTarget(s)
		if err != nil {
			return
		}
		again, err := ParseTarget(target.String())
		if err != nil || again.String() != target.String() {
			t.Fatalf("%q became %q, %v", target.String(), again.String(), err)
		}
	})
}
