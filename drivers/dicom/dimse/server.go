package dimse

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/ul"
)

// ServerConfig says what a server offers, to whom, and within which limits.
type ServerConfig struct {
	// AETitle is compared with the called AE title, without regard to case,
	// when Authorize is nil. Empty accepts every title.
	AETitle string
	// Authorize judges a caller. nil accepts every caller of AETitle. It is
	// called on the association's goroutine and must not wait for long.
	Authorize func(ctx context.Context, info AssociateInfo) (Grant, *Reject)
	// Services maps SOP class UIDs to a Finder, to something that is Creator,
	// Setter or both, or to a Service that holds one. Verification is always
	// offered and answered by the server.
	Services map[string]any
	Limits   Limits

	// OnEnd is called when an established association is over, if set.
	OnEnd func(Peer, AssociationSummary)
	// OnRefused is called for every association we reject, if set.
	OnRefused func(AssociateInfo, Reject)
	// OnPanic is called when a handler panics, if set; the association is aborted.
	OnPanic func(p Peer, value any, stack []byte)
	// Trace is called with every run of bytes received or sent, if set; it must
	// not keep b. association is Peer.ID.
	Trace func(association uint64, sent bool, b []byte)
}

// Grant is what an authorized caller gets.
type Grant struct {
	Tag             any    // becomes Peer.Tag
	Key             string // associations are counted per key; empty: an unknown caller
	MaxAssociations int    // at once for this key; 0: Limits.PerMachine, or Limits.PerUnknown without key
	PreferImplicit  bool   // Implicit VR Little Endian where both are offered
}

// AssociationSummary is what became of an association.
type AssociationSummary struct {
	Started           time.Time
	Duration          time.Duration
	Operations        int // answered, C-ECHO included
	BytesIn, BytesOut uint64
	Oversized         uint64 // P-DATA-TF PDUs longer than we announced
	Err               error  // nil: released; else *ul.AbortedError, ul.ErrLost, ul.ErrTimeout ...
}

// Stats are counters since the server was made; Open and Connections are current.
type Stats struct {
	Connections, Open                      int
	Associations, Rejected, Refused, Ended uint64
	Operations, Aborted, Panics            uint64
}

// Server answers associations. Make it with NewServer.
type Server struct {
	cfg    ServerConfig
	lim    Limits
	mux    mux
	budget *budget
	shake  *budget // for long A-ASSOCIATE-RQs
	gate   gate

	nextID                                         atomic.Uint64
	associations, rejected, refused, ended, aborts atomic.Uint64
	operations, panics                             atomic.Uint64

	mu     sync.Mutex
	open   int
	perKey map[string]int
}

// shakeMemory bounds all A-ASSOCIATE-RQs beyond 64 KiB each, in bytes.
const shakeMemory = 4 << 20

// NewServer returns a server. It panics when a service is neither Finder nor
// Creator nor Setter, which is a mistake in the program.
func NewServer(cfg ServerConfig) *Server {
	lim := cfg.Limits.WithDefaults()
	return &Server{
		cfg: cfg, lim: lim, mux: newMux(cfg.Services),
		budget: newBudget(lim.Memory), shake: newBudget(shakeMemory),
		gate: gate{lim: lim}, perKey: make(map[string]int),
	}
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	open := s.open
	s.mu.Unlock()
	return Stats{
		Connections: s.gate.connections(), Open: open,
		Associations: s.associations.Load(), Rejected: s.rejected.Load(), Refused: s.refused.Load(),
		Ended: s.ended.Load(), Operations: s.operations.Load(), Aborted: s.aborts.Load(), Panics: s.panics.Load(),
	}
}

// serving is one call of Serve.
type serving struct {
	*Server
	handlers  context.Context // ends when handlers must
	stop      context.CancelCauseFunc
	accepting context.Context // ends when connections without association must
	draining  atomic.Bool

	mu       sync.Mutex
	sessions map[*session]struct{}
	empty    chan struct{} // closed when draining and no session is left
	wg       sync.WaitGroup
}

// Serve answers the connections ln accepts until ctx ends. From then on new
// callers are rejected as congested, and running associations have
// Limits.ShutdownGrace to end; what is left is aborted. Serve closes ln and
// returns when every goroutine it started has ended: nil after ctx has ended,
// else the error of the listener. It may be called for several listeners.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	base := context.WithoutCancel(ctx)
	handlers, stop := context.WithCancelCause(base)
	accepting, stopAccepting := context.WithCancelCause(base)
	v := &serving{
		Server: s, handlers: handlers, stop: stop, accepting: accepting,
		sessions: make(map[*session]struct{}), empty: make(chan struct{}),
	}
	watch := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-ctx.Done():
			v.drain()
		case <-watch:
		}
		_ = ln.Close()
	}()
	err := v.accept(ln)
	close(watch)
	<-done
	v.abortAll()
	stopAccepting(ErrShutdown)
	v.wg.Wait()
	stop(ErrShutdown)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // asked to stop, and did
	}
	return fmt.Errorf("dimse: accept: %w", err)
}

// accept runs until the listener fails for good.
func (v *serving) accept(ln net.Listener) error {
	var pause time.Duration
	for {
		conn, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || !temporary(err) {
				return err
			}
			// Out of descriptors, most likely: give others time to end.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			select {
			case <-time.After(pause):
			case <-v.accepting.Done():
			}
			continue
		}
		pause = 0
		ip := remoteIP(conn)
		if !v.gate.enter(ip, time.Now()) {
			v.refused.Add(1)
			_ = conn.Close()
			continue
		}
		v.wg.Add(1)
		go func() {
			defer v.wg.Done()
			defer v.gate.leave(ip)
			v.serve(conn)
		}()
	}
}

