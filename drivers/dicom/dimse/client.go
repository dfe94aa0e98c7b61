package dimse

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rayhound/rayhound/drivers/dicom/ul"
	"github.com/rayhound/rayhound/drivers/dicom/ul/pdu"
)

// Client is an association we asked for. Its methods may be called from any
// goroutine, one operation runs at a time.
type Client struct {
	cfg   ClientConfig
	assoc *ul.Association

	mu   sync.Mutex
	id   uint16 // of the last message
	msg  message
	buf  []byte
	over bool
}

// TransferSyntax returns what was agreed for an abstract syntax; "" if the peer
// does not accept it.
func (c *Client) TransferSyntax(abstractSyntax string) string {
	if n, ok := c.assoc.ContextFor(abstractSyntax); ok {
		return n.TransferSyntax
	}
	return ""
}

// Peer describes the acceptor.
func (c *Client) Peer() Peer {
	return Peer{
		CallingAETitle: c.assoc.CallingAETitle, CalledAETitle: c.assoc.CalledAETitle, Addr: c.assoc.RemoteAddr,
		ImplementationClassUID: c.assoc.PeerImplementationClassUID, ImplementationVersion: c.assoc.PeerImplementationVersion,
	}
}

// Contexts returns how each proposed context was answered, in the order proposed.
func (c *Client) Contexts() []ul.Context { return c.assoc.Contexts }

// context returns the accepted context for a SOP class.
func (c *Client) context(sopClassUID string) (*ul.Context, error) {
	n, ok := c.assoc.ContextFor(sopClassUID)
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrNotAccepted, sopClassUID)
	}
	return n, nil
}

// ErrNotAccepted reports a SOP class the peer has not accepted.
var ErrNotAccepted = errors.New("dimse: the peer does not accept the SOP class")

// next numbers a message.
func (c *Client) next() uint16 {
	if c.id++; c.id == 0 {
		c.id = 1
	}
	return c.id
}

// send writes a message in one write.
func (c *Client) send(contextID byte, command *Command, data []byte) error {
	var set [512]byte
	c.buf = c.assoc.AppendFragments(c.buf[:0], contextID, true, command.AppendTo(set[:0]))
	if command.HasDataSet() {
		c.buf = c.assoc.AppendFragments(c.buf, contextID, false, data)
	}
	err := c.assoc.Write(c.buf)
	if cap(c.buf) > 2*flushAt {
		c.buf = nil
	}
	return err
}

// receive reads the response to message id on a context. Its data set is the
// caller's to keep.
func (c *Client) receive(ctx context.Context, contextID byte, id uint16) (*Command, []byte, error) {
	c.assoc.SetLimit(earlier(ctx, c.cfg.Timeouts.Response))
	m := &c.msg
	m.reset()
	m.data = nil
	for {
		v, err := c.assoc.Next()
		if err != nil {
			return nil, nil, err
		}
		done := false
		if v.Command {
			done, err = m.add(v, 16<<10)
			done = done && err == nil && !m.command.HasDataSet()
		} else {
			err = m.addData(v, c.cfg.MaxDataSet, func(int) bool { return true })
			done = v.Last
		}
		switch {
		case err != nil:
		case m.complete && !m.command.IsResponse():
			err = errNoSuchMessage
		case m.complete && (m.command.RespondedTo != id || m.contextID != contextID):
			err = errNotAsked
		case m.dropped:
			err = errDataLimit
		}
		if err != nil {
			return nil, nil, c.assoc.Abort(pdu.AbortByProvider, pdu.AbortInvalidValue, err)
		}
		if done {
			return &m.command, m.data, nil
		}
	}
}

var errDataLimit = errors.New("dimse: data set is too long")

// failed closes the connection after an error that ends the association.
func (c *Client) failed(step string, err error) error {
	if err == nil {
		return nil
	}
	if !c.over {
		c.over = true
		if !errors.Is(err, ul.ErrReleased) {
			c.assoc.Close()
		} else {
			_ = c.assoc.AcceptRelease()
		}
		c.assoc.Finish()
	}
	return stepError(step, err)
}

