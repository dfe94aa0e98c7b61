package provetsim

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// FaultKind is a way to misbehave.
type FaultKind string

// The kinds of faults.
const (
	FaultSlow       FaultKind = "slow"         // waits Delay, then answers
	FaultStatus     FaultKind = "status"       // answers Status with an HTML page (5xx) or a detail
	FaultReset      FaultKind = "reset"        // resets the connection before anything happened
	FaultResetAfter FaultKind = "reset_after"  // does what was asked, then resets the connection
	FaultCut        FaultKind = "cut"          // announces a longer body than it sends
	FaultTruncated  FaultKind = "truncated"    // a complete response with half of the JSON
	FaultHTML       FaultKind = "html"         // 200 with a page instead of JSON
	FaultEmpty      FaultKind = "empty"        // 200 without a body
	FaultHang       FaultKind = "hang"         // never answers
	FaultAuth       FaultKind = "unauthorized" // 401 in spite of a good token
	FaultThrottle   FaultKind = "throttle"     // 429 with Retry-After Delay
	FaultRefuse     FaultKind = "refuse"       // 400 to writes, naming the status field
)

// Fault is one fault in force. It meets requests until Count of them were hit.
type Fault struct {
	ID       int           `json:"id"`
	Kind     FaultKind     `json:"kind"`
	Resource string        `json:"resource,omitempty"` // worklist, referral, ..., token, permissions; empty: all
	Method   string        `json:"method,omitempty"`   // empty: all
	Count    int           `json:"count,omitempty"`    // requests to hit; zero: until cleared
	Rate     float64       `json:"rate,omitempty"`     // share of the requests that are hit, 0 < rate <= 1; zero: all
	Status   int           `json:"status,omitempty"`   // of FaultStatus; zero: 500
	Delay    time.Duration `json:"-"`                  // of FaultSlow and FaultThrottle
}

// faults are the faults in force.
type faults struct {
	mu     sync.Mutex
	list   []Fault
	last   int
	denied map[string]bool
}

// hits are the faults that meet one request.
type hits []Fault

func (h hits) get(k FaultKind) (Fault, bool) {
	i := slices.IndexFunc(h, func(f Fault) bool { return f.Kind == k })
	if i < 0 {
		return Fault{}, false
	}
	return h[i], true
}

func (h hits) has(k FaultKind) bool { _, ok := h.get(k); return ok }

// Inject puts a fault in force and returns its number.
func (s *Sim) Inject(f Fault) int {
	if t := s.paths[f.Resource]; t != nil {
		f.Resource = t.res.name
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.last++
	f.ID = s.faults.last
	s.faults.list = append(s.faults.list, f)
	return f.ID
}

// Faults returns the faults in force.
func (s *Sim) Faults() []Fault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return slices.Clone(s.faults.list)
}

// RemoveFault ends one fault.
func (s *Sim) RemoveFault(id int) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = slices.DeleteFunc(s.faults.list, func(f Fault) bool { return f.ID == id })
}

// ClearFaults ends every fault: those of requests and of webhooks, forbidden
// resources and a skewed clock.
func (s *Sim) ClearFaults() {
	s.faults.mu.Lock()
	s.faults.list, s.faults.denied = nil, nil
	s.faults.mu.Unlock()
	s.skew.Store(0)
	s.SetWebhookFaults(WebhookFaults{})
}

// injectAll injects f for each of the resources, or for all when none is named.
func (s *Sim) injectAll(f Fault, resources []string) {
	if len(resources) == 0 {
		resources = []string{""}
	}
	for _, r := range resources {
		f.Resource = r
		s.Inject(f)
	}
}

// Slow delays every answer by d. Without resources: of all of them, here and below.
func (s *Sim) Slow(d time.Duration, resources ...string) {
	s.injectAll(Fault{Kind: FaultSlow, Delay: d}, resources)
}

// FailNext answers status to the next n requests.
func (s *Sim) FailNext(n, status int, resources ...string) {
	s.injectAll(Fault{Kind: FaultStatus, Count: n, Status: status}, resources)
}

// FailRate answers status to the share p of all requests.
func (s *Sim) FailRate(p float64, status int, resources ...string) {
	s.injectAll(Fault{Kind: FaultStatus, Rate: p, Status: status}, resources)
}

// ResetNext resets the connection of the next n requests.
func (s *Sim) ResetNext(n int, resources ...string) {
	s.injectAll(Fault{Kind: FaultReset, Count: n}, resources)
}

// ResetRate resets the connection of the share p of all requests.
func (s *Sim) ResetRate(p float64, resources ...string) {
	s.injectAll(Fault{Kind: FaultReset, Rate: p}, resources)
}

// WrongJSON spoils the next n answers (n = 0: all): FaultTruncated, FaultHTML,
// FaultEmpty or FaultCut.
func (s *Sim) WrongJSON(k FaultKind, n int, resources ...string) {
	s.injectAll(Fault{Kind: k, Count: n}, resources)
}

// Unauthorized answers 401 to the next n requests.
func (s *Sim) Unauthorized(n int, resources ...string) {
	s.injectAll(Fault{Kind: FaultAuth, Count: n}, resources)
}

// Retry429 answers 429 with Retry-After to the next n requests.
func (s *Sim) Retry429(n int, after time.Duration, resources ...string) {
	s.injectAll(Fault{Kind: FaultThrottle, Count: n, Delay: after}, resources)
}

// RefusePatch answers 400 to the next n writes of orders (n = 0: to all).
func (s *Sim) RefusePatch(n int) {
	s.Inject(Fault{Kind: FaultRefuse, Count: n, Resource: "worklist", Method: http.MethodPatch})
}

