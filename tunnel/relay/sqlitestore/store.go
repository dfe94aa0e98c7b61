// Package sqlitestore keeps a relay's mailboxes and its registry in one SQLite file.
//
// One goroutine writes. It joins what waits for it into one transaction, so that many events share one fsync; Append
// answers when that transaction is on the disk. A few readers look on meanwhile. Administration in another process may
// write the same file; both wait for each other.
package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relay/internal/sqlrecords"
	"github.com/rayhound/rayhound/tunnel/wire"
)

const (
	readerCount = 4
	readTimeout = 30 * time.Second // of a read without a deadline: it would keep the log from shrinking
)

// Config says where the database is.
type Config struct {
	Path string           // of the file; its folder is made. Required
	Log  *slog.Logger     // nil: silent
	Now  func() time.Time // nil: time.Now

	Reserve int64 // bytes of the file that is given up when the disk is full; 0: 4 MiB
}

// Store implements relay.Store and relay.Registry. It is safe for use by several goroutines.
type Store struct {
	*sqlrecords.Records
	cfg Config

	writePool, readPool *sql.DB
	after               *sql.Stmt
	w                   *writer
	hub                 sqlrecords.Hub
	lock                runLock
	reserve             reserve
	keys                sync.Map // wire.ClinicID -> int64, the row of a clinic; never changes
	closeOnce           sync.Once
	closeErr            error
}

var (
	_ relay.Store    = (*Store)(nil)
	_ relay.Registry = (*Store)(nil)
)

// Open opens or creates the database and brings its schema up to date. It refuses a file made by a newer program, and one
// whose commits would not be durable.
func Open(ctx context.Context, cfg Config) (_ *Store, err error) {
	if cfg.Path == "" {
		return nil, errors.New("sqlitestore: Config.Path is empty")
	}
	if cfg.Path, err = filepath.Abs(cfg.Path); err != nil {
		return nil, fmt.Errorf("sqlitestore: %w", err)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Reserve <= 0 {
		cfg.Reserve = 4 << 20
	}
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o700); err != nil {
		return nil, fmt.Errorf("sqlitestore: make the folder: %w", err)
	}
	if err := private(cfg.Path); err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg}
	s.lock.path = cfg.Path + ".relay-lock"
	s.reserve = reserve{path: cfg.Path + ".reserve", size: cfg.Reserve}
	s.Records = sqlrecords.New(transactions{s}, sqlrecords.Dialect{
		Head: `coalesce((SELECT max(h.seq) FROM event h WHERE h.clinic = m.clinic), m.removed_to)`,
	}, cfg.Now)
	defer func() {
		if err != nil {
			s.abandon()
		}
	}()
	return s, s.open(ctx)
}

// private makes the file, for its owner alone, unless it is there: SQLite would let everybody read it. The files beside it
// get its rights.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("sqlitestore: open: %w", err)
	}
	return f.Close()
}

func (s *Store) open(ctx context.Context) (err error) {
	// The writer first: a reader on a missing file would fail, or create an empty one without the settings that only work
	// before the first table.
	if s.writePool, err = openPool(s.cfg.Path, writerSettings, 1); err != nil {
		return err
	}
	if err := migrate(ctx, s.writePool); err != nil {
		return err
	}
	c, err := newConn(ctx, s.writePool)
	if err != nil {
		return err
	}
	if s.readPool, err = openPool(s.cfg.Path, readerSettings, readerCount); err != nil {
		return errors.Join(err, c.close())
	}
	if s.after, err = s.readPool.PrepareContext(ctx, afterText); err != nil {
		return errors.Join(fmt.Errorf("sqlitestore: prepare: %w", err), c.close())
	}
	if err := s.reserve.keep(); err != nil {
		s.cfg.Log.Warn("the reserve for a full disk could not be made", "error", err)
	}
	s.w = newWriter(s, c)
	go s.w.run()
	return nil
}

func openPool(path, settings string, n int) (*sql.DB, error) {
	pool, err := sql.Open("sqlite", dsn(path, settings))
	if err != nil {
		return nil, fmt.Errorf("sqlitestore: open: %w", err)
	}
	pool.SetMaxOpenConns(n)
	pool.SetMaxIdleConns(n) // fewer, and connections would be reopened all the time
	pool.SetConnMaxLifetime(0)
	return pool, nil
}

// abandon releases what a failed Open has taken.
func (s *Store) abandon() {
	for _, pool := range []*sql.DB{s.readPool, s.writePool} {
		if pool != nil {
			_ = pool.Close() // the error of Open is the one to report
		}
	}
}

// Close writes what was put off, waits for what is being written and closes the file. Later calls return the same error;
// calls of other methods fail with relay.ErrUnavailable.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.w.stop()
		s.closeErr = errors.Join(s.after.Close(), s.readPool.Close())
		if _, err := s.w.c.exec(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil && !isBusy(err) {
			s.cfg.Log.Warn("the write-ahead log was not shrunk", "error", err)
		}
		s.closeErr = errors.Join(s.closeErr, s.w.c.close(), s.writePool.Close(), s.lock.release())
	})
	return s.closeErr
}

// key returns the row of a clinic.
func (s *Store) key(ctx context.Context, id wire.ClinicID) (int64, error) {
	if n, ok := s.keys.Load(id); ok {
		return n.(int64), nil
	}
	var n int64
	err := s.readPool.QueryRowContext(ctx, `SELECT n FROM clinic WHERE id = ?`, string(id)).Scan(&n)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, relay.ErrUnknownClinic
	case err != nil:
		return 0, failure(err)
	}
	s.keys.Store(id, n)
	return n, nil
}

// failure turns an error of SQLite into one of package relay.
func failure(err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case isFull(err):
		return fmt.Errorf("%w: %w", relay.ErrFull, err)
	case isBusy(err):
		return fmt.Errorf("%w: %w", relay.ErrBusy, err)
	case sqliteCode(err) != 0, errors.Is(err, sql.ErrConnDone), err.Error() == "sql: database is closed": // it has no name
		return fmt.Errorf("%w: %w", relay.ErrUnavailable, err)
	}
	return err
}
