package appliance

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/localdb"
)

// pendingPause is the least time between two writes of refused callers.
const pendingPause = time.Second

// remember writes down who was refused until ctx ends, and keeps RH-303 as the
// database has it: at most as many as it keeps, none that a person ignores, and
// none that has been set up meanwhile.
func (g *gate) remember(ctx context.Context) error {
	if err := g.forgetConfigured(ctx); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case p := <-g.callers:
			g.write(ctx, p)
		}
		if err := sleepOr(ctx, pendingPause, nil); err != nil {
			return err
		}
	}
}

// forgetConfigured removes the pending rows of machines that are set up now.
func (g *gate) forgetConfigured(ctx context.Context) error {
	return g.c.db.Write(ctx, func(tx *localdb.Tx) error {
		for _, m := range g.machines {
			for _, title := range append([]string{m.AETitle}, m.Aliases...) {
				if err := tx.DeletePending(ctx, title); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// write stores a refused caller and those that wait behind it.
func (g *gate) write(ctx context.Context, first localdb.Pending) {
	err := g.c.db.Write(ctx, func(tx *localdb.Tx) error {
		if err := tx.NotePending(ctx, first); err != nil {
			return err
		}
		for {
			select {
			case p := <-g.callers:
				if err := tx.NotePending(ctx, p); err != nil {
					return err
				}
			default:
				return nil
			}
		}
	})
	if err = errors.Join(err, g.showPending(ctx)); err != nil && ctx.Err() == nil {
		g.c.log.LogAttrs(ctx, levelOf(err), "remembering a pending machine failed", errAttr(err))
	}
}

// showPending makes the board say who is pending.
func (g *gate) showPending(ctx context.Context) error {
	var rows []localdb.Pending
	err := g.c.db.Read(ctx, func(s *localdb.Snapshot) error {
		var err error
		rows, err = s.ListPending(ctx, false)
		return err
	})
	if err != nil {
		return err
	}
	want := map[string]problem.Args{}
	for _, p := range rows {
		subject := printable(p.CallingAETitle) + "@" + p.Address
		if _, ok := want[subject]; ok { // the last call comes first
			continue
		}
		want[subject] = problem.Args{
			"ae_title": printable(p.CallingAETitle), "address": p.Address, "called": printable(p.CalledAETitle),
			"reason": p.Reason, "count": strconv.Itoa(p.Count),
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shown = g.c.showGaps(problem.MachineUnknown, g.shown, want)
	return nil
}
