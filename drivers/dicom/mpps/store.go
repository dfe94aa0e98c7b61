package mpps

import (
	"context"
	"errors"
)

// The answers of a Store that have a status of their own.
var (
	// ErrDuplicate: the SOP Instance UID is known already. Answered 0111;
	// nothing was changed.
	ErrDuplicate = errors.New("mpps: the performed procedure step exists already")
	// ErrUnknown: no N-CREATE came for this UID. Answered 0112; the store has
	// kept the report among the unmatched arrivals.
	ErrUnknown = errors.New("mpps: no such performed procedure step")
	// ErrFinal: the step is completed or discontinued. Answered 0110 with Error
	// ID A710; nothing was changed.
	ErrFinal = errors.New("mpps: the performed procedure step is final")
	// ErrNoSpace: the disk reserve is reached or the database refuses to write.
	// Answered 0213; nothing was written, and the console may try again.
	ErrNoSpace = errors.New("mpps: no space to store the report")
)

// Store keeps reports. Its methods are called on the association's goroutine,
// several at once for several associations, and return only after the commit:
// nil is told to the machine as success. An error that is none of those above
// is answered 0110.
//
// A report whose console hung up meanwhile is stored all the same: ctx does not
// end with the association, only after Config.StoreTimeout.
type Store interface {
	// Create stores a new performed step (N-CREATE) and its evidence.
	// It returns ErrDuplicate when the SOP Instance UID is known. A report that
	// belongs to no order is kept as an unmatched arrival, and that is success.
	Create(ctx context.Context, r *Report) error

	// Set stores what an N-SET adds to the step with r.SOPInstanceUID. The
	// patient and the references are usually not in it.
	// It returns ErrFinal when the step has ended, and ErrUnknown after it has
	// kept a report for an unknown step.
	Set(ctx context.Context, r *Report) error

	// Refused keeps a report that was not accepted, for the machine's page.
	// reason is one sentence without personal data. The machine is told the
	// refusal whatever Refused returns, except ErrNoSpace, which is answered 0213.
	Refused(ctx context.Context, r *Report, reason string) error
}

// Machine is what the service wants to know about a caller. The server's
// Authorize puts one into Peer.Tag; a Tag that is none means defaults.
type Machine interface {
	// MachineName is the name the clinic gave the machine.
	MachineName() string
	// MPPSLenient accepts an N-CREATE with a status other than IN PROGRESS.
	MPPSLenient() bool
	// MPPSCharset is the defined term for text without a usable (0008,0005);
	// "" and "auto" mean none in particular.
	MPPSCharset() string
}
