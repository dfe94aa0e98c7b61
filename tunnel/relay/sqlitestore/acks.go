package sqlitestore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relay/internal/sqlrecords"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// acksAtOnce bounds the acks of one group commit.
const acksAtOnce = 256

// pendingAck is the highest ack of one clinic that is not written yet.
type pendingAck struct {
	clinic wire.ClinicID
	seq    wire.Seq
	epoch  wire.Epoch
	at     time.Time
}

// acks puts acks off, so that a clinic costs at most one write a second.
type acks struct {
	mu      sync.Mutex
	pending map[wire.ClinicID]pendingAck // newer than the last due
	ripe    map[wire.ClinicID]pendingAck // to be written with the next group commits
}

func newAcks() *acks {
	return &acks{pending: map[wire.ClinicID]pendingAck{}, ripe: map[wire.ClinicID]pendingAck{}}
}

// merge keeps the higher of two acks.
func merge(m map[wire.ClinicID]pendingAck, a pendingAck) {
	old, ok := m[a.clinic]
	if !ok || a.epoch > old.epoch || (a.epoch == old.epoch && a.seq > old.seq) {
		m[a.clinic] = a
	}
}

func (q *acks) add(a pendingAck) {
	q.mu.Lock()
	defer q.mu.Unlock()
	merge(q.pending, a)
}

// due makes what waits ripe.
func (q *acks) due() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.ripe) == 0 {
		q.pending, q.ripe = q.ripe, q.pending
		return
	}
	for _, a := range q.pending {
		merge(q.ripe, a)
	}
	clear(q.pending)
}

// take returns acks for one group commit.
func (q *acks) take() []pendingAck {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.ripe) == 0 {
		return nil
	}
	out := make([]pendingAck, 0, min(len(q.ripe), acksAtOnce))
	for c, a := range q.ripe {
		out = append(out, a)
		delete(q.ripe, c)
		if len(out) == acksAtOnce {
			break
		}
	}
	return out
}

// back returns acks that could not be written.
func (q *acks) back(all []pendingAck) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, a := range all {
		merge(q.pending, a)
	}
}

// of returns what is put off for one clinic.
func (q *acks) of(c wire.ClinicID) (out []pendingAck) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range []map[wire.ClinicID]pendingAck{q.ripe, q.pending} {
		if a, ok := m[c]; ok {
			out = append(out, a)
		}
	}
	return out
}

func (q *acks) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.ripe) == 0 && len(q.pending) == 0
}

// Ack implements relay.Store. It answers from memory; the writer settles within a second or so.
func (s *Store) Ack(ctx context.Context, c wire.ClinicID, seq wire.Seq, ep wire.Epoch) error {
	if known, ok := s.epochs.Load(c); !ok || known.(wire.Epoch) != ep {
		now, err := s.Epoch(ctx, c)
		if err != nil {
			return err
		}
		if now != ep {
			return relay.ErrStaleEpoch
		}
	}
	s.acks.add(pendingAck{clinic: c, seq: seq, epoch: ep, at: s.cfg.Now()})
	return nil
}

// settle writes one ack; a stale one changes nothing.
func (s *Store) settle(ctx context.Context, c *conn, a pendingAck) error {
	_, err := s.Settle(ctx, writeTx{c}, a.clinic, a.seq, a.epoch, a.at)
	return err
}

// Claim implements relay.Store.
func (s *Store) Claim(ctx context.Context, c wire.ClinicID, who relay.Claimant) (relay.Claim, error) {
	claim, err := s.Records.Claim(ctx, c, who, func(tx sqlrecords.Tx) error {
		for _, a := range s.acks.of(c) {
			if _, err := s.Settle(ctx, tx, a.clinic, a.seq, a.epoch, a.at); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		s.raise(c, claim.Epoch)
	}
	return claim, err
}

// Mailbox implements relay.Store.
func (s *Store) Mailbox(ctx context.Context, c wire.ClinicID) (relay.Claim, error) {
	claim, err := s.Records.Mailbox(ctx, c)
	for _, a := range s.acks.of(c) {
		if a.epoch == claim.Epoch {
			claim.Acked = max(claim.Acked, min(a.seq, claim.Head))
		}
	}
	return claim, err
}

// raise remembers the epoch of a clinic; two Claims may return in either order.
func (s *Store) raise(c wire.ClinicID, e wire.Epoch) {
	for {
		old, loaded := s.epochs.LoadOrStore(c, e)
		if !loaded || old.(wire.Epoch) >= e || s.epochs.CompareAndSwap(c, old, e) {
			return
		}
	}
}

// flush writes all acks that are put off.
func (s *Store) flush(ctx context.Context) error {
	for !s.acks.idle() {
		s.acks.due()
		if err := s.w.do(ctx, func(context.Context, *conn) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}

// Expire implements relay.Store.
func (s *Store) Expire(ctx context.Context, now time.Time, l relay.Limits) (relay.Expired, error) {
	if err := s.flush(ctx); err != nil && !errors.Is(err, relay.ErrBusy) {
		return relay.Expired{}, err
	}
	x, err := s.Records.Expire(ctx, now, l)
	if err == nil && !x.More {
		err = s.giveBack(ctx)
	}
	return x, err
}

// Status implements relay.Registry.
func (s *Store) Status(ctx context.Context) ([]relay.Status, error) {
	if err := s.flush(ctx); err != nil {
		s.cfg.Log.Debug("acks were not written before the status was read", "error", err)
	}
	return s.Records.Status(ctx)
}

// Owned implements relay.Store.
func (s *Store) Owned(ctx context.Context, node relay.NodeID) ([]relay.Ownership, error) {
	all, err := s.Records.Owned(ctx, node)
	for i, o := range all {
		for _, a := range s.acks.of(o.Clinic) {
			if a.epoch == o.Epoch {
				all[i].Acked = max(o.Acked, min(a.seq, o.Head))
			}
		}
	}
	return all, err
}

// Pending implements relay.Store.
func (s *Store) Pending(ctx context.Context, node relay.NodeID) ([]relay.Wakeup, error) {
	all, err := s.Records.Pending(ctx, node)
	out := all[:0]
	for _, w := range all {
		held := wire.Seq(0)
		for _, a := range s.acks.of(w.Clinic) {
			held = max(held, a.seq)
		}
		if w.Seq > held {
			out = append(out, w)
		}
	}
	return out, err
}
