package dicomtest

import (
	"net"
	"sync"
)

// PipeListener is a net.Listener whose connections are net.Pipes, for tests
// with a fake clock.
type PipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	// Wrap replaces the server's end, if set.
	Wrap func(net.Conn) net.Conn
}

// NewPipeListener returns a listener.
func NewPipeListener() *PipeListener {
	return &PipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

// Dial returns the client's end of a new connection.
func (l *PipeListener) Dial() (net.Conn, error) {
	client, server := net.Pipe()
	if l.Wrap != nil {
		server = l.Wrap(server)
	}
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Accept waits for a Dial.
func (l *PipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and Dial.
func (l *PipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr returns a made-up address.
func (l *PipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
