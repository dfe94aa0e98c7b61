package sqlrecords

import (
	"context"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
)

// AddNotice implements relay.Registry. A settled notice keeps its key until Expire forgets it.
func (r *Records) AddNotice(ctx context.Context, n relay.Notice) (bool, error) {
	var added int64
	err := r.db.Write(ctx, func(tx Tx) (err error) {
		added, err = tx.Exec(ctx, `INSERT INTO notice (key, kind, clinic, name, at, detail, due_at) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING`,
			n.Key, n.Kind, string(n.Clinic), n.Name, micro(n.At), n.Detail, micro(n.At))
		return err
	})
	return err == nil && added == 1, err
}

// DueNotices implements relay.Registry.
func (r *Records) DueNotices(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]relay.Notice, error) {
	var out []relay.Notice
	err := r.db.Write(ctx, func(tx Tx) error {
		out = nil
		err := tx.Query(ctx, `SELECT key, kind, clinic, name, at, detail, tries FROM notice WHERE settled_at = 0 AND due_at <= ?
			ORDER BY due_at, key LIMIT ?`+r.dialect.ForUpdate, func(scan Scan) error {
			var n relay.Notice
			var at int64
			if err := scan(&n.Key, &n.Kind, (*string)(&n.Clinic), &n.Name, &at, &n.Detail, &n.Tries); err != nil {
				return err
			}
			n.At = fromMicro(at)
			out = append(out, n)
			return nil
		}, micro(now), int64(limit))
		if err != nil {
			return err
		}
		for _, n := range out {
			if _, err := tx.Exec(ctx, `UPDATE notice SET due_at = ? WHERE key = ?`, micro(now.Add(lease)), n.Key); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// SettleNotice implements relay.Registry.
func (r *Records) SettleNotice(ctx context.Context, key string) error {
	return r.db.Write(ctx, func(tx Tx) error {
		_, err := tx.Exec(ctx, `UPDATE notice SET settled_at = ? WHERE key = ? AND settled_at = 0`, micro(r.now()), key)
		return err
	})
}

// RetryNotice implements relay.Registry.
func (r *Records) RetryNotice(ctx context.Context, key string, at time.Time) error {
	return r.db.Write(ctx, func(tx Tx) error {
		_, err := tx.Exec(ctx, `UPDATE notice SET due_at = ?, tries = tries + 1 WHERE key = ?`, micro(at), key)
		return err
	})
}
