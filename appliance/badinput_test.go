package appliance

import (
	"context"
	"database/sql"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "modernc.org/sqlite" // a newer version's database is made by hand

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
	"github.com/rayhound/rayhound/drivers/dicom/dicomsim"
	"github.com/rayhound/rayhound/drivers/dicom/query"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

// wrongDay is a simulated Provet Cloud and the data folder of one clinic. The
// appliance may be started several times on it, rightly and wrongly.
type wrongDay struct {
	t        *testing.T
	sim      *provetsim.Sim
	origin   string // of the simulated Provet Cloud
	settings *config.File
	app      Config // without settings and data folder
	dir      string
	change   func(*Appliance) // between New and Run; may be nil
	passed   atomic.Int64     // nanoseconds the appliance's clock is ahead
}

// patience is how long the slowest machine may take for what happens at once.
const patience = 20 * time.Second

func newWrongDay(t *testing.T, tenant provetsim.Config) *wrongDay {
	t.Helper()
	tenant.NoLimits = true
	d := &wrongDay{t: t, sim: provetsim.New(tenant), dir: t.TempDir()}
	srv := httptest.NewServer(d.sim)
	t.Cleanup(func() {
		d.sim.Close()
		srv.Close()
	})
	d.origin = srv.URL
	d.sim.SetBaseURL(srv.URL)
	d.app = Config{ClientSecret: secret.New("secret"), NoCallBudget: true, Version: "test"}
	d.app.Now = func() time.Time { return time.Now().Add(time.Duration(d.passed.Load())) }
	f := config.Default()
	f.Provet.BaseURL, f.Provet.ClientID = srv.URL+"/4321", "rayhound"
	f.Provet.PollInterval = config.Duration(50 * time.Millisecond)
	f.Provet.Status = config.Status{InProgress: "2", Completed: "3", Discontinued: "4", Withdrawn: config.Names{"5"}}
	f.DICOM.Listen, f.Page.Listen = config.Names{"127.0.0.1:0"}, config.Names{"127.0.0.1:0"}
	m := config.NewModality()
	m.Name, m.AETitle, m.Code, m.Serves = "Room 1", "DR1", "DX", config.Names{"X-ray"}
	f.Modalities = append(f.Modalities, m)
	d.settings = f
	return d
}

// start runs an appliance; stop ends it and waits.
func (d *wrongDay) start() (a *Appliance, stop func()) {
	d.t.Helper()
	d.app.Settings, d.app.DataDir = d.settings, d.dir
	a, err := New(d.t.Context(), d.app)
	if err != nil {
		d.t.Fatal(err)
	}
	if d.change != nil {
		d.change(a)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(d.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			d.t.Error(err)
		}
	}
	d.t.Cleanup(stop)
	return a, stop
}

// later moves the appliance's clock ahead and wakes who waits: pauses of seconds
// are not waited for. A minute is no wrong clock.
func (d *wrongDay) later(a *Appliance, by time.Duration) {
	d.passed.Add(int64(by))
	signal(a.core.wakeHints)
	signal(a.core.wakeProvet)
}

// until waits for something that happens soon.
func (d *wrongDay) until(what string, ok func() bool) {
	d.t.Helper()
	for limit := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) { // bounded polling
		if time.Now().After(limit) {
			d.t.Fatal("never: " + what)
		}
	}
}

// raised waits for a problem and checks that it is one clear sentence.
func (d *wrongDay) raised(a *Appliance, code problem.Code, parts ...string) {
	d.t.Helper()
	var last []problem.Problem
	defer func() {
		if d.t.Failed() {
			d.t.Logf("%+v", last)
		}
	}()
	d.until(string(code), func() bool {
		last = a.board.All()
		for _, p := range last {
			if p.Code == code {
				clearSentence(d.t, p.Text, p.Help, parts...)
				return true
			}
		}
		return false
	})
}

