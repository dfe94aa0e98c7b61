package localdb_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/localdb/localdbtest"
)

var finished = flag.Int("finished", 20_000, "finished orders in the database of the benchmarks")

// filled is a database with many finished orders and 100 open ones, made once.
func filled(b *testing.B) *localdb.DB {
	b.Helper()
	db := localdbtest.Open(b)
	start := time.Now()
	localdbtest.FillMany(b, db, 1000, *finished)
	b.Logf("filled %d orders in %v", *finished, time.Since(start))
	for i := range 100 {
		insert(b, db, localdbtest.Order(i))
	}
	if err := db.Optimize(b.Context()); err != nil {
		b.Fatal(err)
	}
	if st, err := os.Stat(db.Path()); err == nil {
		b.Logf("database of %d MB", st.Size()>>20)
	}
	return db
}

// BenchmarkAmongFinished shows that history costs nothing.
func BenchmarkAmongFinished(b *testing.B) {
	db := filled(b)
	ctx := b.Context()
	read := func(name string, f func(s *localdb.Snapshot, i int) error) {
		b.Run(name, func(b *testing.B) {
			i := 0
			for b.Loop() {
				i++
				if err := db.Read(ctx, func(s *localdb.Snapshot) error { return f(s, i) }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	nth := func(i int) string { return fmt.Sprint(11_000 + i*7919%*finished) }
	read("OpenOrders100", func(s *localdb.Snapshot, _ int) error {
		o, err := s.OpenOrders(ctx)
		if len(o) != 100 {
			b.Fatal(len(o))
		}
		return err
	})
	read("ByAccession", func(s *localdb.Snapshot, i int) error { _, err := s.OrderByAccession(ctx, nth(i)); return err })
	read("ByStep", func(s *localdb.Snapshot, i int) error { _, err := s.OrderByStepID(ctx, nth(i)+"-1"); return err })
	read("CountOrders", func(s *localdb.Snapshot, _ int) error { _, err := s.CountOrders(ctx); return err })
	read("Newest50", func(s *localdb.Snapshot, _ int) error {
		_, err := s.FindOrders(ctx, localdb.OrderFilter{Limit: 50})
		return err
	})
	read("Open50", func(s *localdb.Snapshot, _ int) error {
		_, err := s.FindOrders(ctx, localdb.OrderFilter{States: []order.State{order.Scheduled, order.InProgress}, Limit: 50})
		return err
	})
	read("SearchHit", func(s *localdb.Snapshot, _ int) error {
		_, err := s.FindOrders(ctx, localdb.OrderFilter{Search: "bella", Limit: 50})
		return err
	})
	read("SearchMiss", func(s *localdb.Snapshot, _ int) error {
		_, err := s.FindOrders(ctx, localdb.OrderFilter{Search: "nobody has this name", Limit: 50})
		return err
	})
	read("ForPatient", func(s *localdb.Snapshot, i int) error {
		_, err := s.OrdersForPatient(ctx, fmt.Sprint(500+i%1000), time.Time{})
		return err
	})
	b.Run("OutboxRound", func(b *testing.B) {
		var id int64
		localdbtest.Read(b, db, func(ctx context.Context, s *localdb.Snapshot) error {
			o, err := s.OrderByAccession(ctx, "10001")
			id = o.ID
			return err
		})
		i, now := 0, localdbtest.Start
		for b.Loop() {
			i++
			localdbtest.Write(b, db, func(ctx context.Context, tx *localdb.Tx) error {
				_, err := tx.Enqueue(ctx, localdb.OutboxEntry{
					OrderID: id, Dest: "provet", Kind: "status", Payload: []byte("x"),
					IdemKey: fmt.Sprint(i, b.N), CreatedAt: now, GiveUpAt: now.Add(time.Hour),
				})
				return err
			})
			localdbtest.Write(b, db, func(ctx context.Context, tx *localdb.Tx) error {
				e, err := tx.Lease(ctx, "provet", now, now.Add(time.Minute))
				if err != nil {
					return err
				}
				_, err = tx.Finish(ctx, e.ID, e.LeaseToken, localdb.Attempt{At: now, Outcome: "accepted"}, now)
				return err
			})
		}
		b.ReportMetric(float64(2*b.N)/b.Elapsed().Seconds(), "commits/s")
	})
	b.Run("Start", func(b *testing.B) {
		cfg := localdb.Config{Path: db.Path()}
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			again, err := localdb.Open(ctx, cfg)
			if err != nil {
				b.Fatal(err)
			}
			if err := again.Read(ctx, func(s *localdb.Snapshot) error { _, err := s.OpenOrders(ctx); return err }); err != nil {
				b.Fatal(err)
			}
			if err := again.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkHintToOrder is the whole way of a new order through the database:
// one commit for the hint, one for order, timeline, outbox and the hint's end.
func BenchmarkHintToOrder(b *testing.B) {
	db := localdbtest.Open(b)
	now := localdbtest.Start
	i := 0
	for b.Loop() {
		i++
		o := localdbtest.Order(i)
		localdbtest.Write(b, db, func(ctx context.Context, tx *localdb.Tx) error { return tx.AddHint(ctx, o.ProvetID, "create", now) })
		localdbtest.Write(b, db, func(ctx context.Context, tx *localdb.Tx) error {
			h, _, err := tx.DueHint(ctx, now)
			if err != nil {
				return err
			}
			if err := tx.InsertOrder(ctx, o); err != nil {
				return err
			}
			if err := tx.AddEntry(ctx, order.Entry{OrderID: o.ID, At: now, Kind: "received", Source: "provet", Text: "New order"}); err != nil {
				return err
			}
			for _, dest := range []string{"provet", "ris:clinic"} {
				if _, err := tx.Enqueue(ctx, localdb.OutboxEntry{
					OrderID: o.ID, Dest: dest, Kind: "new", Payload: []byte("x"),
					IdemKey: dest + o.ProvetID, CreatedAt: now, GiveUpAt: now.Add(time.Hour),
				}); err != nil {
					return err
				}
			}
			_, err = tx.FinishHint(ctx, h.ProvetID, h.Seq)
			return err
		})
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "orders/s")
}
