//go:build peers

package mllp_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"
)

// These tests speak with independent HL7 programs in both roles. A program that
// is missing is a failure: who runs with the tag wants to know.

// python is Debian's, which has python3-hl7.
const python = "/usr/bin/python3"

// node returns the environment in which the npm packages are found, and installs
// them when RAYHOUND_NODE_PATH does not say where they are.
func node(t *testing.T) []string {
	t.Helper()
	path := os.Getenv("RAYHOUND_NODE_PATH")
	if path == "" {
		dir := t.TempDir()
		run(t, nil, "npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", dir,
			"node-hl7-server@2.5.0", "node-hl7-client@2.3.1", "simple-hl7@3.3.0")
		path = filepath.Join(dir, "node_modules")
	}
	return []string{"NODE_PATH=" + path}
}

// run runs a program to its end and returns what it printed.
func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

// start starts a program that listens on a port and returns the address and what
// it prints.
func start(t *testing.T, env []string, name, script string) (address string, lines <-chan string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = ln.Addr().String()
	_ = ln.Close()
	_, port, _ := net.SplitHostPort(address)
	cmd := exec.Command(name, filepath.Join("testdata", "peers", script), port)
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said: %s", script, &stderr)
		}
	})
	out := make(chan string, 100)
	go func() {
		for s := bufio.NewScanner(stdout); s.Scan(); {
			if strings.HasPrefix(s.Text(), "GOT") {
				out <- s.Text()
			}
		}
	}()
	for deadline := time.Now().Add(30 * time.Second); ; {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = c.Close()
			return address, out
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %v", script, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// order builds a message for a peer.
func order(t *testing.T, id string) []byte {
	t.Helper()
	b := hl7.NewBuilder(hl7.BuilderConfig{Version: "2.5.1"})
	b.MSH().Set("3", "RAYHOUND").Set("4", "CLINIC").Set("5", "RIS").Set("6", "CLINIC").Set("7", "20261124010203").
		SetAll("9", "ORM", "O01", "ORM_O01").Set("10", id).Set("11", "P")
	b.Segment("PID").Set("1", "1").Set("3", "4711").SetAll("5", "Müller", "Bella")
	b.Segment("ORC").Set("1", "NW").Set("2", "A1")
	raw, _, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// send sends messages with our client and reads the answers with our codec.
func send(t *testing.T, address string, persistent bool, lines <-chan string) {
	t.Helper()
	c := mllp.NewClient(mllp.ClientConfig{Address: address, Persistent: persistent, AnswerTimeout: 20 * time.Second})
	defer c.Close()
	for i := range 3 {
		id := fmt.Sprintf("RH%06d", i)
		answer, err := c.Send(t.Context(), order(t, id), func(answer []byte) (ours, final bool) {
			a, err := hl7.ParseAck(answer, hl7.Options{})
			return err == nil && a.ControlID == id, true
		})
		if err != nil {
			t.Fatal(err)
		}
		if a, err := hl7.ParseAck(answer, hl7.Options{}); err != nil || a.Code != hl7.AA {
			t.Errorf("%v %q", err, answer)
		}
		// node-hl7-server 2.5.0 reads everything again that came before on the same
		// connection and acknowledges it again, in front of the answer to the new
		// message. The client takes none of those for its own.
		timeout := time.After(20 * time.Second)
		for line := ""; line != "GOT "+id+" Müller"; {
			select {
			case line = <-lines:
				if !strings.HasPrefix(line, "GOT RH00000") || !strings.HasSuffix(line, " Müller") {
					t.Errorf("the peer read %q", line)
				}
			case <-timeout:
				t.Fatal("the peer did not read the message")
			}
		}
	}
}

func TestPeerServers(t *testing.T) {
	env := node(t)
	for _, p := range []struct{ program, script string }{
		{python, "python_server.py"}, {"node", "node_server.js"}, {"node", "simple_server.js"},
	} {
		t.Run(p.script, func(t *testing.T) {
			address, lines := start(t, env, p.program, p.script)
			send(t, address, true, lines)
			send(t, address, false, lines)
		})
	}
}

// listen starts our server; it acknowledges and passes on what it read.
func listen(t *testing.T) (port string, got <-chan *hl7.Message) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	messages := make(chan *hl7.Message, 100)
	s := mllp.NewServer(mllp.ServerConfig{
		Handler: func(_ context.Context, _ mllp.Conn, frame []byte) ([]byte, error) {
			m, err := hl7.Parse(frame, hl7.Options{})
			if err != nil {
				return nil, err
			}
			messages <- m
			answer, _, err := hl7.NewAck(m, hl7.Ack{Code: hl7.AA, MessageControlID: "ANSWER1"}).Bytes()
			return answer, err
		},
		OnBad: func(_ mllp.Conn, _ []byte, reason error) { t.Log(reason) },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	t.Cleanup(func() { cancel(); <-done })
	_, port, _ = net.SplitHostPort(ln.Addr().String())
	return port, messages
}

func TestPeerClients(t *testing.T) {
	env := node(t)
	port, got := listen(t)
	file := filepath.Join(t.TempDir(), "m.hl7")
	if err := os.WriteFile(file, order(t, "P1"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []struct {
		id, answer string
		args       []string
	}{
		{"P1", "MSA|AA|P1", []string{"mllp_send", "--port", port, "--loose", "--file", file, "127.0.0.1"}},
		{"N1", "ANSWER AA N1", []string{"node", "testdata/peers/node_client.js", port}},
		{"S1", "ANSWER AA S1", []string{"node", "testdata/peers/simple_client.js", port}},
	} {
		out := run(t, env, p.args[0], p.args[1:]...)
		if !strings.Contains(out, p.answer) {
			t.Errorf("%s prints %q", p.args[0], out)
		}
		select {
		case m := <-got:
			if m.ControlID() != p.id || m.Get("PID-5.1") != "Müller" || m.Get("PID-5.2") != "Bella" {
				t.Errorf("%s: %s %q", p.id, m.ControlID(), m.Text("PID-5"))
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no message came")
		}
	}
}
