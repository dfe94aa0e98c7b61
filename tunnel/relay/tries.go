package relay

import (
	"net/netip"
	"sync"
	"time"
)

// Wrong tries of one address before it has to wait: pairing codes in an hour, tokens in ten minutes.
const (
	maxPairTries = 5
	maxAuthTries = 60
	maxTryHosts  = 50_000
)

// tries counts wrong tries by address. It is kept by each node for itself and approximate on purpose. IPv6 addresses count
// by their /64, because a host has all of it.
type tries struct {
	limit  int
	window time.Duration

	mu    sync.Mutex
	hosts map[netip.Addr]*tried
}

type tried struct {
	since time.Time
	n     int
}

func newTries(limit int, window time.Duration) *tries {
	return &tries{limit: limit, window: window, hosts: map[netip.Addr]*tried{}}
}

func tryKey(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// take counts a try and says whether it is allowed; if not, after how long.
func (t *tries) take(a netip.Addr, now time.Time) (bool, time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a = tryKey(a)
	h := t.hosts[a]
	if h == nil || now.Sub(h.since) >= t.window {
		if h == nil && len(t.hosts) >= maxTryHosts {
			t.makeRoom(now)
		}
		h = &tried{since: now}
		t.hosts[a] = h
	}
	if h.n >= t.limit {
		return false, t.window - now.Sub(h.since)
	}
	h.n++
	return true, 0
}

// giveBack undoes take after a try that was right.
func (t *tries) giveBack(a netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h := t.hosts[tryKey(a)]; h != nil && h.n > 0 {
		h.n--
	}
}

// spent says whether an address has no try left, without counting one.
func (t *tries) spent(a netip.Addr, now time.Time) (bool, time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.hosts[tryKey(a)]
	if h == nil || h.n < t.limit || now.Sub(h.since) >= t.window {
		return false, 0
	}
	return true, t.window - now.Sub(h.since)
}

// makeRoom forgets some addresses, at best old ones. A caller with very many addresses wins tries with it, which the codes
// themselves bound; to refuse everybody new instead would let it lock out whole networks.
func (t *tries) makeRoom(now time.Time) {
	looked := 0
	for a, h := range t.hosts { // begins anywhere
		if now.Sub(h.since) >= t.window || looked == 0 {
			delete(t.hosts, a)
		}
		if looked++; looked == 100 {
			return
		}
	}
}
