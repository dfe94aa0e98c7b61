package localdb

import (
	"context"
	"fmt"
	"path/filepath"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/rayhound/rayhound/appliance/problem"
)

// DefaultReserve is the free space in bytes below which intake stops.
const DefaultReserve = 200 << 20

// DiskLow returns RH-502 when less than the reserve is free where the database
// is. Intake asks before it accepts anything. Write does not ask: the purge
// that makes room has to write.
func (db *DB) DiskLow(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	free, err := db.cfg.FreeSpace(filepath.Dir(db.cfg.Path))
	if err != nil {
		return fmt.Errorf("localdb: ask for the free space: %w", err)
	}
	if free < db.cfg.Reserve {
		return db.diskProblem(nil)
	}
	return nil
}

func (db *DB) diskProblem(cause error) error {
	dir := filepath.Dir(db.cfg.Path)
	args := problem.Args{"path": dir}
	if free, err := db.cfg.FreeSpace(dir); err == nil {
		args["free"] = fmt.Sprintf("%d MB", free>>20)
	}
	return problem.New(problem.DiskLow, args, cause)
}

// classify turns what SQLite says about the disk and the file into problems.
func (db *DB) classify(err error) error {
	if err == nil || problem.Of(err) != nil {
		return err
	}
	switch sqliteCode(err) & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR:
		return db.diskProblem(err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return problem.New(problem.DBDamaged, problem.Args{"detail": "SQLite cannot read it"}, err)
	}
	return err
}
