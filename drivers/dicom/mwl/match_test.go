package mwl

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// D33: no SPS sequence, an empty one and one empty item all match everything;
// without keys the whole step is returned.
func TestD33UniversalStep(t *testing.T) {
	c := newClinic(t, machines(), dog(1), dog(2))
	if got := c.find("DR1"); got != "1001 1002" {
		t.Error("without sequence:", got)
	}
	for name, items := range map[string][]*dataset.Builder{
		"zero items":     nil,
		"one empty item": {dataset.NewBuilder(dataset.ImplicitLE, dataset.UTF8)},
	} {
		raw, err := dataset.NewBuilder(dataset.ImplicitLE, dataset.UTF8).Empty(dataset.AccessionNumber).
			Seq(dataset.ScheduledProcedureStepSequence, items...).Bytes()
		if err != nil {
			t.Fatal(err)
		}
		r := c.ask("DR1", raw)
		if r.accessions() != "1001 1002" {
			t.Errorf("%s: %s", name, r.accessions())
			continue
		}
		s := step(r.sets[0])
		if len(s.Elements) != len(stepKeys) {
			t.Errorf("%s: %d keys of the step, want %d: %v", name, len(s.Elements), len(stepKeys), tags(s))
		}
		if s.String(dataset.Modality) != "DX" || s.String(dataset.ScheduledStationAETitle) != "DR1" {
			t.Errorf("%s: %s %s", name, s.String(dataset.Modality), s.String(dataset.ScheduledStationAETitle))
		}
	}
}

// D34: keys of the step at the top level are matched and returned there.
func TestD34FlatKeys(t *testing.T) {
	c := newClinic(t, machines(), dog(1), at(dog(2), 2026, 11, 25, 9, 0))
	r := c.ask("DR1", keys(t, dataset.ExplicitLE, dataset.UTF8)) // wrong syntax on purpose: must not panic
	_ = r
	r = c.ask("DR1", keys(t, dataset.ImplicitLE, dataset.UTF8, "AccessionNumber", "Modality=DX",
		"ScheduledStationAETitle=DR1", "ScheduledProcedureStepStartDate=20261125", "ScheduledProcedureStepID"))
	if r.accessions() != "1002" {
		t.Fatal(r.accessions(), r.err)
	}
	s := r.sets[0]
	if s.String(dataset.Modality) != "DX" || s.String(dataset.ScheduledProcedureStepStartDate) != "20261125" ||
		s.String(dataset.ScheduledProcedureStepID) != "1002" || s.Has(dataset.ScheduledProcedureStepSequence) {
		t.Error(tags(s))
	}
	if got := c.find("DR1", "Modality=CT"); got != "" {
		t.Error("flat modality not matched:", got)
	}
}

// D35: keys that are not matched have no influence.
func TestD35UnmatchedKeys(t *testing.T) {
	c := newClinic(t, machines(), dog(1))
	b := dataset.NewBuilder(dataset.ImplicitLE, dataset.UTF8).Charset().Empty(dataset.AccessionNumber).
		Uint16(dataset.PregnancyStatus, 0).Text(dataset.QueryRetrieveLevel, "STUDY").
		Raw(0x00090010, dataset.LO, []byte("SOME CREATOR")).Raw(0x00091001, dataset.LO, []byte("x")).
		Raw(0x00080000, dataset.UL, []byte{4, 0, 0, 0}).Text(dataset.Allergies, "").
		Text(dataset.TimezoneOffsetFromUTC, "+0200")
	raw, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	r := c.ask("DR1", raw)
	if r.accessions() != "1001" || r.pending[0] != 0xFF00 {
		t.Fatalf("%q %X %v", r.accessions(), r.pending, r.err)
	}
	if got, want := strings.Join(tags(r.sets[0]), " "), "(0008,0005) (0008,0050) (0008,0052) (0008,0201) (0010,2110) (0010,21C0)"; got != strings.ToUpper(want) && !strings.EqualFold(got, want) {
		t.Error(got)
	}
	if e := r.sets[0].Find(dataset.PregnancyStatus); len(e.Value) != 0 {
		t.Error("pregnancy status has a value")
	}
}

