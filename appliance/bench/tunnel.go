package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/control"
	"github.com/rayhound/rayhound/drivers/dicom/query"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relayd"
)

// tunnelCmd measures the way of a webhook through a relay to the worklist.
type tunnelCmd struct {
	Orders int           `help:"Orders in a round." default:"200"`
	Rounds int           `help:"Rounds; the best is reported." default:"3"`
	Items  int           `help:"Steps that are on the worklist already." default:"0"`
	Every  time.Duration `help:"An order begins that long after the one before was visible." default:"5ms"`
}

// Help shows an example.
func (tunnelCmd) Help() string {
	return "A relay and a whole appliance, each with its database on disk, beside a simulated Provet Cloud that answers at once.\n" +
		"The webhook is posted at the relay; visible is what the machine's query finds.\n\nExample:\n\n  bench tunnel --orders 200"
}

// Validate answers kong.
func (c tunnelCmd) Validate() error {
	if c.Every < 0 || c.Every > time.Minute {
		return errors.New("--every must be 0 to 1m")
	}
	return signalCmd{Orders: c.Orders, Rounds: c.Rounds, Items: c.Items}.Validate()
}

// Run measures.
func (c tunnelCmd) Run(ctx context.Context, b *bench, r *report) error {
	dir, remove, err := scratch()
	if err != nil {
		return err
	}
	defer remove()
	data := filepath.Join(dir, "data")
	s, err := startScene(ctx, b, data, c.Items, 0)
	if err != nil {
		return err
	}
	defer s.stop()
	t := &tunnelScene{scene: s}
	if err := t.join(ctx, dir, data); err != nil {
		return err
	}
	defer t.end()
	var kinds [3][]row
	for round := range c.Rounds {
		b.say("tunnel, round %d: %d orders", round+1, c.Orders)
		var all [3]samples
		for range c.Orders {
			l, err := t.lap(ctx)
			if err != nil {
				return err
			}
			for k, d := range []time.Duration{l.answered, l.asked, l.seen} {
				all[k] = append(all[k], d)
			}
			time.Sleep(c.Every)
		}
		for k, name := range []string{
			"webhook sent to 200 of the relay", "webhook sent to the appliance asking Provet Cloud", "webhook sent to visible for the machine",
		} {
			kinds[k] = append(kinds[k], all[k].row("tunnel", name, "p99", 0.99))
		}
	}
	r.add(best(kinds[0], lower), best(kinds[1], lower), best(kinds[2], lower).atMost(25))
	r.note("The appliance asks after the event and its hint are committed, so the second row is an upper bound of the commit. The commit " +
		"alone, at 200/s: go test -run - -bench TunnelPostToInbox -benchtime 4000x ./appliance")
	return nil
}

// tunnelScene is a scene with a relay between Provet Cloud and the appliance.
type tunnelScene struct {
	*scene
	hook   string // the inbound address for created orders
	ended  chan error
	cancel context.CancelFunc
}

// join starts a relay and pairs the appliance with it.
func (t *tunnelScene) join(ctx context.Context, dir, data string) error {
	ctx, t.cancel = context.WithCancel(ctx)
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := ln.Addr().String()
	_ = ln.Close() // free for the relay
	started := make(chan struct{})
	t.ended = make(chan error, 1)
	go func() {
		t.ended <- relayd.Run(ctx, relayd.Config{
			Relay:  relay.Config{PublicURL: "http://" + address, SealAtIngest: true, Version: "bench", RatePerClinic: 1e6, Burst: 1e6},
			Listen: address, Store: "sqlite:relay.db", DataDir: dir, Log: slog.New(slog.DiscardHandler),
			Getenv:  func(string) string { return "" },
			Started: func(net.Addr, net.Addr) { close(started) },
		})
	}()
	select {
	case <-started:
	case err := <-t.ended:
		return fmt.Errorf("the relay did not start: %w", err)
	}
	code, err := pairingCode(ctx, dir, "http://"+address)
	if err != nil {
		return err
	}
	page, err := control.Dial(t.ready.Page, data, "bench")
	if err != nil {
		return err
	}
	if _, err := page.Pair(ctx, "ws://"+address, code); err != nil {
		return err
	}
	t.sim.DropWebhooks(1) // we send them ourselves, to know when
	return t.registered(ctx, address)
}

