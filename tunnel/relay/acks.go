package relay

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// ackWriters is how many acks are written at a time; the store joins them in one commit.
const ackWriters = 64

// ackQueue remembers which sessions acked something that is not yet written. One clinic costs one write a round, however many
// acks came.
type ackQueue struct {
	mu    sync.Mutex
	dirty map[*session]struct{}
}

func (q *ackQueue) add(s *session) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.dirty == nil {
		q.dirty = map[*session]struct{}{}
	}
	q.dirty[s] = struct{}{}
}

func (q *ackQueue) takeAll() map[*session]struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.dirty
	q.dirty = nil
	return all
}

func (q *ackQueue) takeOne(s *session) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, ok := q.dirty[s]
	delete(q.dirty, s)
	return ok
}

func (r *Relay) writeAcks(ctx context.Context) error {
	return r.every(ctx, r.cfg.AckEvery, "acks", func(ctx context.Context) error {
		r.flushAcks(ctx)
		return nil
	})
}

// flushAcks writes what waits.
func (r *Relay) flushAcks(ctx context.Context) {
	var g errgroup.Group
	g.SetLimit(ackWriters)
	for s := range r.acks.takeAll() {
		g.Go(func() error {
			r.writeAck(ctx, s)
			return nil
		})
	}
	_ = g.Wait() // writeAck keeps what failed
}

// flushOne writes what waits of one session, which may be nil.
func (r *Relay) flushOne(ctx context.Context, s *session) {
	if s != nil && r.acks.takeOne(s) {
		r.writeAck(ctx, s)
	}
}

func (r *Relay) writeAck(ctx context.Context, s *session) {
	s.mu.Lock()
	seq := s.acked
	s.mu.Unlock()
	err := r.cfg.Store.Ack(ctx, s.clinic, seq, s.epoch)
	switch {
	case err == nil:
	case errors.Is(err, ErrStaleEpoch):
		r.metrics.staleAcks.Inc()
		r.askOwners()
	case errors.Is(err, ErrUnknownClinic):
		s.end(wire.Close4403, "")
	default:
		r.metrics.storeErrors.Inc()
		s.mu.Lock()
		ended := s.ended
		s.mu.Unlock()
		if !ended {
			r.acks.add(s)
		}
	}
}