// D36: several values are any of; wildcards are tolerated; an alias is answered
// as it was asked.
func TestD36Modality(t *testing.T) {
	ct := dog(2)
	ct.Steps[0].Stations = []string{"CT"}
	c := newClinic(t, machines(), dog(1), ct)
	for _, tt := range []struct{ title, key, want, code string }{
		{"DR1", "DX", "1001", "DX"},
		{"DR1", "dx", "1001", "DX"},
		{"DR1", `DX\CR`, "1001", "DX"},
		{"DR1", "CR", "1001", "CR"},
		{"DR1", "C*", "1001", "CR"},
		{"DR1", "D?", "1001", "DX"},
		{"DR1", "*", "1001", "DX"},
		{"DR1", `\DX`, "1001", "DX"},
		{"DR1", "CT", "", ""},
		{"DR1", `US\MR`, "", ""},
		{"CT1", "C*", "1002", "CT"},
		{"US1", "DX", "1001", "DX"},
		{"US1", "", "1001", "DX"},
		{"US1", "US", "", ""},
	} {
		r := c.ask(tt.title, keys(t, dataset.ImplicitLE, dataset.UTF8, "AccessionNumber", "step:Modality="+tt.key))
		if r.accessions() != tt.want {
			t.Errorf("%s asks for %q: %q", tt.title, tt.key, r.accessions())
		} else if tt.want != "" && step(r.sets[0]).String(dataset.Modality) != tt.code {
			t.Errorf("%s asks for %q: answered as %q", tt.title, tt.key, step(r.sets[0]).String(dataset.Modality))
		}
	}
}

// D37: every form of a date and a time.
func TestD37DateForms(t *testing.T) {
	c := newClinic(t, machines(),
		at(dog(1), 2026, 11, 21, 9, 0), at(dog(2), 2026, 11, 22, 9, 0), at(dog(3), 2026, 11, 23, 17, 30))
	for _, tt := range []struct{ date, time, want string }{
		{"20261122", "", "1002"},
		{"20261122 ", "", "1002"},
		{"20261122\x00", "", "1002"},
		{"2026.11.22", "", "1002"},
		{"20261122-", "", "1002 1003"},
		{"-20261122", "", "1001 1002"},
		{"20261122-20261122", "", "1002"},
		{"20261121-20261123 ", "", "1001 1002 1003"},
		{"-", "", "1001 1002 1003"},
		{"*", "", "1001 1002 1003"},
		{"", "", "1001 1002 1003"},
		{`20261121\20261123`, "", "1001 1003"},
		{"20261123-20261121", "", ""},
		{"20261131", "", ""},
		{"tomorrow", "", ""},
		{"", "09", "1001 1002"},
		{"", "0900", "1001 1002"},
		{"", "090000", "1001 1002"},
		{"", "090000.000", "1001 1002"},
		{"", "09:00", "1001 1002"},
		{"", "-0900 ", "1001 1002"},
		{"", "0901-", "1003"},
		{"", "1730-1730\x00", "1003"},
		{"", "-", "1001 1002 1003"},
		{"", "1800-0800", ""},
		{"20261122", "0800-1000", "1002"},
		{"20261122", "1000-1200", ""},
	} {
		got := c.find("DR1", "step:ScheduledProcedureStepStartDate="+tt.date, "step:ScheduledProcedureStepStartTime="+tt.time)
		if got != tt.want {
			t.Errorf("date %q time %q: %q, want %q", tt.date, tt.time, got, tt.want)
		}
	}
	c.find("DR1", "step:ScheduledProcedureStepStartDate=20261123-20261121")
	if ex, n := c.last().Excluded(); n != 3 || !strings.Contains(ex[0].Reason, "ends before it begins") {
		t.Error(ex)
	}
}

// D38: a range of dates and one of times are one interval.
func TestD38Interval(t *testing.T) {
	c := newClinic(t, machines(),
		at(dog(1), 2026, 7, 5, 9, 0), at(dog(2), 2026, 7, 5, 10, 0), at(dog(3), 2026, 7, 6, 3, 0),
		at(dog(4), 2026, 7, 7, 18, 0), at(dog(5), 2026, 7, 7, 18, 1))
	for times, want := range map[string]string{
		"1000-1800": "1002 1003 1004", "1800-1000": "1003", "1000-": "1002 1003 1004 1005", "-1000": "1001 1002 1003",
	} {
		got := c.find("DR1", "step:ScheduledProcedureStepStartDate=20260705-20260707", "step:ScheduledProcedureStepStartTime="+times)
		if got != want {
			t.Errorf("%s: %q, want %q", times, got, want)
		}
	}
}

