package appliance

import (
	"context"
	"sync"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/mwl"
	"github.com/rayhound/rayhound/localdb"
)

// replacedLetters remembers which orders have letters that a machine could not
// show (RH-305), so that the board forgets them with the order or the revision.
type replacedLetters struct {
	mu     sync.Mutex
	orders map[int64]replaced
}

type replaced struct {
	revision int
	subjects []string
}

// raise puts a note on the board.
func (r *replacedLetters) raise(c *core, n mwl.Note) {
	subject := n.Accession + "@" + n.Machine
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.orders == nil {
		r.orders = map[int64]replaced{}
	}
	was := r.orders[n.OrderID]
	was.revision = n.Revision
	was.subjects = append(was.subjects, subject)
	r.orders[n.OrderID] = was
	c.board.Raise(n.Code, subject, n.Args)
}

// published takes the notes down when their order has left the list or changed.
func (r *replacedLetters) published(c *core, o *order.Order) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was, ok := r.orders[o.ID]
	offered := o.State == order.Scheduled || o.State == order.InProgress
	if !ok || offered && was.revision == o.Revision {
		return
	}
	delete(r.orders, o.ID)
	for _, subject := range was.subjects {
		c.board.Clear(problem.MachineCharset, subject)
	}
}

// note takes what the worklist had to change or cut for a machine; it is mwl's
// Note callback and does not block. The order's timeline is written aside.
func (q *queryLog) note(n mwl.Note) {
	if n.OrderID == 0 {
		q.c.board.Raise(n.Code, n.Machine, n.Args)
		return
	}
	q.c.replaced.raise(q.c, n)
	select {
	case q.notes <- n:
	default:
	}
}

// writeNotes writes what note took.
func (q *queryLog) writeNotes(ctx context.Context) {
	var notes []mwl.Note
	for len(notes) < noteBuffer {
		select {
		case n := <-q.notes:
			notes = append(notes, n)
			continue
		default:
		}
		break
	}
	if len(notes) == 0 {
		return
	}
	err := q.c.db.Write(ctx, func(tx *localdb.Tx) error {
		for _, n := range notes {
			if _, err := tx.OrderByID(ctx, n.OrderID); err != nil {
				if ignoreNotFound(err) == nil {
					continue
				}
				return err
			}
			err := tx.AddEntry(ctx, order.Entry{
				OrderID: n.OrderID, At: q.c.now(), Kind: "charset", Source: n.Machine, Code: string(n.Code),
				Text: "Letters that " + n.Machine + " cannot show were replaced",
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		q.c.log.LogAttrs(ctx, levelOf(err), "noting replaced letters failed", errAttr(err))
	}
}
