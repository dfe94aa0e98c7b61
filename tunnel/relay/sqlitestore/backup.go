package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Backup writes a copy of the database to a file that must not exist. It reads
// one moment, and the relay goes on meanwhile. Put in the place of the database, with
// the relay stopped, the copy is a relay of that moment: give its mailboxes new epochs
// before it starts (relay.Admin.NewStoreEpochs).
func (s *Store) Backup(ctx context.Context, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("sqlitestore: %w: %s", fs.ErrExist, to)
	}
	part := to + ".part"
	f, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // SQLite takes an empty file, and its rights stay
	if err != nil {
		return fmt.Errorf("sqlitestore: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("sqlitestore: %w", err)
	}
	if err := s.copyTo(ctx, part, to); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return nil
}

func (s *Store) copyTo(ctx context.Context, part, to string) error {
	pool, err := sql.Open("sqlite", dsn(s.cfg.Path, copySettings))
	if err != nil {
		return fmt.Errorf("sqlitestore: backup: %w", err)
	}
	_, err = pool.ExecContext(ctx, "VACUUM INTO ?", part)
	if err := errors.Join(err, pool.Close()); err != nil {
		return fmt.Errorf("sqlitestore: backup: %w", err)
	}
	f, err := os.OpenFile(part, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("sqlitestore: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("sqlitestore: %w", err)
	}
	if err := os.Rename(part, to); err != nil {
		return fmt.Errorf("sqlitestore: %w", err)
	}
	return nil
}