// D39: an order without a scheduled time is of today.
func TestD39Floating(t *testing.T) {
	old := dog(1)
	old.CreatedAt = noon.AddDate(0, 0, -3)
	c := newClinic(t, machines(), dog(3), old, at(dog(2), 2026, 11, 22, 8, 0))
	r := c.ask("DR1", keys(t, dataset.ImplicitLE, dataset.UTF8, "AccessionNumber",
		"step:ScheduledProcedureStepStartDate=20261122", "step:ScheduledProcedureStepStartTime=000000-235959"))
	if r.accessions() != "1001 1002 1003" {
		t.Fatal(r.accessions())
	}
	for i, want := range []string{"20261122 000000", "20261122 080000", "20261122 100000"} {
		s := step(r.sets[i])
		if got := s.String(dataset.ScheduledProcedureStepStartDate) + " " + s.String(dataset.ScheduledProcedureStepStartTime); got != want {
			t.Errorf("%d: %s, want %s", i, got, want)
		}
	}
	if got := c.find("DR1", "step:ScheduledProcedureStepStartDate=20261121"); got != "" {
		t.Error("yesterday:", got)
	}
	c.at(noon.AddDate(0, 0, 1))
	if got := c.find("DR1", "step:ScheduledProcedureStepStartDate=20261123"); got != "1001 1003" {
		t.Error("the next day:", got)
	}
	if got := c.find("DR1"); got != "1002 1001 1003" {
		t.Error("all, the next day:", got)
	}
}

// D40: days are those of the clinic, whatever the server's zone, at midnight and
// at both clock changes.
func TestD40Zone(t *testing.T) {
	late, early := dog(1), dog(2)
	late.Content.ScheduledAt = time.Date(2026, 11, 22, 21, 59, 0, 0, time.UTC) // 23:59 in Helsinki
	early.Content.ScheduledAt = time.Date(2026, 11, 22, 22, 0, 0, 0, time.UTC) // 00:00 on the 23rd
	spring := at(dog(3), 2026, 3, 29, 4, 30)                                   // 03:00 becomes 04:00
	autumn1, autumn2 := dog(4), dog(5)
	autumn1.Content.ScheduledAt = time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC) // 03:30 summer time
	autumn2.Content.ScheduledAt = time.Date(2026, 10, 25, 1, 30, 0, 0, time.UTC) // 03:30 winter time
	c := newClinic(t, machines(), late, early, spring, autumn1, autumn2)
	for _, tt := range []struct{ keys, want string }{
		{"step:ScheduledProcedureStepStartDate=20261122", "1001"},
		{"step:ScheduledProcedureStepStartDate=20261123", "1002"},
		{"step:ScheduledProcedureStepStartDate=20260329 step:ScheduledProcedureStepStartTime=0430", "1003"},
		{"step:ScheduledProcedureStepStartDate=20261025 step:ScheduledProcedureStepStartTime=0330", "1004 1005"},
		{"TimezoneOffsetFromUTC=+0000 step:ScheduledProcedureStepStartDate=20261122", "1001 1002"},
		{"TimezoneOffsetFromUTC=-0800 step:ScheduledProcedureStepStartDate=20261122 step:ScheduledProcedureStepStartTime=1400", "1002"},
	} {
		if got := c.find("DR1", strings.Fields(tt.keys)...); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.keys, got, tt.want)
		}
	}
	floating := newClinic(t, machines(), dog(9))
	floating.at(time.Date(2026, 11, 22, 22, 0, 1, 0, time.UTC)) // one second into the 23rd
	if got := floating.find("DR1", "step:ScheduledProcedureStepStartDate=20261123"); got != "1009" {
		t.Error("after midnight:", got)
	}
}

