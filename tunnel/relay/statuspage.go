package relay

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

//go:embed status.html
var statusHTML string

var statusPage = template.Must(template.New("status").Funcs(template.FuncMap{
	"when": func(t time.Time) string {
		if t.IsZero() {
			return "never"
		}
		return t.UTC().Format("2006-01-02 15:04:05")
	},
	"ago": func(now, t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return now.Sub(t).Round(time.Second).String()
	},
}).Parse(statusHTML))

// MetricsHandler serves /metrics, /healthz, /readyz and, to callers on this computer, the read-only status page.
func (r *Relay) MetricsHandler() http.Handler {
	prom := promhttp.HandlerFor(r.metrics.registry, promhttp.HandlerOpts{})
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method != http.MethodGet && q.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			answerText(w, q, http.StatusMethodNotAllowed, "method not allowed\n")
			return
		}
		switch q.URL.Path {
		case "/metrics":
			prom.ServeHTTP(w, q)
		case "/healthz":
			r.serveHealth(w, q)
		case "/readyz":
			r.serveReady(w, q)
		case "/":
			r.serveStatus(w, q)
		default:
			answerText(w, q, http.StatusNotFound, notFoundText)
		}
	})
}

func (r *Relay) serveStatus(w http.ResponseWriter, q *http.Request) {
	if !r.cfg.StatusAnywhere && !local(q) {
		answerText(w, q, http.StatusForbidden, "this page is shown on the relay's own computer only\n")
		return
	}
	s := r.snapshot.Load()
	if s == nil || r.cfg.Now().Sub(s.at) > 10*time.Second && r.dir.live.Load() <= 2000 {
		fresh, err := r.look(q.Context())
		if err != nil {
			answerText(w, q, http.StatusServiceUnavailable, "the store does not answer\n")
			return
		}
		s = fresh
	}
	var b bytes.Buffer
	err := statusPage.Execute(&b, map[string]any{
		"Now": s.at, "List": s.list, "Ready": r.ready(), "Agents": r.sessions.count(), "Polls": r.polls.count(),
		"Offline": s.offline, "Backlog": s.backlog, "Node": r.cfg.Node, "Relay": r.public,
	})
	if err != nil {
		r.log.Error("the status page failed", "error", err)
		answerText(w, q, http.StatusInternalServerError, "the page failed\n")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	if q.Method != http.MethodHead {
		_, _ = w.Write(b.Bytes())
	}
}

// local says whether a request came from this computer and was meant for it: a page of the internet that points its own
// name at 127.0.0.1 is refused.
func local(q *http.Request) bool {
	ap, err := netip.ParseAddrPort(q.RemoteAddr)
	if err != nil || !ap.Addr().Unmap().IsLoopback() {
		return false
	}
	host := q.Host
	if h, err := netip.ParseAddrPort(host); err == nil {
		return h.Addr().IsLoopback()
	}
	if h, err := netip.ParseAddr(host); err == nil {
		return h.IsLoopback()
	}
	return host == "localhost" || len(host) > 10 && host[:10] == "localhost:"
}
