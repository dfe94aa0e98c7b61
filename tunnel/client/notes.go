package client

import (
	"context"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// connected notes that events flow.
func (c *Client) connected(ctx context.Context, lk *link) {
	c.mu.Lock()
	c.current = lk.car
	c.mu.Unlock()
	if lk.car.transport() == Websocket {
		c.upgrades = 0
	}
	c.welcomed(ctx, lk.welcome)
	c.change(func(s *Status) {
		s.State, s.Transport, s.ConnectedSince = Connected, lk.car.transport(), c.cfg.Now().UTC()
		s.DownSince, s.NextTry, s.Problem, s.LastError = time.Time{}, time.Time{}, nil, ""
		s.Cursor, s.StoreEpoch = lk.cursor.Seq, lk.cursor.Epoch
	})
	c.log.Info("connected to the relay", "transport", string(lk.car.transport()), "session_epoch", int64(lk.welcome.Epoch))
	c.offerKey(lk)
}

// welcomed notes what a welcome tells of the relay.
func (c *Client) welcomed(ctx context.Context, w *wire.Welcome) {
	window := w.ReconnectWindow()
	c.mu.Lock()
	changed := c.status.Window != window
	c.status.Head, c.status.Window = w.Head, window
	c.status.Skew = c.cfg.Now().Sub(w.ServerTime)
	c.mu.Unlock()
	if !changed {
		return
	}
	if err := c.cfg.Inbox.KeepWindow(ctx, window); err != nil {
		c.log.Warn("the reconnect window was not kept", "error", err)
	}
}

// committed notes events that are in the inbox.
func (c *Client) committed(epoch wire.StoreEpoch, last wire.Seq, events []wire.Event) {
	c.mu.Lock()
	s := &c.status
	s.StoreEpoch, s.Cursor = epoch, last
	s.Head = max(s.Head, last)
	s.Received += len(events)
	waiting := len(c.tests) > 0
	c.mu.Unlock()
	if waiting {
		c.testsIn(events)
	}
}

// missed notes a gap.
func (c *Client) missed(g *wire.Gap) {
	c.log.Warn("events are missing", "from", int64(g.From), "to", int64(g.To), "reason", g.Reason)
	c.change(func(s *Status) {
		s.Gaps++
		s.LastGap, s.StoreEpoch, s.Cursor = g, g.StoreEpoch, g.To
	})
}

// noticed hands on a text of the relay.
func (c *Client) noticed(text string) {
	c.log.Info("the relay has a notice", "text", text)
	c.change(func(s *Status) { s.Notice = text })
	if c.cfg.OnNotice != nil {
		c.cfg.OnNotice(text)
	}
}

// stored notes whether events can be stored.
func (c *Client) stored(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	c.mu.Lock()
	before := c.status.InboxError
	c.mu.Unlock()
	if (before == "") == (text == "") {
		return
	}
	if err != nil {
		c.log.Error("events cannot be stored", "error", err)
	} else {
		c.log.Info("events can be stored again")
	}
	c.change(func(s *Status) { s.InboxError = text })
}

// lost notes how a connection or an attempt ended.
func (c *Client) lost(e *Error, wait time.Duration, stopped bool) {
	c.mu.Lock()
	if c.current != nil {
		c.status.LastHeard = c.heardAt(c.current)
	}
	c.current = nil
	c.mu.Unlock()
	c.change(func(s *Status) {
		s.State = Waiting
		if stopped {
			s.State = Stopped
		}
		now := c.cfg.Now().UTC()
		if s.DownSince.IsZero() {
			s.DownSince = now
		}
		s.ConnectedSince = time.Time{}
		s.LastClose, s.LastError, s.NextTry = e.Code, e.Error(), now.Add(wait)
		s.Problem = c.describe(e)
	})
	c.log.Warn("the tunnel is down", "step", string(e.Step), "code", int(e.Code), "wait_ms", wait.Milliseconds(), "error", e)
}
