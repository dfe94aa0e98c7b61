package appliance

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/localdb"
)

// giveUpAfter is how long a report is tried before a person is asked.
const giveUpAfter = 72 * time.Hour

// move applies an event that concerns the whole order, with its timeline line
// and the report it causes. A transition the table refuses changes nothing and
// returns an error that wraps order.ErrRefused.
func (b *batch) move(o *order.Order, ev order.Event, source order.Source, text string) error {
	from := o.State
	to, err := order.Next(from, ev)
	if err != nil {
		return err
	}
	o.State = to
	switch ev {
	case order.Withdrawn, order.CancelByPerson:
		b.closeSteps(o, order.Discontinued)
		o.ClosedBy, o.ClosedText, o.ClosedAt = source, text, b.now
	case order.ClosedByPerson:
		b.closeSteps(o, order.Completed)
		o.ClosedBy, o.ClosedText, o.ClosedAt = source, text, b.now
	case order.Restored, order.ReopenedByPerson:
		for i := range o.Steps {
			o.Steps[i].State = order.Scheduled
			o.Steps[i].StartedAt, o.Steps[i].EndedAt = time.Time{}, time.Time{}
		}
		o.ClosedBy, o.ClosedText, o.ClosedAt = "", "", time.Time{}
	case order.Accepted, order.HeldBack, order.StepStarted, order.StepCompleted, order.StepDiscontinued, order.WrongEntry:
	}
	if to != order.Held {
		o.Holds = nil
	}
	if from != to || o.ID == 0 {
		return b.entered(o, source, text)
	}
	return b.save(o)
}

// closeSteps ends the steps that have not ended.
func (b *batch) closeSteps(o *order.Order, as order.State) {
	for i := range o.Steps {
		if o.Steps[i].State.Open() {
			o.Steps[i].State = as
			o.Steps[i].EndedAt = b.now
		}
	}
}

// entered stores an order that came into its present state, tells the timeline,
// and owes Provet Cloud the report.
func (b *batch) entered(o *order.Order, source order.Source, text string) error {
	if err := b.save(o); err != nil {
		return err
	}
	if err := b.say(o, string(o.State), source, "", b.c.routes.stateLine(o, text)); err != nil {
		return err
	}
	return b.report(o, source)
}

// stateLine is the sentence of the timeline for a state that was entered.
func (r *routes) stateLine(o *order.Order, text string) string {
	line := ""
	switch o.State {
	case order.Received:
		line = "Received"
	case order.Held:
		line = "Held: " + holdText(o.Holds)
	case order.Scheduled:
		line = r.place(o)
	case order.InProgress:
		line = "Imaging started"
	case order.Completed:
		line = "Completed"
	case order.Discontinued:
		line = "Discontinued"
	case order.Cancelled:
		line = "Cancelled, off the list"
	}
	if text != "" {
		line += " · " + text
	}
	return line
}

// holdText says in words why an order is held.
func holdText(holds []order.Hold) string {
	if len(holds) == 0 {
		return "by a person"
	}
	h := holds[0]
	switch {
	case h.Code == string(problem.OrderUnmapped):
		return fmt.Sprintf("no machine serves %q", h.Detail)
	case h.Detail != "":
		return h.Field + ": " + h.Detail
	}
	return h.Field
}

// statusReport is the payload of an outbox entry for Provet Cloud.
type statusReport struct {
	State order.State `json:"state"`
}

