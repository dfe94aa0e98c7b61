package appliance

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/orders"
	"github.com/rayhound/rayhound/localdb"
)

// reportedIn is what a search for the order of a report came to.
type reportedIn struct {
	found
	differs *order.Order // the order that is named, with another patient
}

// findReported finds the order that a report is about: by accession and placer
// number and Study Instance UID, which must agree; else by the id of the step;
// else by the numbers that the RIS told before. Never by a name.
func (b *batch) findReported(s said, rep *orders.Report) (reportedIn, error) {
	hits, err := b.reportedOrders(s.ris, rep)
	if err != nil {
		return reportedIn{}, err
	}
	switch {
	case len(hits) == 0:
		return reportedIn{found: found{reason: "it names no order that we know", code: problem.ArrivalUnmatched}}, nil
	case len(hits) > 1:
		return reportedIn{found: found{reason: "it names two different orders: " + accessions(hits), code: problem.RISNumbers}}, nil
	}
	o := hits[0]
	if t, ok := b.touched[o.ID]; ok {
		o = t // another report of the message has changed it already
	}
	if !b.samePatient(s, rep, o) {
		linked, err := b.linkedBefore(s, rep)
		if err != nil || linked == nil || linked.ID != o.ID {
			return reportedIn{
				found:   found{reason: "it names order " + o.AccessionNumber + ", with another patient id", code: problem.ArrivalUnmatched},
				differs: o,
			}, err
		}
	}
	spsID, err := b.reportedStep(s.ris, o, rep)
	return reportedIn{found: found{targets: []target{{o, spsID}}}}, err
}

// orderSet collects orders, each once.
type orderSet []*order.Order

func (l *orderSet) add(o *order.Order, err error) error {
	if errors.Is(err, localdb.ErrNotFound) {
		return nil
	}
	if err == nil && !slices.ContainsFunc(*l, func(h *order.Order) bool { return h.ID == o.ID }) {
		*l = append(*l, o)
	}
	return err
}

// reportedOrders returns the orders that a report names; several when it
// contradicts itself.
func (b *batch) reportedOrders(ris string, rep *orders.Report) ([]*order.Order, error) {
	var hits orderSet
	tx, ctx := b.tx, b.ctx
	own, err := tx.OrdersByRISAccession(ctx, ris, rep.AccessionNumber)
	if err != nil {
		return nil, err
	}
	if p := rep.PlacerOrderNumber; p != "" {
		if err := hits.add(tx.OrderByAccession(ctx, p)); err != nil {
			return nil, err
		}
		if len(hits) == 0 {
			if err := hits.add(tx.OrderByStepID(ctx, p)); err != nil {
				return nil, err
			}
		}
	}
	if uid := rep.StudyInstanceUID; uid != "" {
		if err := hits.add(tx.OrderByStudyUID(ctx, uid)); err != nil {
			return nil, err
		}
	}
	if a := rep.AccessionNumber; a != "" && len(own) == 0 { // unless it is the RIS's own number
		if err := hits.add(tx.OrderByAccession(ctx, a)); err != nil {
			return nil, err
		}
	}
	if len(hits) > 0 {
		return hits, nil
	}
	for _, o := range own {
		if err := hits.add(o, nil); err != nil {
			return nil, err
		}
	}
	if len(hits) > 0 {
		return hits, nil
	}
	if id := rep.ScheduledProcedureStepID; id != "" {
		if err := hits.add(tx.OrderByStepID(ctx, id)); err != nil || len(hits) > 0 {
			return hits, err
		}
	}
	byNumber, err := tx.FillersByNumber(ctx, ris, rep.FillerOrderNumber)
	if err != nil {
		return nil, err
	}
	for _, f := range byNumber {
		if err := hits.add(tx.OrderByID(ctx, f.OrderID)); err != nil {
			return nil, err
		}
	}
	return hits, nil
}

// reportedStep picks the step of o that a report means; empty: all that are open.
func (b *batch) reportedStep(ris string, o *order.Order, rep *orders.Report) (string, error) {
	if id := rep.ScheduledProcedureStepID; id != "" && o.Step(id) != nil {
		return id, nil
	}
	p := b.c.routes.peer(ris)
	byStep := p != nil && p.profile.PlacerNumber == "step"
	// The first step has the accession number as its id, too.
	if id := rep.PlacerOrderNumber; id != "" && o.Step(id) != nil && (byStep || id != o.AccessionNumber) {
		return id, nil
	}
	if len(o.Steps) == 1 {
		return o.Steps[0].ScheduledProcedureStepID, nil
	}
	if rep.FillerOrderNumber == "" {
		return "", nil
	}
	known, err := b.tx.FillersByNumber(b.ctx, ris, rep.FillerOrderNumber)
	if err != nil {
		return "", err
	}
	known = slices.DeleteFunc(known, func(f localdb.Filler) bool { return f.OrderID != o.ID || o.Step(f.SPSID) == nil })
	if len(known) == 1 {
		return known[0].SPSID, nil
	}
	return "", nil
}

// samePatient reports whether a message may be about the patient of o: one of its
// patient ids is the order's, or it has none.
func (b *batch) samePatient(s said, rep *orders.Report, o *order.Order) bool {
	if s.byPerson || s.own || o.Content.Patient.ID == "" {
		return true
	}
	authority := ""
	if p := b.c.routes.peer(s.ris); p != nil {
		authority = p.profile.PatientAuthority
	}
	ids := patientIDs(s.message, authority)
	if s.message == nil && rep.PatientID != "" {
		ids = []string{rep.PatientID}
	}
	return len(ids) == 0 || slices.Contains(ids, o.Content.Patient.ID) ||
		o.Content.UpstreamPatient != "" && slices.Contains(ids, o.Content.UpstreamPatient)
}

// patientIDs are the ids of PID-3, PID-2 and PID-4 but those that another
// authority than ours gave.
func patientIDs(m *hl7.Message, authority string) []string {
	if m == nil {
		return nil
	}
	var ids []string
	for _, field := range []string{"PID-3", "PID-2", "PID-4"} {
		for i := 1; i <= min(m.Count(field), 50); i++ {
			at := field + "[" + strconv.Itoa(i) + "]"
			id := strings.TrimSpace(m.Get(at + ".1"))
			by := strings.TrimSpace(m.Get(at + ".4"))
			if id != "" && (authority == "" || by == "" || strings.EqualFold(by, authority)) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}
