package appliance_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/dicomsim"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/ui"
)

var troubleScenarios = []struct {
	name string
	run  func(*testing.T, begin)
}{
	{"an order type without a machine", testUnmapped},
	{"a permission is missing", testForbidden},
	{"webhooks doubled", testDoubled},
	{"webhooks dropped", testDropped},
	{"the first start", testBaseline},
	{"the appliance is off", testRestarted},
	{"Provet Cloud is down", testDown},
	{"a report is refused", testRefused},
	{"paused and resumed", testPaused},
}

func testUnmapped(t *testing.T, begin begin) {
	p := begin(t, setup{})
	id := p.request("Dental X-ray")
	held := p.becomes(id, order.Held)
	p.unlisted(xray, held)
	if len(held.Holds) != 1 || held.Holds[0].Field != "modality" || held.Holds[0].Detail != "Dental X-ray" {
		t.Errorf("held for %+v", held.Holds)
	}
	contains(t, p.raised(problem.OrderUnmapped, held.AccessionNumber), `"Dental X-ray"`, held.AccessionNumber)
	if d := p.detail(held.AccessionNumber); len(d.Holds) != 1 || d.Holds[0].Code != string(problem.OrderUnmapped) || d.Holds[0].Detail != "Dental X-ray" {
		t.Errorf("the API shows %+v", d.Holds)
	}
	p.refuses(held.AccessionNumber, ui.Release, problem.OrderUnmapped)

	p.settings.Modalities[0].Serves = config.Names{"X-ray", "Dental X-ray"}
	p.cloud.down() // the settings alone decide: Provet Cloud need not be asked
	p.restart()
	e := p.listed(xray, id)
	p.same(held, p.becomes(id, order.Scheduled))
	p.cloud.up()
	_, err := p.api.RetryOutbox(t.Context(), "") // the report may have failed meanwhile
	p.ok(err)
	p.cleared(problem.OrderUnmapped, held.AccessionNumber)
	if e.StudyInstanceUID != held.StudyInstanceUID {
		t.Errorf("the study is %s, was %s", e.StudyInstanceUID, held.StudyInstanceUID)
	}
	p.upstream(id, "scheduled")
	_, err = p.machine(xray).Perform(t.Context(), e, dicomsim.Options{})
	p.ok(err)
	p.upstream(id, "done")
}

func testForbidden(t *testing.T, begin begin) {
	p := begin(t, setup{before: func(s *provetsim.Sim) { s.Forbid("client") }})
	id := p.request("X-ray")
	e := p.listed(xray, id)
	// An owner that comes embedded in the order is known all the same.
	if e.Patient() != "Bello" || strings.Contains(e.ResponsiblePerson, "Aino") && len(p.sim.RenamedFields()) == 0 {
		t.Errorf("the list shows %q of %q", e.PatientName, e.ResponsiblePerson)
	}
	o := p.becomes(id, order.Scheduled)
	contains(t, p.raised(problem.OrderIncomplete, o.AccessionNumber), "client")
	contains(t, p.raised(problem.ProvetPermission, ""), "client")
	p.upstream(id, "scheduled")

	p.sim.Allow("client")
	p.until("the owner should be on the list", func() error {
		if err := p.api.Hint(t.Context(), o.ProvetID); err != nil { // a person asks for a look
			return err
		}
		if e := p.on(xray, o.AccessionNumber); e == nil || e.Owner() != "Koivu-Lehtimäki" {
			return fmt.Errorf("the list shows %+v", e)
		}
		return nil
	})
	p.cleared(problem.OrderIncomplete, o.AccessionNumber)
	p.cleared(problem.ProvetPermission, "")
}

func testDoubled(t *testing.T, begin begin) {
	p := begin(t, setup{before: func(s *provetsim.Sim) {
		s.SetWebhookFaults(provetsim.WebhookFaults{Double: 1, Reorder: 30 * time.Millisecond})
	}})
	var ids []int
	for range 8 {
		ids = append(ids, p.request("X-ray"))
	}
	for _, id := range ids {
		p.sim.UpdateOrder(id, func(o *provetsim.Order) { o.Remarks = "Please hurry" })
	}
	p.sim.DeleteOrder(ids[0])
	p.ok(p.sim.WaitWebhooks(t.Context()))
	for _, id := range ids[1:] {
		p.becomes(id, order.Scheduled)
	}
	p.until("every signal should be worked off", func() error {
		st, err := p.api.Status(t.Context())
		if err == nil && st.Hints > 0 {
			err = fmt.Errorf("%d wait", st.Hints)
		}
		return err
	})
	entries := p.list(xray)
	accessions := map[string]bool{}
	for _, e := range entries {
		accessions[e.AccessionNumber] = true
		if e.Comments != "Please hurry" {
			t.Errorf("%s says %q", e.AccessionNumber, e.Comments)
		}
	}
	if len(entries) != 7 || len(accessions) != 7 {
		t.Errorf("%d entries, %d accession numbers, want 7", len(entries), len(accessions))
	}
	stored, err := p.api.Orders(t.Context(), ui.OrderFilter{})
	p.ok(err)
	provetIDs := map[string]bool{}
	for _, o := range stored {
		provetIDs[o.ProvetID] = true
	}
	if len(stored) != len(provetIDs) || len(stored) > len(ids) {
		t.Errorf("%d orders stored for %d of Provet Cloud", len(stored), len(provetIDs))
	}
}

