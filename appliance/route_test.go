package appliance

import (
	"slices"
	"testing"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
)

func TestServing(t *testing.T) {
	r := &routes{stations: []station{
		{Name: "DR1", Serves: []string{"X-ray", " "}},
		{Name: "DR2", Serves: []string{"12"}, Departments: []string{"Horses"}},
		{Name: "CT1", Serves: []string{"ct "}},
	}}
	for _, row := range []struct {
		m, d order.Ref
		want []string
	}{
		{order.Ref{ID: "12", Name: "x-RAY"}, order.Ref{Name: "horses"}, []string{"DR1", "DR2"}},
		{order.Ref{ID: "12", Name: "X-ray"}, order.Ref{Name: "cats"}, []string{"DR1"}},
		{order.Ref{ID: "12"}, order.Ref{}, nil},
		{order.Ref{Name: " CT"}, order.Ref{}, []string{"CT1"}},
		{order.Ref{}, order.Ref{Name: "horses"}, nil}, // nothing never matches nothing
	} {
		if got := r.serving(row.m, row.d); !slices.Equal(got, row.want) {
			t.Errorf("%v for %v: %v, want %v", row.m, row.d, got, row.want)
		}
	}
}

// Step ids are for life, and none is used twice.
func TestPlanKeepsSteps(t *testing.T) {
	r := &routes{stations: []station{{Name: "DR1", Serves: []string{"X-ray"}}, {Name: "CT1", Serves: []string{"CT"}}}}
	ref := func(id, name string) order.Ref { return order.Ref{ID: id, Name: name} }
	o := &order.Order{AccessionNumber: "1001", Content: order.Content{Modalities: []order.Ref{ref("1", "X-ray"), ref("2", "CT")}}}
	ids := func() (list []string) {
		for _, s := range o.Steps {
			list = append(list, s.ScheduledProcedureStepID)
		}
		return list
	}
	r.plan(o)
	if got := ids(); !slices.Equal(got, []string{"1001", "1001-2"}) {
		t.Fatal(got)
	}
	o.Content.Modalities = []order.Ref{ref("2", "CT renamed"), ref("1", "X-ray")}
	r.plan(o)
	if got := ids(); !slices.Equal(got, []string{"1001-2", "1001"}) {
		t.Errorf("after a change of order: %v", got)
	}
	o.Content.Modalities = []order.Ref{ref("1", "X-ray")}
	r.plan(o)
	if got := ids(); !slices.Equal(got, []string{"1001"}) {
		t.Errorf("after a removal: %v", got)
	}
	o.Steps[0].State = order.InProgress
	o.Content.Modalities = []order.Ref{ref("2", "CT")}
	r.plan(o)
	if got := ids(); len(got) != 2 || !slices.Contains(got, "1001") || o.Steps[1].State != order.InProgress {
		t.Errorf("a step that began went away: %v", got)
	}
	o.Content.Modalities = nil
	o.Steps = nil
	r.plan(o)
	if len(o.Steps) != 1 || len(o.Steps[0].Stations) != 0 {
		t.Errorf("an order without a modality: %+v", o.Steps)
	}
}

func TestHoldsSayWhatIsMissing(t *testing.T) {
	full := func(*order.Order) []order.Hold {
		return []order.Hold{{Code: string(problem.OrderInvalid), Field: "patient_id"}}
	}
	r := &routes{stations: []station{{Name: "DR1", Serves: []string{"X-ray"}}, {Name: "OLD", Serves: []string{"Dental"}, Check: full}}}
	for name, row := range map[string]struct {
		c     order.Content
		field string
		code  problem.Code
	}{
		"fine":                       {order.Content{Patient: order.Patient{ID: "1", Name: "B"}, Modalities: []order.Ref{{Name: "X-ray"}}}, "", ""},
		"owner only":                 {order.Content{Patient: order.Patient{ID: "1"}, Owner: order.Owner{LastName: "V"}, Modalities: []order.Ref{{Name: "X-ray"}}}, "", ""},
		"no patient":                 {order.Content{Patient: order.Patient{Name: "B"}, Modalities: []order.Ref{{Name: "X-ray"}}}, "patient_id", problem.OrderInvalid},
		"no name":                    {order.Content{Patient: order.Patient{ID: "1"}, Modalities: []order.Ref{{Name: "X-ray"}}}, "patient_name", problem.OrderInvalid},
		"no machine":                 {order.Content{Patient: order.Patient{ID: "1", Name: "B"}, Modalities: []order.Ref{{Name: "PET"}}}, "modality", problem.OrderUnmapped},
		"one of two":                 {order.Content{Patient: order.Patient{ID: "1", Name: "B"}, Modalities: []order.Ref{{Name: "PET"}, {Name: "X-ray"}}}, "", ""},
		"the machine cannot show it": {order.Content{Patient: order.Patient{ID: "1", Name: "B"}, Modalities: []order.Ref{{Name: "Dental"}}}, "patient_id", problem.OrderInvalid},
	} {
		o := &order.Order{AccessionNumber: "1", Content: row.c}
		r.plan(o)
		holds := r.holds(o)
		if (len(holds) == 0) != (row.field == "") || len(holds) > 0 && (holds[0].Field != row.field || holds[0].Code != string(row.code)) {
			t.Errorf("%s: %+v", name, holds)
		}
	}
}
