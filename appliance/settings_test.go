package appliance

import (
	"testing"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/provet"
)

func TestSexOf(t *testing.T) {
	for text, want := range map[string]provet.SexMeaning{
		"M altered":   {Sex: order.Male, Neutered: order.Altered},
		"f unaltered": {Sex: order.Female, Neutered: order.Unaltered},
		"O":           {Sex: order.SexOther},
		"altered":     {Neutered: order.Altered},
		"":            {},
		"whatever":    {},
	} {
		if got := sexOf(text); got != want {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"192.168.1.10": "192.168.1.10/32", "192.168.1.0/24": "192.168.1.0/24", "::1": "::1/128", "::ffff:10.0.0.1": "10.0.0.1/32",
	} {
		if got, err := prefix(text); err != nil || got.String() != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if _, err := prefix("dr1.local"); err == nil {
		t.Error("a name is no address")
	}
}

func TestSettingsOfAMachine(t *testing.T) {
	f := config.Default()
	m := config.NewModality()
	m.Name, m.AETitle, m.Code, m.Serves, m.DoneWhen = "DR 1", "DR1", "DX", config.Names{"X-ray"}, config.Names{"mpps", "images"}
	m.MaxAnswers, m.DaysBack, m.DaysAhead = 0, -1, 3
	f.Modalities = append(f.Modalities, m)
	machines, err := machinesOf(f)
	if err != nil {
		t.Fatal(err)
	}
	x := machines[0]
	if x.MaxAnswers != -1 || x.DaysBack != nil || x.DaysAhead == nil || *x.DaysAhead != 3 {
		t.Errorf("%+v", x)
	}
	s := stationsOf(f, machines)[0]
	if s.Name != "DR 1" || len(s.DoneWhen) != 2 || s.DoneWhen[1] != order.Images || s.Check == nil {
		t.Errorf("%+v", s)
	}
	f.Provet.Departments = config.Names{"b", "a", "b"}
	one := scopeOf(f)
	f.Provet.Departments = config.Names{"a", "b"}
	if one != scopeOf(f) {
		t.Error("the order of the departments makes another filter")
	}
	f.Provet.Departments = nil
	if scopeOf(f) != "" {
		t.Error("no filter is the empty one")
	}
	f.Provet.Status = config.Status{Completed: "3"}
	if got := statusesOf(f); len(got) != 1 || got[order.Completed] != "3" {
		t.Errorf("%v", got)
	}
}
