package relayd_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relayd"
	"github.com/rayhound/rayhound/tunnel/tunneltest"
	"github.com/rayhound/rayhound/tunnel/wire"
)

func TestMain(m *testing.M) {
	if os.Getenv(childStore) != "" {
		os.Exit(child())
	}
	os.Exit(m.Run())
}

// node is a relay under test.
type node struct {
	url     string // of the public port, without a slash
	metrics string
	stop    func() // softly, and waits
}

// runNode hosts a relay in this process.
func runNode(t *testing.T, c relayd.Config) *node {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	addrs, ended := make(chan [2]string, 1), make(chan error, 1)
	c.Listen, c.MetricsListen = "127.0.0.1:0", "127.0.0.1:0"
	c.Getenv = func(string) string { return "" }
	c.Started = func(p, m net.Addr) { addrs <- [2]string{p.String(), m.String()} }
	go func() { ended <- relayd.Run(ctx, c) }()
	select {
	case at := <-addrs:
		scheme := "http://"
		if c.TLSCert != "" {
			scheme = "https://"
		}
		n := &node{url: scheme + at[0], metrics: "http://" + at[1]}
		n.stop = sync.OnceFunc(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("relayd.Run: %v", err)
			}
		})
		t.Cleanup(n.stop)
		return n
	case err := <-ended:
		cancel()
		t.Fatal(err)
		return nil
	}
}

// quick is a relay's configuration without the patience of a real one.
func quick() relay.Config {
	return relay.Config{
		PublicURL: "https://127.0.0.1", SealAtIngest: true, RatePerClinic: 1e6, Burst: 1e6, AcceptRate: 1e4,
		RefreshEvery: 20 * time.Millisecond, AckEvery: 10 * time.Millisecond,
	}
}

// place is a relay on SQLite with a fixed address in front, as a name in the DNS is, over which it may come and go.
type place struct {
	t     *testing.T
	dir   string
	cfg   relay.Config
	front *balancer
	node  *node
}

func newPlace(t *testing.T, change func(*relay.Config)) *place {
	t.Helper()
	p := &place{t: t, dir: t.TempDir(), cfg: quick(), front: newBalancer(t)}
	if change != nil {
		change(&p.cfg)
	}
	p.start()
	return p
}

func (p *place) database() string { return filepath.Join(p.dir, "relay.db") }

func (p *place) start() {
	p.t.Helper()
	p.node = runNode(p.t, relayd.Config{Relay: p.cfg, Store: "sqlite:relay.db", DataDir: p.dir})
	p.front.set(0, p.node.url)
	eventually(p.t, "the relay is ready", func() bool { return p.front.alive() == 1 })
}

func (p *place) stop() {
	p.front.set(0, "")
	p.node.stop()
}

// admin works on the database from beside, as the command line does.
func (p *place) admin(f func(*relay.Admin, relayd.Store)) {
	p.t.Helper()
	admin(p.t, "sqlite:relay.db", p.dir, f)
}

