package appliance

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/localdb"
)

// Keys of the state table.
const (
	keyCursor   = "provet.cursor"   // time of the newest change a poll has seen
	keyBaseline = "provet.baseline" // when the first sweep set the starting point
	keyScope    = "provet.scope"    // the departments filter of that starting point
)

const (
	// pollOverlap is how far a poll reaches behind the last one: clocks differ,
	// and a row may become visible after its time of change.
	pollOverlap = 5 * time.Minute
	// sameTick is within which two changes of a row may bear the same time.
	sameTick = 5 * time.Second
	// hintsPerCommit bounds how long one transaction holds the writer.
	hintsPerCommit = 200
)

// Signal stores a hint to look at an order; it returns after the commit, so a
// webhook may be acknowledged then.
func (c *core) Signal(ctx context.Context, provetID, reason string) error {
	if err := c.db.DiskLow(ctx); err != nil {
		return err
	}
	return c.commit(ctx, func(b *batch) error { return b.hint(provetID, reason) })
}

// hint adds a hint to the batch.
func (b *batch) hint(provetID, reason string) error {
	b.hints = true
	return b.tx.AddHint(b.ctx, provetID, reason, b.now)
}

// poll asks Provet at every interval for orders that changed, until ctx ends.
// The first poll sets the starting point: history is not replayed, only orders
// that are open are taken. pace, when set, says how long to wait instead of
// every after a poll that worked.
func (c *core) poll(ctx context.Context, every, baseline time.Duration, now chan struct{}, pace func() time.Duration) error {
	failures := 0
	for {
		err := c.pollOnce(ctx, baseline)
		wait := every
		if pace != nil {
			wait = pace()
		}
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			c.practiceFailed(err)
			c.log.LogAttrs(ctx, levelOf(err), "polling failed", errAttr(err))
			wait = min(every, delay(failures))
			failures++
		} else {
			failures = 0
			c.polledAt.Store(c.now().UnixMilli())
			c.metrics.Polled(c.now())
			c.practiceWorks()
		}
		if err := sleepOr(ctx, wait, now); err != nil {
			return err
		}
	}
}

// pollOnce turns the changes since the cursor into hints. The cursor moves in
// the transaction of the last hint, so a crash repeats and never skips.
func (c *core) pollOnce(ctx context.Context, baseline time.Duration) error {
	return c.pollFrom(ctx, baseline, 0)
}

