package ul

import (
	"errors"
	"net"
	"slices"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/ul/pdu"
)

// Requestor asks for an association.
type Requestor struct {
	CallingAETitle, CalledAETitle string
	// Contexts are proposed in this order; their ids are assigned 1, 3, 5 ...
	Contexts []pdu.ProposedContext
	Limits   Limits
	// Trace: see Association.
	Trace func(sent bool, b []byte)
}

var errAnswer = errors.New("ul: the answer does not fit the request")

// Request sends the A-ASSOCIATE-RQ over conn and waits for the answer until
// limit. ready is called with the association before the first byte is sent,
// if set, so that the caller can interrupt the wait. On an error
// (*RejectedError, *AbortedError, ErrTimeout, ErrLost) conn is closed.
func (q *Requestor) Request(conn net.Conn, limit time.Time, ready func(*Association)) (*Association, error) {
	a := newAssociation(conn, q.Limits.WithDefaults(), true)
	a.Trace = q.Trace
	a.CallingAETitle, a.CalledAETitle = q.CallingAETitle, q.CalledAETitle
	a.limit = limit
	if ready != nil {
		ready(a)
	}
	if err := q.request(a); err != nil {
		a.Close()
		a.Finish()
		return nil, err
	}
	a.SetLimit(time.Time{})
	return a, nil
}

func (q *Requestor) request(a *Association) error {
	_, _ = a.move(Evt1)
	_, _ = a.move(Evt2)
	rq := pdu.AssociateRQ{
		ProtocolVersion: 1, ApplicationContext: pdu.ApplicationContextUID, Contexts: slices.Clone(q.Contexts),
		User: pdu.UserInformation{
			MaximumLength:          uint32(a.lim.MaxPDU), //nolint:gosec // a configured limit
			ImplementationClassUID: ImplementationClassUID,
			ImplementationVersion:  ImplementationVersionName,
		},
	}
	rq.SetTitles(q.CalledAETitle, q.CallingAETitle)
	for i := range rq.Contexts {
		rq.Contexts[i].ID = byte(2*i + 1) //nolint:gosec // at most 128 contexts
	}
	if err := a.send(rq.AppendTo(make([]byte, 0, 512)), a.lim.Write); err != nil {
		return err
	}
	t, body, err := a.read()
	if err != nil {
		return err
	}
	switch t {
	case pdu.TypeAssociateAC:
		var ac pdu.AssociateAC
		if err := ac.Decode(body); err != nil {
			return a.fail(pdu.AbortByProvider, pdu.AbortInvalidValue, err)
		}
		return q.accepted(a, &rq, &ac)
	case pdu.TypeAssociateRJ:
		var rj pdu.AssociateRJ
		if err := rj.Decode(body); err != nil {
			return a.fail(pdu.AbortByProvider, pdu.AbortInvalidValue, err)
		}
		_, _ = a.move(Evt4)
		return a.over(&RejectedError{Reject(rj)})
	}
	if err := a.handle(t, body); err != nil {
		return err
	}
	return a.fail(pdu.AbortByProvider, pdu.AbortUnexpectedPDU, errUnexpected)
}

// accepted takes over what the acceptor has granted.
func (q *Requestor) accepted(a *Association, rq *pdu.AssociateRQ, ac *pdu.AssociateAC) error {
	a.PeerMaxPDU = ac.User.MaximumLength
	a.PeerImplementationClassUID = ac.User.ImplementationClassUID
	a.PeerImplementationVersion = ac.User.ImplementationVersion
	if a.PeerMaxPDU > 0 && a.PeerMaxPDU < pdu.PDVHeaderSize+2 {
		return a.fail(pdu.AbortByProvider, pdu.AbortInvalidValue, errAnswer)
	}
	a.Contexts = make([]Context, len(rq.Contexts))
	for i := range rq.Contexts {
		p := &rq.Contexts[i]
		a.Contexts[i] = Context{ID: p.ID, AbstractSyntax: p.AbstractSyntax, Result: pdu.ResultNoReason}
		a.byID[p.ID] = uint8(i + 1) //nolint:gosec // at most 128 contexts
		for _, r := range ac.Contexts {
			if r.ID != p.ID {
				continue
			}
			a.Contexts[i].Result = r.Result
			if r.Result == pdu.ResultAcceptance {
				if !slices.Contains(p.TransferSyntaxes, r.TransferSyntax) {
					return a.fail(pdu.AbortByProvider, pdu.AbortInvalidValue, errAnswer)
				}
				a.Contexts[i].TransferSyntax = r.TransferSyntax
			}
		}
	}
	_, err := a.move(Evt3)
	return err
}
