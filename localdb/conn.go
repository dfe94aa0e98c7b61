package localdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
)

// maxStatements bounds the statements a connection keeps prepared. The texts
// are constants but for a few combinations of filters.
const maxStatements = 400

// connectionPragmas are what dsn.go has no words for: sorting and statement
// journals stay in memory, because a temporary file would hold names outside
// the data folder; and a cache of 2 MB: there
// are five connections, and the file system caches the rest.
var connectionPragmas = []string{"PRAGMA temp_store=MEMORY", "PRAGMA cache_size=-2000"}

// conn is one connection and its prepared statements. It is used by one
// goroutine at a time.
type conn struct {
	pool  *sql.DB
	c     *sql.Conn
	stmts map[string]*sql.Stmt
}

func newConn(ctx context.Context, pool *sql.DB) (*conn, error) {
	c, err := pool.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("localdb: open a connection: %w", err)
	}
	for _, q := range connectionPragmas {
		if _, err := c.ExecContext(ctx, q); err != nil {
			return nil, errors.Join(fmt.Errorf("localdb: %s: %w", q, err), c.Close())
		}
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

// begin starts a transaction. A connection that broke is replaced once.
func (c *conn) begin(ctx context.Context, how string) error {
	_, err := c.c.ExecContext(ctx, how)
	if !errors.Is(err, driver.ErrBadConn) && !errors.Is(err, sql.ErrConnDone) {
		return err
	}
	_ = c.close() // it is broken
	fresh, err := newConn(ctx, c.pool)
	if err != nil {
		return err
	}
	*c = *fresh
	_, err = c.c.ExecContext(ctx, how)
	return err
}

// rollback ends a transaction. It is not an error when SQLite has done so
// already, as it does when the disk is full.
func (c *conn) rollback() {
	ctx := context.Background()
	_, _ = c.c.ExecContext(ctx, "ROLLBACK") // "no transaction is active" is fine; anything else shows at the next BEGIN
}

func (c *conn) prepare(ctx context.Context, text string) (*sql.Stmt, error) {
	if s := c.stmts[text]; s != nil {
		return s, nil
	}
	s, err := c.c.PrepareContext(ctx, text)
	if err != nil {
		return nil, fmt.Errorf("localdb: prepare: %w", err)
	}
	if len(c.stmts) >= maxStatements {
		for k, old := range c.stmts {
			_ = old.Close() // only a cache
			delete(c.stmts, k)
			break
		}
	}
	c.stmts[text] = s
	return s, nil
}
