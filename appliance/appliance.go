// Package appliance is Rayhound's inside: an order's life in motion, and the one
// place where the rooms meet. Provet Cloud's driver, the DICOM services, the
// database and the local HTTP server do not know each other; this package wires
// them and decides. Read DESIGN.md first.
package appliance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/thejerf/suture/v4"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/control"
	"github.com/rayhound/rayhound/appliance/metrics"
	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
	"github.com/rayhound/rayhound/drivers/dicom/mwl"
	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/ui"
)

// Config is what an appliance is made of. Settings and DataDir must be set.
type Config struct {
	Settings       *config.File
	SettingsPath   string // goes into backups; may be empty
	DataDir        string // must exist
	Version        string
	ClientSecret   secret.Secret // overrides the sealed one when not empty
	CredentialsDir string        // of systemd; may be empty
	Log            *slog.Logger  // nil: none
	LogFile        string        // for the support file; may be empty
	Now            func() time.Time
	// NoCallBudget lets the Provet driver call as fast as it can. For simulators
	// only: Provet Cloud limits the calls of each API user.
	NoCallBudget bool
	// SpareMemory makes the whole process collect garbage sooner than Go does by
	// default; GOGC and GOMEMLIMIT of the environment go before it.
	SpareMemory bool
	// Watch, when set, sees every line of every timeline after its commit, on
	// the goroutine that committed. It must not block.
	Watch func(*order.Order, order.Entry)

	freeSpace func(path string) (uint64, error) // nil: ask the system
}

// Appliance is one clinic's Rayhound.
type Appliance struct {
	cfg      Config
	log      *slog.Logger
	db       *localdb.DB
	core     *core
	list     *mwl.List
	board    *problem.Board
	metrics  *metrics.Metrics
	secrets  *secret.Store
	provet   *provet.Client // nil while not set up
	gate     *gate
	queries  *queryLog
	dicom    *dicomServer
	tunnel   *tunnel
	webhooks webhooks
	hookup   hookup
	hl7      *hl7Listener // nil without a RIS
	page     []net.Listener
	server   *ui.Server
	started  time.Time
	pollNow  chan struct{}
	closing  sync.Once
	closeErr error
}

