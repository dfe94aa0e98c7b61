package orders

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/hl7"
)

var update = flag.Bool("update", false, "rewrite the golden files and the tables of INTERFACE.md")

var berlin = time.FixedZone("CET", 3600)

// fullOrder is an order in which everything is known.
func fullOrder() *order.Order {
	return &order.Order{
		ID: 7, ProvetID: "4711", AccessionNumber: "RH0000000042", RequestedProcedureID: "RP0000000042",
		StudyInstanceUID: "2.25.329800735698586629295641978511506172918", State: order.Scheduled,
		Steps: []order.Step{
			{ScheduledProcedureStepID: "SP0000000042", Modality: order.Ref{ID: "3", Name: "X-ray"}, Stations: []string{"room 2", "room 1", "unlisted"}, State: order.Scheduled},
		},
		Content: order.Content{
			Patient: order.Patient{
				ID: "1001", Name: "Bella & Söhne", Species: "Dog", SpeciesCode: "448771007", Breed: "Beagle", BreedCode: "132352001", Sex: order.Female,
				Neutered: order.Altered, BirthDate: "2020-02-29", WeightKG: 11.25, Microchip: "978101080000001", Alerts: "bites", Deceased: true,
			},
			Owner:          order.Owner{ID: "55", FirstName: "Ann", LastName: "Müller|Meyer", Organization: "Hof Sonne"},
			Modalities:     []order.Ref{{ID: "3", Name: "X-ray"}},
			TargetAreas:    []order.Ref{{ID: "1", Name: "Thorax"}, {ID: "2", Name: "Left elbow"}},
			Department:     order.Ref{ID: "9", Name: "Small animals"},
			RequestingUser: order.Person{ID: "u1", FirstName: "Rita", LastName: "Request", Title: "Dr"},
			Veterinarian:   order.Person{ID: "u2", FirstName: "Vera", LastName: "Vet"},
			ConsultationID: "c77", Ward: "W2", Complaint: "Coughing", Remarks: "Two views\nplease", Priority: "STAT",
			ScheduledAt: time.Date(2026, 11, 24, 9, 30, 0, 0, berlin), InternalNotes: "never to be sent",
		},
	}
}

// minimalOrder is one of which hardly anything is known.
func minimalOrder() *order.Order {
	o := fullOrder()
	o.Steps[0].Stations, o.Steps[0].Modality = nil, order.Ref{Name: "CT"}
	o.Content = order.Content{Patient: order.Patient{ID: "1001"}}
	return o
}

func testMeta() Meta {
	return Meta{
		ControlID: "RH00000000000000001", More: []string{"RH00000000000000002"}, At: time.Date(2026, 11, 24, 8, 15, 0, 0, berlin), Clinic: "Clinic",
		FillerOrderNumber: "F-99", NewStudyInstanceUID: "2.25.77", PreviousPatientID: "1000",
	}
}

func fullProfile(message, version string) *Profile {
	return &Profile{
		Name: "RIS", Message: message, Version: version, SendADT: true, PID35In231: true, SpeciesScheme: "SCT", BreedScheme: "VTSL", Zone: berlin,
		PatientAuthority: "PROVET", MicrochipAuthority: "CHIP", StationInOrder: true, Stations: map[string]string{"room 1": "XR1", "room 2": "XR2"},
		Modalities: map[string]string{"X-ray": "DX"}, ORC5OnNew: "SC",
	}
}

// goldenCase is one golden file.
type goldenCase struct {
	name    string
	profile *Profile
	trigger Trigger
	order   *order.Order
}

