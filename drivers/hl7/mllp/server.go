package mllp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Conn describes a connection to a handler.
type Conn struct {
	// ID counts the connections of a server from 1.
	ID uint64
	// Peer and Local are the two ends.
	Peer, Local netip.AddrPort
	// TLS is nil on a plain connection.
	TLS *tls.ConnectionState
	// Since is when it was accepted.
	Since time.Time
}

// Handler answers one message. The answer goes back in a frame; nil sends none.
// ctx outlives the wish to stop by [ServerConfig.StopGrace], so that what has
// begun can be committed. frame is the handler's own. With an error and no answer
// the server answers by [ServerConfig.Refuse], or closes the connection.
type Handler func(ctx context.Context, c Conn, frame []byte) (answer []byte, err error)

// ServerConfig configures a [Server]. Only Handler must be set.
type ServerConfig struct {
	Handler Handler
	// Refuse makes the answer to bytes that are no message (a [FrameError]), and to
	// a message whose handler failed or panicked. nil, or a nil answer, means that
	// nothing is answered and the connection is closed.
	Refuse func(c Conn, raw []byte, reason error) []byte
	// Allow decides by the address of the peer; nil allows everybody.
	Allow func(netip.Addr) bool

	// OnBad hears of everything that was not right: bad frames with their first
	// bytes, refused connections, failed handshakes and handlers. OnNotes hears of
	// tolerated oddities of a frame, before the handler. OnConnect and OnClose
	// count connections. All may be nil, and are called on the connection's
	// goroutine.
	OnBad     func(c Conn, raw []byte, reason error)
	OnNotes   func(c Conn, notes []string)
	OnConnect func(c Conn)
	OnClose   func(c Conn)

	// MaxFrame is the largest message, default 32 MiB.
	MaxFrame int
	// MaxBuffered bounds the memory of all messages beyond their first mebibyte,
	// default 128 MiB.
	MaxBuffered int64
	// MaxConnections bounds all connections (default 256), MaxPerAddress those of
	// one address (default 16).
	MaxConnections, MaxPerAddress int
	// IdleTimeout closes a connection on which nothing comes, default 24 h: peers
	// keep theirs open over night. FrameTimeout bounds the time from the first byte
	// of a message to its last, default 2 min; WriteTimeout the sending of an answer,
	// default 30 s; HandshakeTimeout a TLS handshake, default 10 s.
	IdleTimeout, FrameTimeout, WriteTimeout, HandshakeTimeout time.Duration
	// KeepAlive is the idle time after which TCP asks whether the peer is there,
	// default 3 min: firewalls forget idle connections after ten.
	KeepAlive time.Duration
	// StopGrace is how long handlers may go on after Serve was told to stop,
	// default 5 s.
	StopGrace time.Duration
}

// Errors of connections that OnBad hears of.
var (
	ErrNotAllowed   = errors.New("mllp: the address is not on the list")
	ErrTooMany      = errors.New("mllp: too many connections")
	ErrTooManyFrom  = errors.New("mllp: too many connections from the address")
	ErrHandshake    = errors.New("mllp: the TLS handshake failed")
	ErrPlainText    = errors.New("mllp: the peer speaks plain text, this port speaks TLS")
	ErrHandlerPanic = errors.New("mllp: the handler panicked")
)

// Server answers HL7 messages.
type Server struct {
	config   ServerConfig
	buffered atomic.Int64
	lastID   atomic.Uint64

	mu       sync.Mutex
	conns    map[*serverConn]struct{}
	perAddr  map[netip.Addr]int
	stopping bool
	wg       sync.WaitGroup
}

// serverConn is one connection; busy is guarded by Server.mu.
type serverConn struct {
	net.Conn
	info Conn
	busy bool
}

// NewServer returns a server. It panics without a handler.
func NewServer(c ServerConfig) *Server {
	if c.Handler == nil {
		panic("mllp: ServerConfig.Handler is not set")
	}
	number := func(n *int, def int) {
		if *n <= 0 {
			*n = def
		}
	}
	duration := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	number(&c.MaxFrame, DefaultMaxFrame)
	number(&c.MaxConnections, 256)
	number(&c.MaxPerAddress, 16)
	if c.MaxBuffered <= 0 {
		c.MaxBuffered = 128 << 20
	}
	duration(&c.IdleTimeout, 24*time.Hour)
	duration(&c.FrameTimeout, 2*time.Minute)
	duration(&c.WriteTimeout, 30*time.Second)
	duration(&c.HandshakeTimeout, 10*time.Second)
	duration(&c.KeepAlive, defaultKeepAlive)
	duration(&c.StopGrace, 5*time.Second)
	return &Server{config: c, conns: map[*serverConn]struct{}{}, perAddr: map[netip.Addr]int{}}
}

