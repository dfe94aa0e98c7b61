package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/control"
	"github.com/rayhound/rayhound/drivers/dicom/dicomsim"
	"github.com/rayhound/rayhound/drivers/dicom/query"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

// daySpeed is how much faster time passes for what is in Provet Cloud than for
// us: a minute of the run is an hour of the clinic, on the day before. Every
// start looks again at what changed in the last five minutes of Provet's time;
// in ours that would be all there is. The clock of the server itself is right.
const daySpeed = 60

// trial is one run: the clinic around the program, and what is known about it.
type trial struct {
	o            options
	dir, dataDir string
	settingsPath string
	bin          string
	page, dicom  string // addresses
	hl7          string
	ris          []*ris // none with -ris=false
	post         *post  // nil with -relay=false
	sim          *provetsim.Sim
	book         *book
	people       *people
	technicians  []*technician
	probe        *dicomsim.Modality // asks whether the worklist answers
	busy         atomic.Int64
	figures      figures
	relayEnded   sync.WaitGroup
	looks        sync.Map     // Provet's id of an order -> when the program asked for it last
	talking      atomic.Int64 // messages of the RIS that are not answered yet
	evening      atomic.Int64 // nanoseconds added to Provet's clock
	lossy        atomic.Bool  // webhooks are lost on the way
	calm         atomic.Bool  // people do less
	gloom        atomic.Int64 // RIS that are away; orders stay open meanwhile
	began        time.Time
	aimed        atomic.Int32  // what the next kill waits for
	fire         chan struct{} // it happened
	hooks, cloud *http.Server  // hooks: with -relay=false
	stopRIS      context.CancelFunc
	dice         *rand.Rand // of the relay
	diceMu       sync.Mutex
	wg           sync.WaitGroup
}

// newTrial makes the clinic in dir. Nothing works yet but Provet Cloud.
func newTrial(ctx context.Context, o options, dir string) (_ *trial, err error) {
	t := &trial{
		o: o, dir: dir, dataDir: filepath.Join(dir, "data"), settingsPath: filepath.Join(dir, "rayhound.toml"),
		began: time.Now(), book: newBook(), fire: make(chan struct{}, 1), dice: dice(o.seed, "relay"),
	}
	if err := os.MkdirAll(t.dataDir, 0o700); err != nil {
		return nil, err
	}
	if t.bin, err = program(ctx, o, dir); err != nil {
		return nil, err
	}
	ports, err := freePorts(dice(o.seed, "ports"), 4)
	if err != nil {
		return nil, err
	}
	t.page, t.dicom, t.hl7 = ports[0], ports[1], ports[2]
	if o.relay {
		if err := t.openPost(ports[3]); err != nil {
			return nil, err
		}
	}
	address, err := t.openProvet()
	if err != nil {
		return nil, err
	}
	if o.ris {
		var rctx context.Context
		rctx, t.stopRIS = context.WithCancel(context.WithoutCancel(ctx))
		if err := t.openRIS(rctx); err != nil {
			return nil, err
		}
	}
	if err := config.Save(t.settingsPath, t.settings(address), ""); err != nil {
		return nil, err
	}
	t.people = &people{t: t, rng: dice(o.seed, "people"), done: map[string]int{}, withdrawn: map[int]time.Time{}, silent: map[string]bool{}}
	return t, t.openMachines()
}

// dice is the random source of one part.
func dice(seed int64, part string) *rand.Rand {
	h := uint64(14695981039346656037) // FNV-1a
	for _, c := range []byte(part) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return rand.New(rand.NewPCG(uint64(seed), h)) // repeatable, not secret
}

// freePorts finds loopback ports below those that systems give to outgoing
// connections, so that nobody takes them while the program is down.
func freePorts(rng *rand.Rand, n int) (list []string, err error) {
	for range 1000 {
		if len(list) == n {
			return list, nil
		}
		addr := fmt.Sprintf("127.0.0.1:%d", 20000+rng.IntN(10000))
		var ln net.Listener
		if ln, err = net.Listen("tcp", addr); err == nil { //nolint:noctx // closed at once
			ln.Close()
			list = append(list, addr)
		}
	}
	return nil, errors.Join(errors.New("no free port"), err)
}

// openProvet starts the simulated Provet Cloud and the relay of its webhooks.
func (t *trial) openProvet() (address string, err error) {
	hooks, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // lives until close
	if err != nil {
		return "", err
	}
	cfg := provetsim.Config{
		Seed: t.o.seed, ExtraPatients: 150,
		// A start has a fresh call budget, which is right for a clinic that starts
		// once a month; the tenant must not count two hundred of them together.
		NoLimits: true,
		Now:      t.now,
		Delivery: provetsim.Delivery{Interval: time.Second, Concurrency: 8},
		OnPatch:  func(provetsim.Patch) { t.aim(aimPatch) },
	}
	if t.o.rename {
		cfg = provetsim.Renamed(cfg, t.o.seed)
	}
	if t.post != nil {
		cfg.Delivery.Transport, cfg.Delivery.Interval, cfg.Delivery.Retries = t.post, 250*time.Millisecond, 1<<20
	} else {
		for trigger, reason := range map[int]string{
			provetsim.TriggerOrderCreated: "create", provetsim.TriggerOrderUpdated: "update", provetsim.TriggerOrderDeleted: "delete",
		} {
			cfg.Webhooks = append(cfg.Webhooks, provetsim.Webhook{Trigger: trigger, URL: "http://" + hooks.Addr().String() + "/" + reason, Name: reason})
		}
	}
	t.sim = provetsim.New(cfg)
	api, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // lives until close
	if err != nil {
		return "", err
	}
	// History that is not ours tells the first poll what time it is in there.
	t.sim.CreateOrder(provetsim.NewOrder{Status: "done", Quiet: true})
	t.sim.SetBaseURL("http://" + api.Addr().String())
	t.cloud = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.looked(r)
		t.sim.ServeHTTP(rightClock{w}, r)
	})}
	t.hooks = &http.Server{Handler: http.HandlerFunc(t.relay), ReadHeaderTimeout: 10 * time.Second}
	t.wg.Go(func() { _ = t.hooks.Serve(hooks) }) // ends with close
	t.wg.Go(func() { _ = t.cloud.Serve(api) })   // likewise
	return api.Addr().String(), nil
}