// D41: names are found whatever their case, accents and character set.
func TestD41Names(t *testing.T) {
	c := newClinic(t, machines(), dog(1))
	for _, key := range []string{
		"müller*", "MULLER^*", "Müller^Bella^^", "Bella", "bella", "M?ller^b*", "*bella", "Müller", "Muller^Bella", "=Bella", "Müller^Bella=x",
	} {
		want := "1001"
		if strings.Contains(key, "=x") || strings.HasPrefix(key, "=") {
			continue // component groups are tested with the codec
		}
		for name, cs := range map[string]dataset.Charset{"UTF-8": dataset.UTF8, "Latin-1": dataset.Latin1} {
			if got := c.findIn(cs, "DR1", "PatientName="+key); got != want {
				t.Errorf("%q in %s: %q", key, name, got)
			}
			raw, _ := cs.Encode(key, dataset.PN)
			for _, claim := range []string{"", "ISO_IR 6", "ISO_IR 192", "ISO_IR 100", "ISO_IR 144", "nonsense"} {
				b := dataset.NewBuilder(dataset.ImplicitLE, cs).Raw(dataset.PatientName, dataset.PN, raw).Empty(dataset.AccessionNumber)
				if claim != "" {
					b.Raw(dataset.SpecificCharacterSet, dataset.CS, []byte(claim))
				}
				id, err := b.Bytes()
				if err != nil {
					t.Fatal(err)
				}
				if got := c.ask("DR1", id).accessions(); got != want {
					t.Errorf("%q in %s said to be %q: %q", key, name, claim, got)
				}
			}
		}
	}
	for _, key := range []string{"Muell*", "Bell", "ella", "Anna", "Bella^Müller"} {
		if got := c.find("DR1", "PatientName="+key); got != "" {
			t.Errorf("%q found %q", key, got)
		}
	}
	for keys, want := range map[string]string{
		"ReferringPhysicianName=vet^vera": "1001", "RequestingPhysician=Quester*": "1001", "ResponsiblePerson=müller^anna": "1001",
		"step:ScheduledPerformingPhysicianName=Vet*": "", "ReferringPhysicianName=Quester": "",
	} {
		if got := c.find("DR1", keys); got != want {
			t.Errorf("%s: %q", keys, got)
		}
	}
}

// D42: keys made to be slow are not.
func TestD42HostileWildcards(t *testing.T) {
	c := newClinic(t, machines(), many(10_000)...)
	for name, key := range map[string]string{
		"1,000 characters": strings.Repeat("a*", 499) + "b", "64 KiB": strings.Repeat("a*", 32<<10-1) + "b", "question marks": strings.Repeat("?*", 500),
	} {
		began := time.Now()
		for _, tag := range []string{"AccessionNumber", "PatientID", "PatientName", "PatientSpeciesDescription"} {
			if got := c.find("DR1", tag+"="+key); got != "" {
				t.Errorf("%s %s: found something", tag, name)
			}
		}
		t.Logf("%s: %v for four queries", name, time.Since(began))
	}
}

// D43: the station key.
func TestD43StationKey(t *testing.T) {
	ms := machines()
	ignoring := Machine{Name: "Old CR", AETitle: "CR9", Code: "CR", StationKey: StationIgnore}
	ms = append(ms, ignoring)
	ct, both, cr := dog(2), dog(3), dog(4)
	ct.Steps[0].Stations = []string{"CT"}
	both.Steps[0].Stations = []string{"X-ray room 1", "Ultrasound"}
	cr.Steps[0].Stations = []string{"Old CR"}
	c := newClinic(t, ms, dog(1), ct, both, cr)
	for _, tt := range []struct{ title, key, want, titles string }{
		{"DR1", "", "1001 1003", "DR1 DR1"},
		{"DR1", "*", "1001 1003", "DR1 DR1"},
		{"DR1", "DR1", "1001 1003", "DR1 DR1"},
		{"DR1", "dr1", "1001 1003", "DR1 DR1"},
		{"DR1", "DR*", "1001 1003", "DR1 DR1"},
		{"DR1", "DR1_OLD", "1001 1003", "DR1_OLD DR1_OLD"},
		{"DR1_OLD", "DR1_OLD", "1001 1003", "DR1_OLD DR1_OLD"},
		{"DR1", "CT1", "", ""},
		{"DR1", "NOSUCH", "", ""},
		{"DR1", `NOSUCH\DR1`, "1001 1003", "DR1 DR1"},
		{"US1", "", "1001 1003", "DR1 US1"},
		{"US1", "US1", "1001 1003", "US1 US1"},
		{"US1", "DR1", "1001 1003", "DR1 DR1"},
		{"US1", "CT1", "", ""},
		{"CR9", "WRONG", "1004", "WRONG"},
		{"CR9", "", "1004", "CR9"},
	} {
		r := c.ask(tt.title, keys(t, dataset.ImplicitLE, dataset.UTF8, "AccessionNumber", "step:ScheduledStationAETitle="+tt.key))
		if r.accessions() != tt.want {
			t.Errorf("%s asks for %q: %q, want %q", tt.title, tt.key, r.accessions(), tt.want)
			continue
		}
		var titles []string
		for _, s := range r.sets {
			titles = append(titles, step(s).String(dataset.ScheduledStationAETitle))
		}
		if got := strings.Join(titles, " "); got != tt.titles {
			t.Errorf("%s asks for %q: answered as %q, want %q", tt.title, tt.key, got, tt.titles)
		}
	}
	c.find("DR1", "step:ScheduledStationAETitle=NOSUCH")
	if ex, n := c.last().Excluded(); n != 2 || ex[0].Key != "ScheduledStationAETitle" {
		t.Error(ex, n)
	}
}