const defaultKeepAlive = 3 * time.Minute

// keepAlive asks TCP to look after the peer every idle time.
func keepAlive(c net.Conn, idle time.Duration) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: idle, Interval: 30 * time.Second, Count: 4})
	}
}

// Connections returns how many connections there are.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Serve accepts connections until ctx ends or ln fails, closes ln and returns
// when the last connection is closed: nil after ctx ended. Idle connections are
// closed at once, busy ones when their message is answered or StopGrace is over.
// For TLS pass a listener of crypto/tls. Serve is for one call.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()

	err := s.accept(ctx, work, ln)
	_ = ln.Close()
	s.closeIdle()
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	timer := time.NewTimer(s.config.StopGrace)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		cancel()
		s.closeAll()
		<-done
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// accept accepts until the listener is closed. Running out of descriptors and a
// peer that left already do not end it.
func (s *Server) accept(ctx, work context.Context, ln net.Listener) error {
	pause := 5 * time.Millisecond
	for {
		c, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("mllp: accept: %w", err)
			}
			timer := time.NewTimer(pause)
			select {
			case <-ctx.Done():
				timer.Stop()
				return fmt.Errorf("mllp: accept: %w", err)
			case <-timer.C:
			}
			pause = min(2*pause, time.Second)
			continue
		}
		pause = 5 * time.Millisecond
		s.admit(work, c)
	}
}

// admit counts the connection and starts it, or closes it.
func (s *Server) admit(work context.Context, c net.Conn) {
	sc := &serverConn{Conn: c, info: Conn{
		ID: s.lastID.Add(1), Peer: addrPort(c.RemoteAddr()), Local: addrPort(c.LocalAddr()), Since: time.Now(),
	}}
	if err := s.enter(sc); err != nil {
		s.bad(sc.info, nil, err)
		_ = c.Close()
		return
	}
	go func() {
		defer s.leave(sc)
		s.serve(work, sc)
	}()
}

func (s *Server) enter(sc *serverConn) error {
	addr := sc.info.Peer.Addr()
	if s.config.Allow != nil && !s.config.Allow(addr) {
		return ErrNotAllowed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopping:
		return net.ErrClosed
	case s.perAddr[addr] >= s.config.MaxPerAddress:
		return ErrTooManyFrom
	case len(s.conns) >= s.config.MaxConnections:
		return ErrTooMany
	}
	s.conns[sc] = struct{}{}
	s.perAddr[addr]++
	s.wg.Add(1)
	return nil
}

func (s *Server) leave(sc *serverConn) {
	_ = sc.Close()
	if s.config.OnClose != nil {
		s.config.OnClose(sc.info)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, sc)
	addr := sc.info.Peer.Addr()
	if s.perAddr[addr]--; s.perAddr[addr] <= 0 {
		delete(s.perAddr, addr)
	}
	s.wg.Done()
}

// setBusy says that a message is being answered, or that it is done; it reports
// whether the connection may go on.
func (s *Server) setBusy(sc *serverConn, busy bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	sc.busy = busy
	return !s.stopping
}

func (s *Server) closeIdle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
	for sc := range s.conns {
		if !sc.busy {
			_ = sc.Close()
		}
	}
}

func (s *Server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sc := range s.conns {
		_ = sc.Close()
	}
}

func (s *Server) bad(c Conn, raw []byte, reason error) {
	if s.config.OnBad != nil {
		s.config.OnBad(c, raw, reason)
	}
}

// reserve is the budget of memory for large messages.
func (s *Server) reserve(n int) bool {
	if s.buffered.Add(int64(n)) > s.config.MaxBuffered && n > 0 {
		s.buffered.Add(int64(-n))
		return false
	}
	return true
}

// addrPort returns the address in its short form: ::ffff:192.0.2.1 is 192.0.2.1.
func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
