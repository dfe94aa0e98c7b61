package ul

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/ul/pdu"
)

// AssociateInfo is who asks for an association. The titles are trimmed of
// spaces and NULs and hold nothing but printable ASCII without backslash.
type AssociateInfo struct {
	CalledAETitle, CallingAETitle string
	Addr                          netip.AddrPort
}

// Acceptor answers association requests.
type Acceptor struct {
	Limits Limits
	// Offers tells whether an abstract syntax is served. It must be set.
	Offers func(abstractSyntax string) bool
	// Authorize judges the caller. nil accepts everybody. implicit prefers
	// Implicit VR Little Endian where the caller offers both.
	Authorize func(ctx context.Context, info AssociateInfo) (implicit bool, reject *Reject)
	// Rejected is called before an A-ASSOCIATE-RJ is sent, if set. In titles
	// that are no AE titles every odd character is a question mark.
	Rejected func(info AssociateInfo, reject Reject)
	// Reserve is asked before a request of more than 64 KiB takes n bytes more,
	// Unreserve gives them back. nil means no bound but Limits.AssociatePDU.
	Reserve   func(n int) bool
	Unreserve func(n int)
	// Trace: see Association.
	Trace func(sent bool, b []byte)
}

// freeHandshake is how much of an A-ASSOCIATE-RQ is read without asking Reserve.
const freeHandshake = 64 << 10

// request is what a handshake needs and the association after it does not.
type request struct {
	rq  pdu.AssociateRQ
	ac  pdu.AssociateAC
	buf []byte
}

var requests = sync.Pool{New: func() any { return new(request) }}

// Accept reads the A-ASSOCIATE-RQ from conn, within Limits.ARTIM in total, and
// answers it. When it returns an error (*RejectedError, *AbortedError,
// ErrTimeout, ErrLost) it has answered the peer, waited for it to close, and
// closed the connection.
func (c *Acceptor) Accept(ctx context.Context, conn net.Conn) (*Association, error) {
	a := newAssociation(conn, c.Limits.WithDefaults(), false)
	a.Trace = c.Trace
	a.idle = time.Now()
	a.limit = a.idle.Add(a.lim.ARTIM)
	_, _ = a.move(Evt5)
	stop := context.AfterFunc(ctx, func() { a.Interrupt(context.Cause(ctx)) })
	err := c.accept(ctx, a)
	stop()
	if err != nil {
		a.Finish()
		return nil, err
	}
	a.limit = time.Time{}
	return a, nil
}

func (c *Acceptor) accept(ctx context.Context, a *Association) error {
	var reserved int
	if c.Reserve != nil {
		read := 0
		a.reader.Grow = func(n int) error {
			if read += n; read > freeHandshake {
				if !c.Reserve(n) {
					return errRefused
				}
				reserved += n
			}
			return nil
		}
		defer func() {
			a.reader.Grow = nil
			if reserved > 0 {
				a.reader.Buffer()
				c.Unreserve(reserved)
			}
		}()
	}
	t, body, err := a.read()
	if err != nil {
		return err
	}
	if t != pdu.TypeAssociateRQ {
		if err := a.handle(t, body); err != nil {
			return err
		}
		return a.fail(pdu.AbortByProvider, pdu.AbortUnexpectedPDU, errUnexpected)
	}
	req := requests.Get().(*request) // the pool holds nothing else
	defer requests.Put(req)
	if err := req.rq.Decode(body); err != nil {
		return a.fail(pdu.AbortByProvider, pdu.AbortInvalidValue, err)
	}
	_, _ = a.move(Evt6)
	if id, ok := duplicateID(req.rq.Contexts); ok {
		return a.fail(pdu.AbortByProvider, pdu.AbortInvalidValue,
			fmt.Errorf("ul: presentation context %d was proposed twice", id))
	}
	implicit, reject := c.judge(ctx, a, &req.rq)
	if reject != nil {
		_, _ = a.move(Evt8)
		a.await()
		if c.Rejected != nil {
			c.Rejected(AssociateInfo{
				CalledAETitle: cleanTitle(a.CalledAETitle), CallingAETitle: cleanTitle(a.CallingAETitle), Addr: a.RemoteAddr,
			}, *reject)
		}
		rj := pdu.AssociateRJ(*reject)
		_ = a.send(rj.AppendTo(req.buf[:0]), a.lim.Close)
		return &RejectedError{*reject}
	}
	c.negotiate(a, req, implicit)
	if _, err := a.move(Evt7); err != nil {
		return err
	}
	req.buf = req.ac.AppendTo(req.buf[:0])
	return a.send(req.buf, a.lim.Write)
}

