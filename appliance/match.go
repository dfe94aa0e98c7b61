package appliance

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/mpps"
	"github.com/rayhound/rayhound/localdb"
)

// target is a step of an order that a report concerns.
type target struct {
	order *order.Order
	spsID string // empty: the whole order
}

// found is the answer of a search: targets, or why there are none.
type found struct {
	targets []target
	reason  string
	code    problem.Code
}

// findReferences finds the steps that the items of a Scheduled Step Attributes
// Sequence name (dicom.md 6.3). One item that contradicts itself makes the
// whole report a case for a person; an order is never found by a name.
func (b *batch) findReferences(refs []mpps.Reference) (found, error) {
	if len(refs) == 0 {
		return found{reason: "the machine named no order", code: problem.ArrivalUnmatched}, nil
	}
	var f found
	orders := map[int64]*order.Order{} // one value for each order, however many items name it
	for _, r := range refs {
		hits, err := b.candidates(r)
		if err != nil {
			return found{}, err
		}
		switch {
		case len(hits) == 0:
			continue
		case len(hits) > 1:
			return found{reason: "the machine named two different orders in one item: " + accessions(hits), code: problem.OrderConflict}, nil
		}
		o := hits[0]
		if known, ok := orders[o.ID]; ok {
			o = known
		}
		orders[o.ID] = o
		t := target{order: o, spsID: stepOf(o, r)}
		if !slices.ContainsFunc(f.targets, func(x target) bool { return x.order.ID == o.ID && x.spsID == t.spsID }) {
			f.targets = append(f.targets, t)
		}
	}
	if len(f.targets) == 0 {
		f.reason, f.code = "the machine named an order that we do not know", problem.ArrivalUnmatched
	}
	return f, nil
}

// candidates returns the orders an item names: by study UID, accession number,
// step id, a referenced study, the requested procedure id. Contradicting
// answers give several.
func (b *batch) candidates(r mpps.Reference) ([]*order.Order, error) {
	var hits []*order.Order
	add := func(o *order.Order, err error) error {
		if errors.Is(err, localdb.ErrNotFound) {
			return nil
		}
		if err == nil && !slices.ContainsFunc(hits, func(h *order.Order) bool { return h.ID == o.ID }) {
			hits = append(hits, o)
		}
		return err
	}
	try := func(key string, find func(string) (*order.Order, error)) error {
		if key == "" {
			return nil
		}
		return add(find(key))
	}
	tx, ctx := b.tx, b.ctx
	byUID := func(k string) (*order.Order, error) { return tx.OrderByStudyUID(ctx, k) }
	byAccession := func(k string) (*order.Order, error) { return tx.OrderByAccession(ctx, k) }
	if err := errors.Join(try(r.StudyInstanceUID, byUID), try(r.AccessionNumber, byAccession)); err != nil {
		return nil, err
	}
	if len(hits) > 0 {
		return hits, nil
	}
	for _, uid := range r.ReferencedStudyUIDs {
		if err := try(uid, byUID); err != nil {
			return nil, err
		}
	}
	if len(hits) > 0 {
		return hits, nil
	}
	if err := try(r.ScheduledProcedureStepID, func(k string) (*order.Order, error) { return tx.OrderByStepID(ctx, k) }); err != nil || len(hits) > 0 {
		return hits, err
	}
	err := try(r.RequestedProcedureID, func(k string) (*order.Order, error) { return tx.OrderByRequestedProcedureID(ctx, k) })
	return hits, err
}

// stepOf picks the step an item means. An order with one step has only that one.
func stepOf(o *order.Order, r mpps.Reference) string {
	if o.Step(r.ScheduledProcedureStepID) != nil {
		return r.ScheduledProcedureStepID
	}
	if len(o.Steps) == 1 {
		return o.Steps[0].ScheduledProcedureStepID
	}
	return ""
}

func accessions(orders []*order.Order) string {
	var names []string
	for _, o := range orders {
		names = append(names, o.AccessionNumber)
	}
	return strings.Join(names, ", ")
}

// suggestion is an order that an arrival may belong to.
type suggestion struct {
	order *order.Order
	why   []string
	score int
}

// suggestWindow is how far from an arrival an order may lie to be suggested.
const suggestWindow = 7 * 24 * time.Hour

// suggest ranks the orders an arrival may belong to: by patient id, then name,
// modality and time. It only ever suggests.
func suggest(ctx context.Context, s *localdb.Snapshot, a *localdb.Arrival) ([]suggestion, error) {
	recent, err := s.FindOrders(ctx, localdb.OrderFilter{Since: a.At.Add(-suggestWindow), Limit: 500})
	if err != nil {
		return nil, err
	}
	var list []suggestion
	for _, o := range recent {
		g := suggestion{order: o}
		if a.AccessionNumber != "" && o.AccessionNumber == a.AccessionNumber {
			g.score, g.why = g.score+8, append(g.why, "accession number")
		}
		if a.PatientID != "" && o.Content.Patient.ID == a.PatientID {
			g.score, g.why = g.score+4, append(g.why, "patient id")
		}
		if name := o.Content.Patient.Name; name != "" && strings.Contains(strings.ToLower(a.PatientName), strings.ToLower(name)) {
			g.score, g.why = g.score+2, append(g.why, "name")
		}
		if g.score == 0 {
			continue
		}
		if slices.Contains(o.Stations(), a.Machine) {
			g.score, g.why = g.score+1, append(g.why, "machine")
		}
		if o.State.Open() {
			g.score, g.why = g.score+1, append(g.why, "still open")
		}
		list = append(list, g)
	}
	slices.SortStableFunc(list, func(x, y suggestion) int { return cmp.Compare(y.score, x.score) })
	return list[:min(len(list), 5)], nil
}
