package relay

import (
	"context"
	"errors"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// readBatch bounds one read of the store, so that a slow clinic holds little memory.
const (
	readBatch      = 64
	readBatchBytes = 256 << 10
)

// start begins a writer if there is something to send and none is at work.
func (s *session) start() {
	s.mu.Lock()
	if s.writing || !s.due() {
		s.mu.Unlock()
		return
	}
	s.writing = true
	s.r.running.Add(1) // the reader holds the group while it lives, or the caller does
	s.mu.Unlock()
	go s.pump()
}

// due says whether there may be something to send and the window is open. One event is always allowed, however large.
func (s *session) due() bool {
	if s.ended || s.r.settling.Load() {
		return false
	}
	if !s.again && s.sent >= s.head && s.replayTo == 0 {
		return false
	}
	if len(s.flying) > 0 && (len(s.flying) >= s.window.Msgs || s.flyingSize >= s.window.Bytes) {
		if s.fullSince.IsZero() {
			s.fullSince = s.r.cfg.Now()
		}
		return false
	}
	return true
}

// pump is the writer: it reads from the store and writes until nothing is left or the window is full, and ends.
func (s *session) pump() {
	defer s.r.running.Done()
	for {
		s.mu.Lock()
		if !s.due() {
			s.writing = false
			s.mu.Unlock()
			return
		}
		s.again = false
		after := s.sent
		msgs := min(readBatch, s.window.Msgs-len(s.flying))
		size := min(readBatchBytes, max(1, s.window.Bytes-s.flyingSize))
		s.mu.Unlock()
		if err := s.sendSome(after, max(1, msgs), size); err != nil {
			s.mu.Lock()
			s.writing = false
			s.mu.Unlock()
			s.failed(err)
			return
		}
	}
}

// errWrite wraps a failed write to the socket.
var errWrite = errors.New("relay: write to the agent")

// failed ends the session if its socket is broken; a store that fails is asked again by the net under the wake-ups.
func (s *session) failed(err error) {
	if errors.Is(err, errWrite) {
		s.end(wire.CloseUnknownCode, "")
		return
	}
	s.mu.Lock()
	s.again = true
	s.mu.Unlock()
	if s.r.base.Err() == nil {
		s.r.metrics.storeErrors.Inc()
		s.r.errLog.Do(func() { s.r.log.Warn("the store failed", "task", "read", "clinic", string(s.clinic), "error", err) })
	}
}

func (s *session) sendSome(after wire.Seq, msgs, size int) error {
	ctx, stop := context.WithTimeout(s.r.base, appendTimeout)
	defer stop()
	events, err := s.r.cfg.Store.After(ctx, s.clinic, after, msgs, size)
	var gap *GapError
	if errors.As(err, &gap) {
		return s.skip(after, gap)
	}
	if err != nil {
		return err
	}
	if len(events) == 0 {
		s.mu.Lock()
		s.replayTo = 0
		if s.sent == after { // no replay came between
			s.sent = max(s.sent, s.sentMax)
			if !s.again {
				s.head = min(s.head, s.sent) // what was announced is not there; its wake-up comes again
			}
		}
		s.mu.Unlock()
		return nil
	}
	var frame []byte
	for _, e := range events {
		frame = wire.AppendEvent(frame[:0], wireEvent(e))
		if !s.flies(after, e, len(frame)) {
			return nil
		}
		after = e.Seq
		if err := s.sock.write(frame, false, time.Now().Add(s.r.cfg.WriteTimeout)); err != nil {
			return errors.Join(errWrite, err)
		}
		s.r.metrics.sendTime.Observe(max(0, s.r.cfg.Now().Sub(e.ReceivedAt).Seconds()))
	}
	return nil
}

// flies books an event as on its way, before it is written: the ack may be faster than the return of the write. It says no when
// the session went elsewhere (a replay began, the session ended).
func (s *session) flies(after wire.Seq, e Event, size int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sent != after || s.ended {
		return false
	}
	s.sent = e.Seq
	s.sentMax = max(s.sentMax, e.Seq)
	s.head = max(s.head, e.Seq)
	s.flying = append(s.flying, flight{seq: e.Seq, at: e.ReceivedAt.UnixMilli(), size: int32(size)})
	s.flyingSize += size
	if s.replayTo > 0 && s.sent >= s.replayTo {
		s.replayTo = 0
		s.sent = s.sentMax
	}
	return true
}

// skip announces a hole and passes over it.
func (s *session) skip(after wire.Seq, g *GapError) error {
	s.mu.Lock()
	if s.sent != after {
		s.mu.Unlock()
		return nil
	}
	s.sent = g.RemovedTo
	s.sentMax = max(s.sentMax, g.RemovedTo)
	if s.replayTo > 0 && s.sent >= s.replayTo {
		s.replayTo = 0
		s.sent = s.sentMax
	}
	s.again = true
	s.mu.Unlock()
	s.r.countGap(s.clinic, g.Reason)
	gap := &wire.Gap{From: after + 1, To: g.RemovedTo, Reason: g.Reason, StoreEpoch: s.storeEpoch}
	if err := s.send(gap); err != nil {
		return errors.Join(errWrite, err)
	}
	return nil
}

func wireEvent(e Event) wire.Event {
	return wire.Event{Seq: e.Seq, ReceivedAt: e.ReceivedAt, Header: e.Header, Body: e.Body}
}

func (r *Relay) countGap(c wire.ClinicID, reason string) {
	r.metrics.gaps.WithLabelValues(gapLabel(reason)).Inc()
	if k := r.dir.clinic(c); k != nil {
		k.counts.gaps.Add(1)
	}
}

func gapLabel(reason string) string {
	switch reason {
	case wire.GapExpired, wire.GapQuota, wire.GapRollback:
		return reason
	default:
		return "other"
	}
}
