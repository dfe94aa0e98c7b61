package provetsim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

const order1 = "diagnosticimaging_worklist/70001/"

func TestPatchStatus(t *testing.T) {
	var seen []provetsim.Patch
	c := open(t, provetsim.Config{OnPatch: func(p provetsim.Patch) { seen = append(seen, p) }})
	id := c.sim.CreateOrder(provetsim.NewOrder{})
	before, _ := c.sim.Order(id)
	o := c.object(c.patch(order1, `{"status": 3}`), 200)
	after, _ := c.sim.Order(id)
	if num(o["status"]) != "3" || after.Status != "done" || !after.Modified.After(before.Modified) || o["referral"] == nil {
		t.Errorf("%v, %+v", o, after)
	}
	c.object(c.patch(order1, `{"status": "5"}`), 200) // Django REST Framework takes the text of a number
	c.object(c.do("PATCH", "/api/0.1/"+order1, "application/x-www-form-urlencoded", "status=3"), 200)
	var moves []string
	for _, p := range c.sim.Patches() {
		moves = append(moves, p.From+">"+p.To)
	}
	if got := strings.Join(moves, " "); got != "new>done done>cancelled cancelled>done" {
		t.Errorf("patches %s", got)
	}
	if len(seen) != 3 || seen[0].ID != id || seen[0].Fields["status"] == nil || len(c.sim.Violations()) != 0 {
		t.Errorf("seen %v, violations %v", seen, c.sim.Violations())
	}
}

func TestRefusedWrites(t *testing.T) {
	c := open(t, provetsim.Config{})
	c.sim.CreateOrder(provetsim.NewOrder{})
	for _, tc := range []struct {
		kind, body string
		status     int
		want       string
	}{
		{"application/json", `{"status": 9}`, 400, `{"status":["\"9\" is not a valid choice."]}`},
		{"application/json", `{"status": 3.0}`, 400, `is not a valid choice`},
		{"application/json", `{"status": true}`, 400, `is not a valid choice`},
		{"application/json", `{"status": null}`, 400, `This field may not be null.`},
		{"application/json", `{"status": {"a": 1}}`, 400, `{"status":`},
		{"application/json", `{"status": `, 400, `{"detail":"JSON parse error`},
		{"application/json", `{} {}`, 400, `{"detail":"JSON parse error`},
		{"application/json", `[1]`, 400, `Expected a dictionary, but got list.`},
		{"text/plain", `status=3`, 415, `{"detail":"Unsupported media type`},
		{"application/json", `{"patient": "http://elsewhere/4321/api/0.1/client/101/"}`, 400, `Incorrect URL match`},
		{"application/json", `{"patient": "/4321/api/0.1/patient/1/"}`, 400, `Object does not exist`},
		{"application/json", `{"patient": null}`, 400, `may not be null`},
		{"application/json", `{"target_areas": 7}`, 400, `{"target_areas":`},
		{"application/json", `{"target_areas": [[]]}`, 400, `Expected URL string, received list`},
		{"application/json", strings.Repeat(" ", 1<<20) + `{}`, 413, `{"detail":`},
	} {
		r := c.do("PATCH", "/api/0.1/"+order1, tc.kind, tc.body)
		if r.status != tc.status || !strings.Contains(string(r.body), tc.want) {
			t.Errorf("%.60s: %d %s", tc.body, r.status, r.body)
		}
	}
	if got := c.sim.Status(70001); got != "new" {
		t.Errorf("status %s", got)
	}
	if r := c.patch("diagnosticimaging_worklist/1/", `{"status": 3}`); r.status != 404 {
		t.Errorf("unknown order: %d", r.status)
	}
	if r := c.do("PUT", "/api/0.1/"+order1, "application/json", `{"status": 3}`); r.status != 400 ||
		!strings.Contains(string(r.body), `"patient":["This field is required."]`) {
		t.Errorf("PUT: %d %s", r.status, r.body)
	}
}

