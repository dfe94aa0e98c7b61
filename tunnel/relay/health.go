package relay

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// How often the store's health is read, and the list of clinics.
const (
	watchEvery  = 5 * time.Second
	statusEvery = 12 // rounds of watchEvery: once a minute
	silentAfter = 2 * time.Minute
)

// snapshot is what the last look at all clinics gave.
type snapshot struct {
	at                   time.Time
	list                 []Status
	offline, backlog     int
	age50, age99, ageMax time.Duration
}

// watch reads the store's health and now and then all clinics.
func (r *Relay) watch(ctx context.Context) error {
	round := 0
	look := func(ctx context.Context) error {
		h, err := r.cfg.Store.Health(ctx)
		if err != nil {
			r.health.Store(nil)
			return err
		}
		r.health.Store(&h)
		round++
		every := statusEvery
		if r.dir.live.Load() > 2000 {
			every *= 5 // a long list costs the store something
		}
		if round%every != 1 {
			return nil
		}
		s, err := r.look(ctx)
		if err != nil {
			return err
		}
		r.tellOffline(ctx, s.list)
		return nil
	}
	if err := look(ctx); err != nil && ctx.Err() == nil {
		r.log.Warn("the store failed", "task", "health", "error", err)
	}
	return r.every(ctx, watchEvery, "health", look)
}

// look reads all clinics.
func (r *Relay) look(ctx context.Context) (*snapshot, error) {
	list, err := r.cfg.Registry.Status(ctx)
	if err != nil {
		return nil, err
	}
	s := &snapshot{at: r.cfg.Now(), list: list}
	notePresent(list, s.at)
	var ages []time.Duration
	for i := range list {
		st := &list[i]
		if !st.Clinic.RevokedAt.IsZero() {
			continue
		}
		if !st.Paired.IsZero() && s.at.Sub(st.LastHeard) > silentAfter && r.sessions.get(st.Clinic.ID) == nil {
			s.offline++
		}
		s.backlog += st.Backlog
		if !st.Oldest.IsZero() {
			ages = append(ages, s.at.Sub(st.Oldest))
		}
	}
	if n := len(ages); n > 0 {
		slices.Sort(ages)
		s.age50, s.age99, s.ageMax = ages[n/2], ages[min(n-1, n*99/100)], ages[n-1]
	}
	r.snapshot.Store(s)
	return s, nil
}

// full says that no webhook can be stored now.
func (r *Relay) full() bool {
	h := r.health.Load()
	return h != nil && h.Full
}

// ready says why the node should get no traffic; empty: it should.
func (r *Relay) ready() string {
	h := r.health.Load()
	switch {
	case r.draining.Load() || r.ended.Load():
		return "draining"
	case h == nil:
		return "the store does not answer"
	case h.Full:
		return "the store is full"
	case h.DiskUsed >= r.cfg.DiskHigh:
		return "the disk is nearly full"
	default:
		return ""
	}
}

func (r *Relay) serveHealth(w http.ResponseWriter, q *http.Request) {
	answerText(w, q, http.StatusOK, "ok\n")
}

func (r *Relay) serveReady(w http.ResponseWriter, q *http.Request) {
	if why := r.ready(); why != "" {
		answerText(w, q, http.StatusServiceUnavailable, why+"\n")
		return
	}
	answerText(w, q, http.StatusOK, "ok\n")
}