func admin(t *testing.T, store, dir string, f func(*relay.Admin, relayd.Store)) {
	t.Helper()
	st, err := relayd.OpenStore(t.Context(), store, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	f(&relay.Admin{Store: st, Registry: st, PublicURL: "https://127.0.0.1"}, st)
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}

// join adds clinics and pairs an appliance with each.
func (p *place) join(names ...string) []*tunneltest.Clinic {
	p.t.Helper()
	return join(p.t, "sqlite:relay.db", p.dir, p.front, names...)
}

func join(t *testing.T, store, dir string, front *balancer, names ...string) []*tunneltest.Clinic {
	t.Helper()
	var out []*tunneltest.Clinic
	admin(t, store, dir, func(a *relay.Admin, _ relayd.Store) {
		for _, name := range names {
			if _, err := a.AddClinic(t.Context(), name); err != nil {
				t.Fatal(err)
			}
			code, _, err := a.PairingCode(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, tunneltest.Pair(t, front.url, code, nil))
		}
	})
	return out
}

// through returns where the front takes what an inbound URL names.
func through(front, inbound string) string {
	u, err := url.Parse(inbound)
	if err != nil {
		panic(err)
	}
	return front + u.EscapedPath()
}

// post sends one webhook and wants 200 and nothing else.
func post(t *testing.T, front string, c *tunneltest.Clinic, body string) {
	t.Helper()
	status, text, err := send(t.Context(), http.DefaultClient, through(front, c.URLs[wire.KindCreated]), body)
	if err != nil || status != http.StatusOK || text != "" {
		t.Fatalf("webhook: %d %q %v", status, text, err)
	}
}

func send(ctx context.Context, client *http.Client, address, body string) (int, string, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, "", err
	}
	q.Header.Set("Content-Type", "application/json")
	a, err := client.Do(q)
	if err != nil {
		return 0, "", err
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	return a.StatusCode, string(b), err
}

// balancer is a round-robin HTTP balancer on loopback that asks /readyz, as nginx or HAProxy do.
type balancer struct {
	url     string
	pollURL string // the same, through something that lets no websocket pass
	mu      sync.Mutex
	targets map[int]string
	ready   map[int]bool
	next    int
	cut     atomic.Int64 // requests that a node did not answer
}

const probeEvery = 20 * time.Millisecond

func newBalancer(t *testing.T) *balancer {
	t.Helper()
	b := &balancer{targets: map[int]string{}, ready: map[int]bool{}}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			u, err := url.Parse(b.pick())
			if err != nil {
				panic(err)
			}
			r.Out.URL.Scheme, r.Out.URL.Host = u.Scheme, u.Host
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			b.cut.Add(1)
			w.WriteHeader(http.StatusBadGateway)
		},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if b.alive() == 0 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, q)
	})
	b.url = serve(t, handler)
	b.pollURL = serve(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == wire.TunnelPath {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		handler(w, q)
	}))
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var probing sync.WaitGroup
	probing.Go(func() {
		tick := time.NewTicker(probeEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				b.probe(ctx, transport)
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		probing.Wait()
		transport.CloseIdleConnections()
	})
	return b
}

// serve answers on a port of loopback until the test ends.
func serve(t *testing.T, h http.Handler) (address string) {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: h}
	go func() { _ = s.Serve(ln) }() // until it is closed
	t.Cleanup(func() { _ = s.Close() })
	return "http://" + ln.Addr().String()
}

// set says where node i is; empty: it is gone.
func (b *balancer) set(i int, address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.ready, i)
	b.targets[i] = address
}

func (b *balancer) alive() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.ready)
}

func (b *balancer) pick() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range 2 * len(b.targets) {
		b.next++
		if i := b.next % len(b.targets); b.ready[i] {
			return b.targets[i]
		}
	}
	return b.targets[rand.IntN(len(b.targets))] // the last one went this moment
}

func (b *balancer) probe(ctx context.Context, rt http.RoundTripper) {
	b.mu.Lock()
	list := make(map[int]string, len(b.targets))
	for i, a := range b.targets {
		list[i] = a
	}
	b.mu.Unlock()
	for i, address := range list {
		if address == "" {
			continue
		}
		ok := isReady(ctx, rt, address)
		b.mu.Lock()
		if b.targets[i] == address {
			if ok {
				b.ready[i] = true
			} else {
				delete(b.ready, i)
			}
		}
		b.mu.Unlock()
	}
}

func isReady(ctx context.Context, rt http.RoundTripper, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/readyz", nil)
	if err != nil {
		return false
	}
	a, err := rt.RoundTrip(q)
	if err != nil {
		return false
	}
	_ = a.Body.Close() // only the status counts
	return a.StatusCode == http.StatusOK
}

// eventually polls until something is so, for at most 30 s.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	end := time.NewTimer(30 * time.Second)
	defer end.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-end.C:
			t.Fatalf("never happened: %s", what)
		case <-tick.C:
		}
	}
}
