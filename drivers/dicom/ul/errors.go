package ul

import (
	"errors"
	"fmt"

	"github.com/rayhound/rayhound/drivers/dicom/ul/pdu"
)

// ErrReleased is returned by Next when the peer has asked to release the
// association; the caller answers with AcceptRelease.
var ErrReleased = errors.New("ul: the peer asked to release the association")

// ErrLost reports a connection that ended without a release.
var ErrLost = errors.New("ul: connection lost")

// ErrEnded is returned by a call on an association that is over.
var ErrEnded = errors.New("ul: the association is over")

// ErrTimeout reports that the peer has not done in time what it had to.
var ErrTimeout = errors.New("ul: time limit reached")

// errTransition is a call that the state table does not allow.
var errTransition = errors.New("ul: not allowed in this state")

// RejectedError is an A-ASSOCIATE-RJ, received or sent.
type RejectedError struct {
	Reject Reject
}

func (e *RejectedError) Error() string { return "ul: association rejected: " + e.Reject.String() }

// AbortedError is an A-ABORT, received or sent.
type AbortedError struct {
	ByPeer bool
	Source byte // pdu.AbortByUser or pdu.AbortByProvider
	Reason byte
	Err    error // why we aborted; nil when the peer did
}

func (e *AbortedError) Error() string {
	who := "aborted"
	if e.ByPeer {
		who = "aborted by the peer"
	}
	s := fmt.Sprintf("ul: association %s (source %d, reason %d: %s)", who, e.Source, e.Reason, abortText(e.Source, e.Reason))
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns why we aborted.
func (e *AbortedError) Unwrap() error { return e.Err }

func abortText(source, reason byte) string {
	if source == pdu.AbortByUser {
		return "by the application"
	}
	switch reason {
	case pdu.AbortNotSpecified:
		return "reason not specified"
	case pdu.AbortUnrecognizedPDU:
		return "unrecognized PDU"
	case pdu.AbortUnexpectedPDU:
		return "unexpected PDU"
	case pdu.AbortUnrecognizedItem:
		return "unrecognized PDU parameter"
	case pdu.AbortUnexpectedItem:
		return "unexpected PDU parameter"
	case pdu.AbortInvalidValue:
		return "invalid PDU parameter value"
	}
	return "undefined reason"
}

// Reject says why an association is refused (PS3.8 Table 9-21).
type Reject struct {
	Result byte // 1 permanent, 2 transient
	Source byte // 1 service user, 2 provider (ACSE), 3 provider (presentation)
	Reason byte
}

// The rejects we send.
var (
	RejectNoReason           = Reject{1, 1, 1}
	RejectApplicationContext = Reject{1, 1, 2}
	RejectCallingAETitle     = Reject{1, 1, 3}
	RejectCalledAETitle      = Reject{1, 1, 7}
	RejectProtocolVersion    = Reject{1, 2, 2}
	RejectCongestion         = Reject{2, 3, 1}
	RejectLocalLimit         = Reject{2, 3, 2}
)

// String spells the reject out.
func (r Reject) String() string {
	result := "permanent"
	if r.Result == 2 {
		result = "transient"
	}
	text := "undefined reason"
	switch [2]byte{r.Source, r.Reason} {
	case [2]byte{1, 1}, [2]byte{2, 1}:
		text = "no reason given"
	case [2]byte{1, 2}:
		text = "application context name not supported"
	case [2]byte{1, 3}:
		text = "calling AE title not recognized"
	case [2]byte{1, 7}:
		text = "called AE title not recognized"
	case [2]byte{2, 2}:
		text = "protocol version not supported"
	case [2]byte{3, 1}:
		text = "temporary congestion"
	case [2]byte{3, 2}:
		text = "local limit exceeded"
	}
	return fmt.Sprintf("%s, %s (result %d, source %d, reason %d)", result, text, r.Result, r.Source, r.Reason)
}
