package mwl

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

func TestValidate(t *testing.T) {
	if got := Validate(machines()); got != nil {
		t.Fatal(got)
	}
	neg := -1
	bad := []Machine{
		{Name: "a", AETitle: "DR1", Code: "DX"},
		{
			Name: "a", AETitle: "dr1", Aliases: []string{`x\y`, "01234567890123456"}, CalledAliases: []string{""}, Addresses: []netip.Prefix{{}},
			Code: "dx", CodeAliases: []string{""}, Sees: []string{"nobody"}, StationKey: "maybe", Charset: "klingon", PatientName: "x",
			DaysBack: &neg, DaysAhead: &neg, Show: []order.State{order.Held}, TransferSyntax: "big endian",
			TextLimits: map[TextField]int{"shoe": 3}, SpeciesIn: []SpeciesField{"x"}, DropKeys: []dataset.Tag{dataset.SpecificCharacterSet},
			FixedKeys: map[dataset.Tag]string{dataset.PatientID: "1"},
		},
		{},
	}
	var fields []string
	for _, m := range Validate(bad) {
		if m.Detail == "" || !strings.Contains(m.String(), m.Field) {
			t.Error(m)
		}
		fields = append(fields, m.Field)
	}
	for _, f := range []string{
		"name", "ae_title", "ae_aliases", "called_aliases", "addresses", "code", "code_aliases", "sees", "station_key", "charset",
		"patient_name", "days_back", "days_ahead", "show", "transfer_syntax", "text_limits", "species_in", "drop_keys", "fixed_keys",
	} {
		if !slices.Contains(fields, f) {
			t.Errorf("%s is not reported", f)
		}
	}
	c := newClinic(t, bad, dog(1)) // works nevertheless
	c.ask("dr1", nil)
}

func TestCaller(t *testing.T) {
	ms := []Machine{
		{Name: "a", AETitle: "DR1", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::1/128")}},
		{Name: "b", AETitle: "DR2", Aliases: []string{"DR3"}},
	}
	for _, tt := range []struct {
		title, addr, want string
		ok                bool
	}{
		{"DR1", "192.0.2.9", "a", true},
		{"dr1 ", "::ffff:192.0.2.9", "a", true},
		{"DR1", "2001:db8::1", "a", true},
		{"DR1", "198.51.100.1", "a", false},
		{"DR3\x00", "198.51.100.1", "b", true},
		{"DR4", "192.0.2.9", "", false},
		{"", "192.0.2.9", "", false},
	} {
		m, ok := Caller(ms, tt.title, netip.MustParseAddr(tt.addr))
		if ok != tt.ok || (m == nil) != (tt.want == "") || m != nil && m.Name != tt.want {
			t.Errorf("%q from %s: %v %v", tt.title, tt.addr, m, ok)
		}
	}
}

func TestParseTag(t *testing.T) {
	for s, want := range map[string]dataset.Tag{
		"PatientComments": dataset.PatientComments, "(0010,4000)": dataset.PatientComments, "0010,4000": dataset.PatientComments, "00104000": dataset.PatientComments,
		"nonsense": 0, "": 0, "0010400": 0,
	} {
		if got, err := ParseTag(s); got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %v %v", s, got, err)
		}
	}
}

// The schema is in order and agrees with the dictionary; every key of the step
// that has a value is one of the step's keys.
func TestSchema(t *testing.T) {
	for i, a := range schema {
		if a.tag == 0 || dataset.VROf(a.tag) != a.vr {
			t.Errorf("%d: %s is %s", i, a.tag, dataset.VROf(a.tag))
		}
		if s, ok := slotOf(a.tag); !ok || int(s) != i {
			t.Errorf("%s is found at %d, not %d", a.tag, s, i)
		}
		if a.step != isStepKey(a.tag) {
			t.Errorf("%s: step %v", a.tag, a.step)
		}
	}
	if !slices.IsSorted(stepKeys[:]) {
		t.Error("keys of the step are out of order")
	}
}
