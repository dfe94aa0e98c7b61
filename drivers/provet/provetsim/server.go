package provetsim

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const apiPath = "/api/0.1/"

// Sim is the tenant. Its methods and its handler may be used concurrently.
type Sim struct {
	cfg      Config
	tables   map[string]*table  // by short name; the map itself never changes
	paths    map[string]*table  // by path
	statuses map[string]*status // by logical key

	mu   sync.RWMutex // guards the rows of all tables, and base
	base string       // URL of the tenant, when known

	tokens   tokens
	throttle throttle
	faults   faults
	journal  journal
	hooks    dispatcher
	skew     atomic.Int64 // ClockSkew

	rngMu sync.Mutex
	rng   *rand.Rand

	closed    chan struct{}
	closeOnce sync.Once
}

var _ http.Handler = (*Sim)(nil)

// New returns a tenant with its clinic, and no orders yet. Close it when
// webhooks may be under way.
func New(cfg Config) *Sim {
	cfg = cfg.withDefaults()
	s := &Sim{
		cfg: cfg, base: cfg.BaseURL,
		tables: map[string]*table{}, paths: map[string]*table{},
		statuses: newStatuses(cfg.StatusChoices),
		rng:      rand.New(rand.NewPCG(uint64(cfg.Seed), 0x70726f766574)), // repeatable, not secret
		closed:   make(chan struct{}),
	}
	for _, res := range schema() {
		t := newTable(res, newView(res, &cfg))
		s.tables[res.name], s.paths[res.path] = t, t
	}
	s.throttle.init(&cfg, s.tables)
	s.journal.init()
	s.hooks.init(s)
	s.seed()
	return s
}

// Close ends hanging requests, stops the delivery of webhooks and waits for it.
func (s *Sim) Close() error {
	s.closeOnce.Do(func() { close(s.closed) })
	s.hooks.close()
	return nil
}

// now is the clock of the tenant, in microseconds, as its database stores it.
func (s *Sim) now() time.Time {
	return s.cfg.Now().Add(time.Duration(s.skew.Load())).Round(0).Truncate(time.Microsecond)
}

// SetBaseURL sets the public origin (see Config.BaseURL) of a running tenant.
func (s *Sim) SetBaseURL(origin string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.base = tenantURL(origin, s.cfg.ProvetID)
	s.cfg.BaseURL = s.base
}

// URL returns the URL of the tenant, such as http://127.0.0.1:8080/4321, which
// is what a client is configured with. Empty while it is not known.
func (s *Sim) URL() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.base
}

// baseFor returns the URL of the tenant as the sender of r sees it.
func (s *Sim) baseFor(r *http.Request) string {
	s.mu.RLock()
	configured, base := s.cfg.BaseURL, s.base
	s.mu.RUnlock()
	if configured != "" {
		return configured
	}
	seen := "http://"
	if r.TLS != nil {
		seen = "https://"
	}
	seen += r.Host + "/" + s.cfg.ProvetID
	if seen != base {
		s.mu.Lock()
		s.base = seen
		s.mu.Unlock()
	}
	return seen
}

// answer is a complete response.
type answer struct {
	status int
	body   []byte
	header map[string]string
	html   bool
}

func jsonAnswer(status int, v any) answer {
	b, err := json.Marshal(v)
	if err != nil {
		return answer{status: http.StatusInternalServerError, body: []byte(`{}`)}
	}
	return answer{status: status, body: b}
}

func detail(status int, text string) answer {
	return answer{status: status, body: append(appendText([]byte(`{"detail":`), text), '}')}
}

func notFound() answer { return detail(http.StatusNotFound, "Not found.") }

// noPage is what the web framework says where no route leads.
func noPage() answer {
	return answer{
		status: http.StatusNotFound, html: true,
		body: []byte("<!doctype html>\n<html lang=\"en\"><head><title>Not Found</title></head>" +
			"<body><h1>Not Found</h1><p>The requested resource was not found on this server.</p></body></html>\n"),
	}
}

func (a answer) with(key, value string) answer {
	h := map[string]string{key: value}
	for k, v := range a.header {
		h[k] = v
	}
	a.header = h
	return a
}

// ServeHTTP answers one request.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if rest, ok := strings.CutPrefix(r.URL.Path, "/_sim/"); ok && s.cfg.Admin {
		s.serveAdmin(w, r, rest)
		return
	}
	to := s.route(r)
	to.base = s.baseFor(r)
	if !s.wait(r, s.cfg.Latency) {
		return
	}
	hit := s.faults.take(s, to.resource(), r.Method)
	a, ok := s.before(r, to, hit)
	if !ok {
		s.reset(w)
		return
	}
	if a.status == 0 {
		a = s.answer(w, r, to)
	}
	a, ok = s.after(a, hit)
	s.journal.request(to.label(r.Method), a.status)
	s.cfg.Log.Debug("request", "route", to.label(r.Method), "status", a.status)
	if !ok {
		s.reset(w)
		return
	}
	s.write(w, r, a, hit)
}

