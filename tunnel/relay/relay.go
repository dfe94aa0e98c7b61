package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// Config of a Relay. Store, Registry and PublicURL must be set; a zero elsewhere means its default.
type Config struct {
	Store     Store
	Registry  Registry
	Node      NodeID           // random; never give two running relays the same
	PublicURL string           // as senders and agents see it, e.g. "https://relay.example.com"
	Log       *slog.Logger     // discards
	Now       func() time.Time // time.Now
	Version   string           // of this program, for the notices

	Limits         Limits  // of Store.Expire
	MaxBody        int     // bytes of one webhook; 64 KiB, at most 1 MiB
	MaxBodies      int64   // bytes of all bodies in work at a time; 256 MiB
	RatePerClinic  float64 // webhooks per second, clinic and node; 20
	Burst          int     // 200
	AcceptRate     float64 // handshakes per second; 500 for each core
	ClinicRate     float64 // handshakes per second of one clinic; a thousandth of AcceptRate, at least 1
	ClinicBurst    int     // a fiftieth of AcceptRate, at least 10
	DiskHigh       float64 // share of the disk above which /readyz fails; 0.90
	SealAtIngest   bool    // seal events to the clinic's key before they are stored
	TrustedProxies []netip.Prefix

	// DrainSpread is the time over which Drain spreads the agents' moves to other nodes: 120 s for a node of many.
	// 0: this node is alone, its agents are told to come back at once.
	DrainSpread time.Duration

	NotifyURL    string       // receives notices as JSON; empty: they are only logged
	NotifyClient *http.Client // 10 s timeout, no redirects

	Metrics        *prometheus.Registry // a new one
	StatusAnywhere bool                 // show the status page to others than loopback

	PingEvery        time.Duration // wire.PingEvery
	DeadAfter        time.Duration // wire.DeadAfter
	HandshakeTimeout time.Duration // wire.HandshakeTimeout
	WriteTimeout     time.Duration // wire.WriteTimeout
	BodyTimeout      time.Duration // for reading the body of a request, or taking the answer to a poll; 30 s
	RefreshEvery     time.Duration // how often the registry is asked for changes; 1 s
	PendingEvery     time.Duration // the net under wake-ups; 5 s
	AckEvery         time.Duration // how often acks are written; 500 ms
}

// Relay is one node.
type Relay struct {
	cfg      Config
	log      *slog.Logger
	public   string // without a slash at the end
	hostName string // what agents sign
	macKey   []byte

	dir      *directory
	metrics  *metrics
	accept   *rate.Limiter
	pairTry  *tries // wrong pairing codes, by address
	authTry  *tries // wrong tokens and signatures, by address
	hasty    hasty
	sessions sessions
	polls    pollers
	wheel    *wheel
	acks     ackQueue
	notes    noteQueue
	claims   keyedMutex // one handshake of a clinic at a time
	pairings keyedMutex // one try of a pairing at a time

	bodies   atomic.Int64 // bytes of bodies in work
	greeted  atomic.Int64 // handshakes that went well
	draining atomic.Bool  // no new agents
	settling atomic.Bool  // nothing more is sent, only acks are awaited
	ended    atomic.Bool
	health   atomic.Pointer[Health]
	snapshot atomic.Pointer[snapshot]
	recheck  chan struct{} // ownership is to be read again
	started  time.Time
	errLog   rate.Sometimes

	running sync.WaitGroup // sessions' goroutines and handshakes
	base    context.Context
	cancel  context.CancelFunc
}

