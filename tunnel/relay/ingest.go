package relay

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// appendTimeout bounds the durable commit of one webhook.
const appendTimeout = 20 * time.Second

// ingest takes one webhook. rest is what follows the prefix of the path: the secret, and maybe a path of the sender's.
//
// The only success is 200 with an empty body, after the event is durable. Unknown, retired and never existing addresses
// give the same answer after the same work.
func (r *Relay) ingest(w http.ResponseWriter, q *http.Request, rest string, hookup bool) {
	now := r.cfg.Now()
	secret, suffix := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		secret, suffix = rest[:i], rest[i:]
	}
	a := r.dir.find(q.Context(), SecretHash(wire.HashSecret(secret)), now)
	if a == nil || (a.kind == wire.KindCredentials) != hookup {
		r.metrics.ingest.unknown.Inc()
		answerText(w, q, http.StatusNotFound, notFoundText)
		return
	}
	switch q.Method {
	case http.MethodPost:
	case http.MethodGet, http.MethodHead:
		answerText(w, q, http.StatusOK, "ok\n")
		return
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		answerText(w, q, http.StatusMethodNotAllowed, "method not allowed\n")
		return
	}
	status, wait := r.take(w, q, a, suffix, now)
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
	r.metrics.ingest.count(status)
	if r.log.Enabled(q.Context(), slog.LevelDebug) {
		r.log.Debug("webhook", "clinic", string(a.clinic.id), "kind", a.kind, "status", status, "bytes", q.ContentLength)
	}
	w.WriteHeader(status)
}

// take does the work of one POST to a live address and returns the status, and when to try again.
func (r *Relay) take(w http.ResponseWriter, q *http.Request, a *address, suffix string, now time.Time) (int, time.Duration) {
	c := a.clinic
	if res := c.limiter.ReserveN(now, 1); !res.OK() || res.DelayFrom(now) > 0 {
		wait := max(res.DelayFrom(now), time.Second)
		res.CancelAt(now)
		c.counts.limited.Add(1)
		return http.StatusTooManyRequests, wait
	}
	if r.full() {
		return http.StatusServiceUnavailable, 30 * time.Second
	}
	body, status := r.readBody(w, q)
	if status != http.StatusOK {
		if status == http.StatusRequestEntityTooLarge {
			c.counts.tooLarge.Add(1)
		}
		return status, retryOf(status)
	}
	req := wire.Request{
		Path: suffix, Query: q.URL.RawQuery, RemoteAddr: r.caller(q).String(), Label: a.kind,
		Header: keptHeaders(q.Header), Body: body,
	}
	e := Event{ReceivedAt: now.UTC().Truncate(time.Microsecond), Kind: a.kind}
	var err error
	if e.Header, e.Body, err = r.pack(c, req); err != nil {
		return r.refusal("pack", c.id, err)
	}
	ctx, stop := context.WithTimeout(q.Context(), appendTimeout)
	defer stop()
	seq, err := r.cfg.Store.Append(ctx, c.id, e)
	if err != nil {
		return r.refusal("append", c.id, err)
	}
	r.metrics.appendTime.Observe(r.cfg.Now().Sub(now).Seconds())
	c.counts.received.Add(1)
	a.last.Store(e.ReceivedAt.UnixMicro())
	a.used.Add(1)
	r.wakeLocal(c.id, seq)
	r.cfg.Store.Wake(c.id, seq)
	return http.StatusOK, 0
}

// errNoKey means that an event can not be sealed, because no appliance has been paired.
var errNoKey = errors.New("relay: the clinic has no sealing key")

// pack makes header and body of an event, sealed unless configured otherwise. Credentials are never stored in the clear.
func (r *Relay) pack(c *clinic, q wire.Request) (header, body []byte, err error) {
	pack := func() ([]byte, []byte, error) { return wire.Plain(q.Label, q) }
	if r.cfg.SealAtIngest || q.Label == wire.KindCredentials {
		k := c.state.Load().Sealing
		if k.KeyID == "" {
			return nil, nil, errNoKey
		}
		pack = func() ([]byte, []byte, error) { return wire.Seal(k.Public, k.KeyID, c.id, q) }
	}
	header, body, err = pack()
	if errors.Is(err, wire.ErrTooLarge) && len(q.Header) > 0 {
		q.Header = nil // the body and the query matter more
		header, body, err = pack()
	}
	return header, body, err
}

// refusal turns an error into an answer.
func (r *Relay) refusal(what string, c wire.ClinicID, err error) (int, time.Duration) {
	if errors.Is(err, wire.ErrTooLarge) {
		return http.StatusRequestURITooLong, 0
	}
	if errors.Is(err, ErrTooLarge) {
		return http.StatusRequestEntityTooLarge, 0
	}
	if errors.Is(err, ErrFull) {
		r.metrics.storeFull.Inc()
	}
	r.errLog.Do(func() { r.log.Warn("a webhook was not stored", "step", what, "clinic", string(c), "error", err) })
	return http.StatusServiceUnavailable, retryOf(http.StatusServiceUnavailable)
}

func retryOf(status int) time.Duration {
	if status == http.StatusServiceUnavailable {
		return 5 * time.Second
	}
	return 0
}

// readBody reads the whole body as it came. The bodies in work at a time are bounded.
func (r *Relay) readBody(w http.ResponseWriter, q *http.Request) ([]byte, int) {
	limit := int64(r.cfg.MaxBody)
	if q.ContentLength > limit {
		w.Header().Set("Connection", "close")
		return nil, http.StatusRequestEntityTooLarge
	}
	if q.ContentLength == 0 {
		return nil, http.StatusOK
	}
	size := limit
	if q.ContentLength > 0 {
		size = q.ContentLength
	}
	defer r.bodies.Add(-size)
	if r.bodies.Add(size) > r.cfg.MaxBodies {
		return nil, http.StatusServiceUnavailable
	}
	in := http.MaxBytesReader(w, q.Body, limit)
	var body []byte
	var err error
	if q.ContentLength > 0 {
		body = make([]byte, q.ContentLength)
		_, err = io.ReadFull(in, body)
	} else {
		body, err = io.ReadAll(in)
	}
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return body, http.StatusOK
	case errors.As(err, &large):
		return nil, http.StatusRequestEntityTooLarge
	default:
		return nil, http.StatusBadRequest // the caller went away or was too slow
	}
}

// What is kept of the headers: at most that many bytes of one value, and of all.
const (
	maxHeaderValue = 1 << 10
	maxHeaders     = 6 << 10
)

// keptHeaders returns content-type, content-encoding, user-agent and x-*; never cookies or authorization.
func keptHeaders(h http.Header) map[string]string {
	out := make(map[string]string, 4)
	left := maxHeaders
	keep := func(name string) {
		v := strings.Join(h[name], ", ")
		if v == "" || len(v) > maxHeaderValue || len(name)+len(v) > left {
			return
		}
		left -= len(name) + len(v)
		out[strings.ToLower(name)] = v
	}
	keep("Content-Type")
	keep("Content-Encoding")
	keep("User-Agent")
	for name := range h {
		if strings.HasPrefix(name, "X-") {
			keep(name)
		}
	}
	return out
}
