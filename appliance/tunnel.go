package appliance

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/tunnel/client"
	"github.com/rayhound/rayhound/tunnel/wire"
	"github.com/rayhound/rayhound/ui"
)

// agent is a connection to the relay that keeps itself up; tunnel/client answers.
type agent interface {
	// Run returns only when ctx has ended.
	Run(ctx context.Context) error
	Link() link
	// Check tries the way to the relay step by step, an event included, and stops at
	// the first that fails.
	Check(ctx context.Context) []ui.Check
}

// tunnel is the appliance's side of the tunnel: it runs the agent, understands
// what comes, and says how it is. It works as soon as a relay is set and paired,
// without a restart, and waits for that otherwise.
type tunnel struct {
	core    *core
	secrets *secret.Store
	log     *slog.Logger
	now     func() time.Time
	version string

	settings tunnelSettings
	fields   provet.Fields                         // of webhooks
	tenant   func(provetID, provetURL string) bool // nil: Provet Cloud is not set up
	// credentials takes Provet's automatic credential post; nil: not at all.
	credentials func(context.Context, wire.Request) error
	// paired hears of every pairing and of the start with one: the inbound URLs.
	paired func(wire.ClinicID, []wire.InboundURL)

	open func(*tunnel, *pairing) (agent, error)                                     // openAgent, or a test's
	join func(ctx context.Context, t *tunnel, relay, code string) (*pairing, error) // joinRelay, or a test's

	receive client.Inbox // where events go; the database, or a test's

	every    time.Duration // poll_interval
	baseline time.Duration
	pollNow  chan struct{}

	wakeEvents chan struct{} // size 1: something waits to be understood
	wakeSweep  chan struct{} // size 1: a hole was announced
	changed    chan struct{} // size 1: the agent's state changed
	again      chan struct{} // size 1: there is another pairing

	pairMu sync.Mutex // one pairing at a time

	mu      sync.Mutex
	present *reader
	pairing *pairing
	agent   agent // nil while there is none
	relay   string

	shown      time.Time // when the inbox was looked at last; of run alone
	healthy    atomic.Bool
	sweeping   atomic.Bool
	inboxMoved atomic.Bool  // events or holes came since the inbox was looked at
	lastOrder  atomic.Int64 // unix ms of the newest event about an order
}

// tunnelSettings are those of [tunnel].
type tunnelSettings struct {
	relayURL string
	proxyURL string
	caFile   string
}

// newTunnel makes what is not set and returns t.
func newTunnel(t *tunnel) *tunnel {
	t.wakeEvents, t.wakeSweep = make(chan struct{}, 1), make(chan struct{}, 1)
	t.changed, t.again = make(chan struct{}, 1), make(chan struct{}, 1)
	t.present, t.relay = &reader{log: t.log}, t.settings.relayURL
	if t.receive == nil {
		t.receive = t.inbox()
	}
	if t.open == nil {
		t.open = openAgent
	}
	if t.join == nil {
		t.join = joinRelay
	}
	return t
}

// wireTunnel makes the tunnel. It needs the core and, where it is set up, the
// Provet driver.
func (a *Appliance) wireTunnel() {
	f := a.cfg.Settings
	p := provetOf(f)
	a.tunnel = &tunnel{
		core: a.core, secrets: a.secrets, log: a.log, now: a.cfg.Now, version: a.cfg.Version,
		settings: tunnelSettings{relayURL: f.Tunnel.RelayURL, proxyURL: f.Tunnel.ProxyURL, caFile: f.Provet.CAFile},
		fields:   provet.DefaultFields().With(p.Fields), every: f.Provet.PollInterval.D(), baseline: baselineWindow(f.Provet.Baseline),
		pollNow: a.pollNow,
	}
	if a.provet != nil {
		a.tunnel.tenant = a.provet.IsTenant
	}
	newTunnel(a.tunnel)
}

// tunnelServices are the parts of the tunnel under supervision.
func (a *Appliance) tunnelServices() []service {
	return []service{
		{"tunnel", a.tunnel.run},
		{"tunnel-events", a.tunnel.understandRest},
		{"tunnel-sweep", a.tunnel.sweepHoles},
	}
}

// reader returns what understands events at present.
func (t *tunnel) reader() *reader {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.present
}

