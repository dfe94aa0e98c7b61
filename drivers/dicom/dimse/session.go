package dimse

import (
	"errors"
	"sync"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/ul"
	"github.com/rayhound/rayhound/drivers/dicom/ul/pdu"
)

// session is one association of a server. Its goroutine reads all the time;
// an operation runs on a second one, so that C-CANCEL, A-ABORT, A-RELEASE-RQ
// and a lost peer are seen at once.
type session struct {
	*serving
	id    uint64
	peer  Peer
	assoc *ul.Association

	key  string
	slot bool

	msg     message
	charged int // bytes of the budget held by msg or the operation made of it
	out     []byte
	count   int // operations answered

	mu      sync.Mutex
	op      *operation // running, until its final response is about to be sent
	working chan struct{}
}

// run serves the association until it is over.
func (s *session) run(a *ul.Association) {
	s.assoc = a
	started := time.Now()
	s.peer = Peer{
		CallingAETitle: a.CallingAETitle, CalledAETitle: a.CalledAETitle, Addr: a.RemoteAddr,
		ImplementationClassUID: a.PeerImplementationClassUID, ImplementationVersion: a.PeerImplementationVersion,
		ID: s.id, Tag: s.peer.Tag,
	}
	s.add(s)
	err := s.loop()
	if errors.Is(err, ul.ErrReleased) {
		s.end(ul.ErrReleased)
		s.freeSlot()
		err = a.AcceptRelease()
	} else {
		s.end(err)
		s.freeSlot()
	}
	var aborted *ul.AbortedError
	if errors.As(err, &aborted) {
		s.aborts.Add(1)
	}
	s.remove(s)
	a.Finish()
	s.operations.Add(uint64(s.count)) //nolint:gosec // a count
	if s.cfg.OnEnd != nil {
		in, out := a.Bytes()
		s.cfg.OnEnd(s.peer, AssociationSummary{
			Started: started, Duration: time.Since(started), Operations: s.count,
			BytesIn: in, BytesOut: out, Oversized: a.Oversized(), Err: err,
		})
	}
}

// end stops the running operation and waits for it.
func (s *session) end(why error) {
	s.mu.Lock()
	if s.op != nil {
		s.op.cancel(why)
	}
	s.mu.Unlock()
	s.wait()
	s.budget.give(s.charged)
	s.charged = 0
}

// wait waits for the operation to end.
func (s *session) wait() {
	if s.working != nil {
		<-s.working
		s.working = nil
	}
}

// loop reads messages until the association ends.
func (s *session) loop() error {
	for {
		v, err := s.assoc.Next()
		if err != nil {
			return err
		}
		if err := s.fragment(v); err != nil {
			return s.assoc.Abort(pdu.AbortByProvider, pdu.AbortInvalidValue, err)
		}
	}
}

// fragment takes the next fragment; an error ends the association.
func (s *session) fragment(v pdu.PDV) error {
	m := &s.msg
	if v.Command {
		ready, err := m.add(v, s.lim.Command)
		if err != nil {
			return err
		}
		if !ready {
			s.assoc.MessageBegun()
			return nil
		}
		c := &m.command
		if c.IsResponse() {
			return errNotAsked
		}
		if !c.HasDataSet() {
			return s.complete()
		}
		s.settle(m)
		s.assoc.MessageBegun()
		return nil
	}
	if err := m.addData(v, s.dataLimit(&m.command), s.reserve); err != nil {
		return err
	}
	if v.Last {
		return s.complete()
	}
	return nil
}

// settle waits for the operation before m, of which there is one at a time, and
// notes whether m repeats its message id.
func (s *session) settle(m *message) {
	s.mu.Lock()
	if s.op != nil && s.op.request.MessageID == m.command.MessageID {
		m.duplicate = true
	}
	s.mu.Unlock()
	s.wait()
}

func (s *session) dataLimit(c *Command) int {
	if service, ok := s.mux[c.SOPClassUID()]; ok && service.MaxDataSet > 0 {
		return service.MaxDataSet
	}
	if c.Field == cFindRQ {
		return s.lim.Identifier
	}
	return s.lim.Attributes
}

func (s *session) reserve(n int) bool {
	if !s.budget.take(s.handlers, n, s.lim.MemoryWait) {
		return false
	}
	s.charged += n
	return true
}

// complete acts on a whole message.
func (s *session) complete() error {
	m := &s.msg
	s.assoc.MessageEnded()
	defer m.reset()
	c := &m.command
	if c.Field == cCancelRQ {
		s.cancelled(c)
		return nil
	}
	if s.settle(m); m.duplicate {
		return s.reply(m.contextID, c, Status{Code: DuplicateInvocation})
	}
	if m.dropped {
		return s.reply(m.contextID, c, s.tooLarge(c, m.noMemory))
	}
	if c.Field == cEchoRQ {
		return s.reply(m.contextID, c, Status{})
	}
	op, refusal := s.operation(m)
	if op == nil {
		return s.reply(m.contextID, c, refusal)
	}
	s.start(op)
	m.data = nil // the operation's, until it ends
	return nil
}

func (s *session) tooLarge(c *Command, noMemory bool) Status {
	switch {
	case noMemory && c.Field == cFindRQ:
		return Status{Code: OutOfResources, Comment: commentMemory}
	case noMemory:
		return Status{Code: ResourceLimitation, Comment: commentMemory}
	case c.Field == cFindRQ:
		return Status{Code: OutOfResources, Comment: commentIdentifier}
	}
	return Status{Code: ResourceLimitation, Comment: commentDataSet}
}

// cancelled ends the find a C-CANCEL names; a stray one is ignored.
func (s *session) cancelled(c *Command) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.op != nil && s.op.command.Field == cFindRQ && s.op.request.MessageID == c.RespondedTo {
		s.op.cancel(ErrCancelled)
	}
}

// reply sends a response without data set. A failed write is seen by the reader.
func (s *session) reply(contextID byte, c *Command, status Status) error {
	r := c.response(status.Code).withStatus(status)
	if r.AffectedSOPInstanceUID = c.AffectedSOPInstanceUID; r.AffectedSOPInstanceUID == "" {
		r.AffectedSOPInstanceUID = c.RequestedSOPInstanceUID
	}
	var set [512]byte
	s.out = s.assoc.AppendFragments(s.out[:0], contextID, true, r.AppendTo(set[:0]))
	s.budget.give(s.charged)
	s.charged = 0
	s.count++
	_ = s.assoc.Write(s.out)
	return nil
}
