package relay

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// How often retention and quotas are applied, and how long an old URL lives after a newer one was used first.
const (
	expireFirst = 2 * time.Second // to twice that after the start
	expireEvery = time.Minute
	urlOverlap  = time.Hour
)

// expire applies retention and quotas, soon after the start too: a relay that lives for less than a minute at a time would
// never do so. Not all nodes at once.
func (r *Relay) expire(ctx context.Context) error {
	first := time.NewTimer(expireFirst + rand.N(expireFirst))
	defer first.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-first.C:
	}
	if err := r.Expire(ctx); err != nil {
		r.failed(ctx, "expire", err)
	}
	return r.every(ctx, expireEvery, "expire", r.Expire)
}

// Expire applies retention and quotas once, until nothing is left to do. Run calls it a few seconds after its start and every
// minute.
func (r *Relay) Expire(ctx context.Context) error {
	now := r.cfg.Now().UTC()
	for {
		x, err := r.cfg.Store.Expire(ctx, now, r.cfg.Limits)
		if err != nil {
			return err
		}
		r.metrics.expired.Add(float64(x.Acked))
		for _, d := range x.Dropped {
			r.dropped(ctx, d)
		}
		if !x.More || ctx.Err() != nil {
			break
		}
	}
	n, err := r.cfg.Registry.RetireURLs(ctx, now.Add(-urlOverlap), now)
	if err != nil {
		return err
	}
	if n > 0 {
		r.log.Info("inbound addresses were retired", "count", n)
		return r.dir.refresh(ctx)
	}
	return nil
}

// dropped tells of a hole.
func (r *Relay) dropped(ctx context.Context, d Dropped) {
	r.metrics.dropped.WithLabelValues(gapLabel(d.Reason)).Add(float64(d.Events))
	r.log.Warn("events were dropped before the clinic took them", "clinic", string(d.Clinic), "events", d.Events, "reason", d.Reason)
	// One notice a day and clinic: a mailbox at its limit loses something every minute.
	day := r.cfg.Now().UTC().Format(time.DateOnly)
	r.notify(ctx, "gap", d.Clinic, day, d.Reason)
	if s := r.sessions.get(d.Clinic); s != nil {
		s.look()
	}
	r.polls.wake(d.Clinic)
}

// audit writes one line; what cannot be written is logged instead.
func (r *Relay) audit(ctx context.Context, c wire.ClinicID, action, detail string) {
	line := AuditLine{At: r.cfg.Now().UTC(), Clinic: c, Action: action, Detail: detail}
	if err := r.cfg.Registry.Audit(ctx, line); err != nil {
		r.log.Warn("an audit line was not written", "clinic", string(c), "action", action, "error", err)
	}
}
