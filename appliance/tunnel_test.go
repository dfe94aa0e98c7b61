package appliance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/tunnel/wire"
	"github.com/rayhound/rayhound/ui"
)

const (
	testMailbox = wire.ClinicID("mailbox1")
	testEpoch   = wire.StoreEpoch("epoch1")
	testRelay   = "wss://relay.example.com"
)

// wireman is an agent whose state a test writes down.
type wireman struct {
	state link
	ran   chan *pairing
	of    *pairing
}

func (w *wireman) Run(ctx context.Context) error {
	if w.ran != nil {
		w.ran <- w.of
	}
	<-ctx.Done()
	return ctx.Err()
}
func (w *wireman) Link() link                       { return w.state }
func (w *wireman) Check(context.Context) []ui.Check { return nil }

// mailbox is the tunnel of a clinic, with the keys of its relay.
type mailbox struct {
	*clinic
	tunnel *tunnel
	agent  *wireman
	in     *inbox
	pub    []byte
	keyID  string
	seq    wire.Seq
}

func newMailbox(t testing.TB, change ...func(*core, *tenant)) *mailbox {
	t.Helper()
	m := &mailbox{clinic: newClinic(t, change...), agent: &wireman{}}
	m.board.Now = m.now
	secrets, err := secret.NewStore(secret.Config{Dir: t.TempDir()})
	m.ok(err)
	m.tunnel = newTunnel(&tunnel{
		core: m.core, secrets: secrets, log: slog.New(slog.DiscardHandler), now: m.now, fields: provet.DefaultFields(),
		tenant: func(id, _ string) bool { return id == "" || id == "4321" }, every: time.Minute, baseline: 30 * 24 * time.Hour,
		pollNow: make(chan struct{}, 1), settings: tunnelSettings{relayURL: testRelay},
		open: func(*tunnel, *pairing) (agent, error) { return m.agent, nil },
	})
	m.pair(testMailbox)
	m.in = m.tunnel.inbox()
	return m
}

// pair gives the tunnel a pairing with new keys, as joinRelay would.
func (m *mailbox) pair(id wire.ClinicID) {
	m.t.Helper()
	m.tunnel.join = func(context.Context, *tunnel, string, string) (*pairing, error) {
		priv, pub, keyID, err := wire.NewSealingKey()
		if err != nil {
			return nil, err
		}
		m.pub, m.keyID = pub, keyID
		token, _ := wire.NewToken()
		return &pairing{
			RelayURL: testRelay, ClinicID: id, InstanceID: wire.InstanceID(wire.NewID()), Token: token,
			Sealing: map[string]sealingKey{keyID: {Private: priv}}, SealingKeyID: keyID, URLs: []wire.InboundURL{{Kind: wire.KindTest, URL: "x"}},
		}, nil
	}
	_, err := m.tunnel.pair(m.t.Context(), testRelay, "QRST-BCDF-GHJK")
	m.ok(err)
	p, err := m.tunnel.usable(m.t.Context())
	m.ok(err)
	if p == nil || p.ClinicID != id {
		m.t.Fatalf("pairing %+v", p)
	}
}

// event seals what Provet Cloud would post about an order.
func (m *mailbox) event(kind, body string) wire.Event {
	m.t.Helper()
	h, b, err := wire.Seal(m.pub, m.keyID, m.tunnel.reader().clinic, wire.Request{
		Label: kind, Header: map[string]string{"content-type": "application/x-www-form-urlencoded"}, Body: []byte(body),
	})
	m.ok(err)
	m.seq++
	return wire.Event{Seq: m.seq, ReceivedAt: m.clock.Add(time.Duration(m.seq) * time.Microsecond), Header: h, Body: b}
}

func hook(id string) string {
	return url.Values{"diagnosticimagingworklist_id": {id}, "provet_id": {"4321"}, "provet_url": {"https://provetcloud.com/4321"}}.Encode()
}

func (m *mailbox) hints() (list []localdb.HintRow) {
	m.t.Helper()
	m.ok(m.db.Read(m.t.Context(), func(s *localdb.Snapshot) (err error) {
		list, err = s.Hints(m.t.Context(), 100)
		return err
	}))
	return list
}

