// Package ul is the DICOM upper layer (PS3.8): associations, their states and
// timers, negotiation, and fragments in both directions. It carries messages as
// bytes; package dimse gives them a meaning.
package ul

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/ul/pdu"
)

// Context is a presentation context as negotiated.
type Context struct {
	ID             byte
	Result         byte // pdu.ResultAcceptance, else why not
	AbstractSyntax string
	TransferSyntax string // of an accepted context
}

// Association is one association, seen from either side. One goroutine calls
// Next; any goroutine may call Write and Abort.
type Association struct {
	CallingAETitle, CalledAETitle string
	RemoteAddr                    netip.AddrPort
	PeerMaxPDU                    uint32 // what the peer announced; 0 means no limit
	PeerImplementationClassUID    string
	PeerImplementationVersion     string
	Contexts                      []Context // in the order proposed

	// Trace is called with every run of bytes received or sent, if set. It must
	// not keep b.
	Trace func(sent bool, b []byte)

	conn      net.Conn
	lim       Limits
	requestor bool
	reader    pdu.Reader
	first     *[firstBuffer]byte
	rest      []byte // of the current P-DATA-TF body
	empty     int    // consecutive empty fragments
	byID      [256]uint8

	busy      atomic.Bool
	oversized atomic.Uint64
	in, out   atomic.Uint64

	wmu    sync.Mutex // held while writing
	mu     sync.Mutex // guards what follows
	state  State
	end    error     // why the association is over
	armed  time.Time // the read deadline in force
	limit  time.Time // absolute limit of the current wait, if any
	idle   time.Time // when the association last did something
	begun  time.Time // when the current PDU began
	msg    time.Time // when the current message began
	cause  error     // of an interruption
	closed bool
}

const firstBuffer = 4096

var firstBuffers = sync.Pool{New: func() any { return new([firstBuffer]byte) }}

func newAssociation(conn net.Conn, lim Limits, requestor bool) *Association {
	a := &Association{conn: conn, lim: lim, requestor: requestor, state: Sta1, RemoteAddr: addrPort(conn.RemoteAddr())}
	a.first = firstBuffers.Get().(*[firstBuffer]byte) // the pool holds nothing else
	a.reader.SetBuffer(a.first[:])
	a.reader.Source = (*source)(a)
	a.reader.Before = a.before
	for _, t := range []pdu.Type{pdu.TypeAssociateRJ, pdu.TypeReleaseRQ, pdu.TypeReleaseRP, pdu.TypeAbort} {
		a.reader.Limits[t] = 4
	}
	a.reader.Limits[pdu.TypeAssociateRQ] = uint32(lim.AssociatePDU) //nolint:gosec // a configured limit
	a.reader.Limits[pdu.TypeAssociateAC] = uint32(lim.AssociatePDU) //nolint:gosec // a configured limit
	a.reader.Limits[pdu.TypePDataTF] = uint32(lim.ToleratedPDU)     //nolint:gosec // a configured limit
	return a
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		p := t.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}

// source is the association's connection, counted and traced.
type source Association

func (s *source) Read(b []byte) (int, error) {
	n, err := s.conn.Read(b)
	if n > 0 {
		s.in.Add(uint64(n))
		if s.Trace != nil {
			s.Trace(false, b[:n])
		}
	}
	return n, err
}

// State returns where the association stands.
func (a *Association) State() State {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.state
}

// Bytes returns how many bytes were received and sent.
func (a *Association) Bytes() (in, out uint64) { return a.in.Load(), a.out.Load() }

// Oversized counts the P-DATA-TF PDUs accepted although longer than announced.
func (a *Association) Oversized() uint64 { return a.oversized.Load() }

// Context returns the accepted context with this id.
func (a *Association) Context(id byte) (*Context, bool) {
	i := int(a.byID[id])
	if i == 0 || a.Contexts[i-1].Result != pdu.ResultAcceptance {
		return nil, false
	}
	return &a.Contexts[i-1], true
}

// ContextFor returns the first accepted context for an abstract syntax.
func (a *Association) ContextFor(abstractSyntax string) (*Context, bool) {
	for i := range a.Contexts {
		if c := &a.Contexts[i]; c.Result == pdu.ResultAcceptance && c.AbstractSyntax == abstractSyntax {
			return c, true
		}
	}
	return nil, false
}

// move lets event e happen and returns the action to take.
func (a *Association) move(e Event) (Action, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	action, next, ok := Next(a.state, e, a.requestor)
	if !ok {
		if a.end != nil {
			return "", a.end
		}
		return "", errTransition
	}
	a.state = next
	return action, nil
}

