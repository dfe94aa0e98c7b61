package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

// idleCmd measures the real binary in a clinic where nothing happens.
type idleCmd struct {
	For    time.Duration `help:"How long." default:"60s"`
	Binary string        `help:"The rayhound binary; empty: built from this repository." type:"path"`
}

// Help shows an example.
func (idleCmd) Help() string {
	return "Runs rayhound run with twelve machines beside a simulated Provet Cloud that it polls.\n\n" +
		"Example:\n\n  bench idle --for 60s"
}

// Validate answers kong.
func (c idleCmd) Validate() error {
	if c.For < time.Second || c.For > time.Hour {
		return fmt.Errorf("--for must be 1s to 1h")
	}
	return nil
}

// settle is how long the start may still be busy.
const settle = 5 * time.Second

// Run measures.
func (c idleCmd) Run(ctx context.Context, b *bench, r *report) error {
	dir, remove, err := scratch()
	if err != nil {
		return err
	}
	defer remove()
	if c.Binary == "" {
		c.Binary = filepath.Join(dir, "rayhound")
		b.say("building")
		build := exec.CommandContext(ctx, "go", "build", "-o", c.Binary, "github.com/rayhound/rayhound")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("go build: %w", err)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd, err := c.start(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { _ = end(cmd) }()
	pid := cmd.Process.Pid
	if err := pause(ctx, settle); err != nil {
		return err
	}
	b.say("waiting %v", c.For)
	before, began := cpuTime(pid), time.Now()
	early := memory(pid, "VmRSS")
	top := peak(ctx, pid)
	if err := pause(ctx, c.For); err != nil {
		return err
	}
	highest := top()
	used, took := cpuTime(pid)-before, time.Since(began)
	now := memory(pid, "VmRSS")
	if now == 0 {
		return fmt.Errorf("rayhound ended; see its log")
	}
	const subject = "rayhound run"
	r.add(row{Subject: subject, Measure: fmt.Sprintf("RSS after %v", c.For), Value: now / megabyte, Unit: "MB"}.atMost(40),
		row{Subject: subject, Measure: "RSS, highest while idle", Value: highest / megabyte, Unit: "MB"}.atMost(40),
		row{Subject: subject, Measure: "RSS 5 s after the start", Value: early / megabyte, Unit: "MB"},
		row{Subject: subject, Measure: "of it in files (binary, libraries)", Value: memory(pid, "RssFile") / megabyte, Unit: "MB"},
		row{Subject: subject, Measure: "share of one core", Value: 100 * used.Seconds() / took.Seconds(), Unit: "%"}.atMost(1))
	return nil
}

// start starts the binary with settings for a simulated Provet Cloud.
func (c idleCmd) start(ctx context.Context, dir string) (*exec.Cmd, error) {
	sim := provetsim.New(provetsim.Config{NoLimits: true})
	address, err := serveHTTP(ctx, sim)
	if err != nil {
		return nil, err
	}
	sim.SetBaseURL("http://" + address)
	status := map[string]string{}
	for _, key := range []string{"in_progress", "done", "discontinued", "cancelled"} {
		status[key] = sim.StatusValue(key)
	}
	f := settings("http://"+address+"/4321", status)
	file, data := filepath.Join(dir, "rayhound.toml"), filepath.Join(dir, "data")
	if err := config.Save(file, f, ""); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, c.Binary, "run", "--config", file, "--data", data)
	cmd.Env = append(os.Environ(), "RAYHOUND_PROVET_CLIENT_SECRET=secret")
	cmd.Stderr, cmd.WaitDelay = os.Stderr, 5*time.Second
	return cmd, cmd.Start()
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
