package sqlitestore

import (
	"context"
	"database/sql"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

const maxKind = 64 // bytes

// Append implements relay.Store.
func (s *Store) Append(ctx context.Context, c wire.ClinicID, e relay.Event) (wire.Seq, error) {
	if len(e.Header) > wire.MaxHeader || len(e.Body) > relay.MaxBodyLimit+relay.MaxSealing || len(e.Kind) > maxKind {
		return 0, relay.ErrTooLarge
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	n, err := s.key(ctx, c)
	if err != nil {
		return 0, err
	}
	return s.w.append(ctx, n, &e)
}

// afterText reads the removed part and what follows in one statement, which is one snapshot. There is always a row.
const afterText = `SELECT m.removed_to, m.removed_why, e.seq, e.received_at, e.kind, e.header, e.body
	FROM mailbox m LEFT JOIN event e ON e.clinic = m.clinic AND e.seq > ?
	WHERE m.clinic = ? ORDER BY e.seq LIMIT ?`

// After implements relay.Store.
func (s *Store) After(ctx context.Context, c wire.ClinicID, seq wire.Seq, maxMsgs, maxBytes int) ([]relay.Event, error) {
	n, err := s.key(ctx, c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	rows, err := s.after.QueryContext(ctx, int64(seq), n, int64(max(maxMsgs, 1)))
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	var out []relay.Event
	size := 0
	for rows.Next() {
		var removed int64
		var why string
		var num, at sql.NullInt64
		var kind sql.NullString
		var e relay.Event
		if err := rows.Scan(&removed, &why, &num, &at, &kind, &e.Header, &e.Body); err != nil {
			return nil, failure(err)
		}
		if removed > int64(seq) {
			return nil, &relay.GapError{RemovedTo: wire.Seq(removed), Reason: why}
		}
		if !num.Valid {
			break
		}
		size += len(e.Header) + len(e.Body)
		if size > maxBytes && len(out) > 0 {
			break
		}
		e.Seq, e.ReceivedAt, e.Kind = wire.Seq(num.Int64), time.UnixMicro(at.Int64).UTC(), kind.String
		out = append(out, e)
	}
	return out, failure(rows.Err())
}

// bounded gives a read a deadline if it has none.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, readTimeout)
}
