package localdb_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/localdb/localdbtest"
)

// modelEntry is what the model knows of an entry.
type modelEntry struct {
	id, order  int64
	dest, key  string
	state      string
	nextAt     time.Time
	leaseUntil time.Time
	token      string
}

// outboxModel throws random adds, answers, pauses, clock jumps and restarts at
// an outbox and knows what must come out.
type outboxModel struct {
	db      *localdb.DB
	cfg     localdb.Config
	now     time.Time
	orders  []int64
	entries []*modelEntry
	paused  map[string]bool
	hold    map[string]time.Time
	stale   []modelEntry // leases that were lost
}

var modelDests = []string{"provet", "ris:a"}

func (m *outboxModel) write(t *rapid.T, fn func(ctx context.Context, tx *localdb.Tx) error) {
	t.Helper()
	ctx := context.Background()
	if err := m.db.Write(ctx, func(tx *localdb.Tx) error { return fn(ctx, tx) }); err != nil {
		t.Fatal(err)
	}
}

func (m *outboxModel) pick(t *rapid.T, states ...string) *modelEntry {
	var some []*modelEntry
	for _, e := range m.entries {
		if slices.Contains(states, e.state) {
			some = append(some, e)
		}
	}
	if len(some) == 0 {
		t.Skip("no such entry")
	}
	return rapid.SampledFrom(some).Draw(t, "entry")
}

// next is the entry that a lease must give, by the rules.
func (m *outboxModel) next(dest string) *modelEntry {
	if m.paused[dest] || m.hold[dest].After(m.now) {
		return nil
	}
	var best *modelEntry
	for i, e := range m.entries {
		if e.dest != dest || e.state != localdb.Ready || e.nextAt.After(m.now) {
			continue
		}
		blocked := slices.ContainsFunc(m.entries[:i], func(p *modelEntry) bool {
			return p.dest == dest && p.order == e.order && slices.Contains([]string{localdb.Ready, localdb.Leased, localdb.Parked}, p.state)
		})
		if !blocked && (best == nil || e.nextAt.Before(best.nextAt)) {
			best = e
		}
	}
	return best
}

func (m *outboxModel) add(t *rapid.T) {
	o := rapid.SampledFrom(m.orders).Draw(t, "order")
	dest := rapid.SampledFrom(modelDests).Draw(t, "dest")
	key := fmt.Sprint(rapid.IntRange(0, 40).Draw(t, "key"))
	var added bool
	m.write(t, func(ctx context.Context, tx *localdb.Tx) (err error) {
		added, err = tx.Enqueue(ctx, localdb.OutboxEntry{
			OrderID: o, Dest: dest, Kind: "k", Payload: []byte(key), IdemKey: key, CreatedAt: m.now, GiveUpAt: m.now.Add(72 * time.Hour),
		})
		return err
	})
	known := slices.ContainsFunc(m.entries, func(e *modelEntry) bool { return e.key == key })
	if added == known {
		t.Fatalf("key %s: added %v, known %v", key, added, known)
	}
	if added {
		m.entries = append(m.entries, &modelEntry{id: int64(len(m.entries) + 1), order: o, dest: dest, key: key, state: localdb.Ready, nextAt: m.now})
	}
}

func (m *outboxModel) lease(t *rapid.T) {
	dest := rapid.SampledFrom(modelDests).Draw(t, "dest")
	want := m.next(dest)
	until := m.now.Add(time.Duration(rapid.IntRange(1, 60).Draw(t, "lease")) * time.Second)
	var got *localdb.OutboxEntry
	m.write(t, func(ctx context.Context, tx *localdb.Tx) (err error) {
		at, ok, err := tx.NextOutboxAt(ctx, dest, m.now)
		if err != nil {
			return err
		}
		if (ok && at.Equal(m.now)) != (want != nil) {
			t.Fatalf("NextOutboxAt says %v %v at %v, the model %v", at, ok, m.now, want)
		}
		got, err = tx.Lease(ctx, dest, m.now, until)
		return err
	})
	if (got == nil) != (want == nil) || got != nil && got.IdemKey != want.key {
		t.Fatalf("leased %+v, want %+v", got, want)
	}
	if got == nil {
		return
	}
	if string(got.Payload) != want.key {
		t.Fatalf("other bytes: %q", got.Payload)
	}
	want.id, want.state, want.token, want.leaseUntil = got.ID, localdb.Leased, got.LeaseToken, until
}

