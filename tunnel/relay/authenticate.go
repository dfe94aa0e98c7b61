package relay

import (
	"context"
	"crypto/subtle"
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// refusal is why an agent is not let in: a close code, and when it may try again.
type refused struct {
	code wire.CloseCode
	wait time.Duration // 0: none is meant
}

// Error implements error.
func (e *refused) Error() string { return "relay: refused: " + e.code.Text() }

// asRefusal turns any error into what the agent is told; a failing store is "try later".
func (r *Relay) asRefusal(err error) *refused {
	var no *refused
	if errors.As(err, &no) {
		return no
	}
	if errors.Is(err, ErrUnknownClinic) || errors.Is(err, ErrNotPaired) || errors.Is(err, ErrUnknownToken) {
		return &refused{code: wire.Close4401}
	}
	r.metrics.storeErrors.Inc()
	r.errLog.Do(func() { r.log.Warn("the store failed", "task", "handshake", "error", err) })
	return &refused{code: wire.CloseOverloaded, wait: r.spread()}
}

// spread is a wait that spreads callers over the time the node needs for all of them.
func (r *Relay) spread() time.Duration {
	w := max(r.reconnectWindow(), 5*time.Second)
	return time.Second + rand.N(w)
}

// reconnectWindow is W of the welcome: twice the agents of the fleet divided by its accept rate.
func (r *Relay) reconnectWindow() time.Duration {
	w := 2 * float64(r.dir.live.Load()) / r.cfg.AcceptRate
	return min(time.Duration(w*float64(time.Second)), wire.MaxReconnectWindow)
}

// refuse answers before an upgrade.
func (r *Relay) refuse(w http.ResponseWriter, q *http.Request, no *refused) {
	if no.wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(no.wait.Seconds()))))
	}
	if no.code == wire.Close4401 {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	r.metrics.handshakes.WithLabelValues(codeLabel(no.code)).Inc()
	answerText(w, q, no.code.Status(), no.code.Text()+"\n")
}

// authenticate checks the bearer token of a request. The accept bucket comes first, because the token costs a read; and
// before it, from memory, whether the token is of a clinic that comes too often, or that clinic would empty the bucket.
func (r *Relay) authenticate(ctx context.Context, q *http.Request) (Token, error) {
	now := r.cfg.Now()
	if r.draining.Load() || r.ended.Load() {
		return Token{}, &refused{code: wire.CloseOverloaded, wait: time.Second + rand.N(5*time.Second)}
	}
	from := r.caller(q)
	if spent, wait := r.authTry.spent(from, now); spent {
		return Token{}, &refused{code: wire.Close4429, wait: wait}
	}
	text, ok := bearer(q)
	hash := wire.HashToken(text)
	if wait := r.hasty.wait(hash, now); wait > 0 {
		return Token{}, &refused{code: wire.Close4429, wait: wait}
	}
	if !r.accept.AllowN(now, 1) {
		return Token{}, &refused{code: wire.CloseOverloaded, wait: r.spread()}
	}
	wrong := func() (Token, error) {
		r.authTry.take(from, now)
		return Token{}, &refused{code: wire.Close4401}
	}
	if !ok {
		return wrong()
	}
	kid, _, err := wire.SplitToken(text)
	if err != nil {
		return wrong()
	}
	t, err := r.cfg.Registry.Token(ctx, kid, now)
	if errors.Is(err, ErrUnknownToken) {
		return wrong()
	}
	if err != nil {
		return Token{}, err
	}
	if subtle.ConstantTimeCompare(hash[:], t.Hash[:]) != 1 {
		return wrong()
	}
	if t.Revoked {
		return Token{}, &refused{code: wire.Close4403}
	}
	return t, nil
}

// bearer returns the token of the authorization header (RFC 6750, section 2.1).
func bearer(q *http.Request) (string, bool) {
	scheme, rest, ok := strings.Cut(q.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.TrimSpace(rest), true
}

// checkHello compares a hello with the token's clinic and verifies the signature of msg.
func (r *Relay) checkHello(ctx context.Context, t Token, h *wire.Hello, msg []byte) error {
	if h.ClinicID != t.Clinic {
		return &refused{code: wire.Close4401}
	}
	a, err := r.cfg.Registry.Agent(ctx, t.Clinic)
	if err != nil {
		return err
	}
	if !wire.Verify(a.Identity, msg, h.Signature) {
		return &refused{code: wire.Close4401}
	}
	return nil
}

// settle judges who the agent is among its earlier sessions, writes that down, and makes it the owner of the mailbox. Of
// several nodes that do so at once, each reads again until its write was the next.
func (r *Relay) settle(ctx context.Context, h *wire.Hello, transport string) (Claim, verdict, error) {
	reg, now := r.cfg.Registry, r.cfg.Now().UTC()
	var v verdict
	for range 20 {
		before, err := reg.History(ctx, h.ClinicID)
		if err != nil {
			return Claim{}, 0, err
		}
		var after History
		after, v = judge(before, h.InstanceID, h.Run, now)
		if v == verdictFrozen {
			return Claim{}, v, &refused{code: wire.Close4410}
		}
		if v == verdictSame {
			break
		}
		err = reg.SaveHistory(ctx, h.ClinicID, after)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return Claim{}, 0, err
		}
		if v == verdictTakeover {
			r.tellTakeover(ctx, h.ClinicID, after)
		}
		break
	}
	m, err := r.cfg.Store.Claim(ctx, h.ClinicID, Claimant{
		Node: r.cfg.Node, Instance: h.InstanceID, Run: h.Run, Transport: transport, Version: h.Version, At: now,
	})
	return m, v, err
}

// replaced is the code for a session that lost its clinic: nothing special for the agent's own half-open socket, else
// whether it was superseded or is frozen out.
func (r *Relay) replaced(ctx context.Context, s *session) wire.CloseCode {
	h, err := r.cfg.Registry.History(ctx, s.clinic)
	if err != nil || h.Present.Instance == s.instance && h.Present.Run == s.run {
		return wire.CloseGoingAway
	}
	if _, v := judge(h, s.instance, s.run, r.cfg.Now()); v == verdictFrozen {
		return wire.Close4410
	} else if v == verdictRestart {
		return wire.CloseGoingAway
	}
	return wire.Close4409
}
