package appliance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/mpps"
	"github.com/rayhound/rayhound/localdb"
)

// act is what a person does to an order, with who and why.
type act struct {
	Accession string
	Who       string
	Reason    string
}

// byPerson runs fn on the order with that accession number, with an audit line
// in the same transaction. A transition that the table refuses becomes RH-210.
func (c *core) byPerson(ctx context.Context, a act, what order.Event, fn func(*batch, *order.Order) error) (*order.Order, error) {
	var result *order.Order
	err := c.commit(ctx, func(b *batch) error {
		o, err := b.tx.OrderByAccession(b.ctx, a.Accession)
		if errors.Is(err, localdb.ErrNotFound) {
			return problem.New(problem.OrderUnknown, problem.Args{"accession": a.Accession}, nil)
		}
		if err != nil {
			return err
		}
		if err := fn(b, o); err != nil {
			if errors.Is(err, order.ErrRefused) {
				return problem.New(problem.OrderState, problem.Args{
					"accession": o.AccessionNumber, "state": string(o.State), "event": personVerb(what),
				}, err)
			}
			return err
		}
		result = o
		return b.tx.AddAudit(b.ctx, localdb.Audit{At: b.now, Who: a.Who, What: string(what), Accession: a.Accession, Detail: a.Reason})
	})
	return result, err
}

// personVerb says in a word what a person tried.
func personVerb(ev order.Event) string {
	switch ev {
	case order.ClosedByPerson:
		return "marking it as done"
	case order.CancelByPerson:
		return "cancelling it"
	case order.HeldBack:
		return "holding it"
	case order.Accepted:
		return "releasing it"
	case order.ReopenedByPerson:
		return "putting it back on the list"
	case order.Withdrawn, order.Restored, order.StepStarted, order.StepCompleted, order.StepDiscontinued, order.WrongEntry:
	}
	return string(ev)
}

// personText is the part of a timeline line that says who and why.
func personText(a act) string {
	t := "by hand"
	if a.Who != "" {
		t += " (" + a.Who + ")"
	}
	if a.Reason != "" {
		t += ": " + a.Reason
	}
	return t
}

// Complete closes an order by hand. One that is complete already only loses its
// notices.
func (c *core) Complete(ctx context.Context, a act) (*order.Order, error) {
	return c.byPerson(ctx, a, order.ClosedByPerson, func(b *batch, o *order.Order) error {
		settle(o)
		if o.State == order.Completed {
			return b.noted(o, "noted "+personText(a))
		}
		if err := b.ledger(o, order.StepCompleted, a); err != nil {
			return err
		}
		return b.move(o, order.ClosedByPerson, order.ByHand, "closed "+personText(a))
	})
}

// Cancel takes an order off the list by hand.
func (c *core) Cancel(ctx context.Context, a act) (*order.Order, error) {
	return c.byPerson(ctx, a, order.CancelByPerson, func(b *batch, o *order.Order) error {
		settle(o)
		if err := b.move(o, order.CancelByPerson, order.ByHand, personText(a)); err != nil {
			return err
		}
		return b.ledger(o, order.CancelByPerson, a)
	})
}

// Hold takes an order off the list for a while.
func (c *core) Hold(ctx context.Context, a act) (*order.Order, error) {
	return c.byPerson(ctx, a, order.HeldBack, func(b *batch, o *order.Order) error {
		o.Holds = nil
		if o.State == order.Held { // for what was missing until now; from now on for a person
			return b.noted(o, "held "+personText(a))
		}
		return b.move(o, order.HeldBack, order.ByHand, personText(a))
	})
}

// Release puts a held order back on the list, if nothing is missing.
func (c *core) Release(ctx context.Context, a act) (*order.Order, error) {
	return c.byPerson(ctx, a, order.Accepted, func(b *batch, o *order.Order) error {
		if o.State != order.Held {
			return fmt.Errorf("%w: release in state %s", order.ErrRefused, o.State)
		}
		b.c.routes.plan(o)
		if holds := b.c.routes.holds(o); len(holds) > 0 {
			o.Holds = holds
			h := holds[0]
			return problem.New(problem.Code(h.Code), problem.Args{"accession": o.AccessionNumber, "field": h.Field, "detail": h.Detail, "modality": h.Detail}, nil)
		}
		return b.move(o, order.Accepted, order.ByHand, personText(a))
	})
}

// Reopen puts a closed order back on the list: the undo of every closing.
func (c *core) Reopen(ctx context.Context, a act) (*order.Order, error) {
	return c.byPerson(ctx, a, order.ReopenedByPerson, func(b *batch, o *order.Order) error {
		settle(o)
		unnotice(o, problem.OrderIdle) // its time runs anew
		if err := b.again(o, order.ReopenedByPerson, order.ByHand, personText(a)); err != nil {
			return err
		}
		return b.ledger(o, order.ReopenedByPerson, a)
	})
}

// Resend owes Provet Cloud the present state of an order once more.
func (c *core) Resend(ctx context.Context, a act) (*order.Order, error) {
	return c.byPerson(ctx, a, "resend", func(b *batch, o *order.Order) error {
		if err := b.report(o, order.ByHand); err != nil {
			return err
		}
		return b.noted(o, "sent again "+personText(a))
	})
}

// noted stores o with a line in its timeline.
func (b *batch) noted(o *order.Order, text string) error {
	if err := b.save(o); err != nil {
		return err
	}
	return b.say(o, "noted", order.ByHand, "", text)
}

// ledger enters what a person said into the ledger.
func (b *batch) ledger(o *order.Order, ev order.Event, a act) error {
	return b.tx.AddEvidence(b.ctx, &order.Evidence{
		OrderID: o.ID, At: b.now, Source: order.ByHand, Event: ev, Ref: a.Who, Reason: a.Reason, Decided: true,
	})
}