func (m *mailbox) stored(seq wire.Seq) (e localdb.InboxEvent) {
	m.t.Helper()
	m.ok(m.db.Read(m.t.Context(), func(s *localdb.Snapshot) (err error) {
		e, err = s.InboxEventBySeq(m.t.Context(), string(m.tunnel.reader().clinic), string(testEpoch), int64(seq))
		return err
	}))
	return e
}

func (m *mailbox) raised(code problem.Code) string {
	for _, p := range m.board.All() {
		if p.Code == code {
			return p.Text
		}
	}
	return ""
}

// settle forgets that the new pairing asked for a sweep.
func (m *mailbox) settled() {
	m.t.Helper()
	m.ok(m.tunnel.sweepHole(m.t.Context()))
	m.drain()
	m.tenant.since = nil
}

// Create and update come as a pair, each of them eleven times: one order, one
// message to Provet Cloud.
func TestTunnelManyDeliveriesOneOrder(t *testing.T) {
	m := newMailbox(t)
	m.request("77", "X-ray")
	var events []wire.Event
	for range 11 {
		events = append(events, m.event(wire.KindCreated, hook("77")), m.event(wire.KindUpdated, hook("77")))
	}
	m.ok(m.in.Commit(t.Context(), testEpoch, events[:7]))
	m.ok(m.in.Commit(t.Context(), testEpoch, events[7:]))
	if h := m.hints(); len(h) != 1 || h[0].ProvetID != "77" {
		t.Fatalf("hints %+v", h)
	}
	m.drain()
	m.wants("77", order.Scheduled)
	m.send()
	if got := m.tenant.written; !slices.Equal(got, []string{"1"}) {
		t.Errorf("written %v", got)
	}
	m.ok(m.in.Commit(t.Context(), testEpoch, events)) // all of it once more, after a lost acknowledgement
	if h := m.hints(); len(h) != 0 {
		t.Errorf("the same events became hints again: %+v", h)
	}
	c, err := m.in.Cursor(t.Context())
	if err != nil || c.Seq != m.seq || c.Epoch != testEpoch || !c.ReceivedAt.Equal(events[21].ReceivedAt) {
		t.Errorf("cursor %+v %v", c, err)
	}
}

// What cannot be used is kept with its reason, shown, and stops nothing.
func TestTunnelPoison(t *testing.T) {
	m := newMailbox(t)
	m.settled()
	m.request("5", "X-ray")
	_, strange, strangeID, err := wire.NewSealingKey()
	m.ok(err)
	foreign := func() wire.Event {
		e := m.event(wire.KindCreated, hook("1"))
		h, b, err := wire.Seal(strange, strangeID, testMailbox, wire.Request{Label: wire.KindCreated, Body: []byte(hook("1"))})
		m.ok(err)
		e.Header, e.Body = h, b
		return e
	}
	bent := m.event(wire.KindCreated, hook("1"))
	bent.Body[len(bent.Body)-1] ^= 1
	moved := m.event(wire.KindUpdated, hook("1"))
	h, b, err := wire.Seal(m.pub, m.keyID, "another", wire.Request{Label: wire.KindUpdated, Body: []byte(hook("1"))})
	m.ok(err)
	moved.Header, moved.Body = h, b
	broken := m.event(wire.KindCreated, "x")
	broken.Header = []byte(`{"kind":`)
	cases := []struct {
		e      wire.Event
		reason string
	}{
		{broken, spoilHeader},
		{foreign(), spoilKey},
		{bent, spoilSeal},
		{moved, spoilSeal},
		{m.event(wire.KindCreated, ""), ""},
		{m.event(wire.KindCreated, "consultation_id=9"), spoilNoOrder},
		{m.event(wire.KindUpdated, "diagnosticimagingworklist_id=9&provet_id=666"), spoilTenant},
		{m.event(wire.KindDeleted, "provet_id=666"), spoilTenant},
		{m.event("worklist.eaten", hook("9")), spoilKind},
	}
	for i, c := range cases {
		m.ok(m.in.Commit(t.Context(), testEpoch, []wire.Event{c.e}))
		e := m.stored(c.e.Seq)
		if e.State != localdb.InboxPoison || c.reason != "" && e.Reason != c.reason {
			t.Errorf("case %d: %s %s, want %s", i, e.State, e.Reason, c.reason)
		}
		var asked bool
		m.ok(m.core.db.Read(t.Context(), func(s *localdb.Snapshot) (err error) {
			_, asked, err = s.State(t.Context(), keySweep)
			return err
		}))
		if want := slices.Contains([]string{spoilHeader, spoilKey, spoilSeal}, e.Reason); asked != want {
			t.Errorf("case %d: %s asks for a sweep: %v", i, e.Reason, asked)
		}
		m.ok(m.core.db.Write(t.Context(), func(tx *localdb.Tx) error { return tx.DeleteState(t.Context(), keySweep) }))
		if spoilTexts[e.Reason] == "" {
			t.Errorf("case %d: no words for %q", i, e.Reason)
		}
	}
	if h := m.hints(); len(h) != 0 {
		t.Errorf("poison became hints: %+v", h)
	}
	m.ok(m.in.Commit(t.Context(), testEpoch, []wire.Event{m.event(wire.KindCreated, hook("5"))}))
	if h := m.hints(); len(h) != 1 {
		t.Errorf("what follows did not come: %+v", h)
	}
	m.tunnel.watchOnce(t.Context())
	if text := m.raised(problem.TunnelEvent); !strings.Contains(text, fmt.Sprint(len(cases)-1)+" notifications") {
		t.Errorf("the board says %q", text)
	}
	if text := m.raised(problem.TunnelGap); !strings.Contains(text, "paired before") {
		t.Errorf("the board says %q", text)
	}
	m.clock = m.clock.Add(25 * time.Hour)
	m.tunnel.watchOnce(t.Context())
	if m.raised(problem.TunnelEvent)+m.raised(problem.TunnelGap) != "" {
		t.Error("an incident is shown for ever")
	}
}

