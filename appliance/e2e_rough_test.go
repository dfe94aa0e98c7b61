package appliance_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/dicomsim"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
	"github.com/rayhound/rayhound/ui"
)

// roughScenarios are the days on which nobody does what is expected.
var roughScenarios = []struct {
	name string
	run  func(*testing.T, begin)
}{
	{"Provet Cloud has a bad day", testBadDay},
	{"reports keep their order", testReportsInOrder},
	{"the machine reports nonsense", testNonsense},
	{"one report names two orders", testTwoOrdersInOne},
	{"nobody finishes an order", testIdle},
	{"a patient is merged", testMerged},
	{"moved to another department", testMoved},
	{"withdrawn while the reports wait", testWithdrawnUnseen},
	{"reported while Provet Cloud is read", testReadWhileReported},
}

// Every kind of failure meets the reads and the writes of a few orders; all of
// them arrive, once, and all of them are done.
func testBadDay(t *testing.T, begin begin) {
	p := begin(t, setup{})
	for _, f := range []provetsim.Fault{
		{Kind: provetsim.FaultReset, Count: 1, Resource: "worklist", Method: http.MethodGet},
		{Kind: provetsim.FaultTruncated, Count: 1, Resource: "patient"},
		{Kind: provetsim.FaultHTML, Count: 1, Resource: "referral"},
		{Kind: provetsim.FaultAuth, Count: 1},
		{Kind: provetsim.FaultThrottle, Count: 1, Delay: time.Second, Resource: "consultation"},
		{Kind: provetsim.FaultResetAfter, Count: 1, Resource: "worklist", Method: http.MethodPatch},
	} {
		p.sim.Inject(f)
	}
	p.sim.SetWebhookFaults(provetsim.WebhookFaults{Double: 0.5, Reorder: 20 * time.Millisecond})
	p.sim.ExpireTokens()
	var ids []int
	for range 6 {
		ids = append(ids, p.request("X-ray"))
	}
	m := p.machine(xray)
	var steps []*dicomsim.Step
	for _, id := range ids {
		s, err := m.Start(t.Context(), p.listed(xray, id), dicomsim.Options{})
		p.ok(err)
		steps = append(steps, s)
	}
	p.sim.ExpireTokens()
	for _, s := range steps {
		p.ok(m.Finish(t.Context(), s))
	}
	for _, id := range ids {
		p.upstream(id, "done")
		p.becomes(id, order.Completed)
	}
	if entries := p.list(xray); len(entries) != 0 {
		t.Errorf("%d entries are left on the list", len(entries))
	}
	for _, code := range []problem.Code{problem.ReportRefused, problem.OrderCancelledLate, problem.ComponentRestarted, problem.ProvetAuth, problem.ProvetBaseURL} {
		p.cleared(code, "")
	}
}

// What Provet Cloud is told about one order comes in the order in which it
// happened, however slow the writes are; what is overtaken is not told at all.
func testReportsInOrder(t *testing.T, begin begin) {
	p := begin(t, setup{})
	rank := map[string]int{"new": 0, "scheduled": 1, "in_progress": 2, "done": 3}
	p.sim.Inject(provetsim.Fault{Kind: provetsim.FaultSlow, Delay: 20 * time.Millisecond, Resource: "worklist", Method: "PATCH"})
	var ids []int
	for range 4 {
		ids = append(ids, p.request("X-ray"))
	}
	for _, id := range ids {
		_, err := p.machine(xray).Perform(t.Context(), p.listed(xray, id), dicomsim.Options{})
		p.ok(err)
	}
	for _, id := range ids {
		p.upstream(id, "done")
	}
	told := map[int]int{}
	for _, w := range p.sim.Patches() {
		if rank[w.To] <= told[w.ID] {
			t.Errorf("order %d was told %s after rank %d", w.ID, w.To, told[w.ID])
		}
		told[w.ID] = rank[w.To]
	}

	p.sim.ClearFaults()
	id := p.request("X-ray")
	o := p.detailOf(id, xray)
	p.upstream(id, "scheduled")
	p.tellsReported(id, "scheduled")
	p.ok(p.api.PauseDestination(t.Context(), "provet", "a test"))
	p.sim.ResetJournal()
	_, err := p.machine(xray).Perform(t.Context(), p.listed(xray, id), dicomsim.Options{})
	p.ok(err)
	p.act(o.AccessionNumber, ui.Reopen, order.Scheduled)
	p.act(o.AccessionNumber, ui.Complete, order.Completed)
	owed, err := p.api.Outbox(t.Context(), ui.OutboxFilter{Accession: o.AccessionNumber})
	p.ok(err)
	if len(owed) != 1 || owed[0].Kind != "status completed" {
		t.Errorf("owed: %+v", owed)
	}
	p.ok(p.api.ResumeDestination(t.Context(), "provet"))
	p.upstream(id, "done")
	if w := p.sim.Patches(); len(w) != 1 || w[0].From != "scheduled" || w[0].To != "done" {
		t.Errorf("written: %+v", w)
	}
}

