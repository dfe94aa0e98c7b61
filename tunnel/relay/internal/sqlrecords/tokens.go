package sqlrecords

import (
	"context"
	"errors"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// openOffers is how many tokens may be on their way to one agent.
const openOffers = 3

// Token implements relay.Registry. A token of a revoked clinic is returned with Revoked set.
func (r *Records) Token(ctx context.Context, kid string, now time.Time) (relay.Token, error) {
	t := relay.Token{KID: kid}
	err := r.db.Read(ctx, func(tx Tx) error {
		var id string
		var h []byte
		var created, confirmed, used, dies, revoked int64
		found, err := one(ctx, tx, `SELECT c.id, t.hash, t.created_at, t.confirmed_at, t.used_at, t.dies_at, c.revoked_at
			FROM token t JOIN clinic c ON c.n = t.clinic WHERE t.kid = ? AND (t.dies_at = 0 OR t.dies_at > ?)`,
			[]any{&id, &h, &created, &confirmed, &used, &dies, &revoked}, kid, micro(now))
		if err != nil {
			return err
		}
		if !found {
			return relay.ErrUnknownToken
		}
		t.Clinic, t.Hash, t.Revoked = wire.ClinicID(id), hash(h), revoked != 0
		t.CreatedAt, t.ConfirmedAt, t.UsedAt, t.DiesAt = fromMicro(created), fromMicro(confirmed), fromMicro(used), fromMicro(dies)
		return nil
	})
	if err != nil {
		return relay.Token{}, err
	}
	return t, nil
}

func insertToken(ctx context.Context, tx Tx, n int64, t relay.Token) error {
	_, err := tx.Exec(ctx, `INSERT INTO token (kid, clinic, hash, created_at, confirmed_at, used_at, dies_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		t.KID, n, t.Hash[:], micro(t.CreatedAt), micro(t.ConfirmedAt), micro(t.UsedAt), micro(t.DiesAt))
	return err
}

// OfferToken implements relay.Registry. It changes what nodes keep about the clinic (State.Rotate) when it ends a
// RequestRotation, and then raises the revision too.
func (r *Records) OfferToken(ctx context.Context, t relay.Token) error {
	return r.taken(r.counted(ctx, func(tx Tx, rev int64) error {
		n, err := clinicKey(ctx, tx, t.Clinic)
		if err != nil {
			return err
		}
		if err := insertToken(ctx, tx, n, t); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE clinic SET rotate = 0, changed_rev = ? WHERE n = ? AND rotate = 1`, rev, n); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM token WHERE clinic = ? AND confirmed_at = 0 AND used_at = 0 AND id NOT IN (
			SELECT id FROM token WHERE clinic = ? AND confirmed_at = 0 AND used_at = 0 ORDER BY id DESC LIMIT `+digit(openOffers)+`)`, n, n)
		return err
	}))
}

func digit(n int) string { return string(rune('0' + n)) }

// onToken locks a token's clinic, so that states of one clinic's tokens change one after the other, and runs fn.
func (r *Records) onToken(ctx context.Context, kid string, fn func(tx Tx, id, clinic, confirmed, used int64) error) error {
	err := r.db.Write(ctx, func(tx Tx) error {
		var id, clinic, confirmed, used int64
		found, err := one(ctx, tx, `SELECT clinic FROM token WHERE kid = ?`, []any{&clinic}, kid)
		if err != nil {
			return err
		}
		if !found {
			return relay.ErrUnknownToken
		}
		if _, err := one(ctx, tx, `SELECT n FROM clinic WHERE n = ?`+r.dialect.ForUpdate, []any{&clinic}, clinic); err != nil {
			return err
		}
		found, err = one(ctx, tx, `SELECT id, confirmed_at, used_at FROM token WHERE kid = ?`, []any{&id, &confirmed, &used}, kid)
		if err != nil {
			return err
		}
		if !found {
			return relay.ErrUnknownToken
		}
		return fn(tx, id, clinic, confirmed, used)
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	return err
}

// ConfirmToken implements relay.Registry.
func (r *Records) ConfirmToken(ctx context.Context, kid string, at, oldDies time.Time) error {
	return r.onToken(ctx, kid, func(tx Tx, id, clinic, confirmed, _ int64) error {
		if confirmed != 0 {
			return errNothing
		}
		if _, err := tx.Exec(ctx, `UPDATE token SET confirmed_at = ? WHERE id = ?`, micro(at), id); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE token SET dies_at = ? WHERE clinic = ? AND id < ? AND (dies_at = 0 OR dies_at > ?)`,
			micro(oldDies), clinic, id, micro(oldDies))
		return err
	})
}

// UseToken implements relay.Registry.
func (r *Records) UseToken(ctx context.Context, kid string, at time.Time) error {
	return r.onToken(ctx, kid, func(tx Tx, id, clinic, _, used int64) error {
		if used != 0 {
			return errNothing
		}
		if _, err := tx.Exec(ctx, `UPDATE token SET used_at = ? WHERE id = ?`, micro(at), id); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM token WHERE clinic = ? AND id < ?`, clinic, id)
		return err
	})
}

// RequestRotation implements relay.Registry.
func (r *Records) RequestRotation(ctx context.Context, id wire.ClinicID) error {
	return r.counted(ctx, func(tx Tx, rev int64) error {
		n, err := tx.Exec(ctx, `UPDATE clinic SET rotate = 1, changed_rev = ? WHERE id = ?`, rev, string(id))
		if err == nil && n == 0 {
			return relay.ErrUnknownClinic
		}
		return err
	})
}