func TestViolations(t *testing.T) {
	c := open(t, provetsim.Config{})
	c.sim.CreateOrder(provetsim.NewOrder{})
	c.object(c.patch(order1, `{"status": 1}`), 200)
	if len(c.sim.Violations()) != 0 {
		t.Fatal(c.sim.Violations())
	}
	c.object(c.patch(order1, `{"status": 1, "patient": 5002}`), 200)
	c.object(c.patch(order1, `{"id": 4, "colour": "blue"}`), 200) // ignored, but recorded
	c.object(c.patch("diagnosticimaging_referral/40001/", `{"remarks": "mine now"}`), 200)
	c.do("DELETE", "/api/0.1/"+order1, "", "")
	var reasons []string
	for _, v := range c.sim.Violations() {
		reasons = append(reasons, v.Reason)
	}
	want := "fields other than the status: patient|fields other than the status: colour, id|fields other than the status: remarks|DELETE"
	if got := strings.Join(reasons, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	c.sim.ResetJournal()
	if len(c.sim.Violations())+len(c.sim.Patches())+len(c.sim.Requests()) != 0 {
		t.Error("not reset")
	}
}

func TestPostAndDelete(t *testing.T) {
	c := open(t, provetsim.Config{})
	r := c.do("POST", "/api/0.1/diagnosticimaging_worklist/", "application/json", `{"modality": 12}`)
	if r.status != 400 || string(r.body) != `{"patient":["This field is required."]}` {
		t.Errorf("%d %s", r.status, r.body)
	}
	o := c.object(c.do("POST", "/api/0.1/diagnosticimaging_worklist/", "application/json",
		`{"modality": "`+c.url+`/api/0.1/modality/12/", "patient": "`+c.url+`/api/0.1/patient/5007/", "target_areas": [301, 302]}`), 201)
	if num(o["id"]) != "70001" || num(o["status"]) != "0" || o["referral"] == nil || len(o["target_areas"].([]any)) != 2 {
		t.Errorf("%v", o)
	}
	if r := c.do("DELETE", "/api/0.1/"+order1, "", ""); r.status != 204 || len(r.body) != 0 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := c.do("DELETE", "/api/0.1/"+order1, "", ""); r.status != 404 {
		t.Errorf("twice: %d", r.status)
	}
	if id := c.sim.CreateOrder(provetsim.NewOrder{}); id != 70002 {
		t.Errorf("an id was used again: %d", id)
	}
}

func TestClinicChanges(t *testing.T) {
	c := open(t, provetsim.Config{})
	id := c.sim.CreateOrder(provetsim.NewOrder{PatientID: 5001})
	o, _ := c.sim.Order(id)
	c.sim.RenamePatient(5001, "Bello II")
	c.sim.RenameClient(101, "Koivu")
	c.sim.UpdatePatient(5001, func(p *provetsim.Patient) { p.Weight = 0; p.Deceased = "2026-01-02" })
	p := c.object(c.get("patient/5001/"), 200)
	if p["name"] != "Bello II" || p["weight"] != nil || p["deceased"] != "2026-01-02" || p["gender"] != "Castrated male" {
		t.Errorf("%v", p)
	}
	if cl := c.object(c.get("client/101/"), 200); cl["lastname"] != "Koivu" {
		t.Errorf("%v", cl)
	}
	if !c.sim.Delete("consultation", o.ConsultationID) || c.sim.Delete("consultation", o.ConsultationID) || c.sim.Delete("nothing", 1) {
		t.Error("Delete")
	}
	if r := c.get("consultation/" + itoa(o.ConsultationID) + "/"); r.status != 404 {
		t.Errorf("consultation: %d", r.status)
	}
	n := c.sim.AddPatient(provetsim.Patient{Name: "Ferdinand", ClientID: 106, Species: "Bull"})
	if p, ok := c.sim.Patient(n); !ok || p.Name != "Ferdinand" || p.ClientID != 106 {
		t.Errorf("%+v", p)
	}
	c.sim.Set("patient", n, map[string]any{"archived": true})
	if p, _ := c.sim.Patient(n); !p.Archived {
		t.Error("not archived")
	}
	// An order may name a patient that is gone.
	ghost := c.sim.CreateOrder(provetsim.NewOrder{PatientID: 1})
	g := c.object(c.get("diagnosticimaging_worklist/"+itoa(ghost)+"/?expose_patient"), 200)
	if g["patient"] != c.url+"/api/0.1/patient/1/" || g["client"] != nil {
		t.Errorf("%v", g)
	}
}

func TestOrderChanges(t *testing.T) {
	c := open(t, provetsim.Config{})
	at := time.Date(2026, 12, 24, 10, 0, 0, 0, time.UTC)
	id := c.sim.CreateOrder(provetsim.NewOrder{TargetAreas: []string{"Skull"}, VetID: -1, AppointmentAt: at, InternalNotes: "n"})
	o, _ := c.sim.Order(id)
	if o.VetID != 0 || o.AppointmentID == 0 || o.InternalNotes != "n" || o.Modality != "X-ray" {
		t.Errorf("%+v", o)
	}
	c.sim.UpdateOrder(id, func(o *provetsim.Order) {
		o.Modality, o.TargetAreas, o.PatientID, o.Status = "MRI", []string{"Tail"}, 5003, "no such status"
	})
	o, _ = c.sim.Order(id)
	if o.Modality != "MRI" || o.ModalityID != 15 || strings.Join(o.TargetAreas, ",") != "Tail" || o.PatientID != 5003 || o.Status != "new" {
		t.Errorf("%+v", o)
	}
	if c.sim.SetStatus(id, "no such status") || c.sim.SetStatus(1, "done") || !c.sim.SetStatus(id, "completed") {
		t.Error("SetStatus")
	}
	if c.sim.Status(id) != "done" || c.sim.Status(1) != "" {
		t.Error(c.sim.Status(id))
	}
	if !c.sim.DeleteOrder(id) || c.sim.DeleteOrder(id) || c.sim.UpdateOrder(id, func(*provetsim.Order) {}) {
		t.Error("DeleteOrder")
	}
}

func TestClinicIsRepeatable(t *testing.T) {
	make3 := func(seed int64) string {
		c := open(t, provetsim.Config{Seed: seed, ExtraPatients: 3, BaseURL: "http://provet.example"})
		for range 3 {
			o := c.sim.RandomOrder(nil)
			o.Created = time.Unix(1_700_000_000, 0)
			c.sim.CreateOrder(o)
		}
		return string(c.get("patient/?page_size=1000").body) + string(c.get("diagnosticimaging_worklist/").body)
	}
	if first, again := make3(1), make3(1); first != again {
		t.Error("the same seed gives another clinic")
	}
	if make3(1) == make3(2) {
		t.Error("another seed gives the same clinic")
	}
}

func TestWaitStatus(t *testing.T) {
	c := open(t, provetsim.Config{})
	id := c.sim.CreateOrder(provetsim.NewOrder{})
	done := make(chan error, 1)
	go func() { done <- c.sim.WaitStatus(t.Context(), id, "completed") }()
	c.object(c.patch(order1, `{"status": 2}`), 200)
	c.object(c.patch(order1, `{"status": 3}`), 200)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
