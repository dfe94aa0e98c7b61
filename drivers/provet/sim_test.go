package provet_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

// tenants are the clinics every test of the suite runs against: the default
// names, and everything renamed, several times over.
func tenants() map[string]provetsim.Config {
	base := provetsim.Config{NoLimits: true, Seed: 1}
	out := map[string]provetsim.Config{"default names": base}
	for seed := range int64(8) {
		out[fmt.Sprintf("renamed %d", seed)] = provetsim.Renamed(base, seed)
	}
	for shape, name := range map[provetsim.Shape]string{
		provetsim.ShapeID: "ids", provetsim.ShapeIDString: "text ids", provetsim.ShapeObject: "objects",
		provetsim.ShapeIDObject: "objects with id", provetsim.ShapeRelativeURL: "relative URLs",
	} {
		c := base
		c.Shapes = map[string]provetsim.Shape{}
		for _, f := range []string{
			"worklist.patient", "worklist.client", "worklist.modality", "worklist.referral", "worklist.target_areas",
			"worklist.requesting_user", "worklist.supervising_veterinarian", "worklist.department",
			"referral.consultation", "referral.appointment", "consultation.client", "consultation.patients", "patient.client",
		} {
			c.Shapes[f] = shape
		}
		out[name] = c
	}
	c := base
	c.Datetimes, c.ReferralSameID = provetsim.DatetimeNaive, true
	c.Names = map[string]map[string]string{"worklist": {"referral": "-", "scheduled_at": "planned"}}
	out["no link, naive times"] = c
	return out
}

func TestSuite(t *testing.T) {
	for name, sc := range tenants() {
		t.Run(name, func(t *testing.T) {
			t.Run("order", func(t *testing.T) { suiteOrder(t, sc) })
			t.Run("status", func(t *testing.T) { suiteStatus(t, sc) })
			t.Run("changes", func(t *testing.T) { suiteChanges(t, sc) })
			t.Run("probe", func(t *testing.T) { suiteProbe(t, sc) })
		})
	}
}

func suiteOrder(t *testing.T, sc provetsim.Config) {
	c := openTenant(t, sc, func(c *provet.Config) { c.Zone = time.FixedZone("", 2*60*60) })
	at := time.Date(2026, 11, 25, 9, 30, 0, 0, time.UTC)
	id := c.sim.CreateOrder(provetsim.NewOrder{
		PatientID: 5004, ModalityID: 12, TargetAreas: []string{"Skull", "Thorax"},
		Remarks: "Lame since Tuesday", InternalNotes: "bites", AppointmentAt: at,
	})
	want, _ := c.sim.Order(id)
	p, ok := findPatient(c.sim, 5004)
	if !ok {
		t.Fatal("no patient 5004")
	}
	up, err := c.Client.Order(t.Context(), strconv.Itoa(id))
	if err != nil {
		t.Fatal(err)
	}
	got := up.Content
	if len(got.Missing) != 0 {
		t.Errorf("missing: %v", got.Missing)
	}
	if got.Patient.ID != "5004" || got.Patient.Name != p.Name || got.Patient.Species != p.Species || got.Patient.BirthDate != p.DateOfBirth {
		t.Errorf("patient %+v, want %+v", got.Patient, p)
	}
	if got.Patient.SpeciesCode != strconv.Itoa(p.SpeciesCode) || got.Patient.WeightKG != p.Weight || got.Patient.Sex == "" {
		t.Errorf("patient %+v, want %+v", got.Patient, p)
	}
	if got.Owner.ID != strconv.Itoa(want.ClientID) || got.Owner.DisplayName() == "" {
		t.Errorf("owner %+v", got.Owner)
	}
	if len(got.Modalities) != 1 || got.Modalities[0] != (order.Ref{ID: "12", Name: "CT"}) {
		t.Errorf("modalities %v", got.Modalities)
	}
	if len(got.TargetAreas) != 2 || got.TargetAreas[0].Name != "Skull" || got.TargetAreas[1].Name != "Thorax" {
		t.Errorf("target areas %v", got.TargetAreas)
	}
	if got.Remarks != "Lame since Tuesday" || got.InternalNotes != "bites" || got.ConsultationID != strconv.Itoa(want.ConsultationID) {
		t.Errorf("referral %+v", got)
	}
	if !got.ScheduledAt.Equal(at) || got.AppointmentID != strconv.Itoa(want.AppointmentID) {
		t.Errorf("scheduled at %v, appointment %s", got.ScheduledAt, got.AppointmentID)
	}
	if got.RequestingUser.LastName == "" || got.Veterinarian.LastName == "" || got.Department.Name == "" {
		t.Errorf("people %+v %+v, department %+v", got.RequestingUser, got.Veterinarian, got.Department)
	}
	if up.Status != c.sim.StatusValue("new") || up.Finished || up.Withdrawn || !up.InScope {
		t.Errorf("status %+v", up)
	}
	if d := up.Modified.Sub(want.Modified).Abs(); d > time.Second {
		t.Errorf("modified %v, want %v", up.Modified, want.Modified)
	}
	c.sim.SetStatus(id, "cancelled")
	if up, err = c.Client.Order(t.Context(), strconv.Itoa(id)); err != nil || !up.Withdrawn {
		t.Errorf("withdrawn: %v, %v", up.Withdrawn, err)
	}
	c.sim.DeleteOrder(id)
	if _, err = c.Client.Order(t.Context(), strconv.Itoa(id)); !errors.Is(err, provet.ErrGone) {
		t.Errorf("deleted: %v", err)
	}
}

