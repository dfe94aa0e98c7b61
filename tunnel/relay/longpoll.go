package relay

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// pollNet is how often a waiting poll looks into the store, whatever wake-ups say.
const pollNet = 5 * time.Second

// pollAgent is an authenticated long-poll request.
type pollAgent struct {
	token Token
	hello *wire.Hello
}

// pollAuth checks token, nonce and signature of a request. The answer carries the next nonce.
func (r *Relay) pollAuth(ctx context.Context, w http.ResponseWriter, q *http.Request, body []byte) (pollAgent, error) {
	t, err := r.authenticate(ctx, q)
	if err == nil {
		err = r.polled(t)
	}
	if err != nil {
		return pollAgent{}, err
	}
	w.Header().Set(wire.HeaderNonce, r.nonce(t.Clinic))
	nonce, h, err := wire.DecodeHello(q.Header.Get(wire.HeaderHello))
	if err != nil || !r.goodNonce(t.Clinic, nonce) {
		return pollAgent{}, &refused{code: wire.Close4401}
	}
	msg := wire.PollBytes(nonce, r.hostName, h.ClinicID, h.InstanceID, q.Method, q.RequestURI, body)
	if err := r.checkHello(ctx, t, h, msg); err != nil {
		var no *refused
		if errors.As(err, &no) && no.code == wire.Close4401 {
			r.authTry.take(r.caller(q), r.cfg.Now())
		}
		return pollAgent{}, err
	}
	return pollAgent{t, h}, nil
}

// servePoll answers with a welcome, a gap if there is one, and events; without events after at most 25 s.
func (r *Relay) servePoll(w http.ResponseWriter, q *http.Request) {
	r.running.Add(1)
	defer r.running.Done()
	ctx, stop := context.WithTimeout(q.Context(), wire.PollWait+2*r.cfg.HandshakeTimeout)
	defer stop()
	after, wait, err := wire.ParsePollQuery(q.URL.RawQuery)
	if err != nil {
		r.refuse(w, q, &refused{code: wire.Close4400})
		return
	}
	a, err := r.pollAuth(ctx, w, q, nil)
	if err == nil && a.hello.Resume != after {
		err = &refused{code: wire.Close4400}
	}
	if err == nil {
		if leave := r.polls.enter(a.token.Clinic); leave != nil {
			defer leave()
		} else {
			err = &refused{code: wire.Close4429, wait: 5 * time.Second}
		}
	}
	var p *poll
	if err == nil {
		p, err = r.openPoll(ctx, a)
	}
	if err == nil {
		err = p.collect(ctx, time.Duration(wait)*time.Second)
	}
	switch {
	case err == nil:
	case q.Context().Err() != nil:
		return // nobody is left to hear it
	default:
		r.refuse(w, q, r.asRefusal(err))
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(p.answer)))
	w.Header().Set(wire.HeaderNonce, r.nonce(a.token.Clinic)) // young again after the wait
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(r.cfg.BodyTimeout))
	_, _ = w.Write(p.answer)
}

// poll is one request while it is answered.
type poll struct {
	r        *Relay
	agent    pollAgent
	epoch    wire.Epoch
	storeEp  wire.StoreEpoch
	at       wire.Seq
	said     bool // the answer holds something worth sending at once
	answer   []byte
	messages int
}

