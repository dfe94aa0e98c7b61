package localdb

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
)

const readerCount = 4

// Config says where the database is and how it is kept.
type Config struct {
	Path      string // of rayhound.db; its folder is the data folder and is locked. Required
	BackupDir string // empty: the folder backups beside Path
	Version   string // of the program, written into backups

	KeepBackups      int      // nightly backups to keep; 0: 7
	ExtraBackupFiles []string // rayhound.toml; a missing one is left out

	Log       *slog.Logger                      // nil: silent
	Now       func() time.Time                  // nil: time.Now
	FreeSpace func(path string) (uint64, error) // bytes free at path; nil: ask the system
	Reserve   uint64                            // bytes; 0: DefaultReserve
}

func (c Config) withDefaults() (Config, error) {
	if c.Path == "" {
		return c, errors.New("localdb: Config.Path is empty")
	}
	abs, err := filepath.Abs(c.Path)
	if err != nil {
		return c, fmt.Errorf("localdb: %w", err)
	}
	c.Path = abs
	if c.BackupDir == "" {
		c.BackupDir = filepath.Join(filepath.Dir(c.Path), "backups")
	}
	if c.KeepBackups == 0 {
		c.KeepBackups = 7
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.FreeSpace == nil {
		c.FreeSpace = freeSpace
	}
	if c.Reserve == 0 {
		c.Reserve = DefaultReserve
	}
	return c, nil
}

// DB is the open database. It is safe for use by several goroutines.
type DB struct {
	cfg  Config
	lock *Lock

	writePool, readPool *sql.DB
	writer              chan *conn // holds the only writer, when nobody has it
	readers             chan *conn
	closing             chan struct{}
	closeOnce           sync.Once
	closeErr            error
	backup              sync.Mutex // one backup at a time
}

// Open locks the data folder, opens or creates the database and brings its
// schema up to date; before it changes the schema of a database that has data
// it makes a backup.
//
// Errors a person can act on are problems: RH-512 when another process has the
// folder, RH-508 when a newer program made the database, RH-502 and RH-503 for
// the disk and a damaged file. Open does not check the whole file: call
// QuickCheck in the background.
func Open(ctx context.Context, cfg Config) (_ *DB, err error) {
	cfg, err = cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(cfg.Path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("localdb: make the data folder: %w", err)
	}
	lock, err := OpenLock(dir)
	if err != nil {
		return nil, err
	}
	db := &DB{cfg: cfg, lock: lock, closing: make(chan struct{})}
	defer func() {
		if err != nil {
			err = db.classify(err)
			db.abandon()
		}
	}()
	if err := finishRestore(cfg.Path); err != nil {
		return nil, err
	}
	if err := db.open(ctx); err != nil {
		return nil, err
	}
	return db, nil
}

func (db *DB) open(ctx context.Context) (err error) {
	// The writer first: a reader on a missing file would fail, or create an
	// empty one without the settings that only work before the first table.
	if db.writePool, err = openPool(db.cfg.Path, writerSettings, 1); err != nil {
		return err
	}
	if err := db.writePool.PingContext(ctx); err != nil {
		return fmt.Errorf("localdb: open: %w", err)
	}
	from, err := migrate(ctx, db.writePool, func(from int64) error {
		_, err := db.makeBackup(ctx, BeforeMigration, from)
		return err
	})
	if err != nil {
		return err
	}
	if to, err := schemaVersion(); err == nil && from != to {
		db.cfg.Log.Info("database migrated", "from_version", from, "to_version", to)
	}
	db.writer = make(chan *conn, 1)
	w, err := newConn(ctx, db.writePool)
	if err != nil {
		return err
	}
	db.writer <- w
	if db.readPool, err = openPool(db.cfg.Path, readerSettings, readerCount); err != nil {
		return err
	}
	db.readers = make(chan *conn, readerCount)
	for range readerCount {
		r, err := newConn(ctx, db.readPool)
		if err != nil {
			return err
		}
		db.readers <- r
	}
	return nil
}

func openPool(path, settings string, n int) (*sql.DB, error) {
	pool, err := sql.Open("sqlite", dsn(path, settings))
	if err != nil {
		return nil, fmt.Errorf("localdb: open: %w", err)
	}
	pool.SetMaxOpenConns(n)
	pool.SetMaxIdleConns(n)
	pool.SetConnMaxLifetime(0)
	return pool, nil
}

// abandon releases what a failed Open has taken.
func (db *DB) abandon() {
	for _, pool := range []*sql.DB{db.readPool, db.writePool} {
		if pool != nil {
			_ = pool.Close() // the error of Open is the one to report
		}
	}
	_ = db.lock.Close()
}

// Close waits for transactions in flight, shrinks the write-ahead log and gives
// the folder back. Later calls return the same error.
func (db *DB) Close() error {
	db.closeOnce.Do(func() {
		close(db.closing)
		db.backup.Lock()
		defer db.backup.Unlock()
		var errs []error
		for range readerCount {
			errs = append(errs, (<-db.readers).close())
		}
		errs = append(errs, db.readPool.Close())
		w := <-db.writer
		if _, err := truncateWAL(context.Background(), w); err != nil {
			db.cfg.Log.Warn("the write-ahead log was not shrunk", "error", err)
		}
		errs = append(errs, w.close(), db.writePool.Close(), db.lock.Close())
		db.closeErr = errors.Join(errs...)
	})
	return db.closeErr
}

// Path returns the absolute path of the database file.
func (db *DB) Path() string { return db.cfg.Path }

// QuickCheck looks at the whole file and at every reference between rows. It
// reads everything, so it is slow on a large database; it disturbs nobody. A
// finding is RH-503.
func (db *DB) QuickCheck(ctx context.Context) error {
	pool, err := openPool(db.cfg.Path, readerSettings, 1)
	if err != nil {
		return err
	}
	defer pool.Close() //nolint:errcheck // it only read
	if err := quickCheck(ctx, pool); err != nil {
		return db.classify(err)
	}
	return db.classify(foreignKeyCheck(ctx, pool))
}

// truncateWAL moves the write-ahead log into the database and empties it. It
// reports false when a reader was in the way.
func truncateWAL(ctx context.Context, c *conn) (bool, error) {
	var busy, frames, moved int64
	err := c.c.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &moved)
	return busy == 0, err
}