// pairingCode adds the clinic at the relay, as its operator does.
func pairingCode(ctx context.Context, dir, public string) (code string, err error) {
	store, err := relayd.OpenStore(ctx, "sqlite:relay.db", dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	admin := &relay.Admin{Store: store, Registry: store, PublicURL: public}
	if _, err := admin.AddClinic(ctx, "bench"); err != nil {
		return "", err
	}
	code, _, err = admin.PairingCode(ctx, "bench")
	return code, err
}

// registered waits until the appliance has entered its addresses in Provet Cloud and
// a first order came through.
func (t *tunnelScene) registered(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for t.hook == "" {
		for _, w := range t.sim.Webhooks() {
			if w.Trigger == provetsim.TriggerOrderCreated && !w.Inactive && strings.Contains(w.URL, address) {
				t.hook = w.URL
			}
		}
		select {
		case <-ctx.Done():
			return errors.New("the appliance did not enter its addresses in Provet Cloud")
		case <-time.After(5 * time.Millisecond):
		}
	}
	for range 5 { // what is built at first use
		if _, err := t.lap(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (t *tunnelScene) end() {
	t.cancel()
	if err := <-t.ended; err != nil {
		return // the measurement is over; it was told to end
	}
}

// tunnelLap are the times of one order from the moment its webhook was sent.
type tunnelLap struct {
	answered time.Duration // 200 of the relay
	asked    time.Duration // the appliance asks Provet Cloud for the order
	seen     time.Duration // answer to the machine's query that has it
}

// lap brings one order to the worklist.
func (t *tunnelScene) lap(ctx context.Context) (l tunnelLap, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	t.last++
	id := strconv.Itoa(t.sim.CreateOrder(provetsim.NewOrder{ID: t.last, Modality: "X-ray", TargetAreas: []string{"Thorax"}}))
	asked := make(chan time.Time, 1)
	first := func(r *http.Request) {
		if strings.Contains(r.URL.RequestURI(), id) {
			select {
			case asked <- time.Now():
			default: // it asks for other things of the order too
			}
		}
	}
	t.asked.Store(&first)
	form := url.Values{"diagnosticimagingworklist_id": {id}, "provet_id": {"4321"}, "provet_url": {t.provet + "/4321"}}.Encode()
	began := time.Now()
	answered := make(chan error, 1)
	go func() {
		err := t.post(ctx, form)
		l.answered = time.Since(began)
		answered <- err
	}()
	select {
	case at := <-asked:
		l.asked = at.Sub(began)
	case <-ctx.Done():
		return l, fmt.Errorf("the appliance did not ask for order %s: %w", id, ctx.Err())
	}
	if err := <-answered; err != nil {
		return l, err
	}
	for {
		list, err := t.machine.Worklist(ctx, query.Keys{AccessionNumber: id})
		if err != nil {
			return l, fmt.Errorf("order %s did not come on the worklist: %w", id, err)
		}
		if len(list) == 1 {
			l.seen = time.Since(began)
			return l, nil
		}
	}
}

// post sends a webhook as Provet Cloud does.
func (t *tunnelScene) post(ctx context.Context, form string) error {
	rq, err := http.NewRequestWithContext(ctx, http.MethodPost, t.hook, strings.NewReader(form))
	if err != nil {
		return err
	}
	rq.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	rs, err := http.DefaultClient.Do(rq)
	if err != nil {
		return err
	}
	defer rs.Body.Close()
	if _, err := io.Copy(io.Discard, rs.Body); err != nil {
		return err
	}
	if rs.StatusCode != http.StatusOK {
		return fmt.Errorf("the relay answered %s", rs.Status)
	}
	return nil
}
