package sqlrecords

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

const clinicColumns = `SELECT id, name, created_at, revoked_at FROM clinic `

// fold makes names comparable without regard to case.
func fold(name string) string { return strings.ToLower(strings.ToUpper(strings.TrimSpace(name))) }

// newEpoch returns a store epoch nobody had before.
func newEpoch() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// AddClinic implements relay.Registry.
func (r *Records) AddClinic(ctx context.Context, c relay.Clinic) error {
	if c.ID == "" || c.Name == "" || len(c.Name) > 200 {
		return errors.New("sqlrecords: a clinic needs an id, and a name of at most 200 bytes")
	}
	return r.counted(ctx, func(tx Tx, rev int64) error {
		var n int64
		if found, err := one(ctx, tx, `SELECT n FROM clinic WHERE name_key = ? AND revoked_at = 0`, []any{&n}, fold(c.Name)); err != nil {
			return err
		} else if found {
			return relay.ErrNameTaken
		}
		if found, err := one(ctx, tx, `SELECT n FROM clinic WHERE id = ?`, []any{&n}, string(c.ID)); err != nil {
			return err
		} else if found {
			return relay.ErrTaken
		}
		if _, err := one(ctx, tx, `INSERT INTO clinic (id, name, name_key, created_at, changed_rev) VALUES (?, ?, ?, ?, ?) RETURNING n`, []any{&n},
			string(c.ID), c.Name, fold(c.Name), micro(c.CreatedAt), rev); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO mailbox (clinic, store_epoch) VALUES (?, ?)`, n, newEpoch())
		return err
	})
}

func scanClinic(c *relay.Clinic, scan Scan) error {
	var id string
	var created, revoked int64
	if err := scan(&id, &c.Name, &created, &revoked); err != nil {
		return err
	}
	c.ID, c.CreatedAt, c.RevokedAt = wire.ClinicID(id), fromMicro(created), fromMicro(revoked)
	return nil
}

func (r *Records) clinic(ctx context.Context, text string, arg any) (relay.Clinic, error) {
	var c relay.Clinic
	err := r.db.Read(ctx, func(tx Tx) error {
		c = relay.Clinic{}
		return tx.Query(ctx, text, func(scan Scan) error { return scanClinic(&c, scan) }, arg)
	})
	if err == nil && c.ID == "" {
		err = relay.ErrUnknownClinic
	}
	return c, err
}

// Clinic implements relay.Registry.
func (r *Records) Clinic(ctx context.Context, id wire.ClinicID) (relay.Clinic, error) {
	return r.clinic(ctx, clinicColumns+`WHERE id = ?`, string(id))
}

// ClinicByName implements relay.Registry.
func (r *Records) ClinicByName(ctx context.Context, name string) (relay.Clinic, error) {
	return r.clinic(ctx, clinicColumns+`WHERE name_key = ?
		ORDER BY CASE WHEN revoked_at = 0 THEN 0 ELSE 1 END, revoked_at DESC, n DESC LIMIT 1`, fold(name))
}

// Revoke implements relay.Registry. The rows of its tokens stay, so that an agent can be told why it is refused.
func (r *Records) Revoke(ctx context.Context, id wire.ClinicID, at time.Time) error {
	err := r.counted(ctx, func(tx Tx, rev int64) error {
		n, err := clinicKey(ctx, tx, id)
		if err != nil {
			return err
		}
		when := micro(at)
		changed, err := tx.Exec(ctx, `UPDATE clinic SET revoked_at = ?, changed_rev = ?, rotate = 0 WHERE n = ? AND revoked_at = 0`, when, rev, n)
		if err != nil {
			return err
		}
		if changed == 0 {
			return errNothing
		}
		if _, err := tx.Exec(ctx, `UPDATE url SET retired_at = ?, changed_rev = ? WHERE clinic = ? AND retired_at = 0`, when, rev, n); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE pairing SET ended_at = ? WHERE clinic = ? AND ended_at = 0`, when, n)
		return err
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	return err
}

// Changes implements relay.Registry.
func (r *Records) Changes(ctx context.Context, since relay.Revision) (relay.Changes, error) {
	var out relay.Changes
	err := r.db.Read(ctx, func(tx Tx) error {
		out = relay.Changes{}
		if _, err := one(ctx, tx, `SELECT revision FROM relay_meta WHERE one = 1`, []any{(*int64)(&out.Revision)}); err != nil {
			return err
		}
		from := int64(since)
		switch {
		case since == out.Revision && since != 0:
			return nil
		case since > out.Revision:
			from = 0 // the database was restored: tell everything
		}
		err := tx.Query(ctx, `SELECT id, name, revoked_at, rotate, key_id, key_public, key_added_at FROM clinic WHERE changed_rev > ?`, func(scan Scan) error {
			var s relay.State
			var id string
			var revoked, rotate, added int64
			if err := scan(&id, &s.Name, &revoked, &rotate, &s.Sealing.KeyID, &s.Sealing.Public, &added); err != nil {
				return err
			}
			if len(s.Sealing.Public) == 0 {
				s.Sealing.Public = nil
			}
			s.ID, s.Revoked, s.Rotate, s.Sealing.AddedAt = wire.ClinicID(id), revoked != 0, rotate != 0, fromMicro(added)
			out.Clinics = append(out.Clinics, s)
			return nil
		}, from)
		if err != nil {
			return fmt.Errorf("sqlrecords: read clinics: %w", err)
		}
		return tx.Query(ctx, `SELECT u.hash, c.id, u.kind, u.label, u.created_at, u.expires_at, u.retired_at
			FROM url u JOIN clinic c ON c.n = u.clinic WHERE u.changed_rev > ?`, func(scan Scan) error {
			var u relay.InboundURL
			var id string
			var h []byte
			var created, expires, retired int64
			if err := scan(&h, &id, &u.Kind, &u.Label, &created, &expires, &retired); err != nil {
				return err
			}
			u.Hash, u.Clinic = hash(h), wire.ClinicID(id)
			u.CreatedAt, u.ExpiresAt, u.RetiredAt = fromMicro(created), fromMicro(expires), fromMicro(retired)
			out.URLs = append(out.URLs, u)
			return nil
		}, from)
	})
	return out, err
}
