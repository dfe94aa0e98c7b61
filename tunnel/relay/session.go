package relay

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// session is one agent on a websocket. Its one goroutine reads; a second one exists only while there is something to send.
type session struct {
	r          *Relay
	sock       *socket
	clinic     wire.ClinicID
	instance   wire.InstanceID
	run        wire.RunID
	epoch      wire.Epoch
	storeEpoch wire.StoreEpoch
	since      time.Time
	window     wire.Window
	heardAt    atomic.Int64 // unix ms

	mu         sync.Mutex
	kid        string // of the token that counts for this session
	tokenBorn  time.Time
	rotating   string   // kid of a token that was sent and not yet confirmed
	sent       wire.Seq // the last number written, or passed over by a gap
	sentMax    wire.Seq // the highest that ever was
	acked      wire.Seq
	head       wire.Seq // the highest number known to exist
	replayTo   wire.Seq // > 0: sending again up to here
	flying     []flight // written and not acked, ascending
	flyingSize int
	fullSince  time.Time // the window is full; zero: it is not
	writing    bool
	again      bool // look again, whatever head says
	ended      bool

	frames *rate.Limiter // control frames of the agent; made with the first
	costly *rate.Limiter // those that make the store write; likewise
}

// flight is an event on its way. The relay keeps its number, not its body.
type flight struct {
	seq  wire.Seq
	at   int64 // receipt, unix ms
	size int32
}

// Control frames an agent may send: acks come at most 20 a second, and one for 64 events.
const (
	frameRate  = 500
	frameBurst = 2000
	// Of those that write to the store each: replays and keys, of a session or of a clinic's long-poll. A real agent sends a
	// few in its life.
	costlyRate  = 1
	costlyBurst = 20
)

func (s *session) heard() { s.heardAt.Store(s.r.cfg.Now().UnixMilli()) }

func (s *session) lastHeard() time.Time { return time.UnixMilli(s.heardAt.Load()) }

// read is the session's goroutine.
func (s *session) read() {
	defer s.r.running.Done()
	for {
		b, err := s.sock.read(time.Time{})
		if err != nil {
			s.end(s.blame(err), "")
			return
		}
		s.heard()
		if code := s.take(b); code != wire.CloseUnknownCode {
			s.end(code, "")
			return
		}
	}
}

// blame returns the close code that a failed read earns.
func (s *session) blame(err error) wire.CloseCode {
	switch {
	case errors.Is(err, errLarge):
		return wire.Close4413
	case errors.Is(err, errBinary):
		return wire.Close4400
	default:
		s.r.metrics.lost(codeOf(err))
		return wire.CloseUnknownCode
	}
}

// take handles one control frame and returns a close code if the session has to end.
func (s *session) take(b []byte) wire.CloseCode {
	if s.frames == nil {
		s.frames = rate.NewLimiter(frameRate, frameBurst)
	}
	if !s.frames.Allow() {
		return wire.Close4429
	}
	c, err := wire.DecodeControl(b, wire.Limits{})
	if err != nil {
		return wire.Close4400
	}
	return s.handle(c)
}

func (s *session) handle(c wire.Control) wire.CloseCode {
	if a, ok := c.(*wire.Ack); ok {
		return s.ack(a)
	}
	if _, ok := c.(*wire.Unknown); ok {
		s.r.metrics.unknownFrames.Inc()
		return wire.CloseUnknownCode
	}
	if s.costly == nil {
		s.costly = rate.NewLimiter(costlyRate, costlyBurst)
	}
	if !s.costly.Allow() {
		return wire.Close4429
	}
	ctx, stop := context.WithTimeout(s.r.base, s.r.cfg.WriteTimeout)
	defer stop()
	switch c := c.(type) {
	case *wire.Replay:
		s.replay(ctx, c)
	case *wire.Rotated:
		s.rotated(ctx, c)
	case *wire.Key:
		s.r.newKey(ctx, s.clinic, c)
	default:
		return wire.Close4400 // a frame only a relay sends, or a second hello
	}
	return wire.CloseUnknownCode
}

// ack takes numbers off the window. An ack of another epoch is late and changes nothing.
func (s *session) ack(a *wire.Ack) wire.CloseCode {
	if a.Epoch != s.epoch {
		s.r.metrics.staleAcks.Inc()
		return wire.CloseUnknownCode
	}
	now := s.r.cfg.Now()
	s.mu.Lock()
	if a.Seq > s.sentMax {
		s.mu.Unlock()
		return wire.Close4400 // nobody holds what was never sent
	}
	n := 0
	for n < len(s.flying) && s.flying[n].seq <= a.Seq {
		s.flyingSize -= int(s.flying[n].size)
		s.r.metrics.ackTime.Observe(max(0, float64(now.UnixMilli()-s.flying[n].at)/1000))
		n++
	}
	if n == len(s.flying) {
		s.flying = nil // an idle socket keeps no slice
	} else {
		s.flying = s.flying[n:]
	}
	if n > 0 && !s.fullSince.IsZero() {
		s.r.metrics.fullSeconds.Add(now.Sub(s.fullSince).Seconds())
		s.fullSince = time.Time{}
	}
	higher := a.Seq > s.acked
	s.acked = max(s.acked, a.Seq)
	s.mu.Unlock()
	if higher {
		s.r.acks.add(s)
	}
	s.start()
	return wire.CloseUnknownCode
}

// replay sends a range again, as far as it is retained, and then goes on where it was.
func (s *session) replay(ctx context.Context, p *wire.Replay) {
	s.mu.Lock()
	if p.From > s.sentMax || s.replayTo > 0 {
		s.mu.Unlock() // it comes anyway, or one is under way
		return
	}
	s.sent = p.From - 1
	s.replayTo = min(p.To, s.sentMax)
	s.flying, s.flyingSize = nil, 0
	s.again = true
	s.mu.Unlock()
	s.r.audit(ctx, s.clinic, "replay", "asked for by the agent")
	s.start()
}

// wake says that events up to seq exist.
func (s *session) wake(seq wire.Seq) {
	s.mu.Lock()
	news := seq > s.head
	s.head = max(s.head, seq)
	s.mu.Unlock()
	if news {
		s.start()
	}
}

// look starts a writer whatever is known.
func (s *session) look() {
	s.mu.Lock()
	s.again = true
	s.mu.Unlock()
	s.start()
}

// send writes one control frame.
func (s *session) send(c wire.Control) error {
	b, err := wire.EncodeControl(c)
	if err != nil {
		return err
	}
	return s.sock.write(b, true, time.Now().Add(s.r.cfg.WriteTimeout))
}

// end closes the session once, with what the agent is to be told; 0 says nothing.
func (s *session) end(code wire.CloseCode, reason string) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended = true
	if !s.fullSince.IsZero() {
		s.r.metrics.fullSeconds.Add(s.r.cfg.Now().Sub(s.fullSince).Seconds())
	}
	s.mu.Unlock()
	s.sock.end(code, reason)
	s.r.wheel.remove(s)
	s.r.sessions.drop(s)
	s.r.notes.gone(s)
	s.r.metrics.closed(code)
	s.r.log.Debug("tunnel closed", "clinic", string(s.clinic), "code", int(code))
}
