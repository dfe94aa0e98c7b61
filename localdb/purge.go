package localdb

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Rows removed in one transaction: others write in between.
const (
	purgeOrders = 50
	purgeRows   = 500
)

// PurgePolicy says how long things are kept. Zero keeps them for ever.
type PurgePolicy struct {
	Orders   time.Duration // closed orders with all that belongs to them, arrivals, performed steps
	Raw      time.Duration // bytes of messages, payloads of sent entries, query log, events of the tunnel
	Audit    time.Duration
	Pending  time.Duration // machines that stopped calling, unless ignored
	Problems time.Duration // problems that went away
}

// PurgeResult counts what was removed.
type PurgeResult struct {
	Orders, Raw, Payloads, PerformedSteps, Arrivals, Queries, Audit, Pending, Problems, Inbox, HL7 int

	Truncated bool // the write-ahead log was emptied: nothing of it is readable in the files
}

// purgeStep removes up to a batch and returns how much it did.
type purgeStep struct {
	count *int
	batch int
	keep  time.Duration
	run   func(ctx context.Context, tx *Tx, before time.Time, batch int) (int, error)
}

// Purge removes what has been kept long enough, in small transactions, and then
// makes sure that it is gone from the files: secure_delete has overwritten it,
// and the write-ahead log is emptied. A closed order leaves a tombstone. An
// order that still owes something stays for twice the time.
//
// Truncated is false when readers kept the log busy for ten seconds; the next
// Purge, or Close, does it then.
func (db *DB) Purge(ctx context.Context, p PurgePolicy) (PurgeResult, error) {
	var r PurgeResult
	now := db.cfg.Now()
	for _, s := range []purgeStep{
		{&r.Orders, purgeOrders, p.Orders, func(ctx context.Context, tx *Tx, before time.Time, batch int) (int, error) {
			return tx.purgeOrders(ctx, before, before.Add(-p.Orders), now, batch)
		}},
		{&r.PerformedSteps, purgeRows, p.Orders, deleteRows(`DELETE FROM performed_step WHERE id IN (SELECT id FROM performed_step p
			WHERE changed_at < ? AND NOT EXISTS (SELECT 1 FROM performed_ref WHERE performed_step_id = p.id AND order_id IS NOT NULL) LIMIT ?)`)},
		{&r.Arrivals, purgeRows, p.Orders, deleteRows(`DELETE FROM arrival WHERE id IN (SELECT id FROM arrival a
			WHERE at < ? AND linked_order_id IS NULL LIMIT ?)`)},
		{&r.Raw, purgeRows, p.Raw, deleteRows(`UPDATE raw SET bytes = NULL WHERE id IN
			(SELECT id FROM raw WHERE at < ? AND bytes IS NOT NULL LIMIT ?)`)},
		{&r.HL7, purgeRows, p.Orders, deleteRows(`DELETE FROM hl7_in WHERE id IN (SELECT id FROM hl7_in WHERE at < ? LIMIT ?)`)},
		{nil, purgeRows, p.Orders, deleteRows(`DELETE FROM raw WHERE id IN (SELECT id FROM raw WHERE at < ? AND order_id IS NULL LIMIT ?)`)},
		{&r.Payloads, purgeRows, p.Raw, deleteRows(`UPDATE outbox SET payload = x'' WHERE id IN (SELECT id FROM outbox INDEXED BY outbox_done
			WHERE state IN ('done','dropped') AND length(payload) > 0 AND done_at < ? LIMIT ?)`)},
		{&r.Queries, purgeRows, p.Raw, deleteRows(`DELETE FROM query WHERE id IN (SELECT id FROM query WHERE at < ? LIMIT ?)`)},
		{&r.Inbox, purgeRows, p.Raw, deleteRows(`DELETE FROM inbox WHERE id IN (SELECT id FROM inbox INDEXED BY inbox_done
			WHERE processed_at IS NOT NULL AND processed_at < ? LIMIT ?)`)},
		{&r.Inbox, purgeRows, p.Raw, deleteRows(`DELETE FROM inbox WHERE id IN (SELECT id FROM inbox INDEXED BY inbox_new
			WHERE state = 'new' AND at < ? LIMIT ?)`)}, // nobody will understand it; a sweep has found what it told
		{nil, purgeRows, p.Audit, deleteRows(`DELETE FROM tunnel_gap WHERE id IN (SELECT id FROM tunnel_gap WHERE at < ? LIMIT ?)`)},
		{&r.Audit, purgeRows, p.Audit, deleteRows(`DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ? LIMIT ?)`)},
		{&r.Pending, purgeRows, p.Pending, deleteRows(`DELETE FROM pending_machine WHERE id IN
			(SELECT id FROM pending_machine WHERE ignored = 0 AND last_at < ? LIMIT ?)`)},
		{&r.Problems, purgeRows, p.Problems, deleteRows(`DELETE FROM problem_log WHERE id IN
			(SELECT id FROM problem_log WHERE cleared_at IS NOT NULL AND raised_at < ? LIMIT ?)`)},
	} {
		if s.keep <= 0 {
			continue
		}
		if s.count == nil {
			s.count = new(int)
		}
		if err := db.purge(ctx, s, now.Add(-s.keep)); err != nil {
			return r, fmt.Errorf("localdb: purge: %w", err)
		}
	}
	var err error
	r.Truncated, err = db.compact(ctx)
	return r, err
}