// quiet waits until every webhook was heard and every signal worked off.
func (p *practice) quiet() {
	p.t.Helper()
	p.ok(p.sim.WaitWebhooks(p.t.Context()))
	p.until("every signal should be worked off", func() error {
		st, err := p.api.Status(p.t.Context())
		if err == nil && st.Hints > 0 {
			err = fmt.Errorf("%d hints wait", st.Hints)
		}
		return err
	})
}

// detailOf waits until an order is on a machine's list and returns what the API
// says about it.
func (p *practice) detailOf(id int, title string) ui.OrderDetail {
	p.t.Helper()
	return p.detail(p.listed(title, id).AccessionNumber)
}

func testNonsense(t *testing.T, begin begin) {
	p := begin(t, setup{})
	id := p.request("X-ray")
	e := p.listed(xray, id)
	o := p.becomes(id, order.Scheduled)
	m := p.machine(xray)
	for kind, want := range map[dicomsim.Kind]string{
		dicomsim.DuplicateCreate: "status 0111", dicomsim.SetTwice: "status 0110", dicomsim.SetUnknown: "status 0112",
		dicomsim.CreateCompleted: "status 0106", dicomsim.WrongCalledAE: "A-ASSOCIATE-RJ 1,1,7",
	} {
		if heard, err := m.Misbehave(t.Context(), kind); err != nil || heard != want {
			t.Errorf("%s: heard %q, %v; want %q", kind, heard, err, want)
		}
	}
	for _, kind := range []dicomsim.Kind{dicomsim.GarbageReport, dicomsim.DeepReport, dicomsim.GarbageFind, dicomsim.AbortMidFind, dicomsim.Garbage, dicomsim.HTTP} {
		if heard, err := m.Misbehave(t.Context(), kind); err != nil || heard == "status 0000" {
			t.Errorf("%s: heard %q, %v", kind, heard, err)
		}
	}
	// Nothing that a machine reported is lost, whatever it was answered.
	list, err := p.api.Arrivals(t.Context(), false)
	p.ok(err)
	if !slices.ContainsFunc(list, func(a ui.Arrival) bool { return a.Reason == "the machine reported a step that it never announced" }) ||
		!slices.ContainsFunc(list, func(a ui.Arrival) bool { return a.Status == "COMPLETED" && a.Station == rooms[xray].name }) {
		t.Errorf("arrivals: %+v", list)
	}
	p.raised(problem.ArrivalUnmatched, "")
	if now := p.becomes(id, order.Scheduled); now.Revision != o.Revision {
		t.Errorf("the order has revision %d", now.Revision)
	}
	s, err := m.Start(t.Context(), e, dicomsim.Options{})
	p.ok(err)
	p.restart()
	again := p.machine(xray)
	p.ok(again.Finish(t.Context(), s))
	var status *dicomsim.StatusError
	if err := again.Finish(t.Context(), s); !errors.As(err, &status) || status.Status.Code != 0x0110 {
		t.Errorf("a final step was changed after a restart: %v", err)
	}
	p.same(o, p.becomes(id, order.Completed))
	p.upstream(id, "done")
}

