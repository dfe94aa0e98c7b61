package tunneltest

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Hole forwards TCP from its own address on loopback to another one, until told to
// swallow what passes.
type Hole struct {
	// Address is where it listens.
	Address  string
	up, down atomic.Bool
}

// NewHole starts a forwarder to address. It ends with the test.
func NewHole(tb testing.TB, address string) *Hole {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	h := &Hole{Address: l.Addr().String()}
	var wg sync.WaitGroup
	var mu sync.Mutex
	conns := map[net.Conn]bool{}
	keep := func(c net.Conn) {
		mu.Lock()
		defer mu.Unlock()
		conns[c] = true
	}
	tb.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := (&net.Dialer{}).DialContext(tb.Context(), "tcp", address)
			if err != nil {
				in.Close()
				continue
			}
			keep(in)
			keep(out)
			wg.Go(func() { pass(out, in, &h.up) })
			wg.Go(func() { pass(in, out, &h.down) })
		}
	})
	return h
}

// Swallow lets what goes up, from the dialing side, and what comes down vanish.
func (h *Hole) Swallow(up, down bool) {
	h.up.Store(up)
	h.down.Store(down)
}

func pass(to io.WriteCloser, from io.Reader, hole *atomic.Bool) {
	defer to.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		if hole.Load() {
			continue
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}
