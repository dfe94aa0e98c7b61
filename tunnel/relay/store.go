// Package relay is the public end of the tunnel: it takes webhooks over HTTPS, keeps them durably in one mailbox for each
// clinic, and hands them to the clinic's agent, which connects from inside and acknowledges what it holds.
//
// A relay is a durable mailbox, not a pipe. A sender's 200 means that the event survives kill -9 and power loss; an
// agent's ack means that it is in the appliance's own database; and a hole is always announced, never skipped.
//
// Any number of relays may share one Store. A node keeps nothing durable outside it.
package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// What a Store or Registry answers. Others are wrapped in one of these or are the context's own errors.
var (
	// ErrFull: the disk or the database has no room. Deletes, acks and claims may still work.
	ErrFull = errors.New("relay: the store is full")
	// ErrBusy: the queue of the writer is full. Try again soon.
	ErrBusy = errors.New("relay: the store is busy")
	// ErrUnavailable: the database does not answer, or the outcome of a commit is unknown. An event may or may not be stored.
	ErrUnavailable = errors.New("relay: the store does not answer")
	// ErrTooLarge: an event is above the store's own limits (header 16 KiB, body MaxBodyLimit + MaxSealing).
	ErrTooLarge = errors.New("relay: the event is too large to store")
	// ErrUnknownClinic: there is no such clinic.
	ErrUnknownClinic = errors.New("relay: no such clinic")
	// ErrStaleEpoch: another session has claimed the clinic since; nothing was changed.
	ErrStaleEpoch = errors.New("relay: another session owns the clinic")
	// ErrNoEvent: the store does not know the event any more, or never did.
	ErrNoEvent = errors.New("relay: no such event")
)

// A store takes bodies of at most MaxBodyLimit + MaxSealing bytes: sealing adds the request's fields, a key and a tag.
const (
	MaxBodyLimit = wire.MaxBody
	MaxSealing   = 32 << 10
)

// NodeID names one running relay. It is random for each process start, so that a restarted node does not inherit sockets.
type NodeID string

// Event is one webhook in a mailbox.
type Event struct {
	Seq        wire.Seq  // given by Append, > 0
	ReceivedAt time.Time // the relay's clock, UTC, microseconds
	Kind       string    // a label of wire, e.g. "worklist.created"; at most 64 bytes
	Header     []byte    // JSON of wire.EventHeader, at most 16 KiB
	Body       []byte    // sealed, or as it came; may be empty
}

// Store keeps the mailboxes. Methods may be called concurrently, and by several nodes. The contract is stated as tests in
// storetest. Times a store keeps are UTC with microseconds.
type Store interface {
	// Append makes e durable and returns its number; e.Seq is ignored. Durable: it survives kill -9 and power loss.
	// Numbers of one clinic rise strictly in commit order, are never reused, and may skip.
	// When ctx ends first, the event may or may not have been stored.
	// The store keeps no reference to e's slices after it returned, unless ctx ended first.
	//
	// Errors: ErrUnknownClinic, ErrTooLarge, ErrFull, ErrBusy, ErrUnavailable.
	Append(ctx context.Context, c wire.ClinicID, e Event) (wire.Seq, error)

	// After returns what follows seq, ascending, at most maxMsgs and about maxBytes (header and body), at least one if
	// there is one. A number below one already returned never appears later.
	//
	// When seq is below the highest number ever removed from this mailbox, it returns no event but a *GapError; the caller
	// announces it and asks again from GapError.RemovedTo. This is decided in the same snapshot as the read, so that
	// an Expire between two calls can never be skipped over silently.
	After(ctx context.Context, c wire.ClinicID, seq wire.Seq, maxMsgs, maxBytes int) ([]Event, error)

	// ReceivedAt returns the time of receipt of one event, or ErrNoEvent. It answers for as long as the event's metadata is
	// kept (30 days, not at all with hourly counts), also when the body is gone; of the highest number removed always, because
	// that is where the cursor of an agent that has everything may stand.
	ReceivedAt(ctx context.Context, c wire.ClinicID, seq wire.Seq) (time.Time, error)

	// Ack records that the appliance holds everything up to seq. A lower seq than the one recorded changes nothing.
	// A stale epoch changes nothing and is ErrStaleEpoch. It need not be durable at once: an implementation may put off up
	// to one second and then answer from memory, as long as a stale epoch is found at the latest when it is written.
	Ack(ctx context.Context, c wire.ClinicID, seq wire.Seq, ep wire.Epoch) error

	// Claim makes who the owner and returns a new, higher session epoch and the state of the mailbox. It is durable on
	// return: a later Claim never returns the same epoch again. Acks put off before it are settled before it.
	//
	// Errors: ErrUnknownClinic, ErrFull, ErrBusy, ErrUnavailable.
	Claim(ctx context.Context, c wire.ClinicID, who Claimant) (Claim, error)

	// Mailbox returns the same as the last Claim would now, and changes nothing: Epoch is the present session's (0: there was
	// none), Before its claimant. ErrUnknownClinic.
	Mailbox(ctx context.Context, c wire.ClinicID) (Claim, error)

	// Owned returns every clinic that was claimed last for node. Called once each ping round: a socket whose clinic is not
	// there, or is there with a higher epoch, has lost its clinic to another session.
	Owned(ctx context.Context, node NodeID) ([]Ownership, error)

	// Pending returns the clinics owned by node whose head is above what is acked, with the head: the net under Wake.
	// A store without wake-ups between nodes answers it cheaply enough to be asked every 500 ms.
	Pending(ctx context.Context, node NodeID) ([]Wakeup, error)

	// NewStoreEpoch gives one mailbox a new store epoch and returns it: what agents remember of its numbers is void.
	NewStoreEpoch(ctx context.Context, c wire.ClinicID) (wire.StoreEpoch, error)

	// NewStoreEpochs does so for all mailboxes: after a restore, or when a stale copy was promoted.
	NewStoreEpochs(ctx context.Context) error

	// Wake tells all nodes, this one included, that c has something up to seq. Seq 0 tells that something else about the
	// clinic changed: its owner, its token, its URLs, or that it is revoked. It never blocks and may fail silently.
	Wake(c wire.ClinicID, seq wire.Seq)
	// Subscribe delivers wake-ups until ctx ends, then the channel is closed. They may be late, doubled, joined (the highest
	// seq of a clinic; a seq 0 is never joined away) or lost. A receiver that does not keep up loses wake-ups, never
	// delays the store.
	Subscribe(ctx context.Context) (<-chan Wakeup, error)

	// Expire removes what retention and quotas no longer allow, oldest first and always a prefix of the mailbox, in batches of
	// about 1,000 rows, and records removed_to and when that event was received. It returns when nothing is left to do or after about l.Batches
	// batches (then Expired.More is true). It also deletes old metadata, pairings, notices and audit lines.
	Expire(ctx context.Context, now time.Time, l Limits) (Expired, error)

	// Health reads the state of the database and its disk; an error means that the relay is not ready.
	Health(ctx context.Context) (Health, error)
}

