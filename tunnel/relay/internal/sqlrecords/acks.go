package sqlrecords

import (
	"context"
	"sync"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// AcksAtOnce bounds the acks of one transaction.
const AcksAtOnce = 256

// PendingAck is the highest ack of one clinic that is not written yet.
type PendingAck struct {
	Clinic wire.ClinicID
	Seq    wire.Seq
	Epoch  wire.Epoch
	At     time.Time
}

// Acks puts acks off, so that a clinic costs at most one write a second.
type Acks struct {
	mu      sync.Mutex
	pending map[wire.ClinicID]PendingAck // newer than the last due
	ripe    map[wire.ClinicID]PendingAck // to be written with the next group commits
}

func newAcks() *Acks {
	return &Acks{pending: map[wire.ClinicID]PendingAck{}, ripe: map[wire.ClinicID]PendingAck{}}
}

// merge keeps the higher of two acks.
func merge(m map[wire.ClinicID]PendingAck, a PendingAck) {
	old, ok := m[a.Clinic]
	if !ok || a.Epoch > old.Epoch || (a.Epoch == old.Epoch && a.Seq > old.Seq) {
		m[a.Clinic] = a
	}
}

func (q *Acks) add(a PendingAck) {
	q.mu.Lock()
	defer q.mu.Unlock()
	merge(q.pending, a)
}

// Due makes what waits ripe.
func (q *Acks) Due() {
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

// Take returns acks for one group commit.
func (q *Acks) Take() []PendingAck {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.ripe) == 0 {
		return nil
	}
	out := make([]PendingAck, 0, min(len(q.ripe), AcksAtOnce))
	for c, a := range q.ripe {
		out = append(out, a)
		delete(q.ripe, c)
		if len(out) == AcksAtOnce {
			break
		}
	}
	return out
}

// Back returns acks that could not be written.
func (q *Acks) Back(all []PendingAck) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, a := range all {
		merge(q.pending, a)
	}
}

// of returns what is put off for one clinic.
func (q *Acks) of(c wire.ClinicID) (out []PendingAck) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range []map[wire.ClinicID]PendingAck{q.ripe, q.pending} {
		if a, ok := m[c]; ok {
			out = append(out, a)
		}
	}
	return out
}

// Idle reports whether nothing is put off.
func (q *Acks) Idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.ripe) == 0 && len(q.pending) == 0
}

// Ack implements relay.Store. It answers from memory; the store settles within a second or so.
func (r *Records) Ack(ctx context.Context, c wire.ClinicID, seq wire.Seq, ep wire.Epoch) error {
	if known, ok := r.epochs.Load(c); !ok || known.(wire.Epoch) != ep {
		now, err := r.epoch(ctx, c)
		if err != nil {
			return err
		}
		r.Raise(c, now)
		if now != ep {
			return relay.ErrStaleEpoch
		}
	}
	r.Acks.add(PendingAck{Clinic: c, Seq: seq, Epoch: ep, At: r.now()})
	return nil
}

// Raise remembers the session epoch of a clinic, if it is higher than the one known.
func (r *Records) Raise(c wire.ClinicID, e wire.Epoch) {
	for {
		old, loaded := r.epochs.LoadOrStore(c, e)
		if !loaded || old.(wire.Epoch) >= e || r.epochs.CompareAndSwap(c, old, e) {
			return
		}
	}
}

// held returns what an agent has acknowledged: what is written, or more if that is put off.
func (r *Records) held(c wire.ClinicID, written, head wire.Seq, ep wire.Epoch) wire.Seq {
	for _, a := range r.Acks.of(c) {
		if a.Epoch == ep {
			written = max(written, min(a.Seq, head))
		}
	}
	return written
}