func testDropped(t *testing.T, begin begin) {
	p := begin(t, setup{poll: 50 * time.Millisecond, sweep: 100 * time.Millisecond, before: func(s *provetsim.Sim) { s.DropWebhooks(1) }})
	id := p.request("X-ray")
	p.listed(xray, id)
	first := p.becomes(id, order.Scheduled)
	p.sim.UpdateOrder(id, func(o *provetsim.Order) { o.Modality = "CT" })
	p.listed(ct, id)
	p.unlisted(xray, first)
	p.sim.DeleteOrder(id) // no change of time tells that: the sweep does
	gone := p.becomes(id, order.Cancelled)
	p.unlisted(ct, gone)
	p.same(first, gone)
	for _, d := range p.sim.Deliveries() {
		if d.Status == 1 {
			t.Error("a webhook was delivered")
		}
	}
}

// What was there before us: open orders are taken, finished ones are history.
func testBaseline(t *testing.T, begin begin) {
	var open, done, withdrawn int
	p := begin(t, setup{poll: time.Hour, before: func(s *provetsim.Sim) {
		open = s.CreateOrder(provetsim.NewOrder{Quiet: true, Created: time.Now().Add(-48 * time.Hour)})
		done = s.CreateOrder(provetsim.NewOrder{Quiet: true, Status: "done"})
		withdrawn = s.CreateOrder(provetsim.NewOrder{Quiet: true, Status: "cancelled"})
	}})
	p.listed(xray, open)
	fresh := p.request("X-ray")
	p.listed(xray, fresh)
	for _, id := range []int{done, withdrawn} {
		if _, _, err := p.app.Load().Order(t.Context(), fmt.Sprint(id)); !errors.Is(err, localdb.ErrNotFound) {
			t.Errorf("order %d of the past: %v", id, err)
		}
	}
	if n := len(p.list(xray)); n != 2 {
		t.Errorf("%d entries on the list, want 2", n)
	}
	if s := p.sim.Status(done); s != "done" {
		t.Errorf("the finished order was written as %s", s)
	}
}

// Orders keep their identity over restarts; what happened meanwhile is found.
func testRestarted(t *testing.T, begin begin) {
	p := begin(t, setup{})
	waiting, begun := p.request("X-ray"), p.request("X-ray")
	p.listed(xray, waiting)
	s, err := p.machine(xray).Start(t.Context(), p.listed(xray, begun), dicomsim.Options{})
	p.ok(err)
	a, b := p.becomes(waiting, order.Scheduled), p.becomes(begun, order.InProgress)
	p.upstream(begun, "in_progress")
	for range 2 {
		p.restart()
		x, y := p.becomes(waiting, order.Scheduled), p.becomes(begun, order.InProgress)
		p.same(a, x)
		p.same(b, y)
		if e := p.on(xray, a.AccessionNumber); e == nil || e.StudyInstanceUID != a.StudyInstanceUID {
			t.Fatalf("the list shows %+v after the restart", e)
		}
	}
	p.stop()
	p.sim.UpdateOrder(waiting, func(o *provetsim.Order) { o.Remarks = "Only the left side" })
	late := p.request("CT") // its webhooks are answered 503 and come again
	p.start()
	p.ok(p.machine(xray).Finish(t.Context(), s)) // a step of before the restart
	p.becomes(begun, order.Completed)
	p.upstream(begun, "done")
	p.listed(ct, late)
	p.until("the change should be on the list", func() error {
		if e := p.on(xray, a.AccessionNumber); e == nil || e.Comments != "Only the left side" {
			return fmt.Errorf("the list shows %+v", e)
		}
		return nil
	})
	last, _ := p.order(waiting)
	p.same(a, last)
}

