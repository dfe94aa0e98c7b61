//go:build linux

package pgtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// DefaultBin is where Debian keeps the programs of PostgreSQL 15. The
// environment variable RAYHOUND_PG_BIN overrules it.
const DefaultBin = "/usr/lib/postgresql/15/bin"

const (
	startTimeout = 60 * time.Second
	user         = "postgres"
)

// Server is a running PostgreSQL server.
type Server struct {
	bin, dir, password string
	port               int
	settings           []string
	account            *syscall.SysProcAttr
	log                *os.File
	cmd                *exec.Cmd
	done               chan struct{} // closed when cmd has ended
	databases          int
}

// Start makes a data folder and starts a server on it, which ends with the
// test. Settings are "name=value" and overrule those of the server; without
// any, fsync and synchronous_commit are on.
func Start(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	bin := os.Getenv("RAYHOUND_PG_BIN")
	if bin == "" {
		bin = DefaultBin
	}
	if _, err := os.Stat(filepath.Join(bin, "initdb")); err != nil {
		tb.Fatalf("PostgreSQL is needed: %v", err)
	}
	dir, err := os.MkdirTemp("", "rayhound-pg-") // not tb.TempDir: another account must reach it
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{bin: bin, dir: dir, password: rand.Text(), settings: settings}
	tb.Cleanup(func() {
		s.stop()
		if tb.Failed() {
			if b, err := os.ReadFile(filepath.Join(dir, "server.log")); err == nil {
				tb.Logf("server log:\n%s", b[max(0, len(b)-4000):])
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	if err := s.init(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	s.Restart(tb)
	return s
}

// init makes the data folder, as an account that the server accepts: it
// refuses to run as root.
func (s *Server) init(ctx context.Context) error {
	s.account = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(s.password), 0o600); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		cred, err := postgresAccount()
		if err != nil {
			return err
		}
		s.account.Credential = cred
		for _, p := range []string{s.dir, secret} {
			if err := os.Chown(p, int(cred.Uid), int(cred.Gid)); err != nil {
				return err
			}
		}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "initdb"), "-D", s.data(), "-U", user, "-A", "scram-sha-256", //nolint:gosec // a fixed program
		"--pwfile", secret, "-E", "UTF8", "--locale=C", "--no-sync")
	cmd.SysProcAttr, cmd.Dir = s.account, s.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "server.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	s.log = log
	return err
}

// postgresAccount reads the account "postgres" without cgo.
func postgresAccount() (*syscall.Credential, error) {
	b, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 4 || f[0] != user {
			continue
		}
		uid, err1 := strconv.ParseUint(f[2], 10, 32)
		gid, err2 := strconv.ParseUint(f[3], 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), NoSetGroups: true}, errors.Join(err1, err2)
	}
	return nil, errors.New("there is no account postgres, and root may not run the server")
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Restart starts the server, again if it was killed or stopped, and waits until
// it answers. The port changes only when somebody else has taken it.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), startTimeout)
	defer cancel()
	for {
		if err := s.launch(ctx); err != nil {
			tb.Fatal(err)
		}
		err := s.await(ctx)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			tb.Fatalf("the server does not start: %v", err)
		}
	}
}

func (s *Server) launch(ctx context.Context) error {
	if s.port == 0 {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		s.port = l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			return err
		}
	}
	args := []string{
		"-D", s.data(), "-c", "listen_addresses=127.0.0.1", "-c", "port=" + strconv.Itoa(s.port),
		"-c", "unix_socket_directories=" + s.dir, "-c", "fsync=on", "-c", "synchronous_commit=on", "-c", "full_page_writes=on",
		"-c", "max_connections=60", "-c", "shared_buffers=128MB", "-c", "max_wal_size=1GB",
	}
	for _, set := range s.settings {
		args = append(args, "-c", set)
	}
	s.cmd = exec.Command(filepath.Join(s.bin, "postgres"), args...) //nolint:gosec,noctx // ended by stop
	s.cmd.SysProcAttr, s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.account, s.dir, s.log, s.log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		_ = cmd.Wait() // await and stop look at the channel
		close(done)
	}(s.cmd, s.done)
	return nil
}

// await returns nil when the server answers, and an error when it has ended:
// the port was taken, or what a killed server left is still being released.
func (s *Server) await(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := pgx.Connect(ctx, s.DSN("postgres"))
		if err == nil {
			return c.Close(ctx)
		}
		select {
		case <-s.done:
			if b, err := os.ReadFile(s.log.Name()); err == nil && bytes.Contains(b[max(0, len(b)-2000):], []byte("Address already in use")) {
				s.port = 0
			}
			return fmt.Errorf("the server ended: %w", err)
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// DSN returns the data source name of a database of this server.
func (s *Server) DSN(database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, s.password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)), Path: database, RawQuery: "sslmode=disable",
	}
	return u.String()
}

// NewDatabase makes an empty database and returns its data source name.
func (s *Server) NewDatabase(tb testing.TB) string {
	tb.Helper()
	s.databases++
	name := "relay_" + strconv.Itoa(s.databases)
	c, err := pgx.Connect(tb.Context(), s.DSN("postgres"))
	if err != nil {
		tb.Fatal(err)
	}
	defer c.Close(context.WithoutCancel(tb.Context())) //nolint:errcheck // a test's connection
	if _, err := c.Exec(tb.Context(), "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		tb.Fatal(err)
	}
	return s.DSN(name)
}

// Kill ends every process of the server with SIGKILL, as a crash would.
func (s *Server) Kill() {
	children := s.children()
	_ = s.cmd.Process.Kill() // it may have ended
	for _, pid := range children {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
	}
	<-s.done
}

// children returns the processes the server has started.
func (s *Server) children() []int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", s.cmd.Process.Pid))
	if err != nil {
		return nil
	}
	var pids []int
	for f := range strings.FieldsSeq(string(b)) {
		if pid, err := strconv.Atoi(f); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// stop ends the server quickly and waits for it.
func (s *Server) stop() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGINT) // "fast": open connections are cut
	select {
	case <-s.done:
	case <-time.After(10 * time.Second):
		s.Kill()
	}
	if s.log != nil {
		_ = s.log.Close() // only a log
	}
}
