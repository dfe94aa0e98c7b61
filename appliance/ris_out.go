package appliance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/hl7/orders"
	"github.com/rayhound/rayhound/localdb"
)

// What a RIS must hear is not decided where an order changes. At the end of every
// commit each order that was stored is compared with what each RIS was told of
// it, and the difference goes into the outbox in the same transaction. An entry
// keeps what was told before it: as long as it cannot have left, a later change
// takes it back and compares anew, so that the RIS hears one message, or none.

// wish is what a RIS should know of a unit.
type wish int

const (
	wishKeep wish = iota // leave it as it is
	wishHave             // the RIS has it, as the order is now
	wishGone             // the RIS has it no more
)

// unit is what one message is about: a step, or all steps of an order.
type unit struct {
	stepID string       // of told; "" for the whole order
	order  *order.Order // with the steps to write
	step   *order.Step  // nil: all steps
	want   wish
}

// tellPeers brings what the RIS know up to date with every order that was
// stored in this transaction.
func (b *batch) tellPeers() error {
	if len(b.c.routes.ris) == 0 {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(b.touched)) {
		if err := b.tellAbout(b.touched[id]); err != nil {
			return err
		}
	}
	return nil
}

// telling is what became of comparing one order with what one RIS was told.
type telling struct {
	made, changed, missed bool // a new or changed order was owed; a changed one; something could not be told
}

// upToDate reports whether the RIS was told all of an order. A change is of the
// whole order; a new step alone leaves open what was not told of one that has begun.
func (t telling) upToDate(o *order.Order) bool {
	begun := slices.ContainsFunc(o.Steps, func(s order.Step) bool { return s.State == order.InProgress })
	return t.made && !t.missed && (t.changed || !begun)
}

// tellAbout compares one order with what every RIS was told.
func (b *batch) tellAbout(o *order.Order) error {
	told, err := b.tx.ToldOf(b.ctx, o.ID)
	if err != nil {
		return err
	}
	for _, p := range b.c.routes.ris {
		known := map[string]localdb.Told{}
		for _, t := range told {
			if t.RIS == p.Name {
				known[t.StepID] = t
			}
		}
		if err := b.tellPatient(p, o, known); err != nil {
			return err
		}
		b.telling = telling{}
		for _, u := range p.units(o, known) {
			if err := b.tell(p, o, u, known[u.stepID]); err != nil {
				return err
			}
		}
		if b.telling.upToDate(o) {
			if err := b.forget(o, p, problem.RISNotTold); err != nil {
				return err
			}
		}
	}
	return nil
}

// wishOf says what a RIS should know of a step that it serves.
func wishOf(o *order.Order, s *order.Step) wish {
	switch o.State {
	case order.Received, order.Held:
		return wishKeep
	case order.Scheduled, order.InProgress, order.Completed, order.Discontinued, order.Cancelled:
	}
	switch s.State {
	case order.Scheduled, order.InProgress:
		if o.State.Open() {
			return wishHave
		}
	case order.Discontinued, order.Cancelled:
		return wishGone
	case order.Completed, order.Received, order.Held: // what was performed is not told: the RIS hears it from the archive
	}
	return wishKeep
}

