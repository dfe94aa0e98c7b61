package client

import (
	"math/rand/v2"
	"time"
)

// Backoff spreads the attempts of a fleet to connect. The zero value is ready, for a
// small fleet. It is not safe for concurrent use.
type Backoff struct {
	// Window is W: the time over which the relay's fleet spreads itself.
	Window time.Duration
	// Rand returns a random number in [0, n); nil means math/rand/v2.
	Rand func(n int64) int64

	n int
}

// leastCap is the least upper bound of a wait.
const leastCap = time.Minute

// Next returns how long to wait before the next attempt: a random time of up to
// min(cap, max(W, 1 s · 2ⁿ)), cap being max(60 s, 2·W). The jitter is full, the first
// wait included: after a short outage everybody would return in the same second.
func (b *Backoff) Next() time.Duration {
	top := min(max(leastCap, 2*b.Window), max(b.Window, time.Second<<b.n))
	if b.n < 20 {
		b.n++
	}
	return b.upTo(top)
}

// After returns the wait when the relay asked for at least d: that long, plus jitter.
func (b *Backoff) After(d time.Duration) time.Duration { return d + b.Next() }

// Reset starts from the beginning, after a connection that was stable.
func (b *Backoff) Reset() { b.n = 0 }

func (b *Backoff) upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	if b.Rand != nil {
		return time.Duration(b.Rand(int64(d) + 1))
	}
	return time.Duration(rand.Int64N(int64(d) + 1))
}
