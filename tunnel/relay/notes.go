package relay

import (
	"context"
	"sync"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// How often counts are written, and how often the presence of those who are still there.
const (
	noteEvery     = 5 * time.Second
	presenceEvery = 12 // rounds of noteEvery: once a minute
)

// noteQueue collects who came and went since the last note.
type noteQueue struct {
	mu    sync.Mutex
	moves map[wire.ClinicID]Presence
	round int
}

func (q *noteQueue) put(p Presence) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.moves == nil {
		q.moves = map[wire.ClinicID]Presence{}
	}
	if have, ok := q.moves[p.Clinic]; !ok || p.Epoch >= have.Epoch {
		q.moves[p.Clinic] = p
	}
}

func (q *noteQueue) here(s *session) {
	q.put(Presence{Clinic: s.clinic, Epoch: s.epoch, LastHeard: s.lastHeard().UTC(), ConnectedSince: s.since.UTC()})
}

func (q *noteQueue) gone(s *session) {
	q.put(Presence{Clinic: s.clinic, Epoch: s.epoch, LastHeard: s.lastHeard().UTC()})
}

func (q *noteQueue) polled(c wire.ClinicID, ep wire.Epoch, now time.Time) {
	q.put(Presence{Clinic: c, Epoch: ep, LastHeard: now.UTC(), ConnectedSince: now.UTC()})
}

// take returns the moves, and whether everybody's presence is due.
func (q *noteQueue) take() (map[wire.ClinicID]Presence, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	m := q.moves
	q.moves = nil
	q.round++
	return m, q.round%presenceEvery == 0
}

func (r *Relay) writeNotes(ctx context.Context) error {
	return r.every(ctx, noteEvery, "notes", func(ctx context.Context) error { return r.flushNotes(ctx, false) })
}

// flushNotes writes what was noted. What fails is lost but for the next round's presence: these are figures, not events.
func (r *Relay) flushNotes(ctx context.Context, all bool) error {
	var n Notes
	r.dir.drainNotes(&n)
	moves, due := r.notes.take()
	if due || all {
		for _, s := range r.sessions.all() {
			if _, ok := moves[s.clinic]; !ok {
				n.Presence = append(n.Presence, Presence{
					Clinic: s.clinic, Epoch: s.epoch, LastHeard: s.lastHeard().UTC(), ConnectedSince: s.since.UTC(),
				})
			}
		}
	}
	for _, p := range moves {
		n.Presence = append(n.Presence, p)
	}
	if len(n.Presence)+len(n.URLs)+len(n.Counts) == 0 {
		return nil
	}
	return r.cfg.Registry.Note(ctx, n)
}
