package provetsim_test

import (
	"strings"
	"testing"

	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

func TestBaseURL(t *testing.T) {
	to := receive(t)
	for _, origin := range []string{"https://provet.example", "https://provet.example/", "https://provet.example/77", "https://provet.example/77/"} {
		c := open(t, provetsim.Config{ProvetID: "77", Delivery: quick})
		c.sim.SetBaseURL(origin)
		c.sim.RegisterImagingWebhooks(to.url)
		o := c.object(c.get("diagnosticimaging_worklist/"+itoa(c.sim.CreateOrder(provetsim.NewOrder{}))+"/"), 200)
		if o["patient"] != "https://provet.example/77/api/0.1/patient/5001/" || c.sim.URL() != "https://provet.example/77" {
			t.Errorf("%s: %v, %s", origin, o["patient"], c.sim.URL())
		}
		settle(t, c.sim)
	}
	for _, got := range to.all() {
		if !strings.HasSuffix(got, "&provet_id=77&provet_url=https%3A%2F%2Fprovet.example%2F77") {
			t.Error(got)
		}
	}
	if got := to.all(); len(got) != 8 {
		t.Errorf("%d webhooks", len(got))
	}
}

func TestRenamedFields(t *testing.T) {
	c := open(t, provetsim.Config{Names: map[string]map[string]string{"worklist": {"status": "phase"}, "patient": {"name": "called"}}})
	f := c.sim.RenamedFields()
	if len(f) != 2 || f["worklist"]["status"] != "phase" || f["patient"]["name"] != "called" || len(f["worklist"]) != 1 {
		t.Errorf("%v", f)
	}
	c.sim.CreateOrder(provetsim.NewOrder{})
	c.object(c.patch(order1, `{"phase": 3}`), 200)
	if r := c.patch(order1, `{"phase": 77}`); r.status != 400 || !strings.HasPrefix(string(r.body), `{"phase":`) {
		t.Errorf("%d %s", r.status, r.body)
	}
	c.object(c.patch(order1, `{"status": 3}`), 200) // no such field any more
	if v := c.sim.Violations(); len(v) != 1 || !strings.Contains(v[0].Reason, "status") {
		t.Errorf("%v", v)
	}
	m := c.object(c.get("patient/?called__is=Bello"), 200)
	if num(m["count"]) != "2" {
		t.Errorf("%v", m["count"])
	}
}

func TestListShapes(t *testing.T) {
	for shape, want := range map[provetsim.Shape]string{
		provetsim.ShapeID:          `"target_areas":[310,301]`,
		provetsim.ShapeIDString:    `"target_areas":["310","301"]`,
		provetsim.ShapeRelativeURL: `"target_areas":["/4321/api/0.1/targetarea/310/","/4321/api/0.1/targetarea/301/"]`,
		provetsim.ShapeIDObject:    `"target_areas":[{"id":310,"name":"Skull"},{"id":301,"name":"Thorax LL"}]`,
		provetsim.ShapeName:        `"target_areas":["Skull","Thorax LL"]`,
	} {
		c := open(t, provetsim.Config{Shapes: map[string]provetsim.Shape{"diagnosticimaging_worklist.target_areas": shape}})
		c.sim.CreateOrder(provetsim.NewOrder{TargetAreas: []string{"skull", "Thorax LL"}})
		if r := c.get(order1); !strings.Contains(string(r.body), want) {
			t.Errorf("shape %d: %s", shape, r.body)
		}
	}
}

func TestFieldTypesOfWrites(t *testing.T) {
	c := open(t, provetsim.Config{})
	c.object(c.patch("patient/5001/", `{"weight": 22.5, "archived": "true", "date_of_birth": "2019-01-01", "species_code": 7, "microchip": "1"}`), 200)
	p, _ := c.sim.Patient(5001)
	if p.Weight != 22.5 || !p.Archived || p.DateOfBirth != "2019-01-01" || p.SpeciesCode != 7 {
		t.Errorf("%+v", p)
	}
	for _, body := range []string{
		`{"weight": "NaN"}`, `{"weight": "heavy"}`, `{"archived": "perhaps"}`, `{"date_of_birth": "yesterday"}`, `{"species_code": 1.5}`,
		`{"name": ""}`, `{"client": ""}`, `{"archived": null}`,
	} {
		if r := c.patch("patient/5001/", body); r.status != 400 {
			t.Errorf("%s: %d %s", body, r.status, r.body)
		}
	}
	c.object(c.patch("client/101/", `{"lastname": "Koivu", "customer_type": 1}`), 200)
	if len(c.sim.Users()) != 4 {
		t.Errorf("%v", c.sim.Users())
	}
}

func TestResetRate(t *testing.T) {
	c := open(t, provetsim.Config{})
	c.sim.ResetRate(1, "client")
	if r := c.get("client/101/"); r.err == nil {
		t.Errorf("%d", r.status)
	}
	c.object(c.get("patient/5001/"), 200)
}
