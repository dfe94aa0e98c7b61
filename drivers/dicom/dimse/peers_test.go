//go:build peers

package dimse

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dicomtest"
)

var update = flag.Bool("update", false, "record testdata/flows again with DCMTK")

// run runs a program of DCMTK; a missing one fails the test.
func run(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "TCP_NODELAY=1")
	out, err := cmd.CombinedOutput()
	if _, found := exec.LookPath(name); found != nil {
		t.Fatal(found)
	}
	return string(out), err
}

// recorded starts a server of flowServer that records its first connection.
func recorded(t *testing.T) (host, port string, flows func() []dicomtest.Flow) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	records := make(chan *dicomtest.Recorder, 10)
	done := make(chan error, 1)
	s := NewServer(flowServer())
	go func() { done <- s.Serve(ctx, recordingListener{ln, records}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	host, port, _ = net.SplitHostPort(ln.Addr().String())
	return host, port, func() []dicomtest.Flow {
		r := <-records
		for deadline := time.Now().Add(10 * time.Second); s.Stats().Connections > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the connection stays open")
			}
		}
		return r.Flows()
	}
}

func TestPeerDCMTKAsClient(t *testing.T) {
	tests := []struct {
		flow string
		args []string
		want []string
	}{
		{"echoscu", []string{"echoscu", "-v", "-aet", "DR1", "-aec", "RAYHOUND"}, []string{"Received Echo Response (Success)"}},
		{"findscu", []string{"findscu", "-v", "-W", "-aet", "DR1", "-aec", "RAYHOUND", "-k", "AccessionNumber=1001"}, []string{"Find Response: 2", "Bella", "Final Find Response (Success)"}},
		{"findscu-implicit", []string{"findscu", "-v", "-W", "-xi", "-aet", "DR1", "-aec", "RAYHOUND", "-k", "AccessionNumber=1001"}, []string{"Find Response: 2", "Bella"}},
		{"findscu-small-pdu", []string{"findscu", "-v", "-W", "-pdu", "4096", "-aet", "DR1", "-aec", "rayhound", "-k", "AccessionNumber=1001"}, []string{"Find Response: 2"}},
		{"findscu-cancel", []string{"findscu", "-v", "-W", "--cancel", "1", "-aet", "DR1", "-aec", "RAYHOUND", "-k", "AccessionNumber=CANCEL"}, []string{"Find Response: 1", "Cancel"}},
		{"wrong-title", []string{"echoscu", "-v", "-aet", "DR1", "-aec", "NOSUCH"}, []string{"Called AE Title Not Recognized"}},
	}
	for _, tt := range tests {
		t.Run(tt.flow, func(t *testing.T) {
			host, port, flows := recorded(t)
			out, err := run(t, tt.args[0], append(tt.args[1:], host, port)...)
			for _, want := range tt.want {
				if !bytes.Contains([]byte(out), []byte(want)) {
					t.Errorf("no %q in\n%s%v", want, out, err)
				}
			}
			got := flows()
			if !*update || t.Failed() {
				return
			}
			name := filepath.Join("testdata", "flows", tt.flow+".flow")
			var b bytes.Buffer
			fmt.Fprintf(&b, "DCMTK 3.6.7: %v\n", tt.args)
			if err := dicomtest.WriteFlows(&b, got); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestPeerTermscu(t *testing.T) {
	host, port, _ := recorded(t)
	out, _ := run(t, "termscu", "-v", "-aet", "DR1", "-aec", "RAYHOUND", host, port)
	t.Log(out)
	if out, err := run(t, "echoscu", "-aet", "DR1", "-aec", "RAYHOUND", host, port); err != nil {
		t.Errorf("%s%v", out, err)
	}
}

func TestPeerStorescpAsServer(t *testing.T) {
	path, err := exec.LookPath("storescp")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port
	_ = ln.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, "-od", t.TempDir(), "-aet", "PACS", strconv.Itoa(port))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = cmd.Wait()
	}()
	cfg := ClientConfig{
		Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), CallingAETitle: "RAYHOUND", CalledAETitle: "PACS",
		Contexts: []ProposedContext{{AbstractSyntax: VerificationSOPClassUID}, {AbstractSyntax: mwlClass}},
	}
	var c *Client
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if c, err = Dial(t.Context(), cfg); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	for range 3 {
		if err := c.Echo(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if ts := c.TransferSyntax(mwlClass); ts != "" {
		t.Errorf("a storage server accepts the worklist with %s", ts)
	}
	release(t, c)
}
