package localdb_test

import (
	"context"
	"testing"
	"time"

	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/localdb/localdbtest"
)

func TestHintsCoalesce(t *testing.T) {
	db := localdbtest.Open(t)
	t0 := localdbtest.Start
	localdbtest.Write(t, db, func(ctx context.Context, tx *localdb.Tx) error {
		if err := tx.AddHint(ctx, "7", "create", t0); err != nil {
			return err
		}
		h, ok, err := tx.DueHint(ctx, t0)
		if !ok || err != nil || h.ProvetID != "7" || h.Reason != "create" || !h.At.Equal(t0) {
			t.Fatalf("got %+v %v %v", h, ok, err)
		}
		if err := tx.AddHint(ctx, "7", "update", t0.Add(time.Second)); err != nil {
			return err
		}
		if done, err := tx.FinishHint(ctx, "7", h.Seq); done || err != nil {
			t.Errorf("a hint that changed meanwhile was finished (%v)", err)
		}
		if moved, err := tx.DeferHint(ctx, "7", h.Seq, t0.Add(time.Hour), "RH-102", "x"); moved || err != nil {
			t.Errorf("a hint that changed meanwhile was deferred (%v)", err)
		}
		if n, err := tx.HintCount(ctx); n != 1 || err != nil {
			t.Errorf("%d hints, %v", n, err)
		}
		h2, ok, err := tx.DueHint(ctx, t0)
		if !ok || err != nil || h2.Seq <= h.Seq || h2.Attempts != 0 {
			t.Errorf("got %+v %v %v", h2, ok, err)
		}
		if done, err := tx.FinishHint(ctx, "7", h2.Seq); !done || err != nil {
			t.Errorf("not finished: %v", err)
		}
		if err := tx.AddHint(ctx, "7", "poll", t0); err != nil {
			return err
		}
		h3, _, err := tx.DueHint(ctx, t0)
		if h3.Seq <= h2.Seq {
			t.Errorf("seq %d was used again after %d", h3.Seq, h2.Seq)
		}
		return err
	})
}

func TestDeferredHintWaitsUntilASignal(t *testing.T) {
	db := localdbtest.Open(t)
	t0 := localdbtest.Start
	localdbtest.Write(t, db, func(ctx context.Context, tx *localdb.Tx) error {
		for _, id := range []string{"1", "2"} {
			if err := tx.AddHint(ctx, id, "create", t0); err != nil {
				return err
			}
		}
		h, _, err := tx.DueHint(ctx, t0)
		if err != nil {
			return err
		}
		if ok, err := tx.DeferHint(ctx, h.ProvetID, h.Seq, t0.Add(time.Minute), "RH-102", "no route"); !ok || err != nil {
			t.Fatalf("%v %v", ok, err)
		}
		due, err := tx.DueHints(ctx, t0, 10)
		if err != nil || len(due) != 1 || due[0].ProvetID != "2" {
			t.Errorf("due: %+v, %v", due, err)
		}
		if ok, err := tx.FinishHint(ctx, "2", due[0].Seq); !ok || err != nil {
			t.Error(ok, err)
		}
		next, ok, err := tx.NextHintAt(ctx)
		if !ok || err != nil || !next.Equal(t0.Add(time.Minute)) {
			t.Errorf("next at %v %v %v", next, ok, err)
		}
		if err := tx.AddHint(ctx, "1", "update", t0.Add(10*time.Second)); err != nil {
			return err
		}
		h, ok, err = tx.DueHint(ctx, t0.Add(10*time.Second))
		if !ok || err != nil || h.Attempts != 1 {
			t.Errorf("got %+v %v %v", h, ok, err)
		}
		rows, err := tx.Hints(ctx, 10)
		if err != nil || len(rows) != 1 || rows[0].LastCode != "RH-102" || !rows[0].FirstAt.Equal(t0) {
			t.Errorf("got %+v %v", rows, err)
		}
		if oldest, ok, err := tx.OldestHintAt(ctx); !ok || err != nil || !oldest.Equal(t0) {
			t.Errorf("oldest %v %v %v", oldest, ok, err)
		}
		return nil
	})
}