// D44: scope comes before keys.
func TestD44Scope(t *testing.T) {
	ct := dog(2)
	ct.Steps[0].Stations = []string{"CT"}
	nowhere := dog(3)
	nowhere.Steps[0].Stations = nil
	c := newClinic(t, machines(), dog(1), ct, nowhere)
	for _, k := range []string{"AccessionNumber=1002", "PatientID=4702", "StudyInstanceUID=2.25.900002", "step:ScheduledProcedureStepID=1002", "AccessionNumber=1003"} {
		if got := c.find("DR1", k); got != "" {
			t.Errorf("%s: %q", k, got)
		}
	}
	if got := c.find("NOBODY"); got != "" {
		t.Error("a stranger:", got)
	}
}

func TestStatesOffered(t *testing.T) {
	var all []*order.Order
	for i, s := range order.States() {
		o := dog(int64(i + 1))
		o.State = s
		all = append(all, o)
	}
	running, done := dog(20), dog(21)
	running.State, running.Steps[0].State = order.InProgress, order.InProgress
	done.State = order.InProgress
	done.Steps = append(done.Steps, done.Steps[0])
	done.Steps[0].State = order.Completed
	done.Steps[1].ScheduledProcedureStepID = "1021-2"
	all = append(all, running, done)
	ms := machines()
	ms = append(ms, Machine{Name: "second", AETitle: "DR2", Code: "DX", Sees: []string{"X-ray room 1"}, Show: []order.State{order.Scheduled}})
	c := newClinic(t, ms, all...)
	got := c.find("DR1", "step:ScheduledProcedureStepStatus", "step:ScheduledProcedureStepID")
	if got != "1003 1004 1020 1021" { // scheduled, in_progress
		t.Error(got)
	}
	if got := c.find("DR1", "step:ScheduledProcedureStepStatus=STARTED"); got != "1020" {
		t.Error(got)
	}
	if got := c.find("DR2"); got != "1003 1004 1021" { // steps that are scheduled
		t.Error(got)
	}
	if got := c.find("DR1", "step:ScheduledProcedureStepID=1021"); got != "" {
		t.Error("a completed step is offered:", got)
	}
}

func TestOtherKeys(t *testing.T) {
	c := newClinic(t, machines(), dog(1), dog(2))
	for _, tt := range []struct{ key, want string }{
		{"AccessionNumber=1001", "1001"},
		{"AccessionNumber= 1001\x00", "1001"},
		{`AccessionNumber=1001\1002\77`, "1001 1002"},
		{"AccessionNumber=10?1", "1001"},
		{"AccessionNumber=*2", "1002"},
		{"PatientID=4701", "1001"},
		{"PatientID=47*", "1001 1002"},
		{"StudyInstanceUID=2.25.900001", "1001"},
		{`StudyInstanceUID=2.25.900001\2.25.900002`, "1001 1002"},
		{"StudyInstanceUID=2.25.9*", ""},
		{"RequestedProcedureID=1002", "1002"},
		{"step:ScheduledProcedureStepID=1002", "1002"},
		{"AdmissionID=c77", "1001 1002"},
		{"AdmissionID=C77", ""},
		{"PlacerOrderNumberImagingServiceRequest=1001", "1001"},
		{"FillerOrderNumberImagingServiceRequest=1001", ""},
		{"PatientBirthDate=20200229", "1001 1002"},
		{"PatientBirthDate=2020-", ""},
		{"PatientBirthDate=20200101-20201231", "1001 1002"},
		{"PatientBirthDate=20210101-", ""},
		{"PatientSex=F", "1001 1002"},
		{"PatientSex=M", ""},
		{"PatientSpeciesDescription=Canine", "1001 1002"},
		{"PatientBreedDescription=Lab*", "1001 1002"},
		{"step:ScheduledProcedureStepDescription=Abdomen*", "1001 1002"},
		{"step:ScheduledStationName=X-ray room 1", "1001 1002"},
		{"step:ScheduledStationName=CT", ""},
		{"step:ScheduledProcedureStepLocation=x", ""},
		{"RequestedProcedurePriority=ROUTINE", "1001 1002"},
		{"Allergies=nuts", "1001 1002"},
	} {
		if got := c.find("DR1", tt.key); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.key, got, tt.want)
		}
	}
}

