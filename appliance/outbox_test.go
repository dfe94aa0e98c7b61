package appliance

import (
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/mpps"
	"github.com/rayhound/rayhound/drivers/provet"
)

// A report that fails for good while a later one was made does not hold it up.
func TestRefusedReportDoesNotBlockTheNext(t *testing.T) {
	c := newClinic(t)
	up := c.request("1", "X-ray")
	c.look("1")
	c.send()
	o := c.order("1")
	r := c.begin(o, 0)
	c.tenant.during = func() { // the exam ends while "in progress" is on its way
		c.tenant.during = nil
		c.end(r, mpps.Completed)
		c.tenant.fail = refused("not now")
	}
	_, err := c.deliverOne(t.Context())
	c.ok(err)
	c.tenant.fail = nil
	c.send()
	if up.Status != "3" || len(c.unsent()) != 0 {
		t.Errorf("Provet shows %s, owed %v", up.Status, c.unsent())
	}
	if got := c.raised(problem.ReportRefused); len(got) != 0 {
		t.Errorf("RH-203 of %v", got)
	}
}

// A parked report gives way to the report of a later state.
func TestParkedReportGivesWay(t *testing.T) {
	c := newClinic(t)
	up := c.request("1", "X-ray")
	c.look("1")
	c.tenant.fail = refused("not allowed")
	c.send()
	c.tenant.fail = nil
	c.end(c.begin(c.order("1"), 0), mpps.Completed)
	c.send()
	if up.Status != "3" || len(c.raised(problem.ReportRefused)) != 0 {
		t.Errorf("Provet shows %s, RH-203 of %v", up.Status, c.raised(problem.ReportRefused))
	}
}

// A state that is not reported makes the reports before it pointless all the same.
func TestStateWithoutValueDropsReports(t *testing.T) {
	c := newClinic(t, func(_ *core, p *tenant) { p.maps = map[order.State]string{order.InProgress: "2"} })
	up := c.request("1", "X-ray")
	c.look("1")
	r := c.begin(c.order("1"), 0)
	r.Discontinuation = mpps.Code{Value: "110514", Scheme: "DCM"}
	c.end(r, mpps.Discontinued)
	c.send()
	if up.Status != "0" {
		t.Errorf("Provet shows %s for an order that waits", up.Status)
	}
}

// What follows from each class of failure.
func TestClassesOfFailure(t *testing.T) {
	for _, row := range []struct {
		class  provet.Class
		code   problem.Code
		parked bool
		held   bool // the whole destination waits
	}{
		{provet.Transient, problem.ProvetUnreachable, false, false},
		{provet.Protocol, problem.ProvetAnswer, false, false},
		{provet.Destination, problem.ProvetUnreachable, false, true},
		{provet.Auth, problem.ProvetAuth, false, true},
		{provet.RateLimited, problem.ProvetLimit, false, true},
		{provet.Permission, "", false, true},
		{provet.Permanent, "", true, false},
	} {
		t.Run(row.class.String(), func(t *testing.T) {
			c := newClinic(t)
			c.request("1", "X-ray")
			c.look("1")
			c.tenant.fail = &provet.Error{Op: "set status", Resource: "worklist", Class: row.class, RetryAfter: time.Minute}
			_, err := c.deliverOne(t.Context())
			c.ok(err)
			if got := len(c.raised(problem.ReportRefused)) == 1; got != row.parked {
				t.Errorf("parked: %v", got)
			}
			if row.code != "" && len(c.raised(row.code)) != 1 {
				t.Errorf("%s is not on the board: %v", row.code, c.board.All())
			}
			c.tenant.fail = nil
			c.request("2", "X-ray")
			c.look("2")
			c.send()
			if got := c.tenant.orders["2"].Status == "0"; got != row.held {
				t.Errorf("other orders wait: %v", got)
			}
			c.clock = c.clock.Add(20 * time.Minute)
			c.send()
			if got := c.tenant.orders["1"].Status == "1"; got == row.parked {
				t.Errorf("sent later: %v", got)
			}
			for _, p := range c.board.All() {
				if !row.parked {
					t.Errorf("%s stays on the board", p.Code)
				}
			}
		})
	}
}

// After three days a person is asked, in words that are true.
func TestReportIsGivenUp(t *testing.T) {
	c := newClinic(t)
	c.request("1", "X-ray")
	c.look("1")
	c.clock = c.clock.Add(giveUpAfter)
	c.tenant.fail = &provet.Error{Op: "set status", Class: provet.Destination, Detail: "no route"}
	c.send()
	if o := c.order("1"); !c.told(o, "did not take the report: no answer for three days; no route") {
		t.Errorf("%q", c.story(o))
	}
}

func TestReportForAnOrderThatIsGone(t *testing.T) {
	c := newClinic(t)
	c.request("1", "X-ray")
	c.look("1")
	delete(c.tenant.orders, "1")
	c.send()
	c.drain()
	c.wants("1", order.Cancelled)
}

func TestDelay(t *testing.T) {
	last := time.Duration(0)
	for n := range 20 {
		d := delay(n)
		if d < 4*time.Second || d > 18*time.Minute {
			t.Errorf("delay(%d) = %v", n, d)
		}
		if n < 7 && d < last/2 {
			t.Errorf("delay(%d) = %v after %v", n, d, last)
		}
		last = d
	}
}
