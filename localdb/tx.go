package localdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// readTimeout ends a Read whose context has no deadline: a forgotten reader
// would keep the write-ahead log from shrinking.
const readTimeout = 30 * time.Second

// Snapshot is one consistent view of the database. It is valid inside the
// function it was given to, on one goroutine.
type Snapshot struct {
	c       *conn
	writing bool
	ended   bool
}

// Tx is a write transaction. It reads through the embedded Snapshot, its own
// changes included.
type Tx struct{ *Snapshot }

// Write runs fn in the only write transaction there is. When Write returns nil,
// everything fn did is on the disk; when it returns an error, or fn panics,
// nothing of it is.
//
// ctx bounds the wait for the writer. Once fn runs, its statements are not
// interrupted; a method called with an ended context fails before it begins.
// A full disk or a failing one is reported as RH-502, a damaged file as RH-503.
func (db *DB) Write(ctx context.Context, fn func(*Tx) error) (err error) {
	select {
	case c := <-db.writer:
		defer func() { db.writer <- c }()
		return db.classify(write(ctx, c, fn))
	case <-ctx.Done():
		return fmt.Errorf("localdb: wait for the writer: %w", context.Cause(ctx))
	case <-db.closing:
		return ErrClosed
	}
}

func write(ctx context.Context, c *conn, fn func(*Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	if err := c.begin(ctx, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("localdb: begin: %w", err)
	}
	tx := &Tx{&Snapshot{c: c, writing: true}}
	committed := false
	defer func() {
		tx.ended = true
		if !committed {
			c.rollback()
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	if _, err := c.c.ExecContext(ctx, "COMMIT"); err != nil {
		return fmt.Errorf("localdb: commit: %w", err)
	}
	committed = true
	return nil
}

// Read runs fn on one snapshot of the database. Other reads and the writer go
// on meanwhile. Without a deadline of its own, ctx ends after 30 s.
func (db *DB) Read(ctx context.Context, fn func(*Snapshot) error) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, readTimeout)
		defer cancel()
	}
	select {
	case c := <-db.readers:
		defer func() { db.readers <- c }()
		return db.classify(read(ctx, c, fn))
	case <-ctx.Done():
		return fmt.Errorf("localdb: wait for a reader: %w", context.Cause(ctx))
	case <-db.closing:
		return ErrClosed
	}
}

func read(ctx context.Context, c *conn, fn func(*Snapshot) error) error {
	if err := c.begin(ctx, "BEGIN"); err != nil {
		return fmt.Errorf("localdb: begin: %w", err)
	}
	s := &Snapshot{c: c}
	defer func() {
		s.ended = true
		c.rollback()
	}()
	return fn(s)
}

var errEnded = errors.New("localdb: transaction used after its end")

// statement prepares text and returns the context to run it with.
func (s *Snapshot) statement(ctx context.Context, text string) (context.Context, *sql.Stmt, error) {
	if s.ended {
		return nil, nil, errEnded
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("localdb: %w", err)
	}
	if s.writing {
		ctx = context.WithoutCancel(ctx)
	}
	st, err := s.c.prepare(ctx, text)
	return ctx, st, err
}

// scanner is *sql.Row or *sql.Rows.
type scanner interface{ Scan(dest ...any) error }

// all runs a query and scans every row.
func all[T any](ctx context.Context, s *Snapshot, text string, scan func(scanner) (T, error), args ...any) ([]T, error) {
	ctx, st, err := s.statement(ctx, text)
	if err != nil {
		return nil, err
	}
	rows, err := st.QueryContext(ctx, args...)
	if err != nil {
		return nil, fmt.Errorf("localdb: query: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("localdb: scan: %w", err)
		}
		out = append(out, v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("localdb: query: %w", err)
	}
	return out, nil
}

// one runs a query for a single row. No row is ErrNotFound.
func one[T any](ctx context.Context, s *Snapshot, text string, scan func(scanner) (T, error), args ...any) (T, error) {
	var none T
	ctx, st, err := s.statement(ctx, text)
	if err != nil {
		return none, err
	}
	v, err := scan(st.QueryRowContext(ctx, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return none, ErrNotFound
	}
	if err != nil {
		return none, fmt.Errorf("localdb: query: %w", err)
	}
	return v, nil
}

func scanInt(r scanner) (n int64, err error)   { err = r.Scan(&n); return n, err }
func scanText(r scanner) (s string, err error) { err = r.Scan(&s); return s, err }

// exec runs a statement and returns how many rows it changed.
func (tx *Tx) exec(ctx context.Context, text string, args ...any) (int64, error) {
	r, err := tx.run(ctx, text, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// insert runs an INSERT and returns the new id.
func (tx *Tx) insert(ctx context.Context, text string, args ...any) (int64, error) {
	r, err := tx.run(ctx, text, args...)
	if err != nil {
		return 0, err
	}
	return r.LastInsertId()
}

func (tx *Tx) run(ctx context.Context, text string, args ...any) (sql.Result, error) {
	ctx, st, err := tx.statement(ctx, text)
	if err != nil {
		return nil, err
	}
	r, err := st.ExecContext(ctx, args...)
	if isDuplicate(err) {
		return nil, fmt.Errorf("%w: %w", ErrExists, err)
	}
	if err != nil {
		return nil, fmt.Errorf("localdb: %w", err)
	}
	return r, nil
}
