//go:build peers && linux

package pgstore_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rayhound/rayhound/tunnel/client"
	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relay/pgstore"
	"github.com/rayhound/rayhound/tunnel/relay/storetest/pgtest"
	"github.com/rayhound/rayhound/tunnel/tunneltest"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// net under lost wake-ups, and what an event may take at most with it: two rounds, and time for a busy computer.
const (
	pendingEvery = 500 * time.Millisecond
	bound        = 2*pendingEvery + 10*time.Second
)

// runNode is one relay on a database.
func runNode(t *testing.T, store *pgstore.Store, pending time.Duration) (*relay.Relay, string) {
	t.Helper()
	var r *relay.Relay
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { r.Handler().ServeHTTP(w, q) }))
	var err error
	if r, err = relay.New(relay.Config{
		Store: store, Registry: store, PublicURL: s.URL, SealAtIngest: true, RatePerClinic: 1e6, Burst: 1e6,
		PendingEvery: pending, RefreshEvery: 50 * time.Millisecond,
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		s.CloseClientConnections()
		s.Close()
	})
	return r, s.URL
}

// twoNodes returns an appliance connected to the first of two nodes, and a function that posts to the second.
func twoNodes(t *testing.T, one, two *pgstore.Store, pending time.Duration) (*tunneltest.Clinic, func(body string)) {
	t.Helper()
	r, front := runNode(t, one, pending)
	if _, err := r.Admin().AddClinic(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	code, _, err := r.Admin().PairingCode(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	a := tunneltest.Pair(t, front, code, nil)
	a.Start(t)
	eventually(t, time.Minute, "connected", func() bool { return a.Client.Status().State == client.Connected })
	_, other := runNode(t, two, pending)
	u, err := url.Parse(a.URLs[wire.KindCreated])
	if err != nil {
		t.Fatal(err)
	}
	return a, func(body string) {
		t.Helper()
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, other+u.Path, bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		x, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		x.Body.Close()
		if x.StatusCode != http.StatusOK {
			t.Fatalf("%d", x.StatusCode)
		}
	}
}

func eventually(t *testing.T, within time.Duration, what string, so func() bool) {
	t.Helper()
	end := time.NewTimer(within)
	defer end.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-end.C:
			t.Fatalf("never happened: %s", what)
		case <-tick.C:
		}
	}
}

func openQuiet(t *testing.T, dsn string, noNotify bool) *pgstore.Store {
	t.Helper()
	s, err := pgstore.Open(t.Context(), pgstore.Config{DSN: dsn, NoNotify: noNotify})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Without NOTIFY, an event that another node took is found by the net alone, within its round.
func TestWithoutNotify(t *testing.T) {
	dsn := pgtest.Start(t).NewDatabase(t)
	a, post := twoNodes(t, openQuiet(t, dsn, true), openQuiet(t, dsn, true), pendingEvery)
	var worst time.Duration
	for i := range 6 {
		body := fmt.Sprint(i)
		post(body)
		began := time.Now()
		eventually(t, bound, "it is found", func() bool { return slices.Contains(a.Bodies(t, ""), body) })
		worst = max(worst, time.Since(began))
	}
	t.Logf("the longest of 6 took %s with a round of %s", worst.Round(time.Millisecond), pendingEvery)
	if n := a.Memory.Repeats(); n != 0 {
		t.Errorf("%d came twice", n)
	}
}

// With NOTIFY an event comes at once, long before a round of the net; while the listening connections are cut again and again, the
// net finds what was notified meanwhile; afterwards it comes at once again.
func TestEventsWhileTheListenerIsCut(t *testing.T) {
	dsn := pgtest.Start(t).NewDatabase(t)
	a, post := twoNodes(t, open(t, dsn), open(t, dsn), pendingEvery)
	count := func() int { return len(a.Memory.Seqs()) }
	post("warm")
	eventually(t, bound, "the first", func() bool { return count() == 1 })

	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	ctx, stop := context.WithCancel(t.Context())
	var cutting sync.WaitGroup
	cuts := 0
	cutting.Go(func() {
		for tick := time.NewTicker(10 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			tag, err := conn.Exec(context.WithoutCancel(ctx), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE datname = current_database() AND pid <> pg_backend_pid() AND query ILIKE 'LISTEN%'`)
			if err != nil {
				t.Error(err)
				return
			}
			cuts += int(tag.RowsAffected())
		}
	})
	t.Cleanup(func() { stop(); cutting.Wait() })
	var worst time.Duration
	for i := range 12 {
		post(fmt.Sprint(i))
		began := time.Now()
		eventually(t, bound, "it arrives", func() bool { return count() == i+2 })
		worst = max(worst, time.Since(began))
	}
	stop()
	cutting.Wait()
	if cuts == 0 {
		t.Error("no listener was ever cut")
	}
	t.Logf("%d listeners were cut; the longest of 12 took %s with a round of %s", cuts, worst.Round(time.Millisecond), pendingEvery)
	if n := a.Memory.Repeats(); n != 0 {
		t.Errorf("%d came twice", n)
	}
}

// The net is not what carries events: with an hour between its rounds they arrive all the same.
func TestNotifyCarriesEvents(t *testing.T) {
	dsn := pgtest.Start(t).NewDatabase(t)
	a, post := twoNodes(t, open(t, dsn), open(t, dsn), time.Hour)
	for i := range 20 {
		post(fmt.Sprint(i))
		eventually(t, time.Minute, "it arrives", func() bool { return len(a.Memory.Seqs()) == i+1 })
	}
}
