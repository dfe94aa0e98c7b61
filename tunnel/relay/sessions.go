package relay

import (
	"sync"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// sessions are the sockets of this node, one of a clinic.
type sessions struct {
	mu   sync.RWMutex
	live map[wire.ClinicID]*session
}

func (m *sessions) get(c wire.ClinicID) *session {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.live[c]
}

// put makes s the clinic's session and returns the one before, or nil.
func (m *sessions) put(s *session) *session {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.live == nil {
		m.live = map[wire.ClinicID]*session{}
	}
	before := m.live[s.clinic]
	m.live[s.clinic] = s
	return before
}

// drop forgets s unless another one has taken its place.
func (m *sessions) drop(s *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.live[s.clinic] == s {
		delete(m.live, s.clinic)
	}
}

func (m *sessions) all() []*session {
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := make([]*session, 0, len(m.live))
	for _, s := range m.live {
		out = append(out, s)
	}
	return out
}

func (m *sessions) count() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.live)
}

// pollers are the long-polls that wait on this node.
type pollers struct {
	mu      sync.Mutex
	waiting map[wire.ClinicID]map[chan struct{}]struct{}
	busy    map[wire.ClinicID]int // polls under way, the writing of their answers included
}

// mostPolls is how many polls of one clinic are answered at a time: an answer holds up to a window of events. An agent has one,
// and for a moment those that a broken network left behind.
const mostPolls = 8

// enter books a poll and returns the function that ends it, or nil when the clinic has too many.
func (p *pollers) enter(c wire.ClinicID) (leave func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy[c] >= mostPolls {
		return nil
	}
	if p.busy == nil {
		p.busy = map[wire.ClinicID]int{}
	}
	p.busy[c]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.busy[c]--; p.busy[c] == 0 {
			delete(p.busy, c)
		}
	}
}

// join returns a channel that gets a token when something happens to the clinic, and the function to call in the end.
func (p *pollers) join(c wire.ClinicID) (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting == nil {
		p.waiting = map[wire.ClinicID]map[chan struct{}]struct{}{}
	}
	if p.waiting[c] == nil {
		p.waiting[c] = map[chan struct{}]struct{}{}
	}
	p.waiting[c][ch] = struct{}{}
	return ch, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.waiting[c], ch)
		if len(p.waiting[c]) == 0 {
			delete(p.waiting, c)
		}
	}
}

func (p *pollers) wake(c wire.ClinicID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for ch := range p.waiting[c] {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

func (p *pollers) wakeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, set := range p.waiting {
		for ch := range set {
			select {
			case ch <- struct{}{}:
			default:
			}
		}
	}
}

func (p *pollers) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting)
}