// New opens the database, reads the open orders into the worklist and opens the
// page's port, so that "in use" is reported at the start. Errors for people are
// *problem.Error. The caller must call Run or Close.
func New(ctx context.Context, cfg Config) (_ *Appliance, err error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.SpareMemory {
		collectSooner()
	}
	a := &Appliance{
		cfg: cfg, log: cfg.Log, started: cfg.Now(), pollNow: make(chan struct{}, 1),
		metrics: metrics.New(cfg.Version), board: &problem.Board{Now: cfg.Now},
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if a.page, err = listenPage(ctx, cfg.Settings.Page.Listen); err != nil {
		return nil, err
	}
	a.db, err = localdb.Open(ctx, localdb.Config{
		Path: filepath.Join(cfg.DataDir, "rayhound.db"), BackupDir: filepath.Join(cfg.DataDir, "backups"), Version: cfg.Version,
		KeepBackups: cfg.Settings.Retention.Backups, ExtraBackupFiles: extraFiles(cfg.SettingsPath), Log: cfg.Log, Now: cfg.Now,
		FreeSpace: cfg.freeSpace,
	})
	if err != nil {
		return nil, err
	}
	if a.secrets, err = secret.NewStore(secret.Config{Dir: cfg.DataDir, CredentialsDir: cfg.CredentialsDir, Now: cfg.Now}); err != nil {
		return nil, err
	}
	token, err := control.NewToken(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	if err := a.wireConnection(); err != nil {
		return nil, err
	}
	if err := a.wire(ctx); err != nil {
		return nil, err
	}
	a.wireWebhooks()
	if cfg.SpareMemory {
		boundGarbage()
	}
	a.server = ui.New(ui.Config{Appliance: api{a}, Token: token, Metrics: a.metrics.Handler(), Log: cfg.Log})
	return a, nil
}

func extraFiles(settings string) []string {
	if settings == "" {
		return nil
	}
	return []string{settings}
}

// Close releases what New opened. Run does so by itself.
func (a *Appliance) Close() error {
	a.closing.Do(func() {
		var errs []error
		for _, l := range a.page {
			if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
		if a.db != nil {
			errs = append(errs, a.db.Close())
		}
		a.closeErr = errors.Join(errs...)
	})
	return a.closeErr
}

// Run works until ctx ends, then stops every part and closes the database. A
// part that fails is started again with growing pauses, without stopping the
// others; only a broken supervisor ends Run early.
//
// ErrAgain says that new credentials of Provet Cloud were taken and that New has
// to be called again.
func (a *Appliance) Run(ctx context.Context) error {
	ctx, stop := a.renewable(ctx)
	defer stop()
	root := suture.New("rayhound", suture.Spec{
		EventHook:        a.supervised,
		FailureThreshold: 5, FailureDecay: 30, FailureBackoff: 5 * time.Second, Timeout: 15 * time.Second,
		PassThroughPanics: false,
	})
	for _, s := range a.services() {
		root.Add(s)
	}
	a.log.LogAttrs(ctx, slog.LevelInfo, "started", slog.String("version", a.cfg.Version), slog.Int("open_orders", a.list.Len()))
	err := root.Serve(ctx)
	a.log.LogAttrs(ctx, slog.LevelInfo, "stopped")
	if ctx.Err() != nil {
		err = nil
	}
	if cause := context.Cause(ctx); errors.Is(cause, ErrAgain) {
		err = cause
	}
	return errors.Join(err, a.Close())
}

// service is one part of the appliance under supervision.
type service struct {
	name string
	run  func(context.Context) error // returns only when ctx is done or it cannot go on
}

// Serve answers suture.Service.
func (s service) Serve(ctx context.Context) error {
	err := s.run(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		err = errors.New("stopped without being asked")
	}
	return fmt.Errorf("%s: %w", s.name, err)
}

// String names the service to the supervisor.
func (s service) String() string { return s.name }

// services lists everything that runs.
func (a *Appliance) services() []service {
	set := a.cfg.Settings.Provet
	list := []service{
		{"page", func(ctx context.Context) error { return a.server.Serve(ctx, a.page...) }},
		{"dicom", a.dicom.run},
		{"query-log", a.queries.run},
		{"pending-machines", a.gate.remember},
		{"idle", a.core.watchIdle},
		{"upkeep", a.upkeep},
		{"gauges", a.gauges},
	}
	for _, p := range a.core.routes.ris {
		list = append(list, service{p.dest(), func(ctx context.Context) error { return a.core.deliverToRIS(ctx, p) }})
	}
	list = append(list, a.risInServices()...)
	list = append(list, a.tunnelServices()...)
	list = append(list, service{"webhooks", a.watchWebhooks})
	if a.provet != nil {
		list = append(list,
			service{"reconcile", a.core.reconcile},
			service{"deliver", a.core.deliver},
			service{"sweep", func(ctx context.Context) error { return a.core.sweep(ctx, set.SweepInterval.D()) }},
			service{"poll", func(ctx context.Context) error {
				return a.core.poll(ctx, set.PollInterval.D(), baselineWindow(set.Baseline), a.pollNow, a.tunnel.pace)
			}},
		)
	}
	return list
}

// baselineWindow is how far back the first poll looks.
func baselineWindow(word string) time.Duration {
	if word == "new" {
		return 0
	}
	return 30 * 24 * time.Hour
}

// supervised hears what the supervisor sees.
func (a *Appliance) supervised(e suture.Event) {
	var name, reason string
	switch e := e.(type) {
	case suture.EventServicePanic:
		name, reason = e.ServiceName, "a panic was caught"
		a.log.LogAttrs(context.Background(), slog.LevelError, "a part panicked", slog.String("component", name), slog.String("stack", e.Stacktrace))
	case suture.EventServiceTerminate:
		name, reason = e.ServiceName, fmt.Sprint(e.Err)
		a.log.LogAttrs(context.Background(), slog.LevelError, "a part stopped", slog.String("component", name), slog.String("error", reason))
	default:
		return
	}
	a.metrics.Restarted(name)
	a.board.Raise(problem.ComponentRestarted, name, problem.Args{"component": name, "reason": reason})
	time.AfterFunc(10*time.Minute, func() { a.board.Clear(problem.ComponentRestarted, name) })
}

// Signal stores a hint to look at an order of Provet Cloud and returns after
// the commit: a webhook may be acknowledged then.
func (a *Appliance) Signal(ctx context.Context, provetID, reason string) error {
	a.metrics.Hint(reason)
	return a.core.Signal(ctx, provetID, reason)
}

// PageAddr is the address of the loopback API.
func (a *Appliance) PageAddr() string { return a.page[0].Addr().String() }

// DICOMAddrs waits until the DICOM port is open and returns its addresses.
func (a *Appliance) DICOMAddrs(ctx context.Context) ([]string, error) { return a.dicom.addrs(ctx) }

// Order returns an order by its Provet id, with its timeline.
func (a *Appliance) Order(ctx context.Context, provetID string) (o *order.Order, timeline []order.Entry, err error) {
	err = a.db.Read(ctx, func(s *localdb.Snapshot) error {
		if o, err = s.OrderByProvetID(ctx, provetID); err != nil {
			return err
		}
		timeline, err = s.Timeline(ctx, o.ID)
		return err
	})
	return o, timeline, err
}

// listenPage opens the page's addresses.
func listenPage(ctx context.Context, addresses []string) ([]net.Listener, error) {
	var list []net.Listener
	var lc net.ListenConfig
	for i, addr := range addresses {
		ln, err := lc.Listen(ctx, "tcp", addr)
		if err != nil && i > 0 && !addressInUse(err) {
			continue // a computer without IPv6 has no [::1]
		}
		if err != nil {
			for _, l := range list {
				l.Close()
			}
			return nil, problem.New(problem.PagePort, problem.Args{"address": addr, "reason": listenReason(err)}, err)
		}
		list = append(list, ln)
	}
	return list, nil
}