func goldenCases() []goldenCase {
	full := fullOrder
	with := func(p *Profile, f func(*Profile)) *Profile { f(p); return p }
	started := fullOrder()
	started.Steps[0].State = order.InProgress
	plain := fullProfile(ORM, "2.3.1")
	*plain = Profile{Name: "RIS", Zone: berlin}
	two := fullOrder()
	two.Steps = append(two.Steps, order.Step{ScheduledProcedureStepID: "SP0000000043", Modality: order.Ref{ID: "4", Name: "US"}, State: order.Scheduled})
	return []goldenCase{
		{"orm-231-new", fullProfile(ORM, "2.3.1"), New, full()},
		{"orm-231-new-plain", plain, New, full()},
		{"orm-231-new-minimal", plain, New, minimalOrder()},
		{"orm-231-new-latin1", with(fullProfile(ORM, "2.3.1"), func(p *Profile) { p.Charset = "8859/1" }), New, full()},
		{"orm-231-new-ascii", with(fullProfile(ORM, "2.3.1"), func(p *Profile) { p.Charset = "ASCII" }), New, full()},
		{"orm-24-new-registered", with(fullProfile(ORM, "2.4"), func(p *Profile) { p.RegisterFirst, p.Test = true, true }), New, full()},
		{"orm-24-change", fullProfile(ORM, "2.4"), Change, full()},
		{"orm-231-change-canw", with(fullProfile(ORM, "2.3.1"), func(p *Profile) { p.Update, p.NewUIDOnReplace = UpdateCA, true }), Change, full()},
		{"orm-231-change-rp", with(fullProfile(ORM, "2.3.1"), func(p *Profile) { p.Update = UpdateRP }), Change, full()},
		{"orm-231-cancel", fullProfile(ORM, "2.3.1"), Cancel, full()},
		{"orm-231-cancel-started", plain, Cancel, started},
		{"orm-231-discontinue", fullProfile(ORM, "2.3.1"), Discontinue, started},
		{"omg-251-new", fullProfile(OMG, "2.5.1"), New, full()},
		{"omg-251-cancel", fullProfile(OMG, "2.5.1"), Cancel, full()},
		{"omi-251-new", fullProfile(OMI, "2.5.1"), New, full()},
		{"omi-251-new-two-steps", fullProfile(OMI, "2.5.1"), New, two},
		{"omi-251-replace", with(fullProfile(OMI, "2.5.1"), func(p *Profile) { p.NewUIDOnReplace = true }), Replace, full()},
		{"adt-231-update", fullProfile(ORM, "2.3.1"), PatientUpdate, full()},
		{"adt-251-update", fullProfile(OMI, "2.5.1"), PatientUpdate, full()},
		{"adt-231-merge", fullProfile(ORM, "2.3.1"), Merge, full()},
	}
}

