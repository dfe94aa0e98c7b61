package relay_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

func TestWindow(t *testing.T) {
	for _, tt := range []struct {
		name   string
		window wire.Window
		want   int // events that come without an ack
	}{
		{"by count", wire.Window{Msgs: 3, Bytes: 1 << 20}, 3},
		{"by bytes", wire.Window{Msgs: 100, Bytes: 5000}, 3},
		{"one larger than the window", wire.Window{Msgs: 100, Bytes: 1}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil, nil)
			a := w.pair("c")
			a.window = tt.window
			for range 20 {
				a.post(strings.Repeat("x", 2000))
			}
			l := a.mustConnect()
			got := 0
			for i := range 20 {
				l.event()
				got++
				if got == tt.want && i < 19 {
					// Nothing more may be on its way: a notice overtakes everything that is not sent.
					w.relay.Broadcast("nothing")
					if f, err := l.next(); err != nil || f.Control == nil {
						t.Fatalf("event %d came although the window is full", i+2)
					}
					l.ack(a.resume)
					got = 0
				}
			}
		})
	}
}

// Events of one clinic never reach another, whoever it says it is, and cannot be acked by it.
func TestHostileAgent(t *testing.T) {
	w := newWorld(t, nil, nil)
	victim, thief := w.pair("victim"), w.pair("thief")
	victim.post("private")
	thief.post("own")

	t.Run("another clinic's name", func(t *testing.T) {
		x := *thief
		x.id = victim.id
		if _, err := x.connect(); closeCode(err) != wire.Close4401 {
			t.Errorf("%v", err)
		}
	})
	t.Run("a stolen token", func(t *testing.T) {
		x := *thief
		x.id, x.token = victim.id, victim.token
		if _, err := x.connect(); closeCode(err) != wire.Close4401 {
			t.Errorf("%v", err)
		}
	})
	t.Run("a signature for another relay", func(t *testing.T) {
		c, ch, _, err := victim.upgrade()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		h := victim.hello()
		h.Signature = ed25519.Sign(victim.identity, wire.HelloBytes(ch.Nonce, "relay.example.com", victim.id, victim.instance))
		l := &line{a: victim, c: c}
		l.send(h)
		if code := l.closed(); code != wire.Close4401 {
			t.Errorf("%d", code)
		}
	})
	t.Run("acks of what was never sent", func(t *testing.T) {
		l := thief.mustConnect()
		if got := l.body(); got != "own" {
			t.Errorf("%q", got)
		}
		l.ack(1 << 40)
		if code := l.closed(); code != wire.Close4400 {
			t.Errorf("%d", code)
		}
		if n := w.mem.acked(victim.id); n != 0 {
			t.Errorf("the victim's mailbox is acked to %d", n)
		}
	})
	t.Run("another clinic's token confirmed", func(t *testing.T) {
		l := thief.mustConnect()
		kid, _, _ := wire.SplitToken(victim.token)
		l.send(&wire.Rotated{KID: kid})
		l.ack(0)
		if _, err := victim.connect(); err != nil {
			t.Errorf("the victim is locked out: %v", err)
		}
	})
	for name, bad := range map[string]func(*line){
		"a binary frame":         func(l *line) { _ = l.c.WriteMessage(websocket.BinaryMessage, []byte{1, 2}) },
		"no JSON":                func(l *line) { _ = l.c.WriteMessage(websocket.TextMessage, []byte("{")) },
		"a frame of the relay's": func(l *line) { l.send(&wire.Notice{Text: "x"}) },
		"a second hello": func(l *line) {
			h := l.a.hello()
			h.Signature = make([]byte, ed25519.SignatureSize)
			l.send(h)
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := thief.mustConnect()
			bad(l)
			if code := l.closed(); code != wire.Close4400 {
				t.Errorf("%d", code)
			}
		})
	}
	t.Run("too large a frame", func(t *testing.T) {
		l := thief.mustConnect()
		_ = l.c.WriteMessage(websocket.TextMessage, make([]byte, wire.MaxControl+1))
		if code := l.closed(); code != wire.Close4413 {
			t.Errorf("%d", code)
		}
	})
	t.Run("a flood of frames", func(t *testing.T) {
		l := thief.mustConnect()
		for range 5000 {
			if l.c.WriteMessage(websocket.TextMessage, []byte(`{"type":"x"}`)) != nil {
				break
			}
		}
		if code := l.closed(); code != wire.Close4429 && code != 0 {
			t.Errorf("%d", code)
		}
	})
	t.Run("an unknown frame is ignored", func(t *testing.T) {
		l := thief.mustConnect()
		_ = l.c.WriteMessage(websocket.TextMessage, []byte(`{"type":"later","x":1}`))
		thief.post("still here")
		for l.body() != "still here" {
		}
	})
}

