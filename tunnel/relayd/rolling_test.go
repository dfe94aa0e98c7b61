//go:build peers && linux

package relayd_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/client"
	"github.com/rayhound/rayhound/tunnel/relay/storetest/pgtest"
	"github.com/rayhound/rayhound/tunnel/tunneltest"
	"github.com/rayhound/rayhound/tunnel/wire"
)

const (
	rollingClinics = 30
	rollingPosters = 4
	rollingPause   = 15 * time.Millisecond
)

// load posts webhooks for all clinics through the balancer, each body once, and keeps what was answered.
type load struct {
	front   *balancer
	clinics []*tunneltest.Clinic
	crash   atomic.Bool // a node or the database may break off what is under way

	mu      sync.Mutex
	said    map[string]int // body -> clinic, answered with 200
	count   int
	answers map[int]int
	wrong   []string
}

func (l *load) run(ctx context.Context) {
	var posters sync.WaitGroup
	tr := &http.Transport{MaxIdleConnsPerHost: rollingPosters}
	defer tr.CloseIdleConnections()
	hc := &http.Client{Transport: tr, Timeout: 40 * time.Second}
	for p := range rollingPosters {
		posters.Go(func() {
			tick := time.NewTicker(rollingPause)
			defer tick.Stop()
			for i := 0; ; i++ {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				l.one(hc, (i*rollingPosters+p)%len(l.clinics), fmt.Sprintf("%d-%d", p, i))
			}
		})
	}
	posters.Wait()
}

func (l *load) one(hc *http.Client, clinic int, body string) {
	began := l.crash.Load()
	c := l.clinics[clinic]
	status, text, err := send(context.Background(), hc, through(l.front.url, c.URLs[wire.KindCreated]), body)
	crash := began || l.crash.Load()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers[status]++
	switch {
	case err == nil && status == http.StatusOK && text == "":
		l.said[body] = clinic
		l.count++
	case err == nil && (status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests):
	case crash && err == nil && status == http.StatusBadGateway:
	default:
		l.wrong = append(l.wrong, fmt.Sprintf("%d %q %v", status, text, err))
	}
}

func (l *load) answered() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// more waits until n more webhooks were taken.
func (l *load) more(t *testing.T, n int) {
	t.Helper()
	goal := l.answered() + n
	eventually(t, "webhooks are taken", func() bool { return l.answered() >= goal })
}

// cluster is three nodes on one database.
type cluster struct {
	t     *testing.T
	dsn   string
	front *balancer
	nodes [3]*process
}

func (c *cluster) start(i int) {
	c.t.Helper()
	c.nodes[i] = startProcess(c.t, c.dsn, c.t.TempDir())
	c.front.set(i, c.nodes[i].url)
	eventually(c.t, "the node is ready", func() bool { return isReady(c.t.Context(), http.DefaultTransport, c.nodes[i].url) })
}

// Three nodes on one PostgreSQL are restarted in turn under load, then one is killed, and then the database: every 200 reaches
// the inbox of its clinic once and in order, senders get nothing but what they try again, and agents stay
// connected while a node is drained.
func TestRollingRestart(t *testing.T) {
	server := pgtest.Start(t)
	c := &cluster{t: t, dsn: server.NewDatabase(t), front: newBalancer(t)}
	for i := range c.nodes {
		c.start(i)
	}
	names := make([]string, rollingClinics)
	for i := range names {
		names[i] = fmt.Sprint("clinic ", i)
	}
	clinics := join(t, c.dsn, "", c.front, names...)
	for _, x := range clinics {
		x.Start(t)
	}
	connected := func() bool {
		return !slices.ContainsFunc(clinics, func(x *tunneltest.Clinic) bool { return x.Client.Status().State != client.Connected })
	}
	eventually(t, "all are connected", connected)
	l := &load{front: c.front, clinics: clinics, said: map[string]int{}, answers: map[int]int{}}
	ctx, stop := context.WithCancel(t.Context())
	var posting sync.WaitGroup
	posting.Go(func() { l.run(ctx) })
	t.Cleanup(func() { stop(); posting.Wait() })
	phase := func(what string, f func()) {
		began, n := time.Now(), l.answered()
		for _, x := range clinics {
			x.States()
		}
		f()
		l.more(t, 50)
		eventually(t, "all are connected again", connected)
		down := 0
		for _, x := range clinics {
			if slices.ContainsFunc(x.States(), func(s client.State) bool { return s != client.Connected }) {
				down++
			}
		}
		t.Logf("%s: %s, %d webhooks, %d of %d agents were without a connection for a moment", what, time.Since(began).Round(time.Millisecond),
			l.answered()-n, down, len(clinics))
	}
	l.more(t, 100)
	for i := range c.nodes {
		phase(fmt.Sprint("drain of node ", i), func() {
			c.nodes[i].drain(t)
			c.front.set(i, "")
			c.start(i)
		})
	}
	if n := c.front.cut.Load(); n != 0 {
		t.Errorf("%d requests were broken off by nodes that ended softly", n)
	}
	l.crash.Store(true)
	phase("kill of a node", func() {
		c.nodes[1].kill(t)
		l.more(t, 50)
		c.start(1)
	})
	phase("crash of the database", func() {
		server.Kill()
		server.Restart(t)
	})
	stop()
	posting.Wait()
	t.Logf("answers: %v", l.answers)
	for _, w := range l.wrong {
		t.Errorf("a sender got %s", w)
	}
	l.check(t)
}

// check compares what senders were told with what the inboxes hold.
func (l *load) check(t *testing.T) {
	t.Helper()
	want := make([]map[string]bool, len(l.clinics))
	for i := range want {
		want[i] = map[string]bool{}
	}
	for body, i := range l.said {
		want[i][body] = true
	}
	repeats, unsaid := 0, 0
	for i, c := range l.clinics {
		bodies := map[string]int{}
		eventually(t, "the inbox holds everything", func() bool {
			c.Client.Retry() // without its patience
			bodies = map[string]int{}
			for _, b := range c.Bodies(t, "") {
				bodies[b]++
			}
			n := 0
			for b := range want[i] {
				n += min(1, bodies[b])
			}
			return n == len(want[i])
		})
		for b, n := range bodies {
			if n != 1 {
				t.Errorf("clinic %d holds %q %d times", i, b, n)
			}
			if !want[i][b] {
				unsaid++ // stored, and the answer was lost
			}
		}
		if seqs := c.Memory.Seqs(); !slices.IsSorted(seqs) {
			t.Errorf("clinic %d: not in order: %v", i, seqs)
		}
		if gaps := c.Memory.Gaps(); len(gaps) != 0 {
			t.Errorf("clinic %d: gaps %v", i, gaps)
		}
		repeats += c.Memory.Repeats()
	}
	t.Logf("%d answered with 200; %d stored without an answer; %d came to an inbox again", l.count, unsaid, repeats)
}
