package localdb

import (
	"archive/zip"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
)

// reviewAfter is the age from which an entry that was unsent in a backup is not
// sent silently: it may have been delivered since.
const reviewAfter = 24 * time.Hour

// Restored is the problem-free word in LastCode of entries parked by Restore.
const Restored = "restored"

// RestoredAtState is the key of the state that says when the database was
// restored (RFC 3339): the appliance reads every open order again.
const RestoredAtState = "restored_at"

// RestoreConfig says what to restore.
type RestoreConfig struct {
	File       string // the backup; empty: the newest in BackupDir that passes its check
	BackupDir  string // needed without File
	Path       string // of rayhound.db
	ConfigFile string // where rayhound.toml of the backup goes; empty: it is left in the backup
	Who        string // for the audit line
	Log        *slog.Logger
	Now        func() time.Time
}

// RestoreResult says what was done.
type RestoreResult struct {
	Backup Info
	Aside  string // folder where the files are that were there before
	Parked int    // entries that wait for a person's decision
}

// Restore puts a backup in the place of the database. It works only while
// nobody has the data folder (RH-512). The present files are kept in a folder
// beside; a process that dies on the way leaves either the old database or a
// restore that the next Open completes.
//
// Unsent entries older than a day (since they were made) are parked for review,
// because they may have been delivered after the backup. The appliance finds
// RestoredAtState set and reads every open order again.
func Restore(ctx context.Context, cfg RestoreConfig) (_ RestoreResult, err error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Path, err = filepath.Abs(cfg.Path); err != nil {
		return RestoreResult{}, err
	}
	dir := filepath.Dir(cfg.Path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return RestoreResult{}, fmt.Errorf("localdb: restore: %w", err)
	}
	lock, err := OpenLock(dir)
	if err != nil {
		return RestoreResult{}, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := finishRestore(cfg.Path); err != nil { // of a restore before this one
		return RestoreResult{}, err
	}
	candidates := []Info{{Path: cfg.File}}
	if cfg.File == "" {
		if candidates, err = Backups(cfg.BackupDir); err != nil {
			return RestoreResult{}, err
		}
	}
	failed := error(problem.New(problem.FileUnusable, problem.Args{"path": cfg.BackupDir, "reason": "there is no backup in it"}, nil))
	for _, b := range candidates {
		res, err := restoreOne(ctx, cfg, b.Path)
		if err == nil {
			cfg.Log.Info("backup restored", "parked", res.Parked, "schema_version", res.Backup.SchemaVersion)
			return res, nil
		}
		failed = err
		if cfg.File == "" {
			cfg.Log.Warn("a backup cannot be used", "error", err)
		}
	}
	return RestoreResult{}, failed
}

func restoreOne(ctx context.Context, cfg RestoreConfig, file string) (RestoreResult, error) {
	info, err := ReadBackup(file)
	if err != nil {
		return RestoreResult{}, err
	}
	res := RestoreResult{Backup: info, Aside: asideName(cfg)}
	fresh := cfg.Path + preparedSuffix
	if err := removeDB(fresh); err != nil {
		return res, err
	}
	if err := unpack(ctx, file, backupDB, fresh); err != nil {
		return res, errors.Join(err, removeDB(fresh))
	}
	if res.Parked, err = prepare(ctx, cfg, fresh, info); err != nil {
		return res, errors.Join(err, removeDB(fresh))
	}
	if err := os.MkdirAll(res.Aside, 0o700); err != nil {
		return res, err
	}
	if err := errors.Join(sameOwner(fresh, filepath.Dir(cfg.Path)), sameOwner(res.Aside, filepath.Dir(cfg.Path))); err != nil {
		return res, errors.Join(err, removeDB(fresh))
	}
	if cfg.ConfigFile != "" {
		if err := restoreConfigFile(ctx, cfg, file, res.Aside); err != nil {
			return res, errors.Join(err, removeDB(fresh))
		}
	}
	if err := markRestore(cfg.Path, res.Aside); err != nil {
		return res, err
	}
	return res, finishRestore(cfg.Path)
}

func asideName(cfg RestoreConfig) string {
	base := filepath.Join(filepath.Dir(cfg.Path), "before-restore-"+cfg.Now().Format("20060102-150405"))
	name := base
	for n := 2; ; n++ {
		if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
			return name
		}
		name = fmt.Sprintf("%s-%d", base, n)
	}
}

// prepare checks the copy, brings it up to date and parks what is doubtful.
func prepare(ctx context.Context, cfg RestoreConfig, path string, info Info) (parked int, err error) {
	if err := checkFile(ctx, path); err != nil {
		if problem.Of(err) == nil {
			err = problem.New(problem.DBDamaged, problem.Args{"detail": "SQLite cannot read the backup"}, err)
		}
		return 0, err
	}
	pool, err := openPool(path, writerSettings, 1)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	if _, err := migrate(ctx, pool, nil); err != nil {
		return 0, err
	}
	if parked, err = reviewRestored(ctx, pool, cfg, info); err != nil {
		return 0, fmt.Errorf("localdb: restore: %w", err)
	}
	// Everything into the one file that is renamed.
	var busy, frames, moved int64
	if err := pool.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &moved); err != nil {
		return 0, err
	}
	return parked, nil
}