// pollFrom is pollOnce that looks at least that far back, though not behind the
// starting point of the first poll, and forgets what it has seen before.
func (c *core) pollFrom(ctx context.Context, baseline, back time.Duration) error {
	c.polling.Lock()
	defer c.polling.Unlock()
	if err := c.db.DiskLow(ctx); err != nil {
		return err
	}
	c.board.Clear(problem.DiskLow, "")
	var cursor, begun time.Time
	var known bool
	err := c.db.Read(ctx, func(s *localdb.Snapshot) error {
		v, ok, err := s.State(ctx, keyCursor)
		if err != nil || !ok {
			return err
		}
		scope, _, err := s.State(ctx, keyScope)
		if err != nil || scope != c.scope {
			return err // another filter: what it did not let through is asked for again
		}
		known = true
		if cursor, err = time.Parse(time.RFC3339Nano, v); err != nil {
			return err
		}
		v, ok, err = s.State(ctx, keyBaseline)
		if err == nil && ok {
			begun, err = time.Parse(time.RFC3339Nano, v)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("appliance: reading the cursor: %w", err)
	}
	started := c.now()
	since, reason := cursor.Add(-pollOverlap), "poll"
	if !known {
		since, reason = started.Add(-baseline), "baseline"
	}
	if known && back > 0 {
		since = earlier(since, later(started.Add(-back), begun.Add(-baseline)))
		reason = "sweep"
	}
	newest := cursor
	var rows []provet.Row
	err = c.practice.Changed(ctx, since, func(r provet.Row) error {
		if r.Modified.After(newest) {
			newest = r.Modified
		}
		if known && back == 0 && c.recent.seen(r) {
			return nil
		}
		if !known && (r.Finished || r.Withdrawn || !r.InScope) {
			return nil
		}
		if back > 0 && r.Modified.Before(cursor.Add(-pollOverlap)) && (r.Finished || r.Withdrawn || !r.InScope) {
			return nil // old, and what we have open of it the sweep looks at
		}
		rows = append(rows, r)
		return nil
	})
	if err != nil {
		return err
	}
	settled := started
	if p, ok := c.practice.(interface{ ClockSkew() time.Duration }); ok {
		settled = started.Add(p.ClockSkew())
		started = started.Add(min(0, p.ClockSkew())) // our clock may be ahead, and be set right later
	}
	settled = settled.Add(-sameTick)
	if newest.IsZero() || newest.After(started) {
		newest = started // a time in the future must not hide what changes until then
	}
	return c.takeRows(ctx, rows, reason, newest, settled, known)
}

// takeRows stores the hints of a poll in portions, and the cursor with the last.
// A row that changed before settled cannot change again with the same time, and is
// remembered.
func (c *core) takeRows(ctx context.Context, rows []provet.Row, reason string, newest, settled time.Time, known bool) error {
	for first := true; first || len(rows) > 0; first = false {
		part := rows[:min(len(rows), hintsPerCommit)]
		rows = rows[len(part):]
		if len(part) == 0 && known && c.recent.cursor().Equal(newest) {
			return nil // nothing new since the last poll: no commit for nothing
		}
		err := c.commit(ctx, func(b *batch) error {
			for _, r := range part {
				if err := b.hint(r.ID, reason); err != nil {
					return err
				}
			}
			if len(rows) > 0 {
				return nil
			}
			if !known {
				if err := b.tx.SetState(b.ctx, keyBaseline, b.now.UTC().Format(time.RFC3339Nano)); err != nil {
					return err
				}
				if err := b.tx.SetState(b.ctx, keyScope, c.scope); err != nil {
					return err
				}
			}
			return b.tx.SetState(b.ctx, keyCursor, newest.UTC().Format(time.RFC3339Nano))
		})
		if err != nil {
			return err
		}
		for _, r := range part {
			if r.Modified.Before(settled) {
				c.recent.add(r)
			}
		}
	}
	c.recent.set(newest)
	return nil
}

// sweep puts a hint for every open order at every interval: it finds deletions
// and what no signal told.
func (c *core) sweep(ctx context.Context, every time.Duration) error {
	for {
		if err := sleepOr(ctx, every, nil); err != nil {
			return err
		}
		switch err := c.sweepOnce(ctx); {
		case err == nil:
			c.sweptAt.Store(c.now().UnixMilli())
		case ctx.Err() == nil:
			c.log.LogAttrs(ctx, levelOf(err), "sweep failed", errAttr(err))
		}
	}
}

func (c *core) sweepOnce(ctx context.Context) error {
	var ids []string
	err := c.db.Read(ctx, func(s *localdb.Snapshot) error {
		open, err := s.OpenOrders(ctx)
		for _, o := range open {
			if o.ProvetID != "" {
				ids = append(ids, o.ProvetID)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	for len(ids) > 0 {
		part := ids[:min(len(ids), hintsPerCommit)]
		ids = ids[len(part):]
		err := c.commit(ctx, func(b *batch) error {
			for _, id := range part {
				if err := b.hint(id, "sweep"); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// practiceFailed shows on the board why Provet could not be used.
func (c *core) practiceFailed(err error) {
	p := practiceProblem(err)
	if p == nil || p.Code == problem.ReportRefused { // that one is told of its order
		return
	}
	c.showPermissions()
	switch p.Code {
	case problem.ProvetPermission: // told of its resource
	case problem.ProvetField:
		c.showUnmapped([]*problem.Error{p}, false)
	case problem.DiskLow, problem.DBRead, problem.DBDamaged: // nothing of Provet's
		c.board.Raise(p.Code, "", p.Args)
	default:
		c.board.Raise(p.Code, destProvet, p.Args)
	}
}

// practiceProblem returns the problem that an error of the practice system is.
func practiceProblem(err error) *problem.Error {
	var pe *provet.Error
	if errors.As(err, &pe) {
		return pe.Problem()
	}
	return problem.Of(err)
}

// practiceWorks takes down what says that Provet cannot be used. When something
// was said, what waits because of it is due at once: an outage of an hour must
// not cost a quarter of an hour more.
func (c *core) practiceWorks() {
	if c.outageEnded() {
		c.endBackOff()
	}
	for _, code := range []problem.Code{
		problem.ProvetAuth, problem.ProvetUnreachable, problem.ProvetBaseURL,
		problem.ProvetAnswer, problem.ProvetLimit, problem.ProvetUnconfigured,
	} {
		c.board.Clear(code, destProvet)
	}
	c.showPermissions()
}

// recentRows remembers the rows of the last polls by id and time of change.
type recentRows struct {
	mu     sync.Mutex
	rows   map[string]recentRow
	newest time.Time
}

type recentRow struct {
	modified time.Time
	status   string
}

// maxRecent bounds the memory; when it is reached everything is forgotten,
// which costs one reading of each row.
const maxRecent = 20_000

func (r *recentRows) seen(row provet.Row) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, ok := r.rows[row.ID]
	return ok && !row.Modified.IsZero() && old.modified.Equal(row.Modified) && old.status == row.Status
}

func (r *recentRows) add(row provet.Row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rows == nil || len(r.rows) >= maxRecent {
		r.rows = map[string]recentRow{}
	}
	r.rows[row.ID] = recentRow{row.Modified, row.Status}
}

func (r *recentRows) cursor() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.newest
}

func (r *recentRows) set(newest time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.newest = newest
}

// openOrders returns every open order, for the start.
func (c *core) openOrders(ctx context.Context) (open []*order.Order, err error) {
	err = c.db.Read(ctx, func(s *localdb.Snapshot) error {
		open, err = s.OpenOrders(ctx)
		return err
	})
	return open, err
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