// answer settles a lease, or tries to with one that was lost.
func (m *outboxModel) answer(t *rapid.T) {
	if len(m.stale) > 0 && rapid.Bool().Draw(t, "late") {
		e := rapid.SampledFrom(m.stale).Draw(t, "stale")
		m.write(t, func(ctx context.Context, tx *localdb.Tx) error {
			ok, err := tx.Finish(ctx, e.id, e.token, localdb.Attempt{At: m.now, Outcome: "accepted"}, m.now)
			if ok {
				t.Fatal("a lost lease finished an entry")
			}
			return err
		})
		return
	}
	e := m.pick(t, localdb.Leased)
	how := rapid.SampledFrom([]string{"finish", "retry", "park", "abandon"}).Draw(t, "answer")
	m.write(t, func(ctx context.Context, tx *localdb.Tx) (err error) {
		var ok bool
		a := localdb.Attempt{At: m.now, Outcome: how}
		switch how {
		case "finish":
			ok, err = tx.Finish(ctx, e.id, e.token, a, m.now)
			e.state = localdb.Done
		case "retry":
			e.nextAt = m.now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "wait")) * time.Second)
			ok, err = tx.Retry(ctx, e.id, e.token, a, e.nextAt)
			e.state = localdb.Ready
		case "park":
			ok, err = tx.Park(ctx, e.id, e.token, a)
			e.state = localdb.Parked
		case "abandon":
			ok, err = tx.Abandon(ctx, e.id, e.token, a, m.now)
			e.state = localdb.Dropped
		}
		if !ok {
			t.Fatal("a lease that is held was refused")
		}
		return err
	})
}

func (m *outboxModel) clock(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(1, 90).Draw(t, "seconds")) * time.Second)
	m.lose(t, func(e *modelEntry) bool { return !e.leaseUntil.After(m.now) }, func(ctx context.Context, tx *localdb.Tx) (int, error) {
		return tx.ExpireLeases(ctx, m.now)
	})
}

func (m *outboxModel) lose(t *rapid.T, which func(*modelEntry) bool, fn func(context.Context, *localdb.Tx) (int, error)) {
	n := 0
	for _, e := range m.entries {
		if e.state == localdb.Leased && which(e) {
			m.stale = append(m.stale, *e)
			e.state = localdb.Ready
			n++
		}
	}
	m.write(t, func(ctx context.Context, tx *localdb.Tx) error {
		got, err := fn(ctx, tx)
		if got != n {
			t.Fatalf("%d leases ended, want %d", got, n)
		}
		return err
	})
}

