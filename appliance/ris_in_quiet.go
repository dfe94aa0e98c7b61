package appliance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/hl7/orders"
	"github.com/rayhound/rayhound/localdb"
)

// An image manager may say "completed" with the first image that it gets. What it
// says then counts as the beginning, and as the end when nothing else came for
// the quiet period; that is kept in the database, so that no restart forgets it.

// waitForQuiet keeps what counts only when nothing else comes.
func (b *batch) waitForQuiet(s said, t target, rep *orders.Report) error {
	o := t.order
	waiting, err := b.quietOf(s, t)
	if err != nil {
		return err
	}
	due := b.now.Add(rep.Quiet)
	b.after = append(b.after, func() { signal(b.c.inbound.wakeQuiet) })
	if len(waiting) > 0 { // stillBusy has put it off
		return nil
	}
	body, err := json.Marshal(heldReport(rep))
	if err != nil {
		return err
	}
	h := &localdb.HL7Held{InID: s.inID, RIS: s.ris, ControlID: s.controlID, OrderID: o.ID, SPSID: t.spsID, DueAt: due, Body: string(body)}
	if err := b.tx.AddHL7Held(b.ctx, h); err != nil {
		return err
	}
	begun := evidenceOf(s, t, rep)
	begun.Event, begun.Reason = order.StepStarted, ""
	if err := b.observe(o, begun); err != nil {
		return err
	}
	return b.say(o, "ris", order.HL7, "", fmt.Sprintf("%s has images; done when nothing more comes for %s", s.ris, rep.Quiet))
}

// heldReport is a report as it is kept: without the bytes of its documents.
func heldReport(rep *orders.Report) orders.Report {
	held := *rep
	held.Text, held.Documents = "", nil
	return held
}

// quietOf returns what waits for quiet about a step, or about the whole order.
func (b *batch) quietOf(s said, t target) ([]localdb.HL7Held, error) {
	all, err := b.tx.HL7HeldOfOrder(b.ctx, t.order.ID, s.ris)
	var some []localdb.HL7Held
	for _, h := range all {
		if h.SPSID == t.spsID || t.spsID == "" || h.SPSID == "" {
			some = append(some, h)
		}
	}
	return some, err
}

// stillBusy puts off what waits for quiet: something came.
func (b *batch) stillBusy(s said, t target) error {
	waiting, err := b.quietOf(s, t)
	if err != nil {
		return err
	}
	for _, h := range waiting {
		var rep orders.Report
		if err := json.Unmarshal([]byte(h.Body), &rep); err != nil {
			return err
		}
		if err := b.tx.PostponeHL7Held(b.ctx, h.ID, b.now.Add(rep.Quiet)); err != nil {
			return err
		}
	}
	return nil
}

// forgetQuiet drops what waits for quiet: something said more.
func (b *batch) forgetQuiet(s said, t target) error {
	waiting, err := b.quietOf(s, t)
	if err != nil {
		return err
	}
	for _, h := range waiting {
		if err := b.tx.DeleteHL7Held(b.ctx, h.ID); err != nil {
			return err
		}
	}
	return nil
}

// quietPerCommit is how many held words one transaction applies.
const quietPerCommit = 100

// watchQuiet applies what waited for quiet until ctx ends.
func (c *core) watchQuiet(ctx context.Context) error {
	for {
		next, err := c.applyQuiet(ctx)
		if err != nil {
			return err
		}
		wait := time.Hour
		if !next.IsZero() {
			wait = min(wait, max(next.Sub(c.now()), 0))
		}
		if err := sleepOr(ctx, wait, c.inbound.wakeQuiet); err != nil {
			return err
		}
	}
}

// applyQuiet applies what is due and returns when the next one will be.
func (c *core) applyQuiet(ctx context.Context) (next time.Time, err error) {
	for {
		var due []localdb.HL7Held
		err = c.db.Read(ctx, func(s *localdb.Snapshot) (err error) {
			due, next, err = s.HL7HeldDue(ctx, c.now(), quietPerCommit)
			return err
		})
		if err != nil || len(due) == 0 {
			return next, err
		}
		err = c.commit(ctx, func(b *batch) error {
			due, _, err := b.tx.HL7HeldDue(b.ctx, b.now, quietPerCommit) // as it is by now
			if err != nil {
				return err
			}
			for _, h := range due {
				if err := b.quietCame(h); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return next, err
		}
	}
}

func (b *batch) quietCame(h localdb.HL7Held) error {
	if err := b.tx.DeleteHL7Held(b.ctx, h.ID); err != nil {
		return err
	}
	var rep orders.Report
	if err := json.Unmarshal([]byte(h.Body), &rep); err != nil {
		return err
	}
	o, ok := b.touched[h.OrderID]
	if !ok {
		var err error
		if o, err = b.tx.OrderByID(b.ctx, h.OrderID); err != nil {
			if errors.Is(err, localdb.ErrNotFound) {
				return nil
			}
			return err
		}
	}
	e := evidenceOf(said{ris: h.RIS, controlID: h.ControlID}, target{o, h.SPSID}, &rep)
	e.Reason = "nothing more came for " + rep.Quiet.String()
	if !open(o, h.SPSID) { // it was closed meanwhile: nothing new was said
		e.OrderID, e.At = o.ID, b.now
		return b.tx.AddEvidence(b.ctx, &e)
	}
	return b.observe(o, e)
}
