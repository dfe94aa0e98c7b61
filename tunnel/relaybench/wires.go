package relaybench

import (
	"context"
	"net"
	"sync"
)

// wires knows the connections that an agent has, so that somebody can cut them.
type wires struct {
	mu   sync.Mutex
	last net.Conn
}

func (w *wires) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = c
	return c, nil
}

// cut resets the youngest connection, if there is one.
func (w *wires) cut() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == nil {
		return false
	}
	if t, ok := w.last.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // a reset; harmless when it is closed already
	}
	_ = w.last.Close()
	w.last = nil
	return true
}
