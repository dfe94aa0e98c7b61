package appliance_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance"
	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/control"
	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
	"github.com/rayhound/rayhound/drivers/dicom/dicomsim"
	"github.com/rayhound/rayhound/drivers/dicom/query"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
	"github.com/rayhound/rayhound/ui"
)

// patience bounds every wait: long, because a test computer may be busy, and longer
// than the first pauses after a failure that only a busy one has.
const patience = 60 * time.Second

// The machines of the clinic, by their AE titles.
const (
	xray = "DR1"
	ct   = "CT1"
)

var rooms = map[string]struct{ name, code, serves string }{
	xray: {"X-ray room 1", "DX", "X-ray"},
	ct:   {"CT", "CT", "CT"},
}

// bello is the first patient of the simulated clinic.
const bello = 5001

// setup is what a scenario needs besides the usual.
type setup struct {
	poll, sweep time.Duration // 0: not during the test
	settings    func(*config.File)
	before      func(*provetsim.Sim) // before the appliance starts for the first time
	now         func() time.Time     // the clock of everybody; nil: the real one
}

// practice is a whole clinic on loopback: a simulated Provet Cloud, the real
// appliance with its database and its ports, and simulated machines.
type practice struct {
	t        *testing.T
	sim      *provetsim.Sim
	cloud    *server // Provet Cloud
	hooks    *server // the public relay
	dir      string
	settings *config.File
	now      func() time.Time

	app      atomic.Pointer[appliance.Appliance]
	api      *control.Client
	worklist string
	stop     func()
}

// open starts a practice; it ends with the test.
func open(t *testing.T, variant func(provetsim.Config) provetsim.Config, s setup) *practice {
	t.Helper()
	p := &practice{t: t, dir: t.TempDir(), now: s.now, stop: func() {}}
	p.hooks = serve(t, relay{&p.app})
	cfg := variant(provetsim.Config{
		Seed: 7, NoLimits: true, Now: s.now,
		StatusChoices: append(provetsim.DefaultStatusChoices(), provetsim.Choice{Key: "struck", Value: 77, Label: "Struck off"}),
		Delivery:      provetsim.Delivery{Interval: 100 * time.Millisecond, Retries: 200, Concurrency: 8},
	})
	for i, trigger := range []int{provetsim.TriggerOrderCreated, provetsim.TriggerOrderUpdated, provetsim.TriggerOrderDeleted} {
		cfg.Webhooks = append(cfg.Webhooks, provetsim.Webhook{
			Trigger: trigger, URL: "http://" + p.hooks.address + "/in/" + relayReasons[i], ContentType: 1 + i%2, Name: relayReasons[i],
		})
	}
	p.sim = provetsim.New(cfg)
	t.Cleanup(func() { p.sim.Close() })
	p.cloud = serve(t, p.sim)
	p.sim.SetBaseURL("http://" + p.cloud.address)
	p.settings = p.defaults()
	if s.settings != nil {
		s.settings(p.settings)
	}
	if err := p.settings.Validate(); err != nil {
		t.Fatal(err)
	}
	p.settings.Provet.PollInterval, p.settings.Provet.SweepInterval = config.Duration(time.Hour), config.Duration(time.Hour)
	if s.poll > 0 {
		p.settings.Provet.PollInterval = config.Duration(s.poll)
	}
	if s.sweep > 0 {
		p.settings.Provet.SweepInterval = config.Duration(s.sweep)
	}
	if s.before != nil {
		s.before(p.sim)
	}
	p.start()
	t.Cleanup(func() {
		p.stop()
		p.innocent()
	})
	return p
}

// defaults are the settings of the clinic, with the names its Provet has.
func (p *practice) defaults() *config.File {
	f := config.Default()
	f.Clinic.Name, f.Clinic.TimeZone = "Riverside Veterinary Clinic", "Europe/Helsinki"
	f.Provet.BaseURL, f.Provet.ClientID, f.Provet.WeightUnit = p.sim.URL(), "rayhound", "kg"
	f.Provet.Fields = map[string]config.Fields{}
	for resource, names := range p.sim.RenamedFields() {
		fields := config.Fields{}
		for ours, theirs := range names {
			fields[ours] = config.Names{theirs}
		}
		f.Provet.Fields[resource] = fields
	}
	value := func(key string) config.Value { return config.Value(p.sim.StatusValue(key)) }
	f.Provet.Status = config.Status{
		Scheduled: value("scheduled"), InProgress: value("in_progress"), Completed: value("done"),
		Discontinued: value("discontinued"), Cancelled: value("struck"), Withdrawn: config.Names{p.sim.StatusValue("cancelled")},
	}
	f.DICOM.Listen, f.Page.Listen = config.Names{"127.0.0.1:0"}, config.Names{"127.0.0.1:0"}
	for _, title := range []string{xray, ct} {
		m := config.NewModality()
		m.Name, m.AETitle, m.Code, m.Serves = rooms[title].name, title, rooms[title].code, config.Names{rooms[title].serves}
		f.Modalities = append(f.Modalities, m)
	}
	return f
}

