package tunneltest

import (
	"context"
	"crypto/x509"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/rayhound/rayhound/tunnel/client"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// Clinic is an appliance's end of a real tunnel: what a pairing gave, an inbox that outlives
// its clients, and one client at a time.
type Clinic struct {
	RelayURL    string
	Roots       *x509.CertPool
	Credentials client.Credentials
	URLs        map[string]string // by kind
	Inbox       client.Inbox      // Memory, unless something was put in front of it
	Memory      *Inbox
	// Dial replaces the dialing of the next client.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	Client *client.Client
	stop   func()

	mu     sync.Mutex
	token  string
	states []client.State
}

// Pair joins an appliance that has nothing yet to a relay.
func Pair(tb testing.TB, relayURL, code string, roots *x509.CertPool) *Clinic {
	tb.Helper()
	cred, urls, err := client.Pair(tb.Context(), client.PairConfig{RelayURL: relayURL, Code: code, RootCAs: roots, ProxyURL: "none", Version: "1.2.3"})
	if err != nil {
		tb.Fatal(err)
	}
	c := &Clinic{RelayURL: relayURL, Roots: roots, Credentials: cred, URLs: map[string]string{}, Memory: NewInbox()}
	c.Inbox = c.Memory
	for _, u := range urls {
		c.URLs[u.Kind] = u.URL
	}
	return c
}

// Copy returns the clinic as a copy of its computer would be: the same credentials and instance, and what the inbox holds
// is its own.
func (c *Clinic) Copy() *Clinic {
	x := &Clinic{RelayURL: c.RelayURL, Roots: c.Roots, Credentials: c.Credentials, URLs: c.URLs, Memory: NewInbox()}
	x.Inbox = x.Memory
	return x
}

// Start runs a new client, which is a new run of the same computer. It ends with Stop or with the test.
func (c *Clinic) Start(tb testing.TB) {
	tb.Helper()
	cl, err := client.New(client.Config{
		RelayURL: c.RelayURL, Credentials: c.Credentials, Inbox: c.Inbox, RootCAs: c.Roots, ProxyURL: "none", Version: "1.2.3", Dial: c.Dial,
		SaveToken: func(_ context.Context, s string) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.token = s
			return nil
		},
		OnChange: func(s client.Status) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if n := len(c.states); n == 0 || c.states[n-1] != s.State {
				c.states = append(c.states, s.State)
			}
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cl.Run(ctx) // never fails
	}()
	c.Client = cl
	c.stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	tb.Cleanup(c.stop)
}

// Stop ends the client; its inbox stays.
func (c *Clinic) Stop() {
	if c.stop != nil {
		c.stop()
	}
}

// States returns what the clients went through since the last call, without repetitions.
func (c *Clinic) States() []client.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.states
	c.states = nil
	return slices.Clone(s)
}

// Bodies opens what the inbox holds of one epoch, in the order of arrival; an empty epoch means all of them.
func (c *Clinic) Bodies(tb testing.TB, epoch wire.StoreEpoch) []string {
	tb.Helper()
	events := c.Memory.Events(epoch)
	out := make([]string, 0, len(events))
	for _, e := range events {
		r, err := wire.Open(c.Credentials.SealingKeys[c.Credentials.SealingKeyID], c.Credentials.SealingKeyID, c.Credentials.ClinicID, e)
		if err != nil {
			tb.Fatalf("event %d: %v", e.Seq, err)
		}
		out = append(out, string(r.Body))
	}
	return out
}
