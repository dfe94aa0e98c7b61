package appliance

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/rayhound/rayhound/localdb"
)

const (
	// leaseFor is longer than the longest send to Provet Cloud, its time-out
	// included.
	leaseFor = 5 * time.Minute
	// outboxNet is the poll that catches a wake-up that was lost.
	outboxNet = 15 * time.Second
	// settleWithin is how long an outcome may wait to be stored together with
	// those after it.
	settleWithin = 20 * time.Millisecond
)

// carrier takes what one destination is owed to it.
type carrier interface {
	dest() string
	woken() <-chan struct{}
	// most is how many entries, each of another order, are leased together, and
	// lease for how long: longer than all of them take.
	most() int
	lease() time.Duration
	// parcel reads what sending needs, in the transaction of the lease.
	parcel(ctx context.Context, tx *localdb.Tx, e *localdb.OutboxEntry) (parcel, error)
}

// parcel is one leased entry on its way.
type parcel interface {
	entry() *localdb.OutboxEntry
	// send sends it; no transaction is open. What came of it stays in the parcel.
	send(ctx context.Context)
	// stop reports that the destination fails: the rest of the lease is put back.
	stop() bool
	// settle stores what came of it.
	settle(b *batch) error
	// settled hears that it is stored.
	settled()
}

// deliverTo sends what a destination is owed until ctx ends: entries of one order
// in their order.
func (c *core) deliverTo(ctx context.Context, d carrier) error {
	err := c.db.Write(ctx, func(tx *localdb.Tx) error {
		_, err := tx.ReleaseLeasesOf(ctx, d.dest()) // what was in flight when we stopped is sent again
		return err
	})
	if err != nil {
		return fmt.Errorf("appliance: releasing leases: %w", err)
	}
	for {
		sent, err := c.deliverSome(ctx, d)
		if err != nil {
			return err
		}
		if sent {
			continue
		}
		var next time.Time
		if err := c.db.Read(ctx, func(s *localdb.Snapshot) error {
			var err error
			next, _, err = s.NextOutboxAt(ctx, d.dest(), c.now())
			return err
		}); err != nil {
			return err
		}
		wait := outboxNet
		if !next.IsZero() {
			wait = min(wait, max(10*time.Millisecond, next.Sub(c.now())))
		}
		if err := sleepOr(ctx, wait, d.woken()); err != nil {
			return err
		}
	}
}

// deliverSome leases what is due, a few entries at most, sends them one after the
// other and stores the outcomes. It reports whether there was any.
func (c *core) deliverSome(ctx context.Context, d carrier) (bool, error) {
	// A look without a transaction first: mostly there is nothing, and a lease costs a commit.
	var due bool
	err := c.db.Read(ctx, func(s *localdb.Snapshot) error {
		at, ok, err := s.NextOutboxAt(ctx, d.dest(), c.now())
		due = ok && !at.After(c.now())
		return err
	})
	if err != nil || !due {
		return false, err
	}
	var parcels []parcel
	err = c.db.Write(ctx, func(tx *localdb.Tx) error {
		parcels = nil
		if _, err := tx.ExpireLeases(ctx, c.now()); err != nil {
			return err
		}
		leased, err := tx.LeaseSome(ctx, d.dest(), c.now(), c.now().Add(d.lease()), d.most())
		if err != nil {
			return err
		}
		for _, e := range leased {
			p, err := d.parcel(ctx, tx, e)
			if err != nil {
				return err
			}
			parcels = append(parcels, p)
		}
		return nil
	})
	if err != nil || len(parcels) == 0 {
		return false, err
	}
	return true, c.carry(ctx, parcels)
}

// carry sends leased entries and stores their outcomes: several together while
// they come quickly, so that one commit does for them.
func (c *core) carry(ctx context.Context, parcels []parcel) error {
	var done, rest []parcel
	start := time.Now()
	for i, p := range parcels {
		p.send(ctx)
		if ctx.Err() != nil { // its outcome is unknown: the lease is released at the next start
			rest = parcels[i+1:]
			break
		}
		if done = append(done, p); p.stop() {
			rest = parcels[i+1:]
			break
		}
		if time.Since(start) < settleWithin || i == len(parcels)-1 {
			continue
		}
		if err := c.settle(ctx, done, nil); err != nil {
			return err
		}
		done, start = nil, time.Now()
	}
	if err := c.settle(ctx, done, rest); err != nil {
		return err
	}
	return ctx.Err()
}

// settle stores what came of parcels, and puts those back that were not tried. It
// does so when ctx has ended, too: what was answered shall not be sent again.
func (c *core) settle(ctx context.Context, done, rest []parcel) error {
	if len(done) == 0 && len(rest) == 0 {
		return nil
	}
	err := c.commit(context.WithoutCancel(ctx), func(b *batch) error {
		for _, p := range done {
			if err := p.settle(b); err != nil {
				return err
			}
		}
		for _, p := range rest {
			if _, err := b.tx.Unlease(b.ctx, p.entry().ID, p.entry().LeaseToken); err != nil {
				return err
			}
		}
		return nil
	})
	for _, p := range done {
		p.settled()
	}
	return err
}

// overtaken reports whether the order owes a later message of the same kind: an
// entry that was under way when that one was made could not be dropped then.
func (b *batch) overtaken(e *localdb.OutboxEntry) (bool, error) {
	unsent, err := b.tx.Outbox(b.ctx, localdb.OutboxFilter{Dest: e.Dest, OrderID: e.OrderID})
	return slices.ContainsFunc(unsent, func(x localdb.OutboxEntry) bool { return x.ID > e.ID && x.Kind == e.Kind }), err
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
