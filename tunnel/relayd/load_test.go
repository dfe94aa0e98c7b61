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
	"github.com/rayhound/rayhound/tunnel/tunneltest"
	"github.com/rayhound/rayhound/tunnel/wire"
)

const (
	posters    = 4
	posterWait = 15 * time.Millisecond
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

func newLoad(front *balancer, clinics []*tunneltest.Clinic) *load {
	return &load{front: front, clinics: clinics, said: map[string]int{}, answers: map[int]int{}}
}

// start posts until the function it returns is called, or the test ends.
func (l *load) start(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var posting sync.WaitGroup
	posting.Go(func() { l.run(ctx) })
	stop = func() { cancel(); posting.Wait() }
	t.Cleanup(stop)
	return stop
}

func (l *load) run(ctx context.Context) {
	var working sync.WaitGroup
	tr := &http.Transport{MaxIdleConnsPerHost: posters}
	defer tr.CloseIdleConnections()
	hc := &http.Client{Transport: tr, Timeout: 40 * time.Second}
	for p := range posters {
		working.Go(func() {
			tick := time.NewTicker(posterWait)
			defer tick.Stop()
			for i := 0; ; i++ {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				l.one(hc, (i*posters+p)%len(l.clinics), fmt.Sprintf("%d-%d", p, i))
			}
		})
	}
	working.Wait()
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

// check compares what senders were told with what the inboxes hold.
func (l *load) check(t *testing.T) {
	t.Helper()
	t.Logf("answers: %v", l.answers)
	for _, w := range l.wrong {
		t.Errorf("a sender got %s", w)
	}
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

// allConnected reports whether all have a connection.
func allConnected(list []*tunneltest.Clinic) bool {
	return !slices.ContainsFunc(list, func(x *tunneltest.Clinic) bool { return x.Client.Status().State != client.Connected })
}

// retried makes those without a connection try at once, and reports whether there are none.
func retried(list []*tunneltest.Clinic) bool {
	for _, x := range list {
		if x.Client.Status().State != client.Connected {
			x.Client.Retry()
		}
	}
	return allConnected(list)
}