// purge repeats a step until it finds less than a batch.
func (db *DB) purge(ctx context.Context, s purgeStep, before time.Time) error {
	for {
		n := 0
		if err := db.Write(ctx, func(tx *Tx) (err error) {
			n, err = s.run(ctx, tx, before, s.batch)
			return err
		}); err != nil {
			return err
		}
		*s.count += n
		if n < s.batch {
			return nil
		}
	}
}

func deleteRows(text string) func(context.Context, *Tx, time.Time, int) (int, error) {
	return func(ctx context.Context, tx *Tx, before time.Time, batch int) (int, error) {
		n, err := tx.exec(ctx, text, before.UnixMilli(), batch)
		return int(n), err
	}
}

const closedOrders = `
SELECT id FROM orders o INDEXED BY orders_closed WHERE closed_at IS NOT NULL AND closed_at < ?1
  AND state IN ('completed','discontinued','cancelled')
  AND (closed_at < ?2 OR NOT EXISTS (SELECT 1 FROM outbox e INDEXED BY outbox_order
        WHERE e.order_id = o.id AND e.` + unsent + `))
ORDER BY closed_at LIMIT ?3`

const buryOrder = `
INSERT INTO tombstone(provet_id, accession_number, study_instance_uid, reason, at)
SELECT provet_id, accession_number, study_instance_uid, 'purged ' || state, ?2 FROM orders WHERE id = ?1
ON CONFLICT(provet_id) DO UPDATE SET accession_number=excluded.accession_number, study_instance_uid=excluded.study_instance_uid, reason=excluded.reason`

// purgeOrders removes closed orders and all that belongs to them.
func (tx *Tx) purgeOrders(ctx context.Context, before, unsentBefore, now time.Time, batch int) (int, error) {
	ids, err := all(ctx, tx.Snapshot, closedOrders, scanInt, before.UnixMilli(), unsentBefore.UnixMilli(), batch)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		if _, err := tx.exec(ctx, buryOrder, id, msNotNull(now)); err != nil {
			return 0, err
		}
		if _, err := tx.exec(ctx, `DELETE FROM orders WHERE id = ?`, id); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

// DeleteOrder removes an order and all that belongs to it at once, leaving a
// tombstone: the owner asked for it. Compact makes it unreadable in the files.
func (tx *Tx) DeleteOrder(ctx context.Context, id int64, at time.Time) error {
	if _, err := tx.exec(ctx, buryOrder, id, msNotNull(at)); err != nil {
		return err
	}
	if err := tx.scrubHL7(ctx, id); err != nil {
		return err
	}
	for _, q := range []string{
		`DELETE FROM performed_step WHERE id IN (SELECT performed_step_id FROM performed_ref WHERE order_id = ?)`,
		`DELETE FROM arrival WHERE linked_order_id = ?`,
	} {
		if _, err := tx.exec(ctx, q, id); err != nil {
			return err
		}
	}
	n, err := tx.exec(ctx, `DELETE FROM orders WHERE id = ?`, id)
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// Compact gives free pages back to the disk and empties the write-ahead log, so
// that nothing deleted is readable in the files. Purge calls it.
func (db *DB) Compact(ctx context.Context) error {
	ok, err := db.compact(ctx)
	if err == nil && !ok {
		err = errors.New("localdb: readers keep the write-ahead log busy")
	}
	return err
}

func (db *DB) compact(ctx context.Context) (bool, error) {
	const step = 2000 // pages in one go, so that the writer is not held long
	for {
		left, err := db.vacuumStep(ctx, step)
		if err != nil {
			return false, err
		}
		if left == 0 {
			break
		}
	}
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		done := false
		err := db.useWriter(ctx, func(c *conn) (err error) {
			done, err = truncateWAL(ctx, c)
			return err
		})
		if err != nil || done {
			return done, err
		}
		if wait == time.Second {
			return false, nil
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return false, ctx.Err()
		}
	}
}

// vacuumStep frees up to n pages and returns how many free ones are left.
func (db *DB) vacuumStep(ctx context.Context, n int) (left int64, err error) {
	err = db.useWriter(ctx, func(c *conn) error {
		// The pragma works while its rows are read, a page a step.
		rows, err := c.c.QueryContext(ctx, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", n))
		if err != nil {
			return err
		}
		for rows.Next() {
			continue // the rows are empty
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		return c.c.QueryRowContext(ctx, "PRAGMA freelist_count").Scan(&left)
	})
	return left, err
}

// Optimize lets SQLite refresh its statistics. Call it once a day.
func (db *DB) Optimize(ctx context.Context) error {
	return db.useWriter(ctx, func(c *conn) error {
		if _, err := c.c.ExecContext(ctx, "PRAGMA analysis_limit=400"); err != nil {
			return err
		}
		_, err := c.c.ExecContext(ctx, "PRAGMA optimize")
		return err
	})
}

// useWriter runs fn with the writer's connection and no transaction.
func (db *DB) useWriter(ctx context.Context, fn func(*conn) error) error {
	select {
	case c := <-db.writer:
		defer func() { db.writer <- c }()
		return db.classify(fn(c))
	case <-ctx.Done():
		return fmt.Errorf("localdb: wait for the writer: %w", context.Cause(ctx))
	case <-db.closing:
		return ErrClosed
	}
}
