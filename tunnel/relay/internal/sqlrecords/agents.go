package sqlrecords

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// Agent implements relay.Registry.
func (r *Records) Agent(ctx context.Context, id wire.ClinicID) (relay.Agent, error) {
	a := relay.Agent{Clinic: id}
	err := r.db.Read(ctx, func(tx Tx) error {
		var identity []byte
		var paired int64
		found, err := one(ctx, tx, `SELECT identity, instance, version, paired_at FROM clinic WHERE id = ?`,
			[]any{&identity, (*string)(&a.Instance), &a.Version, &paired}, string(id))
		switch {
		case err != nil:
			return err
		case !found:
			return relay.ErrUnknownClinic
		case paired == 0:
			return relay.ErrNotPaired
		}
		a.Identity, a.PairedAt = ed25519.PublicKey(identity), fromMicro(paired)
		return nil
	})
	if err != nil {
		return relay.Agent{}, err
	}
	return a, nil
}

// AddSealingKey implements relay.Registry.
func (r *Records) AddSealingKey(ctx context.Context, id wire.ClinicID, k relay.SealingKey) error {
	err := r.counted(ctx, func(tx Tx, rev int64) error {
		var keyID string
		var public []byte
		var paired int64
		found, err := one(ctx, tx, `SELECT key_id, key_public, paired_at FROM clinic WHERE id = ?`, []any{&keyID, &public, &paired}, string(id))
		switch {
		case err != nil:
			return err
		case !found:
			return relay.ErrUnknownClinic
		case paired == 0:
			return relay.ErrNotPaired
		case keyID == k.KeyID && bytes.Equal(public, k.Public):
			return errNothing
		}
		_, err = tx.Exec(ctx, `UPDATE clinic SET key_id = ?, key_public = ?, key_added_at = ?, changed_rev = ? WHERE id = ?`,
			k.KeyID, blob(k.Public), micro(k.AddedAt), rev, string(id))
		return err
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	return err
}
