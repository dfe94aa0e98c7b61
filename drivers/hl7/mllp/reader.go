package mllp

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"time"
)

const (
	// DefaultMaxFrame is the largest message read unless configured otherwise.
	DefaultMaxFrame = 32 << 20
	// keepBytes is how much of a bad frame is kept.
	keepBytes = 64 << 10
	// grace is how long the reader waits for the byte that tells whether an FS, or
	// garbage, is complete. A device that leaves out the CR waits for its answer.
	grace = 250 * time.Millisecond
	// discardFactor bounds how much of a message that is too large is skipped, in
	// multiples of the limit, before the connection is given up.
	discardFactor = 8
	readSize      = 32 << 10
)

// ReaderConfig says how frames are read. The zero value reads with the defaults.
type ReaderConfig struct {
	// MaxFrame is the largest message in bytes, default [DefaultMaxFrame].
	MaxFrame int
	// Reserve is asked for the memory of a message beyond the first mebibyte, and
	// given it back with a negative number; nil grants everything.
	Reserve func(bytes int) bool
}

// Reader reads frames from a connection. It is for one goroutine.
type Reader struct {
	r      io.Reader
	config ReaderConfig
	buf    []byte // read and not consumed: buf[pos:]
	pos    int
	err    error // of r, once it came

	deadliner interface{ SetReadDeadline(time.Time) error }
	timeouts  Timeouts
	started   time.Time
	reserved  int
}

// Timeouts bound the reading of frames where the source has SetReadDeadline, as
// a net.Conn has. Zero means forever.
type Timeouts struct {
	Idle  time.Duration // until a frame begins
	Frame time.Duration // from its first byte to its last
}

// NewReader returns a reader of frames from r.
func NewReader(r io.Reader, c ReaderConfig) *Reader {
	if c.MaxFrame <= 0 {
		c.MaxFrame = DefaultMaxFrame
	}
	d, _ := r.(interface{ SetReadDeadline(time.Time) error })
	return &Reader{r: r, config: c, deadliner: d}
}

// SetTimeouts sets the deadlines of the following frames.
func (r *Reader) SetTimeouts(t Timeouts) { r.timeouts = t }

// Buffered reports whether there are bytes that were read but belong to no frame
// that was returned.
func (r *Reader) Buffered() bool { return r.pos < len(r.buf) }

// fill reads more bytes. With short it waits for the grace only and reports
// false, nil when nothing came.
func (r *Reader) fill(short bool) (bool, error) {
	if r.err != nil {
		return false, r.err
	}
	if r.pos > 0 && r.pos == len(r.buf) {
		r.buf, r.pos = r.buf[:0], 0
	}
	if cap(r.buf)-len(r.buf) < readSize {
		if r.pos > 0 {
			n := copy(r.buf, r.buf[r.pos:])
			r.buf, r.pos = r.buf[:n], 0
		}
		r.buf = slices.Grow(r.buf, readSize)
	}
	r.setDeadline(short)
	n, err := r.r.Read(r.buf[len(r.buf):cap(r.buf)])
	r.buf = r.buf[:len(r.buf)+n]
	if n > 0 {
		if r.started.IsZero() {
			r.started = time.Now()
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			r.err = err
		}
		return true, nil
	}
	if err == nil {
		return false, nil // a reader may do so; the caller asks again
	}
	if short && r.deadliner != nil && errors.Is(err, os.ErrDeadlineExceeded) && !r.frameExpired() {
		return false, nil
	}
	r.err = err
	return false, err
}

func (r *Reader) frameExpired() bool {
	return r.timeouts.Frame > 0 && !r.started.IsZero() && time.Since(r.started) >= r.timeouts.Frame
}

// setDeadline sets the deadline of one read.
func (r *Reader) setDeadline(short bool) {
	if r.deadliner == nil {
		return
	}
	var at time.Time
	switch {
	case !r.started.IsZero() && r.timeouts.Frame > 0:
		at = r.started.Add(r.timeouts.Frame)
	case r.started.IsZero() && r.timeouts.Idle > 0:
		at = time.Now().Add(r.timeouts.Idle)
	}
	if soon := time.Now().Add(grace); short && (at.IsZero() || soon.Before(at)) {
		at = soon
	}
	_ = r.deadliner.SetReadDeadline(at)
}

// more makes sure there is a byte at r.pos. ok is false without an error when
// none came within the grace.
func (r *Reader) more(short bool) (ok bool, err error) {
	for r.pos == len(r.buf) {
		ok, err := r.fill(short)
		if err != nil {
			return false, err
		}
		if !ok && short {
			return false, nil
		}
	}
	return true, nil
}