// Several items of the sequence are alternatives.
func TestSeveralStepItems(t *testing.T) {
	ct := dog(2)
	ct.Steps[0].Stations = []string{"CT"}
	ms := machines()
	ms[0].Sees = []string{"CT"}
	c := newClinic(t, ms, dog(1), ct, dog(3))
	item := func(tag dataset.Tag, v string) *dataset.Builder {
		return dataset.NewBuilder(dataset.ImplicitLE, dataset.UTF8).Text(tag, v)
	}
	raw, err := dataset.NewBuilder(dataset.ImplicitLE, dataset.UTF8).Empty(dataset.AccessionNumber).
		Seq(dataset.ScheduledProcedureStepSequence, item(dataset.Modality, "CT"), item(dataset.ScheduledProcedureStepID, "1003")).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	r := c.ask("DR1", raw)
	if r.accessions() != "1002 1003" {
		t.Error(r.accessions())
	}
	if got := tags(step(r.sets[0])); len(got) != 2 {
		t.Error("one item with the keys of both:", got)
	}
}

func TestWindow(t *testing.T) {
	one, two := 1, 2
	ms := machines()
	ms[0].DaysBack, ms[0].DaysAhead = &one, &two
	old := dog(1)
	old.CreatedAt = noon.AddDate(0, -1, 0)
	c := newClinic(t, ms, old, at(dog(2), 2026, 11, 20, 9, 0), at(dog(3), 2026, 11, 21, 9, 0), at(dog(4), 2026, 11, 24, 9, 0), at(dog(5), 2026, 11, 25, 9, 0))
	if got := c.find("DR1"); got != "1003 1001 1004" {
		t.Error(got)
	}
	if ex, n := c.last().Excluded(); n != 2 || !strings.Contains(ex[0].Reason, "outside of the days") {
		t.Error(ex, n)
	}
	if got := c.find("DR1", "step:ScheduledProcedureStepStartDate=20261101-"); got != "1002 1003 1001 1004 1005" {
		t.Error(got)
	}
}

// many returns n orders over 60 days on twenty machines of which DR1 is the
// first.
func many(n int) []*order.Order {
	all := make([]*order.Order, n)
	for i := range all {
		o := dog(int64(i + 1))
		o.Content.Patient.Name = []string{"Bella", "Rex", "Aaaaaaaaaaaaaaaaaaaaaa", "Luna"}[i%4]
		all[i] = at(o, 2026, 11, 22, 8, i%60)
		all[i].Content.ScheduledAt = all[i].Content.ScheduledAt.AddDate(0, 0, i%60-30)
	}
	return all
}

func TestOrderOfAnswers(t *testing.T) {
	var all []*order.Order
	for i := range 200 {
		o := dog(int64(i + 1))
		switch i % 3 {
		case 0:
			at(o, 2026, 11, 18+i%9, i%24, i%60)
		case 1:
			o.CreatedAt = noon.Add(-time.Duration(i) * time.Minute)
		default:
			o.CreatedAt = noon.AddDate(0, 0, -i%5-1)
		}
		o.Steps[0].Stations = []string{[]string{"X-ray room 1", "Ultrasound"}[i%2]}
		if i%7 == 0 {
			o.Steps[0].Stations = []string{"X-ray room 1", "Ultrasound"}
		}
		all = append(all, o)
	}
	c := newClinic(t, machines(), all...)
	r := c.ask("US1", keys(t, dataset.ImplicitLE, dataset.UTF8, "AccessionNumber", "step:ScheduledProcedureStepStartDate", "step:ScheduledProcedureStepStartTime"))
	if len(r.sets) != 200 {
		t.Fatal(len(r.sets))
	}
	var got []string
	for _, s := range r.sets {
		got = append(got, step(s).String(dataset.ScheduledProcedureStepStartDate)+step(s).String(dataset.ScheduledProcedureStepStartTime)+s.String(dataset.AccessionNumber))
	}
	if !slices.IsSorted(got) {
		t.Error("answers are out of order")
	}
}
