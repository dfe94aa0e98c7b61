package appliance

import (
	"context"
	"strings"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/localdb"
)

// resend is how a message to a RIS is repeated.
type resend int

const (
	resendSame  resend = iota // the last message once more: the same bytes with the same control id
	resendAsNew               // forget what the RIS was told, and tell it of the order as a new one
	resendTaken               // not at all: the RIS has it, and what waits behind it may go
)

// ResendTo repeats what a RIS was sent about an order. resendAsNew needs an order
// that is on the list.
func (c *core) ResendTo(ctx context.Context, a act, to string, how resend) (*order.Order, error) {
	p := c.routes.peer(strings.TrimPrefix(to, risPrefix))
	if p == nil {
		return nil, problem.New(problem.Usage, problem.Args{"reason": "There is no RIS " + printable(strings.TrimPrefix(to, risPrefix)) + " in the settings"}, nil)
	}
	return c.byPerson(ctx, a, "resend", func(b *batch, o *order.Order) error {
		again, done := b.sendAgain, "sent again to "
		switch how {
		case resendSame:
		case resendAsNew:
			again = b.sendAsNew
		case resendTaken:
			again, done = b.countAsTaken, "taken by "
		}
		if err := again(p, o); err != nil {
			return err
		}
		unnoticeOf(o, p.Name, problem.RISRefused, problem.RISUnsure, problem.RISNotTold, problem.RISAckOverdue)
		b.outbox = true
		return b.noted(o, done+p.Name+" "+personText(a))
	})
}

// sendAgain makes the last message about o due once more.
func (b *batch) sendAgain(p *risPeer, o *order.Order) error {
	all, err := b.tx.Outbox(b.ctx, localdb.OutboxFilter{
		Dest: p.dest(), OrderID: o.ID, States: []string{localdb.Ready, localdb.Leased, localdb.Parked, localdb.Done}, Limit: 5000,
	})
	if err != nil {
		return err
	}
	var last *localdb.OutboxEntry
	for i, e := range all { // what waits goes before what was sent
		if e.State != localdb.Done {
			last = &all[i]
			break
		}
		last = &all[i]
	}
	nothing := problem.New(problem.Usage, problem.Args{"reason": p.Name + " was sent nothing about the order that could be repeated; --as-new sends it as a new one"}, nil)
	if last == nil {
		return nothing
	}
	var ok bool
	switch last.State {
	case localdb.Leased:
		return nil // it is on its way just now
	case localdb.Done:
		ok, err = b.tx.SendAgain(b.ctx, last.ID, b.now, b.now.Add(giveUpAfter))
	default:
		ok, err = b.tx.RetryNow(b.ctx, last.ID, b.now, b.now.Add(giveUpAfter))
	}
	if err == nil && !ok {
		return nothing
	}
	return err
}

// sendAsNew forgets what a RIS was told about o; the end of the transaction tells
// it anew.
func (b *batch) sendAsNew(p *risPeer, o *order.Order) error {
	if o.State != order.Scheduled && o.State != order.InProgress {
		return problem.New(problem.OrderState, problem.Args{"accession": o.AccessionNumber, "state": string(o.State), "event": "sending it as a new order"}, nil)
	}
	if _, err := b.tx.DropUnsent(b.ctx, o.ID, p.dest(), "sent as a new order by a person", b.now); err != nil {
		return err
	}
	told, err := b.tx.ToldOf(b.ctx, o.ID)
	if err != nil {
		return err
	}
	for _, t := range told {
		if t.State = ""; t.RIS == p.Name {
			if err := b.tx.SetTold(b.ctx, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// countAsTaken ends the messages about o that the RIS may have taken: a person
// says that it has.
func (b *batch) countAsTaken(p *risPeer, o *order.Order) error {
	parked, err := b.tx.Outbox(b.ctx, localdb.OutboxFilter{Dest: p.dest(), OrderID: o.ID, States: []string{localdb.Parked}})
	if err != nil {
		return err
	}
	if len(parked) == 0 {
		return problem.New(problem.Usage, problem.Args{"reason": "No message about the order waits for a person"}, nil)
	}
	for _, e := range parked {
		if _, err := b.tx.CountAsTaken(b.ctx, e.ID, "a person says that it was taken", b.now); err != nil {
			return err
		}
	}
	return nil
}