// gone waits until a problem is taken down.
func (d *wrongDay) gone(a *Appliance, code problem.Code) {
	d.t.Helper()
	d.until("without "+string(code), func() bool {
		for _, p := range a.board.All() {
			if p.Code == code {
				return false
			}
		}
		return true
	})
}

// clearSentence checks what a person reads: one finished sentence without a
// hole, of a length that fits a terminal, and what to do about it.
func clearSentence(t *testing.T, text, help string, parts ...string) {
	t.Helper()
	for _, s := range []string{text, help} {
		if s == "" || strings.ContainsAny(s, "…{}\n") || len(s) > 400 {
			t.Errorf("not a clear sentence: %q", s)
		}
	}
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q does not say %q", text, p)
		}
	}
}

// refusedStart checks the error of a start that is refused.
func (d *wrongDay) refusedStart(code problem.Code, parts ...string) {
	d.t.Helper()
	d.app.Settings, d.app.DataDir = d.settings, d.dir
	a, err := New(d.t.Context(), d.app)
	if err == nil {
		a.Close()
		d.t.Fatal("it started")
	}
	p := problem.Of(err)
	if p == nil || p.Code != code {
		d.t.Fatalf("%v, want %s", err, code)
	}
	clearSentence(d.t, p.Sentence(), p.Help(), parts...)
}

// throughIt waits until order id is on the worklist, images it and waits until
// Provet Cloud shows it as done. Nothing was lost if that works.
func (d *wrongDay) throughIt(a *Appliance, id int) {
	d.t.Helper()
	entry := d.offered(a, id)
	if _, err := d.machine(a).Perform(d.t.Context(), entry, dicomsim.Options{}); err != nil {
		d.t.Fatal(err)
	}
	d.done(id)
}

func (d *wrongDay) done(id int) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	if err := d.sim.WaitStatus(ctx, id, "done"); err != nil {
		d.t.Fatalf("order %d is %s in Provet Cloud: %v", id, d.sim.Status(id), err)
	}
}

// machine is the clinic's X-ray machine.
func (d *wrongDay) machine(a *Appliance) *dicomsim.Modality {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	addrs, err := a.DICOMAddrs(ctx)
	if err != nil {
		d.t.Fatal(err)
	}
	m, err := dicomsim.New(dicomsim.Config{AETitle: "DR1", Address: addrs[0]})
	if err != nil {
		d.t.Fatal(err)
	}
	return m
}

// offered waits until order id is on the worklist and returns it as the machine
// sees it, with everything it knows.
func (d *wrongDay) offered(a *Appliance, id int) (entry *query.Entry) {
	d.t.Helper()
	m := d.machine(a)
	var state string
	defer func() {
		if entry == nil {
			d.t.Log(state)
		}
	}()
	d.until("on the worklist", func() bool {
		o, timeline, err := a.Order(d.t.Context(), strconv.Itoa(id))
		if err != nil {
			state = err.Error()
			return false
		}
		state = string(o.State)
		if o.State != order.Scheduled {
			if len(timeline) > 0 {
				state += ": " + timeline[len(timeline)-1].Text
			}
			return false
		}
		list, err := m.Worklist(d.t.Context(), query.Keys{AccessionNumber: o.AccessionNumber})
		if err != nil {
			d.t.Fatal(err)
		}
		if len(list) > 1 {
			d.t.Fatalf("%d entries for one order", len(list))
		}
		if len(list) == 0 { // committed, and published a moment later
			return false
		}
		entry = list[0]
		return true
	})
	return entry
}

// signalled stores a hint, as a webhook does.
func (d *wrongDay) signalled(a *Appliance, id int) {
	d.t.Helper()
	if err := a.Signal(d.t.Context(), strconv.Itoa(id), "create"); err != nil {
		d.t.Fatal(err)
	}
}

