package support

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/logging"
	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
	"github.com/rayhound/rayhound/ui"
)

const canary = "KanariënVögel77"

// planted answers with canaries in every field that may hold a name or an id.
type planted struct{ broken bool }

var errBroken = errors.New("no such row for " + canary)

func (p planted) err() error {
	if p.broken {
		return errBroken
	}
	return nil
}

func (p planted) Status(context.Context) (ui.Status, error) {
	return ui.Status{
		Version: "1", Clinic: canary, Codes: []string{"RH-101"}, Destinations: []ui.Destination{{Name: "provet", Reason: canary}},
		RIS: []ui.RIS{{Name: "clinic-ris", LastType: canary}}, HL7: []string{"127.0.0.1:2575"},
	}, p.err()
}

func (p planted) Problems(context.Context, bool) ([]problem.Problem, error) {
	return []problem.Problem{{
		Code: problem.OrderPatientDiffers, Key: "k", Subject: canary, Title: canary, Text: canary, Help: canary, Args: problem.Args{"a": canary},
	}}, p.err()
}

func (p planted) Orders(context.Context, ui.OrderFilter) ([]ui.Order, error) {
	return []ui.Order{{
		AccessionNumber: canary, ProvetID: canary, State: order.Completed, PatientID: canary, PatientName: canary, Owner: canary, Species: canary,
		Breed: canary, BirthDate: canary, StudyInstanceUID: canary, RequestedProcedureID: canary, Modality: "X-ray", Stations: []string{"room 1"},
		UpstreamStatus: canary, Why: canary, Steps: []ui.Step{{ScheduledProcedureStepID: canary, State: order.Completed}},
		Holds: []ui.Hold{{Code: "RH-201", Field: "modality", Detail: canary}}, Notices: []ui.Notice{{Code: "RH-207", Args: map[string]string{"a": canary}}},
		Evidence: []ui.Evidence{{Source: order.MPPS, Ref: canary, Reason: canary}}, Timeline: []ui.Entry{{Kind: "received", Source: "provet", Text: canary}},
	}}, p.err()
}

func (p planted) Outbox(context.Context, ui.OutboxFilter) ([]ui.Message, error) {
	return []ui.Message{{
		ID: 1, Destination: "provet", Kind: canary, AccessionNumber: canary, State: "parked", LastError: canary, Attempts: []ui.Attempt{{Detail: canary}},
	}}, p.err()
}

func (p planted) Machines(context.Context) ([]ui.Machine, error) {
	return []ui.Machine{{Name: "room 1", AETitle: "DR1"}}, p.err()
}

func (p planted) PendingMachines(context.Context) ([]ui.PendingMachine, error) {
	return []ui.PendingMachine{{AETitle: "NEW", Address: "10.0.0.9"}}, p.err()
}

func (p planted) Queries(context.Context, ui.QueryFilter) ([]ui.Query, error) {
	return []ui.Query{{
		Machine: "room 1", Keys: []ui.QueryKey{
			{Tag: "(0010,0010)", Keyword: "PatientName", Value: canary},
			{Tag: "(0010,0020)", Keyword: "PatientID", Value: canary},
			{Tag: "(0009,1001)", Value: canary},
			{Tag: "(0008,0060)", Keyword: "Modality", Value: "DX"},
		},
		Matched: []string{canary}, Excluded: []ui.Excluded{{AccessionNumber: canary, Key: "PatientName", Reason: canary}},
	}}, p.err()
}

func (p planted) Secrets(context.Context) ([]secret.Info, error) {
	return []secret.Info{{Name: "provet.client_secret", Readable: true}}, p.err()
}

