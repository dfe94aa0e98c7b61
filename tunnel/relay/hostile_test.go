package relay_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// A caller that announces a body and never sends it holds a connection for a bounded time, whatever it calls.
func TestBodyThatNeverComes(t *testing.T) {
	w := newWorld(t, nil, func(c *relay.Config) { c.BodyTimeout = 200 * time.Millisecond })
	a := w.pair("c")
	live := strings.TrimPrefix(a.urls[wire.KindCreated], w.relayURL())
	for _, path := range []string{"/in/unknown", "/nothing", "/v1/nothing", wire.TunnelPath, live} {
		c, err := tls.Dial("tcp", w.server.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test's own certificate
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n", path); err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(c).ReadString('\n'); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("%.8s: the connection is held", path)
		}
		_ = c.Close()
	}
}

// hangup is a store whose caller is gone before it answers.
type hangup struct {
	*memory
	leave func()
}

func (h *hangup) Claim(ctx context.Context, c wire.ClinicID, who relay.Claimant) (relay.Claim, error) {
	if h.leave != nil {
		h.leave()
		return relay.Claim{}, errors.New("test: the caller is gone")
	}
	return h.memory.Claim(ctx, c, who)
}

// A long-poll whose caller hangs up while its session is opened ends quietly.
func TestPollerHangsUp(t *testing.T) {
	mem := newMemory()
	store := &hangup{memory: mem}
	w := newWorldOn(t, mem, store, mem, nil)
	a := w.pair("c")
	p := &poller{agent: a}
	p.poll(0) // brings a nonce
	p.session = 0
	ctx, cancel := context.WithCancel(t.Context())
	store.leave = cancel
	q := httptest.NewRequestWithContext(ctx, http.MethodGet, wire.PollTarget(0, 0), nil)
	q.Header.Set("Authorization", "Bearer "+a.token)
	q.Header.Set(wire.HeaderHello, p.signed(http.MethodGet, wire.PollTarget(0, 0), nil))
	answer := httptest.NewRecorder()
	w.relay.Handler().ServeHTTP(answer, q)
	if ctx.Err() == nil {
		t.Errorf("the session was not opened: %d", answer.Code)
	}
}

// What the log says of a notice that could not be delivered does not hold the address, which often holds a secret.
func TestNoticeTellsNoAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var log syncBuffer
	w := newWorld(t, nil, func(c *relay.Config) {
		c.NotifyURL, c.Log = "http://"+dead+"/services/T0/s3cr3t", slog.New(slog.NewTextHandler(&log, nil))
	})
	a := w.pair("c")
	if _, err := w.reg.AddNotice(t.Context(), relay.Notice{Key: "k", Kind: "gap", Clinic: a.id, Name: "c", At: time.Now().UTC()}); err != nil {
		t.Fatal(err)
	}
	if err := w.relay.TellDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := log.String(); !strings.Contains(got, "a notice was not delivered") || strings.Contains(got, "s3cr3t") {
		t.Errorf("%s", got)
	}
}

// syncBuffer is a log that may be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// A database that fails over to a copy which lacks the newest events gives out their numbers again. A session that lives on
// must not pass over them.
func TestStoreLosesEventsUnderASession(t *testing.T) {
	w := newWorld(t, nil, func(c *relay.Config) { c.PingEvery = 50 * time.Millisecond })
	a := w.pair("c")
	l := a.mustConnect()
	for i := range 3 {
		a.post(fmt.Sprint("before ", i))
		e := l.event()
		l.ack(e.Seq)
		a.epoch, a.resume, a.resumeAt = l.welcome.StoreEpoch, e.Seq, e.ReceivedAt
	}
	eventually(t, "acked", func() bool { return w.mem.acked(a.id) == 3 })
	w.mem.mu.Lock()
	b := w.mem.boxes[a.id]
	b.events, b.claim.Head, b.claim.Acked = b.events[:1], 1, 1
	w.mem.mu.Unlock()
	a.post("again number 2")
	if code := l.closed(); code != wire.CloseRestart {
		t.Errorf("%d", code)
	}
	l = a.mustConnect()
	f, err := l.next()
	if err != nil {
		t.Fatal(err)
	}
	if g, ok := f.Control.(*wire.Gap); !ok || g.Reason != wire.GapRollback {
		t.Errorf("%+v", f.Control)
	}
	if got := l.body(); got != "again number 2" {
		t.Errorf("%q", got)
	}
}

// Polls of one clinic that wait, or do not take their answer, are bounded.
func TestPollsAreLimited(t *testing.T) {
	w := newWorld(t, nil, nil)
	a := w.pair("c")
	p := &poller{agent: a}
	if _, _, status := p.poll(0); status != http.StatusOK {
		t.Fatalf("%d", status)
	}
	target := wire.PollTarget(0, 25)
	hello := p.signed(http.MethodGet, target, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	statuses := make(chan int, 40)
	for range cap(statuses) {
		go func() {
			q := httptest.NewRequestWithContext(ctx, http.MethodGet, target, nil)
			q.Header.Set("Authorization", "Bearer "+a.token)
			q.Header.Set(wire.HeaderHello, hello)
			answer := httptest.NewRecorder()
			w.relay.Handler().ServeHTTP(answer, q)
			statuses <- answer.Code
		}()
	}
	for range cap(statuses) - 8 {
		if got := <-statuses; got != http.StatusTooManyRequests {
			t.Errorf("%d", got)
		}
	}
	cancel()
	for range 8 {
		<-statuses
	}
	eventually(t, "it may poll again", func() bool {
		_, _, status := p.poll(0)
		return status == http.StatusOK
	})
}

// A clinic that stopped polling, or whose node was killed, is not shown as connected.
func TestSilentClinicIsNotConnected(t *testing.T) {
	w := newWorld(t, nil, nil)
	a := w.pair("c")
	p := &poller{agent: a}
	p.poll(0)
	if err := w.relay.FlushNotes(t.Context()); err != nil {
		t.Fatal(err)
	}
	connected := func() bool {
		list, err := w.admin.ListClinics(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return !list[0].ConnectedSince.IsZero()
	}
	if !connected() {
		t.Error("not connected just after a poll")
	}
	w.clock.move(5 * time.Minute)
	if connected() {
		t.Error("connected five minutes after the last poll")
	}
}
