package mllp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Characters of a frame.
const (
	startBlock     = 0x0B // VT
	endBlock       = 0x1C // FS
	carriageReturn = 0x0D
)

// Frame is one message as it was read.
type Frame struct {
	// Payload is what stood between the frame characters. It is the reader's no more.
	Payload []byte
	// Notes tell how the frame deviates from the standard, nil when it does not.
	Notes []string
}

// Notes on frames.
const (
	NoteStrayBytes    = "line ends, NULs or a byte order mark stood in front of the frame"
	NoteByteOrderMark = "a byte order mark stood behind the start of the frame"
	NoteNoStart       = "the frame did not begin with VT"
	NoteDoubleStart   = "the frame began with more than one VT"
	NoteNoCR          = "the frame ended with FS without CR"
	NoteEndLF         = "the frame ended with FS and LF"
	NoteDoubleEnd     = "the frame ended with more than one FS"
	NoteEndInside     = "there is an FS inside the message"
	NoteNUL           = "NULs stood in front of the message"
)

// Reasons of a [FrameError].
var (
	// ErrGarbage means bytes that belong to no frame.
	ErrGarbage = errors.New("the bytes do not begin a message: neither VT nor MSH")
	// ErrTLS means that the peer speaks TLS to a plain port.
	ErrTLS = errors.New("the peer speaks TLS, this port does not")
	// ErrTooLarge means a message above the limit.
	ErrTooLarge = errors.New("the message is larger than allowed")
	// ErrTruncated means that a frame has no end: the peer went away, or a new
	// frame began.
	ErrTruncated = errors.New("the frame has no end")
	// ErrEmpty means a frame without a message.
	ErrEmpty = errors.New("the frame is empty")
	// ErrBusy means that there is no memory for more messages at the moment.
	ErrBusy = errors.New("too many large messages at once")
)

// FrameError says why bytes are no frame.
type FrameError struct {
	// Reason is one of the errors above.
	Reason error
	// Bytes are the first of the bytes, at most keepBytes.
	Bytes []byte
	// Size is how many there were.
	Size int64
	// Fatal means that the reader lost its place: the connection is of no use.
	Fatal bool
	// Err is the error of the connection, if that ended the frame.
	Err error
}

func (e *FrameError) Error() string {
	if e.Err != nil && !errors.Is(e.Err, io.EOF) {
		return fmt.Sprintf("mllp: %v (%d bytes): %v", e.Reason, e.Size, e.Err)
	}
	return fmt.Sprintf("mllp: %v (%d bytes)", e.Reason, e.Size)
}

// Unwrap returns the reason and the error of the connection.
func (e *FrameError) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Reason}
	}
	return []error{e.Reason, e.Err}
}

// ErrFrameCharacter refuses to write a message that holds a frame character.
var ErrFrameCharacter = errors.New("mllp: the message holds VT or FS, or is empty")

// AppendFrame appends payload in its frame to b.
func AppendFrame(b, payload []byte) ([]byte, error) {
	if len(payload) == 0 || bytes.IndexByte(payload, startBlock) >= 0 || bytes.IndexByte(payload, endBlock) >= 0 {
		return b, ErrFrameCharacter
	}
	if cap(b)-len(b) < len(payload)+3 {
		b = append(make([]byte, 0, len(b)+len(payload)+3), b...)
	}
	return append(append(append(b, startBlock), payload...), endBlock, carriageReturn), nil
}

// Write writes payload in its frame with one call of w.Write.
func Write(w io.Writer, payload []byte) error {
	frame, err := AppendFrame(nil, payload)
	if err != nil {
		return err
	}
	_, err = w.Write(frame)
	return err
}
