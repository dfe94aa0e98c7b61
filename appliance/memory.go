package appliance

import (
	"os"
	"runtime"
	"runtime/debug"
)

const (
	// gcPercent lets garbage grow to a third of what lives before it is collected:
	// the clinic's computer has other work, and Rayhound makes little garbage.
	gcPercent = 35
	// goMemory is what Go may hold before it collects in earnest, in bytes. It
	// is soft. With ten thousand steps and their answers 45 MB live.
	goMemory = 60 << 20
)

// collectSooner sets the pace of the garbage collector for this process.
func collectSooner() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(goMemory) // reading the worklist makes garbage
	}
}

// boundGarbage gives back what reading a whole worklist left behind, and bounds
// what Go holds from then on by what lives: never closer than twice what lives now, because a
// bound that is too close makes a collector that never rests.
func boundGarbage() {
	debug.FreeOSMemory()
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	debug.SetMemoryLimit(max(goMemory, 2*int64(m.HeapAlloc)))
}
