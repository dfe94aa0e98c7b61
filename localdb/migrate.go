package localdb

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/pressly/goose/v3"

	"github.com/rayhound/rayhound/appliance/problem"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrate applies the migrations of this program.
func migrate(ctx context.Context, writer *sql.DB, before func(from int64) error) (from int64, err error) {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return 0, fmt.Errorf("localdb: read the migrations: %w", err)
	}
	return migrateWith(ctx, writer, files, before)
}

// migrateWith brings the schema up to date and returns the version it had before.
// before is called when something is to be changed in a database that has data.
// A database from a newer program is refused (RH-508): goose would say nothing.
func migrateWith(ctx context.Context, writer *sql.DB, files fs.FS, before func(from int64) error) (from int64, err error) {
	p, err := goose.NewProvider(goose.DialectSQLite3, writer, files, goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return 0, fmt.Errorf("localdb: read the migrations: %w", err)
	}
	from, target, err := p.GetVersions(ctx)
	if err != nil {
		return 0, fmt.Errorf("localdb: read the version of the database: %w", err)
	}
	if from > target {
		return from, problem.New(problem.DBNewer, problem.Args{
			"found": strconv.FormatInt(from, 10), "known": strconv.FormatInt(target, 10),
		}, nil)
	}
	if from == target {
		return from, nil
	}
	if from > 0 && before != nil {
		if err := before(from); err != nil {
			return from, fmt.Errorf("localdb: back up before the migration: %w", err)
		}
	}
	if _, err := p.Up(ctx); err != nil {
		return from, fmt.Errorf("localdb: migrate: %w", err)
	}
	return from, foreignKeyCheck(ctx, writer)
}

// schemaVersion is the version this program makes.
func schemaVersion() (int64, error) {
	entries, err := fs.ReadDir(migrationFiles, "migrations")
	if err != nil || len(entries) == 0 {
		return 0, fmt.Errorf("localdb: no migrations: %w", err)
	}
	return goose.NumericComponent(entries[len(entries)-1].Name())
}

// rowQuerier is *sql.DB or *sql.Conn.
type rowQuerier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// foreignKeyCheck asks whether a row has lost its parent. The answer is rows,
// never an error of the statement.
func foreignKeyCheck(ctx context.Context, q rowQuerier) error {
	detail, err := firstText(ctx, q, `SELECT "table" || ' refers to a missing ' || parent FROM pragma_foreign_key_check LIMIT 1`)
	if err != nil {
		return err
	}
	if detail != "" {
		return problem.New(problem.DBDamaged, problem.Args{"detail": "a row of " + detail}, nil)
	}
	return nil
}

// quickCheck runs SQLite's own check of the file.
func quickCheck(ctx context.Context, q rowQuerier) error {
	detail, err := firstText(ctx, q, "PRAGMA quick_check(1)")
	if err != nil {
		return err
	}
	if detail != "ok" {
		return problem.New(problem.DBDamaged, problem.Args{"detail": detail}, nil)
	}
	return nil
}

func firstText(ctx context.Context, q rowQuerier, text string) (string, error) {
	rows, err := q.QueryContext(ctx, text)
	if err != nil {
		return "", fmt.Errorf("localdb: check: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	var s string
	if rows.Next() {
		if err := rows.Scan(&s); err != nil {
			return "", fmt.Errorf("localdb: check: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return "", fmt.Errorf("localdb: check: %w", err)
	}
	return s, nil
}
