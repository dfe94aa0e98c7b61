package appliance

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/localdb"
)

// toProvet carries reports to Provet Cloud.
type toProvet struct{ c *core }

func (toProvet) dest() string             { return destProvet }
func (d toProvet) woken() <-chan struct{} { return d.c.wakeProvet }
func (toProvet) most() int                { return 1 }
func (toProvet) lease() time.Duration     { return leaseFor }

// deliver sends what we owe Provet Cloud until ctx ends.
func (c *core) deliver(ctx context.Context) error { return c.deliverTo(ctx, toProvet{c}) }

// deliverOne sends one report, and reports whether there was one.
func (c *core) deliverOne(ctx context.Context) (bool, error) { return c.deliverSome(ctx, toProvet{c}) }

func (d toProvet) parcel(ctx context.Context, tx *localdb.Tx, e *localdb.OutboxEntry) (parcel, error) {
	p := &statusParcel{c: d.c, e: e}
	o, err := tx.OrderByID(ctx, e.OrderID)
	if err == nil {
		p.provetID, p.told = o.ProvetID, noticed(o, problem.OrderCancelledLate)
	}
	return p, err
}

// statusParcel is a report on its way to Provet Cloud.
type statusParcel struct {
	c        *core
	e        *localdb.OutboxEntry
	provetID string
	told     bool // a person knows that it was withdrawn and imaged
	state    order.State

	took    time.Duration
	res     provet.StatusResult
	err     error
	outcome string
}

func (p *statusParcel) entry() *localdb.OutboxEntry { return p.e }
func (p *statusParcel) stop() bool                  { return false } // it travels alone

func (p *statusParcel) send(ctx context.Context) {
	var r statusReport
	err := json.Unmarshal(p.e.Payload, &r)
	if p.state = r.State; err != nil {
		p.err = &provet.Error{Op: "report", Class: provet.Permanent, Detail: "unreadable entry", Err: err}
		return
	}
	set := p.c.practice.SetStatus
	if p.told && imaged(r.State) {
		set = p.c.practice.OverwriteStatus
	}
	start := p.c.now()
	p.res, p.err = set(ctx, p.provetID, r.State)
	p.took = p.c.now().Sub(start)
}

// settle stores what became of a report that was sent.
func (p *statusParcel) settle(b *batch) error {
	e, state := p.e, p.state
	p.outcome = "done"
	a := localdb.Attempt{At: b.now, Duration: p.took, Outcome: "accepted"}
	o, err := b.tx.OrderByID(b.ctx, e.OrderID)
	if err != nil {
		return err
	}
	if p.err == nil {
		text := "Provet Cloud shows it as " + string(state)
		if !p.res.Changed {
			text = "Provet Cloud showed it as " + string(state) + " already"
		}
		a.Text = text
		if _, err := b.tx.Finish(b.ctx, e.ID, e.LeaseToken, a, b.now); err != nil {
			return err
		}
		if err := b.tx.Hold(b.ctx, destProvet, time.Time{}, 0); err != nil {
			return err
		}
		o.UpstreamStatus = p.res.To
		if err := b.tx.UpdateOrder(b.ctx, o); err != nil {
			return err
		}
		b.after = append(b.after, func() {
			b.c.readings.reported(o.ProvetID)
			b.c.board.Clear(problem.ReportRefused, o.AccessionNumber)
		})
		return b.say(o, "reported", destProvet, "", text)
	}
	if errors.Is(p.err, provet.ErrWithdrawn) {
		p.outcome, err = b.withdrawnMeanwhile(e, o, state, a)
		return err
	}
	p.outcome, err = b.failed(e, o, a, p.err)
	return err
}

func (p *statusParcel) settled() {
	c := p.c
	c.metrics.Attempted(destProvet, p.outcome)
	if p.err == nil {
		c.metrics.Delivered(destProvet, c.now().Sub(p.e.CreatedAt))
		c.practiceWorks()
	} else if !errors.Is(p.err, provet.ErrWithdrawn) {
		c.practiceFailed(p.err)
	}
}

// imaged reports whether a state says that imaging began.
func imaged(s order.State) bool {
	return s == order.InProgress || s == order.Completed || s == order.Discontinued
}