func duplicateID(contexts []pdu.ProposedContext) (byte, bool) {
	var seen [256]bool
	for i := range contexts {
		id := contexts[i].ID
		if seen[id] {
			return id, true
		}
		seen[id] = true
	}
	return 0, false
}

// judge checks the request in the order of PS3.8 9.3.4 and then asks Authorize.
func (c *Acceptor) judge(ctx context.Context, a *Association, rq *pdu.AssociateRQ) (implicit bool, _ *Reject) {
	a.CalledAETitle, a.CallingAETitle = rq.CalledAETitle(), rq.CallingAETitle()
	a.PeerMaxPDU = rq.User.MaximumLength
	a.PeerImplementationClassUID = rq.User.ImplementationClassUID
	a.PeerImplementationVersion = rq.User.ImplementationVersion
	switch {
	case rq.ProtocolVersion&1 == 0:
		return false, &RejectProtocolVersion
	case rq.ApplicationContext != pdu.ApplicationContextUID:
		return false, &RejectApplicationContext
	case a.PeerMaxPDU > 0 && a.PeerMaxPDU < pdu.PDVHeaderSize+2:
		return false, &RejectNoReason // could carry nothing
	case len(rq.Contexts) == 0:
		return false, &RejectNoReason
	case !validTitle(a.CalledAETitle):
		return false, &RejectCalledAETitle
	case !validTitle(a.CallingAETitle):
		return false, &RejectCallingAETitle
	case c.Authorize == nil:
		return false, nil
	}
	return c.Authorize(ctx, AssociateInfo{
		CalledAETitle: a.CalledAETitle, CallingAETitle: a.CallingAETitle, Addr: a.RemoteAddr,
	})
}

// validTitle tells whether s holds only what an AE title may hold (PS3.5 6.2);
// an empty one is left to Authorize.
func validTitle(s string) bool { return !strings.ContainsFunc(s, notInTitles) }

func notInTitles(r rune) bool { return r < ' ' || r > '~' || r == '\\' }

func cleanTitle(s string) string {
	return strings.Map(func(r rune) rune {
		if notInTitles(r) {
			return '?'
		}
		return r
	}, s)
}

// Transfer syntaxes we speak (PS3.5 10).
const (
	implicitVRLittleEndian = "1.2.840.10008.1.2"
	explicitVRLittleEndian = "1.2.840.10008.1.2.1"
)

// negotiate answers every proposed context.
func (c *Acceptor) negotiate(a *Association, req *request, implicit bool) {
	rq, ac := &req.rq, &req.ac
	*ac = pdu.AssociateAC{
		ProtocolVersion: 1, Titles: rq.Titles, ApplicationContext: pdu.ApplicationContextUID,
		Contexts: ac.Contexts[:0],
		User: pdu.UserInformation{
			MaximumLength:          uint32(a.lim.MaxPDU), //nolint:gosec // a configured limit
			ImplementationClassUID: ImplementationClassUID,
			ImplementationVersion:  ImplementationVersionName,
		},
	}
	a.Contexts = make([]Context, len(rq.Contexts))
	for i := range rq.Contexts {
		p, n := &rq.Contexts[i], &a.Contexts[i]
		n.ID, n.AbstractSyntax = p.ID, p.AbstractSyntax
		n.TransferSyntax, n.Result = chooseSyntax(p.TransferSyntaxes, implicit)
		if !c.Offers(p.AbstractSyntax) {
			n.Result = pdu.ResultAbstractSyntaxUnknown
		}
		a.byID[p.ID] = uint8(i + 1) //nolint:gosec // at most 128 contexts
		r := pdu.ContextResult{ID: p.ID, Result: n.Result, TransferSyntax: n.TransferSyntax}
		if r.TransferSyntax == "" {
			r.TransferSyntax = implicitVRLittleEndian // not significant, but some peers want a UID
		}
		ac.Contexts = append(ac.Contexts, r)
	}
}

func chooseSyntax(offered []string, implicit bool) (uid string, result byte) {
	var haveImplicit, haveExplicit bool
	for _, ts := range offered {
		haveImplicit = haveImplicit || ts == implicitVRLittleEndian
		haveExplicit = haveExplicit || ts == explicitVRLittleEndian
	}
	switch {
	case haveImplicit && (implicit || !haveExplicit):
		return implicitVRLittleEndian, pdu.ResultAcceptance
	case haveExplicit:
		return explicitVRLittleEndian, pdu.ResultAcceptance
	}
	return "", pdu.ResultTransferSyntaxesUnknown
}
