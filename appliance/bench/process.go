package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// megabyte is 10^6 bytes, as in the targets.
const megabyte = 1e6

// memory returns a line of /proc/<pid>/status in bytes: VmRSS, VmHWM. Zero
// where there is no /proc.
func memory(pid int, field string) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, ok := bytes.Cut(b, []byte("\n"+field+":"))
	if !ok {
		return 0
	}
	fields := strings.Fields(string(rest))
	if len(fields) == 0 {
		return 0
	}
	kb, _ := strconv.ParseFloat(fields[0], 64)
	return kb * 1024
}

// family returns the resident memory of a process and its children.
func family(pid int) float64 {
	sum := memory(pid, "VmRSS")
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return sum
	}
	for _, f := range strings.Fields(string(b)) {
		if child, err := strconv.Atoi(f); err == nil {
			sum += family(child)
		}
	}
	return sum
}

// cpuTime returns the processor time a process has used. The clock ticks 100
// times a second on every Linux that matters.
func cpuTime(pid int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, ok := bytes.Cut(b, []byte(") "))
	if !ok {
		return 0
	}
	fields := strings.Fields(string(rest))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// peak watches the memory of a process and its children until stop is called,
// and returns the highest it saw.
func peak(ctx context.Context, pid int) (stop func() float64) {
	ctx, cancel := context.WithCancel(ctx)
	var top atomic.Uint64
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			top.Store(max(top.Load(), uint64(family(pid))))
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return func() float64 {
		cancel()
		<-done
		return float64(top.Load())
	}
}

// end asks a process we started to end, and insists after five seconds.
func end(cmd *exec.Cmd) error {
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		_ = cmd.Process.Kill() // Windows knows no SIGTERM
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(5 * time.Second):
		_ = cmd.Process.Kill()
		return <-ended
	}
}
