//go:build peers

package dicom_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
	"github.com/rayhound/rayhound/drivers/dicom/dicomsim"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
	"github.com/rayhound/rayhound/drivers/dicom/mpps"
	"github.com/rayhound/rayhound/drivers/dicom/query"
)

// These tests speak with independent DICOM programs. A program that is missing
// is a failure: who runs with the tag wants to know.

// program returns the path of an installed program.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed: %v", name, err)
	}
	return path
}

// run runs a program to its end and returns what it printed.
func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(t, name), args...)
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", name, err, &stdout, &stderr)
	}
	return stdout.String()
}

// node returns the environment in which dcmjs-dimse is found, and installs it
// when RAYHOUND_NODE_PATH does not say where it is.
func node(t *testing.T) []string {
	t.Helper()
	path := os.Getenv("RAYHOUND_NODE_PATH")
	if path == "" {
		dir := t.TempDir()
		run(t, nil, "npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", dir, "dcmjs-dimse@0.3.3")
		path = filepath.Join(dir, "node_modules")
	}
	return []string{"NODE_PATH=" + path}
}

// serve starts a program that listens, and waits until it does. lines, when it
// is not nil, gets what the program prints.
func serve(t *testing.T, env []string, lines chan<- string, name string, args func(port string) []string) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = ln.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	_ = ln.Close()
	cmd := exec.Command(program(t, name), args(port)...)
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
	var read sync.WaitGroup
	read.Go(func() {
		s := bufio.NewScanner(stdout)
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			if lines != nil {
				lines <- s.Text()
			}
		}
	})
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		read.Wait()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", name, &stderr)
		}
	})
	deadline := time.Now().Add(20 * time.Second)
	for {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = conn.Close()
			return address
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %v\n%s", name, err, &stderr)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// steps is an mpps.Store in memory.
type steps struct {
	mu      sync.Mutex
	reports []*mpps.Report
	refused []string
}

func (s *steps) Create(_ context.Context, r *mpps.Report) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, was := range s.reports {
		if was.SOPInstanceUID == r.SOPInstanceUID {
			return mpps.ErrDuplicate
		}
	}
	s.reports = append(s.reports, r)
	return nil
}

func (s *steps) Set(_ context.Context, r *mpps.Report) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := mpps.ErrUnknown
	for _, was := range s.reports {
		if was.SOPInstanceUID == r.SOPInstanceUID {
			if err = nil; was.Final() {
				return mpps.ErrFinal
			}
		}
	}
	if err == nil {
		s.reports = append(s.reports, r)
	}
	return err
}

func (s *steps) Refused(_ context.Context, _ *mpps.Report, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = append(s.refused, reason)
	return nil
}

// rayhound runs our MPPS service on loopback, and returns its host and port.
func rayhound(t *testing.T, store mpps.Store) (host, port string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := dimse.NewServer(dimse.ServerConfig{
		AETitle:  "RAYHOUND",
		Services: map[string]any{mpps.SOPClassUID: mpps.NewService(mpps.Config{Store: store})},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	host, port, _ = net.SplitHostPort(ln.Addr().String())
	return host, port
}

// checkPeerReports compares what an independent console printed and what we
// stored.
func checkPeerReports(t *testing.T, out string, want []string, store *steps) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(out), "\n")
	uid, _ := strings.CutPrefix(lines[len(lines)-1], "uid ")
	if got := strings.Join(lines[:len(lines)-1], "\n"); got != strings.Join(want, "\n") {
		t.Errorf("it printed:\n%s", out)
	}
	store.mu.Lock()
	defer store.mu.Unlock()
	if len(store.reports) != 2 {
		t.Fatalf("%d reports", len(store.reports))
	}
	begin, end := store.reports[0], store.reports[1]
	if begin.SOPInstanceUID != uid || begin.Status != mpps.InProgress || begin.PatientID != "4711" || begin.Modality != "DX" ||
		len(begin.References) == 0 || begin.References[0].AccessionNumber != "1001" ||
		begin.StartedAt.Format("2006-01-02 15:04") != "2026-11-22 10:15" {
		t.Errorf("%+v", begin)
	}
	if end.SOPInstanceUID != uid || end.Status != mpps.Completed || end.EndedAt.Format("15:04") != "10:30" {
		t.Errorf("%+v", end)
	}
}

func TestPeerOdilReports(t *testing.T) {
	store := &steps{}
	host, port := rayhound(t, store)
	out := run(t, nil, "/usr/bin/python3", "testdata/peers/odil_mpps.py", host, port, "DR1", "RAYHOUND")
	checkPeerReports(t, out, []string{"C-ECHO ok", "N-CREATE 0000", "N-SET 0000", "N-SET again 0110"}, store)
	if got := store.reports[0].PatientName; got != "Müller^Bella" {
		t.Errorf("%q", got)
	}
}

func TestPeerDcmjsReports(t *testing.T) {
	store := &steps{}
	host, port := rayhound(t, store)
	out := run(t, node(t), "node", "testdata/peers/dcmjs_mpps.js", host, port, "DR1", "RAYHOUND")
	checkPeerReports(t, out, []string{
		"C-ECHO 0000", "N-CREATE COMPLETED 0106", "N-CREATE 0000", "N-CREATE again 0111",
		"N-SET 0000", "N-SET again 0110", "N-SET unknown 0112",
	}, store)
	if n := len(store.reports[0].References); n != 2 {
		t.Errorf("%d references", n)
	}
	if s, i := store.reports[1].Images(); s != 1 || i != 1 {
		t.Errorf("%d series, %d instances", s, i)
	}
	if len(store.refused) != 1 {
		t.Errorf("kept as refused: %q", store.refused)
	}
}

