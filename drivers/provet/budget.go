package provet

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Kinds of calls, each with its own limit at Provet.
const (
	callList  = "list"
	callGet   = "get"
	callWrite = "write"
)

const (
	// pageSize is Provet's default page size; a bigger page weighs as much as the
	// pages it replaces, so there is nothing to win.
	pageSize = 50
	// maxPatience is how long a call waits for its budget before it gives up.
	maxPatience = 20 * time.Second
	// maxRetryAfter bounds what a Retry-After may ask for.
	maxRetryAfter = time.Hour
)

// budgets keeps us below Provet's limits, which count per endpoint and API user
// over a rolling minute. Of a limit of N we use at most 0.9 N in any minute: a
// burst of half of N and then 0.4 N per minute; the rest is for others who use
// the same API user.
type budgets struct {
	on      bool
	mu      sync.Mutex
	limiter map[string]*rate.Limiter
	blocked map[string]time.Time // by 429, until then
}

func newBudgets(on bool) *budgets {
	return &budgets{on: on, limiter: map[string]*rate.Limiter{}, blocked: map[string]time.Time{}}
}

// wait takes weight calls of a kind from the budget of a resource, waiting for
// them if that is soon enough. It returns how long to stay away otherwise.
func (b *budgets) wait(ctx context.Context, res, kind string, weight int) (time.Duration, error) {
	b.mu.Lock()
	key := res + " " + kind
	now := time.Now()
	delay := b.blocked[key].Sub(now)
	var r *rate.Reservation
	if b.on {
		l := b.limiter[key]
		if l == nil {
			l = newLimiter(res, kind)
			b.limiter[key] = l
		}
		r = l.ReserveN(now, min(weight, l.Burst()))
		delay = max(delay, r.DelayFrom(now))
	}
	b.mu.Unlock()
	if delay <= 0 {
		return 0, nil
	}
	deadline, has := ctx.Deadline()
	if delay > maxPatience || (has && now.Add(delay).After(deadline)) {
		if r != nil {
			r.CancelAt(now)
		}
		return delay, nil
	}
	return 0, sleep(ctx, delay)
}

func newLimiter(res, kind string) *rate.Limiter {
	n := 100
	if r, ok := resources[res]; ok {
		switch kind {
		case callList:
			n = r.list
		case callGet:
			n = r.get
		case callWrite:
			n = r.write
		}
	}
	return rate.NewLimiter(rate.Limit(0.4*float64(n)/60), n/2)
}

// block keeps a kind of calls away from a resource after a 429.
func (b *budgets) block(res, kind string, d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := res + " " + kind
	if until := time.Now().Add(d); until.After(b.blocked[key]) {
		b.blocked[key] = until
	}
}

// sleep waits, or returns why ctx ended.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
