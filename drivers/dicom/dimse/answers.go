package dimse

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/rayhound/rayhound/drivers/dicom/ul/pdu"
)

// flushAt is how many bytes of responses are collected before they are written.
const flushAt = 60000

// buffers are the writers' buffers.
var buffers = sync.Pool{New: func() any {
	b := make([]byte, 0, 4096)
	return &b
}}

func putBuffer(b *[]byte) {
	if cap(*b) <= 2*flushAt {
		buffers.Put(b)
	}
}

// Answers takes the matches of one C-FIND. It belongs to the goroutine that
// runs the handler.
type Answers struct {
	op     *operation
	buf    *[]byte
	tmpl   []byte // the pending response as P-DATA-TF PDUs; its last two bytes are the status
	body   int    // longest P-DATA-TF body
	sent   int    // answers
	bytes  int    // of identifiers
	failed error
	space  [256]byte // of tmpl, usually
}

// ErrOddLength is returned by Send for an identifier of odd length, which no
// encoder of data sets makes (PS3.5 7.1).
var ErrOddLength = errors.New("dimse: identifier of odd length")

// errFinished is what Send returns after the handler has returned.
var errFinished = errors.New("dimse: the find is over")

// Count is the number of matches sent so far.
func (a *Answers) Count() int { return a.sent }

// Bytes is the length of all identifiers sent so far.
func (a *Answers) Bytes() int { return a.bytes }

// Send adds a match. pending is Pending or PendingWarning. identifier is
// encoded in the transfer syntax of the request and copied. Responses are
// collected and written when 60,000 bytes are together or the find ends. The
// error is the cause of the context's end, a Status when there are too many
// answers, or that of the connection; the handler returns it.
func (a *Answers) Send(identifier []byte, pending uint16) error {
	switch {
	case a.failed != nil:
		return a.failed
	case a.op.ctx.Err() != nil:
		return context.Cause(a.op.ctx)
	case !IsPending(pending):
		return fmt.Errorf("dimse: %04X is not a pending status", pending)
	case len(identifier)&1 == 1:
		return ErrOddLength
	case a.sent >= a.op.s.lim.Answers:
		return Status{Code: OutOfResources, Comment: commentAnswers}
	}
	room := (a.body - pdu.PDVHeaderSize) &^ 1
	parts := max((len(identifier)+room-1)/room, 1)
	need := len(a.tmpl) + len(identifier) + parts*(pdu.HeaderSize+pdu.PDVHeaderSize)
	if len(*a.buf) > 0 && len(*a.buf)+need > flushAt {
		if err := a.flush(); err != nil {
			return err
		}
	}
	b := append(*a.buf, a.tmpl...)
	binary.LittleEndian.PutUint16(b[len(b)-2:], pending)
	*a.buf = pdu.AppendFragments(b, a.op.request.ContextID, false, identifier, a.body)
	a.sent++
	a.bytes += len(identifier)
	if len(*a.buf) >= flushAt {
		return a.flush()
	}
	return nil
}

// Flush writes what is collected. Only a handler that is about to wait needs it.
func (a *Answers) Flush() error {
	if a.failed != nil || len(*a.buf) == 0 {
		return a.failed
	}
	return a.flush()
}

func (a *Answers) flush() error {
	err := a.op.s.assoc.Write(*a.buf)
	*a.buf = (*a.buf)[:0]
	if err != nil {
		a.failed = err
		a.op.cancel(err)
	}
	return err
}

// find runs a C-FIND.
func (op *operation) find() {
	s := op.s
	a := &Answers{op: op, body: s.assoc.MaxBody()}
	a.buf = buffers.Get().(*[]byte) // the pool holds nothing else
	*a.buf = (*a.buf)[:0]
	defer putBuffer(a.buf)
	pending := op.command.response(Pending)
	pending.DataSetType = dataSetFollows
	var set [256]byte
	a.tmpl = s.assoc.AppendFragments(a.space[:0], op.request.ContextID, true, pending.AppendTo(set[:0]))

	h := op.service.Handler.(Finder) // supported has checked it
	err := h.Find(op.ctx, &op.request, a)

	cause, failed := op.finish(), a.failed
	a.failed = errFinished
	if silent(cause) || failed != nil {
		return
	}
	final := op.command.response(Success).withStatus(finalStatus(err, cause))
	if final.Status == Cancel {
		*a.buf = (*a.buf)[:0] // nobody wants them any more
	}
	*a.buf = s.assoc.AppendFragments(*a.buf, op.request.ContextID, true, final.AppendTo(set[:0]))
	_ = s.assoc.Write(*a.buf)
}

// finalStatus says how a find ended: err is what the handler returned, cause
// why its context ended, if it did.
func finalStatus(err, cause error) Status {
	if errors.Is(cause, ErrCancelled) || errors.Is(err, ErrCancelled) {
		return Status{Code: Cancel}
	}
	if err == nil {
		return Status{}
	}
	if status, ok := StatusOf(err); ok && !IsPending(status.Code) {
		return status
	}
	if errors.Is(cause, ErrDeadline) {
		return Status{Code: Deadline, Comment: commentDeadline}
	}
	return Status{Code: UnableToProcess, Comment: commentInternal}
}
