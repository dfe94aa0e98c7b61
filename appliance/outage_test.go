package appliance

import (
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/provet"
)

// After an outage nothing waits for the end of its own pause: the first success
// makes due what failed because of it.
func TestOutageEndsThePauses(t *testing.T) {
	c := newClinic(t)
	c.board.Now = func() time.Time { return c.clock }
	c.request("1", "X-ray")
	c.request("2", "X-ray")
	c.look("1")
	c.tenant.fail = &provet.Error{Op: "test", Class: provet.Destination}
	c.ok(c.Signal(t.Context(), "2", "test"))
	for range 40 { // an hour, in which the pauses grow
		if due, _, err := c.dueHints(t.Context()); err == nil && len(due) > 0 {
			_ = c.core.look(t.Context(), due[0]) // it fails
		}
		c.send()
		c.clock = c.clock.Add(90 * time.Second)
	}
	if len(c.raised(problem.ProvetUnreachable)) != 1 {
		t.Fatal("the outage is not on the board")
	}
	c.tenant.fail = nil
	c.ok(c.pollOnce(t.Context(), 0))
	c.practiceWorks()
	c.drain()
	c.send()
	c.wants("2", order.Scheduled)
	for id, up := range c.tenant.orders {
		if up.Status != "1" {
			t.Errorf("order %s: Provet Cloud shows %s", id, up.Status)
		}
	}
}

// The idle rule counts from what happened, not from what Provet Cloud shows.
func TestEchoIsNoEvent(t *testing.T) {
	c := newClinic(t, func(k *core, _ *tenant) {
		k.routes.stations[0].IdleAfter, k.routes.stations[0].IdleAction = 24*time.Hour, idleFlag
	})
	up := c.request("1", "X-ray")
	c.look("1")
	for range 30 {
		c.clock = c.clock.Add(time.Hour)
		c.send()
		c.look("1")
		up.Status = map[string]string{"0": "7", "7": "0", "1": "7"}[up.Status] // somebody plays with the status
	}
	c.ok(c.idleOnce(t.Context()))
	if got := c.raised(problem.OrderIdle); len(got) != 1 {
		t.Errorf("RH-208 of %v", got)
	}
}