// report owes Provet Cloud the state of o, in the transaction that made it. A
// state that came from Provet itself is not told back, and neither is one that
// the clinic writes no value for. Earlier reports that were not sent yet have
// become pointless and are dropped.
func (b *batch) report(o *order.Order, source order.Source) error {
	if source == order.HL7 && (o.State == order.Cancelled || o.State == order.Discontinued) {
		return nil // the word of a RIS closes an order here, and is not told upstream
	}
	if err := b.dropReports(o, "overtaken by "+string(o.State)); err != nil {
		return err
	}
	p := b.c.practice
	if o.ProvetID == "" || p == nil || !p.MapsStatus(o.State) {
		return nil
	}
	if source == order.Upstream && !o.State.Open() {
		return nil
	}
	payload, err := json.Marshal(statusReport{o.State})
	if err != nil {
		return err
	}
	_, err = b.tx.Enqueue(b.ctx, localdb.OutboxEntry{
		OrderID: o.ID, Dest: destProvet, Kind: "status", Payload: payload,
		IdemKey: destProvet + "/" + strconv.FormatInt(o.ID, 10) + "/" + string(o.State) + "/" + shortID(""),
		NextAt:  b.now, GiveUpAt: b.now.Add(giveUpAfter), CreatedAt: b.now,
	})
	b.outbox = true
	return err
}

// dropReports drops the reports about o that are not being sent just now, the
// parked ones too.
func (b *batch) dropReports(o *order.Order, why string) error {
	n, err := b.tx.DropUnsent(b.ctx, o.ID, destProvet, why, b.now, "status")
	if n > 0 {
		b.after = append(b.after, func() { b.c.board.Clear(problem.ReportRefused, o.AccessionNumber) })
	}
	return err
}

// observe enters a fact into the ledger of o and moves the step it concerns, or
// every open step when spsID is empty. What the table refuses (late evidence)
// stays in the ledger and changes nothing.
func (b *batch) observe(o *order.Order, e order.Evidence) error {
	from := o.State
	e.OrderID, e.At = o.ID, b.now
	moved := false
	whole := e.ScheduledProcedureStepID == "" && slices.ContainsFunc(o.Steps, func(s order.Step) bool { return s.State.Open() })
	for i := range o.Steps {
		s := &o.Steps[i]
		if e.ScheduledProcedureStepID != "" && s.ScheduledProcedureStepID != e.ScheduledProcedureStepID {
			continue
		}
		if whole && !s.State.Open() { // what has ended is not meant while something is open
			continue
		}
		ev := b.decide(o, s, e)
		if ev == "" {
			continue
		}
		next, err := order.Next(s.State, ev)
		if errors.Is(err, order.ErrRefused) {
			continue
		}
		if _, err := order.Next(from, ev); err != nil { // the order itself does not allow it
			continue
		}
		e.Decided = e.Decided || next != s.State && !next.Open()
		moved = moved || next != s.State
		b.stamp(s, next)
	}
	if err := b.tx.AddEvidence(b.ctx, &e); err != nil {
		return err
	}
	if !moved {
		return b.say(o, "evidence", e.Source, "", factLine(e))
	}
	if from == order.Cancelled {
		b.notice(o, problem.OrderCancelledLate, problem.Args{"accession": o.AccessionNumber})
	}
	o.State = order.Aggregate(o.Steps)
	o.Holds = nil
	text := evidenceLine(e)
	if o.State.Open() {
		o.ClosedBy, o.ClosedText, o.ClosedAt = "", "", time.Time{}
	} else {
		o.ClosedBy, o.ClosedAt = e.Source, b.now
		o.ClosedText = "closed by " + text
	}
	o.Notices = slices.DeleteFunc(slices.Clone(o.Notices), func(n order.Notice) bool { return n.Code == string(problem.OrderIdle) })
	if o.State == from {
		if err := b.save(o); err != nil {
			return err
		}
		return b.say(o, "step", e.Source, "", factLine(e))
	}
	return b.entered(o, e.Source, text)
}

// stamp sets a step's state and the times that belong to it.
func (b *batch) stamp(s *order.Step, next order.State) {
	switch next {
	case order.InProgress:
		if s.StartedAt.IsZero() {
			s.StartedAt = b.now
		}
		s.EndedAt = time.Time{}
	case order.Completed, order.Discontinued, order.Cancelled:
		if s.State.Open() {
			s.EndedAt = b.now
		}
	case order.Scheduled:
		s.StartedAt, s.EndedAt = time.Time{}, time.Time{}
	case order.Received, order.Held:
	}
	s.State = next
}