// Next returns the next message. A [FrameError] tells of bytes that are none;
// unless it is fatal, Next may be called again. io.EOF comes between frames only.
func (r *Reader) Next() (Frame, error) {
	r.started = time.Time{}
	if r.Buffered() {
		r.started = time.Now()
	}
	r.Release()
	stray, err := r.skipStray()
	if err != nil {
		return Frame{}, err
	}
	var notes []string
	if stray {
		notes = append(notes, NoteStrayBytes)
	}
	r.started = time.Now()
	if r.buf[r.pos] != startBlock {
		begins, err := r.beginsWithMSH()
		if err != nil || !begins {
			return Frame{}, r.garbage(err)
		}
		return r.body(append(notes, NoteNoStart))
	}
	r.pos++
	return r.body(notes)
}

// skipStray skips what may stand between frames.
func (r *Reader) skipStray() (stray bool, err error) {
	for {
		if _, err := r.more(false); err != nil {
			return false, err
		}
		switch r.buf[r.pos] {
		case carriageReturn:
			r.pos++ // the second CR of an answer is too common to be noted
		case '\n', 0, endBlock:
			r.pos++
			stray = true
		case 0xEF:
			bom, err := r.has("\xEF\xBB\xBF")
			if err != nil || !bom {
				return stray, err
			}
			r.pos += 3
			stray = true
		default:
			return stray, nil
		}
		if r.pos == len(r.buf) {
			r.started = time.Time{} // nothing of a frame was seen
		}
	}
}

// has reports whether s comes next; it reads on for as long as that is possible.
func (r *Reader) has(s string) (bool, error) {
	for i := range len(s) {
		for r.pos+i >= len(r.buf) {
			ok, err := r.fill(true)
			if err != nil && !errors.Is(err, io.EOF) {
				return false, err
			}
			if !ok {
				return false, nil
			}
		}
		if r.buf[r.pos+i] != s[i] {
			return false, nil
		}
	}
	return true, nil
}

func (r *Reader) beginsWithMSH() (bool, error) { return r.has("MSH") }

// garbage collects bytes up to the next VT, FS or pause.
func (r *Reader) garbage(cause error) error {
	e := &FrameError{Reason: ErrGarbage, Err: cause}
	if b := r.buf[r.pos:]; len(b) >= 2 && b[0] == 0x16 && b[1] == 0x03 {
		e.Reason, e.Fatal = ErrTLS, true
	}
	for cause == nil {
		b := r.buf[r.pos:]
		end := bytes.IndexAny(b, "\x0B\x1C")
		if end < 0 {
			end = len(b)
		}
		e.keep(b[:end])
		r.pos += end
		if e.Size > int64(discardFactor)*int64(r.config.MaxFrame) {
			e.Fatal = true
			return e
		}
		if r.pos < len(r.buf) {
			return e
		}
		ok, err := r.more(true)
		if err != nil {
			e.Err, e.Fatal = err, true
			return e
		}
		if !ok {
			return e
		}
	}
	e.Fatal = true
	return e
}

// keep adds b to the bytes of a bad frame.
func (e *FrameError) keep(b []byte) {
	e.Size += int64(len(b))
	if room := keepBytes - len(e.Bytes); room > 0 {
		e.Bytes = append(e.Bytes, b[:min(room, len(b))]...)
	}
}

// body reads from behind VT to the end of the frame.
func (r *Reader) body(notes []string) (Frame, error) {
	notes, err := r.skipDoubleStart(notes)
	if err != nil {
		return Frame{}, &FrameError{Reason: ErrTruncated, Fatal: true, Err: err}
	}
	var payload []byte
	for {
		if _, err := r.more(false); err != nil {
			return Frame{}, r.truncated(payload, err)
		}
		b := r.buf[r.pos:]
		end := bytes.IndexByte(b, endBlock)
		part := b
		if end >= 0 {
			part = b[:end]
		}
		if len(payload)+len(part) > r.config.MaxFrame {
			return Frame{}, r.discard(payload, ErrTooLarge)
		}
		if payload, err = r.add(payload, part); err != nil {
			return Frame{}, r.discard(payload, err)
		}
		r.pos += len(part)
		if end < 0 {
			continue
		}
		done, note, err := r.atEnd()
		if err != nil {
			return Frame{}, r.truncated(payload, err)
		}
		if note != "" {
			notes = append(notes, note)
		}
		if done {
			return r.finish(payload, notes)
		}
		if payload, err = r.add(payload, []byte{endBlock}); err != nil {
			return Frame{}, r.discard(payload, err)
		}
	}
}

