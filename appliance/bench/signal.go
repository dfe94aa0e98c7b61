package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dicomsim"
	"github.com/rayhound/rayhound/drivers/dicom/query"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

// signalCmd measures the way of an order to the worklist and back.
type signalCmd struct {
	Orders int `help:"Orders, one after the other." default:"200"`
	Rounds int `help:"Rounds; the best is reported." default:"3"`
	Items  int `help:"Steps that are on the worklist already." default:"0"`
}

// Help shows an example.
func (signalCmd) Help() string {
	return "A whole appliance, with its database on disk, beside a simulated Provet Cloud that answers at once.\n" +
		"Visible is confirmed by a query of the machine.\n\nExample:\n\n  bench signal --orders 200"
}

// Validate answers kong.
func (c signalCmd) Validate() error {
	if c.Orders < 1 || c.Orders > 10_000 || c.Rounds < 1 || c.Rounds > 20 || c.Items < 0 || c.Items > 10_000 {
		return fmt.Errorf("--orders must be 1 to 10000, --rounds 1 to 20, --items at most 10000")
	}
	return nil
}

// Run measures.
func (c signalCmd) Run(ctx context.Context, b *bench, r *report) error {
	dir, remove, err := scratch()
	if err != nil {
		return err
	}
	defer remove()
	s, err := startScene(ctx, b, filepath.Join(dir, "data"), c.Items, 0)
	if err != nil {
		return err
	}
	defer s.stop()
	rows, err := s.rounds(ctx, b, "Rayhound", c.Rounds, c.Orders)
	for i := range rows {
		rows[i] = rows[i].atMost(20).tailAtMost(100)
	}
	r.add(rows...)
	return err
}

// scene is an appliance in a process of its own, beside a simulated Provet
// Cloud in ours.
type scene struct {
	*child
	sim     *provetsim.Sim
	machine *dicomsim.Modality
	patches chan provetsim.Patch
	cancel  context.CancelFunc
	last    int                                 // id of the last order; unknown to a database that was kept
	provet  string                              // base URL of the simulated Provet Cloud
	asked   atomic.Pointer[func(*http.Request)] // hears what Provet Cloud is asked
}

// startScene fills a database and starts everything.
func startScene(ctx context.Context, b *bench, dir string, waiting, done int) (*scene, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := fill(ctx, b, dir, waiting, done); err != nil {
		return nil, err
	}
	return startFilled(ctx, dir)
}

// startFilled starts everything on a database that is there.
func startFilled(ctx context.Context, dir string) (*scene, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &scene{cancel: cancel, last: int(time.Now().Unix()) * 1000, patches: make(chan provetsim.Patch, 1000)}
	s.sim = provetsim.New(provetsim.Config{NoLimits: true, OnPatch: func(p provetsim.Patch) { s.patches <- p }})
	address, err := serveHTTP(ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := s.asked.Load(); f != nil {
			(*f)(r)
		}
		s.sim.ServeHTTP(w, r)
	}))
	if err == nil {
		s.provet = "http://" + address
		s.sim.SetBaseURL(s.provet)
		args := []string{"--data=" + dir, "--provet=http://" + address + "/4321"}
		for _, key := range []string{"in_progress", "done", "discontinued", "cancelled"} {
			args = append(args, "--status="+key+"="+s.sim.StatusValue(key))
		}
		s.child, err = start(ctx, args...)
	}
	if err == nil {
		s.machine, err = dicomsim.New(dicomsim.Config{AETitle: newTitle, Address: s.ready.Address, Zone: zone()})
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *scene) stop() {
	if s.child != nil {
		_ = s.child.stop()
	}
	_ = s.sim.Close()
	s.cancel()
}

// lap are the times of one order.
type lap struct {
	visible  time.Duration // from the signal to the worklist, in the appliance
	seen     time.Duration // from sending the signal to the answer of the machine's query
	patched  time.Duration // from the answered N-SET to the PATCH at Provet Cloud
	reported time.Duration // from dialling for the N-SET to the PATCH
}

