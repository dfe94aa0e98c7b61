package dataset

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// sampleAnswer is a worklist answer of 38 attributes.
func sampleAnswer(t testing.TB, s Syntax) []byte {
	t.Helper()
	step := NewBuilder(s, Latin1).
		Text(Modality, "DX").Text(AnatomicalOrientationType, "QUADRUPED").Empty(RequestedContrastAgent).
		Text(ScheduledStationAETitle, "DR1").Text(ScheduledProcedureStepStartDate, "20261122").
		Text(ScheduledProcedureStepStartTime, "101500").Empty(ScheduledPerformingPhysicianName).
		Text(ScheduledProcedureStepDescription, "Elbow left, two views").Empty(ScheduledProtocolCodeSequence).
		Text(ScheduledProcedureStepID, "1001").Text(ScheduledStationName, "X-ray room 1").Text(ScheduledProcedureStepStatus, "SCHEDULED")
	b := NewBuilder(s, Latin1).Charset().
		Empty(StudyDate).Empty(StudyTime).Text(AccessionNumber, "1001").Text(InstitutionName, "Riverside Veterinary Clinic").
		Text(ReferringPhysicianName, "Vet^Anna").Text(StudyDescription, "Elbow left").Empty(ReferencedStudySequence).
		Empty(ReferencedPatientSequence).Text(PatientName, "Müller^Bella").Text(PatientID, "4711").Text(PatientBirthDate, "20190401").
		Text(PatientSex, "F").Text(PatientWeight, "31.5").Empty(MedicalAlerts).Empty(Allergies).Empty(PregnancyStatus).
		Text(PatientSpeciesDescription, "Dog").Text(PatientSexNeutered, "ALTERED").Text(PatientBreedDescription, "Labrador").
		Text(ResponsiblePerson, "Müller^Eva").Text(ResponsiblePersonRole, "OWNER").
		Text(StudyInstanceUID, "2.25.329800735698586629295641978511506172918").Text(RequestedProcedureDescription, "X-ray").
		Text(RequestedProcedureID, "1001").Seq(ScheduledProcedureStepSequence, step)
	raw, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if notes := b.Notes(); len(notes) != 0 {
		t.Fatalf("notes %v", notes)
	}
	return raw
}

func TestBuilderRoundTrip(t *testing.T) {
	for _, s := range []Syntax{ImplicitLE, ExplicitLE} {
		raw := sampleAnswer(t, s)
		set := mustParse(t, s, raw)
		if set.Stats.Elements != 38 {
			t.Errorf("%d elements", set.Stats.Elements)
		}
		if *set.Stats != (Stats{Elements: 38, Items: 1}) {
			t.Errorf("tolerated %+v", *set.Stats)
		}
		if got := set.Text(PatientName, set.Charset()); got != "Müller^Bella" {
			t.Errorf("name %q", got)
		}
		if got := set.Item(ScheduledProcedureStepSequence).String(Modality); got != "DX" {
			t.Errorf("modality %q", got)
		}
		if got := AppendSet(nil, s, set); !bytes.Equal(got, raw) {
			t.Errorf("rewritten\n%q\n%q", got, raw)
		}
	}
}

