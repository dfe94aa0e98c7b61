package relaybench

import (
	"syscall"
	"time"
)

// sleepUntil waits as exactly as the kernel can. The runtime's own timers are up to a
// millisecond late in a process that waits for its sockets, which would be counted as
// the relay's.
func sleepUntil(t time.Time) {
	for d := time.Until(t); d > 0; d = time.Until(t) {
		ts := syscall.NsecToTimespec(int64(d))
		_ = syscall.Nanosleep(&ts, nil) // a signal ends it early; it is called again
	}
}
