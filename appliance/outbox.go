package appliance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/localdb"
)

const (
	// leaseFor is longer than the longest send, its time-out included.
	leaseFor = 5 * time.Minute
	// outboxNet is the poll that catches a wake-up that was lost.
	outboxNet = 15 * time.Second
)

// deliver sends what we owe Provet Cloud until ctx ends: one entry at a time,
// entries of one order in their order.
func (c *core) deliver(ctx context.Context) error {
	err := c.db.Write(ctx, func(tx *localdb.Tx) error {
		_, err := tx.ReleaseLeases(ctx) // what was in flight when we stopped is sent again
		return err
	})
	if err != nil {
		return fmt.Errorf("appliance: releasing leases: %w", err)
	}
	for {
		sent, err := c.deliverOne(ctx)
		if err != nil {
			return err
		}
		if sent {
			continue
		}
		var next time.Time
		if err := c.db.Read(ctx, func(s *localdb.Snapshot) error {
			var err error
			next, _, err = s.NextOutboxAt(ctx, destProvet, c.now())
			return err
		}); err != nil {
			return err
		}
		wait := outboxNet
		if !next.IsZero() {
			wait = min(wait, max(10*time.Millisecond, next.Sub(c.now())))
		}
		if err := sleepOr(ctx, wait, c.wakeProvet); err != nil {
			return err
		}
	}
}

// deliverOne leases one entry, sends it and stores the outcome. It reports
// whether there was one.
func (c *core) deliverOne(ctx context.Context) (bool, error) {
	// A look without a transaction first: mostly there is nothing, and a lease costs a commit.
	var due bool
	err := c.db.Read(ctx, func(s *localdb.Snapshot) error {
		at, ok, err := s.NextOutboxAt(ctx, destProvet, c.now())
		due = ok && !at.After(c.now())
		return err
	})
	if err != nil || !due {
		return false, err
	}
	var e *localdb.OutboxEntry
	var provetID string
	told := false // a person knows that it was withdrawn and imaged
	err = c.db.Write(ctx, func(tx *localdb.Tx) error {
		if _, err := tx.ExpireLeases(ctx, c.now()); err != nil {
			return err
		}
		var err error
		if e, err = tx.Lease(ctx, destProvet, c.now(), c.now().Add(leaseFor)); err != nil || e == nil {
			return err
		}
		o, err := tx.OrderByID(ctx, e.OrderID)
		if err == nil {
			provetID, told = o.ProvetID, noticed(o, problem.OrderCancelledLate)
		}
		return err
	})
	if err != nil || e == nil {
		return false, err
	}
	var r statusReport
	if err := json.Unmarshal(e.Payload, &r); err != nil {
		return true, c.settleEntry(ctx, e, r.State, 0, provet.StatusResult{}, &provet.Error{Op: "report", Class: provet.Permanent, Detail: "unreadable entry", Err: err})
	}
	set := c.practice.SetStatus
	if told && imaged(r.State) {
		set = c.practice.OverwriteStatus
	}
	start := c.now()
	res, sendErr := set(ctx, provetID, r.State)
	if ctx.Err() != nil {
		return false, ctx.Err() // outcome unknown: the lease is released at the next start
	}
	return true, c.settleEntry(ctx, e, r.State, c.now().Sub(start), res, sendErr)
}

// settleEntry stores what became of an entry that was sent.
func (c *core) settleEntry(ctx context.Context, e *localdb.OutboxEntry, state order.State, took time.Duration, res provet.StatusResult, sendErr error) error {
	outcome := "done"
	err := c.commit(ctx, func(b *batch) error {
		a := localdb.Attempt{At: b.now, Duration: took, Outcome: "accepted"}
		o, err := b.tx.OrderByID(b.ctx, e.OrderID)
		if err != nil {
			return err
		}
		if sendErr == nil {
			text := "Provet Cloud shows it as " + string(state)
			if !res.Changed {
				text = "Provet Cloud showed it as " + string(state) + " already"
			}
			a.Text = text
			if _, err := b.tx.Finish(b.ctx, e.ID, e.LeaseToken, a, b.now); err != nil {
				return err
			}
			if err := b.tx.Hold(b.ctx, destProvet, time.Time{}, 0); err != nil {
				return err
			}
			o.UpstreamStatus = res.To
			if err := b.tx.UpdateOrder(b.ctx, o); err != nil {
				return err
			}
			b.after = append(b.after, func() {
				c.readings.reported(o.ProvetID)
				c.board.Clear(problem.ReportRefused, o.AccessionNumber)
			})
			return b.say(o, "reported", destProvet, "", text)
		}
		if errors.Is(sendErr, provet.ErrWithdrawn) {
			outcome, err = b.withdrawnMeanwhile(e, o, state, a)
			return err
		}
		outcome, err = b.failed(e, o, a, sendErr)
		return err
	})
	c.metrics.Attempted(destProvet, outcome)
	if sendErr == nil {
		c.metrics.Delivered(destProvet, c.now().Sub(e.CreatedAt))
		c.practiceWorks()
	} else if !errors.Is(sendErr, provet.ErrWithdrawn) {
		c.practiceFailed(sendErr)
	}
	return err
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

// overtaken reports whether the order owes a later report: an entry that was
// under way when that one was made could not be dropped then.
func (b *batch) overtaken(e *localdb.OutboxEntry) (bool, error) {
	unsent, err := b.tx.Outbox(b.ctx, localdb.OutboxFilter{Dest: e.Dest, OrderID: e.OrderID})
	return slices.ContainsFunc(unsent, func(x localdb.OutboxEntry) bool { return x.ID > e.ID && x.Kind == e.Kind }), err
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

// delay is the wait before try n+2 after n+1 failures: 5 s, doubled each time,
// 15 min at most, with jitter.
func delay(n int) time.Duration {
	curve := backoff.NewExponentialBackOff()
	curve.InitialInterval = 5 * time.Second
	curve.Multiplier = 2
	curve.MaxInterval = 15 * time.Minute
	curve.RandomizationFactor = 0.2
	d := curve.NextBackOff()
	for range min(max(n, 0), 12) {
		d = curve.NextBackOff()
	}
	return d
}
