package provet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
)

// newTransport returns the HTTP transport: TLS 1.2 or newer with verification,
// further roots, proxy, bounded waiting.
func newTransport(cfg Config, base *url.URL) (*http.Transport, error) {
	roots, err := rootPool(cfg.CAFile)
	if err != nil {
		return nil, err
	}
	proxy, err := proxyFunc(cfg.ProxyURL)
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy:                  proxy,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  cfg.Timeout,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConnsPerHost:    16,
		MaxConnsPerHost:        32,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      base.Scheme == "https",
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, r *http.Response) error {
			if r.StatusCode != http.StatusOK {
				return &proxyError{status: r.StatusCode}
			}
			return nil
		},
	}, nil
}

// proxyError says that the proxy would not connect us.
type proxyError struct{ status int }

func (e *proxyError) Error() string { return fmt.Sprintf("the proxy refused (HTTP %d)", e.status) }

// rootPool returns the system's roots and those of a PEM file; nil means the
// system's.
func rootPool(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, problem.New(problem.FileUnusable, problem.Args{"file": file, "reason": "it cannot be read"}, err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, problem.New(problem.FileUnusable, problem.Args{"file": file, "reason": "it holds no certificate"}, nil)
	}
	return pool, nil
}

// proxyFunc returns the proxy rule: the given proxy for everything but this
// computer, else the environment's.
func proxyFunc(raw string) (func(*http.Request) (*url.URL, error), error) {
	if raw == "" {
		return http.ProxyFromEnvironment, nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5") {
		return nil, problem.New(problem.ConfigInvalid, nil, configError("proxy_url is not an http, https or socks5 address"))
	}
	return func(r *http.Request) (*url.URL, error) {
		if isLoopback(r.URL.Hostname()) {
			return nil, nil
		}
		return u, nil
	}, nil
}

// guardTransport is the only place where the token meets a request. It sets it
// only when scheme, host, port and path are those of the API, and refuses every
// other address.
type guardTransport struct {
	api   *url.URL
	next  http.RoundTripper
	agent string
}

type tokenKey struct{}

var errOutside = errors.New("address outside of the configured base URL")

func (g *guardTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !inside(g.api, r.URL) {
		return nil, errOutside
	}
	r = r.Clone(r.Context())
	r.Header.Del("Cookie")
	r.Header.Del("Referer")
	r.Header.Set("User-Agent", g.agent)
	r.Header.Set("Accept", "application/json")
	r.Header.Del("Authorization")
	if t, ok := r.Context().Value(tokenKey{}).(string); ok && t != "" {
		r.Header.Set("Authorization", "Bearer "+t)
	}
	return g.next.RoundTrip(r)
}

// inside reports whether u lies below api, compared by scheme, host, port and
// plain path.
func inside(api, u *url.URL) bool {
	return u != nil && u.Scheme == api.Scheme && u.User == nil && u.Opaque == "" &&
		strings.EqualFold(u.Hostname(), api.Hostname()) && port(u) == port(api) &&
		!unsafePath(u) && strings.HasPrefix(u.Path, api.Path)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "http" {
		return "80"
	}
	return "443"
}

// unsafePath reports whether a path means something else once it is decoded or
// cleaned.
func unsafePath(u *url.URL) bool {
	if strings.ContainsAny(u.Path, "\\\x00") || strings.Contains(strings.ToLower(u.RawPath), "%2f") {
		return true
	}
	for seg := range strings.SplitSeq(u.Path, "/") {
		if seg == "." || seg == ".." {
			return true
		}
	}
	return false
}

// redirectError stops a redirect.
type redirectError struct{ outside bool }

func (e *redirectError) Error() string {
	if e.outside {
		return "redirect to an address outside of the configured base URL"
	}
	return "redirect refused"
}

// checkRedirect follows at most three redirects of reads inside of the API.
func (c *Client) checkRedirect(r *http.Request, via []*http.Request) error {
	if !inside(c.api, r.URL) {
		return &redirectError{outside: true}
	}
	if len(via) > 3 || (via[0].Method != http.MethodGet && via[0].Method != http.MethodOptions) || r.Method != via[0].Method {
		return &redirectError{}
	}
	return nil
}

// traceConnected returns a context that notes whether a connection was had.
func traceConnected(ctx context.Context) (context.Context, func() bool) {
	var got atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { got.Store(true) }})
	return ctx, got.Load
}

// classifyNetwork says what a failure without an answer means. connected tells
// whether there was a connection; without one nothing can have been done.
func classifyNetwork(err error, connected bool) (Class, string) {
	var dns *net.DNSError
	var unknownCA x509.UnknownAuthorityError
	var wrongName x509.HostnameError
	var badCert x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var proxy *proxyError
	switch {
	case errors.As(err, &proxy):
		if proxy.status == http.StatusProxyAuthRequired {
			return Destination, "the proxy wants a user name and password"
		}
		return Destination, proxy.Error()
	case errors.As(err, &dns):
		return Destination, fmt.Sprintf("the name %.100s cannot be resolved", dns.Name)
	case errors.As(err, &unknownCA):
		return Destination, "its certificate is signed by an authority this computer does not know; is a proxy inspecting the connection?"
	case errors.As(err, &wrongName):
		return Destination, "its certificate is for another name"
	case errors.As(err, &badCert):
		if badCert.Reason == x509.Expired {
			return Destination, "its certificate is out of date, or the clock of this computer is wrong"
		}
		return Destination, "its certificate is not valid"
	case errors.As(err, &verify):
		return Destination, "its certificate cannot be verified"
	case errors.As(err, &record):
		return Destination, "it does not speak TLS on that port"
	case connected && isTimeout(err):
		return Transient, "no answer in time"
	case connected:
		return Transient, "the connection broke"
	case isTimeout(err):
		return Destination, "no connection in time"
	}
	return Destination, "no connection"
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &ne) && ne.Timeout())
}

// scrub takes the URL, which may hold names in its query, off a client error.
func scrub(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}
