package pgstore

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrate brings the schema up to date; nodes that start at once wait for each other. A database made by a newer program is
// refused: goose would say nothing.
func migrate(ctx context.Context, cc *pgx.ConnConfig) error {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return fmt.Errorf("pgstore: read the migrations: %w", err)
	}
	db := stdlib.OpenDB(*cc)
	defer db.Close() //nolint:errcheck // the schema is there or an error was returned
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return fmt.Errorf("pgstore: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithLogger(goose.NopLogger()), goose.WithSessionLocker(locker))
	if err != nil {
		return fmt.Errorf("pgstore: read the migrations: %w", err)
	}
	from, target, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("pgstore: read the version of the database: %w", failure(err))
	}
	switch {
	case from > target:
		return fmt.Errorf("pgstore: a newer program made the database (schema %d, this program knows %d): update Rayhound", from, target)
	case from == target:
		return nil
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("pgstore: migrate: %w", err)
	}
	return nil
}

// durable refuses a server whose commits may be lost with its power.
func durable(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) error {
	show := func(name string) (string, error) {
		var v string
		err := pool.QueryRow(ctx, "SHOW "+name).Scan(&v)
		return v, err
	}
	fsync, err := show("fsync")
	switch {
	case err != nil && sqlState(err) == "": // an engine that has no such setting answers with a state
		return fmt.Errorf("pgstore: read the server's settings: %w", failure(err))
	case err != nil:
		log.Warn("the server does not say whether commits are durable", "setting", "fsync")
	case fsync != "on":
		return fmt.Errorf("pgstore: the server has fsync=%s: acknowledged events would be lost at a power failure", fsync)
	}
	level, err := show("synchronous_commit")
	switch {
	case err != nil:
		log.Warn("the server does not say whether commits are durable", "setting", "synchronous_commit")
	case level != "on" && level != "remote_apply":
		return fmt.Errorf("pgstore: the server has synchronous_commit=%s: it must be on or remote_apply", level)
	}
	if standby, err := show("synchronous_standby_names"); err == nil && standby == "" {
		log.Warn("no synchronous standby is set: a failover may lose acknowledged events")
	}
	return nil
}
