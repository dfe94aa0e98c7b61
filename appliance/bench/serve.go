package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/rayhound/rayhound/appliance"
	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/logging"
	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/secret"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
	"github.com/rayhound/rayhound/drivers/dicom/mwl"
)

// serveCmd runs one appliance until its standard input ends. It is a process of
// its own so that its memory and its garbage are its own.
type serveCmd struct {
	Data   string            `help:"Data folder; empty: the worklist alone, without appliance."`
	Items  int               `help:"Steps of the worklist alone."`
	Provet string            `help:"Base URL of the simulated Provet Cloud."`
	Status map[string]string `help:"Its status values."`
}

// saying is one line of the process to the one that started it.
type saying struct {
	Ready   bool    `json:"ready,omitempty"`
	Address string  `json:"address,omitempty"` // worklist
	Hooks   string  `json:"hooks,omitempty"`   // where signals go
	Page    string  `json:"page,omitempty"`    // the loopback API
	Millis  float64 `json:"millis,omitempty"`  // Ready: from New to the open port; else: from the signal to the worklist
	Visible string  `json:"visible,omitempty"` // Provet id of an order that came on the worklist
}

// teller writes sayings.
type teller struct {
	mu sync.Mutex
	e  *json.Encoder
}

func (t *teller) tell(s saying) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.e.Encode(s) // a parent that is gone ends us by standard input
}

// Run serves.
func (c serveCmd) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin) // until the parent ends
	}()
	t := &teller{e: json.NewEncoder(os.Stdout)}
	if c.Data == "" {
		return c.worklistAlone(ctx, t)
	}
	return c.appliance(ctx, t)
}

// worklistAlone is the DICOM server and the list, and nothing else.
func (c serveCmd) worklistAlone(ctx context.Context, t *teller) error {
	debug.SetGCPercent(50) // as the appliance does
	began := time.Now()
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	list := mwl.NewList(mwl.Config{Clinic: "Riverside Veterinary Clinic", Zone: zone(), Machines: listMachines()})
	id := int64(0)
	list.Load(func(yield func(*order.Order) bool) {
		for o := range scheduled(c.Items) {
			id++
			if o.ID = id; !yield(o) {
				return
			}
		}
	})
	srv := dimse.NewServer(dimse.ServerConfig{AETitle: ourTitle, Services: map[string]any{mwl.SOPClass: mwl.NewService(mwl.ServiceConfig{List: list})}})
	t.tell(saying{Ready: true, Address: ln.Addr().String(), Millis: millis(time.Since(began))})
	return ended(ctx, srv.Serve(ctx, ln))
}

// listMachines are the clinic's machines for a list alone.
func listMachines() []mwl.Machine {
	var ms []mwl.Machine
	for _, m := range settings("", nil).Modalities {
		ms = append(ms, mwl.Machine{Name: m.Name, AETitle: m.AETitle, Code: m.Code, Sees: slices.Clone(m.Sees)})
	}
	return ms
}

func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = nil // it was told to end
	}
	return err
}

// appliance is the whole appliance, as rayhound run makes it.
func (c serveCmd) appliance(ctx context.Context, t *teller) error {
	log, err := logging.Open(logging.Config{Dir: filepath.Join(c.Data, "logs"), Level: "info"})
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the measurement is over
	w := &waiting{tell: t.tell, since: map[string]time.Time{}}
	began := time.Now()
	a, err := appliance.New(ctx, c.config(log.Logger, w))
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	addrs, err := a.DICOMAddrs(ctx)
	if err != nil {
		return errors.Join(err, <-done)
	}
	opened := time.Since(began)
	hooks, err := serveHooks(ctx, func(ctx context.Context, id string) error {
		w.begin(id)
		return a.Signal(ctx, id, "create")
	})
	if err != nil {
		return err
	}
	t.tell(saying{Ready: true, Address: addrs[0], Hooks: hooks, Page: a.PageAddr(), Millis: millis(opened)})
	return ended(ctx, <-done)
}

func (c serveCmd) config(log *slog.Logger, w *waiting) appliance.Config {
	f := settings(c.Provet, c.Status)
	// The steps that wait are unknown to the simulated Provet Cloud: nobody may
	// ask for them during a measurement.
	f.Provet.SweepInterval = config.Duration(24 * time.Hour)
	return appliance.Config{
		Settings: f, DataDir: c.Data, Version: "bench", ClientSecret: secret.New("secret"), Log: log, NoCallBudget: true, SpareMemory: true, Watch: w.saw,
	}
}

// waiting measures from a signal to the worklist.
type waiting struct {
	tell  func(saying)
	mu    sync.Mutex
	since map[string]time.Time
}

func (w *waiting) begin(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since[id] = time.Now()
}

// saw hears of a commit after its publication.
func (w *waiting) saw(o *order.Order, _ order.Entry) {
	if o.State != order.Scheduled {
		return
	}
	now := time.Now()
	w.mu.Lock()
	began, ok := w.since[o.ProvetID]
	delete(w.since, o.ProvetID)
	w.mu.Unlock()
	if ok {
		w.tell(saying{Visible: o.ProvetID, Millis: millis(now.Sub(began))})
	}
}

// serveHooks takes signals at POST /signal/{id} on a free loopback port and
// answers after the commit, as the tunnel's client will.
func serveHooks(ctx context.Context, signal func(context.Context, string) error) (address string, err error) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /signal/{id}", func(w http.ResponseWriter, r *http.Request) {
		if err := signal(r.Context(), r.PathValue("id")); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	return serveHTTP(ctx, mux)
}

// serveHTTP serves h on a free loopback port until ctx ends.
func serveHTTP(ctx context.Context, h http.Handler) (address string, err error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	go func() {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	}()
	return ln.Addr().String(), nil
}
