package ui

import (
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net/http"
	"strings"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
)

const (
	maxBody     = 128 << 10
	maxInFlight = 64
)

// guard wraps all routes. Its layers, outermost first: headers of the answer;
// number of requests at once; exact Host; no proxies; resource isolation;
// cross-origin check; methods; size of the body.
type guard struct {
	hosts    func(string) bool
	log      *slog.Logger
	inFlight chan struct{}
	cross    *http.CrossOriginProtection
	next     http.Handler
}

func newGuard(hosts func(string) bool, log *slog.Logger, next http.Handler) *guard {
	return &guard{
		hosts: hosts, log: log, inFlight: make(chan struct{}, maxInFlight),
		cross: http.NewCrossOriginProtection(), next: next,
	}
}

// ServeHTTP refuses or passes on. A refusal says nothing about what is behind.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secureHeaders(w.Header())
	select {
	case g.inFlight <- struct{}{}:
		defer func() { <-g.inFlight }()
	default:
		http.Error(w, "too many requests at once", http.StatusServiceUnavailable)
		return
	}
	if reason := g.refuses(r); reason != "" {
		g.log.Warn("request refused", "reason", reason, "method", r.Method, "peer", r.RemoteAddr)
		http.Error(w, "forbidden", http.StatusForbidden)
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut:
	default: // OPTIONS too: there is no CORS here
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	g.next.ServeHTTP(w, r)
}

// refuses returns why a request is refused, or "".
func (g *guard) refuses(r *http.Request) string {
	if !g.hosts(r.Host) {
		return "host"
	}
	for name := range r.Header {
		if name == "Forwarded" || strings.HasPrefix(name, "X-Forwarded") || name == "X-Real-Ip" || name == "Via" {
			return "proxy"
		}
	}
	// There is no page to navigate to: another site has no business here at all.
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
	default:
		return "cross-site"
	}
	if err := g.cross.Check(r); err != nil {
		return "cross-origin"
	}
	return ""
}

// secureHeaders are sent with every answer.
func secureHeaders(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), usb=(), serial=(), hid=(), payment=()")
	h.Set("Cache-Control", "no-store")
}

// bearer lets requests with the control token through. A browser is refused even
// with the token: it would carry an Origin or Sec-Fetch-Site header.
type bearer struct {
	token secret.Secret
	log   *slog.Logger
	next  http.Handler
}

func (b bearer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
		b.log.Warn("request refused", "reason", "browser with token", "method", r.Method, "peer", r.RemoteAddr)
		writeError(w, http.StatusForbidden, denied())
		return
	}
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	have, want := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(b.token.Reveal()))
	if !ok || b.token.Empty() || subtle.ConstantTimeCompare(have[:], want[:]) != 1 {
		w.Header().Set("WWW-Authenticate", `Bearer realm="rayhound"`)
		writeError(w, http.StatusUnauthorized, denied())
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		b.log.Info("control command", "command", commandName(r), "method", r.Method, "route", r.Pattern)
	}
	b.next.ServeHTTP(w, r)
}

func denied() *problem.Error {
	return problem.New(problem.ServiceDenied, problem.Args{"what": "The control token of the service"}, nil)
}

// CommandHeader carries the name of the command for the audit line.
const CommandHeader = "X-Rayhound-Command"

// commandName returns the command's name if it looks like one.
func commandName(r *http.Request) string {
	name := r.Header.Get(CommandHeader)
	if len(name) > 40 || strings.ContainsFunc(name, func(c rune) bool { return (c < 'a' || c > 'z') && c != ' ' && c != '-' }) {
		return "?"
	}
	return name
}
