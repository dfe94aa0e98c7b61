package relay

import (
	"sync"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// maxHasty bounds the tokens that are remembered. There are as many as clinics that misbehave at once.
const maxHasty = 10_000

// hasty remembers the tokens of clinics that have used up their handshakes, so that to refuse them costs neither the accept
// bucket nor a read.
type hasty struct {
	mu     sync.Mutex
	tokens map[SecretHash]*clinic
}

// wait says how long a token has to wait, without counting anything; 0: not at all.
func (h *hasty) wait(t SecretHash, now time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.tokens[t]
	if c == nil {
		return 0
	}
	wait := c.untilTurn(now)
	if wait == 0 {
		delete(h.tokens, t)
	}
	return wait
}

func (h *hasty) add(t SecretHash, c *clinic) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tokens == nil || len(h.tokens) >= maxHasty {
		h.tokens = map[SecretHash]*clinic{}
	}
	h.tokens[t] = c
}

// What a clinic may ask by long-poll within a session: far more than an agent that waits for its answers does.
const (
	pollRate  = 50 // a second
	pollBurst = 200
)

// polled counts a poll or an ack of a session that has begun. They are free up to a rate that no agent reaches; what is above
// it is counted as handshakes, and ends like these.
func (r *Relay) polled(t Token) error {
	if c := r.dir.clinic(t.Clinic); c == nil || c.polls.AllowN(r.cfg.Now(), 1) {
		return nil
	}
	return r.turn(t)
}

// untilTurn is the time until the clinic's next handshake; 0: now.
func (c *clinic) untilTurn(now time.Time) time.Duration {
	missing := 1 - c.turns.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return max(time.Millisecond, time.Duration(missing/float64(c.turns.Limit())*float64(time.Second)))
}

// turn counts a handshake of a token's clinic and refuses one too many. A real agent needs one for each connection, and two
// while it moves to another node. A clinic that this node has not heard of yet goes free for that moment.
func (r *Relay) turn(t Token) error {
	now := r.cfg.Now()
	c := r.dir.clinic(t.Clinic)
	if c == nil || c.turns.AllowN(now, 1) {
		return nil
	}
	r.hasty.add(t.Hash, c)
	return &refused{code: wire.Close4429, wait: max(time.Second, c.untilTurn(now))}
}