// run keeps the tunnel up with the pairing there is, and begins anew with every
// other one, until ctx ends.
func (t *tunnel) run(ctx context.Context) error {
	for {
		p, err := t.usable(ctx)
		if err != nil {
			return err
		}
		if p == nil { // nothing changes without a pairing
			t.watchOnce(ctx)
			if err := sleepOr(ctx, time.Hour, t.again); err != nil {
				return err
			}
			continue
		}
		if err := t.runWith(ctx, p); err != nil {
			return err
		}
	}
}

// runWith runs the agent until ctx ends or there is another pairing.
func (t *tunnel) runWith(ctx context.Context, p *pairing) error {
	agent, err := t.open(t, p)
	if err != nil {
		return t.cannotOpen(ctx, err)
	}
	for _, code := range openCodes {
		t.core.board.Clear(code, subjectTunnel)
	}
	t.mu.Lock()
	t.agent = agent
	t.mu.Unlock()
	if t.paired != nil {
		t.paired(p.ClinicID, p.URLs)
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- runAgent(running, agent) }()
	defer func() {
		t.mu.Lock()
		t.agent = nil
		t.mu.Unlock()
	}()
	for {
		t.watchOnce(ctx)
		tick := time.NewTimer(watchEvery)
		select {
		case <-tick.C:
		case <-t.changed:
			tick.Stop()
		case <-t.again:
			tick.Stop()
			stop()
			if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
				t.log.LogAttrs(ctx, slog.LevelWarn, "the former agent ended", errAttr(err))
			}
			return nil
		case err := <-ended:
			tick.Stop()
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return errors.Join(errors.New("the agent ended"), err)
		}
	}
}

// openCodes are what may be wrong with the settings of the tunnel.
var openCodes = []problem.Code{problem.FileUnusable, problem.SecretUnreadable, problem.ConfigInvalid}

// cannotOpen says why there can be no agent and waits for a change.
func (t *tunnel) cannotOpen(ctx context.Context, err error) error {
	pe := problem.Of(err)
	if pe == nil {
		pe = problem.New(problem.ConfigInvalid, problem.Args{"path": "[tunnel]", "detail": err.Error()}, err)
	}
	t.core.board.Raise(pe.Code, subjectTunnel, pe.Args)
	t.log.LogAttrs(ctx, slog.LevelWarn, "the tunnel cannot start", errAttr(err))
	return sleepOr(ctx, time.Minute, t.again)
}

// runAgent runs an agent and turns a panic into an error: the supervisor sees
// panics of its own goroutine only.
func runAgent(ctx context.Context, a agent) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.Join(errPanic, errors.New(panicAttr(p).Value.String()))
		}
	}()
	return a.Run(ctx)
}

// usable returns the pairing when it can be used now, and makes the cursor and
// the keys fit it. Nil says that there is none; the board says why.
func (t *tunnel) usable(ctx context.Context) (*pairing, error) {
	t.mu.Lock()
	relay := t.relay
	t.mu.Unlock()
	if relay == "" {
		t.core.board.Clear(problem.TunnelUnpaired, subjectTunnel)
		return nil, nil //nolint:nilnil // no relay is no error
	}
	p, err := loadPairing(t.secrets)
	if err != nil {
		t.log.LogAttrs(ctx, levelOf(err), "the pairing cannot be read", errAttr(err))
		if pe := problem.Of(err); pe != nil {
			t.core.board.Raise(pe.Code, subjectTunnel, pe.Args)
		}
	}
	if p == nil || !sameRelay(p.RelayURL, relay) { // a token is for its own relay only
		t.core.board.Raise(problem.TunnelUnpaired, subjectTunnel, problem.Args{"relay": relay})
		return nil, nil //nolint:nilnil // see above
	}
	t.core.board.Clear(problem.TunnelUnpaired, subjectTunnel)
	t.core.board.Clear(problem.SecretUnreadable, subjectTunnel)
	err = t.core.db.Write(ctx, func(tx *localdb.Tx) error {
		other, err := tx.BindTunnel(ctx, string(p.ClinicID), t.now())
		if err != nil || !other {
			return err
		}
		return tx.SetState(ctx, keySweep, "paired "+t.now().UTC().Format(time.RFC3339Nano))
	})
	if err != nil {
		return nil, err
	}
	signal(t.wakeSweep)
	t.mu.Lock()
	t.pairing = p
	t.present = &reader{clinic: p.ClinicID, keys: p.keys(), fields: t.fields, tenant: t.tenant, log: t.log}
	t.mu.Unlock()
	signal(t.wakeEvents)
	return p, t.recall(ctx)
}

