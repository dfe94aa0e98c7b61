package provetsim

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxJournal bounds each list of the journal; the oldest entries go first.
const maxJournal = 100_000

// Patch is one write of an order through the API.
type Patch struct {
	At     time.Time      `json:"at"`
	ID     int            `json:"id"`
	Fields map[string]any `json:"fields"` // as sent
	From   string         `json:"from"`   // logical status before
	To     string         `json:"to"`     // and after; the same as From when refused
	Status int            `json:"status"` // of the answer: 200, 400
}

// Violation is a write that an integration has no business with: Rayhound may
// change the status of an order, and nothing else.
type Violation struct {
	At     time.Time `json:"at"`
	Method string    `json:"method"`
	Path   string    `json:"path"`
	Reason string    `json:"reason"`
}

// journal remembers what the integration did.
type journal struct {
	mu         sync.Mutex
	requests   map[string]int64
	answers    map[int]int64
	patches    []Patch
	violations []Violation
	changed    chan struct{} // closed and replaced at every change of an order
}

func (j *journal) init() {
	j.requests, j.answers = map[string]int64{}, map[int]int64{}
	j.changed = make(chan struct{})
}

func (j *journal) request(label string, status int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.requests[label]++
	j.answers[status]++
}

// wake tells those who wait that an order changed.
func (j *journal) wake() {
	j.mu.Lock()
	defer j.mu.Unlock()
	close(j.changed)
	j.changed = make(chan struct{})
}

func (j *journal) patch(p Patch, notify func(Patch)) {
	if p.ID == 0 {
		return
	}
	j.mu.Lock()
	j.patches = appendBounded(j.patches, p)
	j.mu.Unlock()
	j.wake()
	if notify != nil {
		notify(p)
	}
}

func appendBounded[T any](list []T, v T) []T {
	if len(list) >= maxJournal {
		list = append(list[:0], list[maxJournal/2:]...)
	}
	return append(list, v)
}

// patchOf describes a write of an order. The caller holds mu.
func (s *Sim) patchOf(to target, before, after *row, in map[string]any, status int) Patch {
	t := to.table
	if t.res.name != "worklist" {
		return Patch{}
	}
	col := t.res.col("status")
	p := Patch{At: s.cfg.Now(), ID: before.id, Fields: in, From: before.text(col), To: before.text(col), Status: status}
	if after != nil {
		p.To = after.text(col)
	}
	return p
}

func (s *Sim) violation(r *http.Request, to target, reason string, fields ...string) {
	if to.table == nil || to.table.res.name == "webhook" {
		return
	}
	if len(fields) > 0 {
		reason += ": " + strings.Join(fields, ", ")
	}
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	s.journal.violations = appendBounded(s.journal.violations,
		Violation{At: s.cfg.Now(), Method: r.Method, Path: r.URL.Path, Reason: reason})
}

// Patches returns the writes of orders through the API, oldest first.
func (s *Sim) Patches() []Patch {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return slices.Clone(s.journal.patches)
}

// Violations returns the writes of anything but an order's status, oldest first.
func (s *Sim) Violations() []Violation {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return slices.Clone(s.journal.violations)
}

// Requests returns how often each route was asked: "GET worklist/{id}" -> 12.
func (s *Sim) Requests() map[string]int64 {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return maps.Clone(s.journal.requests)
}

// Answers returns how many answers had each HTTP status; 0 is a reset connection.
func (s *Sim) Answers() map[int]int64 {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return maps.Clone(s.journal.answers)
}

// ResetJournal forgets patches, violations and counters.
func (s *Sim) ResetJournal() {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	s.journal.patches, s.journal.violations = nil, nil
	clear(s.journal.requests)
	clear(s.journal.answers)
}

// WaitStatus waits until order id has the logical status key ("" for a deleted
// order), or until ctx ends.
func (s *Sim) WaitStatus(ctx context.Context, id int, key string) error {
	for {
		s.journal.mu.Lock()
		changed := s.journal.changed
		s.journal.mu.Unlock()
		if got := s.Status(id); got == key || key != "" && got != "" && aliases[key] == got {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
