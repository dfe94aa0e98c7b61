package mllp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// ClientConfig configures a [Client]. Only Address must be set.
type ClientConfig struct {
	// Address is "host:port".
	Address string
	// TLS, when it is not nil, makes the client speak TLS; see [Pin].
	TLS *tls.Config
	// Persistent keeps the connection for the next message. When a peer shows that
	// it closes after each answer, the client stops keeping it.
	Persistent bool
	// MinGap is the least time from the end of one exchange, the answer in most
	// cases, to the sending of the next message.
	MinGap time.Duration
	// ConnectTimeout bounds connecting and the TLS handshake, default 10 s;
	// WriteTimeout sending one message, default 30 s; AnswerTimeout the wait for its
	// answer, default 30 s.
	ConnectTimeout, WriteTimeout, AnswerTimeout time.Duration
	// KeepAlive is as in [ServerConfig], default 3 min.
	KeepAlive time.Duration
	// MaxAnswer is the largest answer in bytes, default 1 MiB.
	MaxAnswer int
	// OnStray hears of answers that belong to no message in flight, late ones and
	// foreign ones, and of bytes that are none. It may be called from another
	// goroutine than Send.
	OnStray func(raw []byte, reason error)
	// Dial replaces the dialing of TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Match says of an answer whether it is to the message in flight, and whether it
// is the last one to wait for. An answer that is ours and not final is returned
// when no further one comes.
type Match func(answer []byte) (ours, final bool)

// Kinds of failure of Send, to compare with errors.Is.
var (
	// ErrConnect means that there was no connection: nothing was sent.
	ErrConnect = errors.New("mllp: cannot connect")
	// ErrWrite means that the message could not be written as a whole. The peer
	// does not have all of it.
	ErrWrite = errors.New("mllp: the message could not be written")
	// ErrTimeout means that no answer came in time: the outcome is unknown.
	ErrTimeout = errors.New("mllp: no answer in time")
	// ErrPeerClosed means that the peer closed before it answered: the outcome is
	// unknown.
	ErrPeerClosed = errors.New("mllp: the peer closed the connection before it answered")
	// ErrBadAnswer means that what came back is no message: the outcome is unknown.
	ErrBadAnswer = errors.New("mllp: the answer is no message")
	// ErrCancelled means that the context ended. Whether the message was sent is
	// told by [SendError.Sent].
	ErrCancelled = errors.New("mllp: the sending was given up")
	// ErrClosed means that the client was closed.
	ErrClosed = errors.New("mllp: the client is closed")
	// ErrStray is the reason of an answer to no message in flight.
	ErrStray = errors.New("mllp: an answer to no message in flight")
)

// SendError is why a message has no answer.
type SendError struct {
	// Kind is one of the errors above.
	Kind error
	// Sent reports whether the peer may have the message.
	Sent bool
	// Raw is what came instead of an answer, at most 64 KiB.
	Raw []byte
	Err error
}

func (e *SendError) Error() string {
	if e.Err == nil {
		return e.Kind.Error()
	}
	return fmt.Sprintf("%v: %v", e.Kind, e.Err)
}

// Unwrap returns kind and cause.
func (e *SendError) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// Client sends messages to one peer, one at a time. Its methods may be called by
// several goroutines; they wait for each other.
type Client struct {
	config ClientConfig
	turn   chan struct{} // holds one token: who has it sends

	// Guarded by turn.
	link       *link
	lastEnd    time.Time // end of the last exchange
	perMessage bool      // the peer closes after each answer
	closed     bool
}

// NewClient returns a client. It connects with the first message.
func NewClient(c ClientConfig) *Client {
	duration := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	duration(&c.ConnectTimeout, 10*time.Second)
	duration(&c.WriteTimeout, 30*time.Second)
	duration(&c.AnswerTimeout, 30*time.Second)
	duration(&c.KeepAlive, defaultKeepAlive)
	if c.MaxAnswer <= 0 {
		c.MaxAnswer = 1 << 20
	}
	cl := &Client{config: c, turn: make(chan struct{}, 1)}
	cl.turn <- struct{}{}
	return cl
}

// Send sends one message and returns the answer that match calls ours. match nil
// takes the first message that comes back. What came before, late answers to
// earlier messages among it, is never offered to match.
//
// After any failure the connection is closed: an answer that comes too late dies
// with it. All errors are of type [SendError].
func (c *Client) Send(ctx context.Context, message []byte, match Match) ([]byte, error) {
	frame, err := AppendFrame(nil, message)
	if err != nil {
		return nil, &SendError{Kind: ErrWrite, Err: err}
	}
	select {
	case <-c.turn:
	case <-ctx.Done():
		return nil, &SendError{Kind: ErrCancelled, Err: context.Cause(ctx)}
	}
	defer func() { c.turn <- struct{}{} }()
	if c.closed {
		return nil, &SendError{Kind: ErrClosed}
	}
	if err := c.gap(ctx); err != nil {
		return nil, err
	}
	l, err := c.connection(ctx)
	if err != nil {
		return nil, err
	}
	before := l.lastAnswer // zero when the connection is new
	answer, sendErr := c.exchange(ctx, l, frame, match)
	if (errors.Is(sendErr, ErrPeerClosed) || errors.Is(sendErr, ErrWrite)) && !before.IsZero() && time.Since(before) < closeSoon {
		c.perMessage = true // its closing and our message met on their ways
	}
	c.lastEnd = time.Now()
	l.lastAnswer = c.lastEnd
	if sendErr != nil {
		c.drop()
		return answer, sendErr
	}
	if !c.config.Persistent || c.perMessage {
		c.drop()
	}
	return answer, nil
}

// Close closes the connection, after the message in flight.
func (c *Client) Close() error {
	<-c.turn
	defer func() { c.turn <- struct{}{} }()
	c.closed = true
	c.drop()
	return nil
}

// Disconnect closes the connection between two messages; the next one opens it again.
func (c *Client) Disconnect() {
	<-c.turn
	defer func() { c.turn <- struct{}{} }()
	c.drop()
}

func (c *Client) drop() {
	if c.link != nil {
		c.link.close()
		c.link = nil
	}
}

func (c *Client) stray(raw []byte, reason error) {
	if c.config.OnStray != nil {
		c.config.OnStray(raw, reason)
	}
}

// gap waits until the peer may get the next message.
func (c *Client) gap(ctx context.Context) error {
	if c.config.MinGap <= 0 || c.lastEnd.IsZero() {
		return nil
	}
	rest := time.Until(c.lastEnd.Add(c.config.MinGap))
	if rest <= 0 {
		return nil
	}
	timer := time.NewTimer(rest)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return &SendError{Kind: ErrCancelled, Err: context.Cause(ctx)}
	}
}

