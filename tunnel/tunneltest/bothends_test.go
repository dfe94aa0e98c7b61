package tunneltest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rayhound/rayhound/tunnel/client"
	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relay/sqlitestore"
	"github.com/rayhound/rayhound/tunnel/tunneltest"
	"github.com/rayhound/rayhound/tunnel/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestBothEnds brings the real relay on its SQLite store and the real agent together
// over loopback: pairing, the connection test, events, replay, rotation, a restart of
// the agent and a revocation, over either carrier.
func TestBothEnds(t *testing.T) {
	for _, carrier := range []client.Transport{client.Websocket, client.LongPoll} {
		t.Run(string(carrier), func(t *testing.T) { bothEnds(t, carrier) })
	}
}

func bothEnds(t *testing.T, carrier client.Transport) {
	ctx := t.Context()
	store, err := sqlitestore.Open(ctx, sqlitestore.Config{Path: filepath.Join(t.TempDir(), "relay.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var r *relay.Relay
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if carrier == client.LongPoll && q.URL.Path == wire.TunnelPath {
			w.WriteHeader(http.StatusForbidden) // a proxy that lets no websocket pass
			return
		}
		r.Handler().ServeHTTP(w, q)
	}))
	url := "https://" + srv.Listener.Addr().String()
	r, err = relay.New(relay.Config{Store: store, Registry: store, PublicURL: url, SealAtIngest: true, RatePerClinic: 1e6, Burst: 1e6, RefreshEvery: 20 * time.Millisecond, PendingEvery: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	srv.StartTLS()
	defer srv.Close()
	rctx, stop := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() { defer close(ran); _ = r.Run(rctx) }()
	defer func() { stop(); <-ran }()

	admin := r.Admin()
	if _, err := admin.AddClinic(ctx, "Riverside"); err != nil {
		t.Fatal(err)
	}
	code, _, err := admin.PairingCode(ctx, "Riverside")
	if err != nil {
		t.Fatal(err)
	}
	roots := srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	cr, urls, err := client.Pair(ctx, client.PairConfig{RelayURL: url, Code: code, Version: "1.0.0", ProxyURL: "none", RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	inbound := map[string]string{}
	for _, u := range urls {
		inbound[u.Kind] = u.URL
	}
	inbox := tunneltest.NewInbox()
	saved := make(chan string, 1)
	cfg := client.Config{
		RelayURL: url, Credentials: cr, Inbox: inbox, ProxyURL: "none", RootCAs: roots, TestURL: inbound[wire.KindTest], Version: "1.0.0",
		SaveToken: func(_ context.Context, token string) error { saved <- token; return nil },
	}
	post := func(n int) {
		for range n {
			resp, err := srv.Client().Post(inbound[wire.KindUpdated], "application/x-www-form-urlencoded", strings.NewReader("diagnosticimagingworklist_id=7"))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("status %d", resp.StatusCode)
			}
		}
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		for limit := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(limit) {
				t.Fatalf("never: %s", what)
			}
		}
	}
	start := func() (*client.Client, func()) {
		c, err := client.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		cctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); _ = c.Run(cctx) }()
		end := func() { cancel(); <-done }
		t.Cleanup(end)
		return c, end
	}

	post(3)
	c, end := start()
	until("three events", func() bool { return len(inbox.Seqs()) == 3 })
	if s := c.Status(); s.Transport != carrier {
		t.Errorf("over %s", s.Transport)
	}
	e, _ := inbox.Event(c.Status().StoreEpoch, inbox.Seqs()[0])
	if got, err := wire.Open(cr.SealingKeys[cr.SealingKeyID], cr.SealingKeyID, cr.ClinicID, e); err != nil || string(got.Body) != "diagnosticimagingworklist_id=7" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, step := range c.Check(ctx) {
		if !step.OK {
			t.Errorf("step %s: %v", step.Name, step.Err)
		}
	}
	post(300)
	until("all events", func() bool { return len(inbox.Seqs()) == 304 })
	if !slices.IsSorted(inbox.Seqs()) {
		t.Error("out of order")
	}
	if err := c.Replay(ctx, inbox.Seqs()[0], inbox.Seqs()[9]); err != nil {
		t.Fatal(err)
	}
	post(1)
	until("the first ones again", func() bool { return inbox.Repeats() >= 10 })

	if carrier == client.Websocket {
		if err := admin.Rotate(ctx, "Riverside"); err != nil {
			t.Fatal(err)
		}
		select {
		case cfg.Credentials.Token = <-saved:
		case <-time.After(30 * time.Second):
			t.Fatal("no new token")
		}
	}
	end()
	post(2)
	c, _ = start()
	until("events of the time away", func() bool { return len(inbox.Seqs()) == 307 })
	if n := len(inbox.Gaps()); n != 0 {
		t.Errorf("%d gaps", n)
	}
	if err := admin.Revoke(ctx, "Riverside"); err != nil {
		t.Fatal(err)
	}
	until("stopped", func() bool { return c.Status().State == client.Stopped })
	if s := c.Status(); s.LastClose != wire.Close4403 && s.LastClose != wire.Close4401 {
		t.Errorf("closed with %d", s.LastClose)
	}
}
