package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// child is a process of serveCmd.
type child struct {
	cmd     *exec.Cmd
	stdin   io.Closer
	ready   saying
	started time.Duration // from the start of the process to Ready
	visible chan saying
}

// start runs serve with arguments in a process of its own and waits until it is
// ready.
func start(ctx context.Context, args ...string) (*child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, exe, append([]string{"serve"}, args...)...)
	cmd.Cancel = func() error { return nil } // standard input ends it, in order
	cmd.WaitDelay = 20 * time.Second
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, stdin: stdin, visible: make(chan saying, 4096)}
	d := json.NewDecoder(stdout)
	if err := d.Decode(&c.ready); err != nil {
		return nil, errors.Join(fmt.Errorf("the appliance did not start: %w", err), c.stop())
	}
	c.started = time.Since(began)
	go func() {
		defer close(c.visible)
		for {
			var s saying
			if d.Decode(&s) != nil {
				return
			}
			c.visible <- s
		}
	}()
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// stop ends the process and waits for it.
func (c *child) stop() error {
	_ = c.stdin.Close() // tells it to end
	return c.cmd.Wait()
}

// scratch makes a folder that is removed by the function it returns.
func scratch() (dir string, remove func(), err error) {
	if dir, err = os.MkdirTemp("", "rayhound-bench-*"); err != nil {
		return "", nil, err
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}
