package appliance

import (
	"slices"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/localdb"
)

// followStatus does what Provet's status asks for; an empty outcome means
// nothing. before is the order as it was stored.
func (b *batch) followStatus(before, o *order.Order, up provet.Upstream) (outcome string, err error) {
	open := up.InScope && !up.Withdrawn && !up.Finished
	why := ""
	switch {
	case up.Withdrawn:
		why = "withdrawn in Provet Cloud"
	case !up.InScope && o.State.Open():
		why = "moved to a department that is not ours"
	case open && o.State == order.Cancelled && o.ClosedBy == order.Upstream:
		return outcomeRestored, b.again(o, order.Restored, order.Upstream, "it is there again in Provet Cloud")
	case open && o.State == order.Completed && o.ClosedBy == order.Upstream && up.Status != before.UpstreamStatus:
		return outcomeRestored, b.again(o, order.ReopenedByPerson, order.Upstream, "it is open again in Provet Cloud")
	case up.Finished && o.State.Open() && b.c.statuses[order.Completed] == up.Status:
		return outcomeClosed, b.move(o, order.ClosedByPerson, order.Upstream, "closed in Provet Cloud")
	case up.Finished && o.State.Open():
		why = "closed without imaging in Provet Cloud"
	}
	if why == "" {
		return "", nil
	}
	if outcome, err = b.withdraw(o, why); outcome == outcomeSame {
		outcome = "" // there may be other changes to store
	}
	return outcome, err
}

// again puts a closed order back on the list, or holds it when something is
// missing by now.
func (b *batch) again(o *order.Order, ev order.Event, source order.Source, text string) error {
	b.c.routes.plan(o)
	if err := b.move(o, ev, source, text); err != nil {
		return err
	}
	_, err := b.schedule(o.Clone(), o, false)
	return err
}

// touched reports whether o differs from before in what is no content.
func touched(before, o *order.Order) bool {
	return before == nil || o.UpstreamStatus != before.UpstreamStatus || len(o.Notices) != len(before.Notices) ||
		!slices.Equal(before.Content.Missing, o.Content.Missing)
}

// statusCounts reports whether the status that Provet shows tells us anything.
// It does not while a report is on its way: then it is older than what we know,
// unless somebody changed it before imaging began. A report that is parked waits
// for a person and hides nothing. And it does not when it is the status that we
// wrote or saw before, and things have gone on here since. A report that went
// out while Provet was read makes the reading old, and the order is read again.
func (b *batch) statusCounts(o *order.Order, up provet.Upstream) (bool, error) {
	if b.c.readings.isOld(o.ProvetID) {
		return false, b.hint(o.ProvetID, "report")
	}
	owed, err := b.tx.Outbox(b.ctx, localdb.OutboxFilter{
		Dest: destProvet, OrderID: o.ID, States: []string{localdb.Ready, localdb.Leased},
	})
	if err != nil {
		return false, err
	}
	news := up.Status != o.UpstreamStatus
	begun := o.State != order.Received && o.State != order.Held && o.State != order.Scheduled
	if len(owed) > 0 {
		flying := slices.ContainsFunc(owed, func(e localdb.OutboxEntry) bool { return e.State == localdb.Leased })
		return news && !begun && !flying, nil
	}
	if news || !up.InScope || !up.Withdrawn && !up.Finished || !o.State.Open() {
		return true, nil
	}
	if begun {
		return false, nil
	}
	reopened, err := b.reopened(o)
	return !reopened, err
}

// reopened reports whether a person put o back on the list.
func (b *batch) reopened(o *order.Order) (bool, error) {
	ledger, err := b.tx.EvidenceOf(b.ctx, o.ID)
	return slices.ContainsFunc(ledger, func(e order.Evidence) bool { return e.Event == order.ReopenedByPerson }), err
}
