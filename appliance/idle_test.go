package appliance

import (
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
)

func idleClinic(t *testing.T, action idleAction) *clinic {
	t.Helper()
	return newClinic(t, func(k *core, _ *tenant) {
		k.routes.stations[0].IdleAfter, k.routes.stations[0].IdleAction = 12*time.Hour, action
	})
}

func TestIdleRule(t *testing.T) {
	for _, row := range []struct {
		name   string
		action idleAction
		begin  bool
		at     time.Duration // scheduled, from now
		after  time.Duration
		want   order.State
		flag   bool
	}{
		{"not yet", idleFlag, false, 0, 12*time.Hour - time.Second, order.Scheduled, false},
		{"flag", idleFlag, false, 0, 12 * time.Hour, order.Scheduled, true},
		{"flag begun", idleFlag, true, 0, 12 * time.Hour, order.InProgress, true},
		{"complete", idleComplete, true, 0, 13 * time.Hour, order.Completed, false},
		{"discontinue", idleDiscontinue, false, 0, 13 * time.Hour, order.Discontinued, false},
		{"scheduled tomorrow", idleComplete, false, 24 * time.Hour, 35 * time.Hour, order.Scheduled, false},
		{"scheduled yesterday", idleComplete, false, -24 * time.Hour, 13 * time.Hour, order.Completed, false},
		{"clock went back", idleComplete, false, 0, -48 * time.Hour, order.Scheduled, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := idleClinic(t, row.action)
			up := c.request("1", "X-ray")
			if row.at != 0 {
				up.Content.ScheduledAt = c.clock.Add(row.at)
			}
			c.look("1")
			if row.begin {
				c.begin(c.order("1"), 0)
			}
			c.clock = c.clock.Add(row.after)
			for range 3 { // once is enough, and more is not more
				c.ok(c.idleOnce(t.Context()))
			}
			o := c.wants("1", row.want)
			if got := len(c.raised(problem.OrderIdle)) == 1; got != row.flag {
				t.Errorf("RH-208: %v", got)
			}
			if !row.want.Open() && o.ClosedBy != order.Idle {
				t.Errorf("closed by %q", o.ClosedBy)
			}
		})
	}
}

// The rule counts anew for an order that a person put back.
func TestIdleAfterReopening(t *testing.T) {
	c := idleClinic(t, idleFlag)
	c.request("1", "X-ray")
	c.look("1")
	c.clock = c.clock.Add(13 * time.Hour)
	c.ok(c.idleOnce(t.Context()))
	_, err := c.Complete(t.Context(), act{Accession: "1"})
	c.ok(err)
	_, err = c.Reopen(t.Context(), act{Accession: "1"})
	c.ok(err)
	if len(c.raised(problem.OrderIdle)) != 0 {
		t.Error("RH-208 outlived the reopening")
	}
	c.clock = c.clock.Add(13 * time.Hour)
	c.ok(c.idleOnce(t.Context()))
	if len(c.raised(problem.OrderIdle)) != 1 {
		t.Error("the rule is dead for a reopened order")
	}
}

// Hours that did not pass close nothing.
func TestIdleWithAWrongClock(t *testing.T) {
	c := idleClinic(t, idleComplete)
	c.request("1", "X-ray")
	c.look("1")
	c.clock = c.clock.AddDate(1, 0, 0)
	c.board.Raise(problem.ClockSkew, "", nil)
	c.ok(c.idleOnce(t.Context()))
	c.wants("1", order.Scheduled)
}
