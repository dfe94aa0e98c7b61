package appliance

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/mpps"
	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/localdb"
)

// Withdrawn and there again, with the same identity.
func TestWithdrawnAndRestored(t *testing.T) {
	c := newClinic(t)
	up := c.request("1", "X-ray")
	c.look("1")
	first := c.order("1")
	c.send()
	up.Status = "9"
	c.look("1")
	c.wants("1", order.Cancelled)
	up.Status = "1"
	c.look("1")
	if o := c.wants("1", order.Scheduled); o.StudyInstanceUID != first.StudyInstanceUID {
		t.Error("it has another study UID")
	}
	delete(c.tenant.orders, "1")
	c.look("1")
	c.wants("1", order.Cancelled)
}

// What came back without a machine for it is held, not lost on a list of nobody.
func TestRestoredWithoutMachine(t *testing.T) {
	c := newClinic(t)
	up := c.request("1", "X-ray")
	c.look("1")
	c.send()
	up.Status = "9"
	c.look("1")
	up.Status, up.Content.Modalities[0] = "0", order.Ref{Name: "Dental"}
	c.look("1")
	if o := c.wants("1", order.Held); len(o.Holds) != 1 {
		t.Errorf("%+v", o.Holds)
	}
}

// The content of an order is taken over even when it is withdrawn.
func TestContentOfAWithdrawnOrder(t *testing.T) {
	c := newClinic(t)
	up := c.request("1", "X-ray")
	c.look("1")
	up.Status, up.Content.Remarks = "9", "no longer needed"
	c.look("1")
	if o := c.wants("1", order.Cancelled); o.Content.Remarks == "" || o.Revision != 2 {
		t.Errorf("revision %d, %q", o.Revision, o.Content.Remarks)
	}
}

// A withdrawal before imaging wins over a report that was not sent yet.
func TestWithdrawnWhileAReportIsOwed(t *testing.T) {
	c := newClinic(t)
	up := c.request("1", "X-ray")
	c.look("1") // owes "scheduled"
	up.Status = "9"
	c.look("1")
	c.wants("1", order.Cancelled)
	c.send()
	if len(c.tenant.written) != 0 || up.Status != "9" {
		t.Errorf("wrote %v over the withdrawal", c.tenant.written)
	}
	c.look("1")
	c.wants("1", order.Cancelled)
}

// A report that waits for a person does not hide what Provet says.
func TestWithdrawnWhileAReportIsParked(t *testing.T) {
	c := newClinic(t)
	up := c.request("1", "X-ray")
	c.look("1")
	c.tenant.fail = refused("not allowed")
	c.send()
	if got := c.raised(problem.ReportRefused); len(got) != 1 || got[0] != "1" {
		t.Fatalf("RH-203 of %v", got)
	}
	c.tenant.fail = nil
	up.Status = "9"
	c.look("1")
	c.wants("1", order.Cancelled)
	if got := c.raised(problem.ReportRefused); len(got) != 0 {
		t.Errorf("RH-203 outlived its report: %v", got)
	}
	if got := c.unsent(); len(got) != 0 {
		t.Errorf("still owed: %v", got)
	}
}

// Withdrawn after imaging began: told once, whatever happens afterwards.
func TestWithdrawnLate(t *testing.T) {
	c := newClinic(t)
	up := c.request("1", "X-ray")
	c.look("1")
	r := c.begin(c.order("1"), 0)
	c.send()
	up.Status = "9"
	for range 3 {
		c.look("1")
	}
	o := c.wants("1", order.InProgress)
	late := 0
	for _, l := range c.story(o) {
		if len(l) > len(outcomeLate) && l[:len(outcomeLate)] == outcomeLate {
			late++
		}
	}
	if late != 1 || len(c.raised(problem.OrderCancelledLate)) != 1 {
		t.Errorf("%d lines, board %v", late, c.raised(problem.OrderCancelledLate))
	}
	c.end(r, mpps.Completed)
	c.wants("1", order.Completed)
}

