package dicomtest

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Flow is a run of bytes in one direction.
type Flow struct {
	FromClient bool
	Data       []byte
}

// Recorder is the server's end of a connection that remembers what passed.
type Recorder struct {
	net.Conn
	mu     sync.Mutex
	flows  []Flow
	writes [][]byte
}

// NewRecorder records conn.
func NewRecorder(conn net.Conn) *Recorder { return &Recorder{Conn: conn} }

func (r *Recorder) add(fromClient bool, b []byte) {
	if len(b) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.flows); n == 0 || r.flows[n-1].FromClient != fromClient {
		r.flows = append(r.flows, Flow{FromClient: fromClient})
	}
	last := &r.flows[len(r.flows)-1]
	last.Data = append(last.Data, b...)
	if !fromClient {
		r.writes = append(r.writes, bytes.Clone(b))
	}
}

// Read reads from the client.
func (r *Recorder) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.add(true, b[:n])
	return n, err
}

// Write writes to the client.
func (r *Recorder) Write(b []byte) (int, error) {
	r.add(false, b) // before the client can answer
	return r.Conn.Write(b)
}

// Writes returns what each Write was given.
func (r *Recorder) Writes() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([][]byte(nil), r.writes...)
}

// Flows returns the conversation.
func (r *Recorder) Flows() []Flow {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Flow(nil), r.flows...)
}

// WriteFlows writes a conversation as hex dumps, each under a heading
// ">>> Flow n (client to server)" or "(server to client)".
func WriteFlows(w io.Writer, flows []Flow) error {
	for i, f := range flows {
		direction := "server to client"
		if f.FromClient {
			direction = "client to server"
		}
		if _, err := fmt.Fprintf(w, ">>> Flow %d (%s)\n%s", i+1, direction, hex.Dump(f.Data)); err != nil {
			return err
		}
	}
	return nil
}

// ParseFlows reads what WriteFlows has written. Lines before the first heading
// are its description.
func ParseFlows(r io.Reader) ([]Flow, error) {
	var flows []Flow
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, ">>> Flow ") {
			flows = append(flows, Flow{FromClient: strings.Contains(line, "(client to server)")})
			continue
		}
		if len(flows) == 0 || line == "" {
			continue
		}
		offset, rest, _ := strings.Cut(line, "  ")
		if _, err := hex.DecodeString(offset); err != nil {
			return nil, fmt.Errorf("line %q: %w", line, err)
		}
		rest, _, _ = strings.Cut(rest, "|")
		b, err := hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
		if err != nil {
			return nil, fmt.Errorf("line %q: %w", line, err)
		}
		f := &flows[len(flows)-1]
		f.Data = append(f.Data, b...)
	}
	return flows, lines.Err()
}

// Replay plays the client's part of a recording over conn and fails the test
// when the server's part differs.
func Replay(tb testing.TB, conn net.Conn, flows []Flow) {
	tb.Helper()
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	for i, f := range flows {
		if f.FromClient {
			if _, err := conn.Write(f.Data); err != nil {
				tb.Fatalf("flow %d: %v", i+1, err)
			}
			continue
		}
		got := make([]byte, len(f.Data))
		n, err := io.ReadFull(conn, got)
		if err != nil || !bytes.Equal(got, f.Data) {
			tb.Fatalf("flow %d: %v\ngot\n%swant\n%s", i+1, err, hex.Dump(got[:n]), hex.Dump(f.Data))
		}
	}
}