// temporary reports whether accepting may work again.
func temporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

// drain lets the running associations end, at most for the grace time.
func (v *serving) drain() {
	v.draining.Store(true)
	v.mu.Lock()
	idle := len(v.sessions) == 0
	v.mu.Unlock()
	if idle {
		return
	}
	timer := time.NewTimer(v.lim.ShutdownGrace)
	defer timer.Stop()
	select {
	case <-v.empty:
	case <-timer.C:
	}
}

// lastWords is how long peers have to read an A-ABORT when the server stops.
const lastWords = 500 * time.Millisecond

// abortAll ends the associations that are left.
func (v *serving) abortAll() {
	v.draining.Store(true)
	v.stop(ErrShutdown)
	v.mu.Lock()
	left := make([]*session, 0, len(v.sessions))
	for s := range v.sessions {
		left = append(left, s)
	}
	v.mu.Unlock()
	if len(left) == 0 {
		return
	}
	var wg sync.WaitGroup
	for _, s := range left {
		wg.Go(func() { _ = s.assoc.Abort(0, 0, ErrShutdown) })
	}
	wg.Wait()
	timer := time.NewTimer(lastWords)
	defer timer.Stop()
	select {
	case <-v.empty:
	case <-timer.C:
	}
	for _, s := range left {
		s.assoc.Close()
	}
}

func (v *serving) add(s *session) {
	v.mu.Lock()
	v.sessions[s] = struct{}{}
	v.mu.Unlock()
}

func (v *serving) remove(s *session) {
	v.mu.Lock()
	delete(v.sessions, s)
	if len(v.sessions) == 0 && v.draining.Load() {
		select {
		case <-v.empty:
		default:
			close(v.empty)
		}
	}
	v.mu.Unlock()
}

// serve answers one connection.
func (v *serving) serve(conn net.Conn) {
	s := &session{serving: v, id: v.nextID.Add(1)}
	defer s.survive(conn)
	acceptor := ul.Acceptor{
		Limits: v.lim.Limits, Offers: v.mux.offers, Authorize: s.authorize, Rejected: v.reject,
		Reserve: func(n int) bool { ok, _ := v.shake.try(n); return ok }, Unreserve: v.shake.give,
	}
	if v.cfg.Trace != nil {
		acceptor.Trace = func(sent bool, b []byte) { v.cfg.Trace(s.id, sent, b) }
	}
	assoc, err := acceptor.Accept(v.accepting, conn)
	if err != nil {
		s.freeSlot()
		return
	}
	v.associations.Add(1)
	s.run(assoc)
	v.ended.Add(1)
}

// survive keeps the others alive when a callback of the program panics.
func (s *session) survive(conn net.Conn) {
	p := recover()
	if p == nil {
		return
	}
	_ = conn.Close()
	s.freeSlot()
	s.remove(s)
	s.panics.Add(1)
	if s.cfg.OnPanic != nil {
		s.cfg.OnPanic(s.peer, p, debug.Stack())
	}
}

// reject counts a rejected caller. A permanent reject brings his address nearer
// to silence.
func (v *serving) reject(info AssociateInfo, reject Reject) {
	v.rejected.Add(1)
	if reject.Result == 1 {
		v.gate.reject(info.Addr.Addr(), time.Now())
	}
	if v.cfg.OnRefused != nil {
		v.cfg.OnRefused(info, reject)
	}
}

// authorize judges the caller and takes a place for the association.
func (s *session) authorize(ctx context.Context, info AssociateInfo) (implicit bool, reject *Reject) {
	v := s.serving
	if v.draining.Load() {
		return false, &ul.RejectCongestion
	}
	var grant Grant
	if v.cfg.Authorize != nil {
		if grant, reject = v.cfg.Authorize(ctx, info); reject != nil {
			return false, reject
		}
	} else {
		if v.cfg.AETitle != "" && !strings.EqualFold(v.cfg.AETitle, info.CalledAETitle) {
			return false, &ul.RejectCalledAETitle
		}
		grant.Key = info.CallingAETitle + "@" + info.Addr.Addr().String()
	}
	if !s.takeSlot(grant) {
		return false, &ul.RejectLocalLimit
	}
	s.peer.Tag = grant.Tag
	return grant.PreferImplicit, nil
}

func (s *session) takeSlot(g Grant) bool {
	limit := g.MaxAssociations
	switch {
	case limit > 0:
	case g.Key == "":
		limit = s.lim.PerUnknown
	default:
		limit = s.lim.PerMachine
	}
	v := s.Server
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.open >= v.lim.Associations || v.perKey[g.Key] >= limit {
		return false
	}
	v.open++
	v.perKey[g.Key]++
	s.key, s.slot = g.Key, true
	return true
}

// freeSlot gives the place back; it may be called twice.
func (s *session) freeSlot() {
	if !s.slot {
		return
	}
	s.slot = false
	v := s.Server
	v.mu.Lock()
	v.open--
	if v.perKey[s.key]--; v.perKey[s.key] == 0 {
		delete(v.perKey, s.key)
	}
	v.mu.Unlock()
}
