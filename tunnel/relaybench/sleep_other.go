//go:build !linux

package relaybench

import "time"

// sleepUntil waits.
func sleepUntil(t time.Time) { time.Sleep(time.Until(t)) }
