package tunneltest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
)

// Net is a network in memory, for tests inside testing/synctest. Connections buffer
// as sockets do.
type Net struct {
	mu        sync.Mutex
	listeners map[string]*listener
	conns     map[*holed]struct{}
	dials     int
	up, down  atomic.Bool
}

// NewNet returns an empty network.
func NewNet() *Net {
	return &Net{listeners: map[string]*listener{}, conns: map[*holed]struct{}{}}
}

// Listen opens address, "host:port".
func (n *Net) Listen(address string) net.Listener {
	l := &listener{n: n, address: address, conns: make(chan net.Conn), done: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listeners[address] = l
	return l
}

// Dial connects to an open address and is refused at any other. It fits
// client.Config.Dial.
func (n *Net) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	n.mu.Lock()
	n.dials++
	l := n.listeners[address]
	n.mu.Unlock()
	if l == nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: fmt.Errorf("%s: %w", address, syscall.ECONNREFUSED)}
	}
	a, b := newPipe("clinic:0", address)
	h := &holed{Conn: a, n: n}
	n.mu.Lock()
	n.conns[h] = struct{}{}
	n.mu.Unlock()
	select {
	case l.conns <- b:
		return h, nil
	case <-l.done:
		_ = h.Close()
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	case <-ctx.Done():
		_ = h.Close()
		return nil, &net.OpError{Op: "dial", Net: network, Err: context.Cause(ctx)}
	}
}

// Dials counts the calls of Dial.
func (n *Net) Dials() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials
}

// Open counts the connections that were not closed by the dialing side.
func (n *Net) Open() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.conns)
}

// BlackHole lets what the dialing side sends (up) and receives (down) vanish, of all
// connections, without closing one.
func (n *Net) BlackHole(up, down bool) {
	n.up.Store(up)
	n.down.Store(down)
}

// Cut closes all connections.
func (n *Net) Cut() {
	n.mu.Lock()
	conns := n.conns
	n.conns = map[*holed]struct{}{}
	n.mu.Unlock()
	for c := range conns {
		c.Conn.Close()
	}
}

type holed struct {
	net.Conn
	n *Net
}

func (c *holed) Write(b []byte) (int, error) {
	if c.n.up.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *holed) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !c.n.down.Load() {
			return n, err
		}
	}
}

func (c *holed) Close() error {
	c.n.mu.Lock()
	delete(c.n.conns, c)
	c.n.mu.Unlock()
	return c.Conn.Close()
}

type listener struct {
	n       *Net
	address string
	conns   chan net.Conn
	done    chan struct{}
	once    sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, errors.Join(net.ErrClosed)
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		l.n.mu.Lock()
		if l.n.listeners[l.address] == l {
			delete(l.n.listeners, l.address)
		}
		l.n.mu.Unlock()
		close(l.done)
	})
	return nil
}

func (l *listener) Addr() net.Addr { return memoryAddr(l.address) }

type memoryAddr string

func (memoryAddr) Network() string  { return "memory" }
func (a memoryAddr) String() string { return string(a) }
