package sqlrecords

import (
	"context"
	"errors"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
)

// AddURLs implements relay.Registry.
func (r *Records) AddURLs(ctx context.Context, urls []relay.InboundURL) error {
	if len(urls) == 0 {
		return nil
	}
	return r.taken(r.counted(ctx, func(tx Tx, rev int64) error { return addURLs(ctx, tx, rev, urls) }))
}

func addURLs(ctx context.Context, tx Tx, rev int64, urls []relay.InboundURL) error {
	for _, u := range urls {
		n, err := clinicKey(ctx, tx, u.Clinic)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO url (hash, clinic, kind, label, created_at, expires_at, retired_at, changed_rev)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, u.Hash[:], n, u.Kind, u.Label, micro(u.CreatedAt), micro(u.ExpiresAt), micro(u.RetiredAt), rev); err != nil {
			return err
		}
	}
	return nil
}

// retirable is the condition of RetireURLs: past its end, or a younger one of the same kind has been used.
const retirable = ` retired_at = 0 AND ((expires_at <> 0 AND expires_at <= ?) OR EXISTS (
	SELECT 1 FROM url y WHERE y.clinic = url.clinic AND y.kind = url.kind AND y.created_at > url.created_at
	AND y.first_used <> 0 AND y.first_used < ?))`

// RetireURLs implements relay.Registry.
func (r *Records) RetireURLs(ctx context.Context, usedBefore, now time.Time) (int, error) {
	var n int64
	look := func(tx Tx) error {
		_, err := one(ctx, tx, `SELECT count(*) FROM url WHERE`+retirable, []any{&n}, micro(now), micro(usedBefore))
		return err
	}
	if err := r.db.Read(ctx, look); err != nil || n == 0 {
		return 0, err
	}
	err := r.counted(ctx, func(tx Tx, rev int64) (err error) {
		n, err = tx.Exec(ctx, `UPDATE url SET retired_at = ?, changed_rev = ? WHERE`+retirable, micro(now), rev, micro(now), micro(usedBefore))
		if err == nil && n == 0 {
			return errNothing
		}
		return err
	})
	if errors.Is(err, errNothing) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return int(n), nil
}
