package mllp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"
)

// link is one connection of a client with the goroutine that reads it. Because
// somebody always reads, a peer that closes an idle connection is noticed before
// the next message is written, and answers nobody waits for are not left over for
// the next one.
type link struct {
	conn    net.Conn
	answers chan incoming
	gone    chan struct{} // closed when reading has ended
	quit    chan struct{} // closed when the client gave the connection up

	lastAnswer time.Time
	ended      time.Time // when reading ended; read after gone is closed
}

// incoming is one answer, or why there is none.
type incoming struct {
	payload []byte
	err     error
}

// connection returns the open connection, or opens one.
func (c *Client) connection(ctx context.Context) (*link, error) {
	if c.link != nil {
		if c.stillOpen(c.link) {
			return c.link, nil
		}
		c.drop()
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.ConnectTimeout)
	defer cancel()
	dial := c.config.Dial
	if dial == nil {
		dial = (&net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: c.config.KeepAlive, Interval: 30 * time.Second, Count: 4,
		}}).DialContext
	}
	conn, err := dial(ctx, "tcp", c.config.Address)
	if err != nil {
		return nil, connectError(ctx, err)
	}
	if c.config.TLS != nil {
		config := c.config.TLS.Clone()
		if config.ServerName == "" {
			config.ServerName, _, _ = net.SplitHostPort(c.config.Address)
		}
		t := tls.Client(conn, config)
		if err := t.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, connectError(ctx, err)
		}
		conn = t
	}
	l := &link{conn: conn, answers: make(chan incoming), gone: make(chan struct{}), quit: make(chan struct{})}
	go l.read(c.config.MaxAnswer)
	c.link = l
	return l, nil
}

func connectError(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return &SendError{Kind: ErrCancelled, Err: err}
	}
	return &SendError{Kind: ErrConnect, Err: err}
}

// closeSoon is how soon after an answer a peer must close for the client to think
// that it always does.
const closeSoon = 2 * time.Second

// stillOpen throws away what came since the last message, and reports whether the
// connection can carry another.
func (c *Client) stillOpen(l *link) bool {
	for {
		select {
		case in := <-l.answers:
			if in.err == nil {
				c.stray(in.payload, ErrStray)
				continue
			}
			var bad *FrameError
			if errors.As(in.err, &bad) && bad.Size > 0 {
				c.stray(bad.Bytes, bad)
				return false
			}
			if l.ended.Sub(l.lastAnswer) < closeSoon {
				c.perMessage = true
			}
			return false
		default:
			return true
		}
	}
}

// read reads until the connection ends.
func (l *link) read(maxAnswer int) {
	defer close(l.gone)
	r := NewReader(l.conn, ReaderConfig{MaxFrame: maxAnswer})
	for {
		frame, err := r.Next()
		if err != nil {
			l.ended = time.Now()
		}
		select {
		case l.answers <- incoming{frame.Payload, err}:
		case <-l.quit:
			return
		}
		if err == nil {
			continue
		}
		var bad *FrameError
		if !errors.As(err, &bad) || bad.Fatal {
			return
		}
	}
}

// close closes the connection and waits for the goroutine.
func (l *link) close() {
	close(l.quit)
	_ = l.conn.Close()
	<-l.gone
}
