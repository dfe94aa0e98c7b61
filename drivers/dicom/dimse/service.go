// Package dimse is the DICOM message service (PS3.7): command sets, a server
// that answers C-ECHO, C-FIND, N-CREATE and N-SET through handlers, and a
// client for the same services. Data sets travel as bytes; what they mean is
// for the handlers to know.
package dimse

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/rayhound/rayhound/drivers/dicom/ul"
)

// Peer is the other end of an association.
type Peer struct {
	CallingAETitle, CalledAETitle string
	Addr                          netip.AddrPort
	ImplementationClassUID        string
	ImplementationVersion         string
	ID                            uint64 // number of the association since the server started
	Tag                           any    // what Authorize granted
}

// Request is one operation asked for.
type Request struct {
	Peer              *Peer
	MessageID         uint16
	SOPClassUID       string
	SOPInstanceUID    string // of N-CREATE (may be empty) and N-SET
	ContextID         byte
	TransferSyntaxUID string
	Data              []byte // identifier or attributes; valid until the handler returns
}

// Response answers N-CREATE and N-SET.
type Response struct {
	SOPInstanceUID string // empty: the request's
	Data           []byte // attributes to send back; empty: none
}

// Finder answers C-FIND.
//
// Find sends each match with answers.Send and returns nil when there are no
// more. A Status error is the final status; any other error becomes C001, with
// a comment that does not repeat it. ctx ends on C-CANCEL (its cause is
// ErrCancelled and the final status FE00), when the peer is gone and at the
// deadline (C002). Find must return soon after: the association, and a server
// that stops, wait for it.
type Finder interface {
	Find(ctx context.Context, r *Request, answers *Answers) error
}

// Creator answers N-CREATE. A Status error is the final status; any other error
// becomes 0110.
type Creator interface {
	Create(ctx context.Context, r *Request) (Response, error)
}

// Setter answers N-SET. A Status error is the final status; any other error
// becomes 0110.
type Setter interface {
	Set(ctx context.Context, r *Request) (Response, error)
}

// Service is a handler with limits of its own; see ServerConfig.Services.
type Service struct {
	Handler    any // Finder, or Creator and Setter
	MaxDataSet int // bytes of a request's data set; 0: Limits.Identifier or Limits.Attributes
}

// Causes of a handler's context.
var (
	ErrCancelled = errors.New("dimse: cancelled by the peer")
	ErrDeadline  = errors.New("dimse: deadline reached")
	ErrShutdown  = errors.New("dimse: the server stops")
)

// Names of the upper layer that appear in this package's interface.
type (
	// AssociateInfo is who asks for an association.
	AssociateInfo = ul.AssociateInfo
	// Reject says why an association is refused.
	Reject = ul.Reject
	// RejectedError is an association that was refused.
	RejectedError = ul.RejectedError
)

// mux finds the handler of a SOP class.
type mux map[string]Service

func newMux(services map[string]any) mux {
	m := make(mux, len(services))
	for uid, h := range services {
		s, ok := h.(Service)
		if !ok {
			s = Service{Handler: h}
		}
		_, find := s.Handler.(Finder)
		_, create := s.Handler.(Creator)
		_, set := s.Handler.(Setter)
		if !find && !create && !set {
			panic(fmt.Sprintf("dimse: the service for %s is neither Finder nor Creator nor Setter", uid))
		}
		m[uid] = s
	}
	return m
}

// offers tells whether an abstract syntax is accepted.
func (m mux) offers(uid string) bool {
	if uid == VerificationSOPClassUID {
		return true
	}
	_, ok := m[uid]
	return ok
}