func TestGolden(t *testing.T) {
	for _, c := range goldenCases() {
		t.Run(c.name, func(t *testing.T) {
			out, err := Build(c.profile, c.trigger, c.order, nil, testMeta())
			if err != nil {
				t.Fatal(err)
			}
			again, err := Build(c.profile, c.trigger, c.order, nil, testMeta())
			if err != nil {
				t.Fatal(err)
			}
			for i, m := range out {
				if !bytes.Equal(m.Bytes, again[i].Bytes) {
					t.Error("the bytes differ from call to call")
				}
				if bytes.Contains(m.Bytes, []byte("never to be sent")) {
					t.Error("internal notes went out")
				}
				file := filepath.Join("testdata", c.name+".hl7")
				if len(out) > 1 {
					file = filepath.Join("testdata", c.name+"-"+string(m.Kind)+".hl7")
				}
				if *update {
					if err := os.WriteFile(file, m.Bytes, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(m.Bytes, want) {
					t.Errorf("%s:\n%s\nwant\n%s", file, readable(m.Bytes), readable(want))
				}
			}
		})
	}
}

func readable(b []byte) string { return strings.ReplaceAll(string(b), "\r", "\n") }

func build(t *testing.T, p *Profile, ev Trigger, o *order.Order) []*hl7.Message {
	t.Helper()
	out, err := Build(p, ev, o, nil, testMeta())
	if err != nil {
		t.Fatal(err)
	}
	var all []*hl7.Message
	for _, m := range out {
		parsed, err := hl7.Parse(m.Bytes, hl7.Options{Default: p.Charset})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, parsed)
	}
	return all
}

func TestFieldsOfTheOrder(t *testing.T) {
	orm := build(t, fullProfile(ORM, "2.3.1"), New, fullOrder())[0]
	omi := build(t, fullProfile(OMI, ""), New, fullOrder())[0]
	uid := fullOrder().StudyInstanceUID
	for _, c := range []struct {
		m        *hl7.Message
		at, want string
	}{
		{orm, "MSH-9.1", "ORM"},
		{orm, "MSH-18", "UNICODE UTF-8"},
		{orm, "PID-3[2].1", "978101080000001"},
		{orm, "PID-5.1", "Müller|Meyer"},
		{orm, "PID-5.2", "Bella & Söhne"},
		{orm, "PID-8.2", "Y"},
		{orm, "PID-35.3", "SCT"},
		{orm, "PID-2", ""},
		{orm, "PID-4", ""},
		{orm, "ORC-5", "SC"},
		{orm, "ORC-7.4", "20261124093000+0100"},
		{orm, "ORC-7.6", "S"},
		{orm, "ORC-18[2]", "XR2"},
		{orm, "OBR-4.5", "Thorax, Left elbow"},
		{orm, "OBR-18", "RH0000000042"},
		{orm, "OBR-19", "RP0000000042"},
		{orm, "OBR-20", "SP0000000042"},
		{orm, "OBR-24", "DX"},
		{orm, "NTE-3", "Two views\nplease"},
		{orm, "OBX-3.2", "Body Weight"},
		{orm, "OBX-5", "11.25"},
		{orm, "ZDS-1.1", uid},
		{orm, "ZDS-1.4", "DICOM"},
		{omi, "MSH-9.3", "OMI_O23"},
		{omi, "MSH-12", "2.5.1"},
		{omi, "TQ1-7", "20261124093000+0100"},
		{omi, "TQ1-9", "S"},
		{omi, "IPC-1", "RH0000000042"},
		{omi, "IPC-3", uid},
		{omi, "IPC-4", "SP0000000042"},
		{omi, "IPC-9[1]", "XR1"},
		{omi, "OBR-18", ""},
		{omi, "ORC-7.4", ""},
	} {
		if got := c.m.Get(c.at); got != c.want {
			t.Errorf("%s %s = %q, want %q", c.m.Type(), c.at, got, c.want)
		}
	}
}

func TestOrderControl(t *testing.T) {
	started, done := fullOrder(), fullOrder()
	started.Steps[0].State, done.Steps[0].State = order.InProgress, order.Completed
	ris, image := &Profile{Name: "RIS"}, &Profile{Name: "PACS", ORC5OnNew: "SC"}
	canw, rp := &Profile{Update: UpdateCA, NewUIDOnReplace: true}, &Profile{Update: UpdateRP}
	uid := fullOrder().StudyInstanceUID
	for name, c := range map[string]struct {
		p    *Profile
		ev   Trigger
		o    *order.Order
		want string // ORC-1 ORC-5 ZDS-1 of each message
		err  error
	}{
		"new to a RIS":              {ris, New, fullOrder(), "NW  " + uid, nil},
		"new to an image manager":   {image, New, fullOrder(), "NW SC " + uid, nil},
		"change":                    {image, Change, fullOrder(), "XO SC " + uid, nil},
		"change, started":           {image, Change, started, "XO SC " + uid, nil},
		"cancel":                    {image, Cancel, fullOrder(), "CA CA " + uid, nil},
		"cancel to a RIS":           {ris, Cancel, fullOrder(), "CA  " + uid, nil},
		"cancel after the start":    {image, Cancel, started, "DC CA " + uid, nil},
		"cancel after the end":      {image, Cancel, done, "", ErrPerformed},
		"cancel and new":            {canw, Change, fullOrder(), "CA  " + uid + ",NW  2.25.77", nil},
		"cancel and new, started":   {canw, Change, started, "", ErrStarted},
		"replace":                   {rp, Change, fullOrder(), "RP  " + uid, nil},
		"replace, performed":        {rp, Replace, done, "", ErrPerformed},
		"patient of a peer without": {ris, PatientUpdate, fullOrder(), "", ErrNotWanted},
	} {
		t.Run(name, func(t *testing.T) {
			if c.err != nil {
				if _, err := Build(c.p, c.ev, c.o, nil, testMeta()); !errors.Is(err, c.err) {
					t.Fatalf("err = %v, want %v", err, c.err)
				}
				return
			}
			var got []string
			for _, m := range build(t, c.p, c.ev, c.o) {
				got = append(got, m.Get("ORC-1")+" "+m.Get("ORC-5")+" "+m.Get("ZDS-1"))
			}
			if s := strings.Join(got, ","); s != c.want {
				t.Errorf("%s, want %s", s, c.want)
			}
		})
	}
}

func TestBuildRefuses(t *testing.T) {
	two := fullOrder()
	two.Steps = append(two.Steps, two.Steps[0])
	noID, noUID := fullOrder(), fullOrder()
	noID.Content.Patient.ID, noUID.StudyInstanceUID = " ", ""
	adt := &Profile{SendADT: true}
	for name, c := range map[string]struct {
		p    *Profile
		ev   Trigger
		o    *order.Order
		meta Meta
		want error
	}{
		"no control id":        {&Profile{}, New, fullOrder(), Meta{}, ErrControlID},
		"long control id":      {&Profile{}, New, fullOrder(), Meta{ControlID: strings.Repeat("1", 21)}, ErrControlID},
		"control id with bars": {&Profile{}, New, fullOrder(), Meta{ControlID: "a|b"}, ErrControlID},
		"too few control ids":  {&Profile{Update: UpdateCA}, Change, fullOrder(), Meta{ControlID: "1"}, ErrControlID},
		"two steps":            {&Profile{}, New, two, testMeta(), ErrNoStep},
		"no patient":           {&Profile{}, New, noID, testMeta(), ErrNoPatient},
		"no study":             {&Profile{}, New, noUID, testMeta(), ErrNoStudyUID},
		"no new study":         {&Profile{Update: UpdateCA, NewUIDOnReplace: true}, Change, fullOrder(), Meta{ControlID: "1", More: []string{"2"}}, ErrNoNewUID},
		"self merge":           {adt, Merge, fullOrder(), Meta{ControlID: "1", PreviousPatientID: "1001"}, ErrSelfMerge},
		"version":              {&Profile{Version: "2.2"}, New, fullOrder(), testMeta(), ErrProfile},
		"version of message":   {&Profile{Message: OMI, Version: "2.3.1"}, New, fullOrder(), testMeta(), ErrProfile},
		"charset":              {&Profile{Charset: "klingon"}, New, fullOrder(), testMeta(), ErrProfile},
		"condition":            {&Profile{CompletedWhen: []string{"OBR-25"}}, New, fullOrder(), testMeta(), ErrProfile},
	} {
		if _, err := Build(c.p, c.ev, c.o, nil, c.meta); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// What could not be written is noted, and the rest arrives.
func TestCharsets(t *testing.T) {
	o := fullOrder()
	o.Content.Owner.LastName, o.Content.Patient.Name = "Łącki Я", "日本ß"
	for _, charset := range []string{"UNICODE UTF-8", "8859/1", "ASCII"} {
		p := &Profile{Charset: charset}
		out, err := Build(p, New, o, nil, testMeta())
		if err != nil {
			t.Fatal(err)
		}
		if (len(out[0].Notes) == 0) != (charset == "UNICODE UTF-8") {
			t.Errorf("%s: notes %v", charset, out[0].Notes)
		}
		m, err := hl7.Parse(out[0].Bytes, hl7.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if charset == "UNICODE UTF-8" && m.Get("PID-5.2") != "日本ß" || m.Get("OBR-18") != o.AccessionNumber {
			t.Errorf("%s: PID-5.2 = %q", charset, m.Get("PID-5.2"))
		}
	}
}

// FuzzBuild: whatever the texts of an order are, they come back from the message.
func FuzzBuild(f *testing.F) {
	f.Add("Müller", "Bella", "a|b^c~d\\e&f", "\r\n\x00", uint8(0))
	f.Add("O'Neil", `""`, `\X0D\`, "\x0b\x1c", uint8(1))
	f.Add("\u05a3\u0610", "e\u0301|\u0338", "\u0301", "\u0338", uint8(0))
	f.Add("日本", "ß", "\u202e", "MSH|^~\\&|", uint8(2))
	f.Fuzz(func(t *testing.T, owner, name, complaint, remarks string, which uint8) {
		for _, s := range []*string{&owner, &name, &complaint, &remarks} {
			if !utf8.ValidString(*s) {
				return
			}
			*s = norm.NFC.String(*s) // as the texts of an order are
		}
		o := fullOrder()
		o.Content.Owner = order.Owner{LastName: owner}
		o.Content.Patient.Name, o.Content.Complaint, o.Content.Remarks = name, complaint, remarks
		p := fullProfile([]string{ORM, OMG, OMI}[which%3], "")
		out, err := Build(p, New, o, nil, testMeta())
		if err != nil {
			t.Fatal(err)
		}
		if bytes.ContainsAny(out[0].Bytes, "\x00\x0b\x1c\n") {
			t.Error("a control character went out")
		}
		m, err := hl7.Parse(out[0].Bytes, hl7.Options{})
		if err != nil {
			t.Fatal(err)
		}
		names := []string{}
		for _, s := range m.Segments("") {
			names = append(names, s.Name())
		}
		if n := len(m.Segments("ORC")); n != 1 || slices.Contains(names, "") {
			t.Errorf("segments %v", names)
		}
		for at, want := range map[string]string{"PID-5.1": owner, "PID-5.2": name, "NTE-3": remarks} {
			if got := m.Get(at); got != want {
				t.Errorf("%s = %q, want %q", at, got, want)
			}
		}
		if _, err := Read(p, m); err != nil {
			t.Error(err)
		}
	})
}
