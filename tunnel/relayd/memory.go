package relayd

import (
	"context"
	"runtime/debug"
	"time"
)

const (
	memoryEvery = 5 * time.Second
	// manyAgents is from where on nearly all memory is that of idle tunnels, so that
	// collecting it more often costs little of a core and saves a kilobyte of each.
	manyAgents = 2000
	gcFew      = 50
	gcMany     = 20
)

// spareMemory sets the pace of the garbage collector (GOGC) by the number of
// tunnels, until ctx ends.
func spareMemory(ctx context.Context, agents func() int) {
	tick := time.NewTicker(memoryEvery)
	defer tick.Stop()
	defer debug.SetGCPercent(debug.SetGCPercent(gcFew))
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		percent := gcFew
		if agents() >= manyAgents {
			percent = gcMany
		}
		debug.SetGCPercent(percent)
	}
}
