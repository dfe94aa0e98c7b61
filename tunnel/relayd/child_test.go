package relayd_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/relayd"
)

// The environment of a relay in a process of its own: its store and its folder.
const (
	childStore = "RAYHOUND_RELAYD_TEST_STORE"
	childDir   = "RAYHOUND_RELAYD_TEST_DIR"
)

// childSpread is the spread of a child's drain.
const childSpread = 2 * time.Second

// child is the process of one relay: it ends softly on SIGTERM.
func child() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg := quick()
	cfg.DrainSpread = childSpread
	cfg.PendingEvery = time.Second
	err := relayd.Run(ctx, relayd.Config{
		Relay: cfg, Store: os.Getenv(childStore), DataDir: os.Getenv(childDir), Listen: "127.0.0.1:0",
		Log:     slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo})),
		Getenv:  func(string) string { return "" },
		Started: func(p, _ net.Addr) { fmt.Println("listening", p) },
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// process is a relay in a process of its own.
type process struct {
	url  string
	cmd  *exec.Cmd
	done chan error
	log  *lastLines
}

func startProcess(t *testing.T, store, dir string) *process {
	t.Helper()
	p := &process{done: make(chan error, 1), log: &lastLines{}}
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0]) //nolint:gosec // this test
	p.cmd.Env = append(os.Environ(), childStore+"="+store, childDir+"="+dir)
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for p.url == "" && lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "listening "); ok {
			p.url = "http://" + address
		}
	}
	go func() {
		for lines.Scan() { //nolint:revive // to its end
		}
		p.done <- p.cmd.Wait()
	}()
	if p.url == "" {
		t.Fatalf("the relay did not start: %v\n%s", <-p.done, p.log)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		if t.Failed() {
			t.Logf("relay at %s:\n%s", p.url, p.log)
		}
	})
	return p
}

// drain ends it softly.
func (p *process) drain(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-p.done:
		if err != nil {
			t.Errorf("the relay ended with %v\n%s", err, p.log)
		}
	case <-time.After(childSpread + 25*time.Second):
		t.Fatalf("the relay does not end\n%s", p.log)
	}
}

// kill ends it as a crash does.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.done
}

// lastLines keeps the end of a log.
type lastLines struct {
	mu sync.Mutex
	b  []byte
}

func (l *lastLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, b...)
	if n := len(l.b) - 8<<10; n > 0 {
		l.b = l.b[n:]
	}
	return len(b), nil
}

func (l *lastLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.b)
}
