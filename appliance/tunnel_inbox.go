package appliance

import (
	"context"
	"strconv"
	"time"

	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/tunnel/client"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// keySweep says that everything has to be looked at again, and why. It is set
// in the transaction that moves the cursor over a hole, and removed after the
// sweep, so that no crash forgets it.
const keySweep = "tunnel.sweep"

const (
	// inboxKept bounds the inbox between two nightly purges.
	inboxKept = 100_000
	// inboxTrim is how many events one commit removes at most.
	inboxTrim = 512
)

// inbox is where the tunnel's events go: into the database, with the hints they
// mean and the cursor in one transaction (client.Inbox).
type inbox struct {
	c      *core
	read   func() *reader    // the keys may change while it runs
	took   func(v []verdict) // after a commit
	wake   chan struct{}     // size 1: something is new
	sweep  chan struct{}     // size 1: keySweep was set
	gapped func()            // after a hole was committed
}

var _ client.Inbox = (*inbox)(nil)

// Cursor returns how far the tunnel has come in the mailbox it is bound to.
func (in *inbox) Cursor(ctx context.Context) (client.Cursor, error) {
	var cur localdb.TunnelCursor
	err := in.c.db.Read(ctx, func(s *localdb.Snapshot) (err error) {
		cur, err = s.TunnelCursor(ctx)
		return err
	})
	return client.Cursor{Epoch: wire.StoreEpoch(cur.Epoch), Seq: wire.Seq(cur.Seq), ReceivedAt: cur.ReceivedAt, Window: cur.Window}, err
}

// KeepWindow keeps the relay's reconnect window with the cursor.
func (in *inbox) KeepWindow(ctx context.Context, w time.Duration) error {
	return in.c.db.Write(ctx, func(tx *localdb.Tx) error { return tx.SetTunnelWindow(ctx, w) })
}

// Commit makes events durable, once each, with what they mean: an order's event
// becomes a hint in the same transaction as the cursor. What cannot be
// understood is kept and does not stop what follows. On a disk that is almost
// full nothing is taken, and the relay keeps what it has.
func (in *inbox) Commit(ctx context.Context, epoch wire.StoreEpoch, events []wire.Event) error {
	if len(events) == 0 {
		return nil
	}
	if err := in.c.db.DiskLow(ctx); err != nil {
		return err
	}
	r := in.read()
	verdicts := make([]verdict, len(events))
	for i, e := range events { // outside the transaction: opening is slow
		verdicts[i] = r.understand(e)
	}
	var taken []verdict
	var gap localdb.TunnelGap
	var unread string // why something that came cannot be read
	err := in.c.commit(ctx, func(b *batch) error {
		taken, gap, unread = taken[:0], localdb.TunnelGap{}, ""
		last := events[0]
		for i, e := range events {
			if e.Seq > last.Seq {
				last = e
			}
			added, err := in.store(b, r, string(epoch), e, &verdicts[i])
			if err != nil {
				return err
			}
			if !added {
				continue
			}
			taken = append(taken, verdicts[i])
			switch reason := verdicts[i].reason; reason {
			case spoilKey:
				gap = widen(gap, int64(e.Seq))
			case spoilHeader, spoilSeal, spoilPanic: // which order it was about is not known
				unread = reason
			}
		}
		if unread != "" {
			if err := in.lookAgain(b, unread); err != nil {
				return err
			}
		}
		if gap.To != 0 {
			gap.Clinic, gap.Epoch, gap.Reason, gap.At = string(r.clinic), string(epoch), spoilKey, b.now
			if err := in.hole(b, gap); err != nil {
				return err
			}
		}
		if _, err := b.tx.TrimInbox(b.ctx, inboxKept, inboxTrim); err != nil {
			return err
		}
		return b.tx.MoveTunnel(b.ctx, string(epoch), int64(last.Seq), last.ReceivedAt, b.now)
	})
	if err != nil {
		return err
	}
	in.after(taken)
	return nil
}

// store puts one event and its hints into the transaction.
func (in *inbox) store(b *batch, r *reader, epoch string, e wire.Event, v *verdict) (added bool, err error) {
	row := localdb.InboxEvent{
		Clinic: string(r.clinic), Epoch: epoch, Seq: int64(e.Seq), Kind: v.kind, ReceivedAt: e.ReceivedAt, Header: e.Header, Body: e.Body,
		At: b.now, State: v.state, Reason: v.reason,
	}
	if v.state != localdb.InboxNew {
		row.ProcessedAt = b.now
	}
	if len(v.orders) > 0 {
		row.ProvetID = v.orders[0]
	}
	if added, err = b.tx.AddInbox(b.ctx, &row); err != nil || !added {
		return false, err
	}
	return true, b.hintOrders(v)
}

// hintOrders stores the hints that an event means.
func (b *batch) hintOrders(v *verdict) error {
	for _, id := range v.orders {
		if err := b.hint(id, hintReasons[v.kind]); err != nil {
			return err
		}
	}
	return nil
}

// after tells those who wait what was committed.
func (in *inbox) after(taken []verdict) {
	for _, v := range taken {
		if v.state == localdb.InboxNew {
			signal(in.wake)
		}
		for range v.orders {
			in.c.metrics.Hint(hintReasons[v.kind])
		}
	}
	in.took(taken)
}

// Gap records a hole, moves the cursor over it and asks for a sweep, in one
// transaction.
func (in *inbox) Gap(ctx context.Context, g wire.Gap) error {
	clinic := string(in.read().clinic)
	return in.c.commit(ctx, func(b *batch) error {
		hole := localdb.TunnelGap{
			Clinic: clinic, Epoch: string(g.StoreEpoch), From: int64(g.From), To: int64(g.To), Reason: clipKind(g.Reason), At: b.now,
		}
		if err := in.hole(b, hole); err != nil {
			return err
		}
		return b.tx.MoveTunnel(b.ctx, hole.Epoch, hole.To, time.Time{}, b.now)
	})
}

// hole records a gap and asks for a sweep.
func (in *inbox) hole(b *batch, g localdb.TunnelGap) error {
	if _, err := b.tx.AddTunnelGap(b.ctx, g); err != nil {
		return err
	}
	if err := in.lookAgain(b, g.Reason); err != nil {
		return err
	}
	b.after = append(b.after, in.gapped)
	return nil
}

// lookAgain asks for a sweep.
func (in *inbox) lookAgain(b *batch, reason string) error {
	if err := b.tx.SetState(b.ctx, keySweep, reason+" "+b.now.UTC().Format(time.RFC3339Nano)); err != nil {
		return err
	}
	b.after = append(b.after, func() { signal(in.sweep) })
	return nil
}

// widen makes a gap reach to a number.
func widen(g localdb.TunnelGap, seq int64) localdb.TunnelGap {
	if g.From == 0 || seq < g.From {
		g.From = seq
	}
	g.To = max(g.To, seq)
	return g
}

// gapText says a hole to people.
func gapText(g localdb.TunnelGap) string {
	n := strconv.FormatInt(max(1, g.To-g.From+1), 10)
	switch g.Reason {
	case wire.GapExpired:
		return "up to " + n + " were older than the relay keeps them, because this computer was away too long"
	case wire.GapQuota:
		return "up to " + n + " were more than the relay keeps for one clinic"
	case wire.GapRollback:
		return "the relay lost a part of its memory"
	case spoilKey:
		return n + " were sealed for a computer that was paired before"
	}
	return "up to " + n + " are missing (" + g.Reason + ")"
}