func findPatient(s *provetsim.Sim, id int) (provetsim.Patient, bool) {
	for _, p := range s.Patients() {
		if p.ID == id {
			return p, true
		}
	}
	return provetsim.Patient{}, false
}

func suiteStatus(t *testing.T, sc provetsim.Config) {
	c := openTenant(t, sc, nil)
	id := c.sim.CreateOrder(provetsim.NewOrder{})
	sid := strconv.Itoa(id)
	for range 2 { // the second time nothing is written
		res, err := c.SetStatus(t.Context(), sid, order.Completed)
		if err != nil || res.To != c.sim.StatusValue("done") {
			t.Fatal(res, err)
		}
	}
	ps := c.sim.Patches()
	if len(ps) != 1 || len(ps[0].Fields) != 1 || c.sim.Status(id) != "done" || len(c.sim.Violations()) != 0 {
		t.Errorf("patches %v, status %s, violations %v", ps, c.sim.Status(id), c.sim.Violations())
	}
	if _, err := c.SetStatus(t.Context(), sid, order.Cancelled); !errors.Is(err, provet.ErrUnmapped) || c.MapsStatus(order.Cancelled) {
		t.Errorf("unmapped: %v", err)
	}
	up, err := c.Client.Order(t.Context(), sid)
	if err != nil || !up.Finished {
		t.Errorf("finished %v, %v", up.Finished, err)
	}
	c.sim.SetStatus(id, "cancelled")
	if _, err := c.SetStatus(t.Context(), sid, order.InProgress); !errors.Is(err, provet.ErrWithdrawn) || c.sim.Status(id) != "cancelled" {
		t.Errorf("withdrawn: %v, status %s", err, c.sim.Status(id))
	}
	if res, err := c.OverwriteStatus(t.Context(), sid, order.InProgress); err != nil || !res.Changed || c.sim.Status(id) != "in_progress" {
		t.Errorf("overwritten: %+v, %v, status %s", res, err, c.sim.Status(id))
	}
	c.sim.DeleteOrder(id)
	if _, err := c.SetStatus(t.Context(), sid, order.InProgress); !errors.Is(err, provet.ErrGone) {
		t.Errorf("gone: %v", err)
	}
}

func suiteChanges(t *testing.T, sc provetsim.Config) {
	c := openTenant(t, sc, func(c *provet.Config) { c.Zone = time.FixedZone("", 2*60*60) })
	old := time.Now().Add(-48 * time.Hour)
	var all []string
	for i := range 120 {
		all = append(all, strconv.Itoa(c.sim.CreateOrder(provetsim.NewOrder{Created: old.Add(time.Duration(i) * time.Second)})))
	}
	if got := collect(t, c, time.Time{}); !sameIDs(got, all) {
		t.Errorf("whole list: %d rows, want %d", len(got), len(all))
	}
	fresh := []string{strconv.Itoa(c.sim.CreateOrder(provetsim.NewOrder{}))}
	for _, id := range all[10:70] {
		n, _ := strconv.Atoi(id)
		c.sim.SetStatus(n, "in_progress")
		fresh = append(fresh, id)
	}
	if got := collect(t, c, time.Now().Add(-time.Hour)); !sameIDs(got, fresh) {
		t.Errorf("changes: %d rows, want %d", len(got), len(fresh))
	}
}

func collect(t *testing.T, c *tenant, since time.Time) []string {
	t.Helper()
	var ids []string
	err := c.Changed(t.Context(), since, func(r provet.Row) error { ids = append(ids, r.ID); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func sameIDs(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

func suiteProbe(t *testing.T, sc provetsim.Config) {
	c := openTenant(t, sc, nil)
	c.sim.CreateOrder(provetsim.NewOrder{Remarks: "x"})
	rep, err := c.Probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if need := rep.Needed(); len(need) != 0 {
		t.Errorf("needed: %v", need)
	}
	if len(rep.Status.Choices) != 6 || rep.Status.Field != c.sim.FieldNames()["worklist"]["status"] {
		t.Errorf("status %+v", rep.Status)
	}
	for _, p := range rep.Status.Proposals {
		if p.State == order.Completed && (len(p.Choices) != 1 || p.Choices[0].Value != c.sim.StatusValue("done")) {
			t.Errorf("completed is proposed as %v", p.Choices)
		}
	}
	if s := rep.TOML(); !strings.Contains(s, "[provet.fields.worklist]") || !strings.Contains(s, "# completed = ") {
		t.Error(s)
	}
	if s := rep.Text(); !strings.Contains(s, "reads like completed") {
		t.Error(s)
	}
}