// units splits an order into what messages to a RIS are about; what is to go
// comes first.
func (p *risPeer) units(o *order.Order, known map[string]localdb.Told) []unit {
	if p.wholeOrder() {
		return p.wholeUnit(o, known)
	}
	var gone, have []unit
	seen := map[string]bool{}
	for i := range o.Steps {
		s := o.Steps[i]
		u := unit{stepID: s.ScheduledProcedureStepID, order: o, step: &s, want: wishOf(o, &s)}
		seen[u.stepID] = true
		if !p.serves(s.Modality) {
			if u.want = wishGone; o.State == order.Held || o.State == order.Received {
				u.want = wishKeep
			}
		}
		if t := known[u.stepID]; u.want == wishGone {
			if t.Modality != (order.Ref{}) {
				s.Modality = t.Modality // as the RIS knows it
			}
			s.State = beforeEnd(s)
			gone = append(gone, u)
		} else {
			have = append(have, u)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(known)) {
		if seen[id] || o.State == order.Held || o.State == order.Received {
			continue
		}
		s := order.Step{ScheduledProcedureStepID: id, Modality: known[id].Modality, State: order.Scheduled}
		gone = append(gone, unit{stepID: id, order: o, step: &s, want: wishGone})
	}
	return append(gone, have...)
}

// wholeUnit is the one unit of a RIS that gets all steps in one message: an image
// manager deletes the steps that a message of a known study leaves out.
func (p *risPeer) wholeUnit(o *order.Order, known map[string]localdb.Told) []unit {
	u := unit{order: o.Clone(), want: wishGone}
	var live, ended []order.Step
	keep := o.State == order.Received || o.State == order.Held
	for _, s := range u.order.Steps {
		if !p.serves(s.Modality) {
			continue
		}
		switch wishOf(o, &s) {
		case wishHave:
			u.want = wishHave
			live = append(live, s)
		case wishKeep:
			keep = true
			live = append(live, s)
		case wishGone:
			s.State = beforeEnd(s)
			ended = append(ended, s)
		}
	}
	if u.order.Steps = live; u.want != wishHave {
		u.order.Steps = ended
		if keep {
			u.want = wishKeep
		}
	}
	if len(u.order.Steps) == 0 { // none is left: the message needs one all the same
		t := known[""]
		u.order.Steps = []order.Step{{ScheduledProcedureStepID: o.AccessionNumber, Modality: t.Modality, State: order.Scheduled}}
	}
	return []unit{u}
}

// beforeEnd is the state of a step before it was given up: it decides whether
// the RIS hears of a cancel or of a discontinuation.
func beforeEnd(s order.Step) order.State {
	if s.StartedAt.IsZero() {
		return order.Scheduled
	}
	return order.InProgress
}

// content identifies what of an order a message is made of. As long as it is the
// same nothing is built, and a change of the settings alone tells nobody anything.
func (p *risPeer) content(u unit) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n", u.order.ContentHash, u.order.AccessionNumber)
	steps := u.order.Steps
	if u.step != nil {
		steps = []order.Step{*u.step}
	}
	for _, s := range steps {
		fmt.Fprintf(h, "%s\n%q\n", s.ScheduledProcedureStepID, s.Modality)
		if p.profile.StationInOrder {
			fmt.Fprintf(h, "%q\n", s.Stations)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// image identifies what the RIS can see of a unit: the message of a new order
// without what differs from message to message.
func (p *risPeer) image(u unit) (string, error) {
	prof := p.profileFor(u.order.Steps)
	prof.RegisterFirst = false
	out, err := orders.Build(&prof, orders.New, u.order, u.step, orders.Meta{ControlID: "0", Clinic: p.clinic})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(out[0].Bytes)
	return hex.EncodeToString(sum[:]), nil
}

// tell brings what a RIS knows of a unit up to date.
func (b *batch) tell(p *risPeer, o *order.Order, u unit, t localdb.Told) error {
	open := t.State == localdb.ToldOpen
	content := ""
	switch {
	case u.want == wishKeep, u.want == wishGone && !open:
		return nil
	case u.want == wishHave:
		if content = p.content(u); open && t.Content == content {
			return nil
		}
	case b.heardFrom == p.Name: // it said so itself
		t.State = localdb.ToldClosed
		return b.tx.SetTold(b.ctx, t)
	}
	seen, err := t.Seen, error(nil)
	if u.want == wishHave {
		if seen, err = p.image(u); err != nil {
			return b.notTold(p, o, err)
		}
		if open && seen == t.Seen { // the RIS does not see what changed
			t.Content = content
			return b.tx.SetTold(b.ctx, t)
		}
	}
	t.OrderID, t.RIS, t.StepID = o.ID, p.Name, u.stepID
	taken, err := b.takeBack(p, o, &t)
	if err != nil {
		return err
	}
	open = t.State == localdb.ToldOpen
	next := t
	switch {
	case u.want == wishGone:
		next.State = localdb.ToldClosed
		if open {
			err = b.enqueueFor(p, o, u, orders.Cancel, t, &next)
		} else {
			next = t
		}
	case open && seen == t.Seen:
		next.Content = content
	default:
		next.State, next.Seen, next.Content, next.PatientID = localdb.ToldOpen, seen, content, o.Content.Patient.ID
		next.Modality = u.order.Steps[0].Modality
		if u.step != nil {
			next.Modality = u.step.Modality
		}
		trigger := orders.New
		if open {
			trigger = orders.Change
		}
		err = b.enqueueFor(p, o, u, trigger, t, &next)
	}
	if err != nil {
		return err
	}
	if taken > 0 {
		if err := b.say(o, "told", "", "", fmt.Sprintf("%s for %s was taken back before it left", count(taken, "message", "messages"), p.Name)); err != nil {
			return err
		}
	}
	return b.tx.SetTold(b.ctx, next)
}

// takeBack drops the newest messages about a unit that cannot have left, and
// makes t what was told before them.
func (b *batch) takeBack(p *risPeer, o *order.Order, t *localdb.Told) (n int, err error) {
	unsent, err := b.tx.Outbox(b.ctx, localdb.OutboxFilter{Dest: p.dest(), OrderID: o.ID})
	if err != nil {
		return 0, err
	}
	parked := false
	for _, e := range slices.Backward(unsent) {
		if e.Unit != t.StepID || isADT(e.Kind) {
			continue
		}
		if e.State == localdb.Leased || e.Unsure {
			break
		}
		if _, err := b.tx.Drop(b.ctx, e.ID, "overtaken by a later change", b.now); err != nil {
			return n, err
		}
		parked = parked || e.State == localdb.Parked
		before := localdb.Told{}
		if e.Before != "" {
			if err := json.Unmarshal([]byte(e.Before), &before); err != nil {
				return n, fmt.Errorf("appliance: what was told before entry %d: %w", e.ID, err)
			}
		}
		before.OrderID, before.RIS, before.StepID = t.OrderID, t.RIS, t.StepID
		*t = before
		n++
	}
	if parked {
		return n, b.forget(o, p, problem.RISRefused)
	}
	return n, nil
}

// unitPatient is the unit of messages about the animal.
const unitPatient = "patient"

// isADT reports whether a kind of message speaks of the animal only and belongs
// to no unit.
func isADT(kind string) bool { return kind == string(orders.A08) || kind == string(orders.A40) }

// tellOpenOrders tells the RIS of orders that are open at the start and that they
// were not told of: a RIS that is new in the settings, or serves more than before.
func (c *core) tellOpenOrders(ctx context.Context, open []*order.Order) error {
	if len(c.routes.ris) == 0 {
		return nil
	}
	for part := range slices.Chunk(open, hintsPerCommit) {
		err := c.commit(ctx, func(b *batch) error {
			for _, o := range part {
				o, err := b.tx.OrderByID(b.ctx, o.ID)
				if err != nil {
					return err
				}
				if err := b.tellAbout(o); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// keep stores o without a new time of change: nothing happened to the order
// itself.
func (b *batch) keep(o *order.Order) error {
	if err := b.tx.UpdateOrder(b.ctx, o); err != nil {
		return err
	}
	b.touched[o.ID] = o
	return nil
}

// forget takes what a RIS is no longer in trouble with off an order. What another
// RIS is in trouble with stays.
func (b *batch) forget(o *order.Order, p *risPeer, codes ...problem.Code) error {
	n := len(o.Notices)
	if unnoticeOf(o, p.Name, codes...); len(o.Notices) == n {
		return nil
	}
	return b.keep(o)
}

// unnoticeOf forgets notices about a RIS.
func unnoticeOf(o *order.Order, ris string, codes ...problem.Code) {
	o.Notices = slices.DeleteFunc(slices.Clone(o.Notices), func(n order.Notice) bool {
		return n.Args["ris"] == ris && slices.Contains(codes, problem.Code(n.Code))
	})
}

// noticedOf reports whether o carries a notice about a RIS.
func noticedOf(o *order.Order, ris string, code problem.Code) bool {
	return slices.ContainsFunc(o.Notices, func(n order.Notice) bool { return n.Code == string(code) && n.Args["ris"] == ris })
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