// openPoll starts or continues a session. A continued one must still be the clinic's.
func (r *Relay) openPoll(ctx context.Context, a pollAgent) (*poll, error) {
	c := a.token.Clinic
	unlock := r.claims.lock(string(c))
	defer unlock()
	m, err := r.pollMailbox(ctx, a)
	if err != nil {
		return nil, err
	}
	at, err := r.resume(ctx, c, a.hello, m)
	if err != nil {
		return nil, err
	}
	p := &poll{r: r, agent: a, epoch: m.Epoch, storeEp: at.storeEpoch, at: at.start}
	if err := p.say(r.welcome(c, m, at)); err != nil {
		return nil, err
	}
	if at.gap != nil {
		r.countGap(c, at.gap.Reason)
		p.said = true
		if err := p.say(at.gap); err != nil {
			return nil, err
		}
	} else if a.hello.StoreEpoch != "" && at.start > m.Acked {
		if err := r.cfg.Store.Ack(ctx, c, at.start, m.Epoch); err != nil && !errors.Is(err, ErrStaleEpoch) {
			return nil, err
		}
	}
	if a.token.UsedAt.IsZero() {
		if err := r.cfg.Registry.UseToken(ctx, a.token.KID, r.cfg.Now().UTC()); err != nil {
			return nil, err
		}
	}
	if err := p.rotateIfDue(ctx); err != nil {
		return nil, err
	}
	r.notes.polled(c, m.Epoch, r.cfg.Now())
	return p, nil
}

func (r *Relay) pollMailbox(ctx context.Context, a pollAgent) (Claim, error) {
	c := a.token.Clinic
	if a.hello.Epoch != 0 {
		m, err := r.cfg.Store.Mailbox(ctx, c)
		if err != nil {
			return Claim{}, err
		}
		if m.Epoch == a.hello.Epoch {
			return m, nil
		}
		if m.Before.Instance != a.hello.InstanceID || m.Before.Run != a.hello.Run {
			return Claim{}, &refused{code: wire.Close4409}
		}
	}
	if err := r.turn(a.token); err != nil {
		return Claim{}, err
	}
	before := r.sessions.get(c)
	r.flushOne(ctx, before)
	m, v, err := r.settle(ctx, a.hello, overPoll)
	if err != nil {
		return Claim{}, err
	}
	if before != nil {
		code := wire.CloseGoingAway
		if v == verdictTakeover {
			code = r.replaced(ctx, before)
		}
		before.end(code, "")
	}
	if m.Before.Node != "" && m.Before.Node != r.cfg.Node {
		r.cfg.Store.Wake(c, 0)
	}
	r.tellRecovery(ctx, c, m.LastHeard)
	r.metrics.handshakes.WithLabelValues("ok").Inc()
	return m, nil
}

func (p *poll) say(c wire.Control) error {
	b, err := wire.EncodeControl(c)
	if err == nil {
		p.answer = wire.AppendPolled(p.answer, b)
	}
	return err
}

// rotateIfDue offers a new token: not in every answer, or each poll would make one.
func (p *poll) rotateIfDue(ctx context.Context) error {
	t := p.agent.token
	r := p.r
	due := r.cfg.Now().Sub(t.CreatedAt) >= wire.RotateEvery && p.agent.hello.Epoch == 0
	if !due && !r.dir.state(t.Clinic).Rotate {
		return nil
	}
	text, _, err := r.offer(ctx, t.Clinic)
	if err != nil {
		return err
	}
	if err := r.dir.refresh(ctx); err != nil {
		return err
	}
	p.said = true
	return p.say(&wire.Rotate{Token: text})
}

