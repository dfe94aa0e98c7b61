package relay

import (
	"context"
	"runtime/debug"
	"time"
)

// After a storm of handshakes the heap is full of what they left behind, and the runtime keeps that much memory for the next
// one. Once it is calm again the memory goes back to the system.
const (
	tidyEvery = 5 * time.Second
	tidyAfter = 500 // handshakes
)

func (r *Relay) tidy(ctx context.Context) error {
	var tidied, last int64
	return r.every(ctx, tidyEvery, "tidy", func(context.Context) error {
		n := r.greeted.Load()
		calm := n-last < tidyAfter/10
		last = n
		if calm && n-tidied >= tidyAfter {
			tidied = n
			debug.FreeOSMemory()
		}
		return nil
	})
}
