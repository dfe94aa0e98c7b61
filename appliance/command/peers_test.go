package command

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/drivers/dicom/dataset"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
)

// page is an output that several goroutines use.
type page struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf.Write(b)
}

// waitFor returns the text once it holds want; it gives up after 10 seconds.
func (p *page) waitFor(t *testing.T, want string) string {
	t.Helper()
	for limit := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) { // bounded polling
		p.mu.Lock()
		text := p.buf.String()
		p.mu.Unlock()
		if strings.Contains(text, want) {
			return text
		}
		if time.Now().After(limit) {
			t.Fatalf("no %q in\n%s", want, text)
		}
	}
}

// The simulator prints settings that are good, and the probe finds in it what
// the settings name, whatever it calls its fields.
func TestProbeOfASimulator(t *testing.T) {
	for _, rename := range []bool{false, true} {
		d := newDesk(t)
		ctx, stop := context.WithCancel(t.Context())
		out := &page{}
		p := Program{Stdout: out, Stderr: out, Getenv: func(string) string { return "" }}
		args := []string{"sim", "provet", "--listen", "127.0.0.1:0", "--orders", "2"}
		if rename {
			args = append(args, "--rename")
		}
		ended := make(chan int, 1)
		go func() { ended <- p.Main(ctx, args) }()
		text := out.waitFor(t, "cancelled = ")
		_, settings, ok := strings.Cut(text, "fit it:\n")
		if !ok {
			t.Fatal(text)
		}
		if _, err := config.Parse([]byte(settings)); err != nil {
			t.Fatalf("%v\n%s", err, settings)
		}
		if err := os.WriteFile(d.config, []byte(settings), 0o600); err != nil {
			t.Fatal(err)
		}
		d.environ["RAYHOUND_PROVET_CLIENT_SECRET"] = "secret"
		d.want(t, 0, []string{"is good"}, "config", "check")
		d.want(t, 0, []string{"worklist"}, "provet", "probe")
		toml := d.want(t, 0, []string{"[provet"}, "provet", "probe", "--toml")
		if _, err := config.Parse([]byte(toml)); err != nil {
			t.Errorf("the proposal is no settings file: %v\n%s", err, toml)
		}
		d.environ["RAYHOUND_PROVET_CLIENT_SECRET"] = "wrong"
		d.want(t, 1, []string{"RH-101"}, "provet", "probe")
		stop()
		if code := <-ended; code != 0 {
			t.Errorf("the simulator ended with %d", code)
		}
	}
}

func TestImportSchema(t *testing.T) {
	d := newDesk(t)
	d.want(t, 1, []string{"RH-513"}, "provet", "import-schema", "none.json")
	path := filepath.Join(t.TempDir(), "openapi.json")
	if err := os.WriteFile(path, []byte("not json"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs := d.run(t, "provet", "import-schema", path)
	if code != 1 || !strings.Contains(errs, "(RH-") {
		t.Errorf("%d %s", code, errs)
	}
}

// finder has one entry on its list.
type finder struct{}

func (finder) Find(_ context.Context, r *dimse.Request, answers *dimse.Answers) error {
	syntax, _ := dataset.SyntaxByUID(r.TransferSyntaxUID)
	step := dataset.NewBuilder(syntax, dataset.Latin1)
	step.Strings(dataset.Modality, "DX")
	b := dataset.NewBuilder(syntax, dataset.Latin1)
	b.Text(dataset.AccessionNumber, "12")
	b.Text(dataset.PatientName, "Miller^Bella")
	b.Seq(dataset.ScheduledProcedureStepSequence, step)
	identifier, err := b.Bytes()
	if err != nil {
		return err
	}
	return answers.Send(identifier, 0xFF00)
}

func TestDICOMCommands(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	s := dimse.NewServer(dimse.ServerConfig{AETitle: "THEM", Services: map[string]any{"1.2.840.10008.5.1.4.31": finder{}}})
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	d := newDesk(t)
	d.want(t, 0, []string{"answers after"}, "dicom", "echo", "THEM@"+l.Addr().String())
	d.want(t, 0, []string{"ACCESSION", "12", "Miller^Bella", "1 answer."}, "dicom", "find", "THEM@"+l.Addr().String(), "--date", "today", "--modality", "DX")
	out := d.want(t, 0, nil, "dicom", "find", "THEM@"+l.Addr().String(), "--json", "--limit", "1")
	var items []worklistItem
	if err := json.Unmarshal([]byte(out), &items); err != nil || len(items) != 1 || items[0].AccessionNumber != "12" || items[0].Modality != "DX" {
		t.Errorf("%v %s", err, out)
	}
	d.want(t, 1, []string{"RH-307"}, "dicom", "echo", "OTHER@"+l.Addr().String())
}
