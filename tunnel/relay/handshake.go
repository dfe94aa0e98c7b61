package relay

import (
	"context"
	"crypto/rand"
	"errors"
	mrand "math/rand/v2"
	"net/http"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// capabilities of this relay.
var capabilities = []string{wire.CapReplay, wire.CapKey, wire.CapPoll}

// Transports, as a Claimant and the metrics name them.
const (
	overWebsocket = "websocket"
	overPoll      = "long-poll"
)

// serveTunnel upgrades an agent's connection and leaves the HTTP handler as soon as the handshake is done, because that
// frees what net/http keeps for a connection.
func (r *Relay) serveTunnel(w http.ResponseWriter, q *http.Request) {
	r.running.Add(1)
	defer r.running.Done()
	if !isUpgrade(q) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		answerText(w, q, http.StatusBadRequest, "this address speaks websocket\n")
		return
	}
	if !offersProtocol(q) {
		r.refuse(w, q, &refused{code: wire.Close4426})
		return
	}
	ctx, stop := context.WithTimeout(r.base, 3*r.cfg.HandshakeTimeout)
	defer stop()
	t, err := r.authenticate(ctx, q)
	if err == nil {
		err = r.turn(t)
	}
	if err != nil {
		r.refuse(w, q, r.asRefusal(err))
		return
	}
	sock, err := upgrade(w, q)
	if err != nil {
		r.metrics.handshakes.WithLabelValues("upgrade").Inc()
		return
	}
	stopped := context.AfterFunc(r.base, func() { sock.end(wire.CloseRestart, "") })
	defer stopped()
	if err := r.greet(ctx, sock, t); err != nil {
		no := r.asRefusal(err)
		if no.code == wire.Close4401 {
			r.authTry.take(r.caller(q), r.cfg.Now())
		}
		reason := ""
		if no.wait > 0 {
			reason = wire.RetryReason(no.wait)
		}
		r.metrics.handshakes.WithLabelValues(codeLabel(no.code)).Inc()
		sock.end(no.code, reason)
		return
	}
	r.metrics.handshakes.WithLabelValues("ok").Inc()
}

// greet does the handshake on an upgraded connection and starts the session.
func (r *Relay) greet(ctx context.Context, sock *socket, t Token) error {
	h, err := r.challenge(ctx, sock, t)
	if err != nil {
		return err
	}
	if t.UsedAt.IsZero() {
		if err := r.cfg.Registry.UseToken(ctx, t.KID, r.cfg.Now().UTC()); err != nil {
			return err
		}
	}
	unlock := r.claims.lock(string(t.Clinic))
	defer unlock()
	r.flushOne(ctx, r.sessions.get(t.Clinic)) // what the last session acked counts before the claim
	m, v, err := r.settle(ctx, h, overWebsocket)
	if err != nil {
		return err
	}
	at, err := r.resume(ctx, t.Clinic, h, m)
	if err != nil {
		return err
	}
	s := &session{
		r: r, sock: sock, clinic: t.Clinic, instance: h.InstanceID, run: h.Run, epoch: m.Epoch, storeEpoch: at.storeEpoch,
		since: r.cfg.Now(), window: h.Window, kid: t.KID, tokenBorn: t.CreatedAt,
		sent: at.start, sentMax: at.start, acked: m.Acked, head: m.Head, again: true,
	}
	s.heard()
	sock.heard(s.heard)
	if at.gap == nil && h.StoreEpoch != "" && at.start > m.Acked { // the agent's cursor is the authority
		s.acked = at.start
		r.acks.add(s)
	}
	return r.begin(ctx, s, m, at, v)
}

// challenge asks the agent to sign and returns its hello.
func (r *Relay) challenge(ctx context.Context, sock *socket, t Token) (*wire.Hello, error) {
	nonce := make([]byte, wire.NonceSize)
	rand.Read(nonce)
	b, err := wire.EncodeControl(&wire.Challenge{
		Nonce: nonce, MinProtocol: wire.MinVersion, MaxProtocol: wire.MaxVersion, ServerTime: r.cfg.Now().UTC(),
	})
	if err != nil {
		return nil, err
	}
	if err := sock.write(b, true, time.Now().Add(r.cfg.HandshakeTimeout)); err != nil {
		return nil, &refused{}
	}
	b, err = sock.read(time.Now().Add(r.cfg.HandshakeTimeout))
	if errors.Is(err, errLarge) {
		return nil, &refused{code: wire.Close4413}
	}
	if err != nil {
		return nil, &refused{}
	}
	c, err := wire.DecodeControl(b, wire.Limits{})
	if err != nil {
		return nil, &refused{code: wire.Close4400}
	}
	h, ok := c.(*wire.Hello)
	if !ok || h.Epoch != 0 {
		return nil, &refused{code: wire.Close4400}
	}
	if err := r.checkHello(ctx, t, h, wire.HelloBytes(nonce, r.hostName, h.ClinicID, h.InstanceID)); err != nil {
		return nil, err
	}
	return h, nil
}

// begin says welcome, ends the session before, and lets the new one run.
func (r *Relay) begin(ctx context.Context, s *session, m Claim, at resumption, v verdict) error {
	if err := s.send(r.welcome(s.clinic, m, at)); err != nil {
		return &refused{}
	}
	if at.gap != nil {
		r.countGap(s.clinic, at.gap.Reason)
		if err := s.send(at.gap); err != nil {
			return &refused{}
		}
	}
	if r.ended.Load() {
		return &refused{code: wire.CloseRestart}
	}
	r.running.Add(1) // the reader
	if before := r.sessions.put(s); before != nil {
		code := wire.CloseGoingAway
		if v == verdictTakeover {
			code = r.replaced(ctx, before)
		}
		before.end(code, "")
	}
	if m.Before.Node != "" && m.Before.Node != r.cfg.Node {
		r.cfg.Store.Wake(s.clinic, 0) // that node may hold a socket that does not know yet
	}
	if m.Before.Transport == overPoll {
		r.polls.wake(s.clinic)
	}
	r.greeted.Add(1)
	r.wheel.add(s)
	r.notes.here(s)
	r.tellRecovery(ctx, s.clinic, m.LastHeard)
	go s.read()
	if r.ended.Load() {
		s.end(wire.CloseRestart, "")
	}
	if d := r.cfg.DrainSpread; d > 0 && r.draining.Load() { // began while we were greeting
		if err := s.send(&wire.Drain{ReconnectInMS: mrand.N(d).Milliseconds()}); err != nil {
			s.end(wire.CloseUnknownCode, "")
		}
	}
	s.rotateIfDue(ctx)
	s.start()
	r.log.Debug("tunnel open", "clinic", string(s.clinic), "epoch", int64(s.epoch), "resume", int64(at.start))
	return nil
}

// welcome answers a hello.
func (r *Relay) welcome(c wire.ClinicID, m Claim, at resumption) *wire.Welcome {
	w := &wire.Welcome{
		Epoch: m.Epoch, StoreEpoch: at.storeEpoch, Oldest: min(m.Oldest, m.Head), Head: m.Head, ServerTime: r.cfg.Now().UTC(),
		PingSecs: min(60, max(1, int(r.cfg.PingEvery/time.Second))), MaxFrame: r.cfg.MaxBody + wire.FrameOverhead,
		ReconnectWindowMS: r.reconnectWindow().Milliseconds(), Capabilities: capabilities,
	}
	if r.cfg.SealAtIngest {
		w.SealingKeyID = r.dir.state(c).Sealing.KeyID
	}
	return w
}
