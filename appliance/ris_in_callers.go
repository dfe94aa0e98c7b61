package appliance

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
)

const (
	// resolveEvery is how often the hosts of the RIS are looked up again.
	resolveEvery = time.Minute
	// resolveWithin bounds one look-up.
	resolveWithin = 5 * time.Second
	// callersKept is how many refused addresses are remembered: a port scanner
	// must not fill the board. callersFor is how long.
	callersKept = 50
	callersFor  = 24 * time.Hour
)

// risCallers decides by the address who may send HL7: the host of each RIS and
// its receives_from. Who was refused is remembered for a while and shown.
type risCallers struct {
	c      *core
	peers  []*risPeer
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)

	mu      sync.Mutex
	hosts   map[string][]netip.Addr // by RIS, as they were resolved last
	refused map[netip.Addr]*refusedCaller
	knocks  map[netip.Addr]int // refusals that the doctor is about to cause
}

type refusedCaller struct {
	count   int
	first   time.Time
	last    time.Time
	reason  string
	written bool // in the log
}

func newRISCallers(c *core, peers []*risPeer) *risCallers {
	return &risCallers{
		c: c, peers: peers, hosts: map[string][]netip.Addr{}, refused: map[netip.Addr]*refusedCaller{}, knocks: map[netip.Addr]int{},
		lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		},
	}
}

// resolve looks the hosts of the RIS up. A host that cannot be looked up keeps
// the addresses that it had.
func (r *risCallers) resolve(ctx context.Context) {
	for _, p := range r.peers {
		host, _, err := net.SplitHostPort(p.profile.Address)
		if err != nil {
			continue
		}
		var list []netip.Addr
		if a, err := netip.ParseAddr(host); err == nil {
			list = []netip.Addr{a}
		} else {
			within, cancel := context.WithTimeout(ctx, resolveWithin)
			list, err = r.lookup(within, host)
			cancel()
			if err != nil || len(list) == 0 {
				r.c.log.LogAttrs(ctx, slog.LevelWarn, "the host of a RIS cannot be looked up", slog.String("ris", p.Name), slog.String("host", host))
				continue
			}
		}
		for i := range list {
			list[i] = list[i].Unmap().WithZone("")
		}
		r.mu.Lock()
		r.hosts[p.Name] = list
		r.mu.Unlock()
	}
}

// watch keeps the addresses true until ctx ends, and forgets callers that were
// refused long ago.
func (r *risCallers) watch(ctx context.Context) error {
	for {
		r.resolve(ctx)
		r.forget()
		if err := sleepOr(ctx, resolveEvery, nil); err != nil {
			return err
		}
	}
}

// owners returns the RIS that may send from an address.
func (r *risCallers) owners(addr netip.Addr) []string {
	addr = addr.Unmap().WithZone("")
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for _, p := range r.peers {
		if slices.Contains(r.hosts[p.Name], addr) || slices.ContainsFunc(p.From, func(x netip.Prefix) bool { return x.Contains(addr) }) {
			names = append(names, p.Name)
		}
	}
	return names
}

// allowed answers mllp.ServerConfig.Allow.
func (r *risCallers) allowed(addr netip.Addr) bool { return len(r.owners(addr)) > 0 }

// whose answers orders.ReceiverConfig.Whose.
func (r *risCallers) whose(addr netip.Addr) string {
	if names := r.owners(addr); len(names) == 1 {
		return names[0]
	}
	return ""
}

// knock announces that the doctor will connect from an address, to see that
// somebody answers: that is no caller to tell of.
func (r *risCallers) knock(addr netip.Addr) {
	if r.allowed(addr) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.knocks[addr.Unmap()]++
}

// refuse remembers a caller, and shows it.
func (r *risCallers) refuse(addr netip.Addr, reason string) {
	addr = addr.Unmap().WithZone("")
	now := r.c.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.knocks[addr] > 0 {
		r.knocks[addr]--
		return
	}
	x := r.refused[addr]
	if x == nil {
		if len(r.refused) >= callersKept {
			return
		}
		x = &refusedCaller{first: now}
		r.refused[addr] = x
	}
	x.count++
	x.last, x.reason = now, reason
	if !x.written {
		x.written = true
		r.c.log.LogAttrs(context.Background(), slog.LevelWarn, "an HL7 caller was refused", slog.String("peer", addr.String()), slog.String("reason", reason))
	}
	r.c.board.RaiseSince(problem.RISCaller, addr.String(), problem.Args{
		"address": addr.String(), "count": strconv.Itoa(x.count), "reason": reason,
	}, x.first)
}

// forget takes callers down that have not called for a day, or may call by now,
// and messages that were refused a day ago.
func (r *risCallers) forget() {
	now := r.c.now()
	r.mu.Lock()
	gone := map[netip.Addr]bool{}
	for addr, x := range r.refused {
		gone[addr] = now.Sub(x.last) > callersFor
	}
	r.mu.Unlock()
	r.c.inbound.refused.Range(func(subject, at any) bool {
		if now.Sub(at.(time.Time)) > callersFor {
			r.c.inbound.refused.Delete(subject)
			r.c.board.Clear(problem.RISMessage, subject.(string))
		}
		return true
	})
	for addr, old := range gone {
		if !old && !r.allowed(addr) {
			continue
		}
		r.mu.Lock()
		delete(r.refused, addr)
		r.mu.Unlock()
		r.c.board.Clear(problem.RISCaller, addr.String())
	}
}
