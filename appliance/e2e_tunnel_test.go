package appliance_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
	"github.com/rayhound/rayhound/localdb"
	tunnelrelay "github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relay/sqlitestore"
	"github.com/rayhound/rayhound/tunnel/wire"
	"github.com/rayhound/rayhound/ui"
)

const mailboxName = "Riverside"

// post is the public relay with its own database and port.
type post struct {
	t      *testing.T
	server *server
	store  *sqlitestore.Store
	relay  *tunnelrelay.Relay
	limits tunnelrelay.Limits
	stop   func()
}

// openPost starts a relay that knows the clinic.
func openPost(t *testing.T) *post {
	t.Helper()
	r := &post{t: t, stop: func() {}}
	store, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: filepath.Join(t.TempDir(), "relay.db")})
	if err != nil {
		t.Fatal(err)
	}
	r.store = store
	t.Cleanup(func() { store.Close() })
	r.server = serve(t, http.NotFoundHandler()) // for its port
	r.server.down()
	r.up()
	t.Cleanup(func() { r.down() })
	if _, err := r.relay.Admin().AddClinic(t.Context(), mailboxName); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *post) up() {
	r.t.Helper()
	var err error
	r.relay, err = tunnelrelay.New(tunnelrelay.Config{
		Store: r.store, Registry: r.store, PublicURL: "http://" + r.server.address, SealAtIngest: true, Limits: r.limits,
		RefreshEvery: 50 * time.Millisecond,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
	ended := make(chan error, 1)
	go func(n *tunnelrelay.Relay) { ended <- n.Run(ctx) }(r.relay)
	r.server.handler = r.relay.Handler()
	r.server.up()
	r.stop = func() {
		r.stop = func() {}
		cancel()
		if err := <-ended; err != nil {
			r.t.Errorf("the relay ended with %v", err)
		}
		r.server.down()
	}
}

func (r *post) down() { r.stop() }

func (r *post) code() string {
	r.t.Helper()
	code, _, err := r.relay.Admin().PairingCode(r.t.Context(), mailboxName)
	if err != nil {
		r.t.Fatal(err)
	}
	return code
}

// tunnelled is a practice whose only ears are the tunnel: it polls once an hour.
type tunnelled struct {
	*practice
	relay *post
	urls  map[string]string // inbound, by kind
}

func openTunnelled(t *testing.T) *tunnelled {
	t.Helper()
	p := &tunnelled{relay: openPost(t), urls: map[string]string{}}
	p.practice = open(t, func(c provetsim.Config) provetsim.Config { return c }, setup{before: func(s *provetsim.Sim) {
		for id := range 2000 {
			s.UpdateWebhook(id, func(w *provetsim.Webhook) { w.Inactive = true })
		}
	}})
	p.settings.Tunnel.RelayURL = "ws://" + p.relay.server.address // for the next start
	p.pairs()
	return p
}

// pairs joins the relay and waits until events can come.
func (p *tunnelled) pairs() ui.Pairing {
	p.t.Helper()
	former := maps.Clone(p.urls)
	v, err := p.api.Pair(p.t.Context(), "ws://"+p.relay.server.address, p.relay.code())
	p.ok(err)
	if !v.Started || !slices.Contains(v.Kinds, wire.KindCreated) {
		p.t.Errorf("pairing %+v", v)
	}
	p.connected()
	p.until("the webhooks should be in Provet Cloud", func() error {
		clear(p.urls)
		for _, w := range p.sim.Webhooks() {
			if w.Inactive || !strings.Contains(w.URL, p.relay.server.address) {
				continue
			}
			p.urls[map[int]string{
				provetsim.TriggerOrderCreated: wire.KindCreated, provetsim.TriggerOrderUpdated: wire.KindUpdated,
				provetsim.TriggerOrderDeleted: wire.KindDeleted,
			}[w.Trigger]] = w.URL
		}
		if len(p.urls) != 3 {
			return fmt.Errorf("%d are", len(p.urls))
		}
		for kind, u := range p.urls {
			if former[kind] == u {
				return errors.New("they are those of the former pairing")
			}
		}
		return nil
	})
	return v
}

func (p *tunnelled) status() ui.Tunnel {
	p.t.Helper()
	st, err := p.api.Status(p.t.Context())
	p.ok(err)
	if st.Tunnel == nil {
		return ui.Tunnel{}
	}
	return *st.Tunnel
}

func (p *tunnelled) connected() {
	p.t.Helper()
	p.until("the tunnel should be connected", func() error {
		if v := p.status(); v.State != "connected" {
			return fmt.Errorf("it is %+v", v)
		}
		return nil
	})
}

// caughtUp waits until everything the relay has is in the inbox.
func (p *tunnelled) caughtUp(at least) ui.Tunnel {
	p.t.Helper()
	var v ui.Tunnel
	p.until("the inbox should have everything", func() error {
		if v = p.status(); v.State != "connected" || v.Cursor < int64(at) || v.Cursor != v.Head {
			return fmt.Errorf("it has %d of %d: %s", v.Cursor, v.Head, v.Text)
		}
		return nil
	})
	return v
}

type least int64

// posts sends what Provet Cloud would, and wants exactly 200.
func (p *tunnelled) posts(kind, body string) {
	p.t.Helper()
	resp, err := http.Post(p.urls[kind], "application/x-www-form-urlencoded", strings.NewReader(body))
	p.ok(err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		p.t.Fatalf("the relay answered %d", resp.StatusCode)
	}
}

func aboutOrder(id int) string {
	return url.Values{"diagnosticimagingworklist_id": {strconv.Itoa(id)}}.Encode()
}

// A webhook at the relay puts the order onto the machine's list; the pair of
// create and update and eleven deliveries of each make one order, told once.
func TestE2ETunnel(t *testing.T) {
	t.Parallel()
	p := openTunnelled(t)
	id := p.request("X-ray")
	p.listed(xray, id)
	p.upstream(id, "scheduled")
	for range 11 {
		p.posts(wire.KindCreated, aboutOrder(id))
		p.posts(wire.KindUpdated, aboutOrder(id))
	}
	v := p.caughtUp(23)
	if !v.Paired || v.Transport != "websocket" || v.LastHeardAt.IsZero() || v.ConnectedSince.IsZero() || !strings.Contains(v.Text, "relay last heard") {
		t.Errorf("%+v", v)
	}
	p.until("the hints should be looked at", func() error {
		st, err := p.api.Status(t.Context())
		if err == nil && st.Hints != 0 {
			err = fmt.Errorf("%d wait", st.Hints)
		}
		return err
	})
	if n := len(p.sim.Patches()); n != 1 {
		t.Errorf("Provet Cloud was told %d times", n)
	}
	if all := p.list(xray); len(all) != 1 {
		t.Errorf("%d entries on the list", len(all))
	}
	checks, err := p.api.Doctor(t.Context())
	p.ok(err)
	there := false
	for _, c := range checks {
		if c.Area == "tunnel" && c.Result == "fail" {
			t.Errorf("doctor: %+v", c)
		}
		there = there || strings.Contains(c.Detail, "there and back")
	}
	if !there {
		t.Errorf("no event went there and back: %+v", checks)
	}
	if readiness, err := p.api.Status(t.Context()); err != nil || !readiness.Ready {
		t.Errorf("%+v %v", readiness, err)
	}
}

// What cannot be used does not stop what follows, and is shown.
func TestE2ETunnelPoison(t *testing.T) {
	t.Parallel()
	p := openTunnelled(t)
	p.posts(wire.KindCreated, "consultation_id=5")
	p.posts(wire.KindUpdated, "diagnosticimagingworklist_id=1&provet_id=666")
	p.posts(wire.KindDeleted, "\x00\xff")
	id := p.request("X-ray")
	p.listed(xray, id)
	contains(t, p.raised(problem.TunnelEvent, ""), "3 notifications could not be used")
	if v := p.caughtUp(4); v.Unusable != 3 || v.Gaps != 0 {
		t.Errorf("%+v", v)
	}
}

// The relay goes and comes back: nothing is lost, and polling fills in meanwhile.
func TestE2ETunnelRelayDown(t *testing.T) {
	t.Parallel()
	p := openTunnelled(t)
	p.settings.Provet.PollInterval = config.Duration(time.Minute)
	p.restart()
	p.connected()
	first := p.request("X-ray")
	p.listed(xray, first)
	p.until("polling should be slow", func() error {
		if v := p.status(); v.PollSeconds != 300 {
			return fmt.Errorf("it is every %v s", v.PollSeconds)
		}
		return nil
	})
	polled := func() time.Time {
		st, err := p.api.Status(t.Context())
		p.ok(err)
		return st.LastPollAt
	}
	before := polled()
	p.sim.SetWebhookFaults(provetsim.WebhookFaults{Hold: true})
	second := p.request("X-ray")
	p.relay.down()
	p.raised(problem.TunnelDown, "")
	p.listed(xray, second) // polled at once, for the tunnel cannot have told
	if !polled().After(before) {
		t.Error("not polled at once")
	}
	if v := p.status(); v.PollSeconds != 60 || v.State == "connected" {
		t.Errorf("%+v", v)
	}
	p.relay.up()
	p.sim.SetWebhookFaults(provetsim.WebhookFaults{})
	p.cleared(problem.TunnelDown, "")
	third := p.request("CT")
	p.listed(ct, third)
	p.caughtUp(3)
}

// The appliance is off while webhooks come; it goes on behind what it has.
func TestE2ETunnelRestart(t *testing.T) {
	t.Parallel()
	p := openTunnelled(t)
	p.listed(xray, p.request("X-ray"))
	had := p.caughtUp(1)
	p.stop()
	var ids []int
	for range 5 {
		ids = append(ids, p.request("X-ray"))
	}
	p.waitDelivered()
	p.start()
	for _, id := range ids {
		p.listed(xray, id)
	}
	if v := p.caughtUp(least(had.Cursor + 5)); v.Gaps != 0 || v.Unusable != 0 {
		t.Errorf("%+v", v)
	}
}

func (p *tunnelled) waitDelivered() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if err := p.sim.WaitWebhooks(ctx); err != nil {
		p.t.Fatalf("%v: %+v", err, p.sim.Deliveries())
	}
}

// A backup is put back: the relay sends again what came after it.
func TestE2ETunnelRestoredBackup(t *testing.T) {
	t.Parallel()
	p := openTunnelled(t)
	p.listed(xray, p.request("X-ray"))
	p.caughtUp(1)
	_, err := p.api.CreateBackup(t.Context())
	p.ok(err)
	late := p.request("CT")
	p.listed(ct, late)
	had := p.caughtUp(2)
	p.stop()
	_, err = localdb.Restore(t.Context(), localdb.RestoreConfig{
		BackupDir: filepath.Join(p.dir, "backups"), Path: filepath.Join(p.dir, "rayhound.db"), Who: "test",
	})
	p.ok(err)
	p.start()
	p.listed(ct, late)
	if v := p.caughtUp(least(had.Cursor)); v.Gaps != 0 {
		t.Errorf("%+v", v)
	}
}

// The relay could not keep everything: the hole is announced, shown and swept, so
// that the order is found though its webhook is gone and nobody polls.
func TestE2ETunnelGap(t *testing.T) {
	t.Parallel()
	p := openTunnelled(t)
	p.listed(xray, p.request("X-ray"))
	p.caughtUp(1)
	p.stop()
	lost := p.request("CT")
	p.waitDelivered()
	p.request("X-ray")
	p.waitDelivered()
	p.relay.down()
	p.relay.limits = tunnelrelay.Limits{Events: 1}
	p.relay.up()
	p.ok(p.relay.relay.Expire(t.Context()))
	p.start()
	contains(t, p.raised(problem.TunnelGap, ""), "more than the relay keeps")
	p.listed(ct, lost)
	p.until("the sweep should end", func() error {
		if v := p.status(); v.Sweeping || v.Gaps != 1 {
			return fmt.Errorf("%+v", v)
		}
		return nil
	})
}

// Pairing says what is wrong; revoked it says that too, and a new code mends it.
func TestE2ETunnelPairing(t *testing.T) {
	t.Parallel()
	p := openTunnelled(t)
	relayURL := "ws://" + p.relay.server.address
	_, err := p.api.Pair(t.Context(), relayURL, "BCDF-GHJK-LMNP")
	wantCode(t, err, problem.TunnelPairing)
	_, err = p.api.Pair(t.Context(), relayURL, "x")
	wantCode(t, err, problem.TunnelPairing)
	_, err = p.api.Pair(t.Context(), "wss://127.0.0.1:1", p.relay.code())
	wantCode(t, err, problem.RelayUnreachable)
	p.connected() // a failed pairing leaves the present one
	if v := p.pairs(); !v.Replaced {
		t.Errorf("%+v", v)
	}
	p.listed(xray, p.request("X-ray"))
	p.ok(p.relay.relay.Admin().Revoke(t.Context(), mailboxName))
	contains(t, p.raised(problem.TunnelRefused, ""), "refuses this installation")
	if _, err := p.relay.relay.Admin().AddClinic(t.Context(), mailboxName); err != nil {
		t.Fatal(err)
	}
	p.pairs()
	p.cleared(problem.TunnelRefused, "")
	p.listed(ct, p.request("CT"))
	p.settings.Tunnel.RelayURL = "wss://other.example.com"
	p.restart()
	contains(t, p.raised(problem.TunnelUnpaired, ""), "not paired with the relay wss://other.example.com")
}

// How long an order takes from the relay to the list, with a Provet without delay.
func TestE2ETunnelLatency(t *testing.T) {
	if testing.Short() {
		t.Skip("only measures")
	}
	p := openTunnelled(t)
	p.listed(xray, p.request("X-ray"))
	var took []time.Duration
	for range 60 {
		start := time.Now()
		id := p.request("X-ray")
		for {
			o, _, err := p.app.Load().Order(t.Context(), strconv.Itoa(id))
			if err == nil && o.State == order.Scheduled {
				break
			}
			if err != nil && !errors.Is(err, localdb.ErrNotFound) || time.Since(start) > patience {
				t.Fatal(err)
			}
			time.Sleep(200 * time.Microsecond)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	t.Logf("order in Provet Cloud to worklist through the relay: p50 %v, p90 %v, max %v", took[30], took[54], took[59])
}