func testTwoOrdersInOne(t *testing.T, begin begin) {
	p := begin(t, setup{})
	a, b := p.request("X-ray"), p.request("X-ray")
	mixed := *p.listed(xray, a)
	mixed.StudyInstanceUID = p.listed(xray, b).StudyInstanceUID
	_, err := p.machine(xray).Perform(t.Context(), &mixed, dicomsim.Options{})
	p.ok(err)
	contains(t, p.raised(problem.OrderConflict, ""), rooms[xray].name)
	p.becomes(a, order.Scheduled)
	p.becomes(b, order.Scheduled)
	list, err := p.api.Arrivals(t.Context(), false)
	p.ok(err)
	if len(list) != 1 {
		t.Fatalf("%d arrivals", len(list))
	}
	second, _ := p.order(b)
	linked, err := p.api.LinkArrival(t.Context(), list[0].ID, second.AccessionNumber, "the study was the right one")
	p.ok(err)
	if linked.State != order.Completed {
		t.Errorf("linked and %s", linked.State)
	}
	p.upstream(b, "done")
	p.cleared(problem.OrderConflict, "")
	p.becomes(a, order.Scheduled)
	p.listed(xray, a)
}

// The X-ray room flags what nobody finishes, the CT closes it.
func testIdle(t *testing.T, begin begin) {
	var late atomic.Int64
	p := begin(t, setup{
		now: func() time.Time { return time.Now().Add(time.Duration(late.Load())) },
		settings: func(f *config.File) {
			f.Modalities[0].IdleAfter, f.Modalities[0].IdleAction = config.Duration(24*time.Hour), "flag"
			f.Modalities[1].IdleAfter, f.Modalities[1].IdleAction = config.Duration(24*time.Hour), "complete"
		},
	})
	flagged, closed := p.request("X-ray"), p.request("CT")
	e := p.listed(xray, flagged)
	s, err := p.machine(ct).Start(t.Context(), p.listed(ct, closed), dicomsim.Options{NoFinal: true})
	p.ok(err)
	o := p.becomes(flagged, order.Scheduled)
	p.becomes(closed, order.InProgress)
	p.upstream(closed, "in_progress")
	p.tellsReported(flagged, "scheduled")
	p.tellsReported(closed, "in_progress")
	p.quiet() // a late echo would count as something that happened

	look := func(after time.Duration) {
		t.Helper()
		late.Store(int64(after))
		p.restart()
		p.ok(p.app.Load().LookForIdle(t.Context()))
	}
	look(23 * time.Hour)
	fresh := p.request("X-ray")
	p.listed(xray, fresh)
	if lines := p.board(problem.OrderIdle, ""); len(lines) > 0 {
		t.Errorf("raised after 23 hours: %q", lines)
	}
	look(25 * time.Hour)
	contains(t, p.raised(problem.OrderIdle, o.AccessionNumber), o.AccessionNumber)
	if done := p.becomes(closed, order.Completed); done.ClosedBy != order.Idle {
		t.Errorf("closed by %s", done.ClosedBy)
	}
	p.upstream(closed, "done")
	p.becomes(fresh, order.Scheduled)
	if lines := p.board(problem.OrderIdle, ""); len(lines) != 1 {
		t.Errorf("raised %q", lines)
	}
	p.ok(p.machine(ct).Finish(t.Context(), s)) // it comes after all, and changes nothing
	p.becomes(closed, order.Completed)

	_, err = p.machine(xray).Perform(t.Context(), e, dicomsim.Options{}) // the flagged one is still on the list
	p.ok(err)
	p.cleared(problem.OrderIdle, "")
	p.same(o, p.becomes(flagged, order.Completed))
	p.upstream(flagged, "done")
}

// A merge sends no webhook: the sweep finds it, and a person is asked.
func testMerged(t *testing.T, begin begin) {
	p := begin(t, setup{sweep: 200 * time.Millisecond})
	id := p.request("X-ray")
	p.listed(xray, id)
	o := p.becomes(id, order.Scheduled)
	into := p.sim.AddPatient(provetsim.Patient{ClientID: 0, Name: "Bello the Second", Species: "Dog"})
	if !p.sim.MergePatient(bello, into) {
		t.Fatal("not merged")
	}
	contains(t, p.raised(problem.OrderPatientMerged, o.AccessionNumber), o.AccessionNumber, "merged")
	e := p.on(xray, o.AccessionNumber)
	if e == nil || e.PatientID != strconv.Itoa(bello) { // images and order must carry one id until a person decides
		t.Fatalf("the list shows %+v", e)
	}
	_, err := p.machine(xray).Perform(t.Context(), e, dicomsim.Options{})
	p.ok(err)
	p.upstream(id, "done")
	p.same(o, p.becomes(id, order.Completed))
}

