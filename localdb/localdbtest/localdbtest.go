// Package localdbtest opens databases for tests. It never ships.
package localdbtest

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/localdb"
)

// Start is when the invented orders begin.
var Start = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// Open returns a new database in a folder of the test, closed at its end.
func Open(tb testing.TB, change ...func(*localdb.Config)) *localdb.DB {
	tb.Helper()
	cfg := localdb.Config{Path: filepath.Join(tb.TempDir(), "data", "rayhound.db"), Version: "test"}
	for _, c := range change {
		c(&cfg)
	}
	db, err := localdb.Open(tb.Context(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db
}

// Write runs fn in a transaction and fails the test on an error.
func Write(tb testing.TB, db *localdb.DB, fn func(context.Context, *localdb.Tx) error) {
	tb.Helper()
	ctx := context.WithoutCancel(tb.Context()) // may run in a cleanup
	if err := db.Write(ctx, func(tx *localdb.Tx) error { return fn(ctx, tx) }); err != nil {
		tb.Fatal(err)
	}
}

// Read runs fn on a snapshot and fails the test on an error.
func Read(tb testing.TB, db *localdb.DB, fn func(context.Context, *localdb.Snapshot) error) {
	tb.Helper()
	ctx := context.WithoutCancel(tb.Context())
	if err := db.Read(ctx, func(s *localdb.Snapshot) error { return fn(ctx, s) }); err != nil {
		tb.Fatal(err)
	}
}

// Order returns the n-th invented order, scheduled on one machine.
func Order(n int) *order.Order {
	made := Start.Add(time.Duration(n) * time.Minute)
	names := []string{"Bella", "Luna", "Milo", "Rocky", "Nala", "Šárka", "Ägir"}
	o := &order.Order{
		ProvetID: fmt.Sprint(10_000 + n), AccessionNumber: fmt.Sprint(10_000 + n),
		StudyInstanceUID: fmt.Sprintf("2.25.%d", 7_000_000_000_000+n), RequestedProcedureID: fmt.Sprintf("R%d", 10_000+n),
		State: order.Scheduled, Revision: 1,
		Steps: []order.Step{{
			ScheduledProcedureStepID: fmt.Sprintf("%d-1", 10_000+n), Modality: order.Ref{ID: "3", Name: "X-ray"},
			Stations: []string{"X-ray room 1"}, State: order.Scheduled,
		}},
		Content: order.Content{
			Patient: order.Patient{
				ID: fmt.Sprint(500 + n/3), Name: names[n%len(names)], Species: "Dog", Breed: "Mixed breed", Sex: order.Female,
				Neutered: order.Altered, BirthDate: "2020-05-17", WeightKG: 12.5,
			},
			Owner:      order.Owner{ID: fmt.Sprint(90 + n/6), FirstName: "Test", LastName: fmt.Sprintf("Owner%d", n/6)},
			Modalities: []order.Ref{{ID: "3", Name: "X-ray"}}, TargetAreas: []order.Ref{{ID: "7", Name: "Thorax"}},
			Department: order.Ref{ID: "1", Name: "Small animals"}, Complaint: "Coughs since Monday",
			RequestedAt: made,
		},
		CreatedAt: made, ChangedAt: made,
	}
	o.ContentHash = o.Content.Hash()
	return o
}

// Finished returns the n-th invented order, completed.
func Finished(n int) *order.Order {
	o := Order(n)
	o.State, o.ClosedAt, o.ChangedAt = order.Completed, o.CreatedAt.Add(time.Hour), o.CreatedAt.Add(time.Hour)
	o.Steps[0].State, o.Steps[0].StartedAt, o.Steps[0].EndedAt = order.Completed, o.CreatedAt.Add(50*time.Minute), o.ClosedAt
	return o
}

// Fill stores n finished orders, the from-th and the following.
func Fill(tb testing.TB, db *localdb.DB, from, n int) {
	tb.Helper()
	const batch = 20_000
	for n > 0 {
		k := min(n, batch)
		Write(tb, db, func(ctx context.Context, tx *localdb.Tx) error {
			for i := range k {
				if err := tx.InsertOrder(ctx, Finished(from+i)); err != nil {
					return err
				}
			}
			return nil
		})
		from, n = from+k, n-k
	}
}
