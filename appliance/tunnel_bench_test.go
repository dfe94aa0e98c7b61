package appliance

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relay/sqlitestore"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// BenchmarkTunnelCommit is what a batch of sealed events costs from the frame to
// the durable hints: opening, reading, one transaction.
func BenchmarkTunnelCommit(b *testing.B) {
	for _, batch := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("batch%d", batch), func(b *testing.B) {
			m := newMailbox(b)
			var events []wire.Event
			for i := range batch {
				events = append(events, m.event(wire.KindUpdated, hook(fmt.Sprint(1000+i%40))))
			}
			n := 0
			for b.Loop() {
				for i := range events {
					m.seq++
					events[i].Seq = m.seq
				}
				m.ok(m.in.Commit(b.Context(), testEpoch, events))
				n += batch
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// stopwatch is the appliance's inbox, and says when each event is durable in it.
type stopwatch struct {
	*inbox
	mu   sync.Mutex
	done map[string]chan time.Time // by order
	keys func() *reader
}

func (s *stopwatch) Commit(ctx context.Context, epoch wire.StoreEpoch, events []wire.Event) error {
	err := s.inbox.Commit(ctx, epoch, events)
	now := time.Now()
	if err != nil {
		return err
	}
	for _, e := range events {
		for _, id := range s.keys().understand(e).orders {
			s.mu.Lock()
			ch := s.done[id]
			s.mu.Unlock()
			ch <- now
		}
	}
	return nil
}

// BenchmarkTunnelPostToInbox is the time from the start of a webhook at a real
// relay (sealing, SQLite) until the appliance has committed it, at 200 a second.
func BenchmarkTunnelPostToInbox(b *testing.B) {
	m := newMailbox(b)
	url, r := benchRelay(b)
	admin := r.Admin()
	_, err := admin.AddClinic(b.Context(), "bench")
	m.ok(err)
	code, _, err := admin.PairingCode(b.Context(), "bench")
	m.ok(err)
	m.tunnel.join, m.tunnel.open = joinRelay, openAgent
	_, err = m.tunnel.pair(b.Context(), strings.Replace(url, "http", "ws", 1), code)
	m.ok(err)
	watch := &stopwatch{inbox: m.tunnel.inbox(), done: map[string]chan time.Time{}, keys: m.tunnel.reader}
	m.tunnel.receive = watch
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.tunnel.run(ctx) }()
	defer func() { stop(); <-ended }()
	for l, _ := m.tunnel.link(); !l.Up; l, _ = m.tunnel.link() {
		time.Sleep(5 * time.Millisecond)
	}
	target := ""
	for _, u := range m.tunnel.pairing.URLs {
		if u.Kind == wire.KindCreated {
			target = u.URL
		}
	}
	const every = 5 * time.Millisecond
	var took []time.Duration
	var mu sync.Mutex
	var senders sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	next := time.Now().Add(50 * time.Millisecond)
	for i := 0; b.Loop(); i++ {
		id := fmt.Sprint(1_000_000 + i)
		in := make(chan time.Time, 4)
		watch.mu.Lock()
		watch.done[id] = in
		watch.mu.Unlock()
		time.Sleep(time.Until(next) - time.Millisecond)
		for time.Now().Before(next) { // timers are up to a millisecond late, which is not the relay's
			runtime.Gosched()
		}
		due := next
		next = next.Add(every)
		senders.Go(func() {
			resp, err := client.Post(target, "application/x-www-form-urlencoded", strings.NewReader(hook(id)))
			if err != nil || resp.StatusCode != http.StatusOK {
				b.Errorf("%v %v", resp, err)
				return
			}
			resp.Body.Close()
			at := <-in
			mu.Lock()
			took = append(took, at.Sub(due))
			mu.Unlock()
		})
	}
	senders.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// benchRelay runs a relay on a port of this computer.
func benchRelay(b testing.TB) (url string, r *relay.Relay) {
	b.Helper()
	store, err := sqlitestore.Open(b.Context(), sqlitestore.Config{Path: filepath.Join(b.TempDir(), "relay.db")})
	if err != nil {
		b.Fatal(err)
	}
	ln, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	url = "http://" + ln.Addr().String()
	r, err = relay.New(relay.Config{Store: store, Registry: store, PublicURL: url, SealAtIngest: true, RatePerClinic: 1e6, Burst: 1e6})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	srv := &http.Server{Handler: r.Handler(), ReadHeaderTimeout: time.Minute}
	go func() { _ = srv.Serve(ln) }() // always an error: it was closed
	b.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
		srv.Close()
		store.Close()
	})
	return url, r
}
