package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/hl7sim"
	"github.com/rayhound/rayhound/localdb"
)

// checkRIS compares what each RIS holds with what the program kept of it.
func (t *trial) checkRIS(ctx context.Context, db *localdb.DB) error {
	return db.Read(ctx, func(s *localdb.Snapshot) error {
		for _, r := range t.ris {
			x := &risCheck{t: t, r: r, s: s, held: r.sim.Snapshot(), at: map[string]int{}, claimed: map[string]bool{}}
			if err := x.run(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

// risCheck is the comparison with one RIS.
type risCheck struct {
	t       *trial
	r       *ris
	s       *localdb.Snapshot
	held    hl7sim.Snapshot
	at      map[string]int       // control id -> place in held.Messages
	claimed map[string]bool      // control ids of the outbox
	waiting map[string]unmatched // by control id
}

func (x *risCheck) violate(kind, format string, args ...any) {
	x.t.book.violate("%s", "hl7 "+kind+": "+x.r.settings.Name+": "+fmt.Sprintf(format, args...))
}

func (x *risCheck) run(ctx context.Context) error {
	for _, a := range x.held.Anomalies {
		x.violate("wrong", "%s (%s, order %s)", a.Text, a.ControlID, a.AccessionNumber)
	}
	if x.held.Unreadable+x.held.Forgotten > 0 {
		x.violate("wrong", "%d frames were no message, %d forgotten", x.held.Unreadable, x.held.Forgotten)
	}
	f := &x.t.figures
	f.came += x.held.Deliveries
	for i, m := range x.held.Messages {
		x.at[m.ControlID] = i
		f.messages++
		if m.Deliveries > 1 {
			f.repeated++
		}
		if m.Conflicts > 0 {
			x.violate("doubled", "control id %s was given to two messages", m.ControlID)
		}
	}
	if err := x.unmatched(ctx); err != nil {
		return err
	}
	said := map[string][]saying{}
	for _, s := range x.r.sayings() {
		said[s.accession] = append(said[s.accession], s)
	}
	for _, id := range x.t.people.made() {
		o, err := x.s.OrderByProvetID(ctx, strconv.Itoa(id))
		if errors.Is(err, localdb.ErrNotFound) {
			continue // what has to be there was looked at already
		}
		if err == nil {
			err = x.order(ctx, o)
		}
		if err == nil {
			err = x.said(ctx, o, said[o.AccessionNumber])
		}
		if err != nil {
			return err
		}
	}
	for _, m := range x.held.Messages {
		if !x.claimed[m.ControlID] {
			x.violate("doubled", "%s %s of order %s (%s) is in no outbox", m.Type, m.Control, m.AccessionNumber, m.ControlID)
		}
	}
	return nil
}

// order looks at one order: every message arrived once, in its turn, and in the
// end the RIS knows what we know.
func (x *risCheck) order(ctx context.Context, o *order.Order) error {
	all, err := x.s.Outbox(ctx, localdb.OutboxFilter{
		OrderID: o.ID, Dest: "ris:" + x.r.settings.Name, Limit: 5000,
		States: []string{localdb.Ready, localdb.Leased, localdb.Done, localdb.Parked, localdb.Dropped},
	})
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b localdb.OutboxEntry) int { return int(a.ID - b.ID) })
	last, sent := -1, 0
	open := map[string]bool{}
	for _, e := range all {
		id := hl7.PeekHeader(e.Payload).ControlID
		i, arrived := x.at[id]
		if x.claimed[id] {
			x.violate("doubled", "control id %s is in the outbox twice", id)
		}
		switch {
		case e.State == localdb.Dropped && arrived:
			x.violate("wrong", "%s of order %s (%s) was taken back and arrived", e.Kind, o.AccessionNumber, id)
		case e.State == localdb.Dropped:
			x.t.figures.dropped++
			continue
		case !arrived || !x.held.Messages[i].Applied:
			x.violate("lost", "%s of order %s (%s, %s) did not arrive", e.Kind, o.AccessionNumber, id, e.State)
			continue
		case !bytes.Equal(x.held.Messages[i].Raw, e.Payload):
			x.violate("wrong", "%s of order %s (%s) arrived with other bytes", e.Kind, o.AccessionNumber, id)
		case i < last:
			x.violate("order", "%s of order %s (%s) arrived before an earlier message", e.Kind, o.AccessionNumber, id)
		}
		x.claimed[id] = true
		last = max(last, i)
		sent++
		x.turn(o, e, open)
	}
	if err := x.timeline(ctx, o, sent); err != nil {
		return err
	}
	return x.content(ctx, o)
}

// turn checks that NW comes first, and a change or an end only while the order
// stands at the RIS.
func (x *risCheck) turn(o *order.Order, e localdb.OutboxEntry, open map[string]bool) {
	ok := true
	switch e.Kind {
	case "NW":
		ok, open[e.Unit] = !open[e.Unit], true
	case "XO":
		ok = open[e.Unit]
	case "CA", "DC":
		ok, open[e.Unit] = open[e.Unit], false
	}
	if !ok {
		x.violate("order", "%s of order %s (outbox %d) out of turn", e.Kind, o.AccessionNumber, e.ID)
	}
}

// timeline checks that each message has its line.
func (x *risCheck) timeline(ctx context.Context, o *order.Order, sent int) error {
	list, err := x.s.Timeline(ctx, o.ID)
	if err != nil {
		return err
	}
	lines := 0
	for _, e := range list {
		if e.Kind == "told" && strings.HasPrefix(e.Text, x.r.settings.Name+" was sent ") {
			lines++
		}
	}
	if lines != sent {
		x.violate("wrong", "order %s has %d lines about %d messages", o.AccessionNumber, lines, sent)
	}
	return nil
}

// content compares the order with what the RIS holds of it, step by step.
func (x *risCheck) content(ctx context.Context, o *order.Order) error {
	if o.State == order.Received || o.State == order.Held {
		return nil // a RIS hears nothing while a person has to look
	}
	theirs, _ := x.r.sim.Order(o.AccessionNumber)
	notTold := slices.ContainsFunc(o.Notices, func(n order.Notice) bool { return n.Code == string(problem.RISNotTold) })
	for _, s := range o.Steps {
		i := slices.IndexFunc(theirs.Steps, func(h hl7sim.Step) bool { return h.ID == s.ScheduledProcedureStepID })
		stands := i >= 0 && theirs.Steps[i].State != hl7sim.Cancelled && theirs.Steps[i].State != hl7sim.Discontinued
		serves := x.r.serves(s.Modality.Name)
		switch s.State {
		case order.Scheduled, order.InProgress:
			switch {
			case !o.State.Open():
			case !serves && stands:
				x.violate("wrong", "order %s is for %s now, and stands there", o.AccessionNumber, s.Modality.Name)
			case serves && !stands:
				x.violate("lost", "order %s (%s) is not there, or cancelled", o.AccessionNumber, o.State)
			case serves && !notTold:
				x.same(o, &s, theirs, theirs.Steps[i])
			}
		case order.Completed:
			ended, err := x.everEnded(ctx, o, s.ScheduledProcedureStepID)
			if err != nil {
				return err
			}
			if serves && !ended && !stands {
				x.violate("lost", "order %s (%s) is not there, or cancelled", o.AccessionNumber, o.State)
			}
		case order.Cancelled, order.Discontinued:
			if stands {
				x.violate("wrong", "step %s of order %s is %s, there %s", s.ScheduledProcedureStepID, o.AccessionNumber, s.State, theirs.Steps[i].State)
			}
		case order.Received, order.Held:
		}
	}
	return nil
}

// same compares the content.
func (x *risCheck) same(o *order.Order, s *order.Step, theirs hl7sim.Order, step hl7sim.Step) {
	raw := []byte(nil)
	for _, id := range theirs.Messages {
		if m := x.held.Messages[x.at[id]]; m.Control == "NW" || m.Control == "XO" {
			raw = m.Raw
		}
	}
	remarks := ""
	if m, err := hl7.Parse(raw, hl7.Options{}); err == nil {
		remarks = m.Text("NTE-3")
	}
	for _, c := range []struct{ what, ours, theirs string }{
		{"patient", o.Content.Patient.ID, theirs.PatientID},
		{"study", o.StudyInstanceUID, step.StudyInstanceUID},
		{"procedure id", o.RequestedProcedureID, step.RequestedProcedureID},
		{"modality", x.t.codeOf(s.Modality.Name), step.Modality},
		{"remarks", o.Content.Remarks, remarks},
	} {
		if c.ours != c.theirs {
			x.violate("wrong", "order %s has the %s %q, there %q", o.AccessionNumber, c.what, c.ours, c.theirs)
		}
	}
	if !strings.Contains(theirs.PatientName, o.Content.Patient.Name) {
		x.violate("wrong", "order %s is for %q, there for %q", o.AccessionNumber, o.Content.Patient.Name, theirs.PatientName)
	}
	if !strings.HasPrefix(theirs.Procedure, s.Modality.Name) {
		x.violate("wrong", "order %s is for %q, there for %q", o.AccessionNumber, s.Modality.Name, theirs.Procedure)
	}
}

// everEnded reports whether a step was given up before it was completed after
// all: images that came late. The RIS was told of the former only.
func (x *risCheck) everEnded(ctx context.Context, o *order.Order, stepID string) (bool, error) {
	list, err := x.s.Timeline(ctx, o.ID)
	if err != nil {
		return false, err
	}
	ledger, err := x.s.EvidenceOf(ctx, o.ID)
	ended := []order.State{order.Cancelled, order.Discontinued}
	return slices.ContainsFunc(list, func(e order.Entry) bool { return slices.Contains(ended, order.State(e.Kind)) }) ||
		slices.ContainsFunc(ledger, func(e order.Evidence) bool {
			return e.Event == order.StepDiscontinued && e.ScheduledProcedureStepID == stepID
		}), err
}

// said checks that all that the RIS said of an order, and that was accepted, is
// with the order once, or waits for a person once.
func (x *risCheck) said(ctx context.Context, o *order.Order, list []saying) error {
	if len(list) == 0 {
		return nil
	}
	came, err := x.s.HL7InOf(ctx, o.ID)
	if err != nil {
		return err
	}
	docs, err := x.s.DocumentsOf(ctx, o.ID)
	if err != nil {
		return err
	}
	ledger, err := x.s.EvidenceOf(ctx, o.ID)
	if err != nil {
		return err
	}
	for _, s := range list {
		if s.text {
			x.t.figures.reports++
		} else {
			x.t.figures.statuses++
		}
		messages, evidence, files := came, one(s.evidence), docs
		if waits := x.waiting[s.id]; len(waits.messages) > 0 {
			x.t.figures.unmatched++
			messages, evidence, files = slices.Concat(came, waits.messages), 0, slices.Concat(docs, waits.files)
		}
		document := func(kind string) int {
			return count(files, func(d localdb.Document) bool {
				return d.RIS == x.r.settings.Name && d.ControlID == s.id && d.Kind == kind
			})
		}
		x.once(o, s, "among the messages", 1, count(messages, func(m localdb.HL7In) bool {
			return m.RIS == x.r.settings.Name && m.Key.ControlID == s.id && (m.Outcome == localdb.HL7Applied || m.Outcome == localdb.HL7Unmatched)
		}))
		if s.evidence {
			x.once(o, s, "in the ledger", evidence, count(ledger, func(e order.Evidence) bool {
				return e.Source == order.HL7 && e.Ref == s.id && e.Station == x.r.settings.Name
			}))
		}
		x.once(o, s, "among the texts", one(s.text), document(localdb.DocumentText))
		x.once(o, s, "among the files", one(s.pdf), document(localdb.DocumentPDF))
	}
	return nil
}

// unmatched is a message that a person has to give to an order: the RIS did not
// know yet that the order is for another animal.
type unmatched struct {
	messages []localdb.HL7In
	files    []localdb.Document
}

// unmatched finds what waits for a person, by control id.
func (x *risCheck) unmatched(ctx context.Context) error {
	x.waiting = map[string]unmatched{}
	list, err := x.s.ListHL7In(ctx, localdb.HL7Unmatched, 1<<20)
	if err != nil {
		return err
	}
	for _, m := range list {
		if m.RIS == x.r.settings.Name {
			u := x.waiting[m.Key.ControlID]
			u.messages = append(u.messages, m)
			x.waiting[m.Key.ControlID] = u
		}
	}
	arrivals, err := x.s.ListArrivals(ctx, false, 1<<20)
	if err != nil {
		return err
	}
	for _, a := range arrivals {
		held, err := x.s.HL7HeldOfArrival(ctx, a.ID)
		if err != nil {
			return err
		}
		for _, h := range held {
			files, err := x.s.DocumentsHeld(ctx, h.ID)
			if err != nil {
				return err
			}
			if u, ok := x.waiting[h.ControlID]; ok && h.RIS == x.r.settings.Name {
				u.files = append(u.files, files...)
				x.waiting[h.ControlID] = u
			}
		}
	}
	return nil
}

func (x *risCheck) once(o *order.Order, s saying, where string, want, got int) {
	switch {
	case got < want:
		x.violate("lost", "%s of order %s (%s) was accepted and is not %s", s.what, o.AccessionNumber, s.id, where)
	case got > want:
		x.violate("doubled", "%s of order %s (%s) is %d times %s", s.what, o.AccessionNumber, s.id, got, where)
	}
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}

func count[T any](list []T, is func(T) bool) (n int) {
	for _, v := range list {
		if is(v) {
			n++
		}
	}
	return n
}