func (s *Sim) write(w http.ResponseWriter, r *http.Request, a answer, hit hits) {
	h := w.Header()
	h.Set("Date", s.now().UTC().Format(http.TimeFormat))
	h.Set("Content-Type", "application/json")
	if a.html {
		h.Set("Content-Type", "text/html; charset=utf-8")
	}
	h.Set("Vary", "Accept")
	for k, v := range a.header {
		h.Set(k, v)
	}
	if a.status == http.StatusNoContent || a.status == http.StatusMovedPermanently {
		h.Del("Content-Type")
	}
	length := len(a.body)
	if hit.has(FaultCut) {
		length += 64 // the connection ends before the body does
	}
	if a.status != http.StatusNoContent {
		h.Set("Content-Length", strconv.Itoa(length))
	}
	w.WriteHeader(a.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(a.body) // a peer that went away misses nothing
	}
	if hit.has(FaultCut) {
		panic(http.ErrAbortHandler)
	}
}

// target is where a request leads.
type target struct {
	base   string
	table  *table
	id     int
	one    bool   // an object, not a collection
	action string // token, revoke, permissions, root
	slash  bool   // the route exists, its slash is missing
}

// resource is the name faults and counters use.
func (t target) resource() string {
	switch {
	case t.table != nil:
		return t.table.res.name
	case t.action != "":
		return t.action
	}
	return "other"
}

func (t target) label(method string) string {
	if !slices.Contains([]string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"}, method) {
		method = "OTHER"
	}
	l := method + " " + t.resource()
	if t.one {
		l += "/{id}"
	}
	if t.slash {
		l += " (no slash)"
	}
	return l
}

func (s *Sim) route(r *http.Request) target {
	rest, ok := strings.CutPrefix(r.URL.Path, "/"+s.cfg.ProvetID+"/")
	if !ok {
		return target{}
	}
	path := strings.TrimSuffix(rest, "/")
	slash := path == rest
	switch path {
	case "oauth2/token":
		return target{action: "token", slash: slash}
	case "oauth2/revoke_token":
		return target{action: "revoke", slash: slash}
	case "api/0.1":
		return target{action: "root", slash: slash}
	case "api/0.1/user/current/active_permissions":
		return target{action: "permissions", slash: slash}
	}
	path, ok = strings.CutPrefix(path, "api/0.1/")
	if !ok {
		return target{}
	}
	if t := s.paths[path]; t != nil {
		return target{table: t, slash: slash}
	}
	path, last, _ := cutLast(path, "/")
	t := s.paths[path]
	id, err := strconv.Atoi(last)
	if t == nil || err != nil || id <= 0 {
		return target{}
	}
	return target{table: t, id: id, one: true, slash: slash}
}

// answer is the tenant without faults.
func (s *Sim) answer(w http.ResponseWriter, r *http.Request, to target) answer {
	switch {
	case to.table == nil && to.action == "":
		return noPage()
	case to.slash:
		u := *r.URL
		u.Path += "/"
		return answer{status: http.StatusMovedPermanently, header: map[string]string{"Location": u.RequestURI()}}
	case to.action == "token":
		return s.issueToken(w, r)
	case to.action == "revoke":
		return s.revokeToken(w, r)
	}
	user, a := s.authenticate(r)
	if a.status != 0 {
		return a
	}
	if a := s.limit(r, to, user); a.status != 0 {
		return a
	}
	switch to.action {
	case "root":
		return s.root(to.base)
	case "permissions":
		return s.permissions(r)
	}
	return s.resource(w, r, to)
}

func (s *Sim) resource(w http.ResponseWriter, r *http.Request, to target) answer {
	allowed := to.table.res.list
	if to.one {
		allowed = to.table.res.detail
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	allow := strings.Join(slices.Concat(allowed, []string{"HEAD", "OPTIONS"}), ", ")
	if method != http.MethodOptions && !slices.Contains(allowed, method) {
		return detail(http.StatusMethodNotAllowed, "Method \""+r.Method+"\" not allowed.").with("Allow", allow)
	}
	if s.faults.forbidden(to.table.res.name) {
		return detail(http.StatusForbidden, "You do not have permission to perform this action.").with("Allow", allow)
	}
	switch method {
	case http.MethodOptions:
		return s.metadata(to, allowed).with("Allow", allow)
	case http.MethodPost:
		return s.create(w, r, to).with("Allow", allow)
	case http.MethodPut, http.MethodPatch:
		return s.update(w, r, to, method == http.MethodPatch).with("Allow", allow)
	case http.MethodDelete:
		return s.destroy(r, to).with("Allow", allow)
	}
	if to.one {
		return s.get(to.table, to.id, r, to.base).with("Allow", allow)
	}
	return s.list(to.table, r, to.base).with("Allow", allow)
}

func (s *Sim) root(base string) answer {
	links := map[string]string{}
	for path := range s.paths {
		links[path] = base + apiPath + path + "/"
	}
	return jsonAnswer(http.StatusOK, links)
}

func (s *Sim) permissions(r *http.Request) answer {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return detail(http.StatusMethodNotAllowed, "Method \""+r.Method+"\" not allowed.")
	}
	var names []string
	for _, t := range s.tables {
		p := t.res.permission
		if p != "" && !s.faults.forbidden(t.res.name) && !slices.Contains(names, p) {
			names = append(names, p)
		}
	}
	slices.Sort(names)
	return jsonAnswer(http.StatusOK, map[string][]string{"permissions": names})
}