// rounds runs orders in rounds and returns a row of each kind.
func (s *scene) rounds(ctx context.Context, b *bench, subject string, rounds, orders int) ([]row, error) {
	var kinds [4][]row
	for range 5 { // what is built at first use
		if _, err := s.lap(ctx); err != nil {
			return nil, err
		}
	}
	for i := range rounds {
		b.say("%s, round %d: %d orders", subject, i+1, orders)
		var all [4]samples
		for range orders {
			l, err := s.lap(ctx)
			if err != nil {
				return nil, err
			}
			for k, d := range []time.Duration{l.visible, l.seen, l.patched, l.reported} {
				all[k] = append(all[k], d)
			}
		}
		for k, name := range []string{
			"signal to worklist", "signal sent to query answered", "final N-SET answered to PATCH", "dialled for N-SET to PATCH",
		} {
			kinds[k] = append(kinds[k], all[k].row(subject, name, "p99", 0.99))
		}
	}
	var rows []row
	for _, k := range kinds {
		rows = append(rows, best(k, lower))
	}
	return rows, nil
}

// lap brings one order to the worklist and back.
func (s *scene) lap(ctx context.Context) (lap, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var l lap
	s.last++
	id := s.sim.CreateOrder(provetsim.NewOrder{ID: s.last, Modality: "X-ray", TargetAreas: []string{"Thorax"}})
	began := time.Now()
	if err := s.post(ctx, id); err != nil {
		return l, err
	}
	for {
		select {
		case v, ok := <-s.visible:
			if !ok {
				return l, fmt.Errorf("the appliance ended")
			}
			if v.Visible != strconv.Itoa(id) {
				continue
			}
			l.visible = time.Duration(v.Millis * float64(time.Millisecond))
		case <-ctx.Done():
			return l, fmt.Errorf("order %d did not come on the worklist: %w", id, ctx.Err())
		}
		break
	}
	list, err := s.machine.Worklist(ctx, query.Keys{AccessionNumber: strconv.Itoa(id)})
	if err != nil || len(list) != 1 {
		return l, fmt.Errorf("order %d: %d matches instead of 1: %w", id, len(list), err)
	}
	l.seen = time.Since(began)
	step, err := s.machine.Start(ctx, list[0], dicomsim.Options{})
	if err != nil {
		return l, err
	}
	if _, err := s.patch(ctx, id, "in_progress"); err != nil {
		return l, err
	}
	dialled := time.Now()
	if err := s.machine.Finish(ctx, step); err != nil {
		return l, err
	}
	answered := time.Now() // the N-SET was answered before the release, a moment ago
	at, err := s.patch(ctx, id, "done")
	l.patched, l.reported = max(at.Sub(answered), 0), at.Sub(dialled)
	return l, err
}

// post sends a signal, as a webhook would.
func (s *scene) post(ctx context.Context, id int) error {
	rq, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("http://%s/signal/%d", s.ready.Hooks, id), http.NoBody)
	if err != nil {
		return err
	}
	rs, err := http.DefaultClient.Do(rq)
	if err != nil {
		return err
	}
	defer rs.Body.Close()
	text, err := io.ReadAll(io.LimitReader(rs.Body, 1000))
	if err == nil && rs.StatusCode != http.StatusOK {
		err = fmt.Errorf("signal %d: %s: %s", id, rs.Status, text)
	}
	return err
}

// patch waits until an order has a status at Provet Cloud and returns since when.
func (s *scene) patch(ctx context.Context, id int, to string) (time.Time, error) {
	for {
		select {
		case p := <-s.patches:
			if p.ID == id && p.To == to {
				return p.At, nil
			}
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("order %d did not become %s at Provet Cloud: %w", id, to, ctx.Err())
		}
	}
}
