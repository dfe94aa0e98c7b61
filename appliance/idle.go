package appliance

import (
	"context"
	"slices"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
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
	for _, o := range open {
		if st := c.idleStation(o, now); st != nil {
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

// idleStation returns the machine whose rule applies to o now, or nil. The time
// runs from the last change, or from the scheduled time when that is later.
func (c *core) idleStation(o *order.Order, now time.Time) *station {
	if o.State != order.Scheduled && o.State != order.InProgress || noticed(o, problem.OrderIdle) {
		return nil
	}
	since := o.ChangedAt
	if o.Content.ScheduledAt.After(since) {
		since = o.Content.ScheduledAt
	}
	for _, name := range o.Stations() {
		if st := c.routes.byName(name); st != nil && st.IdleAfter > 0 && now.Sub(since) >= st.IdleAfter {
			return st
		}
	}
	return nil
}

func (c *core) applyIdle(ctx context.Context, id int64, st *station) error {
	return c.commit(ctx, func(b *batch) error {
		o, err := b.tx.OrderByID(b.ctx, id)
		if err != nil {
			return err
		}
		if b.c.idleStation(o, b.now) == nil { // something happened meanwhile
			return nil
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