// recall reads what the last run knew.
func (t *tunnel) recall(ctx context.Context) error {
	return t.core.db.Read(ctx, func(s *localdb.Snapshot) error {
		at, err := s.LastInboxOrder(ctx)
		if err != nil {
			return err
		}
		if !at.IsZero() {
			t.lastOrder.Store(at.UnixMilli())
		}
		return nil
	})
}

// sameRelay reports whether two addresses name one relay.
func sameRelay(a, b string) bool {
	x, err1 := wire.HostName(a)
	y, err2 := wire.HostName(b)
	return err1 == nil && err2 == nil && x == y
}

// took counts what was committed. It looks at the tunnel's state at once only
// when that may have changed: events can come fast.
func (t *tunnel) took(list []verdict) {
	if len(list) == 0 {
		return
	}
	t.inboxMoved.Store(true)
	look := false
	for _, v := range list {
		t.core.metrics.TunnelEvent(v.kind, v.state)
		if len(v.orders) > 0 {
			before := unixMilli(t.lastOrder.Swap(t.now().UnixMilli()))
			look = look || t.now().Sub(before) >= provenFor
		}
		look = look || v.state == localdb.InboxPoison
	}
	if look {
		signal(t.changed)
	}
}

// Pair answers ui.Tunnels.
func (a api) Pair(ctx context.Context, relayURL, code string) (ui.Pairing, error) {
	v, err := a.tunnel.pair(ctx, relayURL, code)
	if err != nil {
		return v, err
	}
	return v, a.db.Write(ctx, func(tx *localdb.Tx) error {
		return tx.AddAudit(ctx, localdb.Audit{At: a.cfg.Now(), Who: console, What: "pair", Detail: v.RelayURL + " " + v.ClinicID})
	})
}

// pair joins a relay, seals what that gave, and starts the tunnel with it.
func (t *tunnel) pair(ctx context.Context, relayURL, code string) (v ui.Pairing, err error) {
	t.pairMu.Lock()
	defer t.pairMu.Unlock()
	if err := t.core.db.DiskLow(ctx); err != nil { // a code works once: first see that we can keep what it gives
		return v, err
	}
	if err := t.secrets.Probe(); err != nil {
		if problem.Of(err) == nil {
			err = problem.New(problem.FileUnusable, problem.Args{"path": secret.FileName, "reason": "it cannot be written"}, err)
		}
		return v, err
	}
	old, err := loadPairing(t.secrets)
	if err != nil {
		t.log.LogAttrs(ctx, slog.LevelWarn, "the former pairing cannot be read", errAttr(err))
	}
	p, err := t.join(ctx, t, relayURL, code)
	if err != nil {
		return v, err
	}
	p.PairedAt = t.now().UTC()
	p.succeed(old, p.PairedAt)
	if err := savePairing(t.secrets, p); err != nil { // the relay knows us now, and we do not know how
		t.log.LogAttrs(ctx, slog.LevelError, "the pairing was made and could not be kept", errAttr(err))
		return v, problem.New(problem.TunnelPairingLost, problem.Args{"relay": p.RelayURL, "reason": unsaved(err)}, err)
	}
	t.mu.Lock()
	t.relay = p.RelayURL
	t.mu.Unlock()
	signal(t.again)
	v = ui.Pairing{RelayURL: p.RelayURL, ClinicID: string(p.ClinicID), Kinds: []string{}, Replaced: old != nil, Started: true}
	for _, u := range p.URLs {
		v.Kinds = append(v.Kinds, u.Kind)
	}
	return v, nil
}

// unsaved says in words why secrets were not written.
func unsaved(err error) string {
	if pe := problem.Of(err); pe != nil {
		return strings.TrimSuffix(pe.Sentence(), ".")
	}
	return secret.FileName + " cannot be written"
}

// saveToken seals a rotated token before the client confirms it.
func (t *tunnel) saveToken(p *pairing) func(context.Context, string) error {
	return func(_ context.Context, token string) error {
		t.pairMu.Lock()
		defer t.pairMu.Unlock()
		now, err := loadPairing(t.secrets)
		if err != nil {
			return err
		}
		if now == nil || now.InstanceID != p.InstanceID {
			return errors.New("appliance: paired anew meanwhile")
		}
		now.Token = token
		return savePairing(t.secrets, now)
	}
}