func build(t *testing.T, broken bool) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	l, err := logging.Open(logging.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	l.Warn("call failed", "client_secret", canary, "patient_name", canary, slog.Any("x", secret.New(canary)),
		"url", "https://a:"+canary+"@provetcloud.com/?token="+canary)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	f := config.Default()
	f.Clinic.Name, f.Clinic.AccessionPrefix, f.Provet.ClientID = canary, "K77", canary
	m := config.NewModality()
	m.Name, m.AETitle, m.FixedKeys = "room 1", "DR1", map[string]string{"InstitutionName": canary}
	f.Modalities = []config.Modality{m}
	var out bytes.Buffer
	err = Write(t.Context(), &out, Config{
		Source: planted{broken}, Version: "1.2.3", Settings: f, LogPath: l.Path(), DataDir: dir,
		DBCheck: func(context.Context) (string, error) { return "ok", planted{broken}.err() },
		Checks:  []ui.Check{{Area: "provet", Name: "token", Detail: "https://a:" + canary + "@host/"}},
		Now:     func() time.Time { return time.Unix(1_700_000_000, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, f := range r.File {
		rc, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[f.Name], err = io.ReadAll(rc); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// forms returns the canary as it could stand in a file.
func forms() map[string][]byte {
	var u16le, u16be, latin1 []byte
	for _, u := range utf16.Encode([]rune(canary)) {
		u16le = append(u16le, byte(u), byte(u>>8))
		u16be = append(u16be, byte(u>>8), byte(u))
	}
	for _, r := range canary {
		latin1 = append(latin1, byte(r))
	}
	return map[string][]byte{
		"UTF-8": []byte(canary), "UTF-16 LE": u16le, "UTF-16 BE": u16be, "Latin-1": latin1, "JSON": []byte(`Kanari\u00ebn`),
		"base64": []byte(base64.StdEncoding.EncodeToString([]byte(canary))[:16]), "a part": []byte("Kanari"),
	}
}

func TestNoCanaryGetsOut(t *testing.T) {
	for _, broken := range []bool{false, true} {
		files := build(t, broken)
		for name, content := range files {
			if name == "goroutines.txt" {
				continue // names of functions and files of this test
			}
			for form, leak := range forms() {
				if bytes.Contains(content, leak) {
					t.Errorf("%s (broken %t) holds the canary as %s:\n%s", name, broken, form, content)
				}
			}
		}
		if broken != (len(files["errors.txt"]) > 0) {
			t.Errorf("broken %t: errors.txt is %q", broken, files["errors.txt"])
		}
	}
}

func TestWhatSupportNeeds(t *testing.T) {
	files := build(t, false)
	for name, wants := range map[string][]string{
		"summary.txt": {"1.2.3", "RH-101", "provet"}, "health.json": {"RH-207"}, "config.toml": {"[removed]", `ae_title = "DR1"`},
		"secrets.json": {"provet.client_secret"}, "log.txt": {"call failed", "provetcloud.com"}, "connections.json": {"DR1", "10.0.0.9"},
		"outbox.json": {"parked"}, "orders.json": {"completed", "RH-201 modality", "received"}, "tests.json": {"token"},
		"dicom-associations.json": {"DX", `"present"`}, "db-check.txt": {"ok"}, "env.txt": {"system"}, "goroutines.txt": {"goroutine"},
		"sbom.json": {"modules"},
	} {
		for _, want := range wants {
			if !strings.Contains(string(files[name]), want) {
				t.Errorf("%s has no %q:\n%s", name, want, files[name])
			}
		}
	}
	if _, err := config.Parse(files["config.toml"]); err != nil {
		t.Errorf("the settings cannot be tried out: %v", err)
	}
}

func TestIDsOfOneFileBelongTogether(t *testing.T) {
	a, b := newHider(), newHider()
	first, again := a.id("1"), a.id("1")
	if first != again || first == a.id("2") || a.id("1") == b.id("1") || a.id("") != "" {
		t.Error("ids")
	}
}

func TestPlace(t *testing.T) {
	home, err := os.UserHomeDir()
	if err != nil || len(home) < 2 {
		t.Skip("no home folder")
	}
	if got := place(filepath.Join(home, "data")); strings.Contains(got, home) {
		t.Error(got)
	}
}
