package appliance

import (
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/provet"
)

func (c *clinic) pollNow() {
	c.t.Helper()
	c.ok(c.pollOnce(c.t.Context(), 30*24*time.Hour))
	c.drain()
}

// A row from the future does not hide what changes before it.
func TestPollIgnoresTheFuture(t *testing.T) {
	c := newClinic(t)
	c.request("1", "X-ray")
	c.tenant.rows = []provet.Row{{ID: "1", Modified: c.clock.AddDate(70, 0, 0), InScope: true}}
	c.pollNow()
	c.pollNow()
	if last := c.tenant.since[1]; last.After(c.clock) {
		t.Errorf("asks for changes since %v", last)
	}
	c.wants("1", order.Scheduled)
}

// A wider departments filter is a new starting point; what is here stays.
func TestPollAfterAnotherFilter(t *testing.T) {
	c := newClinic(t)
	c.request("1", "X-ray")
	old := c.clock.Add(-48 * time.Hour)
	c.tenant.rows = []provet.Row{{ID: "1", Modified: old, InScope: true}, {ID: "2", Modified: old}}
	c.request("2", "X-ray").InScope = false
	c.pollNow()
	first := c.wants("1", order.Scheduled)
	c.scope = "surgery"
	c.tenant.orders["2"].InScope, c.tenant.rows[1].InScope = true, true
	c.pollNow()
	c.wants("2", order.Scheduled)
	if again := c.wants("1", order.Scheduled); again.ID != first.ID || again.Revision != 1 {
		t.Error("a known order was taken again")
	}
	if since := c.tenant.since[1]; !since.Equal(c.clock.Add(-30 * 24 * time.Hour)) {
		t.Errorf("asked since %v", since)
	}
	c.pollNow()
	if since := c.tenant.since[2]; !since.After(c.clock.Add(-30 * 24 * time.Hour)) {
		t.Error("every poll is a first one")
	}
}

// The overlap of polls reads nothing twice, and a change of the same minute is seen.
func TestPollOverlap(t *testing.T) {
	c := newClinic(t)
	up := c.request("1", "X-ray")
	c.tenant.rows = []provet.Row{{ID: "1", Modified: c.clock, Status: "0", InScope: true}}
	c.pollNow()
	c.clock = c.clock.Add(time.Minute)
	c.pollNow()
	c.tenant.fail = nil
	before := c.order("1")
	c.ok(c.pollOnce(t.Context(), 0))
	if due, _, _ := c.dueHints(t.Context()); len(due) != 0 {
		t.Error("a known row is read again")
	}
	up.Status, c.tenant.rows[0].Status = "9", "9"
	c.pollNow()
	if c.wants("1", order.Cancelled).ID != before.ID {
		t.Error("another order")
	}
}

// Times of change are as coarse as Provet's database: a second change within one
// tick bears the time of the first.
func TestPollSeesTwoChangesWithOneTime(t *testing.T) {
	c := newClinic(t)
	up := c.request("1", "X-ray")
	c.tenant.rows = []provet.Row{{ID: "1", Modified: c.clock, Status: "0", InScope: true}}
	c.pollNow()
	before := c.wants("1", order.Scheduled)
	up.Content.Remarks = "Left side too"
	c.clock = c.clock.Add(time.Minute)
	c.pollNow()
	if after := c.wants("1", order.Scheduled); after.Revision != before.Revision+1 {
		t.Errorf("revision %d, want %d: the second change was not seen", after.Revision, before.Revision+1)
	}
}

func TestRecentRowsAreBounded(t *testing.T) {
	var r recentRows
	for i := range 2*maxRecent + 10 {
		r.add(provet.Row{ID: time.Duration(i).String(), Modified: time.Unix(1, 0)})
	}
	if len(r.rows) > maxRecent {
		t.Errorf("%d rows", len(r.rows))
	}
}
