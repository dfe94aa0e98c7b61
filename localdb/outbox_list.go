package localdb

import (
	"context"
	"slices"
	"strings"
	"time"
)

const outboxColumns = `e.id, e.order_id, e.dest, e.kind, e.payload, e.idem_key, e.state, e.attempts, e.next_at, e.give_up_at, e.created_at,
  e.done_at, e.last_code, e.last_text, e.lease_token, e.lease_until, e.unit, e.before, e.unsure, r.accession_number`

func scanOutbox(r scanner) (OutboxEntry, error) {
	var e OutboxEntry
	err := r.Scan(&e.ID, &e.OrderID, &e.Dest, &e.Kind, &e.Payload, &e.IdemKey, &e.State, &e.Attempts, intoTime{&e.NextAt},
		intoTime{&e.GiveUpAt}, intoTime{&e.CreatedAt}, intoTime{&e.DoneAt}, intoText{&e.LastCode}, intoText{&e.LastText},
		intoText{&e.LeaseToken}, intoTime{&e.LeaseUntil}, &e.Unit, &e.Before, &e.Unsure, &e.Accession)
	return e, err
}

// OutboxEntry returns an entry or ErrNotFound.
func (s *Snapshot) OutboxEntry(ctx context.Context, id int64) (*OutboxEntry, error) {
	e, err := one(ctx, s, `SELECT `+outboxColumns+` FROM outbox e JOIN orders r ON r.id = e.order_id WHERE e.id = ?`, scanOutbox, id)
	if err != nil {
		return nil, err
	}
	return &e, nil
}

// OutboxFilter selects entries. The zero value is everything unsent.
type OutboxFilter struct {
	Dest    string
	OrderID int64
	States  []string // empty: ready, leased and parked
	Limit   int      // 0: 500; at most 5000
}

// Outbox returns entries in the order of sending; with only done or dropped
// ones asked for, newest first.
func (s *Snapshot) Outbox(ctx context.Context, f OutboxFilter) ([]OutboxEntry, error) {
	var where []string
	var args []any
	history := slices.Contains(f.States, Done) || slices.Contains(f.States, Dropped)
	if !history {
		where = append(where, `e.`+unsent)
	}
	if len(f.States) > 0 {
		where = append(where, `e.state IN (?`+strings.Repeat(`,?`, len(f.States)-1)+`)`)
		for _, st := range f.States {
			args = append(args, st)
		}
	}
	if f.Dest != "" {
		where, args = append(where, `e.dest = ?`), append(args, f.Dest)
	}
	if f.OrderID != 0 {
		where, args = append(where, `e.order_id = ?`), append(args, f.OrderID)
	}
	from := `outbox e`
	switch { // the planner would rather walk through all of history than sort a few
	case f.OrderID != 0:
		from += ` INDEXED BY outbox_order`
	case !history:
		from += ` INDEXED BY outbox_open`
	}
	dir := `ASC`
	if history && !slices.ContainsFunc(f.States, func(st string) bool { return st != Done && st != Dropped }) {
		dir = `DESC`
	}
	limit := 500
	if f.Limit > 0 {
		limit = min(f.Limit, 5000)
	}
	return all(ctx, s, `SELECT `+outboxColumns+` FROM `+from+` JOIN orders r ON r.id = e.order_id
		WHERE `+strings.Join(where, ` AND `)+` ORDER BY e.id `+dir+` LIMIT ?`, scanOutbox, append(args, limit)...)
}

func scanAttempt(r scanner) (a Attempt, err error) {
	var millis int64
	err = r.Scan(&a.ID, &a.EntryID, intoTime{&a.At}, &millis, &a.Outcome, intoText{&a.Code}, intoText{&a.Text})
	a.Duration = time.Duration(millis) * time.Millisecond
	return a, err
}

const attemptColumns = `a.id, a.outbox_id, a.at, a.ms, a.outcome, a.code, a.text`

// Attempts returns the tries of an entry, oldest first.
func (s *Snapshot) Attempts(ctx context.Context, entryID int64) ([]Attempt, error) {
	return all(ctx, s, `SELECT `+attemptColumns+` FROM attempt a WHERE a.outbox_id = ? ORDER BY a.id`, scanAttempt, entryID)
}

// AttemptsOfOrder returns the tries of all entries of an order, oldest first.
func (s *Snapshot) AttemptsOfOrder(ctx context.Context, orderID int64) ([]Attempt, error) {
	return all(ctx, s, `SELECT `+attemptColumns+` FROM outbox e JOIN attempt a ON a.outbox_id = e.id WHERE e.order_id = ? ORDER BY a.id`,
		scanAttempt, orderID)
}

// NextOutboxAt returns when the next entry of a destination can be leased, not
// before now, or false: there is none, or the destination is paused.
func (s *Snapshot) NextOutboxAt(ctx context.Context, dest string, now time.Time) (time.Time, bool, error) {
	d, err := s.Destination(ctx, dest)
	if err != nil || !d.PausedAt.IsZero() {
		return time.Time{}, false, err
	}
	var next time.Time
	_, err = one(ctx, s, `
		SELECT o.next_at FROM outbox o INDEXED BY outbox_due WHERE o.dest = ? AND o.state = 'ready'
		  AND NOT EXISTS (SELECT 1 FROM outbox p INDEXED BY outbox_open WHERE p.dest = o.dest AND p.order_id = o.order_id AND p.id < o.id
		    AND p.state IN ('ready','leased','parked'))
		ORDER BY o.next_at LIMIT 1`, func(r scanner) (struct{}, error) { return struct{}{}, r.Scan(intoTime{&next}) }, dest)
	if err != nil {
		return time.Time{}, false, ignoreNotFound(err)
	}
	for _, t := range []time.Time{d.HoldUntil, now} {
		if t.After(next) {
			next = t
		}
	}
	return next, true, nil
}
