package relay_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// A paired agent that connects again and again gets its own share and then 429, which costs the others nothing.
func TestHastyAgent(t *testing.T) {
	w := newWorld(t, nil, func(c *relay.Config) { c.AcceptRate, c.ClinicRate, c.ClinicBurst = 20, 0.01, 3 })
	hasty, other := w.pair("hasty"), w.pair("other")
	let := 0
	for range 200 {
		c, _, resp, err := hasty.upgrade()
		if err == nil {
			c.Close()
			let++
			continue
		}
		if resp == nil || resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
			t.Fatalf("%v %v", resp, err)
		}
		resp.Body.Close()
	}
	if let != 3 {
		t.Errorf("%d handshakes of one clinic", let)
	}
	other.mustConnect()
	if a := (&poller{agent: hasty}).request(http.MethodGet, wire.PollTarget(0, 0), nil); a.status != http.StatusTooManyRequests {
		t.Errorf("a poll with the same token: %d", a.status)
	}
	w.clock.move(200 * time.Second)
	hasty.mustConnect() // before the old one is closed, as after a drain
	hasty.mustConnect()
}

// Only a poll that begins a session is a handshake.
func TestHastyPoller(t *testing.T) {
	w := newWorld(t, nil, func(c *relay.Config) { c.ClinicRate, c.ClinicBurst = 0.01, 2 })
	p := &poller{agent: w.pair("c")}
	poll := func(want int) {
		t.Helper()
		if _, _, status := p.poll(0); status != want {
			t.Fatalf("%d, want %d", status, want)
		}
	}
	for range 10 {
		poll(200)
	}
	p.session = 0
	poll(200)
	p.session = 0
	poll(http.StatusTooManyRequests)
}

// Acks without end use up the clinic's own handshakes, and then cost the others nothing.
func TestAcksWithoutEnd(t *testing.T) {
	w := newWorld(t, nil, func(c *relay.Config) { c.ClinicRate, c.ClinicBurst = 0.01, 3 })
	p, other := &poller{agent: w.pair("c")}, w.pair("other")
	if _, _, status := p.poll(0); status != 200 {
		t.Fatal(status)
	}
	free := 0 // the time it takes gives some more
	for status := 0; status != http.StatusTooManyRequests; free++ {
		if status = p.ack(&wire.Ack{Epoch: p.session}); status != http.StatusNoContent && status != http.StatusTooManyRequests {
			t.Fatal(status)
		}
		if free > 10_000 {
			t.Fatal("they never end")
		}
	}
	if free < 200 {
		t.Errorf("only %d acks were taken", free)
	}
	other.mustConnect()
}

// Keys by long-poll have the same rate as on a websocket; acks are free.
func TestPolledKeys(t *testing.T) {
	w := newWorld(t, nil, nil)
	p := &poller{agent: w.pair("c")}
	if _, _, status := p.poll(0); status != 200 {
		t.Fatal(status)
	}
	var keys []wire.Control
	for range 16 {
		_, pub, id, err := wire.NewSealingKey()
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, &wire.Key{KeyID: id, Public: pub})
	}
	for _, want := range []int{http.StatusNoContent, http.StatusTooManyRequests} {
		if status := p.ack(keys...); status != want {
			t.Errorf("%d, want %d", status, want)
		}
	}
	if status := p.ack(&wire.Ack{Epoch: p.session}); status != http.StatusNoContent {
		t.Errorf("an ack: %d", status)
	}
}