// stored is a line that dcmjs_scp.js prints.
type stored struct {
	Operation string
	UID       string
	Status    uint16
	Elements  struct {
		PerformedProcedureStepStatus    string
		AccessionNumber                 string
		ScheduledStepAttributesSequence []struct {
			AccessionNumber          string
			ScheduledProcedureStepID string
			StudyInstanceUID         string
		}
		PerformedSeriesSequence []struct {
			SeriesInstanceUID       string
			ReferencedImageSequence []struct{ ReferencedSOPInstanceUID string }
		}
	}
}

// Our own MPPS sender against an independent server.
func TestPeerDcmjsReceives(t *testing.T) {
	lines := make(chan string, 100)
	address := serve(t, node(t), lines, "node", func(port string) []string { return []string{"testdata/peers/dcmjs_scp.js", port} })
	for _, syntax := range []string{dataset.ImplicitLE.UID(), dataset.ExplicitLE.UID()} {
		m, err := dicomsim.New(dicomsim.Config{AETitle: "DR1", CalledAETitle: "PEER", Address: address, TransferSyntax: syntax})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Echo(t.Context()); err != nil {
			t.Fatal(err)
		}
		entry := &query.Entry{
			AccessionNumber: "1001", StudyInstanceUID: "2.25.1001", ScheduledProcedureStepID: "1001-1", RequestedProcedureID: "1001",
			PatientName: "Müller^Bella", PatientID: "4711",
		}
		step, err := m.Perform(t.Context(), entry, dicomsim.Options{Series: 2, Instances: 3})
		if err != nil {
			t.Fatal(err)
		}
		var begin, end stored
		for _, s := range []*stored{&begin, &end} {
			if err := json.Unmarshal([]byte(<-lines), s); err != nil {
				t.Fatal(err)
			}
			if s.UID != step.SOPInstanceUID || s.Status != 0 {
				t.Errorf("%+v", s)
			}
		}
		if refs := begin.Elements.ScheduledStepAttributesSequence; len(refs) != 1 || refs[0].AccessionNumber != "1001" ||
			refs[0].ScheduledProcedureStepID != "1001-1" || refs[0].StudyInstanceUID != "2.25.1001" {
			t.Errorf("%+v", begin)
		}
		if s := end.Elements.PerformedSeriesSequence; end.Elements.PerformedProcedureStepStatus != "COMPLETED" || len(s) != 2 ||
			s[0].SeriesInstanceUID != step.Series[0].SeriesInstanceUID || len(s[1].ReferencedImageSequence) != 3 {
			t.Errorf("%+v", end)
		}
		for kind, want := range map[dicomsim.Kind]string{
			dicomsim.DuplicateCreate: "status 0111", dicomsim.SetTwice: "status 0110",
			dicomsim.SetUnknown: "status 0112", dicomsim.CreateCompleted: "status 0106",
		} {
			if heard, err := m.Misbehave(t.Context(), kind); err != nil || heard != want {
				t.Errorf("%s: heard %q, %v", kind, heard, err)
			}
		}
		for len(lines) > 0 {
			<-lines
		}
	}
}

func TestPeerWlmscpfsAnswers(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "MWL")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "lockfile"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, nil, "dump2dcm", "-q", "testdata/peers/worklist.dump", filepath.Join(folder, "1.wl"))
	address := serve(t, []string{"TCP_NODELAY=1"}, nil, "wlmscpfs", func(port string) []string {
		return []string{"-dhl", "-csk", "-dfp", dir, port}
	})
	target, err := query.ParseTarget("MWL@" + address)
	if err != nil {
		t.Fatal(err)
	}
	target.CallingAETitle = "DR1"
	for name, c := range map[string]struct {
		keys query.Keys
		want int
	}{
		"all":       {query.Keys{}, 1},
		"modality":  {query.Keys{Modality: "DX"}, 1},
		"other":     {query.Keys{Modality: "CT"}, 0},
		"date":      {query.Keys{Date: "20261101-20261130"}, 1},
		"past":      {query.Keys{Date: "-20261101"}, 0},
		"accession": {query.Keys{AccessionNumber: "1001"}, 1},
		"station":   {query.Keys{StationAETitle: "DR1"}, 1},
		"name":      {query.Keys{PatientName: "M*", Charset: "ISO_IR 192"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			for e, err := range query.Worklist(t.Context(), target, c.keys) {
				if err != nil {
					t.Fatal(err)
				}
				n++
				if e.PatientName != "Müller^Bella" || e.AccessionNumber != "1001" || e.Modality != "DX" || e.StartDate != "20261122" ||
					e.ScheduledProcedureStepID != "1001-1" || e.StudyInstanceUID != "2.25.1234567890" {
					t.Errorf("%+v", e)
				}
			}
			if n != c.want {
				t.Errorf("%d entries", n)
			}
		})
	}
}

func TestPeerStorescpEchoes(t *testing.T) {
	dir := t.TempDir()
	address := serve(t, []string{"TCP_NODELAY=1"}, nil, "storescp", func(port string) []string {
		return []string{"-od", dir, "-aet", "PACS", port}
	})
	target, err := query.ParseTarget("PACS@" + address)
	if err != nil {
		t.Fatal(err)
	}
	if err := query.Echo(t.Context(), target); err != nil {
		t.Error(err)
	}
	for _, err := range query.Worklist(t.Context(), target, query.Keys{}) {
		if err == nil || !strings.Contains(err.Error(), "not this service") {
			t.Errorf("a storage server has a worklist: %v", err)
		}
	}
}
