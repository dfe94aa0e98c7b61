package relay_test

import (
	"crypto/ed25519"
	"net/http"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// poller is an agent that only speaks HTTP.
type poller struct {
	*agent
	nonce   string
	session wire.Epoch
}

func (p *poller) request(method, target string, body []byte) answer {
	p.w.t.Helper()
	a := p.w.do(method, p.w.server.URL+target, body, "Authorization", "Bearer "+p.token, wire.HeaderHello, p.signed(method, target, body))
	if n := a.header.Get(wire.HeaderNonce); n != "" {
		p.nonce = n
	}
	return a
}

// signed returns the hello of a request.
func (p *poller) signed(method, target string, body []byte) string {
	p.w.t.Helper()
	h := p.hello()
	h.Epoch = p.session
	h.Signature = ed25519.Sign(p.identity, wire.PollBytes(p.nonce, "127.0.0.1", p.id, p.instance, method, target, body))
	v, err := wire.EncodeHello(p.nonce, h)
	if err != nil {
		p.w.t.Fatal(err)
	}
	return v
}

// poll returns the events of one answer.
func (p *poller) poll(wait int) (events []wire.Event, other []wire.Control, status int) {
	p.w.t.Helper()
	a := p.request(http.MethodGet, wire.PollTarget(p.resume, wait), nil)
	if a.status == 401 && p.nonce != "" {
		a = p.request(http.MethodGet, wire.PollTarget(p.resume, wait), nil)
	}
	if a.status != 200 {
		return nil, nil, a.status
	}
	frames, err := wire.SplitEvents(a.body, wire.Limits{})
	if err != nil {
		p.w.t.Fatal(err)
	}
	for i, f := range frames {
		switch {
		case i == 0:
			wel, ok := f.Control.(*wire.Welcome)
			if !ok {
				p.w.t.Fatalf("%+v", f)
			}
			p.session, p.epoch = wel.Epoch, wel.StoreEpoch
		case f.Control != nil:
			other = append(other, f.Control)
		default:
			events = append(events, f.Event)
			p.resume, p.resumeAt = f.Event.Seq, f.Event.ReceivedAt
		}
	}
	return events, other, a.status
}

func (p *poller) ack(c ...wire.Control) int {
	var body []byte
	for _, f := range c {
		b, err := wire.EncodeControl(f)
		if err != nil {
			p.w.t.Fatal(err)
		}
		body = wire.AppendPolled(body, b)
	}
	return p.request(http.MethodPost, wire.AckPath, body).status
}

func TestLongPoll(t *testing.T) {
	w := newWorld(t, nil, nil)
	a := w.pair("c")
	p := &poller{agent: a}
	for i := range 300 {
		a.post(string(rune('a' + i%26)))
	}
	n := 0
	for n < 300 {
		events, _, status := p.poll(0)
		if status != 200 || len(events) == 0 {
			t.Fatalf("%d, %d events", status, len(events))
		}
		for _, e := range events {
			if n++; e.Seq != wire.Seq(n) {
				t.Fatalf("event %d, want %d", e.Seq, n)
			}
		}
		if status := p.ack(&wire.Ack{Seq: p.resume, Epoch: p.session}); status != 204 {
			t.Fatalf("ack: %d", status)
		}
		if got := w.mem.acked(a.id); got != p.resume {
			t.Fatalf("acked to %d, want %d", got, p.resume)
		}
	}
	done := make(chan []wire.Event, 1)
	go func() {
		events, _, _ := p.poll(25)
		done <- events
	}()
	post := *a
	post.post("wakes the poll")
	select {
	case events := <-done:
		if len(events) != 1 {
			t.Errorf("%d events", len(events))
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the poll was not woken")
	}
	// The same story goes on over a websocket, and back.
	l := a.mustConnect()
	a.post("by websocket")
	if got := l.body(); got != "by websocket" {
		t.Errorf("%q", got)
	}
	if _, _, status := p.poll(0); status != 200 {
		t.Errorf("%d", status)
	}
	if code := l.closed(); code != wire.CloseGoingAway {
		t.Errorf("%d", code)
	}
}

func TestLongPollRefusals(t *testing.T) {
	w := newWorld(t, nil, nil)
	a, b := w.pair("a"), w.pair("b")
	a.post("x")
	p := &poller{agent: a}
	first := p.request(http.MethodGet, wire.PollTarget(0, 0), nil)
	if first.status != 401 || p.nonce == "" {
		t.Fatalf("without a nonce: %d", first.status)
	}
	good := p.nonce
	x := &poller{agent: b, nonce: good}
	if got := x.request(http.MethodGet, wire.PollTarget(0, 0), nil); got.status != 401 {
		t.Errorf("another clinic's nonce: %d", got.status)
	}
	w.clock.move(3 * time.Minute)
	if got := p.request(http.MethodGet, wire.PollTarget(0, 0), nil); got.status != 401 {
		t.Errorf("an old nonce: %d", got.status)
	}
	if _, _, status := p.poll(0); status != 200 {
		t.Fatalf("%d", status)
	}
	thief := *a
	thief.identity = b.identity
	y := &poller{agent: &thief, nonce: p.nonce}
	if got := y.request(http.MethodGet, wire.PollTarget(0, 0), nil); got.status != 401 {
		t.Errorf("a token without its identity: %d", got.status)
	}
	if status := p.ack(&wire.Ack{Seq: 1000, Epoch: p.session}); status != 400 {
		t.Errorf("an ack of what never was: %d", status)
	}
	if status := p.ack(&wire.Notice{Text: "x"}); status != 400 {
		t.Errorf("a frame of the relay's: %d", status)
	}
	other := a.other(false)
	q := &poller{agent: other}
	if _, _, status := q.poll(0); status != 200 {
		t.Fatalf("another computer: %d", status)
	}
	if _, _, status := p.poll(0); status != 409 {
		t.Errorf("superseded: %d", status)
	}
	if status := p.ack(&wire.Ack{Seq: 1, Epoch: p.session}); status != 409 {
		t.Errorf("superseded ack: %d", status)
	}
	if err := w.admin.Revoke(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, _, status := q.poll(0); status != 403 {
		t.Errorf("revoked: %d", status)
	}
}

func TestLongPollGapAndRotation(t *testing.T) {
	w := newWorld(t, nil, func(c *relay.Config) { c.Limits.Events = 3 })
	a := w.pair("c")
	for range 10 {
		a.post("x")
	}
	if err := w.relay.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.admin.Rotate(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "known", func() bool { w.mem.mu.Lock(); defer w.mem.mu.Unlock(); return w.mem.boxes[a.id].rotate })
	p := &poller{agent: a}
	var other []wire.Control
	var events []wire.Event
	eventually(t, "a new token", func() bool {
		p.resume, p.epoch = 0, ""
		var status int
		events, other, status = p.poll(0)
		return status == 200 && len(other) == 2
	})
	if len(events) != 3 || events[0].Seq != 8 {
		t.Errorf("%v", events)
	}
	r, ok := other[0].(*wire.Rotate)
	g, ok2 := other[1].(*wire.Gap)
	if !ok || !ok2 || g.To != 7 {
		t.Fatalf("%+v", other)
	}
	kid, _, _ := wire.SplitToken(r.Token)
	if status := p.ack(&wire.Rotated{KID: kid}); status != 204 {
		t.Errorf("%d", status)
	}
	a.token = r.Token
	if _, _, status := p.poll(0); status != 200 {
		t.Errorf("with the new token: %d", status)
	}
}
