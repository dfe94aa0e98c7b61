package sqlrecords

import (
	"context"
	"slices"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// AddPairing implements relay.Registry.
func (r *Records) AddPairing(ctx context.Context, p relay.Pairing) error {
	return r.taken(r.db.Write(ctx, func(tx Tx) error {
		n, err := clinicKey(ctx, tx, p.Clinic)
		if err != nil {
			return err
		}
		created := micro(p.CreatedAt)
		if _, err := tx.Exec(ctx, `DELETE FROM pairing WHERE grp = ? AND expires_at <= ?`, p.Group, created); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE pairing SET ended_at = ? WHERE clinic = ? AND ended_at = 0`, created, n); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO pairing (grp, clinic, hash, created_at, expires_at) VALUES (?, ?, ?, ?, ?)`,
			p.Group, n, p.Hash[:], created, micro(p.ExpiresAt))
		return err
	}))
}

// Pairing implements relay.Registry.
func (r *Records) Pairing(ctx context.Context, group string) (relay.Pairing, error) {
	p := relay.Pairing{Group: group}
	err := r.db.Read(ctx, func(tx Tx) error {
		var id string
		var h []byte
		var created, expires, ended int64
		found, err := one(ctx, tx, `SELECT c.id, p.hash, p.created_at, p.expires_at, p.wrong, p.ended_at
			FROM pairing p JOIN clinic c ON c.n = p.clinic WHERE p.grp = ?`, []any{&id, &h, &created, &expires, &p.Wrong, &ended}, group)
		if err != nil {
			return err
		}
		if !found {
			return relay.ErrUnknownPairing
		}
		p.Clinic, p.Hash = wire.ClinicID(id), hash(h)
		p.CreatedAt, p.ExpiresAt, p.EndedAt = fromMicro(created), fromMicro(expires), fromMicro(ended)
		return nil
	})
	if err != nil {
		return relay.Pairing{}, err
	}
	return p, nil
}

// WrongTry implements relay.Registry.
func (r *Records) WrongTry(ctx context.Context, group string, burnAfter int) (int, error) {
	var n int
	err := r.db.Write(ctx, func(tx Tx) error {
		found, err := one(ctx, tx, `UPDATE pairing SET wrong = wrong + 1,
			ended_at = CASE WHEN ended_at = 0 AND wrong + 1 >= ? THEN ? ELSE ended_at END
			WHERE grp = ? RETURNING wrong`, []any{&n}, int64(burnAfter), micro(r.now()), group)
		if err == nil && !found {
			return relay.ErrUnknownPairing
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// CompletePairing implements relay.Registry.
func (r *Records) CompletePairing(ctx context.Context, p relay.Paired) (wire.StoreEpoch, error) {
	var epoch wire.StoreEpoch
	err := r.taken(r.counted(ctx, func(tx Tx, rev int64) error {
		at := micro(p.At)
		changed, err := tx.Exec(ctx, `UPDATE pairing SET ended_at = ? WHERE grp = ? AND ended_at = 0 AND expires_at > ?
			AND clinic = (SELECT n FROM clinic WHERE id = ? AND revoked_at = 0)`, at, p.Group, at, string(p.Clinic))
		if err != nil {
			return err
		}
		if changed == 0 {
			return relay.ErrPairingUsed
		}
		n, err := clinicKey(ctx, tx, p.Clinic)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE clinic SET identity = ?, instance = ?, version = ?, paired_at = ?, key_id = ?, key_public = ?,
			key_added_at = ?, rotate = 0, history = '{}', history_version = history_version + 1, changed_rev = ? WHERE n = ?`,
			blob(p.Agent.Identity), string(p.Agent.Instance), p.Agent.Version, at, p.Sealing.KeyID, blob(p.Sealing.Public),
			micro(p.Sealing.AddedAt), rev, n); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM token WHERE clinic = ?`, n); err != nil {
			return err
		}
		if err := insertToken(ctx, tx, n, p.Token); err != nil {
			return err
		}
		urls := slices.Clone(p.URLs)
		for i := range urls {
			urls[i].Clinic = p.Clinic
		}
		if err := addURLs(ctx, tx, rev, urls); err != nil {
			return err
		}
		_, err = one(ctx, tx, `SELECT store_epoch FROM mailbox WHERE clinic = ?`, []any{(*string)(&epoch)}, n)
		return err
	}))
	if err != nil {
		return "", err
	}
	return epoch, nil
}