// withdrawnMeanwhile decides about a report that would write over a withdrawal.
// Before imaging the withdrawal wins, and the order is looked at again. After it
// the images win, once the order says so to a person: the notice is stored
// before anything is written, so that a crash cannot lose it.
func (b *batch) withdrawnMeanwhile(e *localdb.OutboxEntry, o *order.Order, state order.State, a localdb.Attempt) (outcome string, err error) {
	a.Outcome, a.Text = "withdrawn", "Provet Cloud shows it as withdrawn"
	if !imaged(state) {
		if _, err := b.tx.Abandon(b.ctx, e.ID, e.LeaseToken, a, b.now); err != nil {
			return "", err
		}
		return "dropped", b.hint(o.ProvetID, "report")
	}
	if !noticed(o, problem.OrderCancelledLate) {
		b.notice(o, problem.OrderCancelledLate, problem.Args{"accession": o.AccessionNumber})
		if err := b.say(o, outcomeLate, order.Upstream, problem.OrderCancelledLate, "It was withdrawn in Provet Cloud after imaging had begun; the images stay with the order"); err != nil {
			return "", err
		}
		if err := b.save(o); err != nil {
			return "", err
		}
	}
	_, err = b.tx.Retry(b.ctx, e.ID, e.LeaseToken, a, b.now)
	b.outbox = true
	return "retry", err
}

// failed decides what follows from an error: the driver has classed it, its
// text is never read (localdb.md 10.4).
func (b *batch) failed(e *localdb.OutboxEntry, o *order.Order, a localdb.Attempt, sendErr error) (outcome string, err error) {
	if errors.Is(sendErr, provet.ErrGone) {
		a.Outcome, a.Text = "gone", "there is no such order in Provet Cloud"
		if _, err := b.tx.Abandon(b.ctx, e.ID, e.LeaseToken, a, b.now); err != nil {
			return "", err
		}
		return "dropped", b.hint(o.ProvetID, "report")
	}
	class, code, retryAfter := provet.Transient, problem.ProvetUnreachable, time.Duration(0)
	var pe *provet.Error
	if errors.As(sendErr, &pe) {
		class, retryAfter = pe.Class, pe.RetryAfter
		code = pe.Problem().Code
		a.Text = pe.Detail
	}
	if errors.Is(sendErr, provet.ErrUnmapped) {
		class, code = provet.Permanent, problem.ProvetStatus
	}
	a.Outcome, a.Code = class.String(), string(code)
	later, err := b.overtaken(e)
	if err != nil {
		return "", err
	}
	if later { // it must not hold up what came after it
		_, err := b.tx.Abandon(b.ctx, e.ID, e.LeaseToken, a, b.now)
		return "dropped", err
	}
	wait := delay(e.Attempts - 1)
	switch class {
	case provet.Permanent:
		return "parked", b.park(e, o, a)
	case provet.Auth, provet.Permission, provet.Destination, provet.RateLimited:
		// A fact about Provet, not about this entry: everything waits, one probe at a time.
		wait = max(wait, retryAfter)
		if err := b.tx.Hold(b.ctx, destProvet, b.now.Add(wait), e.Attempts); err != nil {
			return "", err
		}
	case provet.Transient, provet.Protocol:
		wait = max(wait, retryAfter)
	}
	if b.now.Add(wait).After(e.GiveUpAt) {
		a.Text = strings.TrimSpace("no answer for three days; " + a.Text)
		return "parked", b.park(e, o, a)
	}
	_, err = b.tx.Retry(b.ctx, e.ID, e.LeaseToken, a, b.now.Add(wait))
	return "retry", err
}

// park keeps an entry for a person and says so on the order.
func (b *batch) park(e *localdb.OutboxEntry, o *order.Order, a localdb.Attempt) error {
	if _, err := b.tx.Park(b.ctx, e.ID, e.LeaseToken, a); err != nil {
		return err
	}
	reason := a.Text
	if reason == "" {
		reason = a.Outcome
	}
	b.after = append(b.after, func() {
		b.c.board.Raise(problem.ReportRefused, o.AccessionNumber, problem.Args{"accession": o.AccessionNumber, "reason": reason})
	})
	return b.say(o, "parked", destProvet, problem.ReportRefused, "Provet Cloud did not take the report: "+reason)
}
