package relay

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// directory is the node's copy of clinics and URLs, so that a webhook needs no read of the store. It is brought up to date
// every second, after a wake-up, and, limited in rate, when something is asked for that it does not know.
type directory struct {
	registry Registry
	limit    rate.Limit
	burst    int
	turns    rate.Limit // handshakes
	turnsMax int
	misses   *rate.Limiter

	refreshing sync.Mutex // one refresh at a time
	onChange   func([]State)

	mu       sync.RWMutex
	revision Revision
	urls     map[SecretHash]*address
	clinics  map[wire.ClinicID]*clinic
	live     atomic.Int64 // clinics paired and not revoked
}

// address is one inbound URL.
type address struct {
	hash    SecretHash
	kind    string
	expires time.Time // zero: never
	retired bool
	clinic  *clinic

	used atomic.Int64 // since the last note
	last atomic.Int64 // µs
}

// clinic is what a node knows of one clinic.
type clinic struct {
	id      wire.ClinicID
	state   atomic.Pointer[State]
	limiter *rate.Limiter // webhooks
	turns   *rate.Limiter // handshakes
	polls   *rate.Limiter // polls and acks of a session that has begun
	costly  *rate.Limiter // frames of a long-poll that make the store write
	counts  counts
}

// counts is what happened to a clinic since the last note.
type counts struct {
	received, tooLarge, limited, gaps, takeovers atomic.Int64
}

func newDirectory(cfg Config) *directory {
	return &directory{
		registry: cfg.Registry, limit: rate.Limit(cfg.RatePerClinic), burst: cfg.Burst,
		turns: rate.Limit(cfg.ClinicRate), turnsMax: cfg.ClinicBurst,
		misses: rate.NewLimiter(20, 20),
		urls:   map[SecretHash]*address{}, clinics: map[wire.ClinicID]*clinic{},
	}
}

// find returns a live address, or nil. What is unknown, retired or expired costs the same work, so that the time of the
// answer does not tell them apart.
func (d *directory) find(ctx context.Context, h SecretHash, now time.Time) *address {
	if a := d.known(h, now); a != nil {
		return a
	}
	if d.misses.Allow() {
		_ = d.refresh(ctx) // another node may have created it a moment ago; what fails here is asked again
	}
	return d.known(h, now)
}

func (d *directory) known(h SecretHash, now time.Time) *address {
	d.mu.RLock()
	a := d.urls[h]
	d.mu.RUnlock()
	if a == nil || a.retired || !a.expires.IsZero() && !now.Before(a.expires) {
		return nil
	}
	if s := a.clinic.state.Load(); s == nil || s.Revoked {
		return nil
	}
	return a
}

// clinic returns what is known of a clinic, or nil.
func (d *directory) clinic(id wire.ClinicID) *clinic {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.clinics[id]
}

// state returns the state of a clinic; zero if it is not known.
func (d *directory) state(id wire.ClinicID) State {
	if c := d.clinic(id); c != nil {
		if s := c.state.Load(); s != nil {
			return *s
		}
	}
	return State{}
}

// refresh reads what changed since the last time.
func (d *directory) refresh(ctx context.Context) error {
	d.refreshing.Lock()
	defer d.refreshing.Unlock()
	d.mu.RLock()
	since := d.revision
	d.mu.RUnlock()
	ch, err := d.registry.Changes(ctx, since)
	if err != nil {
		return err
	}
	if ch.Revision == since && len(ch.Clinics) == 0 && len(ch.URLs) == 0 {
		return nil
	}
	d.apply(ch)
	if d.onChange != nil && since > 0 && len(ch.Clinics) > 0 {
		d.onChange(ch.Clinics)
	}
	return nil
}

func (d *directory) apply(ch Changes) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range ch.Clinics {
		s := &ch.Clinics[i]
		c := d.entry(s.ID)
		before := c.state.Swap(s)
		d.live.Add(alive(s) - alive(before))
	}
	for _, u := range ch.URLs {
		if a := d.urls[u.Hash]; a != nil && a.retired == !u.RetiredAt.IsZero() && a.expires.Equal(u.ExpiresAt) {
			continue // keep the counters
		}
		d.urls[u.Hash] = &address{hash: u.Hash, kind: u.Kind, expires: u.ExpiresAt, retired: !u.RetiredAt.IsZero(), clinic: d.entry(u.Clinic)}
	}
	d.revision = ch.Revision
}

func alive(s *State) int64 {
	if s == nil || s.Revoked || s.Sealing.KeyID == "" {
		return 0
	}
	return 1
}

func (d *directory) entry(id wire.ClinicID) *clinic {
	c := d.clinics[id]
	if c == nil {
		c = &clinic{
			id: id, limiter: rate.NewLimiter(d.limit, d.burst), turns: rate.NewLimiter(d.turns, d.turnsMax),
			polls:  rate.NewLimiter(pollRate, pollBurst),
			costly: rate.NewLimiter(costlyRate, costlyBurst),
		}
		d.clinics[id] = c
	}
	return c
}

// drainNotes takes what was counted since the last time.
func (d *directory) drainNotes(n *Notes) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, a := range d.urls {
		if uses := a.used.Swap(0); uses > 0 {
			n.URLs = append(n.URLs, URLUse{Hash: a.hash, At: time.UnixMicro(a.last.Load()).UTC(), Uses: uses})
		}
	}
	for _, c := range d.clinics {
		k := Counts{
			Clinic: c.id, Received: c.counts.received.Swap(0), TooLarge: c.counts.tooLarge.Swap(0),
			Limited: c.counts.limited.Swap(0), Gaps: c.counts.gaps.Swap(0), Takeovers: c.counts.takeovers.Swap(0),
		}
		if k != (Counts{Clinic: c.id}) {
			n.Counts = append(n.Counts, k)
		}
	}
}
