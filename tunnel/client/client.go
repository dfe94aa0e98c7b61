package client

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// Client is the appliance's end of the tunnel.
type Client struct {
	cfg    Config
	log    *slog.Logger
	target target
	dialer *dialer
	run    wire.RunID
	kicked chan bool // true: even when stopped

	// Of Run alone:
	backoff     Backoff
	upgrades    int       // that failed one after the other
	lastUpgrade time.Time // when one was tried

	mu       sync.Mutex
	status   Status
	current  carrier
	token    string
	oldToken string // before the last rotation of this process
	used     string // by the last connection
	tests    map[string]chan struct{}
}

// New returns a client. It fails when the settings cannot work.
func New(cfg Config) (*Client, error) {
	t, err := parseTarget(cfg.RelayURL)
	if err != nil {
		return nil, err
	}
	if err := cfg.Credentials.check(); err != nil {
		return nil, err
	}
	if cfg.Inbox == nil {
		return nil, errors.New("client: no inbox")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	d, err := newDialer(&cfg, t)
	if err != nil {
		return nil, err
	}
	c := &Client{
		cfg: cfg, log: cfg.Log, target: t, dialer: d, run: wire.RunID(wire.NewID()), kicked: make(chan bool, 1),
		token: cfg.Credentials.Token, tests: map[string]chan struct{}{},
	}
	c.status = Status{State: Idle, Proxy: d.proxy.String(), DownSince: cfg.Now().UTC()}
	return c, nil
}

// survive does f and turns a panic into an error: whatever happens on one connection,
// there will be another.
func (c *Client) survive(what string, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			c.log.Error("the tunnel stumbled", "part", what, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = failed(StepOpen, fmt.Errorf("client: %s: panic: %v", what, r))
		}
	}()
	return f()
}

// greeting is what the next connection says of itself.
func (c *Client) greeting(cur Cursor, t target) *greeting {
	cr := &c.cfg.Credentials
	c.mu.Lock()
	token := c.token
	c.used = token
	c.mu.Unlock()
	version := c.cfg.Version
	if !wire.ValidID(version) {
		version = "unknown"
	}
	h := wire.Hello{
		Version: version, ClinicID: cr.ClinicID, InstanceID: cr.InstanceID, Run: c.run,
		StoreEpoch: cur.Epoch, Window: wire.Window{Msgs: wire.WindowMsgs, Bytes: wire.WindowBytes},
	}
	if cur.Epoch != "" {
		h.Resume, h.ResumeAt = cur.Seq, cur.ReceivedAt
	}
	return &greeting{clinic: cr.ClinicID, instance: cr.InstanceID, identity: cr.Identity, host: t.host, token: token, hello: h, now: c.cfg.Now}
}

// spread returns the back-off with the window that the relay gave last. Run alone
// calls it.
func (c *Client) spread() *Backoff {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.backoff.Window = c.status.Window
	return &c.backoff
}

// link is an open connection with what it began with.
type link struct {
	car     carrier
	welcome *wire.Welcome
	cursor  Cursor
}

// open makes one connection.
func (c *Client) open(ctx context.Context, d *dialer, kind Transport, t target) (*link, error) {
	var lk *link
	err := c.survive("connect", func() error {
		cur, err := c.cfg.Inbox.Cursor(ctx)
		if err != nil {
			c.stored(err)
			return failed(StepOpen, fmt.Errorf("the inbox: %w", err))
		}
		open := openSocket
		if kind == LongPoll {
			open = openPoll
		}
		car, w, err := open(ctx, d, t, c.greeting(cur, t))
		if err != nil {
			return err
		}
		lk = &link{car, w, cur}
		return nil
	})
	return lk, err
}

// offerKey tells the relay of a sealing key that it does not seal to yet.
func (c *Client) offerKey(lk *link) {
	cr := &c.cfg.Credentials
	if cr.SealingKeyID == "" || lk.welcome.SealingKeyID == cr.SealingKeyID || !lk.welcome.Has(wire.CapKey) {
		return
	}
	pub, err := wire.PublicSealingKey(cr.SealingKeys[cr.SealingKeyID])
	if err == nil {
		err = lk.car.send(&wire.Key{KeyID: wire.KeyID(pub), Public: pub})
	}
	if err != nil {
		c.log.Warn("a sealing key was not offered", "error", err)
	}
}

// Identity returns the public half of the identity, for a fingerprint on the page.
func (c *Client) Identity() ed25519.PublicKey {
	pub, _ := c.cfg.Credentials.Identity.Public().(ed25519.PublicKey)
	return pub
}

// ErrNotConnected means that there is no connection at the moment.
var ErrNotConnected = errors.New("client: not connected to the relay")

// Replay asks the relay for events again, as far as it retains them. They reach the
// inbox as all others do.
func (c *Client) Replay(_ context.Context, from, to wire.Seq) error {
	c.mu.Lock()
	car := c.current
	c.mu.Unlock()
	if car == nil {
		return ErrNotConnected
	}
	return car.send(&wire.Replay{From: from, To: to})
}

// Wake says that the network may have changed or the computer has slept: a connection
// is tried out, and a wait of the client's own choice ends soon.
func (c *Client) Wake() { c.kick(false) }

// Retry tries at once, whatever the client waits for.
func (c *Client) Retry() { c.kick(true) }

func (c *Client) kick(force bool) {
	select {
	case c.kicked <- force:
		return
	default:
	}
	if force { // it takes the place of a wake
		select {
		case <-c.kicked:
		default:
		}
		select {
		case c.kicked <- true:
		default:
		}
	}
}

// rotated makes a new token durable and uses it from the next connection on.
func (c *Client) rotated(ctx context.Context, token string) (kid string, err error) {
	if c.cfg.SaveToken == nil {
		return "", errors.New("client: nowhere to save a token")
	}
	kid, _, err = wire.SplitToken(token)
	if err != nil {
		return "", err
	}
	if err := c.cfg.SaveToken(ctx, token); err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token != token {
		c.token, c.oldToken = token, c.token
	}
	return kid, nil
}

// another tells whether there is another token to try after the one of the last
// connection was refused: the new one, when it was an older connection, or, once, the
// one before the last rotation.
func (c *Client) another() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.used != c.token:
		return true
	case c.oldToken == "":
		return false
	}
	c.token, c.oldToken = c.oldToken, ""
	return true
}
