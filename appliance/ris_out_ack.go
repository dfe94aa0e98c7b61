package appliance

import (
	"context"
	"errors"
	"log/slog"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/hl7/orders"
	"github.com/rayhound/rayhound/localdb"
)

// applicationAck takes the result of a message that was only accepted before
// (CA). It reports false when none was awaited under that control id: it is late,
// foreign or said twice, and changes nothing.
func (b *batch) applicationAck(p *risPeer, controlID string, r orders.Result) (bool, error) {
	e, err := b.tx.EntryByKey(b.ctx, messageKey(p.Name, controlID)) // never the message of another RIS
	if err == nil {
		e, err = b.tx.AckArrived(b.ctx, controlID)
	}
	if errors.Is(err, localdb.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	o := b.touched[e.OrderID]
	if o == nil {
		if o, err = b.tx.OrderByID(b.ctx, e.OrderID); err != nil {
			return false, err
		}
	}
	if err := b.forget(o, p, problem.RISAckOverdue); err != nil {
		return true, err
	}
	if err := b.learnFiller(o, e.Unit, p.Name, r.FillerOrderNumber); err != nil {
		return true, err
	}
	if r.Class == orders.Delivered && !r.Refused {
		return true, b.say(o, "told", order.HL7, "", p.Name+" can use "+kindText(e.Kind))
	}
	return true, b.refusedBy(p, o, r)
}

// strayAck takes an application acknowledgement that came over the connection of
// another message.
func (c *core) strayAck(ctx context.Context, p *risPeer, controlID string, r orders.Result) {
	known := false
	err := c.commit(ctx, func(b *batch) (err error) {
		known, err = b.applicationAck(p, controlID, r)
		return err
	})
	switch {
	case err != nil:
		c.log.LogAttrs(ctx, levelOf(err), "storing an acknowledgement failed", errAttr(err), destAttr(p.dest()))
	case !known:
		c.log.LogAttrs(ctx, slog.LevelWarn, "an acknowledgement belongs to no message", destAttr(p.dest()), slog.String("control_id", printable(controlID)))
	}
}

// overdueAcks asks a person about results that did not come.
func (c *core) overdueAcks(ctx context.Context) error {
	var late []localdb.OutboxEntry
	err := c.db.Read(ctx, func(s *localdb.Snapshot) (err error) {
		late, err = s.OverdueAcks(ctx, c.now(), 100)
		return err
	})
	if err != nil || len(late) == 0 {
		return err
	}
	return c.commit(ctx, func(b *batch) error {
		for _, e := range late {
			o := b.touched[e.OrderID]
			if o == nil {
				if o, err = b.tx.OrderByID(b.ctx, e.OrderID); err != nil {
					return err
				}
			}
			name := e.Dest[len(risPrefix):]
			if noticedOf(o, name, problem.RISAckOverdue) {
				continue
			}
			b.notice(o, problem.RISAckOverdue, problem.Args{"ris": name, "accession": o.AccessionNumber})
			if err := b.keep(o); err != nil {
				return err
			}
			if err := b.say(o, "told", "", problem.RISAckOverdue, name+" has not said whether it can use "+kindText(e.Kind)); err != nil {
				return err
			}
		}
		return nil
	})
}

func destAttr(dest string) slog.Attr { return slog.String("destination", dest) }