func TestWrongCredentials(t *testing.T) {
	t.Parallel()
	d := newWrongDay(t, provetsim.Config{})
	d.app.ClientSecret = secret.Secret{}
	a, stop := d.start()
	d.raised(a, problem.ProvetUnconfigured, "client secret")
	set := func(value string) {
		t.Helper()
		if err := (api{a}).SetSecret(t.Context(), secretProvet, secret.New(value)); err != nil {
			t.Fatal(err)
		}
	}
	set("wrong")
	d.raised(a, problem.ProvetAuth, "client id or secret")
	id := d.sim.CreateOrder(provetsim.NewOrder{})
	d.signalled(a, id)
	for _, p := range a.board.All() {
		if strings.Contains(p.Text+p.Help, "wrong") && p.Code == problem.ProvetAuth {
			t.Errorf("the secret is shown: %s", p.Text)
		}
	}
	set("secret")
	d.gone(a, problem.ProvetAuth)
	d.later(a, time.Minute)
	d.gone(a, problem.ProvetUnconfigured)
	d.throughIt(a, id)
	stop()

	// A wrong client id, in the settings: known after the next start.
	d.settings.Provet.ClientID = "nobody"
	d.sim.ExpireTokens()
	a, stop = d.start()
	d.raised(a, problem.ProvetAuth)
	id = d.sim.CreateOrder(provetsim.NewOrder{})
	stop()
	d.settings.Provet.ClientID = "rayhound"
	a, _ = d.start()
	d.throughIt(a, id)
}

// A secret that expires in the middle of a day: what we owe Provet waits too.
func TestCredentialsThatEndInTheMiddle(t *testing.T) {
	t.Parallel()
	d := newWrongDay(t, provetsim.Config{})
	a, _ := d.start()
	id := d.sim.CreateOrder(provetsim.NewOrder{})
	entry := d.offered(a, id)
	fault := d.sim.Inject(provetsim.Fault{Kind: provetsim.FaultStatus, Resource: "token", Status: http.StatusUnauthorized})
	d.sim.ExpireTokens()
	d.raised(a, problem.ProvetAuth)
	if _, err := d.machine(a).Perform(t.Context(), entry, dicomsim.Options{}); err != nil {
		t.Fatal("the machine suffers:", err)
	}
	d.sim.RemoveFault(fault)
	d.later(a, time.Minute) // refused credentials are not tried again at once
	d.gone(a, problem.ProvetAuth)
	d.done(id)
}

func TestWrongBaseURL(t *testing.T) {
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<html><body>Our clinic is open until five.</body></html>"))
	}))
	t.Cleanup(page.Close) // after the parallel subtests
	none := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(none.Close)
	for _, c := range []struct {
		name, base string // base: %s is the simulator
		code       problem.Code
	}{
		{"a web page", page.URL + "/4321", problem.ProvetBaseURL},
		{"nothing there", none.URL + "/4321", problem.ProvetBaseURL},
		{"another clinic's number", "%s/9999", problem.ProvetBaseURL},
		{"no number", "%s", problem.ProvetBaseURL},
		{"nobody listens", "http://127.0.0.1:1/4321", problem.ProvetUnreachable},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newWrongDay(t, provetsim.Config{})
			right := d.settings.Provet.BaseURL
			d.settings.Provet.BaseURL = strings.Replace(c.base, "%s", d.origin, 1)
			a, stop := d.start()
			d.raised(a, c.code)
			id := d.sim.CreateOrder(provetsim.NewOrder{})
			d.signalled(a, id) // a webhook is taken all the same
			stop()
			d.settings.Provet.BaseURL = right
			a, _ = d.start()
			d.throughIt(a, id)
			d.gone(a, c.code)
		})
	}
}

func TestUnmappedField(t *testing.T) {
	for _, field := range []string{"patient", "modality", "status"} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			d := newWrongDay(t, provetsim.Config{Names: map[string]map[string]string{"worklist": {field: "zz_" + field}}})
			id := d.sim.CreateOrder(provetsim.NewOrder{})
			a, stop := d.start()
			d.raised(a, problem.ProvetField, "worklist", field, "zz_"+field)
			d.signalled(a, id)
			stop()
			d.settings.Provet.Fields = map[string]config.Fields{"worklist": {field: config.Names{"zz_" + field}}}
			a, _ = d.start()
			d.throughIt(a, id)
			d.gone(a, problem.ProvetField)
		})
	}
}

