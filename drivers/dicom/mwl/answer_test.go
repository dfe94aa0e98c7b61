package mwl

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// table is every key of the table of return keys.
var table = []dataset.Tag{
	dataset.StudyDate, dataset.StudyTime, dataset.AccessionNumber, dataset.IssuerOfAccessionNumberSequence,
	dataset.InstitutionName, dataset.InstitutionalDepartmentName, dataset.ReferringPhysicianName, dataset.StudyDescription,
	dataset.ProcedureCodeSequence, dataset.AdmittingDiagnosesDescription, dataset.ReferencedStudySequence,
	dataset.ReferencedPatientSequence, dataset.PatientName, dataset.PatientID, dataset.IssuerOfPatientID,
	dataset.PatientBirthDate, dataset.PatientSex, dataset.OtherPatientIDsSequence, dataset.PatientAge, dataset.PatientSize,
	dataset.PatientWeight, dataset.MedicalAlerts, dataset.Allergies, dataset.PregnancyStatus, dataset.SpecialNeeds,
	dataset.PatientState, dataset.AdditionalPatientHistory, dataset.PatientSpeciesDescription,
	dataset.PatientSpeciesCodeSequence, dataset.PatientSexNeutered, dataset.PatientBreedDescription,
	dataset.PatientBreedCodeSequence, dataset.BreedRegistrationSequence, dataset.ResponsiblePerson,
	dataset.ResponsiblePersonRole, dataset.ResponsibleOrganization, dataset.PatientComments, dataset.StudyInstanceUID,
	dataset.StudyID, dataset.RequestingPhysician, dataset.RequestingService, dataset.RequestedProcedureDescription,
	dataset.RequestedProcedureCodeSequence, dataset.AdmissionID, dataset.CurrentPatientLocation,
	dataset.RequestedProcedureID, dataset.ReasonForTheRequestedProcedure, dataset.RequestedProcedurePriority,
	dataset.PatientTransportArrangements, dataset.RequestedProcedureComments,
	dataset.PlacerOrderNumberImagingServiceRequest, dataset.FillerOrderNumberImagingServiceRequest,
	dataset.ConfidentialityConstraintOnPatientDataDescription,
}