func testDown(t *testing.T, begin begin) {
	p := begin(t, setup{})
	known := p.request("X-ray")
	e := p.listed(xray, known)
	p.upstream(known, "scheduled")
	p.tellsReported(known, "scheduled")

	p.sim.FailNext(0, http.StatusServiceUnavailable)
	late := p.request("CT")
	p.raised(problem.ProvetUnreachable, "")
	p.sim.ClearFaults()
	p.cloud.down()
	p.sim.UpdateOrder(known, func(o *provetsim.Order) { o.Remarks = "Sedated" })

	// The machines notice nothing: they read their lists and report.
	if again := p.on(xray, e.AccessionNumber); again == nil || again.PatientName != e.PatientName {
		t.Fatalf("the list shows %+v", again)
	}
	s, err := p.machine(xray).Start(t.Context(), e, dicomsim.Options{})
	p.ok(err)
	p.ok(p.machine(xray).Finish(t.Context(), s))
	p.becomes(known, order.Completed)
	p.until("the hints should wait", func() error {
		st, err := p.api.Status(t.Context())
		if err == nil && (st.Hints != 2 || len(st.Destinations) != 1 || st.Destinations[0].Parked != 0) {
			err = fmt.Errorf("%d hints, %+v", st.Hints, st.Destinations)
		}
		return err
	})
	if got := p.sim.Status(known); got != "scheduled" {
		t.Fatalf("Provet Cloud shows %s while it is down", got)
	}

	p.cloud.up() // nobody tells us: the next tries come by themselves
	p.listed(ct, late)
	p.upstream(known, "done")
	p.cleared(problem.ProvetUnreachable, "")
	p.until("every hint should be worked off", func() error {
		st, err := p.api.Status(t.Context())
		if err == nil && st.Hints > 0 {
			err = fmt.Errorf("%d wait", st.Hints)
		}
		return err
	})
}

func testRefused(t *testing.T, begin begin) {
	p := begin(t, setup{})
	id, other := p.request("X-ray"), p.request("X-ray")
	e, e2 := p.listed(xray, id), p.listed(xray, other)
	p.tellsReported(id, "scheduled")
	p.tellsReported(other, "scheduled")
	p.sim.RefusePatch(0)
	_, err := p.machine(xray).Perform(t.Context(), e, dicomsim.Options{})
	p.ok(err)
	p.becomes(id, order.Completed)
	contains(t, p.raised(problem.ReportRefused, e.AccessionNumber), e.AccessionNumber)
	var parked ui.Message
	p.until("the last report should be parked", func() error {
		list, err := p.api.Outbox(t.Context(), ui.OutboxFilter{Accession: e.AccessionNumber, State: localdb.Parked})
		if err != nil {
			return err
		}
		i := slices.IndexFunc(list, func(m ui.Message) bool { return m.Kind == "status completed" })
		if i < 0 || len(list) != 1 {
			return fmt.Errorf("parked: %+v", list)
		}
		parked = list[i]
		return nil
	})
	if parked.AttemptCount == 0 || parked.Code != string(problem.ReportRefused) {
		t.Errorf("the parked report says %+v", parked)
	}
	p.restart() // it is remembered
	p.raised(problem.ReportRefused, e.AccessionNumber)

	p.sim.ClearFaults()
	_, err = p.machine(xray).Perform(t.Context(), e2, dicomsim.Options{})
	p.ok(err)
	p.upstream(other, "done") // others go on
	if got := p.sim.Status(id); got != "scheduled" {
		t.Errorf("Provet Cloud shows %s before anybody asked", got)
	}
	n, err := p.api.RetryOutbox(t.Context(), "provet")
	p.ok(err)
	if n != 1 {
		t.Errorf("%d reports are sent again, want 1", n)
	}
	p.upstream(id, "done")
	p.cleared(problem.ReportRefused, e.AccessionNumber)
}

func testPaused(t *testing.T, begin begin) {
	p := begin(t, setup{})
	id := p.request("X-ray")
	e := p.listed(xray, id)
	p.tellsReported(id, "scheduled")
	p.ok(p.api.PauseDestination(t.Context(), "provet", "a change of the server"))
	contains(t, p.raised(problem.Paused, "provet"), "a change of the server")
	_, err := p.machine(xray).Perform(t.Context(), e, dicomsim.Options{})
	p.ok(err)
	p.becomes(id, order.Completed)
	second := p.request("X-ray") // orders come in all the same
	p.listed(xray, second)
	p.restart()
	p.raised(problem.Paused, "provet")
	list, err := p.api.Outbox(t.Context(), ui.OutboxFilter{Accession: e.AccessionNumber})
	p.ok(err)
	if len(list) != 1 || !list[0].Paused || list[0].Kind != "status completed" {
		t.Errorf("owed: %+v", list)
	}
	if got := p.sim.Status(id); got != "scheduled" {
		t.Fatalf("Provet Cloud was told %s during the pause", got)
	}
	wantCode(t, p.api.PauseDestination(t.Context(), "nobody", ""), problem.Usage)
	p.ok(p.api.ResumeDestination(t.Context(), "provet"))
	p.upstream(id, "done")
	p.upstream(second, "scheduled")
	p.cleared(problem.Paused, "provet")
}
