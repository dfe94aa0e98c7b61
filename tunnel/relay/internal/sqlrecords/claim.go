package sqlrecords

import (
	"context"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// Claim implements relay.Store.
func (r *Records) Claim(ctx context.Context, id wire.ClinicID, who relay.Claimant) (relay.Claim, error) {
	var c relay.Claim
	err := r.db.Write(ctx, func(tx Tx) (err error) {
		for _, a := range r.Acks.of(id) {
			if err := r.Settle(ctx, tx, a); err != nil {
				return err
			}
		}
		var n int64
		if c, n, err = r.mailbox(ctx, tx, id, r.dialect.ForUpdate); err != nil {
			return err
		}
		c.Epoch++
		now := micro(who.At)
		_, err = tx.Exec(ctx, `UPDATE mailbox SET session_epoch = ?, node = ?, instance = ?, run = ?, transport = ?, version = ?, claimed_at = ?,
			last_heard = CASE WHEN last_heard < ? THEN ? ELSE last_heard END, connected_since = ? WHERE clinic = ?`,
			int64(c.Epoch), string(who.Node), string(who.Instance), string(who.Run), who.Transport, clip(who.Version, 64), now, now, now, now, n)
		return err
	})
	if err != nil {
		return relay.Claim{}, err
	}
	r.Raise(id, c.Epoch)
	return c, nil
}

// Mailbox implements relay.Store.
func (r *Records) Mailbox(ctx context.Context, id wire.ClinicID) (relay.Claim, error) {
	var c relay.Claim
	err := r.db.Read(ctx, func(tx Tx) (err error) {
		c, _, err = r.mailbox(ctx, tx, id, "")
		return err
	})
	c.Acked = r.held(id, c.Acked, c.Head, c.Epoch)
	return c, err
}

// mailbox reads the state of a mailbox and the number of its row.
func (r *Records) mailbox(ctx context.Context, tx Tx, id wire.ClinicID, lock string) (c relay.Claim, n int64, err error) {
	var at, heard int64
	found, err := one(ctx, tx, `SELECT m.clinic, m.session_epoch, m.store_epoch, m.acked, m.removed_to, m.removed_why, `+r.dialect.Head+`,
		coalesce((SELECT min(e.seq) FROM event e WHERE e.clinic = m.clinic), 0),
		m.node, m.instance, m.run, m.transport, m.version, m.claimed_at, m.last_heard
		FROM mailbox m WHERE m.clinic = (SELECT c.n FROM clinic c WHERE c.id = ?)`+lock, []any{
		&n, (*int64)(&c.Epoch), (*string)(&c.StoreEpoch), (*int64)(&c.Acked), (*int64)(&c.RemovedTo), &c.Reason, (*int64)(&c.Head),
		(*int64)(&c.Oldest), (*string)(&c.Before.Node), (*string)(&c.Before.Instance), (*string)(&c.Before.Run),
		&c.Before.Transport, &c.Before.Version, &at, &heard,
	}, string(id))
	if err != nil {
		return relay.Claim{}, 0, err
	}
	if !found {
		return relay.Claim{}, 0, relay.ErrUnknownClinic
	}
	c.Before.At, c.LastHeard = fromMicro(at), fromMicro(heard)
	return c, n, nil
}

func clip(s string, n int) string { return s[:min(len(s), n)] }

// epoch returns the present session epoch of a clinic.
func (r *Records) epoch(ctx context.Context, id wire.ClinicID) (wire.Epoch, error) {
	var e wire.Epoch
	err := r.db.Read(ctx, func(tx Tx) error {
		found, err := one(ctx, tx, `SELECT m.session_epoch FROM mailbox m JOIN clinic c ON c.n = m.clinic WHERE c.id = ?`, []any{(*int64)(&e)}, string(id))
		if err == nil && !found {
			return relay.ErrUnknownClinic
		}
		return err
	})
	return e, err
}

// Settle writes one ack. Of a stale one, or of an unknown clinic, it writes nothing. An ack above the head counts as one
// of the head: otherwise it would hide what comes next.
func (r *Records) Settle(ctx context.Context, tx Tx, a PendingAck) error {
	var n, epoch, acked, head int64
	found, err := one(ctx, tx, `SELECT m.clinic, m.session_epoch, m.acked, `+r.dialect.Head+` FROM mailbox m
		WHERE m.clinic = (SELECT c.n FROM clinic c WHERE c.id = ?)`+r.dialect.ForUpdate, []any{&n, &epoch, &acked, &head}, string(a.Clinic))
	if err != nil || !found {
		return err
	}
	r.Raise(a.Clinic, wire.Epoch(epoch))
	to := min(int64(a.Seq), head)
	if epoch != int64(a.Epoch) || to <= acked {
		return nil
	}
	if _, err := tx.Exec(ctx, `UPDATE mailbox SET acked = ? WHERE clinic = ?`, to, n); err != nil {
		return err
	}
	at := micro(a.At)
	_, err = tx.Exec(ctx, `INSERT INTO ack_mark (clinic, hour, at, seq) VALUES (?, ?, ?, ?)
		ON CONFLICT (clinic, hour) DO UPDATE SET at = excluded.at, seq = excluded.seq`, n, at/microHour, at, to)
	return err
}

// ReceivedAt implements relay.Store.
func (r *Records) ReceivedAt(ctx context.Context, id wire.ClinicID, seq wire.Seq) (time.Time, error) {
	var at int64
	err := r.db.Read(ctx, func(tx Tx) error {
		n, err := clinicKey(ctx, tx, id)
		if err != nil {
			return err
		}
		for _, text := range []string{
			`SELECT received_at FROM event WHERE clinic = ? AND seq = ?`,
			`SELECT received_at FROM metadata WHERE clinic = ? AND seq = ?`,
			`SELECT removed_at FROM mailbox WHERE clinic = ? AND removed_to = ? AND removed_at <> 0`,
		} {
			if found, err := one(ctx, tx, text, []any{&at}, n, int64(seq)); err != nil || found {
				return err
			}
		}
		return relay.ErrNoEvent
	})
	if err != nil {
		return time.Time{}, err
	}
	return fromMicro(at), nil
}

// NewStoreEpoch implements relay.Store.
func (r *Records) NewStoreEpoch(ctx context.Context, id wire.ClinicID) (wire.StoreEpoch, error) {
	epoch := newEpoch()
	err := r.db.Write(ctx, func(tx Tx) error {
		n, err := tx.Exec(ctx, `UPDATE mailbox SET store_epoch = ? WHERE clinic = (SELECT n FROM clinic WHERE id = ?)`, epoch, string(id))
		if err == nil && n == 0 {
			return relay.ErrUnknownClinic
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return wire.StoreEpoch(epoch), nil
}

// NewStoreEpochs implements relay.Store. The new epochs share a random part: no two mailboxes are ever compared.
func (r *Records) NewStoreEpochs(ctx context.Context) error {
	epoch := newEpoch()
	return r.db.Write(ctx, func(tx Tx) error {
		_, err := tx.Exec(ctx, `UPDATE mailbox SET store_epoch = ?`, epoch)
		return err
	})
}
