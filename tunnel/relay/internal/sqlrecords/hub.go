package sqlrecords

import (
	"context"
	"sync"

	"github.com/rayhound/rayhound/tunnel/relay"
)

// subscriberQueue is how many wake-ups wait for a receiver before the next are lost.
const subscriberQueue = 4096

// Hub hands wake-ups from goroutines of this process to others. The zero value is ready.
type Hub struct {
	mu   sync.RWMutex
	subs map[chan relay.Wakeup]struct{}
}

// Wake tells every subscriber, without waiting.
func (h *Hub) Wake(w relay.Wakeup) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for ch := range h.subs {
		select {
		case ch <- w:
		default: // it does not keep up; Pending tells it later
		}
	}
}

// Subscribe returns a channel that is closed when ctx ends.
func (h *Hub) Subscribe(ctx context.Context) <-chan relay.Wakeup {
	ch := make(chan relay.Wakeup, subscriberQueue)
	h.mu.Lock()
	if h.subs == nil {
		h.subs = map[chan relay.Wakeup]struct{}{}
	}
	h.subs[ch] = struct{}{}
	h.mu.Unlock()
	context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.subs, ch)
		close(ch)
	})
	return ch
}
