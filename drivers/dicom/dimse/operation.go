package dimse

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/ul/pdu"
)

// operation is a request that a handler works on.
type operation struct {
	s       *session
	request Request
	command Command
	service Service
	ctx     context.Context
	cancel  context.CancelCauseFunc
	begun   time.Time
}

// operation checks a request and finds who answers it.
func (s *session) operation(m *message) (*operation, Status) {
	c := &m.command
	context_, _ := s.assoc.Context(m.contextID)
	class := c.SOPClassUID()
	op := &operation{s: s, command: *c, request: Request{
		Peer: &s.peer, MessageID: c.MessageID, SOPClassUID: class, ContextID: m.contextID,
		TransferSyntaxUID: context_.TransferSyntax, Data: m.data,
	}}
	valid := false
	switch c.Field {
	case cFindRQ:
		var rq CFindRQ
		valid = rq.From(c)
	case nCreateRQ:
		var rq NCreateRQ
		valid = rq.From(c)
		op.request.SOPInstanceUID = rq.AffectedSOPInstanceUID
	case nSetRQ:
		var rq NSetRQ
		valid = rq.From(c)
		op.request.SOPInstanceUID = rq.RequestedSOPInstanceUID
	default:
		return nil, Status{Code: UnrecognizedOperation}
	}
	if !valid {
		return nil, Status{Code: MistypedArgument, Comment: commentMissingArgument}
	}
	service, known := s.mux[class]
	if class != context_.AbstractSyntax {
		if !known && c.Field != cFindRQ {
			return nil, Status{Code: NoSuchSOPClass}
		}
		return nil, Status{Code: SOPClassNotSupported, Comment: commentNotOnContext}
	}
	op.service = service
	if !op.supported() {
		return nil, Status{Code: UnrecognizedOperation}
	}
	return op, Status{}
}

func (op *operation) supported() (ok bool) {
	switch op.command.Field {
	case cFindRQ:
		_, ok = op.service.Handler.(Finder)
	case nCreateRQ:
		_, ok = op.service.Handler.(Creator)
	case nSetRQ:
		_, ok = op.service.Handler.(Setter)
	}
	return ok
}

// start lets op run on a goroutine of its own.
func (s *session) start(op *operation) {
	op.ctx, op.cancel = context.WithCancelCause(s.handlers)
	op.begun = time.Now()
	done := make(chan struct{})
	s.working = done
	s.assoc.SetBusy(true)
	s.mu.Lock()
	s.op = op
	s.mu.Unlock()
	go func() {
		defer close(done)
		deadline := time.AfterFunc(s.lim.Operation, func() { op.cancel(ErrDeadline) })
		op.run()
		deadline.Stop()
		op.cancel(nil)
		s.budget.give(s.charged)
		s.charged = 0
		s.count++
		s.assoc.SetBusy(false)
	}()
}

// finish takes op off the session: from here on its message id is free and a
// C-CANCEL is stray. It returns why the operation was cancelled, if it was.
func (op *operation) finish() error {
	op.s.mu.Lock()
	defer op.s.mu.Unlock()
	op.s.op = nil
	if op.ctx.Err() != nil {
		return context.Cause(op.ctx)
	}
	return nil
}

// run calls the handler and sends the final response.
func (op *operation) run() {
	defer func() {
		if p := recover(); p != nil {
			_ = op.finish() // aborted below, whatever it was doing
			op.s.panics.Add(1)
			_ = op.s.assoc.Abort(pdu.AbortByUser, pdu.AbortNotSpecified, errPanic)
			if op.s.cfg.OnPanic != nil {
				op.s.cfg.OnPanic(op.s.peer, p, debug.Stack())
			}
		}
	}()
	switch op.command.Field {
	case cFindRQ:
		op.find()
	case nCreateRQ:
		h := op.service.Handler.(Creator) // supported has checked it
		response, err := h.Create(op.ctx, &op.request)
		op.respond(response, err)
	case nSetRQ:
		h := op.service.Handler.(Setter) // supported has checked it
		response, err := h.Set(op.ctx, &op.request)
		op.respond(response, err)
	}
}

var errPanic = errors.New("dimse: a handler panicked")

// silent reports whether nobody is left to answer.
func silent(cause error) bool {
	return cause != nil && !errors.Is(cause, ErrCancelled) && !errors.Is(cause, ErrDeadline)
}

// respond sends the response of an N-service.
func (op *operation) respond(response Response, err error) {
	s := op.s
	cause := op.finish()
	if silent(cause) {
		return
	}
	c := op.command.response(Success)
	c.AffectedSOPInstanceUID = op.request.SOPInstanceUID
	if response.SOPInstanceUID != "" {
		c.AffectedSOPInstanceUID = response.SOPInstanceUID
	}
	if err != nil {
		status, ok := StatusOf(err)
		if !ok {
			status = Status{Code: ProcessingFailure, Comment: commentInternal}
			if cause != nil {
				status.Comment = commentDeadline
			}
		}
		c = c.withStatus(status)
	}
	if len(response.Data) > 0 && (err == nil || isWarning(c.Status)) {
		c.DataSetType = dataSetFollows
	}
	buf := buffers.Get().(*[]byte) // the pool holds nothing else
	defer putBuffer(buf)
	var set [512]byte
	*buf = s.assoc.AppendFragments((*buf)[:0], op.request.ContextID, true, c.AppendTo(set[:0]))
	if c.HasDataSet() {
		*buf = s.assoc.AppendFragments(*buf, op.request.ContextID, false, response.Data)
	}
	_ = s.assoc.Write(*buf)
}
