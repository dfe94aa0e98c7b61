package relay_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rayhound/rayhound/tunnel/client"
	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/tunneltest"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// The appliance's own client and this relay on the real store: pairing, events, a rotation, and an end; by websocket, and by
// long-poll behind something that lets no upgrade through.
func TestRealClient(t *testing.T) {
	for _, upgrades := range []bool{true, false} {
		t.Run(fmt.Sprint("upgrades=", upgrades), func(t *testing.T) { realClient(t, upgrades) })
	}
}

func realClient(t *testing.T, upgrades bool) {
	store := openSQLite(t, filepath.Join(t.TempDir(), "relay.db"))
	t.Cleanup(func() { _ = store.Close() })
	w := newWorldOn(t, nil, store, store, func(c *relay.Config) { c.SealAtIngest = true })
	front := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, q *http.Request) {
		if !upgrades && q.URL.Path == wire.TunnelPath {
			rw.WriteHeader(http.StatusBadGateway)
			return
		}
		w.relay.Handler().ServeHTTP(rw, q)
	}))
	t.Cleanup(front.Close)
	roots := x509.NewCertPool()
	roots.AddCert(front.Certificate())
	if _, err := w.admin.AddClinic(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	code, _, err := w.admin.PairingCode(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	cred, urls, err := client.Pair(t.Context(), client.PairConfig{RelayURL: front.URL, Code: code, RootCAs: roots, ProxyURL: "none", Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	inbox := tunneltest.NewInbox()
	var mu sync.Mutex
	token := ""
	c, err := client.New(client.Config{
		RelayURL: front.URL, Credentials: cred, Inbox: inbox, RootCAs: roots, ProxyURL: "none", Version: "1.2.3",
		SaveToken: func(_ context.Context, s string) error {
			mu.Lock()
			defer mu.Unlock()
			token = s
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { _ = c.Run(ctx) })
	defer done.Wait()
	defer cancel()
	const events = 500
	for i := range events {
		if got := w.do(http.MethodPost, urls[i%3].URL, []byte(fmt.Sprint(i))); got.status != 200 {
			t.Fatalf("%d", got.status)
		}
	}
	eventually(t, "the inbox holds all", func() bool {
		c.Retry() // without its patience between failures
		return len(inbox.Seqs()) == events
	})
	if inbox.Repeats() != 0 && upgrades {
		t.Errorf("%d events came twice", inbox.Repeats())
	}
	eventually(t, "the acks are stored", func() bool {
		m, err := store.Mailbox(t.Context(), cred.ClinicID)
		return err == nil && m.Acked == m.Head
	})
	if err := w.admin.Rotate(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if upgrades { // a poll hears of it with its next answer
		eventually(t, "a new token is stored and confirmed", func() bool {
			mu.Lock()
			defer mu.Unlock()
			if token == "" {
				return false
			}
			kid, _, _ := wire.SplitToken(token)
			tok, err := store.Token(t.Context(), kid, w.clock.now())
			return err == nil && !tok.ConfirmedAt.IsZero()
		})
	}
	if err := w.admin.Revoke(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if upgrades {
		eventually(t, "the client knows that it is revoked", func() bool { return c.Status().LastClose == wire.Close4403 })
	}
}
