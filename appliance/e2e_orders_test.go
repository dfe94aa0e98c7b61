package appliance_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/dicomsim"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
	"github.com/rayhound/rayhound/ui"
)

// begin opens a practice for a scenario.
type begin func(t *testing.T, s setup) *practice

// TestEndToEnd brings orders through a whole clinic, once with Provet Cloud's
// usual names and once with every name, value and relation changed that is not
// publicly known.
func TestEndToEnd(t *testing.T) {
	t.Parallel()
	variants := []struct {
		name   string
		change func(provetsim.Config) provetsim.Config
	}{
		{"default names", func(c provetsim.Config) provetsim.Config { return c }},
		{"everything renamed", func(c provetsim.Config) provetsim.Config { return provetsim.Renamed(c, 11) }},
	}
	scenarios := []struct {
		name string
		run  func(*testing.T, begin)
	}{
		{"from request to done", testJourney},
		{"changed upstream", testChanged},
		{"withdrawn before imaging", testWithdrawnBefore},
		{"deleted before imaging", testDeletedBefore},
		{"withdrawn after imaging began", testWithdrawnAfter},
		{"deleted after imaging began", testDeletedAfter},
	}
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			for _, s := range slices.Concat(scenarios, troubleScenarios, machineScenarios, roughScenarios) {
				t.Run(s.name, func(t *testing.T) {
					t.Parallel()
					s.run(t, func(t *testing.T, x setup) *practice {
						t.Helper()
						return open(t, v.change, x)
					})
				})
			}
		})
	}
}

func testJourney(t *testing.T, begin begin) {
	p := begin(t, setup{})
	id := p.request("X-ray")
	e := p.listed(xray, id)
	o := p.becomes(id, order.Scheduled)
	p.unlisted(ct, o)
	want := map[string][2]string{
		"patient's name":           {e.PatientName, "Koivu-Lehtimäki^Bello"},
		"patient id":               {e.PatientID, strconv.Itoa(bello)},
		"birth date":               {e.PatientBirthDate, "20180228"},
		"sex":                      {e.PatientSex, "M"},
		"neutered":                 {e.PatientSexNeutered, "ALTERED"},
		"species":                  {e.PatientSpecies, "Dog (Canine - Domestic)"},
		"breed":                    {e.PatientBreed, "Finnish Lapphund"},
		"weight":                   {e.PatientWeight, "21.4"},
		"study":                    {e.StudyInstanceUID, o.StudyInstanceUID},
		"requested procedure":      {e.RequestedProcedureID, o.RequestedProcedureID},
		"step":                     {e.ScheduledProcedureStepID, o.Steps[0].ScheduledProcedureStepID},
		"modality":                 {e.Modality, "DX"},
		"station":                  {e.StationAETitle, xray},
		"responsible organization": {e.ResponsibleOrganization, ""}, // the owner is a person
	}
	for what, w := range want {
		if w[0] != w[1] {
			t.Errorf("%s is %q, want %q", what, w[0], w[1])
		}
	}
	contains(t, e.ResponsiblePerson, "Koivu-Lehtimäki", "Aino")
	p.upstream(id, "scheduled")

	m := p.machine(xray)
	s, err := m.Start(t.Context(), e, dicomsim.Options{Series: 2, Instances: 3})
	p.ok(err)
	if got, _ := p.order(id); got.State != order.InProgress { // stored before the machine heard "success"
		t.Fatalf("the order is %s", got.State)
	}
	p.upstream(id, "in_progress")
	p.ok(m.Update(t.Context(), s))
	p.ok(m.Finish(t.Context(), s))
	done, _ := p.order(id)
	if done.State != order.Completed || done.ClosedBy != order.MPPS {
		t.Fatalf("the order is %s by %s", done.State, done.ClosedBy)
	}
	contains(t, done.ClosedText, "2 series", "6 images")
	p.unlisted(xray, done)
	p.upstream(id, "done")
	p.same(o, done)

	p.until("every report should be told", func() error {
		kinds := map[string]int{}
		for _, x := range p.detail(o.AccessionNumber).Timeline {
			kinds[x.Kind]++
		}
		for _, k := range []string{"received", "scheduled", "seen", "in_progress", "completed"} {
			if kinds[k] != 1 {
				return fmt.Errorf("%s stands %d times: %v", k, kinds[k], kinds)
			}
		}
		if kinds["reported"] == 0 {
			return errors.New("no report")
		}
		return nil
	})
	d := p.detail(o.AccessionNumber)
	if len(d.Evidence) < 2 || len(d.Messages) == 0 || len(d.Queries) == 0 || d.State != order.Completed {
		t.Errorf("the API shows %d facts, %d messages, %d queries, %s", len(d.Evidence), len(d.Messages), len(d.Queries), d.State)
	}
	writes := p.sim.Patches()
	if last := writes[len(writes)-1]; last.To != "done" || last.Status != 200 {
		t.Errorf("the last write was %+v", last)
	}
	if err := m.Finish(t.Context(), s); err == nil { // a final step never changes
		t.Error("a final step was changed")
	}
}