// start runs the appliance on the practice's data folder.
func (p *practice) start() {
	p.t.Helper()
	app, err := appliance.New(p.t.Context(), appliance.Config{
		Settings: p.settings, DataDir: p.dir, Version: "test", ClientSecret: secret.New("secret"), NoCallBudget: true, Now: p.now,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	p.stop = sync.OnceFunc(func() {
		p.app.Store(nil)
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, appliance.ErrAgain) {
			p.t.Errorf("the appliance ended with %v", err)
		}
	})
	wait, done := context.WithTimeout(ctx, patience)
	defer done()
	addrs, err := app.DICOMAddrs(wait)
	if err != nil {
		p.stop()
		p.t.Fatal(err)
	}
	p.worklist = addrs[0]
	if p.api, err = control.Dial(app.PageAddr(), p.dir, "e2e"); err != nil {
		p.stop()
		p.t.Fatal(err)
	}
	p.app.Store(app)
}

// restart stops the appliance and starts it again with what it has on disk.
func (p *practice) restart() {
	p.t.Helper()
	p.stop()
	p.start()
}

// innocent fails the test when anything but the status of an order was written.
func (p *practice) innocent() {
	for _, v := range p.sim.Violations() {
		p.t.Errorf("wrote to Provet Cloud: %s %s: %s", v.Method, v.Path, v.Reason)
	}
	status := p.sim.FieldNames()["worklist"]["status"]
	for _, w := range p.sim.Patches() {
		if _, ok := w.Fields[status]; !ok || len(w.Fields) != 1 {
			p.t.Errorf("order %d was written with %v, want %s alone", w.ID, w.Fields, status)
		}
	}
}

// until waits until check returns nil, and fails with its last error.
func (p *practice) until(what string, check func() error) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: %v", what, err)
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-p.t.Context().Done():
			p.t.Fatalf("%s: %v", what, err)
		}
	}
}

