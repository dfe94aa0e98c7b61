package appliance

import (
	"context"
	"slices"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/localdb"
)

// idleEvery is how often the idle rule looks.
const idleEvery = time.Minute

// watchIdle applies the idle rule of each machine until ctx ends.
func (c *core) watchIdle(ctx context.Context) error {
	for {
		// Waiting first: until then Provet Cloud has told whether our clock is right.
		if err := sleepOr(ctx, idleEvery, nil); err != nil {
			return err
		}
		if err := c.idleOnce(ctx); err != nil && ctx.Err() == nil {
			c.log.LogAttrs(ctx, levelOf(err), "idle rule failed", errAttr(err))
		}
	}
}

// idleOnce flags or closes the orders for which nothing has happened for longer
// than their machine's idle_after.
func (c *core) idleOnce(ctx context.Context) error {
	if c.clockWrong() {
		return nil // hours that did not pass must not close anything
	}
	open, err := c.openOrders(ctx)
	if err != nil {
		return err
	}
	now := c.now()
	idle := map[*order.Order]*station{}
	err = c.db.Read(ctx, func(s *localdb.Snapshot) error {
		for _, o := range open {
			st, err := c.idleStation(ctx, s, o, now)
			if err != nil {
				return err
			}
			if st != nil {
				idle[o] = st
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, o := range open {
		if st := idle[o]; st != nil {
			if err := c.applyIdle(ctx, o.ID, st); err != nil {
				return err
			}
		}
	}
	return nil
}

// clockWrong reports whether our clock is known to be wrong (RH-505).
func (c *core) clockWrong() bool {
	return slices.ContainsFunc(c.board.All(), func(p problem.Problem) bool { return p.Code == problem.ClockSkew })
}

// deliveries are the kinds of timeline lines that tell of messages of ours: they
// are no event of the order.
var deliveries = []string{"reported", "parked", "told"}

// idleStation returns the machine whose rule applies to o now, or nil. The time
// runs from the last event in the order's timeline, or from the scheduled time
// when that is later. What Provet Cloud shows is no event: it may be the echo of
// what we wrote.
func (c *core) idleStation(ctx context.Context, s *localdb.Snapshot, o *order.Order, now time.Time) (*station, error) {
	if o.State != order.Scheduled && o.State != order.InProgress || noticed(o, problem.OrderIdle) {
		return nil, nil
	}
	for _, name := range o.Stations() {
		st := c.routes.byName(name)
		if st == nil || st.IdleAfter <= 0 || now.Sub(o.CreatedAt) < st.IdleAfter || now.Sub(o.Content.ScheduledAt) < st.IdleAfter {
			continue
		}
		since, ok, err := s.LastEventAt(ctx, o.ID, deliveries...)
		if err != nil {
			return nil, err
		}
		if !ok { // a line is written with every event; without any its making is one
			since = o.CreatedAt
		}
		if now.Sub(since) >= st.IdleAfter {
			return st, nil
		}
	}
	return nil, nil
}

func (c *core) applyIdle(ctx context.Context, id int64, st *station) error {
	return c.commit(ctx, func(b *batch) error {
		o, err := b.tx.OrderByID(b.ctx, id)
		if err != nil {
			return err
		}
		if still, err := b.c.idleStation(b.ctx, b.tx.Snapshot, o, b.now); err != nil || still == nil { // something happened meanwhile
			return err
		}
		after := st.IdleAfter.String()
		switch st.IdleAction {
		case idleComplete:
			return b.observe(o, order.Evidence{Source: order.Idle, Event: order.StepCompleted, Station: st.Name, Reason: "nothing happened for " + after})
		case idleDiscontinue:
			return b.observe(o, order.Evidence{Source: order.Idle, Event: order.StepDiscontinued, Station: st.Name, Reason: "nothing happened for " + after})
		case idleFlag:
		}
		b.notice(o, problem.OrderIdle, problem.Args{"accession": o.AccessionNumber, "duration": after})
		if err := b.save(o); err != nil {
			return err
		}
		return b.say(o, "idle", order.Idle, problem.OrderIdle, "Nothing happened for "+after)
	})
}
