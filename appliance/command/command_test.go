package command

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/control"
	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
	"github.com/rayhound/rayhound/ui"
)

// desk is a command line with its output in memory.
type desk struct {
	config, data string
	stdin        string
	environ      map[string]string
	program      Program
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	dir := t.TempDir()
	return &desk{config: filepath.Join(dir, "rayhound.toml"), data: filepath.Join(dir, "data"), environ: map[string]string{}}
}

func (d *desk) run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	p := d.program
	p.Version, p.Stdout, p.Stderr, p.Stdin = "1.2.3", &out, &errs, strings.NewReader(d.stdin)
	p.Getenv = func(name string) string {
		switch name {
		case "RAYHOUND_CONFIG":
			return d.config
		case "RAYHOUND_DATA":
			return d.data
		}
		return d.environ[name]
	}
	code = p.Main(t.Context(), args)
	return code, out.String(), errs.String()
}

// want runs a command and checks the exit code and that all texts come out.
func (d *desk) want(t *testing.T, code int, texts []string, args ...string) string {
	t.Helper()
	got, out, errs := d.run(t, args...)
	if got != code {
		t.Errorf("%q: exit %d, want %d\n%s%s", args, got, code, out, errs)
	}
	for _, s := range texts {
		if !strings.Contains(out+errs, s) {
			t.Errorf("%q: no %q in\n%s%s", args, s, out, errs)
		}
	}
	if code != 0 && !regexp.MustCompile(`(?m)^rayhound: .+ \(RH-\d{3}\)$`).MatchString(errs) {
		t.Errorf("%q: not one sentence with a code: %s", args, errs)
	}
	return out
}

// paths returns every command with its words.
func paths(t reflect.Type, words []string) [][]string {
	var all [][]string
	for i := range t.NumField() {
		f := t.Field(i)
		if _, ok := f.Tag.Lookup("cmd"); !ok {
			continue
		}
		name := f.Tag.Get("name")
		if name == "" {
			name = strings.ToLower(regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(f.Name, "$1-$2"))
		}
		here := append(append([]string{}, words...), name)
		if below := paths(f.Type, here); len(below) > 0 {
			all = append(all, below...)
			continue
		}
		all = append(all, here)
	}
	return all
}

func TestEveryCommandHasHelpWithAnExample(t *testing.T) {
	all := paths(reflect.TypeFor[cli](), nil)
	if len(all) < 35 {
		t.Fatalf("only %d commands", len(all))
	}
	d := newDesk(t)
	for _, words := range all {
		code, out, errs := d.run(t, append(words, "--help")...)
		if code != 0 || errs != "" {
			t.Errorf("%q: exit %d %s", words, code, errs)
		}
		if !strings.Contains(out, "Example:") || !strings.Contains(out, "rayhound "+strings.Join(words, " ")) {
			t.Errorf("%q has no example:\n%s", words, out)
		}
	}
}

func TestUsage(t *testing.T) {
	d := newDesk(t)
	d.want(t, 0, []string{"Commands:"})
	d.want(t, 0, []string{"1.2.3"}, "version")
	d.want(t, 0, []string{`"version": "1.2.3"`}, "version", "--json")
	for _, args := range [][]string{
		{"ordres"},
		{"orders", "show"},
		{"orders", "show", "1", "2"},
		{"orders", "complete", "1"},
		{"orders", "list", "--state", "done"},
		{"orders", "list", "--limit", "0"},
		{"orders", "add"},
		{"outbox", "retry", "x"},
		{"outbox", "retry", "1", "--destination", "provet"},
		{"dicom", "echo", "nohost"},
		{"dicom", "echo", "A@h:1", "--calling", "SEVENTEENLETTERS1"},
		{"--nothing", "version"},
		{"demo", "--orders", "-1"},
		{"orders", "add", "--patient-id", "1", "--patient-name", "B", "--modality", "X", "--at", "soon"},
	} {
		d.want(t, 2, []string{"RH-514", "--help"}, args...)
	}
}

