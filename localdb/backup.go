package localdb

import (
	"archive/zip"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
)

// The kinds of backups.
const (
	Nightly         = "nightly" // or made by a person
	BeforeMigration = "before-migration"
)

// keepBeforeMigration is how many backups made before a migration are kept.
const keepBeforeMigration = 2

// What a backup holds: the database, the meta data, and the extra files under
// their base names. secrets.sealed is never in it.
const (
	backupDB   = "rayhound.db"
	backupMeta = "meta.json"
)

// Info describes a backup.
type Info struct {
	Path          string    `json:"path"`
	Kind          string    `json:"kind"`
	CreatedAt     time.Time `json:"created_at"`
	Size          int64     `json:"size"`    // bytes of the file
	Version       string    `json:"version"` // of the program that made it
	SchemaVersion int64     `json:"schema_version"`
}

// Backup makes a backup while everybody goes on working, checks it, and removes
// those that are no longer to be kept.
func (db *DB) Backup(ctx context.Context) (Info, error) {
	v, err := schemaVersion()
	if err != nil {
		return Info{}, err
	}
	return db.makeBackup(ctx, Nightly, v)
}

func (db *DB) makeBackup(ctx context.Context, kind string, version int64) (Info, error) {
	db.backup.Lock()
	defer db.backup.Unlock()
	select {
	case <-db.closing:
		return Info{}, ErrClosed
	default:
	}
	if err := os.MkdirAll(db.cfg.BackupDir, 0o700); err != nil {
		return Info{}, fmt.Errorf("localdb: make the backup folder: %w", err)
	}
	removeLeftovers(db.cfg.BackupDir)
	if err := db.roomForBackup(); err != nil {
		return Info{}, err
	}
	info := Info{Kind: kind, CreatedAt: db.cfg.Now(), Version: db.cfg.Version, SchemaVersion: version}
	base := filepath.Join(db.cfg.BackupDir, backupName(info))
	for n := 2; ; n++ { // two in one second, or the hour that comes twice
		info.Path = base + ".zip"
		if _, err := os.Stat(info.Path); errors.Is(err, fs.ErrNotExist) {
			break
		}
		base = filepath.Join(db.cfg.BackupDir, fmt.Sprintf("%s-%d", backupName(info), n))
	}
	if err := db.writeBackup(ctx, &info); err != nil {
		return Info{}, db.classify(fmt.Errorf("localdb: back up: %w", err))
	}
	db.cfg.Log.Info("backup made", "kind", kind, "bytes", info.Size)
	if err := rotate(db.cfg.BackupDir, db.cfg.KeepBackups); err != nil {
		db.cfg.Log.Warn("old backups were not removed", "error", err)
	}
	return info, nil
}

// roomForBackup returns RH-502 when a backup could use up the reserve: it needs
// room for a copy and for the packed copy.
func (db *DB) roomForBackup() error {
	free, err := db.cfg.FreeSpace(db.cfg.BackupDir)
	if err != nil {
		return fmt.Errorf("localdb: ask for the free space: %w", err)
	}
	size := fileSize(db.cfg.Path) + fileSize(db.cfg.Path+"-wal")
	if free < db.cfg.Reserve+uint64(size)*3/2 { //nolint:gosec // a size is not negative
		return db.diskProblem(errors.New("localdb: no room for a backup"))
	}
	return nil
}

func backupName(i Info) string {
	name := "rayhound-" + i.CreatedAt.Format("20060102-150405")
	if i.Kind != Nightly {
		name += "-" + i.Kind
	}
	return name
}

// writeBackup copies, checks, packs and renames.
func (db *DB) writeBackup(ctx context.Context, info *Info) error {
	tmp := info.Path + ".db.tmp"
	defer os.Remove(tmp) //nolint:errcheck // the next backup removes what is left
	if err := vacuumInto(ctx, db.cfg.Path, tmp); err != nil {
		return err
	}
	if err := checkFile(ctx, tmp); err != nil {
		return err
	}
	packed := info.Path + ".tmp"
	defer os.Remove(packed) //nolint:errcheck // gone after the rename
	if err := pack(ctx, packed, tmp, *info, db.cfg.ExtraBackupFiles); err != nil {
		return err
	}
	if err := os.Rename(packed, info.Path); err != nil {
		return err
	}
	info.Size = fileSize(info.Path)
	return syncDir(filepath.Dir(info.Path))
}