// The undo of a person holds, although Provet still shows the old end.
func TestReopenedStaysOpen(t *testing.T) {
	for name, status := range map[string]string{"completed": "3", "cancelled": "9"} {
		t.Run(name, func(t *testing.T) {
			c := newClinic(t, func(_ *core, p *tenant) {
				p.maps = map[order.State]string{order.Completed: "3"} // "scheduled" is not mapped
			})
			up := c.request("1", "X-ray")
			c.look("1")
			up.Status = status
			c.look("1")
			if c.order("1").State.Open() {
				t.Fatal("it is open")
			}
			if _, err := c.Reopen(t.Context(), act{Accession: "1", Who: "x", Reason: "a mistake"}); err != nil {
				t.Fatal(err)
			}
			c.look("1")
			c.look("1")
			c.wants("1", order.Scheduled)
			up.Status = "0"
			c.look("1")
			up.Status = status // and once more, by somebody
			c.look("1")
			if c.order("1").State.Open() {
				t.Error("a new end in Provet is not followed")
			}
		})
	}
}

// A vet who closed it by mistake gets it back on the list.
func TestClosedInProvetAndOpenedAgain(t *testing.T) {
	c := newClinic(t)
	up := c.request("1", "X-ray")
	c.look("1")
	c.send()
	up.Status = "3"
	c.look("1")
	c.wants("1", order.Completed)
	up.Status = "0"
	c.look("1")
	c.wants("1", order.Scheduled)
}

// A status that we wrote ourselves is no news when the machine goes on.
func TestOurOwnStatusIsNoNews(t *testing.T) {
	c := newClinic(t, func(_ *core, p *tenant) {
		p.maps = map[order.State]string{order.Discontinued: "4", order.Completed: "3"}
	})
	c.request("1", "X-ray")
	c.look("1")
	o := c.order("1")
	c.end(c.begin(o, 0), mpps.Discontinued)
	c.send()
	c.begin(o, 0) // it goes on after all
	c.look("1")
	if c.wants("1", order.InProgress); len(c.raised(problem.OrderCancelledLate)) != 0 {
		t.Error("our own status counts as a withdrawal")
	}
}

func TestHistoryIsNotTaken(t *testing.T) {
	c := newClinic(t)
	for id, change := range map[string]func(*provet.Upstream){
		"1": func(u *provet.Upstream) { u.Status = "9" },
		"2": func(u *provet.Upstream) { u.Status = "3" },
		"3": func(u *provet.Upstream) { u.InScope = false },
	} {
		change(c.request(id, "X-ray"))
		c.look(id)
	}
	if len(c.shelf) != 0 {
		t.Errorf("%d orders are on the list", len(c.shelf))
	}
}

// The department an order moves to decides; a finished one is left alone.
func TestDepartments(t *testing.T) {
	c := newClinic(t)
	up, done := c.request("1", "X-ray"), c.request("2", "X-ray")
	c.look("1")
	c.look("2")
	c.end(c.begin(c.order("2"), 0), mpps.Completed)
	c.send()
	up.InScope, done.InScope = false, false
	c.look("1")
	c.look("2")
	c.wants("1", order.Cancelled)
	c.wants("2", order.Completed)
	if len(c.raised(problem.OrderCancelledLate)) != 0 {
		t.Error("a finished order of another department is a problem")
	}
	up.InScope = true
	c.look("1")
	c.wants("1", order.Scheduled)
}

// A person's hold outlasts changes; a machine that appears ends the other kind.
func TestHolds(t *testing.T) {
	c := newClinic(t)
	up := c.request("1", "Dental")
	c.look("1")
	c.wants("1", order.Held)
	if len(c.raised(problem.OrderUnmapped)) != 1 {
		t.Error("RH-201 is missing")
	}
	c.routes.stations = append(c.routes.stations, station{Name: "IO1", Serves: []string{"dental "}})
	open, err := c.openOrders(t.Context())
	c.ok(err)
	c.ok(c.reroute(t.Context(), open))
	c.wants("1", order.Scheduled)
	if len(c.raised(problem.OrderUnmapped)) != 0 {
		t.Error("RH-201 stays")
	}
	_, err = c.Hold(t.Context(), act{Accession: "1", Who: "x", Reason: "wait"})
	c.ok(err)
	up.Content.Remarks = "changed"
	c.look("1")
	if o := c.wants("1", order.Held); o.Content.Remarks != "changed" {
		t.Error("the change was not taken over")
	}
	_, err = c.Release(t.Context(), act{Accession: "1", Who: "x"})
	c.ok(err)
	c.wants("1", order.Scheduled)
}

// Steps that trade their machines are stored, although the order has the same ones.
func TestRerouteSwapsMachines(t *testing.T) {
	c := newClinic(t)
	c.request("1", "X-ray", "CT")
	c.look("1")
	c.routes.stations[0].Serves, c.routes.stations[1].Serves = c.routes.stations[1].Serves, c.routes.stations[0].Serves
	open, err := c.openOrders(t.Context())
	c.ok(err)
	c.ok(c.reroute(t.Context(), open))
	if o := c.order("1"); o.Steps[0].Stations[0] != "CT1" || c.shelf[o.ID].Steps[0].Stations[0] != "CT1" {
		t.Errorf("%+v", o.Steps)
	}
}

