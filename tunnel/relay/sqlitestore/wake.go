package sqlitestore

import (
	"context"
	"sync"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// subscriberQueue is how many wake-ups wait for a receiver before the next are lost.
const subscriberQueue = 4096

// hub hands wake-ups from one goroutine of this process to others.
type hub struct {
	mu   sync.RWMutex
	subs map[chan relay.Wakeup]struct{}
}

// Wake implements relay.Store.
func (s *Store) Wake(c wire.ClinicID, seq wire.Seq) {
	s.hub.mu.RLock()
	defer s.hub.mu.RUnlock()
	for ch := range s.hub.subs {
		select {
		case ch <- relay.Wakeup{Clinic: c, Seq: seq}:
		default: // it does not keep up; Pending tells it later
		}
	}
}

// Subscribe implements relay.Store. Only one process may: it runs the relay.
func (s *Store) Subscribe(ctx context.Context) (<-chan relay.Wakeup, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.lock.take(); err != nil {
		return nil, err
	}
	ch := make(chan relay.Wakeup, subscriberQueue)
	s.hub.mu.Lock()
	if s.hub.subs == nil {
		s.hub.subs = map[chan relay.Wakeup]struct{}{}
	}
	s.hub.subs[ch] = struct{}{}
	s.hub.mu.Unlock()
	context.AfterFunc(ctx, func() {
		s.hub.mu.Lock()
		defer s.hub.mu.Unlock()
		delete(s.hub.subs, ch)
		close(ch)
	})
	return ch, nil
}
