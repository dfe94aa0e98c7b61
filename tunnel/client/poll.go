package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// poller is the carrier over the long-poll: one request waits at the relay, acks go
// beside it.
type poller struct {
	http   *http.Client
	agent  string // User-Agent
	target target
	done   func(StepName, string)
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex
	greet greeting // Resume, ResumeAt, StoreEpoch and Epoch are where this connection is
	nonce string
	again wire.Seq // read from here again at the next poll; 0: go on

	waiting []wire.Frame // touched by receive alone
	sizes   []int
	heard   atomic.Int64
	start   time.Time
}

// openPoll makes the first poll, which the relay answers at once.
func openPoll(ctx context.Context, d *dialer, t target, g *greeting) (carrier, *wire.Welcome, error) {
	quiet := d.hearing(nil)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return quiet.open(ctx, t) }
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := &poller{
		http: &http.Client{
			Transport: &http.Transport{
				DialContext: dial, DialTLSContext: dial, MaxResponseHeaderBytes: maxUpgrade, DisableCompression: true,
				MaxIdleConns: 2, MaxIdleConnsPerHost: 2, IdleConnTimeout: wire.DeadAfter,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		agent: d.userAgent, target: t, ctx: run, cancel: cancel, greet: *g, start: time.Now(), done: d.done,
	}
	stop := context.AfterFunc(ctx, cancel)
	defer stop()
	if err := p.poll(StepWelcome, 0, 3*d.step); err != nil {
		p.close(wire.CloseUnknownCode, "")
		return nil, nil, err
	}
	w, _ := p.waiting[0].Control.(*wire.Welcome)
	p.waiting, p.sizes = p.waiting[1:], p.sizes[1:]
	return p, w, nil
}

func (p *poller) transport() Transport { return LongPoll }

func (p *poller) lastHeard() time.Time { return p.start.Add(time.Duration(p.heard.Load())) }

func (p *poller) use(token string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.greet.token = token
}

// probe does nothing: a request has its deadline.
func (p *poller) probe() {}

func (p *poller) close(wire.CloseCode, string) {
	p.cancel()
	p.wg.Wait()
	p.http.CloseIdleConnections()
}

func (p *poller) receive() (wire.Frame, int, error) {
	for len(p.waiting) == 0 {
		if err := p.poll(StepOpen, int(wire.PollWait.Seconds()), wire.DeadAfter); err != nil {
			return wire.Frame{}, 0, err
		}
	}
	f, n := p.waiting[0], p.sizes[0]
	p.waiting, p.sizes = p.waiting[1:], p.sizes[1:]
	return f, n, nil
}

// poll makes one poll and puts its frames into waiting.
func (p *poller) poll(step StepName, wait int, limit time.Duration) error {
	p.mu.Lock()
	after := p.greet.hello.Resume
	p.mu.Unlock()
	began := time.Now()
	body, err := p.do(step, http.MethodGet, wire.PollTarget(after, wait), nil, wire.MaxPollAnswer, limit)
	if err != nil {
		return err
	}
	frames, err := wire.SplitEvents(body, wire.Limits{})
	switch {
	case errors.Is(err, wire.ErrTooLarge):
		return &Error{Step: step, ours: wire.Close4413, Err: err}
	case err != nil:
		return &Error{Step: step, ours: wire.Close4400, Err: err}
	case len(frames) == 0:
		return protocolError(step, "an answer without a welcome")
	}
	w, ok := frames[0].Control.(*wire.Welcome)
	if !ok {
		return protocolError(step, "an answer that begins with no welcome")
	}
	if len(frames) == 1 && wait > 0 && time.Since(began) < pollPause {
		p.rest(pollPause) // a relay that is about to stop answers at once
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	h := &p.greet.hello
	h.Epoch = w.Epoch
	for _, f := range frames {
		n := len(f.Event.Header) + len(f.Event.Body) + wire.FixedSize
		switch c := f.Control.(type) {
		case nil:
			if f.Event.Seq > h.Resume {
				h.Resume, h.ResumeAt = f.Event.Seq, f.Event.ReceivedAt
			}
			h.StoreEpoch = w.StoreEpoch
		case *wire.Gap:
			h.Resume, h.ResumeAt, h.StoreEpoch = c.To, time.Time{}, c.StoreEpoch
		default:
			n = 0
		}
		p.waiting, p.sizes = append(p.waiting, f), append(p.sizes, n)
	}
	if p.again > 0 {
		h.Resume, h.ResumeAt, p.again = min(h.Resume, p.again-1), time.Time{}, 0
	}
	return nil
}

// pollPause is the least time of a poll that brings nothing.
const pollPause = time.Second

func (p *poller) rest(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.ctx.Done():
	}
}

// send posts a frame. A replay needs none: the next poll asks for what follows an
// earlier number.
func (p *poller) send(c wire.Control) error {
	if r, ok := c.(*wire.Replay); ok {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.again = r.From
		return nil
	}
	b, err := wire.EncodeControl(c)
	if err != nil {
		return err
	}
	_, err = p.do(StepOpen, http.MethodPost, wire.AckPath, wire.AppendPolled(nil, b), 1024, 2*wire.HandshakeTimeout)
	return err
}

// do makes one signed request. Without a nonce, or with one too old, the relay
// answers with a fresh one, and the request is made once more.
func (p *poller) do(step StepName, method, target string, body []byte, maxAnswer int64, limit time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(p.ctx, limit)
	defer cancel()
	for try := 0; ; try++ {
		resp, err := p.once(ctx, method, target, body, maxAnswer)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				e = failed(step, fmt.Errorf("nothing was heard from %s: %w", p.target.host, err))
			}
			return nil, e
		}
		ours := resp.header.Get(wire.HeaderRelay) != ""
		nonce := resp.header.Get(wire.HeaderNonce)
		if ours && nonce != "" && len(nonce) <= wire.MaxNonce {
			p.mu.Lock()
			p.nonce = nonce
			p.mu.Unlock()
		}
		switch {
		case ours && (resp.status == http.StatusOK || resp.status == http.StatusNoContent):
			p.heard.Store(int64(time.Since(p.start)))
			return resp.body, nil
		case ours && resp.status == http.StatusUnauthorized && nonce != "" && try < 2:
		default:
			return nil, refusal(step, p.target.host, resp)
		}
	}
}

func (p *poller) once(ctx context.Context, method, target string, body []byte, maxAnswer int64) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, p.target.url("http", target), strings.NewReader(string(body)))
	if err != nil {
		return answer{}, fmt.Errorf("client: %w", err)
	}
	p.mu.Lock()
	nonce, g := p.nonce, p.greet
	p.mu.Unlock()
	req.Header.Set("Authorization", "Bearer "+g.token)
	req.Header.Set("User-Agent", p.agent)
	if nonce != "" {
		hello, err := wire.EncodeHello(nonce, g.poll(nonce, method, target, body))
		if err != nil {
			return answer{}, err
		}
		req.Header.Set(wire.HeaderHello, hello)
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("client: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return answer{}, fmt.Errorf("client: %w", err)
	}
	if int64(len(b)) > maxAnswer {
		return answer{}, &Error{Step: StepOpen, ours: wire.Close4413, Err: fmt.Errorf("%w: an answer", wire.ErrTooLarge)}
	}
	return answer{resp.StatusCode, resp.Header, b}, nil
}
