package dimse

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// gate decides at once, before a byte is read, whether a connection is served:
// it bounds open sockets and silences addresses whose callers were rejected
// too often.
type gate struct {
	lim Limits

	mu    sync.Mutex
	total int
	addrs map[netip.Addr]*visitor
}

// visitor is what is known of one address while it matters.
type visitor struct {
	open    int
	second  time.Time // the second in which rejects are counted
	rejects int
	silence time.Time // until then connections are closed unanswered
}

// forget is how many addresses without open connections are kept at most.
const forget = 1024

func remoteIP(conn net.Conn) netip.Addr {
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// enter lets a connection in, or not.
func (g *gate) enter(ip netip.Addr, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	v := g.visitor(ip, now)
	if now.Before(v.silence) || g.total >= g.lim.Connections || v.open >= g.lim.ConnectionsPerAddress {
		return false
	}
	g.total++
	v.open++
	return true
}

// leave: the connection is closed.
func (g *gate) leave(ip netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total--
	if v := g.addrs[ip]; v != nil {
		v.open--
	}
}

// reject counts a rejected caller.
func (g *gate) reject(ip netip.Addr, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	v := g.visitor(ip, now)
	if now.Sub(v.second) >= time.Second {
		v.second, v.rejects = now, 0
	}
	if v.rejects++; v.rejects >= g.lim.RefusedPerSecond {
		v.silence = now.Add(g.lim.RefusedPause)
	}
}

func (g *gate) connections() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.total
}

func (g *gate) visitor(ip netip.Addr, now time.Time) *visitor {
	if g.addrs == nil {
		g.addrs = make(map[netip.Addr]*visitor)
	}
	v := g.addrs[ip]
	if v == nil {
		if len(g.addrs) >= forget {
			for a, o := range g.addrs {
				if o.open == 0 && now.After(o.silence) && now.Sub(o.second) >= time.Second {
					delete(g.addrs, a)
				}
			}
		}
		v = new(visitor)
		g.addrs[ip] = v
	}
	return v
}
