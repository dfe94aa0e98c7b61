package order

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func content() Content {
	return Content{
		Patient:    Patient{ID: "4711", Name: "Bella", Species: "Dog", Sex: Female, Neutered: Altered, WeightKG: 31.5},
		Owner:      Owner{ID: "12", FirstName: "Aino", LastName: "Virtanen"},
		Modalities: []Ref{{ID: "3", Name: "X-ray"}},
	}
}

func TestHashSeesEveryChange(t *testing.T) {
	base := content().Hash()
	for name, change := range map[string]func(*Content){
		"patient name": func(c *Content) { c.Patient.Name = "Luna" },
		"owner":        func(c *Content) { c.Owner.LastName = "Korhonen" },
		"modality":     func(c *Content) { c.Modalities[0].ID = "4" },
		"target area":  func(c *Content) { c.TargetAreas = []Ref{{ID: "1"}} },
		"remarks":      func(c *Content) { c.Remarks = "left fore" },
		"time":         func(c *Content) { c.ScheduledAt = time.Unix(1, 0) },
		"weight":       func(c *Content) { c.Patient.WeightKG = 32 },
		"merged":       func(c *Content) { c.UpstreamPatient = "4712" },
	} {
		c := content()
		change(&c)
		if c.Hash() == base {
			t.Errorf("%s: the hash did not change", name)
		}
	}
}

func TestHashIgnoresHowItWasRead(t *testing.T) {
	a, b := content(), content()
	a.ScheduledAt = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	b.ScheduledAt = a.ScheduledAt.In(time.FixedZone("", 7200))
	b.Missing = []string{"client: 403"}
	if a.Hash() != b.Hash() {
		t.Error("the same order has two hashes")
	}
	if len(b.Missing) != 1 {
		t.Error("Hash changed its receiver")
	}
}

func TestCloneIsDeep(t *testing.T) {
	o := &Order{Content: content(), Steps: []Step{{Stations: []string{"DR1"}}}, Holds: []Hold{{Code: "RH-201"}}, Notices: []Notice{{Code: "RH-206"}}}
	c := o.Clone()
	c.Content.Modalities[0].Name = "CT"
	c.Steps[0].Stations[0] = "CT1"
	c.Holds[0].Code, c.Notices[0].Code = "", ""
	if o.Content.Modalities[0].Name != "X-ray" || o.Steps[0].Stations[0] != "DR1" || o.Holds[0].Code == "" || o.Notices[0].Code == "" {
		t.Error("the clone shares memory with the order")
	}
}

func TestLogsHoldNoPersonalData(t *testing.T) {
	c := content()
	o := &Order{AccessionNumber: "1001", Content: c}
	var buf bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&buf, nil))
	log.Info("x", "order", o, "content", c, "patient", c.Patient, "owner", c.Owner, "person", Person{LastName: "Virtanen"})
	for _, s := range []string{"Bella", "Virtanen", "Aino"} {
		if strings.Contains(buf.String(), s) {
			t.Errorf("%q is in the log: %s", s, buf.String())
		}
	}
	if !strings.Contains(buf.String(), "1001") {
		t.Error("the accession number is not in the log")
	}
}

func TestStations(t *testing.T) {
	o := &Order{Steps: []Step{{ScheduledProcedureStepID: "1", Stations: []string{"DR2", "DR1"}}, {ScheduledProcedureStepID: "2", Stations: []string{"DR1"}}}}
	if got := strings.Join(o.Stations(), " "); got != "DR1 DR2" {
		t.Errorf("Stations() = %q", got)
	}
	if o.Step("2") != &o.Steps[1] || o.Step("3") != nil {
		t.Error("Step finds the wrong step")
	}
}

func TestOwnerNames(t *testing.T) {
	for _, c := range []struct {
		o               Owner
		family, display string
	}{
		{Owner{FirstName: "Aino", LastName: "Virtanen"}, "Virtanen", "Virtanen Aino"},
		{Owner{Organization: "Riverside Stables"}, "Riverside Stables", "Riverside Stables"},
		{Owner{}, "", ""},
	} {
		if c.o.FamilyName() != c.family || c.o.DisplayName() != c.display {
			t.Errorf("%+v: %q, %q", c.o, c.o.FamilyName(), c.o.DisplayName())
		}
	}
}
