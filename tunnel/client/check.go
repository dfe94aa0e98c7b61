package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// Step is one step of the connection test.
type Step struct {
	Name    StepName
	OK      bool
	Skipped bool   // it does not apply, or nothing was configured for it
	Detail  string // what was found
	Took    time.Duration
	Problem *problem.Error // what to tell people when it failed
	Err     error
}

// testTimeout bounds the wait for the test event.
const testTimeout = 15 * time.Second

// Check tests the way to the relay step by step and stops at the first step that
// fails: the name, TCP, the proxy, TLS, the upgrade, the challenge, the welcome, and a
// test event through the public URL and back. While [Client.Run] has a connection,
// the steps from the upgrade on are answered by that one, so that a test never
// disturbs it; otherwise the test makes its own, and events that come on it go into
// the inbox as always.
func (c *Client) Check(ctx context.Context) []Step {
	r := &report{began: time.Now(), proxy: c.dialer.proxy != nil, tls: c.target.tls}
	d := c.dialer.hearing(r.done)
	c.mu.Lock()
	live := c.current
	c.mu.Unlock()
	if live != nil {
		c.checkLive(ctx, d, r, live)
		return r.steps
	}
	lk, err := c.open(ctx, d, Websocket, c.target)
	var e *Error
	if errors.As(err, &e) && e.Step == StepUpgrade && e.Code == wire.CloseUnknownCode {
		if plk, perr := c.open(ctx, d.hearing(nil), LongPoll, c.target); perr == nil {
			r.done(StepUpgrade, "no websocket passes; the long-poll does")
			r.done(StepChallenge, "")
			r.done(StepWelcome, "")
			lk, err = plk, nil
		}
	}
	if err != nil {
		r.fail(err, c.describeAny(err))
		return r.steps
	}
	lctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	l := newLine(c, lk.car, lk.welcome, lk.cursor)
	go func() { ended <- c.survive("check", func() error { return l.run(lctx) }) }()
	c.checkEvent(ctx, d, r)
	cancel()
	if err := <-ended; err != nil {
		c.log.Debug("the connection of the test ended", "error", err)
	}
	return r.steps
}

// checkLive tests the way up to the relay's first word, and then the connection there is.
func (c *Client) checkLive(ctx context.Context, d *dialer, r *report, live carrier) {
	resp, err := d.request(ctx, c.target, http.MethodGet, wire.PollPath, nil, 1024)
	if err == nil && resp.header.Get(wire.HeaderRelay) == "" {
		err = refusal(StepUpgrade, c.target.host, resp)
	}
	if err != nil {
		r.fail(err, c.describeAny(err))
		return
	}
	since := "connected since " + c.Status().ConnectedSince.Format(time.RFC3339)
	r.done(StepUpgrade, string(live.transport())+", "+since)
	r.done(StepChallenge, "")
	r.done(StepWelcome, "")
	c.checkEvent(ctx, d, r)
}

// checkEvent posts a test event to the public URL and waits until it is in the inbox.
func (c *Client) checkEvent(ctx context.Context, d *dialer, r *report) {
	if c.cfg.TestURL == "" {
		r.skip(StepEvent, "no test URL is known")
		return
	}
	u, err := url.Parse(c.cfg.TestURL)
	if err != nil {
		r.fail(failed(StepEvent, errors.New("the test URL cannot be read")), nil)
		return
	}
	t, err := parseTarget(u.Scheme + "://" + u.Host)
	if err != nil {
		r.fail(failed(StepEvent, err), nil)
		return
	}
	id := wire.NewID()
	in := make(chan struct{})
	c.mu.Lock()
	c.tests[id] = in
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.tests, id)
		c.mu.Unlock()
	}()
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	began := time.Now()
	resp, err := d.hearing(nil).request(ctx, t, http.MethodPost, u.RequestURI(), []byte(`{"rayhound_test":"`+id+`"}`), 1024)
	if err == nil && resp.status != http.StatusOK {
		err = fmt.Errorf("the public URL answered with status %d", resp.status)
	}
	if err != nil {
		e := failed(StepEvent, err)
		r.fail(e, c.describe(e))
		return
	}
	select {
	case <-in:
		r.done(StepEvent, "there and back in "+time.Since(began).Round(time.Millisecond).String())
	case <-ctx.Done():
		e := failed(StepEvent, errors.New("the relay took the test event, but it did not arrive here"))
		r.fail(e, c.describe(e))
	}
}

// testsIn looks for the events that connection tests wait for.
func (c *Client) testsIn(events []wire.Event) {
	cr := &c.cfg.Credentials
	for _, e := range events {
		h, err := wire.ParseHeader(e.Header)
		if err != nil || h.Kind != wire.KindTest {
			continue
		}
		r, err := wire.Open(cr.SealingKeys[h.KeyID], h.KeyID, cr.ClinicID, e)
		if err != nil {
			c.log.Warn("a test event cannot be opened", "error", err)
			continue
		}
		c.mu.Lock()
		for id, in := range c.tests {
			if bytes.Contains(r.Body, []byte(id)) {
				close(in)
				delete(c.tests, id)
			}
		}
		c.mu.Unlock()
	}
}

func (c *Client) describeAny(err error) *problem.Error {
	var e *Error
	if !errors.As(err, &e) {
		e = failed(StepOpen, err)
	}
	if p := problem.Of(e); p != nil {
		return p
	}
	reason := e.Error()
	if e.Err != nil {
		reason = strings.TrimPrefix(e.Err.Error(), "client: ")
	}
	return problem.New(problem.RelayUnreachable, problem.Args{"relay": c.target.host, "reason": reason}, e)
}

// report collects the steps of a test.
type report struct {
	steps      []Step
	began      time.Time
	proxy, tls bool
}

func (r *report) add(s Step) {
	now := time.Now()
	s.Took, r.began = now.Sub(r.began), now
	r.steps = append(r.steps, s)
}

func (r *report) has(name StepName) bool {
	for _, s := range r.steps {
		if s.Name == name {
			return true
		}
	}
	return false
}

func (r *report) done(name StepName, detail string) {
	if r.has(name) {
		return
	}
	r.before(name)
	r.add(Step{Name: name, OK: true, Detail: detail})
}

// before says of the steps that do not apply that they do not.
func (r *report) before(name StepName) {
	if name == StepLookup || name == StepTCP || name == StepProxy {
		return
	}
	if !r.proxy && !r.has(StepProxy) {
		r.skip(StepProxy, "no proxy")
	}
	if name != StepTLS && !r.tls && !r.has(StepTLS) {
		r.skip(StepTLS, "plain, on this computer alone")
	}
}

func (r *report) skip(name StepName, why string) {
	r.add(Step{Name: name, OK: true, Skipped: true, Detail: why})
}

func (r *report) fail(err error, p *problem.Error) {
	var e *Error
	name := StepOpen
	if errors.As(err, &e) {
		name = e.Step
	}
	r.before(name)
	r.add(Step{Name: name, Problem: p, Err: err, Detail: err.Error()})
}
