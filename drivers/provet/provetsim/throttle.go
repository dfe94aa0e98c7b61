package provetsim

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const limitWindow = time.Minute

// throttle counts calls per endpoint and API user over a rolling minute.
type throttle struct {
	off   atomic.Bool
	rates map[string]Rates

	mu      sync.Mutex
	buckets map[string]*bucket
}

// bucket holds the calls of the last minute, oldest first.
type bucket struct {
	calls []call
	sum   int
}

type call struct {
	at     time.Time
	weight int
}

func (th *throttle) init(cfg *Config, tables map[string]*table) {
	th.off.Store(cfg.NoLimits)
	th.buckets = map[string]*bucket{}
	th.rates = map[string]Rates{"permissions": {100, 100, 0}}
	for name, t := range tables {
		th.rates[name] = t.res.rates
		for _, key := range []string{name, t.res.path} {
			if r, ok := cfg.Rates[key]; ok {
				th.rates[name] = r
			}
		}
	}
}

// SetLimits switches the rate limits on or off.
func (s *Sim) SetLimits(on bool) { s.throttle.off.Store(!on) }

// limit accounts for the request and refuses it when the minute is full.
func (s *Sim) limit(r *http.Request, to target, user string) answer {
	if s.throttle.off.Load() || r.Method == http.MethodOptions {
		return answer{}
	}
	rates := s.throttle.rates[to.resource()]
	rate, class, weight := rates.Get, "get", 1
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		rate, class = rates.Write, r.Method
	case !to.one:
		rate, class = rates.List, "list"
		weight = (pageSize(r.URL.Query()) + defaultPageSize - 1) / defaultPageSize
	}
	if rate <= 0 {
		return answer{}
	}
	wait := s.throttle.spend(to.resource()+" "+class+" "+user, weight, rate, s.cfg.Now())
	if wait <= 0 {
		return answer{}
	}
	return throttled(wait)
}

func throttled(wait time.Duration) answer {
	seconds := int((wait + time.Second - 1) / time.Second)
	return detail(http.StatusTooManyRequests,
		fmt.Sprintf("Request was throttled. Expected available in %d seconds.", seconds)).
		with("Retry-After", strconv.Itoa(seconds))
}

// spend returns zero and books weight, or returns how long to wait. A call
// heavier than the whole budget passes when the minute is empty.
func (th *throttle) spend(key string, weight, rate int, now time.Time) time.Duration {
	th.mu.Lock()
	defer th.mu.Unlock()
	b := th.buckets[key]
	if b == nil {
		b = &bucket{}
		th.buckets[key] = b
	}
	gone := 0
	for gone < len(b.calls) && now.Sub(b.calls[gone].at) >= limitWindow {
		b.sum -= b.calls[gone].weight
		gone++
	}
	b.calls = b.calls[gone:]
	if b.sum+weight <= rate || len(b.calls) == 0 {
		b.calls = append(b.calls, call{now, weight})
		b.sum += weight
		return 0
	}
	left := b.sum
	for _, c := range b.calls {
		left -= c.weight
		if left+weight <= rate || left == 0 {
			return max(limitWindow-now.Sub(c.at), time.Nanosecond)
		}
	}
	return limitWindow
}