func TestUnknownModality(t *testing.T) {
	t.Parallel()
	d := newWrongDay(t, provetsim.Config{})
	a, stop := d.start()
	id := d.sim.CreateOrder(provetsim.NewOrder{Modality: "Thermography"})
	d.raised(a, problem.OrderUnmapped, "Thermography")
	other := d.sim.CreateOrder(provetsim.NewOrder{})
	d.throughIt(a, other) // the others are not held up
	o, _, err := a.Order(t.Context(), strconv.Itoa(id))
	if err != nil || o.State != order.Held {
		t.Fatal(o, err)
	}
	stop()
	d.settings.Modalities[0].Serves = append(d.settings.Modalities[0].Serves, "thermography ")
	a, _ = d.start()
	d.gone(a, problem.OrderUnmapped)
	d.throughIt(a, id)
	again, _, err := a.Order(t.Context(), strconv.Itoa(id))
	if err != nil || again.AccessionNumber != o.AccessionNumber || again.StudyInstanceUID != o.StudyInstanceUID {
		t.Error("another identity", again, err)
	}
}

func TestDICOMPortInUse(t *testing.T) {
	t.Parallel()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	d := newWrongDay(t, provetsim.Config{})
	d.settings.DICOM.Listen = config.Names{ln.Addr().String()}
	d.change = func(a *Appliance) { a.dicom.again = 20 * time.Millisecond }
	a, _ := d.start()
	d.raised(a, problem.DICOMPort, ln.Addr().String(), "another program uses it")
	if codes := (api{a}).Ready(t.Context()); len(codes) != 1 || codes[0] != problem.DICOMPort {
		t.Errorf("ready says %v", codes)
	}
	id := d.sim.CreateOrder(provetsim.NewOrder{}) // the rest runs
	d.until("scheduled", func() bool {
		o, _, err := a.Order(t.Context(), strconv.Itoa(id))
		return err == nil && o.State == order.Scheduled
	})
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	d.throughIt(a, id)
	d.gone(a, problem.DICOMPort)
	if codes := (api{a}).Ready(t.Context()); len(codes) != 0 {
		t.Errorf("ready says %v", codes)
	}
}

func TestPagePortInUse(t *testing.T) {
	t.Parallel()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	d := newWrongDay(t, provetsim.Config{})
	id := d.sim.CreateOrder(provetsim.NewOrder{})
	d.settings.Page.Listen = config.Names{ln.Addr().String()}
	d.refusedStart(problem.PagePort, ln.Addr().String(), "another program uses it")
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	a, _ := d.start()
	d.throughIt(a, id)
}

func TestDataFolderInUse(t *testing.T) {
	t.Parallel()
	d := newWrongDay(t, provetsim.Config{})
	a, _ := d.start()
	d.refusedStart(problem.DataLocked, d.dir)
	d.throughIt(a, d.sim.CreateOrder(provetsim.NewOrder{})) // the first one does not suffer
}

