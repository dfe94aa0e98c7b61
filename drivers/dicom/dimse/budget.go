package dimse

import (
	"context"
	"sync"
	"time"
)

// freeMessage is how much of a message is held without asking the budget, in bytes.
const freeMessage = 64 << 10

// budget is the memory all messages in flight share. Who waits is served in
// any order; the wait is bounded.
type budget struct {
	mu    sync.Mutex
	left  int
	freed chan struct{} // closed and replaced when memory comes back
}

func newBudget(n int) *budget { return &budget{left: n, freed: make(chan struct{})} }

func (b *budget) try(n int) (bool, chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n <= b.left {
		b.left -= n
		return true, nil
	}
	return false, b.freed
}

// take takes n bytes, waiting at most wait for them.
func (b *budget) take(ctx context.Context, n int, wait time.Duration) bool {
	ok, freed := b.try(n)
	if ok {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-freed:
			if ok, freed = b.try(n); ok {
				return true
			}
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

func (b *budget) give(n int) {
	if n == 0 {
		return
	}
	b.mu.Lock()
	b.left += n
	close(b.freed)
	b.freed = make(chan struct{})
	b.mu.Unlock()
}