func TestBuilderValues(t *testing.T) {
	long := strings.Repeat("ä", 100)
	for _, c := range []struct {
		name   string
		tag    Tag
		cs     Charset
		in     string
		want   string
		reason string
	}{
		{"date", PatientBirthDate, Latin1, "20190401", "20190401", ""},
		{"unknown date", PatientBirthDate, Latin1, "00000000", "", ReasonInvalid},
		{"29 February", PatientBirthDate, Latin1, "20250229", "", ReasonInvalid},
		{"date key", StudyDate, Latin1, "20261122-20261123", "20261122-20261123 ", ""},
		{"open date key", StudyDate, Latin1, "-20261123", "-20261123 ", ""},
		{"time", StudyTime, Latin1, "1015", "1015", ""},
		{"wrong time", StudyTime, Latin1, "2515", "", ReasonInvalid},
		{"weight", PatientWeight, Latin1, "31.5", "31.5", ""},
		{"weight too precise", PatientWeight, Latin1, "31.50000000000001", "", ReasonTooLong},
		{"weight with comma", PatientWeight, Latin1, "31,5", "", ReasonInvalid},
		{"weight 1e1", PatientWeight, Latin1, "-1.5E+1", "-1.5E+1 ", ""},
		{"sex in lower case", PatientSex, Latin1, "f", "F ", ""},
		{"code string with umlaut", PatientSex, Latin1, "Ä", "", ReasonInvalid},
		{"code string, list", Modality, Latin1, `DX\CR`, `DX\CR `, ""},
		{"code string, wildcard", Modality, Latin1, `C*`, `C*`, ""},
		{"UID", StudyInstanceUID, Latin1, "1.2.3", "1.2.3\x00", ""},
		{"UID with leading zero", StudyInstanceUID, Latin1, "1.02.3", "", ReasonInvalid},
		{"AE title too long", ScheduledStationAETitle, Latin1, "ABCDEFGHIJKLMNOPQ", "", ReasonTooLong},
		{"date in the old form", PatientBirthDate, Latin1, "2019.04.01", "", ReasonInvalid},
		{"time in the old form", StudyTime, Latin1, "10:15", "", ReasonInvalid},
		{"time key", StudyTime, Latin1, "0900-1700", "0900-1700 ", ""},
		{"date time", AcquisitionDateTime, Latin1, "20261122101500.5+0200", "20261122101500.5+0200 ", ""},
		{"date time key", AcquisitionDateTime, Latin1, "20261122-20261123", "20261122-20261123 ", ""},
		{"date time that is none", AcquisitionDateTime, Latin1, "20261122-x", "", ReasonInvalid},
		{"integer above 32 bits", SeriesNumber, Latin1, "2147483648", "", ReasonInvalid},
		{"disguised text", PatientID, Latin1, "47\u202e11\u200b", "4711", ""},
		{"age", PatientAge, Latin1, "007Y", "007Y", ""},
		{"age without unit", PatientAge, Latin1, "0007", "", ReasonInvalid},
		{"integer", SeriesNumber, Latin1, "-12", "-12 ", ""},
		{"integer with sign only", SeriesNumber, Latin1, "-", "", ReasonInvalid},
		{"text", PatientID, Latin1, " 4711 ", "4711", ""},
		{"text with line end", PatientID, Latin1, "a\r\nb", "a b ", ""},
		{"text with backslash", PatientID, Latin1, `a\b`, "a/b ", ""},
		{"text too long", AccessionNumber, Latin1, "12345678901234567", "1234567890123456", ReasonCut},
		{"cut by characters, Latin-1", InstitutionName, Latin1, long, strings.Repeat("\xe4", 64), ReasonCut},
		{"cut by characters, UTF-8", InstitutionName, UTF8, long, strings.Repeat("ä", 64), ReasonCut},
		{"cut after transliteration", InstitutionName, DefaultCharset, long, strings.Repeat("ae", 32), ReasonReplaced},
		{"emoji", PatientSpeciesDescription, Latin1, "Dog 🐕", "Dog ", ReasonReplaced},
		{"long text keeps lines", PatientComments, Latin1, "a\nb\\c", "a\r\nb\\c", ""},
		{"name", PatientName, Latin1, "Müller^Bella", "M\xfcller^Bella", ""},
		{"name of six components", PatientName, Latin1, "a^b^c^d^e^f", "a^b^c^d^e ", ReasonCut},
		{"name too long", PatientName, Latin1, strings.Repeat("x", 63) + "^Bella", strings.Repeat("x", 63) + " ", ReasonCut},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := NewBuilder(ImplicitLE, c.cs).Text(c.tag, c.in)
			raw, err := b.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			if got := string(raw[8:]); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			reason := ""
			if n := b.Notes(); len(n) > 0 {
				reason = n[0].Reason
			}
			if reason != c.reason {
				t.Errorf("reason %q, want %q", reason, c.reason)
			}
		})
	}
}

