package relaybench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// process is a relay in a process of its own.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
	address string
	mu      sync.Mutex
}

func cut(line string) (word, rest string) {
	word, rest, _ = strings.Cut(line, " ")
	return word, rest
}

// serveArgs are the arguments with which the program becomes a relay of a bench.
var serveArgs = []string{"relay", "bench", "serve"}

// start starts a relay and waits for its port.
func start(ctx context.Context, set setting) (*process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, exe, serveArgs...)
	cmd.Cancel = func() error { return nil } // standard input ends it, in order
	cmd.WaitDelay = 30 * time.Second
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), childEnv+"=1")
	p := &process{cmd: cmd}
	if p.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = json.NewDecoder(stdout)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var a answer
	err = json.NewEncoder(p.in).Encode(set)
	if err == nil {
		err = p.out.Decode(&a)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("relaybench: the relay did not start: %w", err), p.stop())
	}
	p.address = a.Address
	return p, nil
}

// childEnv marks the relay's process, so that a test's binary knows its part.
const childEnv = "RAYHOUND_RELAYBENCH_SERVE"

// ask asks the process about itself.
func (p *process) ask(what string) (a answer, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := fmt.Fprintln(p.in, what); err != nil {
		return a, err
	}
	if err := p.out.Decode(&a); err != nil {
		return a, fmt.Errorf("relaybench: the relay ended: %w", err)
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

// stop ends the process in order and waits for it.
func (p *process) stop() error {
	_ = p.in.Close() // tells it to end
	return p.cmd.Wait()
}

// kill ends it at once, as a power cut does to the program.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	_ = p.cmd.Wait()         // "signal: killed"
}

// memory returns the resident memory in bytes; 0 where there is no /proc.
func (p *process) memory() float64 { return p.status("VmRSS") }

// files returns how much of it is pages of files: the program and the database.
func (p *process) files() float64 { return p.status("RssFile") + p.status("RssShmem") }

// status returns a line of /proc/PID/status in bytes.
func (p *process) status(field string) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(b, []byte("\n"+field+":"))
	fields := strings.Fields(string(rest))
	if len(fields) == 0 {
		return 0
	}
	kb, _ := strconv.ParseFloat(fields[0], 64)
	return kb * 1024
}

// scratch makes a folder that is removed by the function it returns.
func scratch() (dir string, remove func(), err error) {
	if dir, err = os.MkdirTemp("", "rayhound-relaybench-*"); err != nil {
		return "", nil, err
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}