// everything asks for the whole table.
func everything(t testing.TB, syntax dataset.Syntax) []byte {
	t.Helper()
	b := dataset.NewBuilder(syntax, dataset.UTF8)
	for _, tag := range table {
		b.Empty(tag)
	}
	raw, err := b.Seq(dataset.ScheduledProcedureStepSequence).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// show writes a set as "Keyword=value" lines.
func show(s *dataset.Set, indent string, out *strings.Builder) {
	cs := s.Charset()
	for i := range s.Elements {
		e := &s.Elements[i]
		out.WriteString(indent + dataset.Keyword(e.Tag) + "=" + strings.Join(s.Texts(e.Tag, cs), `\`) + "\n")
		for _, item := range e.Items {
			show(item, indent+"> ", out)
		}
	}
}

const wantEverything = `SpecificCharacterSet=ISO_IR 100
StudyDate=
StudyTime=
AccessionNumber=1001
IssuerOfAccessionNumberSequence=
InstitutionName=Riverside Veterinary Clinic
ReferringPhysicianName=Vet^Vera
StudyDescription=X-ray: Abdomen, Thorax
ProcedureCodeSequence=
> CodeValue=XR
> CodingSchemeDesignator=99CLINIC
> CodeMeaning=X-ray
InstitutionalDepartmentName=Surgery
AdmittingDiagnosesDescription=
ReferencedStudySequence=
ReferencedPatientSequence=
PatientName=Müller^Bella
PatientID=4701
IssuerOfPatientID=
PatientBirthDate=20200229
PatientSex=F
OtherPatientIDsSequence=
> PatientID=978101080000001
> TypeOfPatientID=RFID
PatientAge=006Y
PatientSize=
PatientWeight=31.25
MedicalAlerts=bites
Allergies=
AdditionalPatientHistory=limping
PregnancyStatus=
PatientSpeciesDescription=Canine
PatientSpeciesCodeSequence=
> CodeValue=448771007
> CodingSchemeDesignator=SCT
> CodeMeaning=Canis lupus subspecies familiaris
PatientSexNeutered=ALTERED
PatientBreedDescription=Labrador
PatientBreedCodeSequence=
> CodeValue=58108001
> CodingSchemeDesignator=SCT
> CodeMeaning=Golden retriever
BreedRegistrationSequence=
ResponsiblePerson=Müller^Anna
ResponsiblePersonRole=OWNER
ResponsibleOrganization=
PatientComments=
StudyInstanceUID=2.25.900001
StudyID=1001
RequestingPhysician=Quester^Rita
RequestingService=Surgery
RequestedProcedureDescription=X-ray: Abdomen, Thorax
RequestedProcedureCodeSequence=
> CodeValue=XR
> CodingSchemeDesignator=99CLINIC
> CodeMeaning=X-ray
AdmissionID=c77
SpecialNeeds=
CurrentPatientLocation=W2
PatientState=
ScheduledProcedureStepSequence=
> Modality=DX
> AnatomicalOrientationType=QUADRUPED
> BodyPartExamined=ABDOMEN
> RequestedContrastAgent=
> ScheduledStationAETitle=DR1
> ScheduledProcedureStepStartDate=20261122
> ScheduledProcedureStepStartTime=100000
> ScheduledProcedureStepEndDate=
> ScheduledProcedureStepEndTime=
> ScheduledPerformingPhysicianName=
> ScheduledProcedureStepDescription=Abdomen, Thorax
> ScheduledProtocolCodeSequence=
> > CodeValue=P1
> > CodingSchemeDesignator=99CLINIC
> > CodingSchemeVersion=1
> > CodeMeaning=Two views
> ScheduledProcedureStepID=1001
> ScheduledStationName=X-ray room 1
> ScheduledProcedureStepLocation=
> PreMedication=
> ScheduledProcedureStepStatus=SCHEDULED
> CommentsOnTheScheduledProcedureStep=rule out fracture
RequestedProcedureID=1001
ReasonForTheRequestedProcedure=rule out fracture
RequestedProcedurePriority=ROUTINE
PatientTransportArrangements=
RequestedProcedureComments=rule out fracture
PlacerOrderNumberImagingServiceRequest=1001
FillerOrderNumberImagingServiceRequest=
ConfidentialityConstraintOnPatientDataDescription=
`

// Every key of the table, in both transfer syntaxes.
func TestReturnKeys(t *testing.T) {
	for _, syntax := range []dataset.Syntax{dataset.ImplicitLE, dataset.ExplicitLE} {
		c := newClinic(t, machines(), dog(1))
		r := c.askAs(t.Context(), "DR1", syntax, everything(t, syntax))
		if len(r.sets) != 1 {
			t.Fatal(r.err, len(r.sets))
		}
		var got strings.Builder
		show(r.sets[0], "", &got)
		if got.String() != wantEverything {
			g, w := strings.Split(got.String(), "\n"), strings.Split(wantEverything, "\n")
			for i := range min(len(g), len(w)) {
				if g[i] != w[i] {
					t.Fatalf("%v: line %d: %q, want %q", syntax, i, g[i], w[i])
				}
			}
			t.Fatalf("%v: %d lines, want %d", syntax, len(g), len(w))
		}
		if bytes.Contains(r.raw[0], []byte("secret")) {
			t.Error("internal notes leave the appliance")
		}
	}
}

// D45: exactly the keys asked for and (0008,0005), ascending.
func TestD45ExactKeys(t *testing.T) {
	c := newClinic(t, machines(), dog(1))
	b := dataset.NewBuilder(dataset.ExplicitLE, dataset.UTF8).Empty(dataset.PatientID).
		Raw(0x00101005, dataset.PN, nil). // known, never filled
		Raw(0x00109999, dataset.LO, nil). // unknown
		Raw(0x00109998, dataset.SQ, nil).
		Raw(0x00110010, dataset.LO, []byte("CREATOR ")).
		Raw(0x00040000, dataset.UL, []byte{0, 0, 0, 0})
	raw, err := b.Seq(dataset.RequestedProcedureCodeSequence, dataset.NewBuilder(dataset.ExplicitLE, dataset.UTF8).Empty(dataset.CodeValue).Empty(dataset.CodeMeaning).Empty(dataset.CodingSchemeVersion)).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	// Out of order and doubled, as some consoles do.
	raw = append(raw, dataset.AppendElement(nil, dataset.ExplicitLE, dataset.AccessionNumber, dataset.SH, nil)...)
	raw = append(raw, dataset.AppendElement(nil, dataset.ExplicitLE, dataset.AccessionNumber, dataset.SH, []byte("9999"))...)
	r := c.askAs(t.Context(), "DR1", dataset.ExplicitLE, raw)
	if len(r.sets) != 1 {
		t.Fatal(r.err)
	}
	want := []string{"(0008,0005)", "(0008,0050)", "(0010,0020)", "(0010,1005)", "(0010,9998)", "(0010,9999)", "(0032,1064)"}
	if got := tags(r.sets[0]); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := tags(r.sets[0].Item(dataset.RequestedProcedureCodeSequence)); !slices.Equal(got, []string{"(0008,0100)", "(0008,0103)", "(0008,0104)"}) {
		t.Errorf("requested keys of the item: %v", got)
	}
	if got := r.sets[0].Item(dataset.RequestedProcedureCodeSequence).String(dataset.CodeValue); got != "XR" {
		t.Error(got)
	}
}

// D46: what lacks a value of type 1 is held with a reason and never listed.
func TestD46Incomplete(t *testing.T) {
	ms := machines()
	ms[0].TextLimits = map[TextField]int{LimitAccession: 4, LimitPatientID: 4}
	for name, breakIt := range map[string]func(*order.Order){
		"patient_id":                  func(o *order.Order) { o.Content.Patient.ID = "" },
		"patient_name":                func(o *order.Order) { o.Content.Patient.Name, o.Content.Owner = "", order.Owner{} },
		"study_instance_uid":          func(o *order.Order) { o.StudyInstanceUID = "" },
		"accession_number":            func(o *order.Order) { o.AccessionNumber = "10011" },
		"requested_procedure_id":      func(o *order.Order) { o.RequestedProcedureID = "" },
		"scheduled_procedure_step_id": func(o *order.Order) { o.Steps[0].ScheduledProcedureStepID = "" },
	} {
		o := dog(1)
		breakIt(o)
		holds := Check(o, &ms[0])
		if len(holds) != 1 || holds[0].Field != name || holds[0].Code != string(problem.OrderInvalid) {
			t.Errorf("%s: %v", name, holds)
		}
		c := newClinic(t, ms, dog(2), o)
		if got := c.find("DR1"); got != "1002" {
			t.Errorf("%s: listed %q", name, got)
		}
		if e := c.list.Explain("X-ray room 1", o, nil); e[0].Listed || !strings.Contains(e[0].Reason, name) {
			t.Errorf("%s: %v", name, e)
		}
	}
	for name, id := range map[string]string{"too long": "47011", "backslash": `4\1`, "umlaut": "4ä1", "space": " 47", "control": "4\n7"} {
		o := dog(1)
		o.Content.Patient.ID = id
		if holds := Check(o, &ms[0]); len(holds) != 1 || holds[0].Field != "patient_id" {
			t.Errorf("%s: %v", name, holds)
		}
	}
	if holds := Check(dog(1), &ms[0]); holds != nil {
		t.Error(holds)
	}
	nameless := dog(1)
	nameless.Content.Patient.Name = ""
	if holds := Check(nameless, &Machine{Name: "X-ray room 1", AETitle: "A", Code: "DX", PatientName: PatientOnly}); len(holds) != 1 {
		t.Error(holds)
	}
}

// D47: text that does not belong into a worklist.
func TestD47HostileText(t *testing.T) {
	o := dog(1)
	o.Content.Owner.LastName = "Mül^ler=Søn\\s \U0001F600"
	o.Content.Patient.Name = strings.Repeat("Ж", 200)
	o.Content.Remarks = "line 1\r\nline 2\n\x00" + strings.Repeat("ä", 300) + `\`
	o.Content.Patient.Species = "a\\b"
	ms := machines()
	ms[0].Charset = "ISO_IR 100"
	ms[1].Charset, ms[1].Name = "ISO_IR 192", "CT"
	ms = append(ms, Machine{Name: "ascii", AETitle: "ASC", Code: "DX", Charset: "ISO_IR 6", Sees: []string{"X-ray room 1"}})
	o.Steps[0].Stations = []string{"X-ray room 1", "CT"}
	c := newClinic(t, ms, o)
	for _, title := range []string{"DR1", "CT1", "ASC"} {
		r := c.ask(title, everything(t, dataset.ImplicitLE))
		if len(r.sets) != 1 {
			t.Fatal(title, r.err)
		}
		s := r.sets[0]
		cs := s.Charset()
		name := s.Text(dataset.PatientName, cs)
		if strings.Count(name, "^") > 1 || strings.ContainsAny(name, `=\`) || utf8.RuneCountInString(name) > 64 {
			t.Errorf("%s: %q", title, name)
		}
		if !strings.HasPrefix(name, map[string]string{"DR1": "Mül ler Søn", "CT1": "Mül ler Søn", "ASC": "Muel ler Son"}[title]) {
			t.Errorf("%s: %q", title, name)
		}
		if v := s.Text(dataset.ReasonForTheRequestedProcedure, cs); utf8.RuneCountInString(v) > 64 || strings.ContainsAny(v, "\r\n\\\x00") {
			t.Errorf("%s: %q", title, v)
		}
		if v := s.Text(dataset.RequestedProcedureComments, cs); !strings.Contains(v, "line 1\r\nline 2") {
			t.Errorf("%s: %q", title, v)
		}
		if v := s.Texts(dataset.PatientSpeciesDescription, cs); len(v) != 1 {
			t.Errorf("%s: %q", title, v)
		}
	}
	c.ask("DR1", everything(t, dataset.ImplicitLE))
	var got []string
	for _, n := range c.notes {
		if n.Code != problem.MachineCharset || n.OrderID != 1 {
			t.Error(n)
		}
		got = append(got, n.Machine)
	}
	if !slices.Equal(got, []string{"X-ray room 1", "ascii"}) {
		t.Error("replaced letters noted for", got)
	}
	o.Revision++
	c.list.Put(o)
	c.ask("DR1", everything(t, dataset.ImplicitLE))
	if len(c.notes) != 3 {
		t.Error("a new revision is noted again:", len(c.notes))
	}
}

// D48: even lengths, defined lengths, ascending tags, at every level.
func TestD48Bytes(t *testing.T) {
	for _, syntax := range []dataset.Syntax{dataset.ImplicitLE, dataset.ExplicitLE} {
		c := newClinic(t, machines(), dog(1))
		r := c.askAs(t.Context(), "DR1", syntax, everything(t, syntax))
		s := r.sets[0]
		if st := s.Stats; st.OddLengths+st.OutOfOrder+st.Duplicates+st.GroupLengths+st.Private+st.UnknownVRs != 0 {
			t.Errorf("%+v", *st)
		}
		if !bytes.Equal(dataset.AppendSet(nil, syntax, s), r.raw[0]) {
			t.Error("not written with defined lengths")
		}
		if bytes.Contains(r.raw[0], []byte{0xFF, 0xFF, 0xFF, 0xFF}) {
			t.Error("undefined length")
		}
		if v := s.Find(dataset.StudyInstanceUID).Value; len(v)%2 != 0 || bytes.HasSuffix(v, []byte(" ")) {
			t.Errorf("UID %q", v)
		}
		if v := s.Find(dataset.MedicalAlerts).Value; string(v) != "bites " {
			t.Errorf("%q", v)
		}
	}
}

// D49: FF01 exactly when a key with a value was not used.
func TestD49PendingStatus(t *testing.T) {
	c := newClinic(t, machines(), dog(1))
	code := dataset.NewBuilder(dataset.ImplicitLE, dataset.UTF8).Text(dataset.CodeValue, "XR")
	raw, _ := dataset.NewBuilder(dataset.ImplicitLE, dataset.UTF8).Seq(dataset.RequestedProcedureCodeSequence, code).Bytes()
	if r := c.ask("DR1", raw); len(r.pending) != 1 || r.pending[0] != 0xFF01 {
		t.Errorf("a code that is not matched: %X", r.pending)
	}
	for key, want := range map[string]uint16{
		"PatientID=4701": 0xFF00, "Allergies": 0xFF00, "Allergies=*": 0xFF00, "Allergies=nuts": 0xFF01,
		"QueryRetrieveLevel=X": 0xFF00, "StudyDescription=x": 0xFF01, "step:Modality=DX": 0xFF00, "step:RequestedContrastAgent=x": 0xFF01,
	} {
		r := c.ask("DR1", keys(t, dataset.ImplicitLE, dataset.UTF8, key))
		if len(r.pending) != 1 || r.pending[0] != want {
			t.Errorf("%s: %X, want %X", key, r.pending, want)
		}
	}
}

func TestPatientNameRules(t *testing.T) {
	company := order.Owner{Organization: "Zoo Ähtäri"}
	for _, tt := range []struct {
		rule  PatientNameRule
		owner order.Owner
		name  string
		want  string
	}{
		{"", order.Owner{FirstName: "Anna", LastName: "Müller"}, "Bella", "Müller^Bella"},
		{OwnerPatient, company, "Bella", "Zoo Ähtäri^Bella"},
		{OwnerPatient, order.Owner{}, "Bella", "^Bella"},
		{OwnerPatient, order.Owner{LastName: "Müller"}, "", "Müller"},
		{PatientOwner, order.Owner{LastName: "Müller"}, "Bella", "Bella^Müller"},
		{PatientOwner, order.Owner{}, "Bella", "Bella"},
		{PatientOnly, order.Owner{LastName: "Müller"}, "Bella", "Bella"},
	} {
		ms := machines()
		ms[0].PatientName = tt.rule
		o := dog(1)
		o.Content.Owner, o.Content.Patient.Name = tt.owner, tt.name
		c := newClinic(t, ms, o)
		r := c.ask("DR1", keys(t, dataset.ImplicitLE, dataset.UTF8, "PatientName", "ResponsibleOrganization", "ResponsiblePersonRole"))
		if len(r.sets) != 1 {
			t.Errorf("%v: %d answers", tt, len(r.sets))
			continue
		}
		if got := r.sets[0].Text(dataset.PatientName, r.sets[0].Charset()); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
		if got := r.sets[0].Text(dataset.ResponsibleOrganization, r.sets[0].Charset()); got != tt.owner.Organization {
			t.Errorf("organisation %q", got)
		}
	}
	long := dog(1)
	long.Content.Owner.LastName, long.Content.Patient.Name = strings.Repeat("o", 60), "Bella"
	if got := patientName(OwnerPatient, long, 32); got != strings.Repeat("o", 26)+"^Bella" {
		t.Error(got)
	}
}

func TestProfileKeys(t *testing.T) {
	ms := machines()
	ms[0].DropKeys = []dataset.Tag{dataset.MedicalAlerts, dataset.ScheduledStationName}
	ms[0].FixedKeys = map[dataset.Tag]string{dataset.InstitutionName: "Ähtäri", dataset.PatientID: "no", dataset.ScheduledProcedureStepLocation: "R1"}
	ms[0].SpeciesIn = []SpeciesField{SpeciesInComments, SpeciesInProcedure, SpeciesInStep}
	ms[0].TextLimits = map[TextField]int{LimitStep: 10, LimitName: 8}
	cyrillic := dog(2)
	cyrillic.Content.Patient.Name = "Белла"
	c := newClinic(t, ms, dog(1), cyrillic)
	r := c.ask("DR1", keys(t, dataset.ImplicitLE, dataset.UTF8, "InstitutionName", "MedicalAlerts", "PatientID", "PatientComments", "PatientName",
		"RequestedProcedureDescription", "step:ScheduledProcedureStepDescription", "step:ScheduledStationName", "step:ScheduledProcedureStepLocation"))
	want := `SpecificCharacterSet=ISO_IR 100
InstitutionName=Ähtäri
PatientName=Müll^Bel
PatientID=4701
PatientComments=Canine, Labrador
RequestedProcedureDescription=X-ray: Abdomen, Thorax (Canine, Labrador)
ScheduledProcedureStepSequence=
> ScheduledProcedureStepDescription=Abdomen, T
> ScheduledProcedureStepLocation=R1
`
	var got strings.Builder
	show(r.sets[0], "", &got)
	if got.String() != want {
		t.Errorf("%s", got.String())
	}
	if s := r.sets[1]; s.String(dataset.SpecificCharacterSet) != "ISO_IR 192" || s.Text(dataset.InstitutionName, dataset.UTF8) != "Ähtäri" || s.Text(dataset.PatientName, dataset.UTF8) != "Müll^Бел" {
		t.Error(s.String(dataset.SpecificCharacterSet), s.Text(dataset.InstitutionName, dataset.UTF8), s.Text(dataset.PatientName, dataset.UTF8))
	}
}

func TestVeterinaryUnknown(t *testing.T) {
	o := dog(1)
	o.Content.Patient = order.Patient{ID: "1", Name: "X", BirthDate: "0000-00-00"}
	o.Content.Owner = order.Owner{}
	c := newClinic(t, machines(), o)
	s := c.ask("DR1", everything(t, dataset.ImplicitLE)).sets[0]
	for _, tag := range []dataset.Tag{
		dataset.PatientBirthDate, dataset.PatientAge, dataset.PatientSex, dataset.PatientWeight, dataset.PatientSpeciesDescription,
		dataset.PatientSpeciesCodeSequence, dataset.PatientBreedCodeSequence, dataset.OtherPatientIDsSequence, dataset.PatientSexNeutered,
		dataset.ResponsiblePerson, dataset.ResponsiblePersonRole, dataset.ResponsibleOrganization,
	} {
		if e := s.Find(tag); e == nil || len(e.Value) != 0 || len(e.Items) != 0 {
			t.Errorf("%s is not empty", dataset.Keyword(tag))
		}
	}
	if s.String(dataset.PatientName) != "^X" {
		t.Errorf("%q", s.String(dataset.PatientName))
	}
}

func TestAge(t *testing.T) {
	for _, tt := range []struct{ born, today, want string }{
		{"2026-11-22", "2026-11-22", "000D"},
		{"2026-11-01", "2026-11-22", "021D"},
		{"2026-10-01", "2026-11-22", "007W"},
		{"2026-01-23", "2026-11-22", "009M"},
		{"2024-11-23", "2026-11-22", "023M"},
		{"2024-11-22", "2026-11-22", "002Y"},
		{"2020-02-29", "2026-02-28", "005Y"},
		{"1900-01-01", "2026-11-22", "126Y"},
		{"2026-11-23", "2026-11-22", ""},
		{"", "2026-11-22", ""},
		{"2020-13-01", "2026-11-22", ""},
	} {
		day, _ := time.Parse(time.DateOnly, tt.today)
		it := &item{order: &order.Order{Content: order.Content{Patient: order.Patient{BirthDate: tt.born}}}}
		as, ok := it.age(dayOf(day))
		if got := string(as[:]); ok != (tt.want != "") || ok && got != tt.want {
			t.Errorf("born %s, on %s: %q %v, want %q", tt.born, tt.today, got, ok, tt.want)
		}
	}
}

func TestStudyStartFromEvidence(t *testing.T) {
	o := dog(1)
	o.State, o.Steps[0].State, o.Steps[0].StartedAt = order.InProgress, order.InProgress, noon
	c := newClinic(t, machines(), o)
	s := c.ask("DR1", keys(t, dataset.ImplicitLE, dataset.UTF8, "StudyDate", "StudyTime", "TimezoneOffsetFromUTC")).sets[0]
	if s.String(dataset.StudyDate) != "20261122" || s.String(dataset.StudyTime) != "120000" || s.String(dataset.TimezoneOffsetFromUTC) != "+0200" {
		t.Error(s.String(dataset.StudyDate), s.String(dataset.StudyTime), s.String(dataset.TimezoneOffsetFromUTC))
	}
}
