package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// Times of the loop.
const (
	stableAfter   = time.Minute      // of connection, until the back-off starts anew
	fallbackAfter = 3                // failed upgrades, until the long-poll is tried
	upgradeEvery  = 30 * time.Minute // a long-poll tries the websocket again
	slowRetry     = 5 * time.Minute  // and up to twice that
	stoppedRetry  = time.Hour        // and up to a tenth more
	wakeJitter    = 2 * time.Second
)

// Run keeps the tunnel until ctx ends, and never returns before. Run must not be
// called twice.
func (c *Client) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wctx, stop := context.WithCancel(ctx)
	wg.Go(func() { _ = c.survive("watch", func() error { c.watch(wctx); return nil }) })
	defer func() {
		stop()
		wg.Wait()
		c.mu.Lock()
		c.current = nil
		c.mu.Unlock()
		c.change(func(s *Status) { s.State, s.ConnectedSince = Idle, time.Time{} })
	}()
	if cur, err := c.cfg.Inbox.Cursor(ctx); err == nil {
		c.change(func(s *Status) { s.Cursor, s.StoreEpoch, s.Window = cur.Seq, cur.Epoch, cur.Window })
		// A whole fleet may start together, after an update.
		c.pause(ctx, c.spread().upTo(cur.Window), false)
	}
	for ctx.Err() == nil {
		c.change(func(s *Status) { s.State, s.NextTry = Connecting, time.Time{} })
		began := time.Now()
		err := c.survive("attempt", func() error { return c.attempt(ctx) })
		if ctx.Err() != nil {
			break
		}
		var e *Error
		if !errors.As(err, &e) {
			e = failed(StepOpen, err)
		}
		if e.Step == StepOpen && time.Since(began) >= stableAfter {
			c.backoff.Reset()
		}
		if e.Code == wire.Close4401 && c.another() {
			c.log.Warn("the relay refuses the token; trying another one")
			continue
		}
		wait, stopped := c.plan(e)
		c.lost(e, wait, stopped)
		c.pause(ctx, wait, stopped || e.Retry > 0 || e.Code == wire.Close4409)
	}
	return nil
}

// plan returns how long to wait after e, and whether the fast loop ends.
func (c *Client) plan(e *Error) (wait time.Duration, stopped bool) {
	b := c.spread()
	switch e.Code { //nolint:exhaustive // the others wait as for a lost connection
	case wire.Close4401, wire.Close4403, wire.Close4410, wire.Close4426:
		return max(stoppedRetry, e.Retry) + b.upTo(max(stoppedRetry/10, b.Window)), true
	case wire.Close4409, wire.Close4400, wire.Close4413:
		return max(slowRetry, e.Retry) + b.upTo(slowRetry), false
	case wire.Close4429:
		if e.Retry == 0 {
			return b.After(time.Minute), false
		}
		return b.After(e.Retry), false
	default:
		if e.ours != wire.CloseUnknownCode {
			return slowRetry + b.upTo(slowRetry), false
		}
		return b.After(e.Retry), false
	}
}

// pause waits for d. A forced kick ends it; so does a wake, after a little jitter,
// unless the relay asked for the wait.
func (c *Client) pause(ctx context.Context, d time.Duration, asked bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	deadline := time.Now().Add(d)
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			return
		case force := <-c.kicked:
			if force {
				return
			}
			if soon := time.Duration(rand.Int64N(int64(wakeJitter))); !asked && time.Until(deadline) > soon {
				t.Reset(soon)
				asked = true // one wake is enough
			}
		}
	}
}

// attempt connects and stays until the connection is lost. A network that lets no
// websocket pass gets the long-poll.
func (c *Client) attempt(ctx context.Context) error {
	var err error
	if c.upgrades < fallbackAfter || time.Since(c.lastUpgrade) >= upgradeEvery {
		var lk *link
		if lk, err = c.tryUpgrade(ctx, c.target); err == nil {
			return c.serve(ctx, lk)
		}
		if c.upgrades < fallbackAfter {
			return err
		}
	}
	lk, perr := c.open(ctx, c.dialer, LongPoll, c.target)
	if perr != nil {
		c.upgrades = fallbackAfter - 1 // the websocket next, and the long-poll if that fails again
		var e *Error
		if err == nil || errors.As(perr, &e) && e.Code != wire.CloseUnknownCode {
			err = perr
		}
		return err
	}
	return c.serve(ctx, lk)
}

