package sqlitestore

import (
	"context"
	"database/sql"

	"github.com/rayhound/rayhound/tunnel/relay/internal/sqlrecords"
)

// transactions runs what both stores have in common on this one.
type transactions struct{ s *Store }

// Write implements sqlrecords.DB: fn joins the next group commit.
func (t transactions) Write(ctx context.Context, fn func(sqlrecords.Tx) error) error {
	return failure(t.s.w.do(ctx, func(_ context.Context, c *conn) error { return fn(writeTx{c}) }))
}

// Read implements sqlrecords.DB.
func (t transactions) Read(ctx context.Context, fn func(sqlrecords.Tx) error) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	tx, err := t.s.readPool.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return failure(err)
	}
	defer tx.Rollback() //nolint:errcheck // it only read
	return failure(fn(readTx{tx}))
}

// Duplicate implements sqlrecords.DB.
func (transactions) Duplicate(err error) bool { return isDuplicate(err) }

// writeTx is the writer's transaction. Its statements are not interrupted: a group commit is over in milliseconds, and
// an interrupt would hit the neighbours.
type writeTx struct{ c *conn }

func (t writeTx) Exec(ctx context.Context, text string, args ...any) (int64, error) {
	return t.c.changed(context.WithoutCancel(ctx), text, args...)
}

func (t writeTx) Query(ctx context.Context, text string, each func(sqlrecords.Scan) error, args ...any) error {
	return t.c.all(context.WithoutCancel(ctx), text, func(r scanner) error { return each(r.Scan) }, args...)
}

type readTx struct{ tx *sql.Tx }

func (t readTx) Exec(ctx context.Context, text string, args ...any) (int64, error) {
	r, err := t.tx.ExecContext(ctx, text, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (t readTx) Query(ctx context.Context, text string, each func(sqlrecords.Scan) error, args ...any) error {
	rows, err := t.tx.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	return scanAll(rows, func(r scanner) error { return each(r.Scan) })
}
