package appliance

import (
	"slices"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/mpps"
)

// The whole life, and what Provet hears.
func TestLifeOfAnOrder(t *testing.T) {
	c := newClinic(t)
	c.request("1", "X-ray")
	c.look("1")
	o := c.wants("1", order.Scheduled)
	c.send()
	r := c.begin(o, 0)
	c.wants("1", order.InProgress)
	c.send()
	c.end(r, mpps.Completed)
	c.send()
	o = c.wants("1", order.Completed)
	if !slices.Equal(c.tenant.written, []string{"1", "2", "3"}) {
		t.Errorf("Provet was told %v", c.tenant.written)
	}
	if o.ClosedBy != order.MPPS || o.ClosedText == "" || o.UpstreamStatus != "3" {
		t.Errorf("closed by %q: %q, upstream %q", o.ClosedBy, o.ClosedText, o.UpstreamStatus)
	}
}

// What is not known is done as soon as every step has ended, and not before.
func TestSeveralSteps(t *testing.T) {
	c := newClinic(t)
	c.request("1", "X-ray", "CT")
	c.look("1")
	o := c.wants("1", order.Scheduled)
	if len(o.Steps) != 2 || o.Steps[0].ScheduledProcedureStepID == o.Steps[1].ScheduledProcedureStepID {
		t.Fatalf("%+v", o.Steps)
	}
	c.end(c.begin(o, 0), mpps.Completed)
	c.wants("1", order.InProgress)
	c.end(c.begin(o, 1), mpps.Discontinued)
	c.wants("1", order.Completed)
}

// A vet who takes away what is left to do has ended the order.
func TestRestIsTakenAway(t *testing.T) {
	c := newClinic(t)
	up := c.request("1", "X-ray", "CT")
	c.look("1")
	c.end(c.begin(c.order("1"), 0), mpps.Completed)
	c.send()
	up.Content.Modalities = up.Content.Modalities[:1]
	c.look("1")
	c.wants("1", order.Completed)
	c.send()
	if up.Status != "3" {
		t.Errorf("Provet shows %s", up.Status)
	}
}

// A closed order keeps its steps as they were done; reopened, it gets the new ones.
func TestModalityAddedAfterTheEnd(t *testing.T) {
	c := newClinic(t)
	up := c.request("1", "X-ray")
	c.look("1")
	c.end(c.begin(c.order("1"), 0), mpps.Completed)
	c.send()
	up.Content.Modalities = append(up.Content.Modalities, order.Ref{Name: "CT"})
	c.look("1")
	o := c.wants("1", order.Completed)
	if len(o.Steps) != 1 || o.Revision != 2 {
		t.Errorf("%d steps, revision %d", len(o.Steps), o.Revision)
	}
	if _, err := c.Reopen(t.Context(), act{Accession: "1"}); err != nil {
		t.Fatal(err)
	}
	if o = c.wants("1", order.Scheduled); len(o.Steps) != 2 || len(o.Stations()) != 2 {
		t.Errorf("%+v", o.Steps)
	}
}

// Evidence without a step means what is open, not what a machine gave up.
func TestWholeOrderEvidence(t *testing.T) {
	c := newClinic(t, func(k *core, _ *tenant) {
		for i := range k.routes.stations {
			k.routes.stations[i].IdleAfter, k.routes.stations[i].IdleAction = time.Hour, idleComplete
		}
	})
	c.request("1", "X-ray", "CT")
	c.look("1")
	c.end(c.begin(c.order("1"), 0), mpps.Discontinued)
	c.clock = c.clock.Add(2 * time.Hour)
	if err := c.idleOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	o := c.wants("1", order.Completed)
	if o.Steps[0].State != order.Discontinued || o.Steps[1].State != order.Completed {
		t.Errorf("%+v", o.Steps)
	}
}

func TestWrongEntryPutsTheStepBack(t *testing.T) {
	c := newClinic(t)
	c.request("1", "X-ray")
	c.look("1")
	r := c.begin(c.order("1"), 0)
	r.Discontinuation = mpps.Code{Value: "110514", Scheme: "DCM"}
	c.end(r, mpps.Discontinued)
	c.wants("1", order.Scheduled)
	c.send()
	if c.tenant.orders["1"].Status != "1" {
		t.Errorf("Provet shows %s", c.tenant.orders["1"].Status)
	}
}

// A code 110514 of another scheme is another code.
func TestReasonOfAnotherScheme(t *testing.T) {
	c := newClinic(t)
	c.request("1", "X-ray")
	c.look("1")
	r := c.begin(c.order("1"), 0)
	r.Discontinuation = mpps.Code{Value: "110514", Scheme: "99LOCAL"}
	c.end(r, mpps.Discontinued)
	c.wants("1", order.Discontinued)
}

// A machine whose done_when does not name MPPS only says that imaging began.
func TestDoneWhen(t *testing.T) {
	c := newClinic(t, func(k *core, _ *tenant) { k.routes.stations[0].DoneWhen = []order.Source{order.Images} })
	c.request("1", "X-ray")
	c.look("1")
	c.end(c.begin(c.order("1"), 0), mpps.Completed)
	c.wants("1", order.InProgress)
}

// Late evidence stays in the ledger.
func TestLateEvidence(t *testing.T) {
	c := newClinic(t)
	c.request("1", "X-ray")
	c.look("1")
	o := c.order("1")
	c.end(c.begin(o, 0), mpps.Completed)
	c.begin(o, 0)
	c.wants("1", order.Completed)
	c.end(c.begin(o, 0), mpps.Discontinued)
	c.wants("1", order.Completed)
	if !c.told(o, "discontinued") {
		t.Errorf("%q", c.story(o))
	}
}

// Another patient id at the console is linked and flagged once.
func TestPatientDiffers(t *testing.T) {
	c := newClinic(t)
	c.request("1", "X-ray")
	c.look("1")
	o := c.order("1")
	o.Content.Patient.ID = "other"
	r := c.begin(o, 0)
	c.end(r, mpps.Completed)
	o = c.wants("1", order.Completed)
	if len(o.Notices) != 1 || !slices.Equal(c.raised(problem.OrderPatientDiffers), []string{"1"}) {
		t.Errorf("%+v %v", o.Notices, c.raised(problem.OrderPatientDiffers))
	}
	if _, err := c.Complete(t.Context(), act{Accession: "1", Who: "x"}); err != nil {
		t.Fatal(err)
	}
	if len(c.raised(problem.OrderPatientDiffers)) != 0 {
		t.Error("it stays on the board after somebody acted")
	}
}

// A notice that a person dealt with does not come back with the same fact.
func TestSameNoticeStaysDone(t *testing.T) {
	c := newClinic(t)
	up := c.request("1", "X-ray")
	up.Content.UpstreamPatient = "p2"
	c.look("1")
	if len(c.raised(problem.OrderPatientMerged)) != 1 {
		t.Fatal("a merged patient is not shown")
	}
	if _, err := c.Complete(t.Context(), act{Accession: "1"}); err != nil {
		t.Fatal(err)
	}
	up.Content.Remarks = "more"
	c.look("1")
	if got := c.raised(problem.OrderPatientMerged); len(got) != 0 {
		t.Errorf("it came back: %v", got)
	}
	up.Content.UpstreamPatient = ""
	c.look("1")
	if noticed(c.order("1"), problem.OrderPatientMerged) {
		t.Error("the notice outlived the merge")
	}
}