// Next returns the next fragment. Its data is valid until the next call. The
// error is ErrReleased when the peer wants to release, *AbortedError, ErrLost,
// or the cause given to Interrupt. After an error only AcceptRelease (after
// ErrReleased) and Finish make sense.
func (a *Association) Next() (pdu.PDV, error) {
	for len(a.rest) == 0 {
		t, body, err := a.read()
		if err != nil {
			return pdu.PDV{}, err
		}
		if err := a.handle(t, body); err != nil {
			return pdu.PDV{}, err
		}
	}
	v, rest, err := pdu.NextPDV(a.rest)
	if err != nil {
		return v, a.fail(pdu.AbortByProvider, pdu.AbortInvalidValue, err)
	}
	a.rest = rest
	if _, ok := a.Context(v.ContextID); !ok {
		return v, a.fail(pdu.AbortByProvider, pdu.AbortInvalidValue, errContext)
	}
	if len(v.Data) > 0 {
		a.empty = 0
	} else if a.empty++; a.empty > a.lim.EmptyFragments {
		return v, a.fail(pdu.AbortByProvider, pdu.AbortInvalidValue, errEmpty)
	}
	return v, nil
}

var (
	errContext    = errors.New("ul: fragment for a presentation context that was not accepted")
	errEmpty      = errors.New("ul: too many empty fragments")
	errUnexpected = errors.New("ul: PDU not allowed in this state")
	errRefused    = errors.New("ul: refused by the negotiation")
)

// handle acts on a PDU as the table of PS3.8 9.2 says.
func (a *Association) handle(t pdu.Type, body []byte) error {
	var abort pdu.Abort
	var err error
	switch t {
	case pdu.TypePDataTF:
		if len(body) == 0 {
			err = &pdu.SyntaxError{PDU: t, Reason: "no presentation data value"}
		}
	case pdu.TypeReleaseRQ:
		err = (*pdu.ReleaseRQ)(nil).Decode(body)
	case pdu.TypeReleaseRP:
		err = (*pdu.ReleaseRP)(nil).Decode(body)
	case pdu.TypeAbort:
		err = abort.Decode(body)
	}
	if err != nil {
		return a.fail(pdu.AbortByProvider, pdu.AbortInvalidValue, err)
	}
	e := eventOf(t)
	a.mu.Lock()
	action, next, ok := Next(a.state, e, a.requestor)
	if ok && action != AA8 && action != AA1 {
		a.state = next
	}
	ended := a.end
	a.mu.Unlock()
	switch action {
	case DT2, AR6:
		if len(body) > a.lim.MaxPDU {
			a.oversized.Add(1)
		}
		a.rest = body
		return nil
	case AR2, AR8, AR10:
		return ErrReleased
	case AR3:
		return a.over(errReleaseConfirmed)
	case AA2, AA3:
		return a.over(&AbortedError{ByPeer: true, Source: abort.Source, Reason: abort.Reason})
	case AA6, AA7:
		if ended != nil {
			return ended
		}
		return ErrEnded
	}
	return a.fail(pdu.AbortByProvider, pdu.AbortUnexpectedPDU, errUnexpected)
}

var errReleaseConfirmed = errors.New("ul: released")

func eventOf(t pdu.Type) Event {
	switch t {
	case pdu.TypeAssociateRQ:
		return Evt6
	case pdu.TypeAssociateAC:
		return Evt3
	case pdu.TypeAssociateRJ:
		return Evt4
	case pdu.TypePDataTF:
		return Evt10
	case pdu.TypeReleaseRQ:
		return Evt12
	case pdu.TypeReleaseRP:
		return Evt13
	case pdu.TypeAbort:
		return Evt16
	}
	return Evt19
}

// read returns the next PDU, or the error that ends the association.
func (a *Association) read() (pdu.Type, []byte, error) {
	for {
		t, body, err := a.reader.Next()
		if err == nil {
			a.mu.Lock()
			a.begun = time.Time{}
			a.idle = time.Now()
			a.mu.Unlock()
			return t, body, nil
		}
		var unknown *pdu.UnknownTypeError
		var long *pdu.TooLongError
		switch {
		case errors.As(err, &unknown):
			return t, nil, a.fail(pdu.AbortByProvider, pdu.AbortUnrecognizedPDU, err)
		case errors.As(err, &long):
			return t, nil, a.fail(pdu.AbortByProvider, pdu.AbortInvalidValue, err)
		case errors.Is(err, os.ErrDeadlineExceeded):
			if err := a.timedOut(); err != nil {
				return 0, nil, err
			}
		case errors.Is(err, errRefused):
			return 0, nil, a.over(err)
		default:
			return 0, nil, a.lost(err)
		}
	}
}

// lost ends the association because the connection is gone.
func (a *Association) lost(err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cause != nil {
		return a.cause
	}
	if a.end == nil {
		a.end = ErrLost
		if err != nil && !errors.Is(err, io.EOF) {
			a.end = &lostError{err}
		}
	}
	a.state = Sta1 // AA-4, AA-5, AR-5
	return a.end
}

type lostError struct{ err error }

func (e *lostError) Error() string        { return "ul: connection lost: " + e.err.Error() }
func (e *lostError) Unwrap() error        { return e.err }
func (e *lostError) Is(target error) bool { return target == ErrLost } // identity is meant

// over ends the association without another word to the peer.
func (a *Association) over(err error) error {
	a.mu.Lock()
	a.state = Sta1
	if a.end == nil {
		a.end = err
	}
	err = a.end
	a.mu.Unlock()
	return err
}