// newByHand is an order that a person enters: a walk-in, or Provet is down.
type newByHand struct {
	Who       string
	Patient   order.Patient
	Owner     order.Owner
	Modality  string
	Remarks   string
	Scheduled time.Time
}

// Add stores an order entered by hand. It is on the list when Add returns.
func (c *core) Add(ctx context.Context, n newByHand) (*order.Order, error) {
	o := &order.Order{ByHand: true, State: order.Received, Revision: 1}
	err := c.commit(ctx, func(b *batch) error {
		o.ID, o.CreatedAt = 0, b.now
		o.Content = order.Content{
			Patient: n.Patient, Owner: n.Owner, Modalities: []order.Ref{{Name: n.Modality}},
			Remarks: n.Remarks, ScheduledAt: n.Scheduled, RequestedAt: b.now,
		}
		o.ContentHash = o.Content.Hash()
		mint(o, c.routes.prefix)
		if o.Content.Patient.ID == "" { // no Provet patient: the order is its own patient until it is linked
			o.Content.Patient.ID = o.AccessionNumber
			o.ContentHash = o.Content.Hash()
		}
		c.routes.plan(o)
		if holds := c.routes.holds(o); len(holds) > 0 {
			h := holds[0]
			return problem.New(problem.Code(h.Code), problem.Args{"accession": o.AccessionNumber, "field": h.Field, "detail": h.Detail, "modality": h.Detail}, nil)
		}
		if err := b.save(o); err != nil {
			return err
		}
		if err := b.say(o, "received", order.ByHand, "", "Entered "+personText(act{Who: n.Who})); err != nil {
			return err
		}
		if err := b.tx.AddAudit(b.ctx, localdb.Audit{At: b.now, Who: n.Who, What: "add", Accession: o.AccessionNumber}); err != nil {
			return err
		}
		return b.move(o, order.Accepted, order.ByHand, "")
	})
	return o, err
}

// Link ties an arrival to an order: what the machine reported becomes evidence
// of that order.
func (c *core) Link(ctx context.Context, arrivalID int64, a act) (*order.Order, error) {
	return c.byPerson(ctx, a, "link", func(b *batch, o *order.Order) error {
		arr, err := b.tx.Arrival(b.ctx, arrivalID)
		if errors.Is(err, localdb.ErrNotFound) {
			return problem.New(problem.OrderUnknown, problem.Args{"accession": fmt.Sprint("arrival ", arrivalID)}, err)
		}
		if err != nil {
			return err
		}
		if arr.State == localdb.ArrivalLinked {
			return problem.New(problem.OrderState, problem.Args{"accession": a.Accession, "state": "linked to this arrival", "event": "linking it again"}, nil)
		}
		arr.State, arr.LinkedOrderID, arr.LinkedAt, arr.LinkedBy = localdb.ArrivalLinked, o.ID, b.now, a.Who
		if err := b.tx.UpdateArrival(b.ctx, arr); err != nil {
			return err
		}
		if err := b.say(o, "linked", order.ByHand, "", fmt.Sprintf("Arrival %d was linked %s", arrivalID, personText(a))); err != nil {
			return err
		}
		b.after = append(b.after, func() {
			c.board.Clear(problem.ArrivalUnmatched, fmt.Sprint(arrivalID))
			c.board.Clear(problem.OrderConflict, fmt.Sprint(arrivalID))
			c.board.Clear(problem.RISNumbers, fmt.Sprint(arrivalID))
		})
		return b.adopt(o, arr)
	})
}

// adopt makes the performed step of an arrival evidence of o.
func (b *batch) adopt(o *order.Order, arr *localdb.Arrival) error {
	if arr.Kind == arrivalHL7 {
		return b.adoptReports(o, arr)
	}
	p, err := b.tx.PerformedStep(b.ctx, arr.Ref)
	unknown := errors.Is(err, localdb.ErrNotFound)
	switch {
	case unknown && (arr.Kind != "mpps" || arr.Ref == ""):
		return b.save(o)
	case unknown: // it came without its beginning: what it said counts all the same
		p = performedOf(arr, b.now)
	case err != nil:
		return err
	}
	spsID := ""
	if len(o.Steps) == 1 {
		spsID = o.Steps[0].ScheduledProcedureStepID
	} else if i := slices.IndexFunc(o.Steps, func(s order.Step) bool { return slices.Contains(s.Stations, arr.Machine) }); i >= 0 {
		spsID = o.Steps[i].ScheduledProcedureStepID
	}
	p.ArrivalID = 0
	p.OrderRefs = []localdb.StepRef{{OrderID: o.ID, ScheduledProcedureStepID: spsID}}
	store := b.tx.UpdatePerformedStep
	if unknown {
		store = b.tx.InsertPerformedStep
	}
	if err := store(b.ctx, p); err != nil {
		return err
	}
	return b.reported(target{o, spsID}, reportOf(p), p)
}

// performedOf is the step that an arrival tells of.
func performedOf(a *localdb.Arrival, now time.Time) *localdb.PerformedStep {
	p := &localdb.PerformedStep{
		SOPInstanceUID: a.Ref, Machine: a.Machine, CallingAETitle: a.CallingAETitle, Address: a.Address, Status: a.Status,
		PatientID: a.PatientID, PatientName: a.PatientName, Modality: a.Modality, StartedAt: a.Started, EndedAt: a.Ended,
		Series: a.Series, Instances: a.Instances, CreatedAt: now, ChangedAt: now,
	}
	if a.StudyInstanceUID != "" {
		p.StudyUIDs = []string{a.StudyInstanceUID}
	}
	p.Final = p.Status == mpps.Completed || p.Status == mpps.Discontinued
	return p
}
