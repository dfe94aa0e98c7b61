package wire

import (
	"encoding/binary"
	"fmt"
	"time"
)

// TypeEvent is the first byte of an event frame. Any other first byte of a binary
// frame is a protocol error.
const TypeEvent = 0x01

// Event is one POST in a clinic's mailbox.
type Event struct {
	Seq        Seq
	ReceivedAt time.Time // UTC, to the microsecond, by the relay's clock
	Header     []byte    // JSON, an [EventHeader], at most MaxHeader
	Body       []byte    // sealed, or as it was received
}

// AppendEvent appends the frame of e to dst:
//
//	1 B  0x01
//	8 B  seq, big-endian
//	8 B  received at, µs since 1970, big-endian
//	4 B  length of the header, big-endian
//	n B  header
//	     body, the rest
func AppendEvent(dst []byte, e Event) []byte {
	dst = append(dst, TypeEvent)
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.Seq))
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.ReceivedAt.UnixMicro()))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(e.Header)))
	dst = append(dst, e.Header...)
	return append(dst, e.Body...)
}

// maxMicros is the last microsecond of the year 9999, the latest that JSON can tell.
const maxMicros = 253402300799999999

// DecodeEvent reads one event frame. Header and Body are parts of b, not copies. It
// fails with ErrMalformed or ErrTooLarge.
func DecodeEvent(b []byte, lim Limits) (Event, error) {
	if len(b) > lim.frame() {
		return Event{}, fmt.Errorf("%w: an event frame of %d bytes", ErrTooLarge, len(b))
	}
	if len(b) < FixedSize {
		return Event{}, fmt.Errorf("%w: an event frame of %d bytes", ErrMalformed, len(b))
	}
	if b[0] != TypeEvent {
		return Event{}, fmt.Errorf("%w: binary frame of type %#02x", ErrMalformed, b[0])
	}
	seq := binary.BigEndian.Uint64(b[1:])
	if seq == 0 || seq > 1<<63-1 {
		return Event{}, fmt.Errorf("%w: event number %#x", ErrMalformed, seq)
	}
	at := binary.BigEndian.Uint64(b[9:])
	if at > maxMicros {
		return Event{}, fmt.Errorf("%w: time of receipt %#x", ErrMalformed, at)
	}
	n := binary.BigEndian.Uint32(b[17:])
	if int64(n) > int64(lim.header()) {
		return Event{}, fmt.Errorf("%w: an event's header of %d bytes", ErrTooLarge, n)
	}
	rest := b[FixedSize:]
	if int64(n) > int64(len(rest)) {
		return Event{}, fmt.Errorf("%w: header of %d bytes in %d", ErrMalformed, n, len(rest))
	}
	return Event{
		Seq:        Seq(seq),
		ReceivedAt: time.UnixMicro(int64(at)).UTC(),
		Header:     rest[:n:n],
		Body:       rest[n:len(rest):len(rest)],
	}, nil
}