// GapError is returned by After when events following the asked number were removed from the mailbox.
type GapError struct {
	RemovedTo wire.Seq // the highest number ever removed
	Reason    string   // a gap reason of wire: why the last removal happened
}

// Error implements error.
func (e *GapError) Error() string {
	return fmt.Sprintf("relay: events up to %d were removed (%s)", e.RemovedTo, e.Reason)
}

// Claimant is a session that wants a clinic.
type Claimant struct {
	Node      NodeID
	Instance  wire.InstanceID
	Run       wire.RunID
	Transport string    // "websocket" or "long-poll"
	Version   string    // of the agent's program, at most 64 bytes
	At        time.Time // by the relay's clock
}

// Claim is a mailbox as its new owner finds it.
type Claim struct {
	Epoch      wire.Epoch      // the new session epoch
	StoreEpoch wire.StoreEpoch // of this mailbox
	Acked      wire.Seq        // what the agent acknowledged last, as far as the store knows
	RemovedTo  wire.Seq        // the highest number ever removed, 0: none
	Reason     string          // why, a gap reason of wire
	Oldest     wire.Seq        // the lowest number still present, 0: empty
	Head       wire.Seq        // the highest number ever given out, 0: none
	Before     Claimant        // the session before; zero when there was none
	LastHeard  time.Time       // when the clinic was last heard of before this claim; zero: never
}

// Ownership is what Owned returns for one clinic.
type Ownership struct {
	Clinic  wire.ClinicID
	Epoch   wire.Epoch
	Head    wire.Seq
	Acked   wire.Seq
	Revoked bool
}

// Wakeup is a hint that a clinic should be looked at.
type Wakeup struct {
	Clinic wire.ClinicID
	Seq    wire.Seq // 0: not about events; read the registry and the ownership again
}

// Limits is what Expire allows. A zero value of a field means its default.
type Limits struct {
	Unacked     time.Duration // age of an event nobody took; 14 days
	Events      int           // unacked events of a clinic; 100,000
	Bytes       int64         // unacked header and body bytes of a clinic; 64 MiB
	Acked       time.Duration // bodies after their ack; 72 hours
	Metadata    time.Duration // numbers, kinds, sizes, times; 30 days
	Audit       time.Duration // audit lines; 1 year
	Batches     int           // about 1,000 rows each, in one call; 50
	HourlyAbove int           // clinics above which metadata is kept as counts per clinic and hour; 10,000
}

// WithDefaults replaces zero fields.
func (l Limits) WithDefaults() Limits {
	set := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	const day = 24 * time.Hour
	set(&l.Unacked, 14*day)
	set(&l.Acked, 3*day)
	set(&l.Metadata, 30*day)
	set(&l.Audit, 365*day)
	if l.Events <= 0 {
		l.Events = 100_000
	}
	if l.Bytes <= 0 {
		l.Bytes = 64 << 20
	}
	if l.Batches <= 0 {
		l.Batches = 50
	}
	if l.HourlyAbove <= 0 {
		l.HourlyAbove = 10_000
	}
	return l
}

// Expired is what Expire did.
type Expired struct {
	Acked    int       // events removed after their ack
	Metadata int       // rows of metadata removed
	Dropped  []Dropped // holes: unacked events that were removed
	More     bool      // there is more to do
}

// Dropped is a hole in one mailbox.
type Dropped struct {
	Clinic wire.ClinicID
	From   wire.Seq // the first unacked number that was removed
	To     wire.Seq // the last
	Events int
	Reason string // "expired" or "quota", a gap reason of wire
}

// Health is the state of a store.
type Health struct {
	DatabaseBytes int64   // size of the database; -1: unknown
	DiskUsed      float64 // share of the disk in use, 0..1; -1: unknown
	Queued        int     // events waiting for the writer
	Full          bool    // a write failed for want of room, in the last 10 s or so: then one is to be tried again
}
