package sqlitestore

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrate brings the schema up to date. A database made by a newer program is
// refused: goose would say nothing.
func migrate(ctx context.Context, writer *sql.DB) error {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return fmt.Errorf("sqlitestore: read the migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, writer, files, goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("sqlitestore: read the migrations: %w", err)
	}
	from, target, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("sqlitestore: read the version of the database: %w", err)
	}
	switch {
	case from > target:
		return fmt.Errorf("sqlitestore: a newer program made the database (schema %d, this program knows %d): update Rayhound", from, target)
	case from == target:
		return nil
	}
	if _, err := p.Up(ctx); err != nil {
		if now, _, err := p.GetVersions(ctx); err == nil && now == target {
			return nil // another process has done it meanwhile
		}
		return fmt.Errorf("sqlitestore: migrate: %w", err)
	}
	return nil
}
