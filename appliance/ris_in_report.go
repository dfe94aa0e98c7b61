package appliance

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/hl7/orders"
	"github.com/rayhound/rayhound/localdb"
)

// risSaid applies one report to the order that it is about: numbers, documents,
// what a person should know, and the event.
func (b *batch) risSaid(s said, t target, rep *orders.Report) error {
	o := t.order
	if s.inID != 0 {
		if err := b.tx.LinkHL7In(b.ctx, s.inID, o.ID); err != nil {
			return err
		}
	}
	if err := b.learnNumbers(s, t, rep); err != nil {
		return err
	}
	if err := b.keepReport(s, o, rep); err != nil {
		return err
	}
	if err := b.stillBusy(s, t); err != nil {
		return err
	}
	switch rep.Meaning {
	case orders.Cancelled, orders.Discontinued:
		return b.risEnded(s, t, rep)
	case orders.Refused, orders.Changed, orders.Failed, orders.ImagesRejected:
		return b.risAsks(s, o, rep)
	case orders.Scheduled, orders.OnHold, orders.Confirmed, orders.Started, orders.Acquired, orders.Reported, orders.Numbered, orders.Partial:
	}
	if rep.Event == "" {
		return b.risMentions(s, o, rep)
	}
	if rep.Quiet > 0 && rep.Event == order.StepCompleted && s.inID != 0 && open(o, t.spsID) {
		return b.waitForQuiet(s, t, rep)
	}
	if err := b.forgetQuiet(s, t); err != nil {
		return err
	}
	return b.observe(o, evidenceOf(s, t, rep))
}

// open reports whether the step, or any when spsID is empty, has not ended.
func open(o *order.Order, spsID string) bool {
	if s := o.Step(spsID); s != nil {
		return s.State.Open()
	}
	return o.State.Open()
}

// evidenceOf is what a report says, for the ledger.
func evidenceOf(s said, t target, rep *orders.Report) order.Evidence {
	return order.Evidence{
		ScheduledProcedureStepID: t.spsID, Source: order.HL7, Event: rep.Event, Station: s.ris, Ref: s.controlID, Reason: reportedWord(rep.Meaning),
	}
}

// reportedWord tells acquired from reported in the ledger.
func reportedWord(m orders.Meaning) string {
	switch m {
	case orders.Acquired:
		return "images acquired"
	case orders.Reported:
		return "reported"
	case orders.Scheduled, orders.OnHold, orders.Started, orders.Cancelled, orders.Discontinued, orders.ImagesRejected, orders.Failed,
		orders.Changed, orders.Confirmed, orders.Refused, orders.Numbered, orders.Partial:
	}
	return ""
}

// risMentions tells the timeline what moves nothing.
func (b *batch) risMentions(s said, o *order.Order, rep *orders.Report) error {
	text := ""
	switch rep.Meaning {
	case orders.Scheduled:
		text = s.ris + " has scheduled it"
	case orders.OnHold:
		text = s.ris + " holds it"
	case orders.Confirmed:
		text = s.ris + " confirmed what it was told"
	case orders.Acquired:
		text = s.ris + " says that the images are made; that does not complete it (completed_when)"
	case orders.Reported:
		if !hasReport(rep) { // else the report has its line
			text = s.ris + " says that it is reported; that does not complete it (completed_when)"
		}
	case orders.Partial:
		if !hasReport(rep) {
			text = s.ris + " reported a status: " + clipped(printable(rep.Status), 20)
		}
	case orders.Started, orders.Cancelled, orders.Discontinued, orders.ImagesRejected, orders.Failed, orders.Changed, orders.Refused, orders.Numbered:
	}
	if text == "" {
		return nil
	}
	return b.say(o, "ris", order.HL7, "", text)
}

