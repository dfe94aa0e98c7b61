package tunneltest

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipeBuffer is how much a direction of a connection in memory holds, as a socket
// does. With none, as net.Pipe has it, two ends that write at once wait for each other.
const pipeBuffer = 64 << 10

// newPipe returns both ends of a connection.
func newPipe(from, to string) (net.Conn, net.Conn) {
	a, b := newHalf(), newHalf()
	return &pipeEnd{in: a, out: b, local: memoryAddr(from), remote: memoryAddr(to)},
		&pipeEnd{in: b, out: a, local: memoryAddr(to), remote: memoryAddr(from)}
}

// half is one direction.
type half struct {
	mu      sync.Mutex
	buf     []byte
	closed  bool // by the writer: what is buffered can still be read
	broken  bool // by the reader
	changed chan struct{}
}

func newHalf() *half { return &half{changed: make(chan struct{})} }

// tell wakes both ends. The caller holds mu.
func (h *half) tell() {
	close(h.changed)
	h.changed = make(chan struct{})
}

type pipeEnd struct {
	in, out       *half
	local, remote memoryAddr
	mu            sync.Mutex
	rd, wd        time.Time
}

func (p *pipeEnd) deadline(write bool) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if write {
		return p.wd
	}
	return p.rd
}

// wait waits for a change of h, at most until the deadline.
func wait(changed <-chan struct{}, deadline time.Time) error {
	if deadline.IsZero() {
		<-changed
		return nil
	}
	d := time.Until(deadline)
	if d <= 0 {
		return os.ErrDeadlineExceeded
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-changed:
		return nil
	case <-t.C:
		return os.ErrDeadlineExceeded
	}
}

func (p *pipeEnd) Read(b []byte) (int, error) {
	h := p.in
	for {
		deadline := p.deadline(false)
		h.mu.Lock()
		switch {
		case h.broken:
			h.mu.Unlock()
			return 0, net.ErrClosed
		case !deadline.IsZero() && time.Until(deadline) <= 0:
			h.mu.Unlock()
			return 0, os.ErrDeadlineExceeded
		case len(h.buf) > 0:
			n := copy(b, h.buf)
			h.buf = h.buf[n:]
			h.tell()
			h.mu.Unlock()
			return n, nil
		case h.closed:
			h.mu.Unlock()
			return 0, io.EOF
		}
		changed := h.changed
		h.mu.Unlock()
		if err := wait(changed, deadline); err != nil && !p.deadline(false).After(deadline) {
			return 0, err
		}
	}
}

func (p *pipeEnd) Write(b []byte) (int, error) {
	h, done := p.out, 0
	for {
		deadline := p.deadline(true)
		h.mu.Lock()
		switch {
		case h.closed:
			h.mu.Unlock()
			return done, net.ErrClosed
		case h.broken:
			h.mu.Unlock()
			return done, io.ErrClosedPipe
		case !deadline.IsZero() && time.Until(deadline) <= 0:
			h.mu.Unlock()
			return done, os.ErrDeadlineExceeded
		}
		if n := min(pipeBuffer-len(h.buf), len(b)-done); n > 0 {
			h.buf = append(h.buf, b[done:done+n]...)
			done += n
			h.tell()
		}
		changed := h.changed
		h.mu.Unlock()
		if done == len(b) {
			return done, nil
		}
		if err := wait(changed, deadline); err != nil && !p.deadline(true).After(deadline) {
			return done, err
		}
	}
}

func (p *pipeEnd) Close() error {
	p.in.mu.Lock()
	p.in.broken = true
	p.in.tell()
	p.in.mu.Unlock()
	p.out.mu.Lock()
	p.out.closed = true
	p.out.tell()
	p.out.mu.Unlock()
	return nil
}

func (p *pipeEnd) SetDeadline(t time.Time) error {
	p.set(func() { p.rd, p.wd = t, t })
	return nil
}

func (p *pipeEnd) SetReadDeadline(t time.Time) error {
	p.set(func() { p.rd = t })
	return nil
}

func (p *pipeEnd) SetWriteDeadline(t time.Time) error {
	p.set(func() { p.wd = t })
	return nil
}

// set changes a deadline and wakes those who wait by the old one.
func (p *pipeEnd) set(f func()) {
	p.mu.Lock()
	f()
	p.mu.Unlock()
	for _, h := range []*half{p.in, p.out} {
		h.mu.Lock()
		h.tell()
		h.mu.Unlock()
	}
}

func (p *pipeEnd) LocalAddr() net.Addr  { return p.local }
func (p *pipeEnd) RemoteAddr() net.Addr { return p.remote }