// exchange writes the frame and waits for its answer.
func (c *Client) exchange(ctx context.Context, l *link, frame []byte, match Match) ([]byte, error) {
	stop := context.AfterFunc(ctx, func() { _ = l.conn.Close() })
	defer stop()
	_ = l.conn.SetWriteDeadline(time.Now().Add(c.config.WriteTimeout))
	if n, err := l.conn.Write(frame); err != nil {
		if ctx.Err() != nil {
			return nil, &SendError{Kind: ErrCancelled, Sent: n == len(frame), Err: context.Cause(ctx)}
		}
		// Without its last two bytes a tolerant peer may still take the message.
		return nil, &SendError{Kind: ErrWrite, Sent: n >= len(frame)-2, Err: err}
	}
	timer := time.NewTimer(c.config.AnswerTimeout)
	defer timer.Stop()
	var accepted []byte
	for {
		select {
		case <-ctx.Done():
			return accepted, &SendError{Kind: ErrCancelled, Sent: true, Err: context.Cause(ctx)}
		case <-timer.C:
			return accepted, &SendError{Kind: ErrTimeout, Sent: true}
		case in := <-l.answers:
			if in.err != nil {
				if err := c.failed(ctx, in.err); err != nil {
					return accepted, err
				}
				continue
			}
			ours, final := true, true
			if match != nil {
				ours, final = match(in.payload)
			}
			switch {
			case !ours:
				c.stray(in.payload, ErrStray)
			case final:
				return in.payload, nil
			default:
				accepted = in.payload
			}
		}
	}
}

// failed maps what the reading goroutine met.
func (c *Client) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &SendError{Kind: ErrCancelled, Sent: true, Err: context.Cause(ctx)}
	}
	var bad *FrameError
	if !errors.As(err, &bad) {
		return &SendError{Kind: ErrPeerClosed, Sent: true, Err: err}
	}
	if bad.Fatal && bad.Size == 0 {
		return &SendError{Kind: ErrPeerClosed, Sent: true, Err: err}
	}
	c.stray(bad.Bytes, bad)
	return &SendError{Kind: ErrBadAnswer, Sent: true, Raw: bad.Bytes, Err: bad}
}
