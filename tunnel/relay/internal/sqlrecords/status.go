package sqlrecords

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// Status implements relay.Registry.
func (r *Records) Status(ctx context.Context) ([]relay.Status, error) {
	var out []relay.Status
	err := r.db.Read(ctx, func(tx Tx) error {
		var keys []int64
		out = nil
		if err := tx.Query(ctx, `SELECT c.n, c.id, c.name, c.created_at, c.revoked_at, c.paired_at, c.version, c.history,
			c.received, c.too_large, c.limited, c.gaps, c.takeovers,
			m.version, m.last_heard, m.connected_since, m.transport, m.node, m.acked, `+r.dialect.Head+`
			FROM clinic c JOIN mailbox m ON m.clinic = c.n ORDER BY c.name_key, c.n`, func(scan Scan) error {
			s, n, err := scanStatus(scan)
			out, keys = append(out, s), append(keys, n)
			return err
		}); err != nil {
			return err
		}
		index := make(map[int64]*relay.Status, len(out))
		for i := range out {
			index[keys[i]] = &out[i]
			if err := backlog(ctx, tx, keys[i], &out[i]); err != nil {
				return err
			}
		}
		return statusURLs(ctx, tx, index)
	})
	return out, err
}

func scanStatus(scan Scan) (s relay.Status, n int64, err error) {
	var created, revoked, paired, heard, since int64
	var version, history string
	if err := scan(&n, (*string)(&s.Clinic.ID), &s.Clinic.Name, &created, &revoked, &paired, &version, &history,
		&s.Counts.Received, &s.Counts.TooLarge, &s.Counts.Limited, &s.Counts.Gaps, &s.Counts.Takeovers,
		&s.Version, &heard, &since, &s.Transport, (*string)(&s.Node), (*int64)(&s.Acked), (*int64)(&s.Head)); err != nil {
		return s, n, err
	}
	var h relay.History
	if err := json.Unmarshal([]byte(history), &h); err != nil {
		return s, n, fmt.Errorf("sqlrecords: read a history: %w", err)
	}
	if s.Version == "" {
		s.Version = version
	}
	s.Counts.Clinic = s.Clinic.ID
	s.Clinic.CreatedAt, s.Clinic.RevokedAt, s.Paired = fromMicro(created), fromMicro(revoked), fromMicro(paired)
	s.LastHeard, s.ConnectedSince, s.Frozen = fromMicro(heard), fromMicro(since), h.Frozen
	return s, n, nil
}

func backlog(ctx context.Context, tx Tx, n int64, s *relay.Status) error {
	if s.Head <= s.Acked {
		return nil
	}
	var oldest int64
	if _, err := one(ctx, tx, `SELECT received_at FROM event WHERE clinic = ? AND seq > ? ORDER BY seq LIMIT 1`, []any{&oldest}, n, int64(s.Acked)); err != nil {
		return err
	}
	s.Oldest = fromMicro(oldest)
	_, err := one(ctx, tx, `SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM event WHERE clinic = ? AND seq > ?`,
		[]any{&s.Backlog, &s.BacklogBytes}, n, int64(s.Acked))
	return err
}

func statusURLs(ctx context.Context, tx Tx, index map[int64]*relay.Status) error {
	return tx.Query(ctx, `SELECT clinic, kind, label, created_at, expires_at, first_used, last_used, uses FROM url
		WHERE retired_at = 0 ORDER BY clinic, created_at, kind, hash`, func(scan Scan) error {
		var n, created, expires, first, last int64
		var u relay.URLStatus
		if err := scan(&n, &u.Kind, &u.Label, &created, &expires, &first, &last, &u.Uses); err != nil {
			return err
		}
		u.CreatedAt, u.ExpiresAt, u.FirstUsed, u.LastUsed = fromMicro(created), fromMicro(expires), fromMicro(first), fromMicro(last)
		if s := index[n]; s != nil {
			s.URLs = append(s.URLs, u)
		}
		return nil
	})
}

// Owned implements relay.Store.
func (r *Records) Owned(ctx context.Context, node relay.NodeID) ([]relay.Ownership, error) {
	var out []relay.Ownership
	err := r.db.Read(ctx, func(tx Tx) error {
		out = nil
		return tx.Query(ctx, `SELECT c.id, m.session_epoch, m.acked, c.revoked_at, `+r.dialect.Head+`
			FROM mailbox m JOIN clinic c ON c.n = m.clinic WHERE m.node <> '' AND m.node = ?`, func(scan Scan) error {
			var o relay.Ownership
			var revoked int64
			if err := scan((*string)(&o.Clinic), (*int64)(&o.Epoch), (*int64)(&o.Acked), &revoked, (*int64)(&o.Head)); err != nil {
				return err
			}
			o.Revoked, o.Acked = revoked != 0, r.held(o.Clinic, o.Acked, o.Head, o.Epoch)
			out = append(out, o)
			return nil
		}, string(node))
	})
	return out, err
}

// Pending implements relay.Store.
func (r *Records) Pending(ctx context.Context, node relay.NodeID) ([]relay.Wakeup, error) {
	var out []relay.Wakeup
	err := r.db.Read(ctx, func(tx Tx) error {
		out = nil
		return tx.Query(ctx, `SELECT c.id, m.session_epoch, m.acked, `+r.dialect.Head+` FROM mailbox m JOIN clinic c ON c.n = m.clinic
			WHERE m.node <> '' AND m.node = ? AND `+r.dialect.Head+` > m.acked`, func(scan Scan) error {
			var w relay.Wakeup
			var epoch wire.Epoch
			var acked wire.Seq
			if err := scan((*string)(&w.Clinic), (*int64)(&epoch), (*int64)(&acked), (*int64)(&w.Seq)); err != nil {
				return err
			}
			if r.held(w.Clinic, acked, w.Seq, epoch) < w.Seq {
				out = append(out, w)
			}
			return nil
		}, string(node))
	})
	return out, err
}
