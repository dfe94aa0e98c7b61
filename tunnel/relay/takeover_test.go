package relay_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// other returns the same clinic's agent as another run, and maybe another computer, would be.
func (a *agent) other(sameComputer bool) *agent {
	x := *a
	x.run = wire.RunID(wire.NewID())
	if !sameComputer {
		x.instance = wire.InstanceID(wire.NewID())
	}
	return &x
}

func TestOwnHalfOpenSocket(t *testing.T) {
	w := newWorld(t, nil, nil)
	a := w.pair("c")
	for range 10 { // the same run again and again, then restarts: never a takeover
		first := a.mustConnect()
		second := a.mustConnect()
		if code := first.closed(); code != wire.CloseGoingAway {
			t.Fatalf("%d", code)
		}
		a = a.other(true)
		a.mustConnect()
		if code := second.closed(); code != wire.CloseGoingAway {
			t.Fatalf("%d", code)
		}
	}
}

// A late ack of a replaced socket changes nothing.
func TestStaleAck(t *testing.T) {
	mem := newMemory()
	one := newWorld(t, mem, nil)
	two := newWorld(t, mem, func(c *relay.Config) { c.PublicURL = one.relayURL() })
	mem.mu.Lock()
	mem.noWake = true
	mem.mu.Unlock()
	a := one.pair("c")
	a.post("1")
	old := a.mustConnect()
	old.event()
	b := *a
	b.w, b.epoch, b.resume = two, "", 0
	young := b.mustConnect()
	old.ack(1)
	if code := old.closed(); code != wire.CloseGoingAway {
		t.Errorf("%d", code)
	}
	if n := mem.acked(a.id); n != 0 {
		t.Errorf("acked to %d by a stale session", n)
	}
	young.event()
	young.ack(1)
	eventually(t, "acked", func() bool { return mem.acked(a.id) == 1 })
}

func TestTakeoverFlappingFreeze(t *testing.T) {
	for _, tt := range []struct {
		name  string
		clone bool // the same instance: a copied disk
	}{{"two computers", false}, {"a copied disk", true}} {
		t.Run(tt.name, func(t *testing.T) {
			told := newReceiver(t)
			w := newWorld(t, nil, func(c *relay.Config) { c.NotifyURL = told.url })
			a := w.pair("c")
			b := a.other(tt.clone)
			la := a.mustConnect()
			lb := b.mustConnect() // a clone's first run looks like a restart
			want := wire.Close4409
			if tt.clone {
				want = wire.CloseGoingAway
			}
			if code := la.closed(); code != want {
				t.Fatalf("first: %d", code)
			}
			la = a.mustConnect()
			if code := lb.closed(); code != wire.Close4409 {
				t.Fatalf("second: %d", code)
			}
			present, lost := a, b
			if tt.clone {
				lb = b.mustConnect()
				if code := la.closed(); code != wire.Close4409 {
					t.Fatalf("third: %d", code)
				}
				la = a.mustConnect()
				if code := lb.closed(); code != wire.Close4410 {
					t.Fatalf("fourth: %d", code)
				}
			} else {
				lb = b.mustConnect()
				if code := la.closed(); code != wire.Close4410 {
					t.Fatalf("third: %d", code)
				}
				present, lost = b, a
			}
			if _, err := lost.connect(); closeCode(err) != wire.Close4410 {
				t.Fatalf("frozen: %v", err)
			}
			present.mustConnect() // the present one may come again
			if err := w.relay.TellDue(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := told.kinds(); !strings.Contains(got, "frozen") || !strings.Contains(got, "takeover") {
				t.Errorf("told: %s", got)
			}
			if _, _, err := w.admin.PairingCode(t.Context(), "c"); err != nil {
				t.Fatal(err)
			}
			lost.mustConnect() // the freeze is over
			_, _ = la, lb
		})
	}
}

// An hour later a takeover is the first again.
func TestTakeoversAreForgotten(t *testing.T) {
	w := newWorld(t, nil, nil)
	a := w.pair("c")
	b := a.other(false)
	for range 4 {
		a.mustConnect()
		b.mustConnect()
		w.clock.move(61 * time.Minute)
	}
}

// receiver is what notify_url points to.
type receiver struct {
	url  string
	mu   sync.Mutex
	got  []map[string]any
	fail bool
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.fail {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		b, _ := io.ReadAll(q.Body)
		m := map[string]any{}
		if json.Unmarshal(b, &m) != nil {
			t.Errorf("notice %q", b)
		}
		r.got = append(r.got, m)
	}))
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		s.Close()
	})
	r.url = s.URL
	return r
}

func (r *receiver) kinds() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, m := range r.got {
		out = append(out, m["kind"].(string))
	}
	return strings.Join(out, " ")
}

func (r *receiver) break_(fail bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = fail
}
