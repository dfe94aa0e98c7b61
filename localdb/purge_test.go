package localdb_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/localdb/localdbtest"
)

const day = 24 * time.Hour

func readable(t *testing.T, db *localdb.DB, marker string) int {
	t.Helper()
	n := 0
	for _, s := range []string{"", "-wal"} {
		b, err := os.ReadFile(db.Path() + s)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		n += bytes.Count(b, []byte(marker))
	}
	return n
}

// What was purged is not readable in the files.
func TestPurgeLeavesNoBytes(t *testing.T) {
	const marker = "ZEBRAFISH"
	ck := &clock{t: localdbtest.Start.Add(day)}
	db := localdbtest.Open(t, func(c *localdb.Config) { c.Now = ck.now })
	t0 := localdbtest.Start
	localdbtest.Write(t, db, func(ctx context.Context, tx *localdb.Tx) error {
		for i := range 250 {
			o := localdbtest.Finished(i)
			o.Content.Patient.Name, o.Content.Owner.LastName = fmt.Sprint(marker, i), marker
			var err error
			errs := []error{tx.InsertOrder(ctx, o)}
			errs = append(errs,
				tx.AddEntry(ctx, order.Entry{OrderID: o.ID, At: t0, Kind: "received", Text: marker}),
				tx.AddEvidence(ctx, &order.Evidence{OrderID: o.ID, At: t0, Reason: marker}),
				tx.AddRaw(ctx, localdb.Raw{Kind: "provet", OrderID: o.ID, At: t0, Bytes: bytes.Repeat([]byte(marker), 900)}),
				tx.AddRaw(ctx, localdb.Raw{Kind: "webhook", At: t0, Bytes: []byte(marker)}),
				tx.InsertPerformedStep(ctx, &localdb.PerformedStep{
					SOPInstanceUID: fmt.Sprint("1.2.", i), PatientName: marker, CreatedAt: t0, ChangedAt: t0,
					OrderRefs: []localdb.StepRef{{OrderID: o.ID, ScheduledProcedureStepID: "x"}},
				}),
				tx.InsertArrival(ctx, &localdb.Arrival{Kind: "mpps", At: t0, PatientName: marker, State: localdb.ArrivalLinked, LinkedOrderID: o.ID}),
				tx.InsertArrival(ctx, &localdb.Arrival{Kind: "mpps", At: t0, PatientName: marker}),
				tx.AddQueries(ctx, []localdb.QueryLog{{At: t0, Machine: "DR1", Keys: []byte(`{"PatientName":"` + marker + `"}`), Matched: []int64{o.ID}}}),
			)
			_, err = tx.Enqueue(ctx, localdb.OutboxEntry{
				OrderID: o.ID, Dest: "ris", Kind: "NW", Payload: []byte(marker), IdemKey: fmt.Sprint(i), CreatedAt: t0, GiveUpAt: t0,
			})
			errs = append(errs, err)
			_, err = tx.DropUnsent(ctx, o.ID, "ris", "test", t0)
			if err := errors.Join(append(errs, err)...); err != nil {
				return err
			}
		}
		return nil
	})
	if readable(t, db, marker) == 0 {
		t.Fatal("the test cannot see the marker at all")
	}
	if err := db.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	ck.add(91 * day)
	start := fileBytes(t, db)
	r, err := db.Purge(t.Context(), localdb.PurgePolicy{Orders: 90 * day, Raw: 14 * day, Audit: 365 * day, Pending: 90 * day, Problems: 30 * day})
	if err != nil {
		t.Fatal(err)
	}
	if r.Orders != 250 || r.PerformedSteps != 250 || r.Arrivals != 500 || !r.Truncated {
		t.Errorf("got %+v", r)
	}
	if n := readable(t, db, marker); n != 0 {
		t.Errorf("%d markers are still readable", n)
	}
	if end := fileBytes(t, db); end > start/2 {
		t.Errorf("the file went from %d to %d bytes only", start, end)
	}
	localdbtest.Read(t, db, func(ctx context.Context, s *localdb.Snapshot) error {
		tomb, err := s.TombstoneByProvetID(ctx, "10007")
		if err != nil || tomb.AccessionNumber != "10007" || tomb.StudyInstanceUID != localdbtest.Order(7).StudyInstanceUID {
			t.Errorf("tombstone %+v, %v", tomb, err)
		}
		n, err := s.CountOrders(ctx)
		if n[order.Completed] != 0 {
			t.Errorf("counted %v", n)
		}
		return err
	})
	if err := db.QuickCheck(t.Context()); err != nil {
		t.Error(err)
	}
}

func fileBytes(t *testing.T, db *localdb.DB) int64 {
	t.Helper()
	st, err := db.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st.FileBytes
}

func TestPurgeKeepsWhatIsNeeded(t *testing.T) {
	ck := &clock{t: localdbtest.Start.Add(100 * day)}
	db := localdbtest.Open(t, func(c *localdb.Config) { c.Now = ck.now })
	open, recent, owes := localdbtest.Order(1), localdbtest.Finished(2), localdbtest.Finished(3)
	recent.ClosedAt = ck.now().Add(-89 * day)
	insert(t, db, open, recent, owes)
	localdbtest.Write(t, db, func(ctx context.Context, tx *localdb.Tx) error {
		_, err := tx.Enqueue(ctx, localdb.OutboxEntry{OrderID: owes.ID, Dest: "provet", Kind: "status", Payload: []byte("x"), IdemKey: "1", CreatedAt: ck.now()})
		return errors.Join(err, tx.AddRaw(ctx, localdb.Raw{Kind: "mpps", OrderID: open.ID, At: localdbtest.Start, Bytes: []byte("old")}))
	})
	policy := localdb.PurgePolicy{Orders: 90 * day, Raw: 14 * day}
	r, err := db.Purge(t.Context(), policy)
	if err != nil || r.Orders != 0 || r.Raw != 1 || r.Payloads != 0 {
		t.Fatalf("got %+v %v", r, err)
	}
	localdbtest.Read(t, db, func(ctx context.Context, s *localdb.Snapshot) error {
		raw, err := s.RawOf(ctx, open.ID)
		if err != nil || len(raw) != 1 || raw[0].Bytes != nil {
			t.Errorf("raw %+v %v", raw, err)
		}
		return nil
	})
	ck.add(100 * day) // now even what is owed is pointless
	r, err = db.Purge(t.Context(), policy)
	if err != nil || r.Orders != 2 {
		t.Fatalf("got %+v %v", r, err)
	}
}

func TestPurgeWithNothingToDo(t *testing.T) {
	db := localdbtest.Open(t)
	if r, err := db.Purge(t.Context(), localdb.PurgePolicy{}); err != nil || r != (localdb.PurgeResult{Truncated: true}) {
		t.Errorf("got %+v %v", r, err)
	}
	if err := db.Optimize(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestDeleteOrderAtOnce(t *testing.T) {
	db := localdbtest.Open(t)
	o := localdbtest.Order(1)
	o.Content.Patient.Name = "ZEBRAFISH"
	insert(t, db, o)
	localdbtest.Write(t, db, func(ctx context.Context, tx *localdb.Tx) error { return tx.DeleteOrder(ctx, o.ID, localdbtest.Start) })
	if err := db.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := readable(t, db, "ZEBRAFISH"); n != 0 {
		t.Errorf("%d markers are still readable", n)
	}
	err := db.Write(t.Context(), func(tx *localdb.Tx) error { return tx.DeleteOrder(t.Context(), o.ID, localdbtest.Start) })
	if !errors.Is(err, localdb.ErrNotFound) {
		t.Errorf("a second time: %v", err)
	}
}