func (p *practice) ok(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// request makes an order in Provet Cloud.
func (p *practice) request(modality string) int {
	return p.sim.CreateOrder(provetsim.NewOrder{Modality: modality, TargetAreas: []string{"Thorax LL"}, Remarks: "Cough for a week"})
}

// order reads an order as it is stored, with its timeline.
func (p *practice) order(id int) (*order.Order, []order.Entry) {
	p.t.Helper()
	o, timeline, err := p.app.Load().Order(p.t.Context(), strconv.Itoa(id))
	p.ok(err)
	return o, timeline
}

// becomes waits until an order is in that state.
func (p *practice) becomes(id int, st order.State) *order.Order {
	p.t.Helper()
	var got *order.Order
	p.until(fmt.Sprintf("order %d should become %s", id, st), func() error {
		o, timeline, err := p.app.Load().Order(p.t.Context(), strconv.Itoa(id))
		if err != nil {
			return err
		}
		if got = o; o.State != st {
			return fmt.Errorf("it is %s: %v", o.State, texts(timeline))
		}
		return nil
	})
	return got
}

func texts(timeline []order.Entry) (lines []string) {
	for _, e := range timeline {
		lines = append(lines, e.Kind+": "+e.Text)
	}
	return lines
}

// upstream waits until Provet Cloud shows an order with that status.
func (p *practice) upstream(id int, status string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if err := p.sim.WaitStatus(ctx, id, status); err != nil {
		_, timeline := p.order(id)
		p.t.Fatalf("Provet Cloud shows order %d as %s, want %s: %v", id, p.sim.Status(id), status, texts(timeline))
	}
}

// machine is a console that calls with this AE title.
func (p *practice) machine(title string) *dicomsim.Modality {
	p.t.Helper()
	m, err := dicomsim.New(dicomsim.Config{
		AETitle: title, Address: p.worklist, Code: rooms[title].code, StationName: rooms[title].name, Zone: p.settings.Clinic.Location(),
		Timeouts: query.Timeouts{Connect: patience, Associate: patience, Response: patience, Release: patience},
	})
	p.ok(err)
	return m
}

// list reads a machine's whole worklist.
func (p *practice) list(title string) []*query.Entry {
	p.t.Helper()
	entries, err := p.machine(title).Worklist(p.t.Context(), query.Keys{})
	p.ok(err)
	return entries
}

// on returns the entry of an order on a machine's list, nil when it is not there.
func (p *practice) on(title, accession string) *query.Entry {
	p.t.Helper()
	entries := p.list(title)
	if i := slices.IndexFunc(entries, func(e *query.Entry) bool { return e.AccessionNumber == accession }); i >= 0 {
		return entries[i]
	}
	return nil
}

// listed waits until an order is on a machine's list.
func (p *practice) listed(title string, id int) *query.Entry {
	p.t.Helper()
	var e *query.Entry
	p.until(fmt.Sprintf("order %d should be on the list of %s", id, title), func() error {
		o, timeline, err := p.app.Load().Order(p.t.Context(), strconv.Itoa(id))
		if err != nil {
			return err
		}
		if e = p.on(title, o.AccessionNumber); e == nil {
			return fmt.Errorf("it is not: %v", texts(timeline))
		}
		return nil
	})
	return e
}

// unlisted fails the test when an order is on a machine's list now.
func (p *practice) unlisted(title string, o *order.Order) {
	p.t.Helper()
	if p.on(title, o.AccessionNumber) != nil {
		p.t.Fatalf("order %s (%s) is on the list of %s", o.AccessionNumber, o.State, title)
	}
}

// detail is an order as the loopback API shows it.
func (p *practice) detail(accession string) ui.OrderDetail {
	p.t.Helper()
	d, err := p.api.Order(p.t.Context(), accession)
	p.ok(err)
	return d
}

// act does to an order what a person would, through the loopback API.
func (p *practice) act(accession string, kind ui.ActionKind, want order.State) {
	p.t.Helper()
	o, err := p.api.ActOnOrder(p.t.Context(), accession, ui.Action{Kind: kind, Reason: "because the test says so"})
	if err != nil {
		p.t.Fatalf("%s: %v", kind, err)
	}
	if o.State != want {
		p.t.Fatalf("%s: order %s is %s, want %s", kind, accession, o.State, want)
	}
}

// refuses fails the test unless an action is answered with that problem.
func (p *practice) refuses(accession string, kind ui.ActionKind, code problem.Code) {
	p.t.Helper()
	_, err := p.api.ActOnOrder(p.t.Context(), accession, ui.Action{Kind: kind, Reason: "because the test says so"})
	wantCode(p.t, err, code)
}

func wantCode(t *testing.T, err error, code problem.Code) {
	t.Helper()
	var refusal *control.Refusal
	if !errors.As(err, &refusal) || refusal.Body.Code != string(code) {
		t.Fatalf("got %v, want %s", err, code)
	}
}

// board returns the texts of a problem that stands about a subject; an empty
// subject means any.
func (p *practice) board(code problem.Code, subject string) (lines []string) {
	p.t.Helper()
	all, err := p.api.Problems(p.t.Context(), true)
	p.ok(err)
	for _, x := range all {
		if x.Code == code && (subject == "" || x.Subject == subject) {
			lines = append(lines, x.Text)
		}
	}
	return lines
}

// raised waits until a problem stands on the board and returns its text.
func (p *practice) raised(code problem.Code, subject string) string {
	p.t.Helper()
	var lines []string
	p.until(fmt.Sprintf("%s about %q should be raised", code, subject), func() error {
		if lines = p.board(code, subject); len(lines) == 0 {
			return errors.New("it is not")
		}
		return nil
	})
	return lines[0]
}

// cleared waits until a problem does not stand on the board.
func (p *practice) cleared(code problem.Code, subject string) {
	p.t.Helper()
	p.until(fmt.Sprintf("%s about %q should be gone", code, subject), func() error {
		if lines := p.board(code, subject); len(lines) > 0 {
			return fmt.Errorf("it says %q", lines)
		}
		return nil
	})
}

// same fails the test unless two readings of one order carry one identity.
func (p *practice) same(a, b *order.Order) {
	p.t.Helper()
	ids := func(o *order.Order) string {
		s := fmt.Sprintf("%d %s %s %s %s", o.ID, o.ProvetID, o.AccessionNumber, o.StudyInstanceUID, o.RequestedProcedureID)
		for _, x := range o.Steps {
			s += " " + x.ScheduledProcedureStepID
		}
		return s
	}
	if ids(a) != ids(b) {
		p.t.Errorf("the identity changed from %s to %s", ids(a), ids(b))
	}
}

// contains fails the test unless text has every part.
func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q does not say %q", text, part)
		}
	}
}