var orderPath = regexp.MustCompile(`worklist/([0-9]+)/?$`)

// looked notes that the program asks for one order.
func (t *trial) looked(r *http.Request) {
	if m := orderPath.FindStringSubmatch(r.URL.Path); m != nil && r.Method == http.MethodGet {
		t.looks.Store(m[1], time.Now())
	}
}

// now is the time at which things happen in Provet Cloud.
func (t *trial) now() time.Time {
	return t.began.Add(-24 * time.Hour).Add(daySpeed * time.Since(t.began)).Add(time.Duration(t.evening.Load()))
}

// rightClock makes the Date of an answer the present time.
type rightClock struct{ http.ResponseWriter }

// WriteHeader sends the header.
func (w rightClock) WriteHeader(status int) {
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	w.ResponseWriter.WriteHeader(status)
}

// Hijack lets the simulator reset connections.
func (w rightClock) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// relay hands a webhook on to the program, and answers 200 after it was stored.
// In bad weather some are acknowledged and lost.
func (t *trial) relay(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	id := orderOf(body)
	if err != nil || id == "" {
		t.book.violate("relay: a webhook without an order: %s", body)
		return
	}
	t.diceMu.Lock()
	lost := t.lossy.Load() && t.dice.IntN(8) == 0
	t.diceMu.Unlock()
	if lost && (t.o.sweep || r.URL.Path != "/delete") {
		if r.URL.Path == "/delete" {
			t.people.unheard(id)
		}
		return
	}
	c, err := control.Dial(t.page, t.dataDir, "killtest")
	if err == nil {
		t.aim(aimHint)
		err = c.Hint(r.Context(), id)
	}
	if err != nil {
		http.Error(w, "not stored, send it again", http.StatusServiceUnavailable)
		return
	}
	t.book.hinted()
}

// settings are the clinic's.
func (t *trial) settings(address string) *config.File {
	f := config.Default()
	f.Clinic.Name = "Riverside Veterinary Clinic"
	f.Clinic.TimeZone = "Europe/Helsinki"
	f.Provet.BaseURL = "http://" + address + "/4321"
	f.Provet.ClientID = "rayhound"
	f.Provet.WeightUnit = "kg"
	f.Provet.PollInterval = config.Duration(5 * time.Second)
	f.Provet.SweepInterval = config.Duration(time.Minute)
	f.Provet.Fields = map[string]config.Fields{}
	for resource, names := range t.sim.RenamedFields() {
		fields := config.Fields{}
		for ours, theirs := range names {
			fields[ours] = config.Names{theirs}
		}
		f.Provet.Fields[resource] = fields
	}
	value := func(key string) config.Value { return config.Value(t.sim.StatusValue(key)) }
	f.Provet.Status = config.Status{
		Scheduled: value("scheduled"), InProgress: value("in_progress"), Completed: value("done"),
		Discontinued: value("discontinued"), Withdrawn: config.Names{t.sim.StatusValue("cancelled")},
	}
	f.DICOM.Listen = config.Names{t.dicom}
	f.Page.Listen = config.Names{t.page}
	for _, m := range machines {
		x := config.NewModality()
		x.Name, x.AETitle, x.Code = m.name, m.title, m.code
		f.Modalities = append(f.Modalities, x)
	}
	for i, m := range t.sim.Modalities() {
		x := &f.Modalities[i%len(machines)]
		x.Serves = append(x.Serves, m.Name)
	}
	if len(t.ris) > 0 {
		t.risSettings(f)
	}
	if t.post != nil {
		t.post.tunnelSettings(f)
	}
	return f
}

// openMachines makes the machines and their technicians.
func (t *trial) openMachines() error {
	soon := query.Timeouts{Connect: time.Second, Associate: 2 * time.Second, Response: 5 * time.Second, Release: time.Second}
	for _, m := range machines {
		x, err := dicomsim.New(dicomsim.Config{AETitle: m.title, Address: t.dicom, Code: m.code, StationName: m.name, Timeouts: soon})
		if err != nil {
			return err
		}
		t.technicians = append(t.technicians, &technician{
			t: t, m: x, title: m.title, rng: dice(t.o.seed, m.title), exams: map[string]*exam{}, busy: &t.busy,
		})
		t.probe = x
	}
	return nil
}

// client talks to the program.
func (t *trial) client() (*control.Client, error) { return control.Dial(t.page, t.dataDir, "killtest") }

// close ends what newTrial and play began.
func (t *trial) close() {
	if t.stopRIS != nil {
		t.stopRIS()
	}
	// The trial is over; what does not close ends with the process.
	_, _, _ = t.hooks.Close(), t.cloud.Close(), t.sim.Close()
	t.wg.Wait()
}

// reasonOf is the first line of an error.
func reasonOf(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
