package sqlitestore_test

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relay/sqlitestore"
)

func TestBackupIsARelayOfThatMoment(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	s, err := sqlitestore.Open(ctx, sqlitestore.Config{Path: filepath.Join(dir, "relay.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	admin := &relay.Admin{Store: s, Registry: s}
	c, err := admin.AddClinic(ctx, "Riverside")
	if err != nil {
		t.Fatal(err)
	}
	append1 := func(ctx context.Context) {
		if _, err := s.Append(ctx, c.ID, relay.Event{ReceivedAt: time.Now(), Kind: "test", Header: []byte("{}"), Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	append1(ctx)
	to := filepath.Join(dir, "copy.db")
	if err := s.Backup(ctx, to); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(ctx, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file: %v", err)
	}
	append1(ctx)
	back, err := sqlitestore.Open(ctx, sqlitestore.Config{Path: to})
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	for name, row := range map[string]struct {
		store *sqlitestore.Store
		want  int
	}{"the live one": {s, 2}, "the copy": {back, 1}} {
		events, err := row.store.After(ctx, c.ID, 0, 10, 1<<20)
		if err != nil || len(events) != row.want {
			t.Errorf("%s has %d events, %v; want %d", name, len(events), err, row.want)
		}
	}
	if found, err := back.ClinicByName(ctx, "riverside"); err != nil || found.ID != c.ID {
		t.Errorf("the clinic in the copy: %+v, %v", found, err)
	}
}