// Hang leaves the next n requests without an answer until the client gives up.
func (s *Sim) Hang(n int, resources ...string) {
	s.injectAll(Fault{Kind: FaultHang, Count: n}, resources)
}

// Forbid takes the permission for the resources away: 403.
func (s *Sim) Forbid(resources ...string) { s.setForbidden(true, resources) }

// Allow gives it back.
func (s *Sim) Allow(resources ...string) { s.setForbidden(false, resources) }

func (s *Sim) setForbidden(on bool, resources []string) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	if s.faults.denied == nil {
		s.faults.denied = map[string]bool{}
	}
	for _, r := range resources {
		if t := s.paths[r]; t != nil {
			r = t.res.name
		}
		s.faults.denied[r] = on
	}
}

func (f *faults) forbidden(resource string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.denied[resource]
}

// ClockSkew moves the tenant's clock: the Date header, created and modified.
func (s *Sim) ClockSkew(d time.Duration) { s.skew.Store(int64(d)) }

// take returns the faults that meet this request, and counts them: any that
// slow it down, and the oldest of the others.
func (f *faults) take(s *Sim, resource, method string) hits {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out hits
	spoilt := false
	for i := 0; i < len(f.list); i++ {
		x := &f.list[i]
		if x.Resource != "" && x.Resource != resource || x.Method != "" && x.Method != method {
			continue
		}
		if spoilt && x.Kind != FaultSlow || x.Rate > 0 && s.chance() >= x.Rate {
			continue
		}
		spoilt = spoilt || x.Kind != FaultSlow
		out = append(out, *x)
		if x.Count == 1 {
			f.list = slices.Delete(f.list, i, i+1)
			i--
		} else if x.Count > 1 {
			x.Count--
		}
	}
	return out
}

// chance returns a number in [0, 1).
func (s *Sim) chance() float64 {
	s.rngMu.Lock()
	defer s.rngMu.Unlock()
	return s.rng.Float64()
}

// wait sleeps; false when the client or the tenant went away.
func (s *Sim) wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
	case <-s.closed:
	}
	return false
}

// before applies the faults that come before the work. An answer with a status
// replaces the work; false resets the connection.
func (s *Sim) before(r *http.Request, to target, h hits) (answer, bool) {
	if len(h) > 0 {
		// A server notices that its client went away only after it has read the body.
		b, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
		if err != nil {
			return answer{}, false
		}
		r.Body = io.NopCloser(bytes.NewReader(b))
	}
	for _, f := range h {
		switch f.Kind {
		case FaultSlow:
			if !s.wait(r, f.Delay) {
				return answer{}, false
			}
		case FaultHang:
			select {
			case <-r.Context().Done():
			case <-s.closed:
			}
			return answer{}, false
		case FaultReset:
			s.journal.request(to.label(r.Method), 0)
			return answer{}, false
		case FaultStatus:
			return failure(f.Status), true
		case FaultAuth:
			return unauthorized(), true
		case FaultThrottle:
			return throttled(f.Delay), true
		case FaultRefuse:
			if r.Method != http.MethodGet && r.Method != http.MethodOptions && to.table != nil {
				return s.refusal(to.table), true
			}
		case FaultResetAfter, FaultCut, FaultTruncated, FaultHTML, FaultEmpty: // afterwards
		}
	}
	return answer{}, true
}

func (s *Sim) refusal(t *table) answer {
	name := "non_field_errors"
	if i := t.res.col("status"); i >= 0 && t.view.names[i] != "" {
		name = t.view.names[i]
	}
	return jsonAnswer(http.StatusBadRequest, fieldErrors{name: {"This status change is not allowed."}})
}

func failure(status int) answer {
	if status == 0 {
		status = http.StatusInternalServerError
	}
	if status < 500 {
		return detail(status, http.StatusText(status))
	}
	text := http.StatusText(status)
	return answer{status: status, html: true, body: []byte("<!doctype html>\n<html><head><title>" + text +
		"</title></head><body><h1>" + text + "</h1></body></html>\n")}
}

// after applies the faults that spoil the answer; false resets the connection.
func (s *Sim) after(a answer, h hits) (answer, bool) {
	for _, f := range h {
		switch f.Kind {
		case FaultResetAfter:
			return a, false
		case FaultTruncated:
			a.body = a.body[:len(a.body)/2]
		case FaultHTML:
			a = answer{status: http.StatusOK, html: true, body: []byte(
				"<!doctype html>\n<html><head><title>Provet Cloud</title></head><body><p>Maintenance break.</p></body></html>\n")}
		case FaultEmpty:
			a = answer{status: http.StatusOK}
		case FaultSlow, FaultStatus, FaultReset, FaultCut, FaultHang, FaultAuth, FaultThrottle, FaultRefuse: // done
		}
	}
	return a, true
}

// reset ends the connection without an answer: with a TCP reset where the
// server allows it.
func (s *Sim) reset(w http.ResponseWriter) {
	if hj, ok := w.(http.Hijacker); ok {
		if conn, _, err := hj.Hijack(); err == nil {
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // best effort: a plain close is a failure too
			}
			_ = conn.Close()
			return
		}
	}
	panic(http.ErrAbortHandler)
}

// valid checks a fault that came from outside.
func (f Fault) valid() bool {
	switch f.Kind {
	case FaultSlow, FaultStatus, FaultReset, FaultResetAfter, FaultCut, FaultTruncated, FaultHTML, FaultEmpty,
		FaultHang, FaultAuth, FaultThrottle, FaultRefuse:
	default:
		return false
	}
	return f.Count >= 0 && f.Rate >= 0 && f.Rate <= 1 && f.Delay >= 0 && (f.Status == 0 || f.Status >= 400 && f.Status <= 599)
}