// A hole is swept, also when the process ends before it was.
func TestTunnelGap(t *testing.T) {
	m := newMailbox(t)
	m.settled()
	m.ok(m.pollOnce(t.Context(), 30*24*time.Hour))
	m.request("8", "X-ray")
	m.look("8")
	up := m.request("9", "X-ray")
	_ = up
	m.tenant.rows = []provet.Row{{ID: "9", Modified: m.clock.Add(-3 * 24 * time.Hour), InScope: true}, {ID: "10", Modified: m.clock.Add(-3 * 24 * time.Hour), InScope: true, Finished: true}}
	m.clock = m.clock.Add(time.Minute)
	m.ok(m.in.Gap(t.Context(), wire.Gap{From: 1, To: 40, Reason: wire.GapExpired, StoreEpoch: testEpoch}))
	m.ok(m.in.Gap(t.Context(), wire.Gap{From: 1, To: 40, Reason: wire.GapExpired, StoreEpoch: testEpoch}))
	c, err := m.in.Cursor(t.Context())
	if err != nil || c.Seq != 40 || !c.ReceivedAt.IsZero() {
		t.Fatalf("cursor %+v %v", c, err)
	}
	m.tunnel.lastOrder.Store(m.clock.UnixMilli())
	m.agent.state = link{Up: true, Heard: m.clock}
	m.tunnel.agent = m.agent
	m.tunnel.watchOnce(t.Context())
	if text := m.raised(problem.TunnelGap); !strings.Contains(text, "up to 40") || !strings.Contains(text, "away too long") {
		t.Errorf("the board says %q", text)
	}
	if m.tunnel.pace() != time.Minute {
		t.Error("polling is slow before the sweep")
	}
	m.tenant.fail = errors.New("no route")
	if err := m.tunnel.sweepHole(t.Context()); err == nil {
		t.Fatal("a sweep that failed is done")
	}
	m.tenant.fail = nil
	m.tunnel.sweeping.Store(false) // the next process
	m.tenant.since = nil
	m.ok(m.tunnel.sweepHole(t.Context()))
	var ids []string
	for _, h := range m.hints() {
		ids = append(ids, h.ProvetID)
	}
	slices.Sort(ids)
	if !slices.Equal(ids, []string{"8", "9"}) {
		t.Errorf("looked at %v", ids)
	}
	if len(m.tenant.since) != 1 || m.clock.Sub(m.tenant.since[0]) < 14*24*time.Hour {
		t.Errorf("polled since %v", m.tenant.since)
	}
	m.tunnel.watchOnce(t.Context())
	if m.tunnel.pace() != 5*time.Minute {
		t.Error("polling stays fast after the sweep")
	}
	m.tenant.since = nil
	m.ok(m.tunnel.sweepHole(t.Context()))
	if len(m.tenant.since) != 0 {
		t.Error("one hole was swept twice")
	}
	m.ok(m.in.Gap(t.Context(), wire.Gap{From: 7, To: 0, Reason: wire.GapRollback, StoreEpoch: "epoch2"}))
	if c, err = m.in.Cursor(t.Context()); err != nil || c.Seq != 0 || c.Epoch != "epoch2" {
		t.Errorf("after a roll-back: %+v %v", c, err)
	}
}

