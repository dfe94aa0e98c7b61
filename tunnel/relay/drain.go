package relay

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// drainSettle is how long a session may still ack what it was sent, before it is closed.
const drainSettle = 10 * time.Second

// Drain sends the agents away softly: /readyz fails and no new ones are let in; with a DrainSpread each gets a slot in
// which it opens a connection to another node before it closes this one, and until then it gets its events; then what is on its way
// may be acked for 10 s at most; what is left is closed with 1012. Webhooks are taken all the while. It returns early when ctx ends.
// End Run afterwards.
func (r *Relay) Drain(ctx context.Context) error {
	r.draining.Store(true)
	r.polls.wakeAll()
	defer r.sayRestart()
	live := r.sessions.all()
	if r.cfg.DrainSpread > 0 && len(live) > 0 {
		r.assignSlots(live)
		if !r.until(ctx, r.cfg.DrainSpread, func() bool { return r.sessions.count() == 0 }) {
			return ctx.Err()
		}
	}
	r.settling.Store(true)
	if !r.until(ctx, drainSettle, r.settled) {
		return ctx.Err()
	}
	return nil
}

// drainLead is the time a balancer has to see that this node is not ready any
// more, before the first agent comes back through it.
const drainLead = 5 * time.Second

// assignSlots spreads the sessions evenly.
func (r *Relay) assignSlots(live []*session) {
	lead := min(drainLead, r.cfg.DrainSpread/10)
	var g errgroup.Group
	g.SetLimit(ackWriters)
	for i, s := range live {
		slot := lead + (r.cfg.DrainSpread-lead)*time.Duration(i)/time.Duration(len(live))
		g.Go(func() error {
			if err := s.send(&wire.Drain{ReconnectInMS: slot.Milliseconds()}); err != nil {
				s.end(wire.CloseUnknownCode, "")
			}
			return nil
		})
	}
	_ = g.Wait() // none returns an error
}

// settled says whether nothing is on its way any more.
func (r *Relay) settled() bool {
	for _, s := range r.sessions.all() {
		s.mu.Lock()
		n := len(s.flying)
		s.mu.Unlock()
		if n > 0 {
			return false
		}
	}
	return true
}

// sayRestart closes what is left.
func (r *Relay) sayRestart() {
	var g errgroup.Group
	g.SetLimit(ackWriters)
	for _, s := range r.sessions.all() {
		g.Go(func() error {
			s.end(wire.CloseRestart, "")
			return nil
		})
	}
	_ = g.Wait() // none returns an error
}

// until asks again and again whether something is so, for at most d. It returns false when ctx ended first.
func (r *Relay) until(ctx context.Context, d time.Duration, so func() bool) bool {
	end := time.NewTimer(d)
	defer end.Stop()
	t := time.NewTicker(50 * time.Millisecond)
	defer t.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			return false
		case <-end.C:
			return true
		case <-t.C:
		}
	}
	return true
}

// Broadcast sends a text for the IT partner to all agents of this node: "the relay's certificate ends in 5 days".
func (r *Relay) Broadcast(text string) {
	var g errgroup.Group
	g.SetLimit(ackWriters)
	for _, s := range r.sessions.all() {
		g.Go(func() error {
			if err := s.send(&wire.Notice{Text: text}); err != nil {
				s.end(wire.CloseUnknownCode, "")
			}
			return nil
		})
	}
	_ = g.Wait() // none returns an error
}
