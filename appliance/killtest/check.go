package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
	"github.com/rayhound/rayhound/ui"
)

// check compares the program with Provet Cloud and with what was acknowledged.
// It returns everything that does not agree now; some of that may still be on
// its way.
func (t *trial) check(ctx context.Context) (wrong []string, err error) {
	list, err := t.orders(ctx)
	if err != nil {
		return nil, err
	}
	t.book.listed(list)
	byID := map[string]*ui.Order{}
	for i := range list {
		byID[list[i].ProvetID] = &list[i]
	}
	made := t.people.made()
	for _, id := range made {
		if text := t.checkOrder(id, byID[strconv.Itoa(id)]); text != "" {
			wrong = append(wrong, text)
		}
		delete(byID, strconv.Itoa(id))
	}
	for id := range byID {
		wrong = append(wrong, fmt.Sprintf("doubled: order %q was never made in Provet Cloud", id))
	}
	more, err := t.checkLedger(ctx)
	return append(wrong, more...), err
}

// checkOrder compares one order. It returns "" when all is well.
func (t *trial) checkOrder(id int, o *ui.Order) string {
	up, exists := t.sim.Order(id)
	if o == nil {
		switch {
		case t.book.saw(strconv.Itoa(id)):
			return fmt.Sprintf("lost: order %d was there and is gone", id)
		case exists && up.Status != "cancelled": // withdrawn before we read it: history
			return fmt.Sprintf("lost: order %d (%s) never arrived", id, up.Status)
		}
		return ""
	}
	if !exists && !o.State.Open() && t.people.deletedUnheard(o.ProvetID) {
		return "" // the sweep asks for open orders only
	}
	if text := stateWrong(o, up.Status, exists); text != "" {
		return fmt.Sprintf("state: order %d: %s", id, text)
	}
	if !exists || up.Status == "cancelled" {
		return "" // its content is of no interest to anybody any more
	}
	return t.contentWrong(id, o, up)
}

// stateWrong compares the states. A status of "" is a deleted order.
func stateWrong(o *ui.Order, up string, exists bool) string {
	noticed, gone := lateNoticed(o), !exists || up == "cancelled"
	ok := false
	switch o.State {
	case order.Received, order.Held:
	case order.Scheduled:
		ok = up == "scheduled" || up == "new"
	case order.InProgress:
		ok = up == "in_progress" || gone && noticed
	case order.Completed:
		ok = up == "done" || gone && noticed
	case order.Discontinued:
		ok = up == "discontinued" || gone
	case order.Cancelled:
		ok = gone
	}
	if ok {
		return ""
	}
	if !exists {
		up = "deleted"
	}
	return fmt.Sprintf("%s here, %s in Provet Cloud, late withdrawal noticed: %t (%s)", o.State, up, noticed, o.Why)
}

// contentWrong compares what an order says.
func (t *trial) contentWrong(id int, o *ui.Order, up provetsim.Order) string {
	p, _ := t.sim.Patient(up.PatientID)
	switch {
	case o.PatientID != strconv.Itoa(up.PatientID):
		return fmt.Sprintf("content: order %d is for patient %s, in Provet Cloud for %d (%s)", id, o.PatientID, up.PatientID, o.State)
	case o.PatientName != p.Name:
		return fmt.Sprintf("content: order %d names %q, Provet Cloud %q (%s)", id, o.PatientName, p.Name, o.State)
	case o.Modality != up.Modality:
		return fmt.Sprintf("content: order %d is for %q, in Provet Cloud for %q (%s)", id, o.Modality, up.Modality, o.State)
	}
	return ""
}

// checkLedger asks whether every acknowledged message is in its order's ledger.
func (t *trial) checkLedger(ctx context.Context) (wrong []string, err error) {
	c, err := t.client()
	if err != nil {
		return nil, err
	}
	byOrder := map[string][]ack{}
	for _, a := range t.book.ackList() {
		byOrder[a.accession] = append(byOrder[a.accession], a)
	}
	for accession, acks := range byOrder {
		d, err := c.Order(ctx, accession)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("mpps: order %s was imaged and cannot be shown: %s", accession, reasonOf(err)))
			continue
		}
		for _, a := range acks {
			if !slices.ContainsFunc(d.Evidence, func(e ui.Evidence) bool {
				return e.Ref == a.uid && string(e.Event) == a.event && e.ScheduledProcedureStepID == a.step
			}) {
				wrong = append(wrong, fmt.Sprintf("mpps: lost: %s of step %s (%s) was acknowledged and is not in the ledger", a.event, a.step, a.uid))
			}
		}
		if up := t.remarks(d.ProvetID); up != nil && *up != d.Remarks && d.UpstreamStatus != t.sim.StatusValue("cancelled") {
			wrong = append(wrong, fmt.Sprintf("content: order %s has the remark %q, in Provet Cloud %q", accession, d.Remarks, *up))
		}
	}
	return wrong, nil
}

// remarks returns those of an order in Provet Cloud, or nil.
func (t *trial) remarks(provetID string) *string {
	id, err := strconv.Atoi(provetID)
	if err != nil {
		return nil
	}
	o, ok := t.sim.Order(id)
	if !ok || o.Status == "cancelled" {
		return nil
	}
	return &o.Remarks
}

// inFlight is how long a write may take from reading the status to changing it,
// by Provet's clock. What a person does meanwhile is overwritten: Provet Cloud
// has no conditional writes.
const inFlight = daySpeed * 100 * time.Millisecond

// checkWrites looks at everything that was written to Provet Cloud.
func (t *trial) checkWrites(ctx context.Context) (wrong []string, err error) {
	for _, v := range t.sim.Violations() {
		wrong = append(wrong, fmt.Sprintf("write: %s %s: %s", v.Method, v.Path, v.Reason))
	}
	list, err := t.orders(ctx)
	if err != nil {
		return wrong, err
	}
	noticed := map[int]bool{}
	for i := range list {
		if id, err := strconv.Atoi(list[i].ProvetID); err == nil {
			noticed[id] = lateNoticed(&list[i])
		}
	}
	done := map[int]bool{}
	for _, p := range t.sim.Patches() {
		race := p.At.Sub(t.people.withdrawnAt(p.ID)) < inFlight
		switch {
		case p.Status != 200:
			wrong = append(wrong, fmt.Sprintf("write: order %d: %v was answered %d", p.ID, p.Fields, p.Status))
		case done[p.ID] && p.To != "done":
			wrong = append(wrong, fmt.Sprintf("write: order %d went back from done to %s", p.ID, p.To))
		case p.From != "cancelled" || p.To != "scheduled" && noticed[p.ID]:
		case race:
			t.book.refuse("withdrawal overwritten within a write")
		case p.To == "scheduled":
			wrong = append(wrong, fmt.Sprintf("write: the withdrawal of order %d was overwritten with %q", p.ID, p.To))
		default:
			wrong = append(wrong, fmt.Sprintf("write: the withdrawal of order %d was overwritten with %q and nobody was told", p.ID, p.To))
		}
		done[p.ID] = done[p.ID] || p.Status == 200 && p.To == "done"
	}
	return wrong, nil
}

// withdrawnAt returns when a person withdrew an order, by Provet's clock.
func (p *people) withdrawnAt(id int) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.withdrawn[id]
}

// lateNoticed reports whether a person is asked to look at a late withdrawal.
func lateNoticed(o *ui.Order) bool {
	return slices.ContainsFunc(o.Notices, func(n ui.Notice) bool { return n.Code == string(problem.OrderCancelledLate) })
}