// tryUpgrade opens a websocket and counts whether this network lets one pass.
func (c *Client) tryUpgrade(ctx context.Context, t target) (*link, error) {
	c.lastUpgrade = time.Now()
	lk, err := c.open(ctx, c.dialer, Websocket, t)
	var e *Error
	switch {
	case err == nil:
		c.upgrades = 0
	case errors.As(err, &e) && e.Code == wire.CloseUnknownCode && (e.Step == StepUpgrade || e.Step == StepChallenge || e.Step == StepWelcome):
		c.upgrades++
	}
	return lk, err
}

// serve stays on a connection and on those that replace it.
func (c *Client) serve(ctx context.Context, lk *link) error {
	for {
		next, err := c.hold(ctx, lk)
		if next == nil {
			return err
		}
		lk = next
	}
}

// hold works on one connection until it is lost or another one has taken its place:
// after a drain, or when a long-poll becomes a websocket. The new one is open before
// the old one is closed.
func (c *Client) hold(ctx context.Context, lk *link) (*link, error) {
	lctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l := newLine(c, lk.car, lk.welcome, lk.cursor)
	c.connected(ctx, lk)
	ended := make(chan error, 1)
	go func() {
		err := c.survive("line", func() error { return l.run(lctx) })
		lk.car.close(wire.CloseUnknownCode, "")
		ended <- err
	}()
	h := handover{c: c, kind: lk.car.transport(), target: c.target, result: make(chan *link, 1)}
	defer h.stop()
	if h.kind == LongPoll {
		h.again(upgradeEvery)
	}
	for {
		select {
		case err := <-ended:
			next := h.wait()
			if next != nil && ctx.Err() != nil {
				next.car.close(wire.CloseNormal, "")
				next = nil
			}
			return next, err
		case d := <-l.drained:
			c.log.Info("the relay asks to connect anew", "in_ms", d.ReconnectInMS)
			h.draining, h.target = true, c.target.elsewhere(d.Host)
			h.again(d.ReconnectIn())
		case <-h.slot:
			h.start(ctx)
		case next := <-h.result:
			h.running = false
			if next == nil {
				h.missed()
				continue
			}
			cancel()
			if err := <-ended; err != nil {
				c.log.Debug("the connection before ended", "error", err)
			}
			return next, nil
		case force := <-c.kicked:
			lk.car.probe()
			if force && h.kind == LongPoll && !h.running {
				h.again(0)
			}
		}
	}
}

// handover opens the connection that is to replace another.
type handover struct {
	c        *Client
	kind     Transport
	target   target
	draining bool
	running  bool
	timer    *time.Timer
	slot     <-chan time.Time
	result   chan *link // nil: it did not work
}

func (h *handover) again(d time.Duration) {
	h.stop()
	h.timer = time.NewTimer(d)
	h.slot = h.timer.C
}

func (h *handover) stop() {
	if h.timer != nil {
		h.timer.Stop()
	}
}

func (h *handover) start(ctx context.Context) {
	if h.running {
		return
	}
	h.running = true
	h.slot = nil
	upgrade := h.kind == Websocket || !h.draining || time.Since(h.c.lastUpgrade) >= upgradeEvery
	if upgrade {
		h.c.lastUpgrade = time.Now()
	}
	kind, t := h.kind, h.target
	if upgrade {
		kind = Websocket
	}
	go func() {
		lk, err := h.c.open(ctx, h.c.dialer, kind, t)
		if err != nil {
			h.c.log.Debug("a new connection beside the old one did not work", "error", err)
			lk = nil
		}
		h.result <- lk
	}()
}

// missed plans another try: soon in a drain, in half an hour for an upgrade.
func (h *handover) missed() {
	switch {
	case h.draining:
		h.target = h.c.target
		h.again(h.c.spread().Next())
	case h.kind == LongPoll:
		h.again(upgradeEvery)
	}
}

// wait returns what a handover under way brings, or nil.
func (h *handover) wait() *link {
	if !h.running {
		return nil
	}
	h.running = false
	return <-h.result
}

// describe puts into words what people are to know of e.
func (c *Client) describe(e *Error) *problem.Error {
	if p := problem.Of(e); p != nil {
		return p
	}
	return problem.New(problem.TunnelDown, problem.Args{"relay": c.target.host, "reason": e.Error()}, e)
}