func TestDatabaseFromANewerVersion(t *testing.T) {
	t.Parallel()
	d := newWrongDay(t, provetsim.Config{})
	a, stop := d.start()
	id := d.sim.CreateOrder(provetsim.NewOrder{})
	before := d.offered(a, id)
	stop()
	alter := func(statement string) {
		t.Helper()
		db, err := sql.Open("sqlite", filepath.Join(d.dir, "rayhound.db"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	alter("INSERT INTO goose_db_version(version_id, is_applied) VALUES (99, 1)")
	d.refusedStart(problem.DBNewer, "99")
	d.refusedStart(problem.DBNewer, "99")
	// The newer program, which is this one when the line is gone, finds all as it was.
	alter("DELETE FROM goose_db_version WHERE version_id = 99")
	a, _ = d.start()
	if after := d.offered(a, id); after.AccessionNumber != before.AccessionNumber || after.StudyInstanceUID != before.StudyInstanceUID {
		t.Error("another identity")
	}
	d.throughIt(a, id)
}

func TestClockOffByADay(t *testing.T) {
	for name, skew := range map[string]time.Duration{"behind": 25 * time.Hour, "ahead": -25 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newWrongDay(t, provetsim.Config{})
			d.sim.ClockSkew(skew)
			a, _ := d.start()
			d.until("a poll", func() bool { return !a.core.lastPoll().IsZero() })
			a.watchClock()
			d.raised(a, problem.ClockSkew, "h")
			d.throughIt(a, d.sim.CreateOrder(provetsim.NewOrder{})) // found by a poll, without a signal
			d.sim.ClockSkew(0)
			d.throughIt(a, d.sim.CreateOrder(provetsim.NewOrder{}))
			a.watchClock()
			d.gone(a, problem.ClockSkew)
		})
	}
}

// A computer whose clock was ahead sets it right: what was ordered meanwhile is
// not behind the starting point of the first poll.
func TestClockSetRight(t *testing.T) {
	for name, skew := range map[string]time.Duration{"behind": -25 * time.Hour, "ahead": 25 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newWrongDay(t, provetsim.Config{})
			d.passed.Store(int64(skew))
			d.sim.ClockSkew(-30 * time.Minute) // it is half an hour ago
			a, stop := d.start()
			d.until("a poll", func() bool { return !a.core.lastPoll().IsZero() })
			stop()
			id := d.sim.CreateOrder(provetsim.NewOrder{Created: time.Now().Add(-20 * time.Minute)})
			d.sim.ClockSkew(0)
			d.passed.Store(0)
			a, _ = d.start()
			d.throughIt(a, id)
		})
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	d := newWrongDay(t, provetsim.Config{})
	var free atomic.Uint64
	const room, full = 100 << 30, 3 << 20
	free.Store(room)
	d.app.freeSpace = func(string) (uint64, error) { return free.Load(), nil }
	a, stop := d.start()
	begun := d.sim.CreateOrder(provetsim.NewOrder{})
	entry := d.offered(a, begun)

	free.Store(full)
	d.raised(a, problem.DiskLow, "3 MB", d.dir)
	missed := d.sim.CreateOrder(provetsim.NewOrder{})
	err := a.Signal(t.Context(), strconv.Itoa(missed), "create") // a webhook must not be acknowledged
	if p := problem.Of(err); p == nil || p.Code != problem.DiskLow {
		t.Fatalf("the signal: %v", err)
	}
	if _, err := d.machine(a).Perform(t.Context(), entry, dicomsim.Options{}); err == nil {
		t.Fatal("a report that cannot be kept was acknowledged")
	}
	if list, err := d.machine(a).Worklist(t.Context(), query.Keys{}); err != nil || len(list) != 1 {
		t.Errorf("the worklist goes on: %v, %v", list, err)
	}
	if codes := (api{a}).Ready(t.Context()); len(codes) != 1 || codes[0] != problem.DiskLow {
		t.Errorf("ready says %v", codes)
	}
	a.watchDisk(t.Context())

	free.Store(room)
	d.throughIt(a, missed)
	d.throughIt(a, begun) // the machine sends it again
	a.watchDisk(t.Context())
	d.gone(a, problem.DiskLow)

	// It can be started on a full disk, to say so.
	stop()
	free.Store(full)
	a, _ = d.start()
	d.raised(a, problem.DiskLow)
	free.Store(room)
	d.throughIt(a, d.sim.CreateOrder(provetsim.NewOrder{}))
	a.watchDisk(t.Context())
	d.gone(a, problem.DiskLow)
}
