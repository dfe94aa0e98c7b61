package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rayhound/rayhound/appliance"
	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/logging"
	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/secret"
	"github.com/rayhound/rayhound/drivers/dicom/dicomsim"
	"github.com/rayhound/rayhound/drivers/hl7/hl7sim"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

// machines are the clinic's imaging machines.
var machines = []struct{ name, title, code, serves string }{
	{"X-ray room 1", "DR1", "DX", "X-ray"},
	{"CT", "CT1", "CT", "CT"},
	{"Ultrasound", "US1", "US", "Ultrasound"},
	{"Dental", "IO1", "IO", "Dental X-ray"},
}

// clinic is everything that runs in a demo.
type clinic struct {
	opts    Options
	dir     string
	sim     *provetsim.Sim
	ris     *hl7sim.RIS
	app     *appliance.Appliance
	log     *logging.Log
	address string // of the worklist

	relay      string // public address
	risAddress string

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	failed error
}

// open starts the whole clinic. close must be called afterwards.
func open(ctx context.Context, o Options, watch func(*order.Order, order.Entry)) (_ *clinic, err error) {
	ctx, cancel := context.WithCancel(ctx)
	c := &clinic{opts: o, ctx: ctx, cancel: cancel}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	if c.dir, err = os.MkdirTemp(o.DataDir, "rayhound-demo-*"); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	if c.log, err = logging.Open(logging.Config{Dir: filepath.Join(c.dir, "logs"), Level: "info"}); err != nil {
		return nil, err
	}
	simAddress, err := c.openProvet()
	if err != nil {
		return nil, err
	}
	if err := c.openRelay(); err != nil {
		return nil, err
	}
	if err := c.openRIS(); err != nil {
		return nil, err
	}
	settings := c.settings(simAddress)
	if err := settings.Validate(); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	c.app, err = appliance.New(ctx, appliance.Config{
		Settings: settings, DataDir: c.dir, Version: o.Version, ClientSecret: secret.New("secret"),
		Log: c.log.Logger, LogFile: c.log.Path(), NoCallBudget: true,
		Watch: func(o *order.Order, e order.Entry) {
			c.tellRIS(o, e)
			watch(o, e)
		},
	})
	if err != nil {
		return nil, err
	}
	c.run("appliance", c.app.Run)
	addrs, err := c.app.DICOMAddrs(ctx)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	c.address = addrs[0]
	if addrs, err = c.app.HL7Addrs(ctx); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	c.ris.SetSendTo(addrs[0])
	if err := c.joinRelay(); err != nil {
		return nil, err
	}
	return c, c.openMachines()
}

// openProvet starts the simulated Provet Cloud. It has no webhooks yet: the
// appliance enters them once it knows the relay.
func (c *clinic) openProvet() (address string, err error) {
	cfg := provetsim.Config{
		Seed: c.opts.Seed, NoLimits: true, Latency: c.opts.Latency,
		Delivery: provetsim.Delivery{Interval: time.Second, Concurrency: 8},
	}
	if c.opts.Rename {
		cfg = provetsim.Renamed(cfg, c.opts.Seed)
	}
	c.sim = provetsim.New(cfg)
	if address, err = c.listen(c.sim); err != nil {
		return "", err
	}
	c.sim.SetBaseURL("http://" + address)
	return address, nil
}

// settings are those of the demo's appliance.
func (c *clinic) settings(simAddress string) *config.File {
	f := config.Default()
	f.Clinic.Name = clinicName
	f.Clinic.TimeZone = "Europe/Helsinki"
	f.Provet.BaseURL = "http://" + simAddress + "/4321"
	f.Provet.ClientID = "rayhound"
	f.Provet.WeightUnit = "kg"
	f.Provet.Fields = map[string]config.Fields{}
	for resource, names := range c.sim.RenamedFields() {
		fields := config.Fields{}
		for ours, theirs := range names {
			fields[ours] = config.Names{theirs}
		}
		f.Provet.Fields[resource] = fields
	}
	f.Provet.Status = config.Status{
		InProgress: config.Value(c.sim.StatusValue("in_progress")), Completed: config.Value(c.sim.StatusValue("done")),
		Discontinued: config.Value(c.sim.StatusValue("discontinued")), Withdrawn: config.Names{c.sim.StatusValue("cancelled")},
	}
	f.DICOM.Listen = config.Names{"127.0.0.1:0"}
	f.HL7.Listen = config.Names{"127.0.0.1:0"}
	f.RIS = []config.RIS{c.risSettings()}
	f.Tunnel.RelayURL = strings.Replace(c.relay, "http://", "ws://", 1)
	f.Page.Listen = config.Names{"127.0.0.1:0"}
	if c.opts.PagePort != 0 {
		f.Page.Listen = config.Names{fmt.Sprintf("127.0.0.1:%d", c.opts.PagePort)}
	}
	for _, m := range machines {
		x := config.NewModality()
		x.Name, x.AETitle, x.Code, x.Serves = m.name, m.title, m.code, config.Names{m.serves}
		f.Modalities = append(f.Modalities, x)
	}
	return f
}

// openMachines starts a technician at every machine.
func (c *clinic) openMachines() error {
	for i, m := range machines {
		machine, err := dicomsim.New(dicomsim.Config{
			AETitle: m.title, Address: c.address, Code: m.code, StationName: m.name, Exam: c.opts.Exam,
			Options: dicomsim.Options{Series: 1 + i%2, Instances: 2 + i},
		})
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		c.run(m.title, func(ctx context.Context) error { return machine.Run(ctx, c.opts.Refresh) })
	}
	return nil
}

// listen serves h on a free loopback port until the demo ends.
func (c *clinic) listen(h http.Handler) (address string, err error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(c.ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	c.run("http", func(ctx context.Context) error {
		stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
		defer stop()
		return srv.Serve(ln)
	})
	return ln.Addr().String(), nil
}

// run starts a part; the first one that fails ends the demo.
func (c *clinic) run(name string, f func(context.Context) error) {
	c.wg.Go(func() {
		err := f(c.ctx)
		if c.ctx.Err() != nil {
			return
		}
		c.fail(fmt.Errorf("demo: %s ended: %w", name, err))
		c.cancel()
	})
}

// fail remembers the first failure; nil is none.
func (c *clinic) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = err
	}
}

// close ends everything and removes the data folder.
func (c *clinic) close() error {
	c.cancel()
	if c.sim != nil {
		c.fail(c.sim.Close())
	}
	c.wg.Wait()
	if c.log != nil {
		c.fail(c.log.Close())
	}
	if c.dir != "" && strings.Contains(filepath.Base(c.dir), "rayhound-demo-") {
		c.fail(os.RemoveAll(c.dir))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// Options say how the demo runs. The zero value is a calm clinic.
type Options struct {
	Version  string
	Once     bool  // bring Orders through the whole loop and end
	Orders   int   // with Once; 0: 1
	Seed     int64 // 0: from the clock
	DataDir  string
	PagePort int // 0: any free port
	Out      io.Writer

	Rename  bool          // rename every field and value whose name is not publicly known
	Latency time.Duration // of the simulated Provet Cloud
	Refresh time.Duration // how often a machine reads its list; 0: 1 s, with Once 50 ms
	Exam    time.Duration // how long an examination takes; 0: 5 s, with Once none
	Pace    time.Duration // between two new orders; 0: 8 s
	Report  time.Duration // from the end of an examination to the report; 0: 3 s, with Once none
}