// On a disk that is almost full nothing is taken, so nothing is acknowledged.
func TestTunnelDiskLow(t *testing.T) {
	free := uint64(100 << 30)
	m := newMailbox(t, func(c *core, _ *tenant) {
		c.db.Close()
		db, err := localdb.Open(t.Context(), localdb.Config{
			Path: filepath.Join(t.TempDir(), "rayhound.db"), Now: c.now, FreeSpace: func(string) (uint64, error) { return free, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		c.db = db
	})
	e := m.event(wire.KindCreated, hook("1"))
	free = 1 << 20
	m.clock = m.clock.Add(time.Hour)
	if err := m.in.Commit(t.Context(), testEpoch, []wire.Event{e}); problem.Of(err) == nil || problem.Of(err).Code != problem.DiskLow {
		t.Fatalf("got %v", err)
	}
	if c, err := m.in.Cursor(t.Context()); err != nil || c.Epoch != "" || len(m.hints()) != 0 {
		t.Errorf("%+v %v", c, err)
	}
	free = 100 << 30
	m.clock = m.clock.Add(time.Hour)
	m.ok(m.in.Commit(t.Context(), testEpoch, []wire.Event{e}))
	if len(m.hints()) != 1 {
		t.Error("it did not come afterwards")
	}
}

// Polling slows down while the tunnel is connected, heard and proven, and goes
// back at once when it is not.
func TestTunnelPace(t *testing.T) {
	m := newMailbox(t)
	m.settled()
	m.tunnel.agent = m.agent
	up := link{State: "connected", Up: true, Transport: "websocket"}
	look := func(what string, want time.Duration) {
		t.Helper()
		m.tunnel.watchOnce(t.Context())
		if got := m.tunnel.pace(); got != want {
			t.Errorf("%s: every %v, want %v", what, got, want)
		}
	}
	look("never up", time.Minute)
	m.agent.state = up
	m.agent.state.Heard = m.clock
	look("up, but no webhook ever came", time.Minute)
	m.request("1", "X-ray")
	m.ok(m.in.Commit(t.Context(), testEpoch, []wire.Event{m.event(wire.KindCreated, hook("1"))}))
	look("proven", 5*time.Minute)
	select {
	case <-m.tunnel.pollNow:
		t.Error("polled at once without a reason")
	default:
	}
	m.clock = m.clock.Add(66 * time.Second)
	look("connected, but deaf", time.Minute)
	select {
	case <-m.tunnel.pollNow:
	default:
		t.Error("not polled at once")
	}
	m.agent.state.Heard = m.clock
	look("heard again", 5*time.Minute)
	m.agent.state = link{State: "waiting"}
	look("down", time.Minute)
	if m.raised(problem.TunnelDown) == "" || slices.ContainsFunc(m.board.Visible(), func(p problem.Problem) bool { return p.Code == problem.TunnelDown }) {
		t.Error("RH-104 is not there, or is shown too soon")
	}
	m.clock = m.clock.Add(61 * time.Second)
	if !slices.ContainsFunc(m.board.Visible(), func(p problem.Problem) bool { return p.Code == problem.TunnelDown }) {
		t.Error("RH-104 is not shown after a minute")
	}
	for _, code := range tunnelCodes {
		m.agent.state = link{State: "stopped", Problem: problem.New(code, problem.Args{"relay": "r", "reason": "x", "proxy": "p"}, nil)}
		m.tunnel.watchOnce(t.Context())
		for _, other := range tunnelCodes {
			if (m.raised(other) != "") != (other == code) {
				t.Errorf("%s: %s is %q", code, other, m.raised(other))
			}
		}
	}
	m.agent.state = up
	m.agent.state.Heard, m.agent.state.Skew = m.clock, -2*time.Minute
	look("up again", 5*time.Minute)
	if text := m.raised(problem.ClockSkew); !strings.Contains(text, "2m0s") {
		t.Errorf("the clock: %q", text)
	}
	m.agent.state.Skew = 0
	m.tunnel.watchOnce(t.Context())
	for _, p := range m.board.All() {
		t.Errorf("still on the board: %s %s", p.Code, p.Text)
	}
	m.clock = m.clock.Add(25 * time.Hour)
	m.agent.state.Heard = m.clock
	look("no webhook for a day", time.Minute)
	m.tunnel.every = 10 * time.Minute
	m.tunnel.healthy.Store(true)
	if m.tunnel.pace() != 10*time.Minute {
		t.Error("polled more often than the settings say")
	}
}

// Pairing again with the same mailbox keeps the cursor and the keys of what is on
// its way; another mailbox begins anew.
func TestTunnelPairAgain(t *testing.T) {
	m := newMailbox(t)
	m.settled()
	before := m.event(wire.KindCreated, hook("1"))
	m.ok(m.in.Commit(t.Context(), testEpoch, []wire.Event{m.event(wire.KindCreated, hook("2"))}))
	m.pair(testMailbox)
	before.Seq = m.seq + 1
	m.ok(m.in.Commit(t.Context(), testEpoch, []wire.Event{before}))
	if e := m.stored(before.Seq); e.State != localdb.InboxDone {
		t.Errorf("sealed to the former key: %s %s", e.State, e.Reason)
	}
	if c, err := m.in.Cursor(t.Context()); err != nil || c.Seq != before.Seq {
		t.Errorf("%+v %v", c, err)
	}
	old := m.tunnel.pairing
	m.ok(m.tunnel.saveToken(old)(t.Context(), "rht1_k_s"))
	if p, err := loadPairing(m.tunnel.secrets); err != nil || p.Token != "rht1_k_s" {
		t.Errorf("rotated: %+v %v", p, err)
	}
	m.pair("mailbox2")
	if err := m.tunnel.saveToken(old)(t.Context(), "rht1_k_t"); err == nil {
		t.Error("a token of the former pairing replaced that of the new one")
	}
	if c, err := m.in.Cursor(t.Context()); err != nil || c.Epoch != "" || c.Seq != 0 {
		t.Errorf("another mailbox: %+v %v", c, err)
	}
	m.tenant.since = nil
	m.ok(m.tunnel.sweepHole(t.Context()))
	if len(m.tenant.since) == 0 {
		t.Error("another mailbox does not sweep")
	}
	if len(m.tunnel.pairing.Sealing) != 1 {
		t.Error("keys of another mailbox were kept")
	}
	m.tunnel.relay = "wss://other.example.com" // the settings name another relay
	if p, err := m.tunnel.usable(t.Context()); err != nil || p != nil || m.raised(problem.TunnelUnpaired) == "" {
		t.Errorf("the token would go to another relay: %v %v", p, err)
	}
	m.tunnel.relay = ""
	if p, err := m.tunnel.usable(t.Context()); err != nil || p != nil || m.raised(problem.TunnelUnpaired) != "" {
		t.Errorf("no relay: %v %v %q", p, err, m.raised(problem.TunnelUnpaired))
	}
}

// What came before Provet Cloud was set up is understood afterwards, credentials
// leave nothing behind.
func TestTunnelLater(t *testing.T) {
	m := newMailbox(t)
	m.settled()
	tenant := m.tunnel.reader().tenant
	m.tunnel.mu.Lock()
	m.tunnel.present.tenant = nil
	m.tunnel.mu.Unlock()
	e := m.event(wire.KindCreated, hook("3"))
	cred, bad := m.event(wire.KindCredentials, "client_secret=ZEBRAFISH"), m.event(wire.KindCredentials, "rubbish")
	m.ok(m.in.Commit(t.Context(), testEpoch, []wire.Event{e, cred, bad}))
	if len(m.hints()) != 0 || m.stored(e.Seq).State != localdb.InboxNew {
		t.Error("understood without knowing the tenant")
	}
	m.tunnel.mu.Lock()
	m.tunnel.present.tenant = tenant
	m.tunnel.mu.Unlock()
	fail := errors.New("not now")
	var took []string
	m.tunnel.credentials = func(_ context.Context, r wire.Request) error {
		if string(r.Body) == "rubbish" {
			return fmt.Errorf("%w: rubbish", errCredentialsUnusable)
		}
		took = append(took, string(r.Body))
		return fail
	}
	if err := m.tunnel.understandNew(t.Context()); !errors.Is(err, fail) {
		t.Errorf("got %v", err)
	}
	if h := m.hints(); len(h) != 1 || h[0].ProvetID != "3" {
		t.Errorf("hints %+v", h)
	}
	if x := m.stored(bad.Seq); x.State != localdb.InboxPoison || x.Reason != spoilCredentials || len(x.Body) != 0 {
		t.Errorf("%+v", x)
	}
	if m.stored(cred.Seq).State != localdb.InboxNew {
		t.Error("credentials that have to wait are gone")
	}
	fail = nil
	m.ok(m.tunnel.understandNew(t.Context()))
	if x := m.stored(cred.Seq); x.State != localdb.InboxDone || len(x.Body) != 0 || len(took) != 2 {
		t.Errorf("%+v %v", x, took)
	}
}

// The service begins when a pairing comes, and anew with the next one.
func TestTunnelStartsWithoutRestart(t *testing.T) {
	m := newMailbox(t)
	m.ok(m.tunnel.secrets.Delete(secretTunnel))
	ran := make(chan *pairing, 4)
	m.tunnel.open = func(_ *tunnel, p *pairing) (agent, error) { return &wireman{ran: ran, of: p}, nil }
	select {
	case <-m.tunnel.again:
	default:
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.tunnel.run(ctx) }()
	for range 2 {
		if _, err := m.tunnel.pair(ctx, testRelay, "x"); err != nil {
			t.Fatal(err)
		}
		select {
		case p := <-ran:
			if p.Token == "" {
				t.Errorf("%+v", p)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the tunnel does not start")
		}
	}
	// The agent may have seen the pairing before it was told of it, and then begins once more.
	tick, late := time.NewTicker(time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for paired := false; !paired; {
		v, err := m.tunnel.status(ctx)
		if err != nil || v == nil || v.RelayURL != testRelay {
			t.Fatalf("%+v %v", v, err)
		}
		paired = v.Paired
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%+v", v)
		}
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func FuzzUnderstand(f *testing.F) {
	priv, pub, keyID, err := wire.NewSealingKey()
	if err != nil {
		f.Fatal(err)
	}
	h, b, err := wire.Seal(pub, keyID, testMailbox, wire.Request{Label: wire.KindCreated, Body: []byte(hook("7"))})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(h, b)
	h, b, err = wire.Plain(wire.KindUpdated, wire.Request{Label: wire.KindUpdated, Body: []byte(`{"diagnosticimagingworklist_id": 7}`)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(h, b)
	r := &reader{
		clinic: testMailbox, keys: map[string][]byte{keyID: priv}, fields: provet.DefaultFields(),
		tenant: func(id, _ string) bool { return id != "666" }, log: slog.New(slog.DiscardHandler),
	}
	f.Fuzz(func(t *testing.T, header, body []byte) {
		v := r.understand(wire.Event{Seq: 1, ReceivedAt: time.Unix(0, 0), Header: header, Body: body})
		switch v.state {
		case localdb.InboxDone, localdb.InboxNew:
			if v.reason != "" {
				t.Errorf("%+v", v)
			}
		case localdb.InboxPoison:
			if spoilTexts[v.reason] == "" || len(v.orders) != 0 || v.reason == spoilPanic {
				t.Errorf("%+v", v)
			}
		default:
			t.Errorf("%+v", v)
		}
	})
}