// skipDoubleStart skips further VTs, a byte order mark and NULs behind VT.
func (r *Reader) skipDoubleStart(notes []string) ([]string, error) {
	for {
		if _, err := r.more(false); err != nil {
			return notes, err
		}
		note := ""
		switch r.buf[r.pos] {
		case startBlock:
			note = NoteDoubleStart
			r.pos++
		case 0:
			note = NoteNUL
			r.pos++
		case carriageReturn, '\n':
			note = NoteStrayBytes
			r.pos++
		case 0xEF:
			bom, err := r.has("\xEF\xBB\xBF")
			if err != nil || !bom {
				return notes, err
			}
			note = NoteByteOrderMark
			r.pos += 3
		default:
			return notes, nil
		}
		if !slices.Contains(notes, note) {
			notes = append(notes, note)
		}
	}
}

// atEnd stands at an FS and decides whether it ends the frame. It consumes what
// belongs to the end, or the FS alone when that is data.
func (r *Reader) atEnd() (done bool, note string, err error) {
	r.pos++
	double := false
	for {
		ok, err := r.more(true)
		if err != nil && !errors.Is(err, io.EOF) {
			return false, "", err
		}
		if !ok {
			return true, NoteNoCR, nil // nothing more comes: the peer waits or has gone
		}
		switch r.buf[r.pos] {
		case carriageReturn:
			r.pos++
			if double {
				return true, NoteDoubleEnd, nil
			}
			return true, "", nil
		case '\n':
			r.pos++
			return true, NoteEndLF, nil
		case endBlock:
			r.pos++
			double = true
		case startBlock, 0:
			return true, NoteNoCR, nil
		default:
			if double {
				return true, NoteDoubleEnd, nil
			}
			return false, NoteEndInside, nil
		}
	}
}

// finish returns the frame. When a header stands behind a VT inside, a frame
// without an end came before: that is reported, and the rest comes next.
func (r *Reader) finish(payload []byte, notes []string) (Frame, error) {
	if i := bytes.Index(payload, []byte("\x0BMSH")); i >= 0 {
		rest := payload[i:]
		// Give it back, with an end, in front of what follows.
		back := make([]byte, 0, len(rest)+2+len(r.buf)-r.pos)
		back = append(append(append(back, rest...), endBlock, carriageReturn), r.buf[r.pos:]...)
		r.buf, r.pos = back, 0
		e := &FrameError{Reason: ErrTruncated}
		e.keep(payload[:i])
		return Frame{}, e
	}
	if len(payload) == 0 {
		return Frame{}, &FrameError{Reason: ErrEmpty}
	}
	return Frame{Payload: payload, Notes: notes}, nil
}

// truncated reports a frame whose end never came.
func (r *Reader) truncated(payload []byte, err error) error {
	e := &FrameError{Reason: ErrTruncated, Fatal: true, Err: err}
	e.keep(payload)
	return e
}

// freeBytes is what a message may take without asking Reserve.
const freeBytes = 1 << 20

// add appends b to a payload. Memory doubles, and only for what has come.
func (r *Reader) add(payload, b []byte) ([]byte, error) {
	need := len(payload) + len(b)
	if need <= cap(payload) {
		return append(payload, b...), nil
	}
	size := min(max(2*cap(payload), need, 512), r.config.MaxFrame+1)
	if size > freeBytes && r.config.Reserve != nil {
		if !r.config.Reserve(size - r.reserved) {
			return payload, ErrBusy
		}
		r.reserved = size
	}
	grown := make([]byte, len(payload), size)
	copy(grown, payload)
	return append(grown, b...), nil
}

// Release gives the memory of the last message back to Reserve. Next does so too.
func (r *Reader) Release() {
	if r.reserved > 0 {
		r.config.Reserve(-r.reserved)
		r.reserved = 0
	}
}

// discard skips the rest of a message that cannot be taken, so that the peer can
// be answered and the next one read.
func (r *Reader) discard(payload []byte, reason error) error {
	e := &FrameError{Reason: reason}
	e.keep(payload)
	r.Release()
	pending := false // an FS was the last byte
	for {
		if _, err := r.more(false); err != nil {
			e.Err, e.Fatal = err, true
			return e
		}
		b := r.buf[r.pos:]
		if pending && b[0] == carriageReturn {
			r.pos++
			return e
		}
		if pending {
			e.keep([]byte{endBlock})
		}
		if i := bytes.Index(b, []byte{endBlock, carriageReturn}); i >= 0 {
			e.keep(b[:i])
			r.pos += i + 2
			return e
		}
		pending = b[len(b)-1] == endBlock
		if pending {
			b = b[:len(b)-1]
		}
		e.keep(b)
		r.pos = len(r.buf)
		if e.Size > int64(discardFactor)*int64(r.config.MaxFrame) {
			e.Fatal = true
			return e
		}
	}
}
