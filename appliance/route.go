package appliance

import (
	"slices"
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
)

// station is a machine as the lifecycle sees it: what it may do and which
// evidence closes an order there. The DICOM side of it is mwl.Machine.
type station struct {
	Name        string
	AETitle     string
	Serves      []string // Provet modality names or ids
	Departments []string // Provet department names or ids; empty: all
	DoneWhen    []order.Source
	IdleAfter   time.Duration // 0: never
	IdleAction  idleAction
	// Check says what the machine's worklist could not show of an order:
	// a missing type-1 value, an id longer than the machine's limit.
	Check func(*order.Order) []order.Hold
}

// idleAction is what happens to an order that nobody finishes.
type idleAction string

const (
	idleFlag        idleAction = "flag"
	idleComplete    idleAction = "complete"
	idleDiscontinue idleAction = "discontinue"
)

// routes holds the machines of the clinic, and the RIS that get its orders.
type routes struct {
	stations []station
	ris      []*risPeer
	prefix   string // of accession numbers
}

// byName returns the station with that name, or nil.
func (r *routes) byName(name string) *station {
	for i := range r.stations {
		if r.stations[i].Name == name {
			return &r.stations[i]
		}
	}
	return nil
}

// serving returns the names of the stations that do m for department. What a RIS
// with a worklist of its own serves is on none of ours.
func (r *routes) serving(m, department order.Ref) []string {
	if r.owner(m) != nil {
		return nil
	}
	var names []string
	for _, s := range r.stations {
		if matches(s.Serves, m) && (len(s.Departments) == 0 || matches(s.Departments, department)) {
			names = append(names, s.Name)
		}
	}
	return names
}

// matches reports whether a list of names or ids names ref. Names are compared
// without regard to case and outer space.
func matches(list []string, ref order.Ref) bool {
	return slices.ContainsFunc(list, func(s string) bool {
		s = strings.TrimSpace(s)
		return s != "" && (s == ref.ID || strings.EqualFold(s, strings.TrimSpace(ref.Name)))
	})
}

// plan fits the steps of o to its content: one step for each modality. A step
// that exists keeps its id for life; one that is not wanted any more is taken
// away unless it has begun.
func (r *routes) plan(o *order.Order) {
	old := o.Steps
	used := make([]bool, len(old))
	steps := make([]order.Step, 0, max(1, len(o.Content.Modalities)))
	wanted := o.Content.Modalities
	if len(wanted) == 0 {
		wanted = []order.Ref{{}}
	}
	take := func(fit func(order.Step) bool) *order.Step {
		for i := range old {
			if !used[i] && fit(old[i]) {
				used[i] = true
				return &old[i]
			}
		}
		return nil
	}
	kept := make([]*order.Step, len(wanted))
	for i, m := range wanted {
		kept[i] = take(func(s order.Step) bool { return sameRef(s.Modality, m) })
	}
	for i := range wanted {
		if kept[i] == nil {
			kept[i] = take(func(s order.Step) bool { return s.State == order.Scheduled })
		}
	}
	next := nextStepNumber(o.AccessionNumber, old)
	for i, m := range wanted {
		s := order.Step{State: order.Scheduled}
		if kept[i] != nil {
			s = *kept[i]
		} else {
			s.ScheduledProcedureStepID = stepID(o.AccessionNumber, next)
			next++
		}
		s.Modality = m
		s.Stations = r.serving(m, o.Content.Department)
		steps = append(steps, s)
	}
	for i, s := range old {
		if !used[i] && s.State != order.Scheduled {
			steps = append(steps, s)
		}
	}
	o.Steps = steps
}

// sameRef reports whether two references mean the same row.
func sameRef(a, b order.Ref) bool {
	if a.ID != "" && b.ID != "" {
		return a.ID == b.ID
	}
	return strings.EqualFold(a.Name, b.Name)
}

// nextStepNumber returns a number that no step of the order has had.
func nextStepNumber(accession string, steps []order.Step) int {
	next := 1
	for n := range 1000 {
		id := stepID(accession, n+1)
		if slices.ContainsFunc(steps, func(s order.Step) bool { return s.ScheduledProcedureStepID == id }) {
			next = n + 2
		}
		if n > len(steps)+1 {
			break
		}
	}
	return max(next, len(steps)+1)
}

// holds says why o cannot be scheduled; empty means that it can.
func (r *routes) holds(o *order.Order) []order.Hold {
	var holds []order.Hold
	c := o.Content
	if c.Patient.ID == "" {
		holds = append(holds, order.Hold{Code: string(problem.OrderInvalid), Field: "patient_id", Detail: "the order names no patient"})
	}
	if c.Patient.Name == "" && c.Owner.FamilyName() == "" {
		holds = append(holds, order.Hold{Code: string(problem.OrderInvalid), Field: "patient_name", Detail: "neither the patient nor the owner has a name we could read"})
	}
	served := false
	for _, s := range o.Steps {
		served = served || len(s.Stations) > 0 || r.owner(s.Modality) != nil
	}
	if !served {
		for _, s := range o.Steps {
			holds = append(holds, order.Hold{Code: string(problem.OrderUnmapped), Field: "modality", Detail: refText(s.Modality)})
		}
		return holds
	}
	if len(holds) > 0 {
		return holds
	}
	return append(holds, r.machineHolds(o)...)
}

// machineHolds asks each machine of o whether its list can show o. As long as
// one can, the order is not held.
func (r *routes) machineHolds(o *order.Order) []order.Hold {
	var holds []order.Hold
	for _, name := range o.Stations() {
		s := r.byName(name)
		if s == nil || s.Check == nil {
			return nil
		}
		h := s.Check(o)
		if len(h) == 0 {
			return nil
		}
		holds = append(holds, h...)
	}
	return holds
}

// refText names a row for people.
func refText(r order.Ref) string {
	switch {
	case r.Name != "":
		return r.Name
	case r.ID != "":
		return "id " + r.ID
	}
	return "(none)"
}
