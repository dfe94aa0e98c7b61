package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/localdb"
)

// perCommit is how many orders of history one transaction holds.
const perCommit = 20_000

// fill makes the database of a clinic in dir: steps that wait, and orders that
// were finished, each with the lines of its story and the machine's report in
// its ledger.
func fill(ctx context.Context, b *bench, dir string, waiting, done int) error {
	db, err := localdb.Open(ctx, localdb.Config{Path: filepath.Join(dir, "rayhound.db"), Version: "bench"})
	if err != nil {
		return err
	}
	began := time.Now()
	err = fillOrders(ctx, b, db, waiting, done)
	if closeErr := db.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("filling the database: %w", err)
	}
	if waiting+done > perCommit {
		b.say("  filled in %.0f s", time.Since(began).Seconds())
	}
	return nil
}

func fillOrders(ctx context.Context, b *bench, db *localdb.DB, waiting, done int) error {
	now := time.Now()
	for from := 0; from < done; from += perCommit {
		to := min(from+perCommit, done)
		err := db.Write(ctx, func(tx *localdb.Tx) error {
			for i := from; i < to; i++ {
				if err := store(ctx, tx, finished(i, done, now)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if to%(5*perCommit) == 0 {
			b.say("  %d of %d finished orders", to, done)
		}
	}
	return db.Write(ctx, func(tx *localdb.Tx) error {
		for o := range scheduled(waiting) {
			if err := store(ctx, tx, o); err != nil {
				return err
			}
		}
		return nil
	})
}

// store stores an order with its story so far.
func store(ctx context.Context, tx *localdb.Tx, o *order.Order) error {
	if err := tx.InsertOrder(ctx, o); err != nil {
		return err
	}
	line := func(at time.Time, kind, source, text string) error {
		return tx.AddEntry(ctx, order.Entry{OrderID: o.ID, At: at, Kind: kind, Source: source, Text: text})
	}
	if err := line(o.CreatedAt, "scheduled", "provet", "Requested in Provet Cloud and scheduled"); err != nil || o.State != order.Completed {
		return err
	}
	e := order.Evidence{
		OrderID: o.ID, ScheduledProcedureStepID: o.Steps[0].ScheduledProcedureStepID, At: o.ClosedAt, Source: order.MPPS,
		Event: order.StepCompleted, Station: o.Steps[0].Stations[0], Ref: "2.25." + o.ProvetID, Series: 1, Instances: 2,
	}
	if err := tx.AddEvidence(ctx, &e); err != nil {
		return err
	}
	return line(o.ClosedAt, "completed", "mpps", "Completed by "+e.Station+": 1 series, 2 images")
}