func reviewRestored(ctx context.Context, pool *sql.DB, cfg RestoreConfig, info Info) (int, error) {
	c, err := newConn(ctx, pool)
	if err != nil {
		return 0, err
	}
	defer c.close() //nolint:errcheck // the transaction has ended
	now := cfg.Now()
	parked := 0
	err = write(ctx, c, func(tx *Tx) error {
		if _, err := tx.ReleaseLeases(ctx); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `UPDATE outbox SET unsure=1 WHERE state IN ('ready','parked')`); err != nil {
			return err
		}
		n, err := tx.exec(ctx, `UPDATE outbox SET state='parked', last_code=?, last_text=? WHERE state='ready' AND created_at < ?`,
			Restored, "It may have been sent after the backup was made.", now.Add(-reviewAfter).UnixMilli())
		if err != nil {
			return err
		}
		parked = int(n)
		if err := tx.DeleteState(ctx, NumbersState); err != nil {
			return err
		}
		if err := tx.SetState(ctx, RestoredAtState, now.UTC().Format(time.RFC3339)); err != nil {
			return err
		}
		return tx.AddAudit(ctx, Audit{
			At: now, Who: cfg.Who, What: "backup.restore",
			Detail: fmt.Sprintf("backup of %s, %d entries to review", info.CreatedAt.UTC().Format(time.RFC3339), n),
		})
	})
	return parked, err
}

// unpack writes one file of a backup. The size is that of the archive's own
// directory; more than that is not written, and the checksum must be right.
func unpack(ctx context.Context, file, name, to string) (err error) {
	z, err := zip.OpenReader(file)
	if err != nil {
		return err
	}
	defer z.Close() //nolint:errcheck // it was only read
	r, err := z.Open(name)
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // it was only read
	fi, err := r.Stat()
	if err != nil {
		return err
	}
	if free, err := freeSpace(filepath.Dir(to)); err == nil && uint64(max(fi.Size(), 0)) > free { //nolint:gosec // not negative
		return problem.New(problem.DiskLow, problem.Args{"path": filepath.Dir(to), "free": fmt.Sprintf("%d MB", free>>20)}, nil)
	}
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if _, err := io.Copy(w, io.LimitReader(ctxReader{ctx, r}, fi.Size()+1)); err != nil {
		return fmt.Errorf("localdb: unpack the backup: %w", err)
	}
	return w.Sync()
}

func restoreConfigFile(ctx context.Context, cfg RestoreConfig, file, aside string) error {
	tmp := cfg.ConfigFile + ".restore"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	switch err := unpack(ctx, file, filepath.Base(cfg.ConfigFile), tmp); {
	case errors.Is(err, fs.ErrNotExist):
		return nil // the backup has none
	case err != nil:
		return err
	}
	old, err := os.ReadFile(cfg.ConfigFile)
	if err == nil {
		kept := filepath.Join(aside, filepath.Base(cfg.ConfigFile))
		err = errors.Join(os.WriteFile(kept, old, 0o600), sameOwner(kept, aside), sameAccess(tmp, cfg.ConfigFile))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(tmp, cfg.ConfigFile)
}

// sameAccess gives a file the owner and the mode of another.
func sameAccess(path, like string) error {
	fi, err := os.Stat(like)
	if err != nil {
		return err
	}
	return errors.Join(os.Chmod(path, fi.Mode().Perm()), sameOwner(path, like))
}

// The files of a restore beside the database.
const (
	preparedSuffix = ".restore"      // the new database, complete
	markerSuffix   = ".restore.json" // says that the prepared file is to take its place
)

type restoreMarker struct {
	Aside string `json:"aside"`
}

// markRestore makes the restore certain: from here on it is completed, by this
// process or by the next Open.
func markRestore(path, aside string) error {
	b, err := json.Marshal(restoreMarker{aside})
	if err != nil {
		return err
	}
	tmp := path + markerSuffix + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path+markerSuffix); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// finishRestore swaps the files of a marked restore. Every step may have been
// done before. Without a marker it removes a prepared file that was given up.
func finishRestore(path string) error {
	b, err := os.ReadFile(path + markerSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return removeDB(path + preparedSuffix)
	}
	if err != nil {
		return fmt.Errorf("localdb: complete the restore: %w", err)
	}
	var m restoreMarker
	if err := json.Unmarshal(b, &m); err != nil {
		return fmt.Errorf("localdb: complete the restore: %w", err)
	}
	if _, err := os.Stat(path + preparedSuffix); err == nil {
		if err := os.MkdirAll(m.Aside, 0o700); err != nil {
			return err
		}
		for _, s := range []string{"-wal", "-shm", ""} { // the log first: the file without its log is an older state, never a broken one
			err := os.Rename(path+s, filepath.Join(m.Aside, filepath.Base(path)+s))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("localdb: set the database aside: %w", err)
			}
		}
		if err := os.Rename(path+preparedSuffix, path); err != nil {
			return fmt.Errorf("localdb: complete the restore: %w", err)
		}
		if err := syncDir(filepath.Dir(path)); err != nil {
			return err
		}
	}
	if err := os.Remove(path + markerSuffix); err != nil {
		return fmt.Errorf("localdb: complete the restore: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// removeDB removes a database and its companions.
func removeDB(path string) error {
	var errs []error
	for _, s := range []string{"-wal", "-shm", "-journal", ""} {
		if err := os.Remove(path + s); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