// risAsks leaves to a person what no event can say.
func (b *batch) risAsks(s said, o *order.Order, rep *orders.Report) error {
	args := problem.Args{"ris": s.ris, "accession": o.AccessionNumber}
	var code problem.Code
	text := ""
	switch rep.Meaning {
	case orders.Refused:
		code = problem.RISRefused
		args["reason"] = strings.TrimSpace(rep.Control + " " + clipped(oneLine(rep.Text), 200))
		text = s.ris + " refused what it was told: " + refusedWord(rep.Control)
	case orders.Changed:
		code, text = problem.RISChanged, s.ris+" changed the order in its own list"
	case orders.Failed:
		code, text = problem.RISFailed, s.ris+" reports an error"
	case orders.ImagesRejected:
		code, text = problem.RISImagesRejected, s.ris+" says that images were rejected"
	case orders.Scheduled, orders.OnHold, orders.Started, orders.Acquired, orders.Reported, orders.Cancelled, orders.Discontinued,
		orders.Confirmed, orders.Numbered, orders.Partial:
		return nil
	}
	b.notice(o, code, args)
	if err := b.save(o); err != nil {
		return err
	}
	return b.say(o, "ris", order.HL7, code, text)
}

// refusedWord says what an order control code refuses.
func refusedWord(control string) string {
	switch control {
	case "UA":
		return "the new order (UA)"
	case "UC":
		return "the cancellation (UC)"
	case "UX":
		return "the change (UX)"
	case "UD":
		return "the discontinuation (UD)"
	}
	return "the order (" + clipped(printable(control), 4) + ")"
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// risEnded deals with an order that the RIS cancelled or gave up. That is the
// peer's word, not Provet Cloud's: it goes into the ledger and to a person, and
// closes the order here only when the settings say so. Provet Cloud is not told.
func (b *batch) risEnded(s said, t target, rep *orders.Report) error {
	o := t.order
	if err := b.forgetQuiet(s, t); err != nil {
		return err
	}
	word, code := "cancelled", problem.RISCancelled
	if rep.Meaning == orders.Discontinued {
		word, code = "discontinued", problem.RISDiscontinued
	}
	e := evidenceOf(s, t, rep)
	if p := b.c.routes.peer(s.ris); p != nil && p.CancelApplies && open(o, t.spsID) {
		applied, err := b.risCloses(s, t, e, word)
		if applied || err != nil {
			return err
		}
	}
	e.OrderID, e.At = o.ID, b.now
	if err := b.tx.AddEvidence(b.ctx, &e); err != nil {
		return err
	}
	if o.State == order.Cancelled || o.State == order.Discontinued { // it answers our own cancelling
		return b.say(o, "ris", order.HL7, "", s.ris+" "+word+" it too")
	}
	b.notice(o, code, problem.Args{"ris": s.ris, "accession": o.AccessionNumber})
	if err := b.save(o); err != nil {
		return err
	}
	return b.say(o, "ris", order.HL7, code, s.ris+" "+word+" it; Provet Cloud was not told")
}

// risCloses closes an order, or one of its steps, as the RIS says.
func (b *batch) risCloses(s said, t target, e order.Evidence, word string) (applied bool, err error) {
	o := t.order
	if e.Event == order.StepDiscontinued {
		_, err := order.Next(o.State, e.Event)
		if errors.Is(err, order.ErrRefused) {
			return false, nil
		}
		if err != nil {
			return true, err
		}
		return true, b.observe(o, e)
	}
	if t.spsID != "" && len(o.Steps) > 1 { // the others go on: a person decides
		return false, nil
	}
	err = b.move(o, order.Withdrawn, order.HL7, fmt.Sprintf("%s by %s; Provet Cloud was not told", word, s.ris))
	if errors.Is(err, order.ErrRefused) {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	e.OrderID, e.At, e.Decided = o.ID, b.now, true
	return true, b.tx.AddEvidence(b.ctx, &e)
}

// learnNumbers remembers the numbers that the RIS has for an order.
func (b *batch) learnNumbers(s said, t target, rep *orders.Report) error {
	o := t.order
	f := localdb.Filler{OrderID: o.ID, RIS: s.ris, FillerOrderNumber: clipped(rep.FillerOrderNumber, 100), At: b.now}
	if a := rep.AccessionNumber; a != o.AccessionNumber {
		f.AccessionNumber = clipped(a, 100)
	}
	if len(o.Steps) > 1 {
		f.SPSID = t.spsID
	}
	changed, err := b.tx.LearnFiller(b.ctx, f)
	if err != nil || !changed {
		return err
	}
	line := s.ris + " knows it"
	if f.FillerOrderNumber != "" {
		line += " as " + printable(f.FillerOrderNumber)
	}
	if f.AccessionNumber != "" {
		line += ", accession number " + printable(f.AccessionNumber)
	}
	return b.say(o, "numbered", order.HL7, "", strings.Replace(line, "it,", "it by its", 1))
}
