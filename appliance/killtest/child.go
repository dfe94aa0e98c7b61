package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// child is one life of the program.
type child struct {
	cmd     *exec.Cmd
	out     *os.File
	began   time.Time
	killing sync.Once
	killed  chan struct{} // closed when we ended it
	ended   chan struct{} // closed when it ended, for whatever reason
}

// start begins a life of the program with the clinic's settings and data.
func (t *trial) start() (*child, error) {
	return t.spawn(outName, "run", "--config", t.settingsPath, "--data", t.dataDir)
}

// outName is the file of what the program prints.
const outName = "rayhound.out"

// spawn runs the program with args; what it prints goes to a file.
func (t *trial) spawn(name string, args ...string) (*child, error) {
	out, err := os.OpenFile(filepath.Join(t.dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(t.bin, args...) //nolint:noctx // it is ended by kill alone
	cmd.Env = append(os.Environ(), "RAYHOUND_PROVET_CLIENT_SECRET=secret")
	cmd.Stdout, cmd.Stderr = out, out
	c := &child{cmd: cmd, out: out, began: time.Now(), killed: make(chan struct{}), ended: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		out.Close()
		return nil, fmt.Errorf("start: %w", err)
	}
	go func() {
		_ = cmd.Wait() // how it ended is asked of killed
		out.Close()
		close(c.ended)
	}()
	return c, nil
}

// kill ends the program as a power cut would, and waits until it is gone.
func (c *child) kill() {
	c.killing.Do(func() {
		close(c.killed)
		_ = c.cmd.Process.Kill() // it may be gone already
	})
	<-c.ended
}

// died reports whether the program ended by itself.
func (c *child) died() bool {
	select {
	case <-c.ended:
	default:
		return false
	}
	select {
	case <-c.killed:
		return false
	default:
		return true
	}
}

// lastWords returns the end of what the program printed.
func (t *trial) lastWords(name string) string {
	f, err := os.Open(filepath.Join(t.dir, name))
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if size, err := f.Seek(0, io.SeekEnd); err == nil {
		_, err = f.Seek(max(0, size-1500), io.SeekStart)
		if err != nil {
			return err.Error()
		}
	}
	b, err := io.ReadAll(f)
	return string(b) + errText(err)
}

func errText(err error) string {
	if err == nil || errors.Is(err, io.EOF) {
		return ""
	}
	return err.Error()
}
