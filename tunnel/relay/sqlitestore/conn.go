package sqlitestore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// How the writer waits for another process, such as `rayhound relay clinic add`.
// SQLite's own waiting backs off to 100 ms and misses the short pauses of a busy
// writer; asking twice a millisecond does not.
const (
	lockRetry = 500 * time.Microsecond
	lockWait  = 10 * time.Second
)

// conn is the writer's connection with its prepared statements. One goroutine
// uses it at a time.
type conn struct {
	pool  *sql.DB
	c     *sql.Conn
	stmts map[string]*sql.Stmt
}

func newConn(ctx context.Context, pool *sql.DB) (*conn, error) {
	c, err := pool.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("sqlitestore: open a connection: %w", err)
	}
	if _, err := c.ExecContext(ctx, "PRAGMA busy_timeout=0"); err != nil { // begin waits itself
		return nil, errors.Join(fmt.Errorf("sqlitestore: set up the writer: %w", err), c.Close())
	}
	var level int
	if err := c.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&level); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlitestore: read synchronous back: %w", err), c.Close())
	}
	if level != 2 {
		return nil, errors.Join(fmt.Errorf("sqlitestore: synchronous is %d, not FULL (2): commits would not be durable", level), c.Close())
	}
	return &conn{pool: pool, c: c, stmts: map[string]*sql.Stmt{}}, nil
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	clear(c.stmts)
	err := c.c.Close()
	if errors.Is(err, sql.ErrConnDone) {
		err = nil
	}
	return errors.Join(append(errs, err)...)
}

// begin takes the write lock. It waits for another process, at most lockWait,
// and replaces a connection that broke, once.
func (c *conn) begin(ctx context.Context) error {
	deadline, replaced := time.Now().Add(lockWait), false
	for {
		_, err := c.exec(ctx, "BEGIN IMMEDIATE")
		switch {
		case err == nil:
			return nil
		case !replaced && (errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone)):
			replaced = true
			_ = c.close() // it is broken
			fresh, err := newConn(ctx, c.pool)
			if err != nil {
				return err
			}
			*c = *fresh
		case isBusy(err) && time.Now().Before(deadline):
			time.Sleep(lockRetry)
		default:
			return fmt.Errorf("sqlitestore: begin: %w", err)
		}
	}
}

// rollback ends a transaction. It is not an error when SQLite has done so
// already, as it does when the disk is full.
func (c *conn) rollback(ctx context.Context) {
	_, _ = c.exec(ctx, "ROLLBACK") // "no transaction is active" is fine; anything else shows at the next BEGIN
}

// exec runs a statement whose text is a constant.
func (c *conn) exec(ctx context.Context, text string, args ...any) (sql.Result, error) {
	s, err := c.prepare(ctx, text) //nolint:sqlclosecheck // statements are cached until close
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

// changed runs a statement and returns how many rows it changed.
func (c *conn) changed(ctx context.Context, text string, args ...any) (int64, error) {
	r, err := c.exec(ctx, text, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// row runs a query for one row. The row must be scanned.
func (c *conn) row(ctx context.Context, text string, args ...any) scanner {
	s, err := c.prepare(ctx, text) //nolint:sqlclosecheck // statements are cached until close
	if err != nil {
		return failed{err}
	}
	return s.QueryRowContext(ctx, args...)
}

// all runs a query and calls scan for every row.
func (c *conn) all(ctx context.Context, text string, scan func(scanner) error, args ...any) error {
	s, err := c.prepare(ctx, text) //nolint:sqlclosecheck // statements are cached until close
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	return scanAll(rows, scan)
}

func (c *conn) prepare(ctx context.Context, text string) (*sql.Stmt, error) {
	if s := c.stmts[text]; s != nil {
		return s, nil
	}
	s, err := c.c.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	c.stmts[text] = s
	return s, nil
}

// scanner is *sql.Row or *sql.Rows.
type scanner interface{ Scan(dest ...any) error }

type failed struct{ err error }

func (f failed) Scan(...any) error { return f.err }

func scanAll(rows *sql.Rows, scan func(scanner) error) error {
	defer rows.Close() //nolint:errcheck // rows.Err tells
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// sqliteCode returns SQLite's extended result code of err, or 0.
func sqliteCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

func isBusy(err error) bool {
	c := sqliteCode(err) & 0xff
	return c == sqlite3.SQLITE_BUSY || c == sqlite3.SQLITE_LOCKED
}

func isFull(err error) bool { return sqliteCode(err)&0xff == sqlite3.SQLITE_FULL }

// isRow reports whether err concerns one statement and left the transaction as
// it was.
func isRow(err error) bool {
	c := sqliteCode(err) & 0xff
	return c == sqlite3.SQLITE_CONSTRAINT || c == sqlite3.SQLITE_TOOBIG || c == sqlite3.SQLITE_MISMATCH
}

// isDuplicate reports whether err says that a UNIQUE column has the value.
func isDuplicate(err error) bool {
	c := sqliteCode(err)
	return c == sqlite3.SQLITE_CONSTRAINT_UNIQUE || c == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
}
