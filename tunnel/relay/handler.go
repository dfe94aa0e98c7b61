package relay

import (
	"net/http"
	"strings"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// Paths under which webhooks arrive: those with events, and the one for credentials, which is open for minutes.
const (
	inboundPath = "/in/"
	hookupPath  = "/hookup/"
)

// Handler serves the public address: webhooks, tunnels, pairing, and the balancer's questions. There is no mux, because a
// mux answers odd paths with a redirect, which a sender takes for a failure. A server around it sets ReadHeaderTimeout
// (10 s) and IdleTimeout, but neither ReadTimeout nor WriteTimeout.
func (r *Relay) Handler() http.Handler { return http.HandlerFunc(r.serve) }

func (r *Relay) serve(w http.ResponseWriter, q *http.Request) {
	if q.ContentLength != 0 {
		// Whoever asks, and whatever the answer: the server reads what is left of a body before it sends it.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(r.cfg.BodyTimeout)) // a test's recorder has none
	}
	path := q.URL.EscapedPath()
	switch {
	case strings.HasPrefix(path, inboundPath):
		r.ingest(w, q, path[len(inboundPath):], false)
	case strings.HasPrefix(path, hookupPath):
		r.ingest(w, q, path[len(hookupPath):], true)
	case path == "/healthz":
		r.serveHealth(w, q)
	case path == "/readyz":
		r.serveReady(w, q)
	case strings.HasPrefix(path, "/v1/"):
		w.Header().Set(wire.HeaderRelay, wire.Protocol)
		w.Header().Set("Cache-Control", "no-store")
		r.serveV1(w, q, path)
	default:
		answerText(w, q, http.StatusNotFound, notFoundText)
	}
}

func (r *Relay) serveV1(w http.ResponseWriter, q *http.Request, path string) {
	method := http.MethodGet
	serve := r.serveTunnel
	switch path {
	case wire.TunnelPath:
	case wire.PollPath:
		serve = r.servePoll
	case wire.AckPath:
		method, serve = http.MethodPost, r.serveAck
	case wire.PairPath:
		method, serve = http.MethodPost, r.servePair
	default:
		answerText(w, q, http.StatusNotFound, notFoundText)
		return
	}
	if q.Method != method {
		w.Header().Set("Allow", method)
		answerText(w, q, http.StatusMethodNotAllowed, "method not allowed\n")
		return
	}
	serve(w, q)
}

const notFoundText = "not found\n"

// answerText writes a short answer.
func answerText(w http.ResponseWriter, q *http.Request, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	if q.Method != http.MethodHead {
		_, _ = w.Write([]byte(text)) // nobody is left to hear of an error
	}
}
