package appliance

import (
	"context"
	"time"

	"github.com/rayhound/rayhound/localdb"
)

const (
	// holeBack is how far a hole can reach back: a relay keeps events for 14 days.
	holeBack = 15 * 24 * time.Hour
	// sweepRetry is the pause after a sweep that failed.
	sweepRetry = 30 * time.Second
)

// sweepHoles looks at everything again whenever a hole was announced, until ctx
// ends: at our open orders, and at what Provet Cloud changed in the time a hole
// can cover. The request outlives a crash.
func (t *tunnel) sweepHoles(ctx context.Context) error {
	for {
		wait := time.Hour
		if err := t.sweepHole(ctx); err != nil && ctx.Err() == nil {
			t.log.LogAttrs(ctx, levelOf(err), "the sweep after a hole failed", errAttr(err))
			wait = sweepRetry
		}
		if err := sleepOr(ctx, wait, t.wakeSweep); err != nil {
			return err
		}
	}
}

// sweepHole sweeps when it was asked for.
func (t *tunnel) sweepHole(ctx context.Context) error {
	var asked string
	var ok bool
	err := t.core.db.Read(ctx, func(s *localdb.Snapshot) (err error) {
		asked, ok, err = s.State(ctx, keySweep)
		return err
	})
	t.sweeping.Store(ok)
	if err != nil || !ok || t.core.practice == nil {
		return err
	}
	if err := t.core.sweepOnce(ctx); err != nil {
		return err
	}
	if err := t.core.pollFrom(ctx, t.baseline, holeBack); err != nil {
		t.core.practiceFailed(err)
		return err
	}
	return t.core.db.Write(ctx, func(tx *localdb.Tx) error {
		now, still, err := tx.State(ctx, keySweep)
		if err != nil || !still || now != asked { // another hole meanwhile
			return err
		}
		t.sweeping.Store(false)
		return tx.DeleteState(ctx, keySweep)
	})
}
