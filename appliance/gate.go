package appliance

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
	"github.com/rayhound/rayhound/drivers/dicom/mpps"
	"github.com/rayhound/rayhound/drivers/dicom/mwl"
	"github.com/rayhound/rayhound/localdb"
)

// gate decides who may associate (dicom.md 3.1): the called title must be ours
// or the machine's alias for us, calling title and address must belong to one
// configured machine. Who is refused is remembered as a pending machine.
type gate struct {
	c        *core
	title    string
	machines []mwl.Machine
	lenient  map[string]bool
	open     bool // accept_unknown

	callers chan localdb.Pending // who was refused, on the way to the database

	mu   sync.Mutex
	last map[string]time.Time // when each machine was last heard
	mpps map[string]time.Time // when each machine last sent MPPS

	shown map[string]bool // the pending machines on the board
}

// reported notes that a machine sent MPPS.
func (g *gate) reported(name string, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mpps == nil {
		g.mpps = map[string]time.Time{}
	}
	g.mpps[name] = at
}

// lastReport returns when a machine sent MPPS last since the start.
func (g *gate) lastReport(name string) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mpps[name]
}

// caller answers mpps.Machine for a configured machine.
type caller struct {
	*mwl.Machine
	lenient bool
}

// MachineName is the machine's name in the settings.
func (c caller) MachineName() string { return c.Name }

// MPPSLenient is mpps_lenient of the settings.
func (c caller) MPPSLenient() bool { return c.lenient }

// MPPSCharset is the machine's character set, for text that names none.
func (c caller) MPPSCharset() string { return c.Charset }

// machine tells the MPPS service who is on an association; nil for a caller
// that only accept_unknown let in.
func (g *gate) machine(p *dimse.Peer) mpps.Machine {
	name, _ := p.Tag.(string)
	for i := range g.machines {
		if name != "" && g.machines[i].Name == name {
			return caller{&g.machines[i], g.lenient[name]}
		}
	}
	return nil
}

// authorize answers dimse.ServerConfig.Authorize.
func (g *gate) authorize(_ context.Context, in dimse.AssociateInfo) (dimse.Grant, *dimse.Reject) {
	machine, known := mwl.Caller(g.machines, in.CallingAETitle, in.Addr.Addr())
	if !g.called(in.CalledAETitle, machine) {
		g.refused(in, "it asked for another AE title than ours")
		return dimse.Grant{}, &dimse.Reject{Result: 1, Source: 1, Reason: 7} // called AE title not recognized
	}
	if !known {
		if g.open {
			return dimse.Grant{Tag: ""}, nil
		}
		reason := "no machine has this AE title"
		if _, elsewhere := mwl.Caller(g.anywhere(), in.CallingAETitle, in.Addr.Addr()); elsewhere {
			reason = "the AE title is known, but not from this address"
		}
		g.refused(in, reason)
		return dimse.Grant{}, &dimse.Reject{Result: 1, Source: 1, Reason: 3} // calling AE title not recognized
	}
	g.heard(machine.Name)
	return dimse.Grant{
		Tag: machine.Name, Key: machine.Name, PreferImplicit: machine.TransferSyntax == "implicit",
	}, nil
}

// called reports whether title is a name of ours for that machine.
func (g *gate) called(title string, m *mwl.Machine) bool {
	if strings.EqualFold(title, g.title) {
		return true
	}
	if m == nil {
		return false
	}
	for _, a := range m.CalledAliases {
		if strings.EqualFold(title, a) {
			return true
		}
	}
	return false
}

// anywhere returns the machines without their addresses.
func (g *gate) anywhere() []mwl.Machine {
	list := make([]mwl.Machine, len(g.machines))
	for i, m := range g.machines {
		m.Addresses = nil
		list[i] = m
	}
	return list
}

// heard notes that a machine called, and takes the warnings about it down.
func (g *gate) heard(name string) {
	g.mu.Lock()
	_, before := g.last[name]
	if g.last == nil {
		g.last = map[string]time.Time{}
	}
	g.last[name] = g.c.now()
	g.mu.Unlock()
	if !before {
		g.c.board.ClearCode(problem.MachineNone)
	}
}

// lastHeard returns when a machine called last.
func (g *gate) lastHeard(name string) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.last[name]
}

// refusedBuffer is how many refused callers wait to be written down; in a flood
// the rest are not remembered.
const refusedBuffer = 64

// refused remembers a caller that was refused. It is written aside, because a
// caller must never wait for our disk.
func (g *gate) refused(in dimse.AssociateInfo, reason string) {
	if in.CallingAETitle == selfTestTitle && in.Addr.Addr().Unmap().IsLoopback() {
		return // the doctor knocks to see that somebody answers
	}
	p := localdb.Pending{
		CallingAETitle: in.CallingAETitle, CalledAETitle: in.CalledAETitle, Address: addressOf(in.Addr), Reason: reason, At: g.c.now(),
	}
	select {
	case g.callers <- p:
	default:
	}
}

func addressOf(a netip.AddrPort) string { return a.Addr().Unmap().String() }

// printable makes a title that anybody may have sent fit for people.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r > 0x7e {
			return '?'
		}
		return r
	}, s)
}
