package relayd

import (
	"context"
	"net"
	"net/http"
	"testing"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// Behind a proxy on the same computer callers have their own addresses: one that guesses tokens locks nobody else out.
func TestProxyOnThisComputer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	public := make(chan net.Addr, 1)
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, Config{
			Relay:  relay.Config{PublicURL: "https://relay.example.com"},
			Listen: "127.0.0.1:0", Store: "sqlite:relay.db", DataDir: t.TempDir(), Getenv: func(string) string { return "" },
			Started: func(a, _ net.Addr) { public <- a },
		})
	}()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	address := "http://" + (<-public).String() + wire.PollPath + "?after=0&wait=0"
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	ask := func(from string) int {
		t.Helper()
		q, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("X-Forwarded-For", from)
		q.Header.Set("Authorization", "Bearer guess")
		a, err := client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		return a.StatusCode
	}
	for range 60 {
		ask("203.0.113.66")
	}
	if got := ask("203.0.113.66"); got != http.StatusTooManyRequests {
		t.Errorf("who guesses is told %d", got)
	}
	if got := ask("198.51.100.7"); got != http.StatusUnauthorized {
		t.Errorf("a clinic is told %d", got)
	}
}