// vacuumInto copies a consistent state of a database that is in use, on a
// connection of its own.
func vacuumInto(ctx context.Context, from, to string) error {
	pool, err := openPool(from, copySettings, 1)
	if err != nil {
		return err
	}
	defer pool.Close() //nolint:errcheck // it only read
	_, err = pool.ExecContext(ctx, "VACUUM INTO ?", to)
	return err
}

// checkFile runs quick_check on a database nobody uses.
func checkFile(ctx context.Context, path string) error {
	pool, err := openPool(path, checkSettings, 1)
	if err != nil {
		return err
	}
	defer pool.Close() //nolint:errcheck // it only read
	return quickCheck(ctx, pool)
}

func pack(ctx context.Context, path, dbFile string, info Info, extra []string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	z := zip.NewWriter(f)
	info.Path, info.Size = "", 0
	meta, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return err
	}
	if err := packOne(z, backupMeta, info.CreatedAt, strings.NewReader(string(meta))); err != nil {
		return err
	}
	for _, e := range extra {
		switch err := packFile(ctx, z, filepath.Base(e), e, info.CreatedAt); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		}
	}
	if err := packFile(ctx, z, backupDB, dbFile, info.CreatedAt); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return f.Sync()
}

func packFile(ctx context.Context, z *zip.Writer, name, path string, at time.Time) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // it was only read
	return packOne(z, name, at, ctxReader{ctx, f})
}

func packOne(z *zip.Writer, name string, at time.Time, r io.Reader) error {
	w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: at})
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return err
}

// ctxReader stops a long copy when its context ends.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (r ctxReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// Backups lists the backups in a folder, newest first. Files that are no
// backups are passed over.
func Backups(dir string) ([]Info, error) {
	names, err := filepath.Glob(filepath.Join(escapeGlob(dir), "rayhound-*.zip"))
	if err != nil {
		return nil, err
	}
	var out []Info
	for _, n := range names {
		if i, err := ReadBackup(n); err == nil {
			out = append(out, i)
		}
	}
	slices.SortFunc(out, func(a, b Info) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.Path, a.Path))
	})
	return out, nil
}

// escapeGlob makes a folder's name mean itself in a pattern.
func escapeGlob(dir string) string {
	return strings.NewReplacer(`[`, `[[]`, `*`, `[*]`, `?`, `[?]`).Replace(dir)
}

// ReadBackup describes one backup. A file that is none is RH-513.
func ReadBackup(path string) (Info, error) {
	bad := func(reason string, err error) (Info, error) {
		return Info{}, problem.New(problem.FileUnusable, problem.Args{"path": path, "reason": reason}, err)
	}
	z, err := zip.OpenReader(path)
	if errors.Is(err, fs.ErrNotExist) {
		return bad("there is no such file", err)
	}
	if err != nil {
		return bad("it is no backup of Rayhound", err)
	}
	defer z.Close() //nolint:errcheck // it was only read
	m, err := z.Open(backupMeta)
	if err != nil {
		return bad("it is no backup of Rayhound", err)
	}
	defer m.Close() //nolint:errcheck // it was only read
	var i Info
	if err := json.NewDecoder(io.LimitReader(m, 64<<10)).Decode(&i); err != nil {
		return bad("its description cannot be read", err)
	}
	i.Path, i.Size = path, fileSize(path)
	return i, nil
}

// rotate removes the backups that are no longer to be kept, and only those.
func rotate(dir string, keep int) error {
	backups, err := Backups(dir)
	if err != nil {
		return err
	}
	left := map[string]int{Nightly: keep, BeforeMigration: keepBeforeMigration}
	var errs []error
	for _, b := range backups {
		if left[b.Kind]--; left[b.Kind] < 0 {
			errs = append(errs, os.Remove(b.Path))
		}
	}
	return errors.Join(errs...)
}

// removeLeftovers removes what a backup left that was cut off.
func removeLeftovers(dir string) {
	for _, pattern := range []string{"rayhound-*.tmp", "rayhound-*.tmp-journal"} {
		names, _ := filepath.Glob(filepath.Join(escapeGlob(dir), pattern)) // the pattern is a constant
		for _, n := range names {
			_ = os.Remove(n) // tried again next time
		}
	}
}
