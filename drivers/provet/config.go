package provet

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
)

// Config of a Client. BaseURL, ClientID and Secret must be set.
type Config struct {
	BaseURL  string // https://<domain>/<provet id>; http on loopback only
	ClientID string
	// Secret returns the client secret. It is called for every token request,
	// so a secret that was replaced is used at once.
	Secret func(context.Context) (string, error)
	Tokens TokenStore // keeps the access token over restarts; nil: memory only

	CAFile   string // PEM file of further roots; empty: the system's alone
	ProxyURL string // http, https or socks5; empty: the environment's (HTTPS_PROXY, NO_PROXY)

	Fields      Fields                 // differences from DefaultFields
	Status      map[order.State]string // value written for a state; empty or absent: not written
	Withdrawn   []string               // values that mean the order was withdrawn
	Departments []string               // ids; empty: all
	Zone        *time.Location         // of times that carry no zone; nil: UTC
	WeightUnit  string                 // "", "kg", "lb" or "g"; empty: not confirmed, weights are dropped
	Sexes       map[string]SexMeaning  // by code or label, over the defaults

	NameTTL  time.Duration // how long names of modalities, users ... are kept; 0: 10 minutes
	Timeout  time.Duration // of one HTTP request; 0: 30 seconds
	Attempts int           // tries of a read within one call; 0: 3
	NoBudget bool          // do not keep below Provet's call limits (simulators)

	UserAgent string            // empty: "Rayhound"
	Log       *slog.Logger      // nil: none
	Now       func() time.Time  // nil: time.Now
	Transport http.RoundTripper // nil: one of our own with CAFile and ProxyURL; tests
}

// SexMeaning is what a gender of Provet stands for.
type SexMeaning struct {
	Sex      order.Sex
	Neutered order.Neutered
}

// Client talks to one Provet Cloud tenant. It is safe for use by several
// goroutines.
type Client struct {
	cfg    Config
	base   *url.URL // without trailing slash
	api    *url.URL // base + /api/0.1/
	fields Fields
	sexes  map[string]SexMeaning

	transport *guardTransport
	http      *http.Client // API calls
	tokens    *tokenKeeper
	budgets   *budgets
	names     *nameCache

	skew    atomic.Int64 // nanoseconds, Provet's clock minus ours
	skewSet atomic.Bool
	choices atomic.Pointer[[]Choice] // status choices of the last probe

	permMu  sync.Mutex
	missing map[string]MissingPermission

	pollMu sync.Mutex
	poll   pollState
}

// New checks the settings and returns a client. It makes no network call.
// Errors are *problem.Error.
func New(cfg Config) (*Client, error) {
	base, err := parseBase(cfg.BaseURL)
	if err != nil {
		return nil, err
	}
	if cfg.ClientID == "" {
		return nil, problem.New(problem.ProvetUnconfigured, problem.Args{"what": "client_id"}, nil)
	}
	if cfg.Secret == nil {
		return nil, problem.New(problem.ProvetUnconfigured, problem.Args{"what": "client secret"}, nil)
	}
	switch cfg.WeightUnit {
	case "", "kg", "lb", "g":
	default:
		return nil, problem.New(problem.ConfigInvalid, nil, configError("weight unit "+cfg.WeightUnit+" is not kg, lb or g"))
	}
	if cfg.Zone == nil {
		cfg.Zone = time.UTC
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.NameTTL <= 0 {
		cfg.NameTTL = 10 * time.Minute
	}
	if cfg.Attempts <= 0 {
		cfg.Attempts = readAttempts
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "Rayhound"
	}
	c := &Client{
		cfg: cfg, base: base, api: base.JoinPath("api", "0.1/"),
		fields: DefaultFields().With(cfg.Fields), sexes: sexTable(cfg.Sexes),
		missing: map[string]MissingPermission{}, budgets: newBudgets(!cfg.NoBudget),
	}
	next := cfg.Transport
	if next == nil {
		if next, err = newTransport(cfg, base); err != nil {
			return nil, err
		}
	}
	c.transport = &guardTransport{api: c.api, next: next, agent: cfg.UserAgent}
	c.http = &http.Client{Transport: c.transport, CheckRedirect: c.checkRedirect}
	c.tokens = newTokenKeeper(c, next)
	c.names = newNameCache(cfg.NameTTL, cfg.Now)
	return c, nil
}

// configError is a plain sentence about the settings.
type configError string

func (e configError) Error() string { return "provet: " + string(e) }

// parseBase reads and checks base_url. A pasted ".../api/0.1/" is cut off.
func parseBase(raw string) (*url.URL, error) {
	raw = strings.TrimSpace(raw)
	if raw == "" {
		return nil, problem.New(problem.ProvetUnconfigured, problem.Args{"what": "base_url"}, nil)
	}
	wrong := func(reason string) error {
		return problem.New(problem.ProvetBaseURL, problem.Args{"address": "base_url", "reason": reason}, nil)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, wrong("it is not a URL")
	case u.Host == "" || u.Hostname() == "":
		return nil, wrong("it names no host")
	case u.User != nil:
		return nil, wrong("it holds a user name or password")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, wrong("it has a query or fragment")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, wrong("it must begin with https://")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, wrong("it must begin with https://")
	case unsafePath(u):
		return nil, wrong("its path is not plain")
	}
	p := strings.TrimSuffix(path.Clean("/"+u.Path), "/")
	p = strings.TrimSuffix(p, "/api/0.1")
	return &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host), Path: p}, nil
}

// isLoopback reports whether a host name stands for this computer.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// IsTenant reports whether the organisation id and URL of a webhook belong to
// the configured tenant. An empty value agrees with everything; the values are
// only ever compared, never called.
func (c *Client) IsTenant(provetID, provetURL string) bool {
	if id := strings.TrimSpace(provetID); id != "" && id != path.Base(c.base.Path) {
		return false
	}
	raw := strings.TrimSpace(provetURL)
	if raw == "" {
		return true
	}
	if !strings.Contains(raw, "://") {
		raw = "https://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil || !strings.EqualFold(u.Hostname(), c.base.Hostname()) {
		return false
	}
	p := strings.TrimSuffix(u.Path, "/")
	return p == "" || p == c.base.Path || strings.HasPrefix(p, c.base.Path+"/")
}
