package appliance_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/dicomsim"
	"github.com/rayhound/rayhound/drivers/dicom/query"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
	"github.com/rayhound/rayhound/ui"
)

var machineScenarios = []struct {
	name string
	run  func(*testing.T, begin)
}{
	{"a person decides", testByHand},
	{"reopened where Provet Cloud is not told", testReopenedUntold},
	{"imaging without an order", testArrival},
	{"another patient at the console", testOtherPatient},
	{"the wrong entry was picked", testWrongEntry},
	{"given up at the machine", testDiscontinued},
	{"one step for two orders", testGrouped},
	{"a machine misses an order", testExplained},
	{"an unknown machine", testUnknownMachine},
}

func testByHand(t *testing.T, begin begin) {
	p := begin(t, setup{})
	id := p.request("X-ray")
	p.listed(xray, id)
	o := p.becomes(id, order.Scheduled)
	key := o.AccessionNumber
	p.upstream(id, "scheduled")
	on := func(want bool) {
		t.Helper()
		if got := p.on(xray, key) != nil; got != want {
			t.Fatalf("on the list: %v, want %v", got, want)
		}
	}
	p.act(key, ui.Suspend, order.Held)
	on(false)
	p.sim.UpdateOrder(id, func(o *provetsim.Order) { o.Remarks = "Now with a sedation" }) // Provet does not end a person's hold
	p.until("the change should arrive", func() error {
		if x, _ := p.order(id); x.Content.Remarks != "Now with a sedation" || x.State != order.Held {
			return fmt.Errorf("%s, %q", x.State, x.Content.Remarks)
		}
		return nil
	})
	p.refuses(key, ui.Reopen, problem.OrderState)
	p.act(key, ui.Release, order.Scheduled)
	on(true)
	p.refuses(key, ui.Release, problem.OrderState)

	p.act(key, ui.Complete, order.Completed)
	on(false)
	p.upstream(id, "done")
	p.tellsReported(id, "completed")
	p.refuses(key, ui.Cancel, problem.OrderState)
	p.act(key, ui.Reopen, order.Scheduled)
	on(true)
	p.upstream(id, "scheduled")
	p.act(key, ui.Cancel, order.Cancelled)
	on(false)
	p.upstream(id, "struck")
	p.tellsReported(id, "cancelled")
	p.act(key, ui.Reopen, order.Scheduled)
	on(true)
	p.upstream(id, "scheduled")
	p.refuses("no-such-order", ui.Complete, problem.OrderUnknown)
	last, _ := p.order(id)
	p.same(o, last)
	people := 0
	for _, e := range p.detail(key).Evidence {
		if e.Source == order.ByHand && e.Reason == "because the test says so" {
			people++
		}
	}
	if people < 4 {
		t.Errorf("%d acts of a person are in the ledger", people)
	}
	if lines := p.board(problem.OrderCancelledLate, ""); len(lines) > 0 {
		t.Errorf("raised %q", lines)
	}
}

// Provet Cloud goes on showing the status we wrote before: no news.
func testReopenedUntold(t *testing.T, begin begin) {
	p := begin(t, setup{settings: func(f *config.File) { f.Provet.Status.Scheduled = "" }})
	id := p.request("X-ray")
	p.listed(xray, id)
	o := p.becomes(id, order.Scheduled)
	p.act(o.AccessionNumber, ui.Complete, order.Completed)
	p.upstream(id, "done")
	p.tellsReported(id, "completed")
	p.act(o.AccessionNumber, ui.Reopen, order.Scheduled)
	p.ok(p.api.Hint(t.Context(), o.ProvetID))
	p.until("the order should be looked at", func() error {
		st, err := p.api.Status(t.Context())
		if err == nil && st.Hints > 0 {
			err = fmt.Errorf("%d hints wait", st.Hints)
		}
		return err
	})
	if got, timeline := p.order(id); got.State != order.Scheduled || p.on(xray, o.AccessionNumber) == nil {
		t.Fatalf("the order is %s: %v", got.State, texts(timeline))
	}
}

