package localdb

import (
	"context"
	"errors"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
)

const nextSeq = `UPDATE counter SET value = value + 1 WHERE name = 'hint' RETURNING value`

const addHint = `
INSERT INTO hint(provet_id, seq, reason, first_at, at, due_at) VALUES (?1, ?2, ?3, ?4, ?4, ?4)
ON CONFLICT(provet_id) DO UPDATE SET
  seq = excluded.seq, reason = excluded.reason, at = excluded.at, due_at = min(due_at, excluded.due_at)`

// AddHint records that an order has to be looked at. Hints for the same order
// coalesce into one row that is due at once, or at the later time given; Seq
// grows with every call and is never used twice.
func (tx *Tx) AddHint(ctx context.Context, provetID, reason string, at time.Time) error {
	seq, err := one(ctx, tx.Snapshot, nextSeq, scanInt)
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, addHint, provetID, seq, reason, msNotNull(at))
	return err
}

// FinishHint removes a hint that was looked at. It reports false, and leaves
// the hint, when another signal arrived meanwhile.
func (tx *Tx) FinishHint(ctx context.Context, provetID string, seq int64) (bool, error) {
	n, err := tx.exec(ctx, `DELETE FROM hint WHERE provet_id = ? AND seq = ?`, provetID, seq)
	return n > 0, err
}

// DeferHint postpones a hint whose order could not be read, and counts the
// attempt. It reports false, and changes nothing, when another signal arrived
// meanwhile: the hint is due already. code and text say why, for people.
func (tx *Tx) DeferHint(ctx context.Context, provetID string, seq int64, nextAt time.Time, code, text string) (bool, error) {
	n, err := tx.exec(ctx, `UPDATE hint SET due_at = ?, attempts = attempts + 1, last_code = ?, last_text = ?
		WHERE provet_id = ? AND seq = ?`, msNotNull(nextAt), orNull(code), orNull(text), provetID, seq)
	return n > 0, err
}

const hintsDue = `UPDATE hint SET due_at = ?1 WHERE due_at > ?1 AND attempts > 0`

// HintsDue makes the hints due whose order could not be read: what was read
// from works again. It returns how many became due.
func (tx *Tx) HintsDue(ctx context.Context, now time.Time) (int, error) {
	n, err := tx.exec(ctx, hintsDue, msNotNull(now))
	return int(n), err
}

// HintRow is a hint as people see it.
type HintRow struct {
	order.Hint
	FirstAt  time.Time // oldest signal that was not looked at
	DueAt    time.Time
	LastCode string
	LastText string
}

const hintColumns = `provet_id, reason, at, seq, attempts, first_at, due_at, last_code, last_text`

func scanHint(r scanner) (h HintRow, err error) {
	err = r.Scan(&h.ProvetID, &h.Reason, intoTime{&h.At}, &h.Seq, &h.Attempts, intoTime{&h.FirstAt}, intoTime{&h.DueAt}, intoText{&h.LastCode}, intoText{&h.LastText})
	return h, err
}

// DueHint returns the hint that has been due longest, or false.
func (s *Snapshot) DueHint(ctx context.Context, now time.Time) (order.Hint, bool, error) {
	hs, err := s.DueHints(ctx, now, 1)
	if err != nil || len(hs) == 0 {
		return order.Hint{}, false, err
	}
	return hs[0], true, nil
}

// DueHints returns up to limit hints that are due, longest first.
func (s *Snapshot) DueHints(ctx context.Context, now time.Time, limit int) ([]order.Hint, error) {
	rows, err := all(ctx, s, `SELECT `+hintColumns+` FROM hint WHERE due_at <= ? ORDER BY due_at, seq LIMIT ?`,
		scanHint, msNotNull(now), limit)
	out := make([]order.Hint, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.Hint)
	}
	return out, err
}

// Hints returns up to limit hints, due or not, the next one first.
func (s *Snapshot) Hints(ctx context.Context, limit int) ([]HintRow, error) {
	return all(ctx, s, `SELECT `+hintColumns+` FROM hint ORDER BY due_at, seq LIMIT ?`, scanHint, limit)
}

// HintCount returns how many orders wait to be looked at.
func (s *Snapshot) HintCount(ctx context.Context) (int, error) {
	n, err := one(ctx, s, `SELECT count(*) FROM hint`, scanInt)
	return int(n), err
}

// NextHintAt returns when the next hint is due, or false when there is none.
func (s *Snapshot) NextHintAt(ctx context.Context) (time.Time, bool, error) {
	v, err := one(ctx, s, `SELECT due_at FROM hint ORDER BY due_at LIMIT 1`, scanInt)
	if errors.Is(err, ErrNotFound) {
		return time.Time{}, false, nil
	}
	return fromMS(v), err == nil, err
}

// OldestHintAt returns the time of the oldest signal that was not looked at,
// or false when there is none.
func (s *Snapshot) OldestHintAt(ctx context.Context) (time.Time, bool, error) {
	var t time.Time
	_, err := one(ctx, s, `SELECT min(first_at) FROM hint`, func(r scanner) (struct{}, error) { return struct{}{}, r.Scan(intoTime{&t}) })
	return t, err == nil && !t.IsZero(), err
}
