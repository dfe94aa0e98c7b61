package provetsim_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"testing"

	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestRenamedChangesEverything(t *testing.T) {
	placeholders := map[string][]string{
		"worklist": {
			"status", "modality", "supervising_veterinarian", "requesting_user", "patient", "client",
			"target_areas", "referral", "department", "created", "modified",
		},
		"referral":   {"remarks", "internal_notes", "consultation", "appointment"},
		"modality":   {"name"},
		"targetarea": {"name"},
	}
	for seed := range int64(20) {
		c := open(t, provetsim.Renamed(provetsim.Config{}, seed))
		names := c.sim.FieldNames()
		for res, fields := range placeholders {
			for _, f := range fields {
				if n := names[res][f]; n == "" || n == f {
					t.Errorf("seed %d: %s.%s is still %q", seed, res, f, n)
				}
			}
		}
		was := map[string]bool{}
		for _, v := range provetsim.DefaultStatusChoices() {
			was[v.Text()] = true
		}
		for key, v := range c.sim.StatusValues() {
			if was[v] {
				t.Errorf("seed %d: status %s keeps the value %s", seed, key, v)
			}
		}
		id := c.sim.CreateOrder(provetsim.NewOrder{PatientID: 5004, TargetAreas: []string{"Skull"}, Remarks: "r"})
		o := c.object(c.get("diagnosticimaging_worklist/"+itoa(id)+"/"), 200)
		if len(o) != len(placeholders["worklist"])+2 {
			t.Errorf("seed %d: fields %v", seed, maps.Keys(o))
		}
		if p, ok := o[names["worklist"]["patient"]].(string); ok && p == c.url+"/api/0.1/patient/5004/" {
			t.Errorf("seed %d: patient is still an URL", seed)
		}
		if got := fmt.Sprint(o[names["worklist"]["status"]]); got != c.sim.StatusValue("new") {
			t.Errorf("seed %d: status %s, want %s", seed, got, c.sim.StatusValue("new"))
		}
		body, err := json.Marshal(map[string]string{names["worklist"]["status"]: c.sim.StatusValue("done")})
		if err != nil {
			t.Fatal(err)
		}
		c.object(c.patch("diagnosticimaging_worklist/"+itoa(id)+"/", string(body)), 200)
		if got := c.sim.Status(id); got != "done" || len(c.sim.Violations()) != 0 {
			t.Errorf("seed %d: status %s, violations %v", seed, got, c.sim.Violations())
		}
	}
}

func TestRenamedIsRepeatable(t *testing.T) {
	a, b := provetsim.New(provetsim.Renamed(provetsim.Config{}, 7)), provetsim.New(provetsim.Renamed(provetsim.Config{}, 7))
	ja, _ := json.Marshal(a.Mapping())
	jb, _ := json.Marshal(b.Mapping())
	if string(ja) != string(jb) {
		t.Errorf("%s\n%s", ja, jb)
	}
}

func TestRenamedKeepsTheBase(t *testing.T) {
	base := provetsim.Config{
		Names:  map[string]map[string]string{"worklist": {"status": "mine"}, "patient": {"name": "called"}},
		Shapes: map[string]provetsim.Shape{"worklist.patient": provetsim.ShapeID},
	}
	r := provetsim.Renamed(base, 1)
	if base.Names["worklist"]["status"] != "mine" || base.Shapes["worklist.patient"] != provetsim.ShapeID {
		t.Error("the base was changed")
	}
	if r.Names["patient"]["name"] != "called" || r.Shapes["worklist.patient"] == provetsim.ShapeID {
		t.Errorf("names %v, shapes %v", r.Names, r.Shapes)
	}
}

func TestShapes(t *testing.T) {
	for _, tc := range []struct {
		shape provetsim.Shape
		want  string // with the tenant's URL as %s
	}{
		{provetsim.ShapeURL, `"%s/api/0.1/modality/12/"`},
		{provetsim.ShapeID, `12`},
		{provetsim.ShapeIDString, `"12"`},
		{provetsim.ShapeRelativeURL, `"/4321/api/0.1/modality/12/"`},
		{provetsim.ShapeObject, `{"name":"CT","url":"%s/api/0.1/modality/12/"}`},
		{provetsim.ShapeIDObject, `{"id":12,"name":"CT"}`},
		{provetsim.ShapeName, `"CT"`},
	} {
		c := open(t, provetsim.Config{Shapes: map[string]provetsim.Shape{"worklist.modality": tc.shape}})
		id := c.sim.CreateOrder(provetsim.NewOrder{ModalityID: 12})
		o := c.object(c.get("diagnosticimaging_worklist/"+itoa(id)+"/"), 200)
		got, err := json.Marshal(o["modality"])
		if err != nil {
			t.Fatal(err)
		}
		want := tc.want
		if tc.shape == provetsim.ShapeURL || tc.shape == provetsim.ShapeObject {
			want = fmt.Sprintf(tc.want, c.url)
		}
		if string(got) != want {
			t.Errorf("shape %d: %s, want %s", tc.shape, got, want)
		}
	}
}

func TestHiddenAndNamedFields(t *testing.T) {
	c := open(t, provetsim.Config{
		Names:          map[string]map[string]string{"diagnosticimaging_worklist": {"referral": "-", "scheduled_at": "planned"}},
		ReferralSameID: true,
	})
	id := c.sim.CreateOrder(provetsim.NewOrder{Remarks: "same id"})
	o := c.object(c.get("diagnosticimaging_worklist/"+itoa(id)+"/"), 200)
	if _, ok := o["referral"]; ok {
		t.Error("referral is shown")
	}
	if _, ok := o["planned"]; !ok {
		t.Error("scheduled_at is not shown")
	}
	ref := c.object(c.get("diagnosticimaging_referral/"+itoa(id)+"/"), 200)
	if ref["remarks"] != "same id" {
		t.Error(ref)
	}
}
