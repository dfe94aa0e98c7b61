package appliance

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/localdb"
)

// LinkOrder marries an order that was entered by hand to the Provet order it
// was meant for (design §3). The one entered by hand lives on: its accession
// number and study UID are in the images already. It takes over the Provet id,
// the next look brings Provet's content, and Provet is told its state. The
// order that had come from Provet, when there is one, leaves the list for good.
//
// An order whose imaging has begun, too, is refused (RH-210): then there are
// two sets of images, and a person has to cancel one first.
func (c *core) LinkOrder(ctx context.Context, a act, provetID string) (*order.Order, error) {
	if provetID == "" {
		return nil, problem.New(problem.Usage, problem.Args{"reason": "The id of the Provet order is missing"}, nil)
	}
	return c.byPerson(ctx, a, "link", func(b *batch, o *order.Order) error {
		switch {
		case o.ProvetID == provetID: // pressed twice
			return nil
		case o.ProvetID != "" || !o.ByHand:
			return linkRefused(o, "linking it to another Provet order")
		}
		twin, err := b.tx.OrderByProvetID(b.ctx, provetID)
		switch {
		case errors.Is(err, localdb.ErrNotFound):
		case err != nil:
			return err
		default:
			if err := b.yield(twin, o, a); err != nil {
				return err
			}
			o.UpstreamStatus = twin.UpstreamStatus
			if err := b.takeContent(o, twin.Content); err != nil {
				return err
			}
		}
		o.ProvetID = provetID
		if err := b.save(o); err != nil {
			return err
		}
		if err := b.say(o, "linked", order.ByHand, "", fmt.Sprintf("Linked to order %s of Provet Cloud %s", provetID, personText(a))); err != nil {
			return err
		}
		if err := b.report(o, order.ByHand); err != nil {
			return err
		}
		return b.hint(provetID, "link")
	})
}

// yield makes a Provet order give its place to the one entered by hand.
func (b *batch) yield(twin, o *order.Order, a act) error {
	switch twin.State {
	case order.Received, order.Held, order.Scheduled:
		if err := b.dropReports(twin, "overtaken by order "+o.AccessionNumber); err != nil {
			return err
		}
		twin.ProvetID = "" // before its end is reported: Provet shall not hear of it
		settle(twin)
		return b.move(twin, order.CancelByPerson, order.ByHand, "it is order "+o.AccessionNumber+", "+personText(a))
	case order.Cancelled:
		twin.ProvetID = ""
		return b.save(twin)
	case order.InProgress, order.Completed, order.Discontinued:
	}
	return linkRefused(twin, "linking order "+o.AccessionNumber+" to it")
}

func linkRefused(o *order.Order, what string) error {
	return problem.New(problem.OrderState, problem.Args{"accession": o.AccessionNumber, "state": string(o.State), "event": what}, nil)
}

// takeContent gives o the content of its twin.
func (b *batch) takeContent(o *order.Order, content order.Content) error {
	if err := b.comparePatient(o, content.Patient.ID); err != nil {
		return err
	}
	o.Content, o.ContentHash = content.Clone(), content.Hash()
	o.Revision++
	if o.State.Open() {
		b.c.routes.plan(o)
	}
	if slices.Contains([]order.State{order.Held, order.Scheduled}, o.State) {
		_, err := b.schedule(o.Clone(), o, true)
		return err
	}
	return nil
}

// comparePatient tells a person when an order gets another patient id than its
// images carry (RH-207).
func (b *batch) comparePatient(o *order.Order, id string) error {
	if id == o.Content.Patient.ID {
		return nil
	}
	performed, err := b.tx.PerformedStepsOf(b.ctx, o.ID)
	for _, p := range performed {
		if p.PatientID != "" && p.PatientID != id {
			b.notice(o, problem.OrderPatientDiffers, problem.Args{"accession": o.AccessionNumber, "station": p.Machine})
		}
	}
	return err
}
