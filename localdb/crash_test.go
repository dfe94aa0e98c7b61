package localdb_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/localdb/localdbtest"
)

// accept is what the reconciler does with a new order, in one transaction.
func accept(ctx context.Context, db *localdb.DB, n int) error {
	return db.Write(ctx, func(tx *localdb.Tx) error {
		o := localdbtest.Order(n)
		if err := tx.InsertOrder(ctx, o); err != nil {
			return err
		}
		for _, dest := range []string{"provet", "ris:a"} {
			if _, err := tx.Enqueue(ctx, localdb.OutboxEntry{
				OrderID: o.ID, Dest: dest, Kind: "new", Payload: []byte(o.AccessionNumber), IdemKey: dest + o.AccessionNumber,
				CreatedAt: o.CreatedAt, GiveUpAt: o.CreatedAt.Add(time.Hour),
			}); err != nil {
				return err
			}
		}
		return tx.AddEntry(ctx, order.Entry{OrderID: o.ID, At: o.CreatedAt, Kind: "received", Source: "provet"})
	})
}

// whole checks that the orders 0 to some n-1 are there, each completely, and
// returns n.
func whole(tb testing.TB, db *localdb.DB) int {
	tb.Helper()
	if err := db.QuickCheck(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	n := 0
	localdbtest.Read(tb, db, func(ctx context.Context, s *localdb.Snapshot) error {
		orders, err := s.OpenOrders(ctx)
		if err != nil {
			return err
		}
		n = len(orders)
		for i, o := range orders {
			lines, err := s.Timeline(ctx, o.ID)
			if err != nil {
				return err
			}
			owed, err := s.Outbox(ctx, localdb.OutboxFilter{OrderID: o.ID})
			if err != nil {
				return err
			}
			if o.AccessionNumber != localdbtest.Order(i).AccessionNumber || len(o.Steps) != 1 || len(lines) != 1 || len(owed) != 2 {
				tb.Errorf("order %s: %d steps, %d lines, %d entries", o.AccessionNumber, len(o.Steps), len(lines), len(owed))
			}
		}
		count, err := s.CountOrders(ctx)
		if count[order.Scheduled] != n {
			tb.Errorf("counted %v, there are %d", count, n)
		}
		return err
	})
	return n
}

// Power fails while the log is being written: whatever part of it reached the
// disk, the database is some prefix of the commits, whole.
func TestPowerLoss(t *testing.T) {
	db := localdbtest.Open(t)
	ctx := t.Context()
	const commits = 20
	sizes := make([]int64, commits+1) // of the log, after each commit
	wal := db.Path() + "-wal"
	size := func() int64 {
		fi, err := os.Stat(wal)
		if err != nil {
			t.Fatal(err)
		}
		return fi.Size()
	}
	if err := db.Compact(ctx); err != nil {
		t.Fatal(err)
	}
	for i := range commits {
		if err := accept(ctx, db, i); err != nil {
			t.Fatal(err)
		}
		sizes[i+1] = size()
	}
	main, err := os.ReadFile(db.Path())
	if err != nil {
		t.Fatal(err)
	}
	frames, err := os.ReadFile(wal)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a repeatable test
	for i := range 40 {
		cut := r.IntN(len(frames) + 1)
		if i == 0 {
			cut = len(frames)
		}
		tail := make([]byte, r.IntN(9000)) // what the disk held there before
		for j := range tail {
			tail[j] = byte(r.Uint32())
		}
		path := filepath.Join(t.TempDir(), "rayhound.db")
		if err := os.WriteFile(path, main, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+"-wal", append(frames[:cut:cut], tail...), 0o600); err != nil {
			t.Fatal(err)
		}
		want := 0
		for sizes[want+1] != 0 && int64(cut) >= sizes[want+1] {
			if want++; want == commits {
				break
			}
		}
		again, err := localdb.Open(ctx, localdb.Config{Path: path})
		if err != nil {
			t.Fatalf("cut at %d of %d: %v", cut, len(frames), err)
		}
		if got := whole(t, again); got != want {
			t.Errorf("cut at %d of %d: %d orders, want %d", cut, len(frames), got, want)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// The process is killed at any moment: what it said is done is there.
func TestKill(t *testing.T) {
	if path := os.Getenv("LOCALDB_TEST_KILL"); path != "" {
		child(t, path)
		return
	}
	path := filepath.Join(t.TempDir(), "rayhound.db")
	said := 0
	for round := range 4 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKill$") //nolint:gosec // this test
		cmd.Env = append(os.Environ(), "LOCALDB_TEST_KILL="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for stop := said + 15 + 10*round; lines.Scan(); {
			if n, ok := strings.CutPrefix(lines.Text(), "done "); ok {
				if said, err = strconv.Atoi(n); err != nil {
					t.Fatal(err)
				}
				if said >= stop {
					if err := cmd.Process.Kill(); err != nil {
						t.Fatal(err)
					}
					break
				}
			}
		}
		for lines.Scan() { // what it said before it died
			if n, ok := strings.CutPrefix(lines.Text(), "done "); ok {
				if said, err = strconv.Atoi(n); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait() // it was killed
		db, err := localdb.Open(t.Context(), localdb.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		if got := whole(t, db); got < said {
			t.Errorf("round %d: %d orders, %d were acknowledged", round, got, said)
		} else {
			said = got
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// child stores orders until it is killed and says so after each.
func child(t *testing.T, path string) {
	t.Helper()
	db, err := localdb.Open(t.Context(), localdb.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	for n := whole(t, db); n < 100_000; n++ {
		if err := accept(t.Context(), db, n); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("done %d\n", n+1)
	}
}

// Several senders at once: an entry has one owner, entries of one order leave
// in order, every entry leaves once.
func TestLeasesExclude(t *testing.T) {
	db := localdbtest.Open(t)
	ctx, now := t.Context(), localdbtest.Start
	const orders, each = 5, 8
	localdbtest.Write(t, db, func(ctx context.Context, tx *localdb.Tx) error {
		for i := range orders {
			o := localdbtest.Order(i)
			if err := tx.InsertOrder(ctx, o); err != nil {
				return err
			}
			for j := range each {
				if _, err := tx.Enqueue(ctx, localdb.OutboxEntry{
					OrderID: o.ID, Dest: "ris", Kind: "k", Payload: []byte{byte(j)}, IdemKey: fmt.Sprint(i, j), CreatedAt: now, GiveUpAt: now,
				}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	var mu sync.Mutex
	next := map[int64]byte{}
	inFlight := map[int64]bool{}
	var finished atomic.Int64
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			for {
				var e *localdb.OutboxEntry
				if err := db.Write(ctx, func(tx *localdb.Tx) (err error) {
					e, err = tx.Lease(ctx, "ris", now, now.Add(time.Hour))
					return err
				}); err != nil {
					t.Error(err)
					return
				}
				if e == nil {
					if finished.Load() == orders*each {
						return
					}
					continue // the others hold what is left
				}
				mu.Lock()
				if inFlight[e.OrderID] || e.Payload[0] != next[e.OrderID] {
					t.Errorf("order %d: entry %d leased, want %d (in flight %v)", e.OrderID, e.Payload[0], next[e.OrderID], inFlight[e.OrderID])
				}
				inFlight[e.OrderID] = true
				next[e.OrderID]++
				mu.Unlock()
				runtime.Gosched() // sending
				mu.Lock()
				delete(inFlight, e.OrderID)
				mu.Unlock()
				if err := db.Write(ctx, func(tx *localdb.Tx) error {
					ok, err := tx.Finish(ctx, e.ID, e.LeaseToken, localdb.Attempt{At: now, Outcome: "accepted"}, now)
					if !ok {
						t.Error("a lease was lost")
					}
					return err
				}); err != nil {
					t.Error(err)
					return
				}
				finished.Add(1)
			}
		})
	}
	senders.Wait()
	localdbtest.Read(t, db, func(ctx context.Context, s *localdb.Snapshot) error {
		done, err := s.Outbox(ctx, localdb.OutboxFilter{States: []string{localdb.Done}})
		if len(done) != orders*each {
			t.Errorf("%d were sent", len(done))
		}
		return err
	})
}
