package provet_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

// Whatever fails on the way, an order that is read is the whole order, and a
// status is written once.
func TestStorm(t *testing.T) {
	for _, kind := range []provetsim.FaultKind{
		provetsim.FaultStatus, provetsim.FaultReset, provetsim.FaultResetAfter, provetsim.FaultCut,
		provetsim.FaultTruncated, provetsim.FaultHTML, provetsim.FaultEmpty, provetsim.FaultAuth,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			c := openTenant(t, provetsim.Renamed(provetsim.Config{NoLimits: true, Seed: 3}, 3),
				func(c *provet.Config) { c.Attempts = 1 }) // no waiting between tries
			n := c.sim.CreateOrder(provetsim.NewOrder{PatientID: 5004, TargetAreas: []string{"Skull"}, Remarks: "r", AppointmentAt: time.Now()})
			id := strconv.Itoa(n)
			calm, err := c.Client.Order(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			fault := provetsim.Fault{Kind: kind, Rate: 0.1, Status: 502}
			if kind == provetsim.FaultAuth {
				fault.Resource = "worklist" // not the token itself: refused credentials are held
			}
			c.sim.Inject(fault)
			read := 0
			for range 60 {
				up, err := c.Client.Order(t.Context(), id)
				if errors.Is(err, provet.ErrGone) {
					t.Fatal("the order is said to be gone")
				}
				if err != nil {
					provetError(t, err)
					continue
				}
				read++
				if up.Content.Hash() != calm.Content.Hash() {
					t.Fatalf("half an order: %v", up.Content.Missing)
				}
			}
			if read == 0 {
				t.Error("no read succeeded")
			}
			for range 200 {
				if _, err = c.SetStatus(t.Context(), id, order.Completed); err == nil {
					break
				}
			}
			if err != nil || c.sim.Status(n) != "done" || len(c.sim.Violations()) != 0 {
				t.Errorf("status %s, violations %v: %v", c.sim.Status(n), c.sim.Violations(), err)
			}
			c.sim.ClearFaults()
			patches := len(c.sim.Patches())
			if res, err := c.SetStatus(t.Context(), id, order.Completed); err != nil || res.Changed || len(c.sim.Patches()) != patches {
				t.Errorf("written again: %+v, %v", res, err)
			}
		})
	}
}

// A clinic that answers slowly holds a call up no longer than its timeout.
func TestHangingServer(t *testing.T) {
	c := openTenant(t, provetsim.Config{NoLimits: true}, func(c *provet.Config) { c.Timeout, c.Attempts = 50*time.Millisecond, 1 })
	id := strconv.Itoa(c.sim.CreateOrder(provetsim.NewOrder{}))
	if _, err := c.Client.Order(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	c.sim.Inject(provetsim.Fault{Kind: provetsim.FaultHang, Resource: "worklist", Count: 1})
	_, err := c.Client.Order(t.Context(), id)
	if e := provetError(t, err); e.Class != provet.Transient {
		t.Error(e)
	}
}
