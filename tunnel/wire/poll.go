package wire

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/url"
	"strconv"
)

// Paths of the relay.
const (
	TunnelPath = "/v1/tunnel" // GET, websocket
	PollPath   = "/v1/poll"   // GET
	AckPath    = "/v1/ack"    // POST
)

// Headers.
const (
	// HeaderRelay is on every answer of a relay under /v1/; its value is Protocol.
	// A refusal without it was spoken by a proxy or a login portal.
	HeaderRelay = "Rayhound-Relay"
	// HeaderNonce carries the nonce to sign in the next poll or ack: on every
	// answer to one, and on the 401 to a request whose nonce is missing, too old or
	// wrongly signed. A 401 without it means the token.
	HeaderNonce = "Rayhound-Nonce"
	// HeaderHello carries the agent's signed hello, see [EncodeHello].
	HeaderHello = "Rayhound-Hello"
)

// MaxNonce is the longest nonce of a poll in bytes. It is text, opaque to the agent.
const MaxNonce = 256

// PollTarget is the path and query of a poll: what is sent and signed.
func PollTarget(after Seq, waitSeconds int) string {
	return PollPath + "?after=" + strconv.FormatInt(int64(after), 10) + "&wait=" + strconv.Itoa(waitSeconds)
}

// ParsePollQuery reads the query of a poll: after, and the wait in seconds, 0 to 25.
func ParsePollQuery(rawQuery string) (after Seq, waitSeconds int, err error) {
	q, err := url.ParseQuery(rawQuery)
	if err != nil {
		return 0, 0, fmt.Errorf("%w: poll: %w", ErrMalformed, err)
	}
	n, err := strconv.ParseInt(q.Get("after"), 10, 64)
	if err != nil || n < 0 {
		return 0, 0, fmt.Errorf("%w: poll: after", ErrMalformed)
	}
	w, err := strconv.Atoi(q.Get("wait"))
	if err != nil || w < 0 {
		return 0, 0, fmt.Errorf("%w: poll: wait", ErrMalformed)
	}
	return Seq(n), min(w, int(PollWait.Seconds())), nil
}

// EncodeHello returns the value of HeaderHello: nonce, a dot, and the hello frame in
// base64url without padding.
func EncodeHello(nonce string, h *Hello) (string, error) {
	b, err := EncodeControl(h)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString([]byte(nonce)) + "." + base64.RawURLEncoding.EncodeToString(b), nil
}

// DecodeHello reads the value of HeaderHello.
func DecodeHello(s string) (nonce string, h *Hello, err error) {
	if len(s) > 8<<10 {
		return "", nil, fmt.Errorf("%w: a hello of %d bytes", ErrTooLarge, len(s))
	}
	for i := range len(s) {
		if s[i] != '.' {
			continue
		}
		n, err := base64.RawURLEncoding.DecodeString(s[:i])
		if err != nil || len(n) > MaxNonce {
			return "", nil, fmt.Errorf("%w: nonce of a hello", ErrMalformed)
		}
		b, err := base64.RawURLEncoding.DecodeString(s[i+1:])
		if err != nil {
			return "", nil, fmt.Errorf("%w: hello: %w", ErrMalformed, err)
		}
		c, err := DecodeControl(b, Limits{})
		if err != nil {
			return "", nil, err
		}
		h, ok := c.(*Hello)
		if !ok {
			return "", nil, fmt.Errorf("%w: a %s instead of a hello", ErrMalformed, c.Type())
		}
		return string(n), h, nil
	}
	return "", nil, fmt.Errorf("%w: hello without a nonce", ErrMalformed)
}

// Frame is one frame: an event, or, when Control is not nil, a control frame.
type Frame struct {
	Event   Event
	Control Control
}

// AppendPolled appends one frame of a poll's answer or of an ack's body: its length
// in 4 bytes, big-endian, and the frame as on the websocket, an event or a control.
func AppendPolled(dst, frame []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(frame)))
	return append(dst, frame...)
}

// SplitEvents reads the answer to a poll, and the body of an ack: frames one after
// the other as [AppendPolled] writes them, in the order in which a websocket would
// have carried them; the answer starts with a welcome. Events are parts of b. A frame
// that begins with TypeEvent is an event, one that begins with '{' a control frame.
func SplitEvents(b []byte, lim Limits) ([]Frame, error) {
	if len(b) > MaxPollAnswer {
		return nil, fmt.Errorf("%w: an answer of %d bytes", ErrTooLarge, len(b))
	}
	var out []Frame
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, fmt.Errorf("%w: an answer that ends in a length", ErrMalformed)
		}
		n := binary.BigEndian.Uint32(b)
		b = b[4:]
		if n == 0 || int64(n) > int64(len(b)) {
			return nil, fmt.Errorf("%w: a frame of %d bytes in %d", ErrMalformed, n, len(b))
		}
		if len(out) == MaxWindowMsgs+100 {
			return nil, fmt.Errorf("%w: an answer of too many frames", ErrTooLarge)
		}
		f, err := DecodeFrame(b[:n:n], b[0] == '{', lim)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
		b = b[n:]
	}
	return out, nil
}

// DecodeFrame reads one frame of either sort; text tells which.
func DecodeFrame(b []byte, text bool, lim Limits) (Frame, error) {
	if text {
		c, err := DecodeControl(b, lim)
		return Frame{Control: c}, err
	}
	e, err := DecodeEvent(b, lim)
	return Frame{Event: e}, err
}