func testArrival(t *testing.T, begin begin) {
	p := begin(t, setup{})
	id := p.request("X-ray")
	e := p.listed(xray, id)
	o := p.becomes(id, order.Scheduled)
	m := p.machine(xray)
	s, err := m.Start(t.Context(), e, dicomsim.Options{WithoutReference: true, Instances: 4})
	p.ok(err)
	p.ok(m.Finish(t.Context(), s))
	p.becomes(id, order.Scheduled) // a name or a patient id never links by itself
	p.raised(problem.ArrivalUnmatched, "")
	list, err := p.api.Arrivals(t.Context(), false)
	p.ok(err)
	if len(list) != 1 {
		t.Fatalf("%d arrivals", len(list))
	}
	a := list[0]
	if a.Status != "COMPLETED" || a.Station != rooms[xray].name || a.Instances != 4 || a.PatientID != e.PatientID {
		t.Errorf("the arrival says %+v", a)
	}
	if len(a.Suggestions) == 0 || a.Suggestions[0].AccessionNumber != o.AccessionNumber || a.Suggestions[0].Reason == "" {
		t.Fatalf("suggested: %+v", a.Suggestions)
	}
	_, err = p.api.LinkArrival(t.Context(), a.ID, "no-such-order", "")
	wantCode(t, err, problem.OrderUnknown)
	linked, err := p.api.LinkArrival(t.Context(), a.ID, a.Suggestions[0].AccessionNumber, "it is Bello")
	p.ok(err)
	if linked.State != order.Completed {
		t.Fatalf("linked and %s", linked.State)
	}
	p.upstream(id, "done")
	p.cleared(problem.ArrivalUnmatched, "")
	p.same(o, p.becomes(id, order.Completed))
	_, err = p.api.LinkArrival(t.Context(), a.ID, o.AccessionNumber, "once more")
	wantCode(t, err, problem.OrderState)
	if list, err = p.api.Arrivals(t.Context(), false); err != nil || len(list) != 0 {
		t.Errorf("%d arrivals are left, %v", len(list), err)
	}
}

func testOtherPatient(t *testing.T, begin begin) {
	p := begin(t, setup{})
	id := p.request("X-ray")
	other := *p.listed(xray, id)
	other.PatientID = "5007"
	o := p.becomes(id, order.Scheduled)
	_, err := p.machine(xray).Perform(t.Context(), &other, dicomsim.Options{})
	p.ok(err)
	p.becomes(id, order.Completed) // the ids of the order count, and a person is asked
	contains(t, p.raised(problem.OrderPatientDiffers, o.AccessionNumber), rooms[xray].name, o.AccessionNumber)
	p.upstream(id, "done")
	p.restart()
	p.raised(problem.OrderPatientDiffers, o.AccessionNumber)
	p.act(o.AccessionNumber, ui.Complete, order.Completed)
	p.cleared(problem.OrderPatientDiffers, o.AccessionNumber)
}

func testWrongEntry(t *testing.T, begin begin) {
	p := begin(t, setup{})
	id := p.request("X-ray")
	e := p.listed(xray, id)
	m := p.machine(xray)
	s, err := m.Start(t.Context(), e, dicomsim.Options{Discontinue: &dicomsim.WrongEntry})
	p.ok(err)
	o := p.becomes(id, order.InProgress)
	p.upstream(id, "in_progress")
	p.ok(m.Finish(t.Context(), s))
	back, _ := p.order(id)
	if back.State != order.Scheduled {
		t.Fatalf("the order is %s", back.State)
	}
	p.same(o, back)
	again := p.on(xray, o.AccessionNumber)
	if again == nil || again.ScheduledProcedureStepID != e.ScheduledProcedureStepID {
		t.Fatalf("the list shows %+v", again)
	}
	p.upstream(id, "scheduled")
	_, err = m.Perform(t.Context(), again, dicomsim.Options{})
	p.ok(err)
	p.becomes(id, order.Completed)
	p.upstream(id, "done")
}

func testDiscontinued(t *testing.T, begin begin) {
	p := begin(t, setup{})
	id := p.request("X-ray")
	_, err := p.machine(xray).Perform(t.Context(), p.listed(xray, id), dicomsim.Options{
		Discontinue: &dicomsim.Reason{Value: "110513", Scheme: "DCM", Meaning: "Discontinued for unspecified reason"},
	})
	p.ok(err)
	o := p.becomes(id, order.Discontinued)
	contains(t, o.ClosedText, "unspecified reason")
	p.unlisted(xray, o)
	p.upstream(id, "discontinued")
	p.act(o.AccessionNumber, ui.Reopen, order.Scheduled)
	p.upstream(id, "scheduled")
	_, err = p.machine(xray).Perform(t.Context(), p.listed(xray, id), dicomsim.Options{WithoutUID: true, ForeignStudyUID: true})
	p.ok(err)
	p.same(o, p.becomes(id, order.Completed)) // a study UID of the console's own changes nothing of ours
	p.upstream(id, "done")
}