func TestRefusals(t *testing.T) {
	w := newWorld(t, nil, nil)
	a := w.pair("c")
	try := func(token, protocol string) (int, string) {
		t.Helper()
		d := a.dialer()
		d.Subprotocols = []string{protocol}
		_, resp, err := d.Dial(strings.Replace(w.server.URL, "https:", "wss:", 1)+wire.TunnelPath, http.Header{"Authorization": {token}})
		if err == nil || resp == nil {
			t.Fatal("no refusal")
		}
		defer resp.Body.Close()
		return resp.StatusCode, resp.Header.Get(wire.HeaderRelay)
	}
	other, _ := wire.NewToken()
	kid, _, _ := wire.SplitToken(a.token)
	_, secret, _ := wire.SplitToken(other)
	for _, tt := range []struct {
		token, protocol string
		want            int
	}{
		{"", wire.Protocol, 401},
		{"Bearer x", wire.Protocol, 401},
		{"Bearer " + other, wire.Protocol, 401},
		{"Bearer rht1_" + kid + "_" + secret, wire.Protocol, 401},
		{"Basic " + a.token, wire.Protocol, 401},
		{"Bearer " + a.token, "rayhound-tunnel.v99", 426},
	} {
		if status, relay := try(tt.token, tt.protocol); status != tt.want || relay != wire.Protocol {
			t.Errorf("%q %q: %d, header %q", tt.token, tt.protocol, status, relay)
		}
	}
	if got := w.do(http.MethodGet, w.server.URL+wire.TunnelPath, nil); got.status != 400 {
		t.Errorf("without an upgrade: %d", got.status)
	}
	if got := w.do(http.MethodPost, w.server.URL+wire.TunnelPath, nil); got.status != 405 {
		t.Errorf("POST: %d", got.status)
	}
	if got := w.do(http.MethodGet, w.server.URL+"/v1/what", nil); got.status != 404 {
		t.Errorf("unknown: %d", got.status)
	}
}

func TestAcceptBucket(t *testing.T) {
	w := newWorld(t, nil, func(c *relay.Config) { c.AcceptRate = 0.5 })
	a := w.pair("c")
	a.mustConnect()
	_, _, resp, err := a.upgrade()
	if err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
}

// A wake-up may be lost: the net under them finds the event.
func TestWakeupLost(t *testing.T) {
	mem := newMemory()
	one := newWorld(t, mem, nil)
	two := newWorld(t, mem, func(c *relay.Config) { c.PublicURL = one.relayURL() })
	mem.mu.Lock()
	mem.noWake = true
	mem.mu.Unlock()
	a := one.pair("c")
	l := a.mustConnect()
	a.w = two
	url := strings.Replace(a.urls[wire.KindCreated], one.server.URL, two.server.URL, 1)
	eventually(t, "the other node takes it", func() bool { return two.do(http.MethodPost, url, []byte("by another node")).status == 200 })
	if got := l.body(); got != "by another node" {
		t.Errorf("%q", got)
	}
}

func (w *world) relayURL() string { return "https://" + w.server.Listener.Addr().String() }

func TestWakeupsDoubled(t *testing.T) {
	w := newWorld(t, nil, nil)
	a := w.pair("c")
	l := a.mustConnect()
	for i := range 50 {
		a.post(fmt.Sprint(i))
		for range 5 {
			w.mem.Wake(a.id, wire.Seq(i+1))
			w.mem.Wake(a.id, 1)
			w.mem.Wake(a.id, 1000) // of something that is not there
		}
		if e := l.event(); e.Seq != wire.Seq(i+1) {
			t.Fatalf("event %d, want %d", e.Seq, i+1)
		}
		l.ack(a.resume)
	}
}

// A silent agent is found and closed; one that answers pings is not.
func TestHeartbeat(t *testing.T) {
	w := newWorld(t, nil, func(c *relay.Config) { c.PingEvery, c.DeadAfter = 100*time.Millisecond, 500*time.Millisecond })
	dead, well := w.pair("dead"), w.pair("well")
	d, l := dead.mustConnect(), well.mustConnect()
	d.c.SetPingHandler(func(string) error { return nil })
	code := make(chan wire.CloseCode, 1)
	go func() { code <- d.closed() }()
	pings := 0
	answer := l.c.PingHandler()
	l.c.SetPingHandler(func(s string) error {
		if pings++; pings == 10 {
			well.post("still here")
		}
		return answer(s)
	})
	if got := l.body(); got != "still here" {
		t.Errorf("%q", got)
	}
	if c := <-code; c != wire.CloseGoingAway {
		t.Errorf("%d", c)
	}
}

func TestRevocation(t *testing.T) {
	mem := newMemory()
	w := newWorld(t, mem, nil)
	a := w.pair("c")
	l := a.mustConnect()
	mem.mu.Lock()
	mem.noWake = true // by another process, on this database
	mem.mu.Unlock()
	admin := &relay.Admin{Store: mem, Registry: mem, PublicURL: w.relayURL()}
	if err := admin.Revoke(t.Context(), "C"); err != nil {
		t.Fatal(err)
	}
	if code := l.closed(); code != wire.Close4403 {
		t.Errorf("%d", code)
	}
	_, _, resp, err := a.upgrade()
	if err == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("%v", err)
	}
	resp.Body.Close()
	if got := w.do(http.MethodPost, a.urls[wire.KindCreated], nil); got.status != 404 {
		t.Errorf("%d", got.status)
	}
	if _, err := w.admin.AddClinic(context.Background(), "c"); err != nil {
		t.Errorf("the name is not free again: %v", err)
	}
}