func TestSettings(t *testing.T) {
	d := newDesk(t)
	d.want(t, 0, []string{d.config}, "config", "path")
	d.want(t, 1, []string{"RH-513", "config init"}, "config", "check")
	d.want(t, 1, []string{"RH-513"}, "run")
	d.want(t, 0, []string{"Wrote"}, "config", "init")
	d.want(t, 1, []string{"RH-513", "already"}, "config", "init")
	d.want(t, 0, []string{"is good", "RH-110"}, "config", "check")
	d.want(t, 0, []string{"[dicom]", `ae_title = "RAYHOUND"`}, "config", "show")
	d.want(t, 0, []string{`"max_associations": 64`}, "config", "show", "--json")
	if err := os.WriteFile(d.config, []byte("[dicom]\nae_titel = \"X\"\nlisten = [\"x\"]\n[page]\nlisten = []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.want(t, 1, []string{"line 2", "ae_title?", "line 3", "page.listen", "RH-506"}, "config", "check")
	d.want(t, 1, []string{"RH-506"}, "orders", "list")
	code, out, _ := d.run(t, "config", "check", "--json")
	if code != 1 || !strings.Contains(out, `"line": 2`) {
		t.Errorf("%d %s", code, out)
	}
}

func TestPlaces(t *testing.T) {
	env := func(vars map[string]string) func(string) string { return func(n string) string { return vars[n] } }
	if s, d := platformPlaces("linux", env(nil)); s != "/etc/rayhound/rayhound.toml" || d != "/var/lib/rayhound" {
		t.Error(s, d)
	}
	s, d := platformPlaces("windows", env(map[string]string{"ProgramData": "D:"}))
	if s != filepath.Join("D:", "Rayhound", "rayhound.toml") || d != filepath.Join("D:", "Rayhound", "data") {
		t.Error(s, d)
	}
	de := newDesk(t)
	de.want(t, 0, []string{"other.toml"}, "config", "path", "--config", "other.toml")
}

func TestRunAndDemoGetTheirOptions(t *testing.T) {
	d := newDesk(t)
	d.environ["RAYHOUND_PROVET_CLIENT_SECRET"] = "canary"
	var ran RunOptions
	var demo DemoOptions
	d.program.Run = func(_ context.Context, o RunOptions) error {
		ran = o
		return problem.New(problem.PagePort, problem.Args{"address": "127.0.0.1:18470", "reason": "in use"}, nil)
	}
	d.program.Demo = func(_ context.Context, o DemoOptions) error {
		demo = o
		return nil
	}
	d.want(t, 0, nil, "config", "init")
	d.want(t, 1, []string{"RH-511"}, "run")
	if ran.ClientSecret.Reveal() != "canary" || ran.Config == nil || ran.DataDir != d.data || ran.Version != "1.2.3" {
		t.Errorf("%+v", ran)
	}
	d.want(t, 0, nil, "demo", "--once", "--orders", "3", "--seed", "9")
	if !demo.Once || demo.Orders != 3 || demo.Seed != 9 {
		t.Errorf("%+v", demo)
	}
}

// clinic is a service with one order.
type clinic struct {
	ui.Appliance
	secret string
	asked  []string
}

var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func (*clinic) Orders(context.Context, ui.OrderFilter) ([]ui.Order, error) {
	return []ui.Order{{AccessionNumber: "12", State: order.Held, PatientName: "Bel\x1b[31mla", Owner: "Miller", Modality: "X-ray", Why: "held: modality", ChangedAt: at}}, nil
}

func (*clinic) Order(_ context.Context, accession string) (ui.OrderDetail, error) {
	if accession != "12" {
		return ui.OrderDetail{}, problem.New(problem.OrderUnknown, problem.Args{"accession": accession}, nil)
	}
	return ui.OrderDetail{
		Order: ui.Order{
			AccessionNumber: "12", State: order.Completed, PatientID: "7", PatientName: "Bella", Why: "closed by images", ProvetID: "12",
			Timeline: []ui.Entry{{At: at, Source: "provet", Text: "Received from Provet Cloud", Code: "RH-212"}},
			Evidence: []ui.Evidence{{At: at, Source: order.Images, Event: order.StepCompleted, Series: 2, Instances: 12, Decided: true}},
			Holds:    []ui.Hold{{Code: "RH-201", Field: "modality", Detail: "X-ray"}},
		},
		Messages:     []ui.Message{{ID: 3, Destination: "provet", Kind: "status completed", State: "parked", Code: "RH-203", LastError: "400", Attempts: []ui.Attempt{{At: at, Outcome: "parked", Detail: "400"}}}},
		Queries:      []ui.Query{{At: at, Machine: "Room 1", Matches: 1, Keys: []ui.QueryKey{{Keyword: "Modality", Value: "CT"}}, Excluded: []ui.Excluded{{AccessionNumber: "12", Key: "Modality", Reason: "is DX"}}}},
		Explanations: []ui.Explanation{{Machine: "Room 1", Reason: "the order is completed"}},
	}, nil
}

func (c *clinic) ActOnOrder(_ context.Context, accession string, a ui.Action) (ui.Order, error) {
	c.asked = append(c.asked, string(a.Kind)+" "+accession+" "+a.Reason)
	if a.Kind == ui.Cancel {
		return ui.Order{}, problem.New(problem.OrderState, problem.Args{"accession": accession, "state": "completed", "event": "cancel"}, nil)
	}
	return ui.Order{AccessionNumber: accession, State: order.Completed}, nil
}

func (c *clinic) AddOrder(_ context.Context, n ui.NewOrder) (ui.Order, error) {
	c.asked = append(c.asked, "add "+n.PatientName)
	return ui.Order{AccessionNumber: "H1", State: order.Scheduled}, nil
}

func (*clinic) Outbox(context.Context, ui.OutboxFilter) ([]ui.Message, error) {
	return []ui.Message{{ID: 3, Destination: "provet", AccessionNumber: "12", Kind: "status completed", State: "parked", Code: "RH-203", LastError: "400"}}, nil
}
func (*clinic) RetryOutbox(context.Context, string) (int, error)       { return 2, nil }
func (*clinic) RetryMessage(context.Context, int64) error              { return nil }
func (*clinic) PauseDestination(context.Context, string, string) error { return nil }
func (*clinic) ResumeDestination(context.Context, string) error        { return nil }
func (*clinic) Arrivals(context.Context, bool) ([]ui.Arrival, error) {
	return []ui.Arrival{{ID: 7, Source: "mpps", Station: "Room 1", PatientName: "Bella", Suggestions: []ui.Suggestion{{AccessionNumber: "12", Reason: "same patient id"}}}}, nil
}

func (*clinic) LinkArrival(_ context.Context, _ int64, accession, _ string) (ui.Order, error) {
	return ui.Order{AccessionNumber: accession, State: order.Completed}, nil
}

func (*clinic) Machines(context.Context) ([]ui.Machine, error) {
	return []ui.Machine{{Name: "Room 1", AETitle: "DR1"}}, nil
}

func (*clinic) PendingMachines(context.Context) ([]ui.PendingMachine, error) {
	return []ui.PendingMachine{{AETitle: "NEW", Address: "10.0.0.9"}}, nil
}

func (*clinic) Queries(context.Context, ui.QueryFilter) ([]ui.Query, error) {
	return []ui.Query{{Machine: "Room 1"}}, nil
}

func (c *clinic) SetSecret(_ context.Context, name string, v secret.Secret) error {
	if name == "Bad" {
		return secret.ErrName
	}
	c.secret = v.Reveal()
	return nil
}

func (*clinic) Secrets(context.Context) ([]secret.Info, error) {
	return []secret.Info{{Name: "provet.client_secret", SetAt: at}}, nil
}

func (*clinic) Backups(context.Context) ([]ui.Backup, error) {
	return []ui.Backup{{Name: "b.db", CreatedAt: at, Bytes: 2_500_000, Good: true}}, nil
}

func (*clinic) CreateBackup(context.Context) (ui.Backup, error) { return ui.Backup{Name: "b.db"}, nil }

func (*clinic) Doctor(context.Context) ([]ui.Check, error) {
	return []ui.Check{{Area: "provet", Name: "token", Result: "fail", Code: "RH-101", Detail: "refused", Help: "set the secret"}}, nil
}

func (*clinic) ProbeProvet(context.Context) (ui.Probe, error) {
	return ui.Probe{Text: "worklist: found\n", TOML: "[provet.status]\n"}, nil
}

func (*clinic) SupportFile(_ context.Context, w io.Writer) error {
	_, err := io.WriteString(w, "PK")
	return err
}

func (c *clinic) Hint(_ context.Context, id string) error {
	c.asked = append(c.asked, "look "+id)
	return nil
}

// serve starts a service that the desk's commands find.
func (d *desk) serve(t *testing.T, c *clinic) {
	t.Helper()
	if err := os.MkdirAll(d.data, 0o700); err != nil {
		t.Fatal(err)
	}
	token, err := control.NewToken(d.data)
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.config, []byte("[page]\nlisten = [\""+l.Addr().String()+"\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- ui.New(ui.Config{Appliance: c, Token: token}).Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestCommandsOfARunningService(t *testing.T) {
	d, c := newDesk(t), &clinic{}
	d.serve(t, c)
	out := d.want(t, 0, []string{"ACCESSION", "12", "held", "Miller", "held: modality"}, "orders", "list")
	if strings.Contains(out, "\x1b") {
		t.Error("a name can steer the terminal")
	}
	d.want(t, 0, []string{`"accession_number": "12"`}, "orders", "list", "--json")
	d.want(t, 0, []string{
		"completed: closed by images", "Timeline", "Received from Provet Cloud (RH-212)", "2 series, 12 images", "decided", "Reports to others",
		"parked: 400 (RH-203)", "Who sees it now", "no: the order is completed", "asked [Modality=CT], 1 answer; left it out: Modality is DX",
	}, "orders", "show", "12")
	d.want(t, 0, []string{`"explanations"`}, "orders", "show", "12", "--json")
	d.want(t, 1, []string{"No order has the accession number 9", "RH-209"}, "orders", "show", "9")
	d.want(t, 0, []string{"Order 12 is completed"}, "orders", "complete", "12", "--reason", "seen it")
	d.want(t, 1, []string{"RH-210"}, "orders", "cancel", "12", "--reason", "twice")
	for _, kind := range []string{"hold", "reopen"} {
		d.want(t, 0, nil, "orders", kind, "12", "--reason", "r")
	}
	for _, kind := range []string{"release", "resend"} {
		d.want(t, 0, nil, "orders", kind, "12")
	}
	d.want(t, 0, []string{"H1 is scheduled"}, "orders", "add", "--patient-id", "1", "--patient-name", "Rex", "--modality", "CT", "--at", "2026-01-31T14:30")
	d.want(t, 2, []string{"RH-514"}, "orders", "add", "--patient-id", "1", "--patient-name", "Rex", "--modality", "CT", "--sex", "x")
	d.want(t, 0, nil, "orders", "look", "55")
	if got := strings.Join(c.asked, "|"); got != "complete 12 seen it|cancel 12 twice|hold 12 r|reopen 12 r|release 12 |resend 12 |add Rex|look 55" {
		t.Error(got)
	}
	d.want(t, 0, []string{"parked: 400 (RH-203)"}, "outbox", "list")
	d.want(t, 0, []string{"2 messages"}, "outbox", "retry")
	d.want(t, 0, []string{"1 message "}, "outbox", "retry", "3")
	d.want(t, 0, []string{"paused"}, "outbox", "pause", "provet")
	d.want(t, 0, []string{"goes on"}, "outbox", "resume", "provet")
	d.want(t, 0, []string{"rayhound arrivals link 7 12"}, "arrivals", "list")
	d.want(t, 0, []string{"belongs to order 12"}, "arrivals", "link", "7", "12")
	d.want(t, 0, []string{"DR1"}, "machines", "list")
	d.want(t, 0, []string{"NEW"}, "machines", "pending")
	d.want(t, 0, []string{"everything"}, "machines", "queries")
	d.want(t, 0, []string{"b.db", "2.5 MB"}, "backup", "list")
	d.want(t, 0, []string{"Wrote b.db"}, "backup", "create")
	d.want(t, 0, []string{"[provet.status]", "checking every line"}, "provet", "probe")
	d.want(t, 0, []string{"RH-507"}, "secret", "list")
	code, out, errs := d.run(t, "doctor")
	if code != 1 || !strings.Contains(out, "RH-101") || !strings.Contains(out, "set the secret") || errs != "" {
		t.Errorf("doctor: %d %s%s", code, out, errs)
	}
}

func TestSecretSet(t *testing.T) {
	d, c := newDesk(t), &clinic{}
	d.serve(t, c)
	d.stdin = "hunter2 canary\r\n"
	out := d.want(t, 0, []string{"is set"}, "secret", "set", "provet.client_secret")
	if c.secret != "hunter2 canary" || strings.Contains(out, "canary") {
		t.Errorf("%q %s", c.secret, out)
	}
	d.want(t, 2, []string{"RH-514"}, "secret", "set", "Bad")
	d.stdin = "\n"
	d.want(t, 2, []string{"RH-514"}, "secret", "set", "provet.client_secret")
}

func TestSupportFile(t *testing.T) {
	d := newDesk(t)
	d.serve(t, &clinic{})
	path := filepath.Join(t.TempDir(), "s.zip")
	d.want(t, 0, []string{"Wrote"}, "support-file", "--out", path)
	if b, err := os.ReadFile(path); err != nil || string(b) != "PK" {
		t.Errorf("%q, %v", b, err)
	}
	d.want(t, 1, []string{"RH-513"}, "support-file", "--out", path) // nothing is overwritten
	if _, out, _ := d.run(t, "support-file", "--out", "-"); out != "PK" {
		t.Errorf("%q", out)
	}
}

func TestNoService(t *testing.T) {
	d := newDesk(t)
	d.want(t, 0, nil, "config", "init")
	for _, args := range [][]string{{"orders", "list"}, {"secret", "set", "a"}, {"outbox", "list"}, {"backup", "create"}, {"support-file"}, {"doctor"}, {"doctor", "--json"}} {
		d.want(t, 3, []string{"RH-509", "rayhound run"}, args...)
	}
	d.want(t, 0, []string{"no backup yet"}, "backup", "list")
	d.want(t, 1, []string{"RH-513"}, "backup", "restore", "none.db")
	d.want(t, 1, []string{"RH-110"}, "provet", "probe")
}

func TestNotAllowed(t *testing.T) {
	d := newDesk(t)
	d.serve(t, &clinic{})
	if err := os.WriteFile(filepath.Join(d.data, control.TokenFile), []byte("0123456789012345678901234567890123456789012\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.want(t, 4, []string{"RH-510"}, "orders", "list")
}

func TestUnexpectedError(t *testing.T) {
	d := newDesk(t)
	d.program.Demo = func(context.Context, DemoOptions) error { return errors.New("it broke") }
	d.want(t, 1, []string{"It broke.", "support-file"}, "demo")
}