// exchange sends a request and returns its response.
func (c *Client) exchange(ctx context.Context, step, sopClassUID string, rq Command, data []byte) (*Command, []byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.context(sopClassUID)
	if err != nil {
		return nil, nil, &StepError{step, err}
	}
	if c.over {
		return nil, nil, &StepError{step, ul.ErrEnded}
	}
	stop := watch(ctx, c.assoc)
	defer stop()
	rq.MessageID = c.next()
	if err := c.send(n.ID, &rq, data); err != nil {
		return nil, nil, c.failed(step, err)
	}
	rsp, answer, err := c.receive(ctx, n.ID, rq.MessageID)
	if err != nil {
		return nil, nil, c.failed(step, err)
	}
	if rsp.Status != Success && !isWarning(rsp.Status) {
		return nil, nil, rsp.status()
	}
	return rsp, answer, nil
}

// status returns what a response says as an error.
func (c *Command) status() Status {
	return Status{Code: c.Status, Comment: c.ErrorComment, ErrorID: c.ErrorID, Offending: c.OffendingElements}
}

// Echo asks whether the peer is there. Verification must have been accepted,
// else the first accepted context is used.
func (c *Client) Echo(ctx context.Context) error {
	class := VerificationSOPClassUID
	if _, ok := c.assoc.ContextFor(class); !ok {
		for _, n := range c.assoc.Contexts {
			if n.Result == pdu.ResultAcceptance {
				class = n.AbstractSyntax
				break
			}
		}
	}
	_, _, err := c.exchange(ctx, StepEcho, class, CEchoRQ{AffectedSOPClassUID: VerificationSOPClassUID}.Command(), nil)
	return err
}

// Create sends N-CREATE. data is encoded in TransferSyntax(sopClassUID). An
// empty instanceUID lets the peer choose one. A failure is a Status.
func (c *Client) Create(ctx context.Context, sopClassUID, instanceUID string, data []byte) (Response, error) {
	rq := NCreateRQ{AffectedSOPClassUID: sopClassUID, AffectedSOPInstanceUID: instanceUID, HasAttributes: len(data) > 0}
	return c.change(ctx, StepCreate, sopClassUID, instanceUID, rq.Command(), data)
}

// Set sends N-SET. A failure is a Status.
func (c *Client) Set(ctx context.Context, sopClassUID, instanceUID string, data []byte) (Response, error) {
	rq := NSetRQ{RequestedSOPClassUID: sopClassUID, RequestedSOPInstanceUID: instanceUID}
	return c.change(ctx, StepSet, sopClassUID, instanceUID, rq.Command(), data)
}

func (c *Client) change(ctx context.Context, step, class, instance string, rq Command, data []byte) (Response, error) {
	rsp, answer, err := c.exchange(ctx, step, class, rq, data)
	if err != nil {
		return Response{}, err
	}
	if rsp.AffectedSOPInstanceUID != "" {
		instance = rsp.AffectedSOPInstanceUID
	}
	return Response{SOPInstanceUID: instance, Data: answer}, nil
}

// Release ends the association in order and closes the connection, also when
// it fails.
func (c *Client) Release(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return &StepError{StepRelease, ul.ErrEnded}
	}
	c.over = true
	stop := watch(ctx, c.assoc)
	err := c.assoc.Release(earlier(ctx, c.cfg.Timeouts.Release))
	stop()
	c.assoc.Close()
	c.assoc.Finish()
	return stepError(StepRelease, err)
}

// Abort ends the association with an A-ABORT and closes the connection. It may
// be called while an operation waits, which then fails.
func (c *Client) Abort() error {
	_ = c.assoc.Abort(pdu.AbortByUser, pdu.AbortNotSpecified, errAbortCalled)
	c.assoc.Close()
	return nil
}

var errAbortCalled = errors.New("dimse: Abort was called")
