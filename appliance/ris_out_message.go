package appliance

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/orders"
	"github.com/rayhound/rayhound/localdb"
)

// enqueueFor builds the messages of a trigger and owes them to the RIS. before is
// what was told until now; next what is told with them.
func (b *batch) enqueueFor(p *risPeer, o *order.Order, u unit, trigger orders.Trigger, before localdb.Told, next *localdb.Told) error {
	if next.StudyUID == "" {
		next.StudyUID = o.StudyInstanceUID
	}
	meta := orders.Meta{At: b.now, Clinic: p.clinic, StudyInstanceUID: next.StudyUID}
	if p.profile.NewUIDOnReplace && trigger == orders.Change {
		meta.NewStudyInstanceUID = newStudyUID()
	}
	var err error
	if meta.FillerOrderNumber, err = b.fillerOf(p, o, u); err != nil {
		return err
	}
	out, err := b.build(p, u.order, u.step, trigger, meta)
	if err != nil {
		*next = before
		if errors.Is(err, orders.ErrStarted) || errors.Is(err, orders.ErrPerformed) {
			next.Content = p.content(u) // said once
		}
		return b.notTold(p, o, err)
	}
	if meta.NewStudyInstanceUID != "" && len(out) > 0 && out[0].Kind != orders.XO {
		next.StudyUID = meta.NewStudyInstanceUID
	}
	for _, m := range out {
		if err := b.enqueueMessage(p, o, u.stepID, m, before); err != nil {
			return err
		}
		if m.Kind == orders.CA { // the next one finds it cancelled
			before.State = localdb.ToldClosed
		}
	}
	b.telling.made = b.telling.made || trigger != orders.Cancel
	b.telling.changed = b.telling.changed || trigger == orders.Change
	return nil
}

// fillerOf returns the number that a RIS has for a unit. For a whole order that is
// the number of the order, else the first that it has for one of the steps.
func (b *batch) fillerOf(p *risPeer, o *order.Order, u unit) (string, error) {
	n, err := b.tx.FillerOf(b.ctx, o.ID, u.stepID, p.Name)
	for i := 0; err == nil && n == "" && u.step == nil && i < len(u.order.Steps); i++ {
		n, err = b.tx.FillerOf(b.ctx, o.ID, u.order.Steps[i].ScheduledProcedureStepID, p.Name)
	}
	return n, err
}

// build makes messages with control ids of their own.
func (b *batch) build(p *risPeer, o *order.Order, step *order.Step, trigger orders.Trigger, meta orders.Meta) ([]orders.Outgoing, error) {
	prof := p.profileFor(o.Steps)
	if step != nil {
		prof = p.profileFor([]order.Step{*step})
	}
	kinds, err := orders.Plan(&prof, trigger, o, step)
	if err != nil {
		return nil, err
	}
	for i := range kinds {
		id, err := b.controlID()
		if err != nil {
			return nil, err
		}
		if i == 0 {
			meta.ControlID = id
		} else {
			meta.More = append(meta.More, id)
		}
	}
	return orders.Build(&prof, trigger, o, step, meta)
}

// enqueueMessage puts one message into the outbox, with a line about letters
// that the RIS cannot read.
func (b *batch) enqueueMessage(p *risPeer, o *order.Order, unit string, m orders.Outgoing, before localdb.Told) error {
	was := ""
	if before.State != "" {
		text, err := json.Marshal(before)
		if err != nil {
			return err
		}
		was = string(text)
	}
	_, err := b.tx.Enqueue(b.ctx, localdb.OutboxEntry{
		OrderID: o.ID, Dest: p.dest(), Kind: string(m.Kind), Payload: m.Bytes, IdemKey: messageKey(p.Name, m.ControlID),
		NextAt: b.now, GiveUpAt: b.now.Add(giveUpAfter), CreatedAt: b.now, Unit: unit, Before: was,
	})
	if err != nil {
		return err
	}
	b.outbox = true
	if len(m.Notes) == 0 {
		return nil
	}
	return b.say(o, "told", "", "", "For "+p.Name+" "+lettersLine(m.Notes))
}

// messageKey is the key of an outbox entry: control ids are unique.
func messageKey(ris, controlID string) string { return risPrefix + ris + "/" + controlID }

// lettersLine says which letters were written otherwise: "ß is written as ss
// (PID-5.1)".
func lettersLine(notes []hl7.Note) string {
	var parts []string
	for _, n := range notes {
		part := fmt.Sprintf("%c is written as %s (%s)", n.Lost, n.With, n.Where)
		if !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	if len(parts) > 5 {
		parts = append(parts[:5], fmt.Sprintf("and %d more", len(parts)-5))
	}
	return strings.Join(parts, ", ")
}

// controlID returns the next MSH-10: an R, six letters of chance that belong to
// this database, and a number that is never handed out twice.
func (b *batch) controlID() (string, error) {
	head, ok, err := b.tx.State(b.ctx, localdb.NumbersState)
	if err != nil {
		return "", err
	}
	if !ok {
		var r [5]byte
		rand.Read(r[:]) // never fails (crypto/rand)
		head = base32.StdEncoding.EncodeToString(r[:])[:6]
		if err := b.tx.SetState(b.ctx, localdb.NumbersState, head); err != nil {
			return "", err
		}
	}
	n, err := b.tx.NextNumber(b.ctx, "hl7")
	return fmt.Sprintf("R%s%010d", head, n), err
}

// notTold asks a person to tell the RIS, once for the same reason.
func (b *batch) notTold(p *risPeer, o *order.Order, err error) error {
	b.telling.missed = true
	reason := "the message cannot be made"
	switch {
	case errors.Is(err, orders.ErrStarted):
		reason = "imaging has begun, and it takes no change of an order"
	case errors.Is(err, orders.ErrPerformed):
		reason = "imaging is done"
	case errors.Is(err, orders.ErrNoPatient):
		reason = "the order names no patient"
	}
	args := problem.Args{"ris": p.Name, "accession": o.AccessionNumber, "reason": reason}
	if slices.ContainsFunc(o.Notices, func(n order.Notice) bool {
		return n.Code == string(problem.RISNotTold) && maps.Equal(n.Args, args) && !errors.Is(err, orders.ErrStarted)
	}) {
		return nil
	}
	b.notice(o, problem.RISNotTold, args)
	if err := b.keep(o); err != nil {
		return err
	}
	return b.say(o, "told", "", problem.RISNotTold, p.Name+" was not told of it: "+reason)
}

// learnFiller remembers the number that a RIS has for an order.
func (b *batch) learnFiller(o *order.Order, stepID, ris, number string) error {
	if number == "" {
		return nil
	}
	changed, err := b.tx.LearnFiller(b.ctx, localdb.Filler{OrderID: o.ID, SPSID: stepID, RIS: ris, FillerOrderNumber: number, At: b.now})
	if err != nil || !changed {
		return err
	}
	return b.say(o, "told", order.HL7, "", ris+" has it as number "+printable(number))
}
