package relay

import (
	"context"
	"sync"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// Pings: the slots of the wheel, how many sockets are pinged at a time, and how long one may take.
const (
	wheelSlots  = 100
	pingWorkers = 8
	pingTimeout = 2 * time.Second
)

// wheel spreads the pings of all sockets evenly over one round, with one timer for all.
type wheel struct {
	tick time.Duration

	mu    sync.Mutex
	slots [wheelSlots]map[*session]struct{}
	where map[*session]int
	next  int
}

func newWheel(round time.Duration) *wheel {
	return &wheel{tick: max(round/wheelSlots, time.Millisecond), where: map[*session]int{}}
}

func (w *wheel) add(s *session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.next
	w.next = (w.next + 1) % wheelSlots
	if w.slots[at] == nil {
		w.slots[at] = map[*session]struct{}{}
	}
	w.slots[at][s] = struct{}{}
	w.where[s] = at
}

func (w *wheel) remove(s *session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at, ok := w.where[s]; ok {
		delete(w.slots[at], s)
		delete(w.where, s)
	}
}

func (w *wheel) slot(i int, into []*session) []*session {
	w.mu.Lock()
	defer w.mu.Unlock()
	for s := range w.slots[i] {
		into = append(into, s)
	}
	return into
}

// ping turns the wheel.
func (r *Relay) ping(ctx context.Context) error {
	work := make(chan *session, 1024)
	var workers sync.WaitGroup
	for range pingWorkers {
		workers.Go(func() {
			for s := range work {
				s.ping(ctx)
			}
		})
	}
	defer workers.Wait()
	defer close(work)
	var due []*session
	i := 0
	return r.every(ctx, r.wheel.tick, "ping", func(ctx context.Context) error {
		due = r.wheel.slot(i, due[:0])
		i = (i + 1) % wheelSlots
		for n, s := range due {
			due[n] = nil
			select {
			case work <- s:
			case <-ctx.Done():
				return nil
			}
		}
		return nil
	})
}

// ping sends one, or ends a session that has been silent for too long or does not take a ping.
func (s *session) ping(ctx context.Context) {
	now := s.r.cfg.Now()
	if now.Sub(s.lastHeard()) >= s.r.cfg.DeadAfter {
		s.r.metrics.zombies.Inc()
		s.end(wire.CloseGoingAway, "silent")
		return
	}
	s.mu.Lock()
	writing := s.writing
	due := s.rotating == "" && now.Sub(s.tokenBorn) >= wire.RotateEvery
	s.mu.Unlock()
	if due {
		s.rotateIfDue(ctx)
	}
	if writing {
		return // bytes are under way, with a deadline of their own
	}
	if err := s.sock.ping(time.Now().Add(pingTimeout)); err != nil {
		s.r.metrics.zombies.Inc()
		s.end(wire.CloseUnknownCode, "")
	}
}