func testGrouped(t *testing.T, begin begin) {
	p := begin(t, setup{})
	a, b, c := p.request("X-ray"), p.request("X-ray"), p.request("X-ray")
	first, second := p.listed(xray, a), p.listed(xray, b)
	p.listed(xray, c)
	m := p.machine(xray)
	s, err := m.Start(t.Context(), first, dicomsim.Options{Grouped: []*query.Entry{second}})
	p.ok(err)
	p.becomes(a, order.InProgress)
	p.becomes(b, order.InProgress)
	p.ok(m.Finish(t.Context(), s))
	for _, id := range []int{a, b} {
		p.unlisted(xray, p.becomes(id, order.Completed))
		p.upstream(id, "done")
	}
	p.becomes(c, order.Scheduled)
	p.listed(xray, c)
	if lines := p.board(problem.OrderConflict, ""); len(lines) > 0 {
		t.Errorf("raised %q", lines)
	}
}

// The question of every support call: why is it not on my list?
func testExplained(t *testing.T, begin begin) {
	p := begin(t, setup{})
	id := p.request("X-ray")
	p.listed(xray, id)
	o := p.becomes(id, order.Scheduled)
	found, err := p.machine(xray).Worklist(t.Context(), query.Keys{PatientName: "NOBODY*", StationAETitle: xray})
	p.ok(err)
	if len(found) != 0 {
		t.Fatalf("%d entries for nobody", len(found))
	}
	p.until("the query should explain itself", func() error {
		for _, q := range p.detail(o.AccessionNumber).Queries {
			i := slices.IndexFunc(q.Excluded, func(x ui.Excluded) bool { return x.AccessionNumber == o.AccessionNumber })
			if i < 0 {
				continue
			}
			contains(t, q.Excluded[i].Reason, "BELLO", "NOBODY*")
			if q.Excluded[i].Key != "PatientName" || q.Machine != rooms[xray].name || q.Matches != 0 {
				t.Errorf("the query says %+v", q)
			}
			return nil
		}
		return errors.New("no query that excluded it")
	})
	log, err := p.api.Queries(t.Context(), ui.QueryFilter{Machine: rooms[xray].name})
	p.ok(err)
	if !slices.ContainsFunc(log, func(q ui.Query) bool {
		return slices.ContainsFunc(q.Keys, func(k ui.QueryKey) bool { return k.Keyword == "PatientName" && k.Value == "NOBODY*" }) &&
			slices.ContainsFunc(q.Excluded, func(x ui.Excluded) bool { return x.AccessionNumber == o.AccessionNumber })
	}) {
		t.Errorf("the query log says %+v", log)
	}
	explained := map[string]ui.Explanation{}
	for _, x := range p.detail(o.AccessionNumber).Explanations {
		explained[x.Machine] = x
	}
	if !explained[rooms[xray].name].Visible || explained[rooms[ct].name].Visible {
		t.Errorf("explained: %+v", explained)
	}
	contains(t, explained[rooms[ct].name].Reason, "routed to other machines")
	p.act(o.AccessionNumber, ui.Suspend, order.Held)
	for _, x := range p.detail(o.AccessionNumber).Explanations {
		if x.Visible {
			t.Errorf("a held order is said to be visible: %+v", x)
		}
		contains(t, x.Reason, "held")
	}
}

func testUnknownMachine(t *testing.T, begin begin) {
	p := begin(t, setup{})
	p.listed(xray, p.request("X-ray"))
	stranger, err := dicomsim.New(dicomsim.Config{AETitle: "STRANGER", Address: p.worklist})
	p.ok(err)
	for range 2 {
		if entries, err := stranger.Worklist(t.Context(), query.Keys{}); err == nil {
			t.Fatalf("a stranger got %d entries", len(entries))
		}
	}
	if _, err := stranger.Start(t.Context(), nil, dicomsim.Options{}); err == nil {
		t.Fatal("a stranger reported a step")
	}
	mistaken, err := dicomsim.New(dicomsim.Config{AETitle: xray, Address: p.worklist, CalledAETitle: "OTHER"})
	p.ok(err)
	if err := mistaken.Echo(t.Context()); err == nil {
		t.Fatal("it answers to another title")
	}
	var pending map[string]ui.PendingMachine
	p.until("both should be pending", func() error {
		list, err := p.api.PendingMachines(t.Context())
		if err != nil {
			return err
		}
		pending = map[string]ui.PendingMachine{}
		for _, m := range list {
			pending[m.AETitle] = m
		}
		if pending["STRANGER"].Count != 3 || pending[xray].Called != "OTHER" {
			return fmt.Errorf("pending: %+v", list)
		}
		return nil
	})
	contains(t, pending["STRANGER"].Proposal, "[[modality]]", `"STRANGER"`)
	contains(t, p.raised(problem.MachineUnknown, ""), "refused")
	if list, err := p.api.Arrivals(t.Context(), true); err != nil || len(list) != 0 {
		t.Errorf("%d arrivals of a stranger, %v", len(list), err)
	}
}
