//go:build peers && linux

package pgstore_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relay/pgstore"
	"github.com/rayhound/rayhound/tunnel/relay/storetest"
	"github.com/rayhound/rayhound/tunnel/relay/storetest/pgtest"
	"github.com/rayhound/rayhound/tunnel/wire"
)

func event(body string) relay.Event {
	return relay.Event{ReceivedAt: storetest.Start, Kind: wire.KindTest, Body: []byte(body)}
}

func addClinic(t testing.TB, s *pgstore.Store) {
	t.Helper()
	if err := s.AddClinic(t.Context(), relay.Clinic{ID: "a", Name: "A", CreatedAt: storetest.Start}); err != nil {
		t.Fatal(err)
	}
}

// stored reads the whole mailbox of clinic a.
func stored(t testing.TB, s *pgstore.Store) map[string]wire.Seq {
	t.Helper()
	out := map[string]wire.Seq{}
	for from := wire.Seq(0); ; {
		part, err := s.After(t.Context(), "a", from, 1000, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if len(part) == 0 {
			return out
		}
		for _, e := range part {
			out[string(e.Body)], from = e.Seq, e.Seq
		}
	}
}

// The server is killed under load and comes back: what was answered is there, and the same Store goes on.
func TestKillServer(t *testing.T) {
	server := pgtest.Start(t)
	s := open(t, server.NewDatabase(t))
	addClinic(t, s)
	var mu sync.Mutex
	said := map[string]wire.Seq{}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(said) }
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var working sync.WaitGroup
	for w := range 8 {
		working.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				body := string(rune('a'+w)) + time.Duration(i).String()
				seq, err := s.Append(ctx, "a", event(body))
				switch {
				case err == nil:
					mu.Lock()
					said[body] = seq
					mu.Unlock()
				case !errors.Is(err, relay.ErrUnavailable) && !errors.Is(err, context.Canceled):
					t.Errorf("not a retryable error: %v", err)
				}
			}
		})
	}
	reach := func(n int) {
		t.Helper()
		limit, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		for tick := time.NewTicker(2 * time.Millisecond); count() < n; <-tick.C {
			if limit.Err() != nil {
				t.Fatalf("%d of %d were stored", count(), n)
			}
		}
	}
	for range 3 {
		reach(count() + 200)
		server.Kill()
		server.Restart(t)
	}
	reach(count() + 200)
	cancel()
	working.Wait()
	have := stored(t, s)
	for body, seq := range said {
		if have[body] != seq {
			t.Errorf("%q was answered with %d and is stored as %d", body, seq, have[body])
		}
	}
	t.Logf("%d answered, %d stored", len(said), len(have))
}

// The process is killed; the server stays.
func TestKill(t *testing.T) {
	dsn := ""
	if !storetest.IsChild() {
		dsn = pgtest.Start(t).NewDatabase(t)
	}
	storetest.Kill(t, "TestKill", 3, dsn, func(t testing.TB, dsn string) storetest.Store { return open(t, dsn) })
}

// The connection that hears other nodes is cut: it comes back.
func TestListenerCut(t *testing.T) {
	server := pgtest.Start(t)
	dsn := server.NewDatabase(t)
	one, two := open(t, dsn), open(t, dsn)
	ch, err := two.Subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	heard := func() {
		t.Helper()
		limit, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			one.Wake("a", 1)
			select {
			case <-ch:
				return
			case <-tick.C:
			case <-limit.Done():
				t.Fatal("not heard")
			}
		}
	}
	heard()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	for range 2 {
		if _, err := c.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE pid <> pg_backend_pid() AND datname = current_database()`); err != nil {
			t.Fatal(err)
		}
		for drained := false; !drained; {
			select {
			case <-ch:
			default:
				drained = true
			}
		}
		heard()
	}
}

// A server that acknowledges before its disk has it is refused.
func TestRefused(t *testing.T) {
	for setting, word := range map[string]string{"fsync=off": "fsync", "synchronous_commit=off": "synchronous_commit", "synchronous_commit=local": "synchronous_commit"} {
		t.Run(setting, func(t *testing.T) {
			server := pgtest.Start(t, setting)
			_, err := pgstore.Open(t.Context(), pgstore.Config{DSN: server.NewDatabase(t)})
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Error(err)
			}
		})
	}
}

// Nodes that start at once on an empty database wait for each other.
func TestStartTogether(t *testing.T) {
	dsn := pgtest.Start(t).NewDatabase(t)
	var working sync.WaitGroup
	for range 4 {
		working.Go(func() {
			s, err := pgstore.Open(t.Context(), pgstore.Config{DSN: dsn})
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	working.Wait()
}

func TestBadAddress(t *testing.T) {
	_, err := pgstore.Open(t.Context(), pgstore.Config{DSN: "postgres://u:hunter2@host:bad/x"})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}
