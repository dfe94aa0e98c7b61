package relayd

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relay/pgstore"
	"github.com/rayhound/rayhound/tunnel/relay/sqlitestore"
)

// Store is a relay's database: mailboxes and clinics.
type Store interface {
	relay.Store
	relay.Registry
	Close() error
}

// OpenStore opens the database that name says: sqlite:FILE, where FILE is
// relative to dataDir, or a postgres:// address. Several programs may have it
// open at once, so administration works beside a running relay.
func OpenStore(ctx context.Context, name, dataDir string, log *slog.Logger) (Store, error) {
	return openStore(ctx, name, dataDir, false, log)
}

// openStore is OpenStore; with noNotify nodes on PostgreSQL find each other's
// events by asking.
func openStore(ctx context.Context, name, dataDir string, noNotify bool, log *slog.Logger) (Store, error) {
	kind, rest, _ := strings.Cut(name, ":")
	switch kind {
	case "sqlite":
		path := rest
		if !filepath.IsAbs(path) {
			path = filepath.Join(dataDir, path)
		}
		return asStore(sqlitestore.Open(ctx, sqlitestore.Config{Path: path, Log: log}))
	case "postgres", "postgresql":
		return asStore(pgstore.Open(ctx, pgstore.Config{DSN: name, Log: log, NoNotify: noNotify}))
	}
	return nil, fmt.Errorf("relayd: a store is sqlite:FILE or postgres://…, not %q", kind)
}

// asStore keeps a failed Open from becoming a Store that is not nil.
func asStore[S Store](s S, err error) (Store, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

// several reports whether other nodes may share the database.
func several(name string) bool { return strings.HasPrefix(name, "postgres") }