// decide turns evidence into the event it means for a step at that machine.
// Completion counts only from a source the machine's done_when names; otherwise
// it says no more than that imaging began.
func (b *batch) decide(o *order.Order, s *order.Step, e order.Evidence) order.Event {
	if e.Event != order.StepCompleted || e.Source == order.ByHand || e.Source == order.Idle || e.Source == order.Upstream {
		return e.Event
	}
	st := b.c.routes.byName(e.Station)
	if st == nil && len(s.Stations) > 0 {
		st = b.c.routes.byName(s.Stations[0])
	}
	if st == nil || len(st.DoneWhen) == 0 || slices.Contains(st.DoneWhen, e.Source) {
		return order.StepCompleted
	}
	return order.StepStarted
}

// evidenceLine is the one line that says why: "MPPS from CT · 2 series, 12 images".
func evidenceLine(e order.Evidence) string {
	line := sourceName(e.Source)
	if e.Station != "" {
		line += " from " + e.Station
	}
	if e.Event == order.WrongEntry {
		line += " · the wrong entry was selected"
	}
	if e.Series > 0 || e.Instances > 0 {
		line += fmt.Sprintf(" · %s, %s", count(e.Series, "series", "series"), count(e.Instances, "image", "images"))
	}
	if e.Reason != "" {
		line += " · " + e.Reason
	}
	return line
}

// sourceName names a source for people.
func sourceName(s order.Source) string {
	switch s {
	case order.MPPS, order.HL7:
		return strings.ToUpper(string(s))
	case order.Idle:
		return "the idle rule"
	case order.Upstream:
		return "Provet Cloud"
	case order.ByHand:
		return "a person"
	case order.Images:
	}
	return string(s)
}

// factLine is the line of evidence that moved nothing: "Reported started · MPPS from CT".
func factLine(e order.Evidence) string {
	word := map[order.Event]string{
		order.StepStarted: "Reported as started", order.StepCompleted: "Reported as completed",
		order.StepDiscontinued: "Reported as discontinued", order.WrongEntry: "Reported as a wrong entry",
	}[e.Event]
	if word == "" {
		word = "Reported"
	}
	return word + " · " + evidenceLine(e)
}

// notice remembers on the order that a person should look. The same code, of the
// same RIS when it is about one, replaces an earlier one and keeps its time; when it
// says the same, it also stays acted upon.
func (b *batch) notice(o *order.Order, code problem.Code, args problem.Args) {
	at, done := b.now, false
	notices := slices.Clone(o.Notices)
	notices = slices.DeleteFunc(notices, func(n order.Notice) bool {
		if n.Code == string(code) && n.Args["ris"] == args["ris"] {
			at, done = n.At, n.Done && maps.Equal(n.Args, args)
			return true
		}
		return false
	})
	o.Notices = append(notices, order.Notice{Code: string(code), Args: args, At: at, Done: done})
}

// settle marks the notices of o as acted upon.
func settle(o *order.Order) {
	o.Notices = slices.Clone(o.Notices)
	for i := range o.Notices {
		o.Notices[i].Done = true
	}
}

// unnotice forgets a notice.
func unnotice(o *order.Order, codes ...problem.Code) {
	o.Notices = slices.DeleteFunc(slices.Clone(o.Notices), func(n order.Notice) bool {
		return slices.Contains(codes, problem.Code(n.Code))
	})
}

// noticed reports whether o carries a notice.
func noticed(o *order.Order, code problem.Code) bool {
	return slices.ContainsFunc(o.Notices, func(n order.Notice) bool { return n.Code == string(code) })
}

// count writes "1 image" or "2 images".
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// joinNames writes "A", "A and B", "A, B and C".
func joinNames(names []string) string {
	switch len(names) {
	case 0:
		return "no machine"
	case 1:
		return names[0]
	}
	s := names[0]
	for _, n := range names[1 : len(names)-1] {
		s += ", " + n
	}
	return s + " and " + names[len(names)-1]
}