// What could not be read is forgotten when it can be read, even if it changes nothing.
func TestIncompleteClears(t *testing.T) {
	c := newClinic(t)
	up := c.request("1", "X-ray")
	up.Content.Missing = []string{"appointment: 403"}
	c.look("1")
	if len(c.raised(problem.OrderIncomplete)) != 1 {
		t.Fatal("RH-212 is missing")
	}
	up.Content.Missing = nil
	c.look("1")
	if len(c.raised(problem.OrderIncomplete)) != 0 {
		t.Error("RH-212 stays")
	}
}

// A new prefix may make an accession number that is taken; no order is lost by it.
func TestAccessionNumberIsTaken(t *testing.T) {
	c := newClinic(t)
	c.request("123", "X-ray")
	c.look("123")
	c.routes.prefix = "1"
	c.request("23", "X-ray")
	c.look("23")
	if o := c.wants("23", order.Scheduled); o.AccessionNumber == "123" || len(o.AccessionNumber) > 16 {
		t.Errorf("accession number %q", o.AccessionNumber)
	}
}

// One order that cannot be understood is told of that order, and only while it lasts.
func TestUnreadableOrder(t *testing.T) {
	c := newClinic(t)
	c.request("1", "X-ray")
	c.request("2", "X-ray")
	c.ok(c.Signal(t.Context(), "1", "test"))
	c.tenant.fail = &provet.Error{Op: "read", Resource: "patient", Class: provet.Protocol, Detail: "not JSON"}
	due, _, err := c.dueHints(t.Context())
	c.ok(err)
	if err := c.core.look(t.Context(), due[0]); err == nil {
		t.Fatal("no error")
	}
	c.tenant.fail = nil
	c.look("2")
	if got := c.raised(problem.ProvetAnswer); len(got) != 1 || got[0] != "order 1" {
		t.Errorf("RH-108 of %v", got)
	}
	c.clock = c.clock.Add(time.Hour)
	c.drain()
	if got := c.raised(problem.ProvetAnswer); len(got) != 0 {
		t.Errorf("RH-108 stays: %v", got)
	}
	c.wants("1", order.Scheduled)
}

// A database that does not take the postponement must not make us ask Provet
// again and again.
func TestHintThatCannotBePostponed(t *testing.T) {
	c := newClinic(t)
	h := order.Hint{ProvetID: "1"}
	c.tenant.fail = &provet.Error{Op: "read", Class: provet.Transient}
	c.ok(c.db.Close())
	if err := c.core.look(t.Context(), h); !errors.Is(err, errNotDeferred) {
		t.Errorf("got %v", err)
	}
}

// A permission that is missing and a field that is not found are on the board
// as long as they are.
func TestGaps(t *testing.T) {
	c := newClinic(t)
	up := c.request("1", "X-ray")
	c.tenant.missing = []provet.MissingPermission{{Resource: "client", Permission: "Patients and clients"}, {Resource: "worklist", Write: true}}
	up.Unmapped = []*provet.FieldError{{Resource: "worklist", Field: "modality", Tried: []string{"modality"}}}
	c.look("1")
	if got := c.raised(problem.ProvetPermission); len(got) != 2 || got[0] != "client" || got[1] != "worklist (write)" {
		t.Errorf("RH-103 of %v", got)
	}
	if got := c.raised(problem.ProvetField); len(got) != 1 || got[0] != "worklist.modality" {
		t.Errorf("RH-106 of %v", got)
	}
	c.look("2") // there is none: it tells nothing about fields
	if got := c.raised(problem.ProvetField); len(got) != 1 {
		t.Errorf("RH-106 of %v", got)
	}
	c.tenant.missing, up.Unmapped = nil, nil
	c.look("1")
	if got := append(c.raised(problem.ProvetPermission), c.raised(problem.ProvetField)...); len(got) != 0 {
		t.Errorf("they stay: %v", got)
	}
}

func TestGoneOrderLeavesATombstone(t *testing.T) {
	c := newClinic(t)
	c.look("77")
	c.ok(c.db.Read(t.Context(), func(s *localdb.Snapshot) error {
		_, err := s.TombstoneByProvetID(context.WithoutCancel(t.Context()), "77")
		return err
	}))
}
