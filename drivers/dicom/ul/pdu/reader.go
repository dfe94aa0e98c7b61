package pdu

import (
	"encoding/binary"
	"errors"
	"io"
)

// Limits is the longest body accepted per PDU type, in bytes, indexed by Type.
type Limits [8]uint32

// firstBuffer is what a connection starts with; it holds every PDU of an
// ordinary association with a short query.
const firstBuffer = 4096

// Reader reads PDUs from a stream. Its buffer grows with the bytes that have
// arrived, never with the length a header announces. When a read fails, what
// has been read is kept and Next may be called again.
type Reader struct {
	Source io.Reader
	Limits Limits
	// Before is called before each read, if set; started tells whether a part
	// of a PDU has arrived already. It is the place to set deadlines.
	Before func(started bool) error
	// Grow is called before the buffer grows by n bytes, if set; an error refuses it.
	Grow func(n int) error

	buf    []byte
	lo, hi int // unread bytes
}

// SetBuffer gives the reader memory to start with; what it held is dropped.
func (r *Reader) SetBuffer(b []byte) { r.buf, r.lo, r.hi = b[:cap(b)], 0, 0 }

// Buffer takes the memory back. The reader starts a new one if it goes on.
func (r *Reader) Buffer() []byte {
	b := r.buf
	r.buf, r.lo, r.hi = nil, 0, 0
	return b
}

// Buffered is the number of bytes read from the source and not yet returned.
func (r *Reader) Buffered() int { return r.hi - r.lo }

// Drop forgets what is buffered.
func (r *Reader) Drop() { r.lo, r.hi = 0, 0 }

// Next returns the type and the body of the next PDU. The body is valid until
// the next call. At the end of the stream between two PDUs the error is
// io.EOF, within one io.ErrUnexpectedEOF. *UnknownTypeError and *TooLongError
// are returned as soon as the header is there.
func (r *Reader) Next() (Type, []byte, error) {
	for r.hi-r.lo < HeaderSize {
		if err := r.fill(HeaderSize); err != nil {
			return 0, nil, err
		}
	}
	t := Type(r.buf[r.lo])
	n := binary.BigEndian.Uint32(r.buf[r.lo+2:])
	if t < TypeAssociateRQ || t > TypeAbort {
		return t, nil, &UnknownTypeError{t}
	}
	if limit := r.Limits[t]; n > limit {
		return t, nil, &TooLongError{t, n, limit}
	}
	total := HeaderSize + int(n)
	for r.hi-r.lo < total {
		if err := r.fill(total); err != nil {
			return 0, nil, err
		}
	}
	body := r.buf[r.lo+HeaderSize : r.lo+total : r.lo+total]
	r.lo += total
	return t, body, nil
}

// fill reads once. want is the number of unread bytes the caller needs.
func (r *Reader) fill(want int) error {
	if r.lo == r.hi {
		r.lo, r.hi = 0, 0
	}
	if r.hi == len(r.buf) && r.lo > 0 || r.lo+want > len(r.buf) && r.lo > 0 {
		r.hi = copy(r.buf, r.buf[r.lo:r.hi])
		r.lo = 0
	}
	if r.hi == len(r.buf) {
		// Full of bytes that have arrived: twice as much, but no more than needed.
		size := max(2*len(r.buf), firstBuffer)
		if size > want && len(r.buf) >= firstBuffer {
			size = want
		}
		if r.Grow != nil {
			if err := r.Grow(size - len(r.buf)); err != nil {
				return err
			}
		}
		b := make([]byte, size)
		r.hi = copy(b, r.buf[r.lo:r.hi])
		r.lo, r.buf = 0, b
	}
	if r.Before != nil {
		if err := r.Before(r.hi > r.lo); err != nil {
			return err
		}
	}
	n, err := r.Source.Read(r.buf[r.hi:])
	r.hi += n
	if n > 0 {
		return nil // an error will come again
	}
	if errors.Is(err, io.EOF) && r.hi > r.lo {
		return io.ErrUnexpectedEOF
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}
