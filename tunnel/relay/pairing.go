package relay

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// burnAfter is how many wrong tries, from anywhere, end a pairing code.
const burnAfter = 10

// pairRefused is a pairing that is not done: the reason the appliance is told.
type pairRefused struct {
	reason string
	wait   time.Duration
}

// Error implements error.
func (e *pairRefused) Error() string { return "relay: pairing refused: " + e.reason }

// servePair joins an appliance to its clinic.
func (r *Relay) servePair(w http.ResponseWriter, q *http.Request) {
	ctx, stop := context.WithTimeout(q.Context(), appendTimeout)
	defer stop()
	answer, err := r.pair(ctx, w, q)
	if err != nil {
		r.refusePair(w, err)
		return
	}
	r.metrics.pairings.WithLabelValues("ok").Inc()
	writeJSON(w, http.StatusOK, answer)
}

func (r *Relay) refusePair(w http.ResponseWriter, err error) {
	var no *pairRefused
	if !errors.As(err, &no) {
		r.metrics.storeErrors.Inc()
		r.log.Warn("the store failed", "task", "pair", "error", err)
		w.Header().Set("Retry-After", "10")
		writeJSON(w, http.StatusServiceUnavailable, wire.PairRefusal{Reason: "store"})
		return
	}
	status := http.StatusBadRequest
	switch no.reason {
	case wire.PairWrong:
		status = http.StatusNotFound
	case wire.PairTooMany:
		status = http.StatusTooManyRequests
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(no.wait.Seconds()))))
	}
	r.metrics.pairings.WithLabelValues(no.reason).Inc()
	writeJSON(w, status, wire.PairRefusal{Reason: no.reason})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

func (r *Relay) pair(ctx context.Context, w http.ResponseWriter, q *http.Request) (*wire.PairAnswer, error) {
	from, now := r.caller(q), r.cfg.Now().UTC()
	if spent, wait := r.pairTry.spent(from, now); spent {
		return nil, &pairRefused{wire.PairTooMany, wait}
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(r.cfg.HandshakeTimeout))
	b, err := io.ReadAll(http.MaxBytesReader(w, q.Body, wire.MaxPair))
	if err != nil {
		return nil, &pairRefused{reason: wire.PairBad}
	}
	req, err := wire.DecodePairRequest(b)
	if err != nil {
		return nil, &pairRefused{reason: wire.PairBad}
	}
	if ok, wait := r.pairTry.take(from, now); !ok { // counted before it is looked at: tries at once count too
		return nil, &pairRefused{wire.PairTooMany, wait}
	}
	p, err := r.checkCode(ctx, req.Code, now)
	if err != nil {
		return nil, err
	}
	answer, err := r.completePairing(ctx, p, req, now)
	if err != nil {
		return nil, err
	}
	r.pairTry.giveBack(from)
	return answer, nil
}

// checkCode returns the open pairing that a code belongs to. A wrong one counts against the pairing its first group names.
func (r *Relay) checkCode(ctx context.Context, code string, now time.Time) (Pairing, error) {
	wrong := &pairRefused{reason: wire.PairWrong}
	group, secret, err := wire.SplitCode(code)
	if err != nil {
		return Pairing{}, &pairRefused{reason: wire.PairBad}
	}
	unlock := r.pairings.lock(group)
	defer unlock()
	p, err := r.cfg.Registry.Pairing(ctx, group)
	if errors.Is(err, ErrUnknownPairing) {
		return Pairing{}, wrong
	}
	if err != nil {
		return Pairing{}, err
	}
	hash := wire.HashSecret(secret)
	same := subtle.ConstantTimeCompare(hash[:], p.Hash[:]) == 1
	if !p.EndedAt.IsZero() || p.Wrong >= burnAfter || !now.Before(p.ExpiresAt) {
		return Pairing{}, wrong
	}
	if same {
		return p, nil
	}
	n, err := r.cfg.Registry.WrongTry(ctx, group, burnAfter)
	if err != nil && !errors.Is(err, ErrUnknownPairing) {
		return Pairing{}, err
	}
	if n >= burnAfter {
		r.log.Warn("a pairing code was burnt by wrong tries", "clinic", string(p.Clinic))
		r.audit(ctx, p.Clinic, "pair", "the code was burnt by wrong tries")
	}
	return Pairing{}, wrong
}

// eventKinds are the URLs every clinic gets, with the labels for people.
var eventKinds = []struct{ kind, label string }{
	{wire.KindCreated, "worklist created"},
	{wire.KindUpdated, "worklist updated"},
	{wire.KindDeleted, "worklist deleted"},
	{wire.KindTest, "connection test"},
}

// completePairing gives the appliance its identity, in one transaction.
func (r *Relay) completePairing(ctx context.Context, p Pairing, req wire.PairRequest, now time.Time) (*wire.PairAnswer, error) {
	token, kid := wire.NewToken()
	answer := &wire.PairAnswer{ClinicID: p.Clinic, Token: token, MinProtocol: wire.MinVersion, MaxProtocol: wire.MaxVersion}
	done := Paired{
		Group: p.Group, Clinic: p.Clinic, At: now,
		Agent:   Agent{Clinic: p.Clinic, Identity: req.Identity, Instance: req.InstanceID, Version: req.Version, PairedAt: now},
		Sealing: SealingKey{KeyID: wire.KeyID(req.Sealing), Public: req.Sealing, AddedAt: now},
		Token:   Token{KID: kid, Clinic: p.Clinic, Hash: wire.HashToken(token), CreatedAt: now, ConfirmedAt: now},
	}
	for _, k := range eventKinds {
		secret := wire.NewSecret()
		done.URLs = append(done.URLs, InboundURL{
			Hash: wire.HashSecret(secret), Clinic: p.Clinic, Kind: k.kind, Label: k.label, CreatedAt: now,
		})
		answer.URLs = append(answer.URLs, wire.InboundURL{Kind: k.kind, URL: r.public + inboundPath + secret})
	}
	epoch, err := r.cfg.Registry.CompletePairing(ctx, done)
	if errors.Is(err, ErrPairingUsed) || errors.Is(err, ErrUnknownPairing) {
		return nil, &pairRefused{reason: wire.PairWrong}
	}
	if err != nil {
		return nil, err
	}
	answer.StoreEpoch = epoch
	r.audit(ctx, p.Clinic, "paired", "version "+req.Version)
	r.log.Info("an appliance was paired", "clinic", string(p.Clinic), "version", req.Version)
	r.changed(ctx, p.Clinic)
	return answer, nil
}