// A change of the animal itself sends no imaging webhook: the sweep finds it.
func testChanged(t *testing.T, begin begin) {
	p := begin(t, setup{sweep: 200 * time.Millisecond})
	id := p.request("X-ray")
	e := p.listed(xray, id)
	first := p.becomes(id, order.Scheduled)
	if e.PatientName != "Koivu-Lehtimäki^Bello" {
		t.Fatalf("the list shows %q", e.PatientName)
	}
	p.sim.RenamePatient(bello, "Bellissimo")
	p.until("the new name should be on the list", func() error {
		if e := p.on(xray, first.AccessionNumber); e == nil || e.PatientName != "Koivu-Lehtimäki^Bellissimo" {
			return fmt.Errorf("the list shows %+v", e)
		}
		return nil
	})
	p.sim.UpdateOrder(id, func(o *provetsim.Order) { o.Modality = "CT" })
	moved := p.listed(ct, id)
	last, timeline := p.order(id)
	p.unlisted(xray, last)
	p.same(first, last)
	if moved.Modality != "CT" || moved.StationAETitle != ct || last.Revision < 3 {
		t.Errorf("the CT shows %s at %s, revision %d", moved.Modality, moved.StationAETitle, last.Revision)
	}
	contains(t, strings.Join(texts(timeline), "\n"), "rerouted: Now on the list of CT")
	_, err := p.machine(ct).Perform(t.Context(), moved, dicomsim.Options{})
	p.ok(err)
	p.upstream(id, "done")
	p.same(first, p.becomes(id, order.Completed))
}

func testWithdrawnBefore(t *testing.T, begin begin) {
	p := begin(t, setup{})
	id := p.request("CT")
	p.listed(ct, id)
	first := p.becomes(id, order.Scheduled)
	p.upstream(id, "scheduled")
	p.sim.SetStatus(id, "cancelled")
	gone := p.becomes(id, order.Cancelled)
	p.unlisted(ct, gone)
	if gone.ClosedBy != order.Upstream || p.sim.Status(id) != "cancelled" {
		t.Errorf("closed by %s, Provet Cloud shows %s", gone.ClosedBy, p.sim.Status(id))
	}
	p.sim.SetStatus(id, "new") // the veterinarian thinks again
	p.listed(ct, id)
	p.same(first, p.becomes(id, order.Scheduled))
	if lines := p.board(problem.OrderCancelledLate, ""); len(lines) > 0 {
		t.Errorf("raised %q", lines)
	}
}

func testDeletedBefore(t *testing.T, begin begin) {
	p := begin(t, setup{})
	id, other := p.request("X-ray"), p.request("X-ray")
	p.listed(xray, id)
	p.listed(xray, other)
	p.sim.DeleteOrder(id)
	gone := p.becomes(id, order.Cancelled)
	p.unlisted(xray, gone)
	p.listed(xray, other)
	p.until("nothing should be owed for it", func() error {
		unsent, err := p.api.Outbox(t.Context(), ui.OutboxFilter{Accession: gone.AccessionNumber})
		if err == nil && len(unsent) > 0 {
			err = fmt.Errorf("%d reports", len(unsent))
		}
		return err
	})
}

func testWithdrawnAfter(t *testing.T, begin begin) {
	p := begin(t, setup{})
	id := p.request("X-ray")
	m := p.machine(xray)
	s, err := m.Start(t.Context(), p.listed(xray, id), dicomsim.Options{})
	p.ok(err)
	o := p.becomes(id, order.InProgress)
	p.upstream(id, "in_progress")
	p.tellsReported(id, "in_progress")
	p.sim.SetStatus(id, "cancelled")
	contains(t, p.raised(problem.OrderCancelledLate, o.AccessionNumber), o.AccessionNumber, "after imaging had begun")
	if p.becomes(id, order.InProgress); p.on(xray, o.AccessionNumber) == nil {
		t.Error("the order left the list")
	}
	p.ok(m.Finish(t.Context(), s))
	p.becomes(id, order.Completed)
	p.upstream(id, "done")
	p.raised(problem.OrderCancelledLate, o.AccessionNumber) // until a person says so
	p.act(o.AccessionNumber, ui.Complete, order.Completed)
	p.cleared(problem.OrderCancelledLate, o.AccessionNumber)
}

// tellsReported waits until the last report is accepted and written down.
func (p *practice) tellsReported(id int, state string) {
	p.t.Helper()
	p.until(fmt.Sprintf("the report %s of order %d should be told", state, id), func() error {
		_, timeline := p.order(id)
		if !slices.ContainsFunc(timeline, func(e order.Entry) bool { return e.Kind == "reported" && strings.Contains(e.Text, state) }) {
			return fmt.Errorf("it says %v", texts(timeline))
		}
		return nil
	})
}

func testDeletedAfter(t *testing.T, begin begin) {
	p := begin(t, setup{})
	id := p.request("X-ray")
	m := p.machine(xray)
	s, err := m.Start(t.Context(), p.listed(xray, id), dicomsim.Options{})
	p.ok(err)
	o := p.becomes(id, order.InProgress)
	p.sim.DeleteOrder(id)
	p.raised(problem.OrderCancelledLate, o.AccessionNumber)
	if p.becomes(id, order.InProgress); p.on(xray, o.AccessionNumber) == nil {
		t.Error("the order left the list")
	}
	p.ok(m.Finish(t.Context(), s))
	p.same(o, p.becomes(id, order.Completed))
	p.raised(problem.OrderCancelledLate, o.AccessionNumber)
	p.cleared(problem.ReportRefused, "") // there is nobody to report to, which is no failure
	p.until("nothing should be owed", func() error {
		unsent, err := p.api.Outbox(t.Context(), ui.OutboxFilter{})
		if err == nil && len(unsent) > 0 {
			err = fmt.Errorf("%d reports", len(unsent))
		}
		return err
	})
}
