package provet_test

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/provet"
)

func TestImportSchema(t *testing.T) {
	f, err := os.Open("testdata/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rep, err := provet.DefaultFields().ImportSchema(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		res, field string
		verdict    provet.Verdict
		name       string
	}{
		{"worklist", "patient", provet.Mapped, "patient"},
		{"worklist", "modality", provet.Mapped, "modality"},
		{"worklist", "modified", provet.Mapped, "modified"},
		{"worklist", "status", provet.Proposed, "imaging_status"},
		{"worklist", "client", provet.Proposed, "customer"},
		{"worklist", "supervising_veterinarian", provet.Ambiguous, ""},
		{"worklist", "department", provet.Unmapped, ""},
		{"referral", "remarks", provet.Mapped, "remarks"},
		{"referral", "consultation", provet.Mapped, "consultation"},
		{"modality", "name", provet.Mapped, "name"},
	} {
		got := rep.Field(tc.res, tc.field)
		if got == nil || got.Verdict != tc.verdict || got.Name != tc.name {
			t.Errorf("%s.%s: %+v", tc.res, tc.field, got)
		}
	}
	want := []provet.Choice{{Value: "10", Label: "Tilattu"}, {Value: "20", Label: "Käynnissä"}, {Value: "30", Label: "Valmis"}, {Value: "90", Label: "Peruttu"}}
	if len(rep.Status.Choices) != 4 || !rep.Status.Numeric {
		t.Fatalf("status: %+v", rep.Status)
	}
	for i, ch := range rep.Status.Choices {
		if ch != want[i] {
			t.Errorf("choice %+v, want %+v", ch, want[i])
		}
	}
	states := map[order.State]string{}
	for _, p := range rep.Status.Proposals {
		states[p.State] = p.Choices[0].Value
	}
	if states[order.Completed] != "30" || states[order.Cancelled] != "90" || states[order.InProgress] != "20" || states[order.Scheduled] != "10" {
		t.Errorf("proposals: %v", states)
	}
	if len(rep.Needed()) != 1 || rep.Needed()[0].Problem().Code != problem.ProvetField {
		t.Errorf("needed: %v", rep.Needed())
	}
	// What is rendered is TOML, and applies nothing that needs a person.
	var parsed struct {
		Provet struct {
			Fields map[string]map[string]string
			Status map[string]string
		}
	}
	if err := toml.Unmarshal([]byte(rep.TOML()), &parsed); err != nil {
		t.Fatalf("%v in\n%s", err, rep.TOML())
	}
	if parsed.Provet.Fields["worklist"]["patient"] != "patient" || parsed.Provet.Fields["worklist"]["status"] != "" || len(parsed.Provet.Status) != 0 {
		t.Errorf("%+v", parsed)
	}
}

func TestImportSchemaRefuses(t *testing.T) {
	for name, r := range map[string]io.Reader{
		"empty":       strings.NewReader(""),
		"not JSON":    strings.NewReader("openapi: 3.0.3"),
		"list":        strings.NewReader("[]"),
		"no schemas":  strings.NewReader(`{"openapi":"3.0.3","components":{}}`),
		"other":       strings.NewReader(`{"components":{"schemas":{"Cat":{"type":"object"}}}}`),
		"cut":         strings.NewReader(`{"components":{"schemas":{"Modality":{"type":"obj`),
		"too large":   io.MultiReader(strings.NewReader(`{"x":"`), bytes.NewReader(bytes.Repeat([]byte("x"), 17<<20))),
		"deep":        strings.NewReader(`{"x":` + strings.Repeat("[", 200000)),
		"wrong types": strings.NewReader(`{"components":{"schemas":7}}`),
	} {
		_, err := provet.DefaultFields().ImportSchema(r)
		if p := problem.Of(err); p == nil || p.Code != problem.FileUnusable {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// References that multiply do not keep us busy.
func TestImportSchemaBomb(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"components":{"schemas":{"DiagnosticimagingWorklist":{"allOf":[` + strings.Repeat(`{"$ref":"#/components/schemas/A"},`, 19) + `{}]}`)
	b.WriteString(`,"A":{"allOf":[` + strings.Repeat(`{"$ref":"#/components/schemas/DiagnosticimagingWorklist"},`, 19) + `{}],"properties":{"status":{"oneOf":[`)
	b.WriteString(strings.Repeat(`{"$ref":"#/components/schemas/B"},`, 19) + `{}]}}},"B":{"anyOf":[` + strings.Repeat(`{"$ref":"#/components/schemas/B"},`, 19) + `{}]}}}}`)
	if _, err := provet.DefaultFields().ImportSchema(strings.NewReader(b.String())); err != nil {
		t.Fatal(err)
	}
}

// A client that knows the choices shows their labels.
func TestImportedLabels(t *testing.T) {
	f, err := os.Open("testdata/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, _ := scripted(t, answers(map[string]string{"diagnosticimaging_worklist/7/": `{"imaging_status":30,"referral":null}`}),
		func(c *provet.Config) { c.Fields = provet.Fields{"worklist": {"status": {"imaging_status"}}} })
	rep, err := c.ImportSchema(f)
	if err != nil {
		t.Fatal(err)
	}
	if got := rep.Fields(true)["worklist"]["status"]; len(got) != 1 || got[0] != "imaging_status" {
		t.Error(got)
	}
	up, err := c.Order(t.Context(), "7")
	if err != nil || up.Status != "30" || up.StatusLabel != "Valmis" {
		t.Errorf("%+v, %v", up, err)
	}
}
