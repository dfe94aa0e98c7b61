package pgstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rayhound/rayhound/tunnel/relay/internal/sqlrecords"
)

const tries = 6 // of a transaction that another one defeats

// transactions runs what both stores have in common on this one.
type transactions struct{ s *Store }

// Write implements sqlrecords.DB.
func (t transactions) Write(ctx context.Context, fn func(sqlrecords.Tx) error) error {
	ctx, cancel := bounded(ctx, writeTimeout)
	defer cancel()
	return t.s.retry(ctx, func() error {
		return t.s.inTx(ctx, pgx.TxOptions{}, fn)
	})
}

// Read implements sqlrecords.DB.
func (t transactions) Read(ctx context.Context, fn func(sqlrecords.Tx) error) error {
	ctx, cancel := bounded(ctx, readTimeout)
	defer cancel()
	return t.s.retry(ctx, func() error {
		return t.s.inTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, fn)
	})
}

// Duplicate implements sqlrecords.DB.
func (transactions) Duplicate(err error) bool { return isDuplicate(err) }

// inTx runs fn in a transaction. Errors of the database come back as they are; those that fn made itself as *ownError.
func (s *Store) inTx(ctx context.Context, o pgx.TxOptions, fn func(sqlrecords.Tx) error) error {
	tx, err := s.pool.BeginTx(ctx, o)
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // after a commit it does nothing; else the connection is thrown away
	t := &transaction{tx: tx}
	if err := fn(t); err != nil {
		if t.failed {
			return err
		}
		return &ownError{err}
	}
	return tx.Commit(ctx)
}

// ownError is an answer, not a failure of the database.
type ownError struct{ error }

// retry runs fn again when another transaction was in its way.
func (s *Store) retry(ctx context.Context, fn func() error) error {
	for n := 0; ; n++ {
		err := fn()
		var own *ownError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &own):
			return own.error
		case isDuplicate(err):
			return err // the caller knows what it means
		case !again(err) || n == tries-1:
			return failure(err)
		}
		if !pause(ctx, n) {
			return ctx.Err()
		}
	}
}

// pause waits a little, longer each time, and reports whether ctx lives.
func pause(ctx context.Context, n int) bool {
	select {
	case <-time.After(time.Duration(rand.Int64N(int64(2*time.Millisecond) << n))): //nolint:gosec // only spreads
		return true
	case <-ctx.Done():
		return false
	}
}

type transaction struct {
	tx     pgx.Tx
	failed bool // the database has returned an error
}

func (t *transaction) Exec(ctx context.Context, text string, args ...any) (int64, error) {
	tag, err := t.tx.Exec(ctx, numbered(text), args...)
	t.failed = t.failed || err != nil
	return tag.RowsAffected(), err
}

func (t *transaction) Query(ctx context.Context, text string, each func(sqlrecords.Scan) error, args ...any) error {
	rows, err := t.tx.Query(ctx, numbered(text), args...)
	if err != nil {
		t.failed = true
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	t.failed = t.failed || rows.Err() != nil
	return rows.Err()
}

var texts sync.Map // text with question marks -> text with numbers; the texts are constants

// numbered replaces question marks by $1, $2 and so on. The texts have none in quotes.
func numbered(text string) string {
	if s, ok := texts.Load(text); ok {
		return s.(string)
	}
	var b strings.Builder
	n := 0
	for _, r := range text {
		if r != '?' {
			b.WriteRune(r)
			continue
		}
		n++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
	}
	texts.Store(text, b.String())
	return b.String()
}