// collect fills the answer, waiting for the first event if need be.
func (p *poll) collect(ctx context.Context, wait time.Duration) error {
	woken, leave := p.r.polls.join(p.agent.token.Clinic)
	defer leave()
	end := time.NewTimer(wait)
	defer end.Stop()
	net := time.NewTicker(pollNet)
	defer net.Stop()
	for {
		if err := p.fill(ctx); err != nil {
			return err
		}
		if p.said || p.r.draining.Load() {
			return nil
		}
		select {
		case <-woken:
		case <-net.C:
			m, err := p.r.cfg.Store.Mailbox(ctx, p.agent.token.Clinic)
			if err != nil {
				return err
			}
			if m.Epoch != p.epoch {
				return nil // another session has the clinic; the next poll is told
			}
		case <-end.C:
			return p.fill(ctx)
		case <-p.r.base.Done():
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
		if p.r.dir.state(p.agent.token.Clinic).Revoked {
			return &refused{code: wire.Close4403}
		}
	}
}

// fill adds what the window allows.
func (p *poll) fill(ctx context.Context) error {
	win := p.agent.hello.Window
	limit := min(win.Bytes, wire.WindowBytes)
	var frame []byte
	for p.messages < win.Msgs && len(p.answer) < limit {
		c := p.agent.token.Clinic
		events, err := p.r.cfg.Store.After(ctx, c, p.at, min(readBatch, win.Msgs-p.messages), min(readBatchBytes, limit-len(p.answer)))
		var gap *GapError
		if errors.As(err, &gap) {
			p.r.countGap(c, gap.Reason)
			p.said = true
			g := &wire.Gap{From: p.at + 1, To: gap.RemovedTo, Reason: gap.Reason, StoreEpoch: p.storeEp}
			if err := p.say(g); err != nil {
				return err
			}
			p.at = gap.RemovedTo
			continue
		}
		if err != nil {
			return err
		}
		if len(events) == 0 {
			return nil
		}
		for _, e := range events {
			frame = wire.AppendEvent(frame[:0], wireEvent(e))
			p.answer = wire.AppendPolled(p.answer, frame)
			p.at = e.Seq
			p.messages++
			p.said = true
			p.r.metrics.sendTime.Observe(max(0, p.r.cfg.Now().Sub(e.ReceivedAt).Seconds()))
		}
	}
	return nil
}

// serveAck takes the frames an agent would send on a websocket: ack, rotated, key. It answers 204, or 409 when another
// session has the clinic.
func (r *Relay) serveAck(w http.ResponseWriter, q *http.Request) {
	r.running.Add(1)
	defer r.running.Done()
	ctx, stop := context.WithTimeout(q.Context(), 2*r.cfg.HandshakeTimeout)
	defer stop()
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(r.cfg.HandshakeTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, wire.MaxControl+1024))
	if err != nil {
		r.refuse(w, q, &refused{code: wire.Close4413})
		return
	}
	a, err := r.pollAuth(ctx, w, q, body)
	if err == nil {
		err = r.pollFrames(ctx, a, body)
	}
	if err != nil {
		r.refuse(w, q, r.asRefusal(err))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (r *Relay) pollFrames(ctx context.Context, a pollAgent, body []byte) error {
	frames, err := wire.SplitEvents(body, wire.Limits{})
	if err != nil || len(frames) > 16 {
		return &refused{code: wire.Close4400}
	}
	m, err := r.cfg.Store.Mailbox(ctx, a.token.Clinic)
	if err != nil {
		return err
	}
	if m.Before.Instance != a.hello.InstanceID || m.Before.Run != a.hello.Run {
		return &refused{code: wire.Close4409}
	}
	for _, f := range frames {
		switch f.Control.(type) {
		case *wire.Rotated, *wire.Key:
			if k := r.dir.clinic(a.token.Clinic); k != nil && !k.costly.AllowN(r.cfg.Now(), 1) {
				return &refused{code: wire.Close4429, wait: time.Second / costlyRate}
			}
		}
		switch c := f.Control.(type) {
		case *wire.Ack:
			if c.Seq > m.Head {
				return &refused{code: wire.Close4400}
			}
			if err := r.cfg.Store.Ack(ctx, a.token.Clinic, c.Seq, c.Epoch); err != nil && !errors.Is(err, ErrStaleEpoch) {
				return err
			}
		case *wire.Rotated:
			r.confirm(ctx, a.token.Clinic, c.KID)
		case *wire.Key:
			r.newKey(ctx, a.token.Clinic, c)
		case *wire.Unknown:
			r.metrics.unknownFrames.Inc()
		case *wire.Replay:
			// A poll says itself where it wants to read from.
		default:
			return &refused{code: wire.Close4400}
		}
	}
	r.notes.polled(a.token.Clinic, m.Epoch, r.cfg.Now())
	return nil
}