// New checks the configuration and reads what every node keeps in memory.
func New(cfg Config) (*Relay, error) {
	u, err := url.Parse(cfg.PublicURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" {
		return nil, fmt.Errorf("relay: public URL %q is no address like https://relay.example.com", cfg.PublicURL)
	}
	if cfg.Store == nil || cfg.Registry == nil {
		return nil, errors.New("relay: no store")
	}
	cfg = cfg.withDefaults()
	if cfg.MaxBody > wire.MaxBody {
		return nil, fmt.Errorf("relay: a body limit of %d bytes is above %d", cfg.MaxBody, wire.MaxBody)
	}
	host, err := wire.HostName(cfg.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	base, cancel := context.WithCancel(context.Background())
	r := &Relay{
		cfg: cfg, log: cfg.Log, public: strings.TrimSuffix(cfg.PublicURL, "/"), hostName: host,
		accept:  rate.NewLimiter(rate.Limit(cfg.AcceptRate), max(1, int(cfg.AcceptRate))),
		pairTry: newTries(maxPairTries, time.Hour), authTry: newTries(maxAuthTries, 10*time.Minute),
		recheck: make(chan struct{}, 1), started: cfg.Now(), base: base, cancel: cancel,
		errLog: rate.Sometimes{Interval: time.Second},
	}
	r.dir = newDirectory(cfg)
	r.wheel = newWheel(cfg.PingEvery)
	if r.metrics, err = newMetrics(cfg.Metrics, r); err != nil {
		cancel()
		return nil, err
	}
	ctx, stop := context.WithTimeout(base, 30*time.Second)
	defer stop()
	if r.macKey, err = cfg.Registry.MACKey(ctx); err != nil {
		cancel()
		return nil, fmt.Errorf("relay: read the key of the nonces: %w", err)
	}
	if err := r.dir.refresh(ctx); err != nil {
		cancel()
		return nil, fmt.Errorf("relay: read the clinics: %w", err)
	}
	if h, err := cfg.Store.Health(ctx); err == nil {
		r.health.Store(&h)
	}
	return r, nil
}

func (c Config) withDefaults() Config {
	if c.Node == "" {
		c.Node = NodeID(wire.NewID())
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.NotifyClient == nil {
		c.NotifyClient = &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}}
	}
	c.Limits = c.Limits.WithDefaults()
	c.MaxBody = orDefault(c.MaxBody, wire.DefaultMaxBody)
	c.MaxBodies = orDefault(c.MaxBodies, 256<<20)
	c.RatePerClinic = orDefault(c.RatePerClinic, 20)
	c.Burst = orDefault(c.Burst, 200)
	c.AcceptRate = orDefault(c.AcceptRate, float64(500*runtime.GOMAXPROCS(0)))
	c.ClinicRate = orDefault(c.ClinicRate, max(1, c.AcceptRate/1000))
	c.ClinicBurst = orDefault(c.ClinicBurst, max(10, int(c.AcceptRate/50)))
	c.DiskHigh = orDefault(c.DiskHigh, 0.90)
	c.PingEvery = orDefault(c.PingEvery, wire.PingEvery)
	c.DeadAfter = orDefault(c.DeadAfter, wire.DeadAfter)
	c.HandshakeTimeout = orDefault(c.HandshakeTimeout, wire.HandshakeTimeout)
	c.WriteTimeout = orDefault(c.WriteTimeout, wire.WriteTimeout)
	c.BodyTimeout = orDefault(c.BodyTimeout, 30*time.Second)
	c.RefreshEvery = orDefault(c.RefreshEvery, time.Second)
	c.PendingEvery = orDefault(c.PendingEvery, 5*time.Second)
	c.AckEvery = orDefault(c.AckEvery, 500*time.Millisecond)
	return c
}

func orDefault[T int | int64 | float64 | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// Agents returns how many tunnels are open on this node.
func (r *Relay) Agents() int { return r.sessions.count() }

// Node returns the name of this node.
func (r *Relay) Node() NodeID { return r.cfg.Node }

// Run does everything that is not an answer to somebody: pings, wake-ups and the net under them, writing of acks and
// notes, expiry, notices. It returns when ctx ends, after all sockets are closed; call Drain before for a soft end.
func (r *Relay) Run(ctx context.Context) error {
	defer r.end()
	wakeups, err := r.cfg.Store.Subscribe(ctx)
	if err != nil {
		return fmt.Errorf("relay: subscribe to wake-ups: %w", err)
	}
	subscribed := ctx
	g, ctx := errgroup.WithContext(ctx)
	for _, loop := range []func(context.Context) error{
		func(ctx context.Context) error { return r.takeWakeups(ctx, subscribed, wakeups) },
		r.askPending, r.askChanges, r.checkOwners, r.ping, r.writeAcks, r.writeNotes, r.expire, r.watch, r.tell, r.tidy,
	} {
		g.Go(func() error { return loop(ctx) })
	}
	err = g.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}

// end closes what is left and writes what is not yet written.
func (r *Relay) end() {
	r.ended.Store(true)
	r.cancel()
	for _, s := range r.sessions.all() {
		s.end(wire.CloseRestart, "")
	}
	r.running.Wait()
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	r.flushAcks(ctx)
	if err := r.flushNotes(ctx, true); err != nil {
		r.log.Warn("the store failed", "task", "notes", "error", err)
	}
}

// Close ends a relay that is not running, without waiting for anybody. After Run it does nothing.
func (r *Relay) Close() {
	if !r.ended.Load() {
		r.end()
	}
}

// every calls f each d until ctx ends. An error is logged, at most one a second, and does not end it.
func (r *Relay) every(ctx context.Context, d time.Duration, what string, f func(context.Context) error) error {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			if err := f(ctx); err != nil {
				r.failed(ctx, what, err)
			}
		}
	}
}

// failed counts and logs an error of the store, unless ctx has ended.
func (r *Relay) failed(ctx context.Context, what string, err error) {
	if ctx.Err() != nil {
		return
	}
	r.metrics.storeErrors.Inc()
	r.errLog.Do(func() { r.log.Warn("the store failed", "task", what, "error", err) })
}
