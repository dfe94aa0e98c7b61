package wire

import (
	"errors"
	"time"
)

// Sizes in bytes and counts.
const (
	// FixedSize is the part of an event frame before its header.
	FixedSize = 21
	// MaxHeader is the largest header of an event frame.
	MaxHeader = 16 << 10
	// DefaultMaxBody and MaxBody bound the body of one POST: what a relay takes
	// unless told, and what it may be told.
	DefaultMaxBody = 64 << 10
	MaxBody        = 1 << 20
	// FrameOverhead is the most by which an event frame exceeds its POST's body,
	// sealed or not.
	FrameOverhead = FixedSize + MaxHeader
	// MaxFrame is the largest event frame an agent reads, whatever the relay says.
	MaxFrame = MaxBody + FrameOverhead
	// MaxControl is the largest control frame.
	MaxControl = 64 << 10
	// MaxRequest is the largest JSON of a request's fields (path, query, headers).
	MaxRequest = 15 << 10
	// NonceSize is the length of a challenge's nonce.
	NonceSize = 32
	// WindowMsgs and WindowBytes are the window an agent asks for, and
	// MaxWindowMsgs and MaxWindowBytes the largest a relay grants.
	WindowMsgs     = 256
	WindowBytes    = 1 << 20
	MaxWindowMsgs  = 4096
	MaxWindowBytes = 16 << 20
	// AckEvents and AckDelay: an ack is sent after that many events or that time.
	AckEvents = 64
	// MaxPollAnswer is the largest answer to a poll: the window, and one event more.
	MaxPollAnswer = WindowBytes + MaxFrame + MaxControl
	// MaxPair is the largest body of a pairing, either way.
	MaxPair = 64 << 10
	// MaxNotice is the longest text of a notice.
	MaxNotice = 2000
)

// Times of the protocol.
const (
	AckDelay = 50 * time.Millisecond
	// PingEvery is the distance of pings, from both ends; DeadAfter without any
	// frame ends a connection.
	PingEvery = 25 * time.Second
	DeadAfter = 65 * time.Second
	// HandshakeTimeout bounds each step of the handshake.
	HandshakeTimeout = 10 * time.Second
	// WriteTimeout bounds the writing of one frame.
	WriteTimeout = 10 * time.Second
	// PollWait is the longest a relay holds a poll without events.
	PollWait = 25 * time.Second
	// PollNonceLife is how long the nonce of a poll may be used.
	PollNonceLife = 2 * time.Minute
	// MaxReconnectWindow is the largest reconnect window of a welcome.
	MaxReconnectWindow = 10 * time.Minute
	// MaxRetry is the longest wait a relay may ask for.
	MaxRetry = time.Hour
	// MaxSkew is the difference of clocks from which an agent tells of it.
	MaxSkew = 60 * time.Second
	// CodeLife is how long a pairing code is valid.
	CodeLife = time.Hour
	// OldTokenLife is how long the old token lives after a rotated.
	OldTokenLife = 7 * 24 * time.Hour
	// RotateEvery is the age at which a relay rotates a token.
	RotateEvery = 90 * 24 * time.Hour
)

// Limits bound what is decoded. A zero field means the constant beside it.
type Limits struct {
	MaxFrame   int // MaxFrame
	MaxHeader  int // MaxHeader
	MaxControl int // MaxControl
}

func (l Limits) frame() int   { return pick(l.MaxFrame, MaxFrame) }
func (l Limits) header() int  { return pick(l.MaxHeader, MaxHeader) }
func (l Limits) control() int { return pick(l.MaxControl, MaxControl) }

func pick(v, otherwise int) int {
	if v > 0 {
		return v
	}
	return otherwise
}

// Kinds of failure, to compare with errors.Is.
var (
	// ErrMalformed means that bytes are no frame of this protocol.
	ErrMalformed = errors.New("wire: malformed")
	// ErrTooLarge means that something exceeds its limit.
	ErrTooLarge = errors.New("wire: too large")
	// ErrUnknownKey means that an event was sealed to another key than the one given.
	ErrUnknownKey = errors.New("wire: sealed to another key")
	// ErrSeal means that a sealed event does not open: it was changed, belongs to
	// another clinic, or was made by a newer version.
	ErrSeal = errors.New("wire: the seal does not open")
)
