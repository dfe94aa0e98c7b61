package relay

import (
	"context"
	"errors"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// wakeLocal tells this node's session or long-poll of a clinic that there is something up to seq.
func (r *Relay) wakeLocal(c wire.ClinicID, seq wire.Seq) {
	if s := r.sessions.get(c); s != nil {
		s.wake(seq)
	}
	r.polls.wake(c)
}

// takeWakeups hands wake-ups to sessions. They may come late, twice or never. They end with subscribed, of which ctx is a part.
func (r *Relay) takeWakeups(ctx, subscribed context.Context, in <-chan Wakeup) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case w, ok := <-in:
			if !ok {
				if subscribed.Err() != nil {
					return subscribed.Err()
				}
				return errors.New("relay: the store's wake-ups ended")
			}
			r.metrics.wakeups.Inc()
			if w.Seq > 0 {
				r.wakeLocal(w.Clinic, w.Seq)
				continue
			}
			if r.sessions.get(w.Clinic) != nil {
				r.askOwners()
			}
			r.polls.wake(w.Clinic)
			if err := r.dir.refresh(ctx); err != nil && ctx.Err() == nil {
				r.errLog.Do(func() { r.log.Warn("the store failed", "task", "clinics", "error", err) })
			}
		}
	}
}

// askPending is the net under the wake-ups: it asks for clinics that have something unacked.
func (r *Relay) askPending(ctx context.Context) error {
	return r.every(ctx, r.cfg.PendingEvery, "pending", func(ctx context.Context) error {
		list, err := r.cfg.Store.Pending(ctx, r.cfg.Node)
		if err != nil {
			return err
		}
		for _, w := range list {
			s := r.sessions.get(w.Clinic)
			if s == nil {
				continue
			}
			s.mu.Lock()
			late := w.Seq > s.head
			s.mu.Unlock()
			if late {
				r.metrics.lateWakeups.Inc()
			}
			s.wake(w.Seq)
			s.start()
		}
		return nil
	})
}

// askChanges keeps the directory up to date with administration in other processes.
func (r *Relay) askChanges(ctx context.Context) error {
	r.dir.refreshing.Lock()
	r.dir.onChange = func(list []State) {
		for _, s := range list {
			if r.sessions.get(s.ID) != nil {
				r.running.Go(func() { r.checkSession(r.base, s) })
			}
		}
	}
	r.dir.refreshing.Unlock()
	return r.every(ctx, r.cfg.RefreshEvery, "clinics", r.dir.refresh)
}

// checkSession looks at one session again after its clinic changed: revoked, paired anew, asked to rotate.
func (r *Relay) checkSession(ctx context.Context, st State) {
	s := r.sessions.get(st.ID)
	if s == nil {
		return
	}
	if st.Revoked {
		s.end(wire.Close4403, "")
		return
	}
	ctx, stop := context.WithTimeout(ctx, appendTimeout)
	defer stop()
	s.mu.Lock()
	kid := s.kid
	s.mu.Unlock()
	_, err := r.cfg.Registry.Token(ctx, kid, r.cfg.Now())
	if errors.Is(err, ErrUnknownToken) {
		// Dead: paired anew, unless a newer session of the same agent used its newer token.
		m, err := r.cfg.Store.Mailbox(ctx, s.clinic)
		if err == nil && m.Epoch == s.epoch {
			s.end(wire.Close4403, "paired again")
		}
		return
	}
	if st.Rotate {
		s.rotateIfDue(ctx)
	}
}

// askOwners asks checkOwners for a round, soon.
func (r *Relay) askOwners() {
	select {
	case r.recheck <- struct{}{}:
	default:
	}
}

// checkOwners compares the sockets with what the store says, each ping round and when a wake-up asks for it: a clinic that was
// claimed elsewhere, or revoked, loses its socket here.
func (r *Relay) checkOwners(ctx context.Context) error {
	t := time.NewTicker(r.cfg.PingEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		case <-r.recheck:
		}
		if err := r.compareOwners(ctx); err != nil && ctx.Err() == nil {
			r.metrics.storeErrors.Inc()
			r.errLog.Do(func() { r.log.Warn("the store failed", "task", "owners", "error", err) })
		}
		select { // at most one round a second
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(time.Second, r.cfg.PingEvery)):
		}
	}
}

func (r *Relay) compareOwners(ctx context.Context) error {
	live := r.sessions.all() // first: what comes later is not judged by what was read before
	if len(live) == 0 {
		return nil
	}
	sent := make([]wire.Seq, len(live))
	for i, s := range live {
		s.mu.Lock()
		sent[i] = s.sentMax
		s.mu.Unlock()
	}
	list, err := r.cfg.Store.Owned(ctx, r.cfg.Node)
	if err != nil {
		return err
	}
	owned := make(map[wire.ClinicID]Ownership, len(list))
	for _, o := range list {
		owned[o.Clinic] = o
	}
	for i, s := range live {
		o, ok := owned[s.clinic]
		switch {
		case ok && o.Revoked:
			s.end(wire.Close4403, "")
		case !ok || o.Epoch > s.epoch:
			s.end(r.replaced(ctx, s), "")
		case o.Epoch < s.epoch, o.Head < sent[i]:
			// The database lost what it had, under our feet: numbers are given out again, and this session would pass over
			// them. The next hello finds out.
			r.log.Warn("the store lost events or sessions that it had", "clinic", string(s.clinic))
			s.end(wire.CloseRestart, "")
		default:
			s.wake(o.Head)
		}
	}
	return nil
}