func testMoved(t *testing.T, begin begin) {
	p := begin(t, setup{})
	here, there := p.sim.Departments()[0], p.sim.Departments()[1]
	p.settings.Provet.Departments = config.Names{strconv.Itoa(here.ID)}
	p.restart()
	id := p.request("X-ray")
	p.listed(xray, id)
	o := p.becomes(id, order.Scheduled)
	p.sim.UpdateOrder(id, func(x *provetsim.Order) { x.DepartmentID = there.ID })
	p.unlisted(xray, p.becomes(id, order.Cancelled))
	foreign := p.sim.CreateOrder(provetsim.NewOrder{DepartmentID: there.ID})
	p.sim.UpdateOrder(id, func(x *provetsim.Order) { x.DepartmentID = here.ID })
	p.listed(xray, id)
	p.same(o, p.becomes(id, order.Scheduled))
	p.quiet()
	if entries := p.list(xray); len(entries) != 1 {
		t.Errorf("%d entries on the list", len(entries))
	}
	if n := len(p.sim.Patches()); p.sim.Status(foreign) != "new" {
		t.Errorf("an order of another department was written, %d writes", n)
	}
}

// A person withdraws an order while Provet Cloud has not yet heard that imaging
// began: the withdrawal is written over only after a person was told (RH-206).
func testWithdrawnUnseen(t *testing.T, begin begin) {
	p := begin(t, setup{})
	id := p.request("X-ray")
	p.listed(xray, id)
	p.upstream(id, "scheduled")
	p.tellsReported(id, "scheduled")
	p.ok(p.api.PauseDestination(t.Context(), "provet", "a test"))
	m := p.machine(xray)
	s, err := m.Start(t.Context(), p.listed(xray, id), dicomsim.Options{})
	p.ok(err)
	o := p.becomes(id, order.InProgress)
	p.sim.SetStatus(id, "cancelled")
	p.ok(p.sim.WaitWebhooks(t.Context()))
	p.ok(p.api.ResumeDestination(t.Context(), "provet"))
	p.upstream(id, "in_progress")
	p.raised(problem.OrderCancelledLate, o.AccessionNumber)
	p.ok(m.Finish(t.Context(), s))
	p.same(o, p.becomes(id, order.Completed))
	p.upstream(id, "done")
	p.raised(problem.OrderCancelledLate, o.AccessionNumber)
}

// A reading of Provet Cloud that began before a report went out ends after it:
// the status in it is old, and must not make the next one look like news.
func testReadWhileReported(t *testing.T, begin begin) {
	p := begin(t, setup{settings: func(f *config.File) {
		f.Provet.Status = config.Status{Completed: f.Provet.Status.Completed, Withdrawn: f.Provet.Status.Withdrawn}
	}})
	id := p.request("X-ray")
	o := p.detailOf(id, xray)
	p.quiet()
	rows := func() (n int64) {
		for route, k := range p.sim.Requests() {
			if strings.HasPrefix(route, "GET worklist/") {
				n += k
			}
		}
		return n
	}
	before := rows()
	p.sim.Slow(300*time.Millisecond, "referral", "consultation", "client", "patient")
	p.ok(p.api.Hint(t.Context(), o.ProvetID))
	p.until("the reading should have begun", func() error {
		if rows() == before {
			return errors.New("it has not")
		}
		return nil
	})
	p.act(o.AccessionNumber, ui.Complete, order.Completed)
	p.upstream(id, "done")
	p.tellsReported(id, "completed")
	p.act(o.AccessionNumber, ui.Reopen, order.Scheduled)
	p.quiet()
	p.sim.ClearFaults()
	p.ok(p.api.Hint(t.Context(), o.ProvetID))
	p.quiet()
	if got, timeline := p.order(id); got.State != order.Scheduled {
		t.Fatalf("the order is %s: %v", got.State, texts(timeline))
	}
	p.sim.SetStatus(id, "cancelled") // what somebody does now still counts
	p.becomes(id, order.Cancelled)
}
