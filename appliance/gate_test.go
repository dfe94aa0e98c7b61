package appliance

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
	"github.com/rayhound/rayhound/drivers/dicom/mwl"
	"github.com/rayhound/rayhound/localdb"
)

func newGate(c *clinic) *gate {
	return &gate{
		c: c.core, title: "RAYHOUND", lenient: map[string]bool{"DR 1": true}, callers: make(chan localdb.Pending, refusedBuffer),
		machines: []mwl.Machine{
			{Name: "DR 1", AETitle: "DR1", Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.1.10/32")}, CalledAliases: []string{"OLD_RIS"}},
			{Name: "CT", AETitle: "CT1"},
		},
	}
}

func calls(calling, called, addr string) dimse.AssociateInfo {
	return dimse.AssociateInfo{CallingAETitle: calling, CalledAETitle: called, Addr: netip.MustParseAddrPort(addr + ":4711")}
}

// flush writes what waits, as remember does.
func (g *gate) flush(t *testing.T) {
	t.Helper()
	select {
	case p := <-g.callers:
		g.write(t.Context(), p)
	default:
	}
}

func TestGate(t *testing.T) {
	for name, row := range map[string]struct {
		calling, called, addr string
		open                  bool
		tag                   string
		reason                byte
	}{
		"known":                 {"DR1", "RAYHOUND", "192.168.1.10", false, "DR 1", 0},
		"our title in any case": {"DR1", "rayhound", "192.168.1.10", false, "DR 1", 0},
		"its name for us":       {"DR1", "OLD_RIS", "192.168.1.10", false, "DR 1", 0},
		"another's name for us": {"CT1", "OLD_RIS", "192.168.1.9", false, "", 7},
		"any address":           {"CT1", "RAYHOUND", "10.0.0.9", false, "CT", 0},
		"mapped address":        {"DR1", "RAYHOUND", "[::ffff:192.168.1.10]", false, "DR 1", 0},
		"wrong address":         {"DR1", "RAYHOUND", "192.168.1.11", false, "", 3},
		"unknown":               {"XX", "RAYHOUND", "192.168.1.11", false, "", 3},
		"unknown, door open":    {"XX", "RAYHOUND", "192.168.1.11", true, "", 0},
		"wrong called title":    {"XX", "ORTHANC", "192.168.1.11", true, "", 7},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClinic(t)
			g := newGate(c)
			g.open = row.open
			grant, reject := g.authorize(t.Context(), calls(row.calling, row.called, row.addr))
			if (reject != nil) != (row.reason != 0) || reject != nil && reject.Reason != row.reason {
				t.Fatalf("%+v", reject)
			}
			if reject == nil && grant.Tag != row.tag {
				t.Errorf("tag %v", grant.Tag)
			}
			g.flush(t)
			if got := len(c.raised(problem.MachineUnknown)); (got == 1) != (row.reason != 0) {
				t.Errorf("%d pending on the board", got)
			}
			if row.tag != "" != !g.lastHeard(row.tag).IsZero() && row.tag != "" {
				t.Error("the machine was not heard")
			}
		})
	}
}

// Anybody may call with any title: neither memory nor the board grows with it.
func TestGateInAFlood(t *testing.T) {
	c := newClinic(t)
	g := newGate(c)
	for i := range 3000 {
		g.authorize(t.Context(), calls(fmt.Sprintf("SCAN%d", i), "RAYHOUND", "192.168.1.66"))
		if i%50 == 0 {
			g.flush(t)
		}
	}
	g.flush(t)
	if n := len(c.raised(problem.MachineUnknown)); n == 0 || n > 200 {
		t.Errorf("%d problems", n)
	}
}

// A pending machine that is set up, or ignored, is no problem any more.
func TestPendingEnds(t *testing.T) {
	c := newClinic(t)
	g := newGate(c)
	g.authorize(t.Context(), calls("NEW", "RAYHOUND", "192.168.1.20"))
	g.authorize(t.Context(), calls("IGNORED", "RAYHOUND", "192.168.1.21"))
	g.flush(t)
	if got := c.raised(problem.MachineUnknown); len(got) != 2 {
		t.Fatal(got)
	}
	c.ok(c.db.Write(t.Context(), func(tx *localdb.Tx) error {
		rows, err := tx.ListPending(t.Context(), false)
		for _, p := range rows {
			if p.CallingAETitle == "IGNORED" {
				err = tx.IgnorePending(t.Context(), p.ID, true)
			}
		}
		return err
	}))
	g.machines = append(g.machines, mwl.Machine{Name: "new", AETitle: "NEW"})
	c.ok(g.forgetConfigured(t.Context()))
	c.ok(g.showPending(t.Context()))
	if got := c.raised(problem.MachineUnknown); len(got) != 0 {
		t.Errorf("they stay: %v", got)
	}
}

func TestDoctorIsNoMachine(t *testing.T) {
	c := newClinic(t)
	g := newGate(c)
	g.authorize(context.Background(), calls(selfTestTitle, "RAYHOUND", "127.0.0.1"))
	g.flush(t)
	if got := c.raised(problem.MachineUnknown); len(got) != 0 {
		t.Error(got)
	}
}