func (m *outboxModel) restart(t *rapid.T) {
	if err := m.db.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := localdb.Open(context.Background(), m.cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.db = db
	m.lose(t, func(*modelEntry) bool { return true }, func(ctx context.Context, tx *localdb.Tx) (int, error) { return tx.ReleaseLeases(ctx) })
}

func (m *outboxModel) pause(t *rapid.T) {
	dest := rapid.SampledFrom(modelDests).Draw(t, "dest")
	m.write(t, func(ctx context.Context, tx *localdb.Tx) error {
		if !m.paused[dest] {
			m.paused[dest] = true
			return tx.Pause(ctx, dest, "somebody", "RIS update", m.now)
		}
		delete(m.paused, dest)
		delete(m.hold, dest)
		was, err := tx.Resume(ctx, dest)
		if !was {
			t.Fatal("it was not paused")
		}
		return err
	})
}

func (m *outboxModel) holdBack(t *rapid.T) {
	dest := rapid.SampledFrom(modelDests).Draw(t, "dest")
	m.hold[dest] = m.now.Add(time.Duration(rapid.IntRange(0, 60).Draw(t, "hold")) * time.Second)
	m.write(t, func(ctx context.Context, tx *localdb.Tx) error { return tx.Hold(ctx, dest, m.hold[dest], 1) })
}

func (m *outboxModel) again(t *rapid.T) {
	e := m.pick(t, localdb.Parked, localdb.Ready)
	m.write(t, func(ctx context.Context, tx *localdb.Tx) error {
		id := m.id(ctx, t, tx, e)
		ok, err := tx.RetryNow(ctx, id, m.now, m.now.Add(72*time.Hour))
		if !ok {
			t.Fatal("refused")
		}
		return err
	})
	e.state, e.nextAt = localdb.Ready, m.now
	delete(m.hold, e.dest)
}

func (m *outboxModel) drop(t *rapid.T) {
	e := m.pick(t, localdb.Parked, localdb.Ready, localdb.Leased, localdb.Done)
	m.write(t, func(ctx context.Context, tx *localdb.Tx) error {
		ok, err := tx.Drop(ctx, m.id(ctx, t, tx, e), "pointless", m.now)
		if may := e.state == localdb.Parked || e.state == localdb.Ready; ok != may {
			t.Fatalf("dropping a %s entry: %v", e.state, ok)
		} else if may {
			e.state = localdb.Dropped
		}
		return err
	})
}

func (m *outboxModel) dropUnsent(t *rapid.T) {
	o, dest := rapid.SampledFrom(m.orders).Draw(t, "order"), rapid.SampledFrom(modelDests).Draw(t, "dest")
	n := 0
	for _, e := range m.entries {
		if e.order == o && e.dest == dest && (e.state == localdb.Ready || e.state == localdb.Parked) {
			e.state = localdb.Dropped
			n++
		}
	}
	m.write(t, func(ctx context.Context, tx *localdb.Tx) error {
		got, err := tx.DropUnsent(ctx, o, dest, "withdrawn", m.now, "k", "another")
		if got != n {
			t.Fatalf("dropped %d, want %d", got, n)
		}
		return err
	})
}

// id finds an entry in the database.
func (m *outboxModel) id(ctx context.Context, t *rapid.T, tx *localdb.Tx, e *modelEntry) int64 {
	list, err := tx.Outbox(ctx, localdb.OutboxFilter{States: []string{e.state}})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range list {
		if l.IdemKey == e.key {
			return l.ID
		}
	}
	t.Fatalf("%s is not there as %s", e.key, e.state)
	return 0
}

// check compares everything: nothing lost, nothing doubled, states as expected.
func (m *outboxModel) check(t *rapid.T) {
	m.write(t, func(ctx context.Context, tx *localdb.Tx) error {
		list, err := tx.Outbox(ctx, localdb.OutboxFilter{States: []string{"ready", "leased", "parked", "done", "dropped"}, Limit: 5000})
		if err != nil {
			return err
		}
		if len(list) != len(m.entries) {
			t.Fatalf("%d entries, want %d", len(list), len(m.entries))
		}
		for i, e := range list { // both in the order of sending
			if w := m.entries[i]; e.IdemKey != w.key || e.State != w.state {
				t.Fatalf("entry %d is %s %s, want %s %s", i, e.IdemKey, e.State, w.key, w.state)
			}
		}
		stats, err := tx.OutboxStats(ctx)
		for _, s := range stats {
			n := map[string]int{}
			for _, e := range m.entries {
				if e.dest == s.Dest {
					n[e.state]++
				}
			}
			if s.Ready != n["ready"] || s.Leased != n["leased"] || s.Parked != n["parked"] || s.PausedAt.IsZero() == m.paused[s.Dest] {
				t.Fatalf("stats %+v, want %v", s, n)
			}
		}
		return err
	})
}

func TestOutboxAgainstModel(t *testing.T) {
	dir := t.TempDir()
	round := 0
	rapid.Check(t, func(t *rapid.T) {
		round++
		m := &outboxModel{
			cfg: localdb.Config{Path: filepath.Join(dir, fmt.Sprint(round), "rayhound.db")},
			now: localdbtest.Start, paused: map[string]bool{}, hold: map[string]time.Time{},
		}
		var err error
		if m.db, err = localdb.Open(context.Background(), m.cfg); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := m.db.Close(); err != nil {
				t.Error(err)
			}
		}()
		m.write(t, func(ctx context.Context, tx *localdb.Tx) error {
			for i := range 3 {
				o := localdbtest.Order(i)
				if err := tx.InsertOrder(ctx, o); err != nil {
					return err
				}
				m.orders = append(m.orders, o.ID)
			}
			return nil
		})
		t.Repeat(map[string]func(*rapid.T){
			"add": m.add, "add more": m.add, "lease": m.lease, "lease more": m.lease, "answer": m.answer, "answer more": m.answer,
			"clock": m.clock, "restart": m.restart, "pause": m.pause, "hold": m.holdBack, "again": m.again,
			"drop": m.drop, "drop unsent": m.dropUnsent, "": m.check,
		})
	})
}
