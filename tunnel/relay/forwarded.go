package relay

import (
	"net/http"
	"net/netip"
	"strings"
)

// caller returns the address a request came from. A forwarding header counts only when it was written by a configured
// proxy: from the right, the first address of X-Forwarded-For that is none of them.
func (r *Relay) caller(q *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(q.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	a := ap.Addr().Unmap()
	if !r.trusted(a) {
		return a
	}
	hops := strings.Split(strings.Join(q.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && len(hops)-i <= 20; i-- {
		h, ok := hop(hops[i])
		if !ok {
			return a
		}
		a = h
		if !r.trusted(a) {
			return a
		}
	}
	return a
}

// hop reads one entry of X-Forwarded-For: an address, maybe with a port.
func hop(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.Unmap(), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap(), true
	}
	return netip.Addr{}, false
}

func (r *Relay) trusted(a netip.Addr) bool {
	for _, p := range r.cfg.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
