package relay

import (
	"context"
	"errors"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// resumption is where a session starts, and what it says first.
type resumption struct {
	start      wire.Seq
	storeEpoch wire.StoreEpoch
	gap        *wire.Gap // nil: none
}

// resume compares what the agent holds with the mailbox. Events removed meanwhile are found later, by [Store.After].
func (r *Relay) resume(ctx context.Context, c wire.ClinicID, h *wire.Hello, m Claim) (resumption, error) {
	if h.StoreEpoch == "" {
		return resumption{start: m.Acked, storeEpoch: m.StoreEpoch}, nil
	}
	rollback := func(epoch wire.StoreEpoch) resumption {
		to := min(m.Acked, m.Head)
		return resumption{start: to, storeEpoch: epoch, gap: &wire.Gap{From: to + 1, To: to, Reason: wire.GapRollback, StoreEpoch: epoch}}
	}
	if h.StoreEpoch != m.StoreEpoch {
		return rollback(m.StoreEpoch), nil
	}
	strange, err := r.contradicts(ctx, c, h, m)
	if err != nil {
		return resumption{}, err
	}
	if strange {
		epoch, err := r.cfg.Store.NewStoreEpoch(ctx, c)
		if err != nil {
			return resumption{}, err
		}
		r.audit(ctx, c, "epoch", "the agent holds events that this store does not have")
		return rollback(epoch), nil
	}
	return resumption{start: h.Resume, storeEpoch: m.StoreEpoch}, nil
}

// contradicts says whether the agent holds an event that this mailbox never had: the store was rolled back. After a rollback
// numbers are given out again; once the head has overtaken the agent's number, only the time of receipt tells, or that the
// number went to another clinic: above what was removed, every number this clinic ever had is there.
func (r *Relay) contradicts(ctx context.Context, c wire.ClinicID, h *wire.Hello, m Claim) (bool, error) {
	if h.Resume > m.Head {
		return true, nil
	}
	if h.Resume == 0 || h.ResumeAt.IsZero() {
		return false, nil
	}
	at, err := r.cfg.Store.ReceivedAt(ctx, c, h.Resume)
	if errors.Is(err, ErrNoEvent) {
		return h.Resume > m.RemovedTo, nil
	}
	if err != nil {
		return false, err
	}
	return !at.Equal(h.ResumeAt.Truncate(time.Microsecond)), nil
}