func TestBuilderOrder(t *testing.T) {
	b := NewBuilder(ImplicitLE, Latin1).Text(PatientID, "old").Text(AccessionNumber, "1").Text(PatientID, "new")
	for range 2 {
		raw, err := b.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		set := mustParse(t, ImplicitLE, raw)
		if len(set.Elements) != 2 || set.Elements[0].Tag != AccessionNumber || set.String(PatientID) != "new" {
			t.Errorf("%q", raw)
		}
	}
	raw, err := b.Reset().Text(Modality, "CT").Bytes()
	if err != nil || len(raw) != 10 {
		t.Errorf("after Reset: %q, %v", raw, err)
	}
}

func TestBuilderErrors(t *testing.T) {
	for name, b := range map[string]*Builder{
		"group 0000":          NewBuilder(ImplicitLE, Latin1).Raw(0x00000100, US, []byte{1, 0}),
		"group 0002":          NewBuilder(ImplicitLE, Latin1).Text(TransferSyntaxUID, "1.2"),
		"sequence as text":    NewBuilder(ImplicitLE, Latin1).Text(ScheduledProcedureStepSequence, "x"),
		"two long texts":      NewBuilder(ImplicitLE, Latin1).Strings(PatientComments, "a", "b"),
		"item, other syntax":  NewBuilder(ImplicitLE, Latin1).Seq(ScheduledProcedureStepSequence, NewBuilder(ExplicitLE, Latin1)),
		"item, itself broken": NewBuilder(ImplicitLE, Latin1).Seq(ScheduledProcedureStepSequence, NewBuilder(ImplicitLE, Latin1).Text(RequestedProcedureCodeSequence, "x")),
	} {
		if _, err := b.Bytes(); !errors.Is(err, ErrBuilder) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBuilderNotesOfItems(t *testing.T) {
	item := NewBuilder(ImplicitLE, Latin1).Text(ScheduledProcedureStepStartDate, "00000000")
	got := NewBuilder(ImplicitLE, Latin1).Seq(ScheduledProcedureStepSequence, item).Notes()
	if want := []Note{{ScheduledProcedureStepStartDate, ReasonInvalid}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestEncoderDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 4096)
	item, name := []byte("12345678"), []byte("Müller^Bella")
	for _, s := range []Syntax{ImplicitLE, ExplicitLE} {
		n := testing.AllocsPerRun(100, func() {
			buf = AppendElement(buf[:0], s, PatientName, PN, name)
			buf = AppendSequence(buf, s, ScheduledProcedureStepSequence, item)
		})
		if n != 0 {
			t.Errorf("%v: %v allocations", s, n)
		}
		set := mustParse(t, s, sampleAnswer(t, s))
		if n := testing.AllocsPerRun(100, func() { buf = AppendSet(buf[:0], s, set) }); n != 0 {
			t.Errorf("%v: AppendSet %v allocations", s, n)
		}
	}
}

func TestReusedBuilderDoesNotAllocate(t *testing.T) {
	b, buf := NewBuilder(ExplicitLE, Latin1), make([]byte, 0, 4096)
	n := testing.AllocsPerRun(100, func() {
		b.Reset().Text(PatientID, "4711").Text(InstitutionName, "Riverside").Empty(PatientSex)
		buf = b.AppendTo(buf[:0])
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestLongValueOfShortVR(t *testing.T) {
	value := bytes.Repeat([]byte("ab"), 40_000)
	set := mustParse(t, ExplicitLE, AppendElement(nil, ExplicitLE, PatientID, LO, value))
	e := set.Find(PatientID)
	if e.VR != UN || !bytes.Equal(e.Value, value) {
		t.Fatalf("%s of %d bytes", e.VR, len(e.Value))
	}
	if got := set.Text(PatientID, DefaultCharset); len(got) != len(value) {
		t.Errorf("text of %d bytes", len(got))
	}
}
