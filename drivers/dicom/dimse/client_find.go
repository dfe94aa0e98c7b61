package dimse

import (
	"context"
	"errors"
	"iter"

	"github.com/rayhound/rayhound/drivers/dicom/ul"
)

// FindAnswer is one match.
type FindAnswer struct {
	Data   []byte // identifier in TransferSyntax of the SOP class; the caller's to keep
	Status uint16 // Pending or PendingWarning
}

// afterCancel is how many answers are read after a C-CANCEL, for a peer that
// does not heed it; then the association is aborted.
const afterCancel = 100000

// Find sends C-FIND and yields the matches as they arrive. An error ends the
// loop: a Status when the peer says so, else *AbortedError or *StepError. A
// loop left early sends C-CANCEL and reads on to the final response, so that
// the association can be used again. No other method may be called within the
// loop, except Abort.
func (c *Client) Find(ctx context.Context, sopClassUID string, identifier []byte) iter.Seq2[FindAnswer, error] {
	return func(yield func(FindAnswer, error) bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		n, err := c.context(sopClassUID)
		if err == nil && c.over {
			err = ul.ErrEnded
		}
		if err != nil {
			yield(FindAnswer{}, &StepError{StepFind, err})
			return
		}
		stop := watch(ctx, c.assoc)
		defer stop()
		rq := CFindRQ{MessageID: c.next(), AffectedSOPClassUID: sopClassUID}.Command()
		if err := c.send(n.ID, &rq, identifier); err != nil {
			yield(FindAnswer{}, c.failed(StepFind, err))
			return
		}
		for {
			rsp, data, err := c.receive(ctx, n.ID, rq.MessageID)
			switch {
			case err != nil:
				yield(FindAnswer{}, c.failed(StepFind, err))
				return
			case IsPending(rsp.Status):
				if !yield(FindAnswer{Data: data, Status: rsp.Status}, nil) {
					c.cancel(ctx, n.ID, rq.MessageID)
					return
				}
			case rsp.Status == Success || isWarning(rsp.Status):
				return
			default:
				yield(FindAnswer{}, rsp.status())
				return
			}
		}
	}
}

// cancel sends C-CANCEL and reads what is still on its way, within
// Timeouts.Response in total.
func (c *Client) cancel(ctx context.Context, contextID byte, id uint16) {
	ctx, stop := context.WithTimeout(ctx, c.cfg.Timeouts.Response)
	defer stop()
	rq := CCancelRQ{RespondedTo: id}.Command()
	err := c.send(contextID, &rq, nil)
	for n := 0; err == nil; n++ {
		var rsp *Command
		if rsp, _, err = c.receive(ctx, contextID, id); err == nil && !IsPending(rsp.Status) {
			return
		}
		if n > afterCancel {
			err = c.assoc.Abort(0, 0, errDeaf)
		}
	}
	_ = c.failed(StepFind, err)
}

var errDeaf = errors.New("dimse: the peer does not heed C-CANCEL")
