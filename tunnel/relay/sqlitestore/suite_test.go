package sqlitestore_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/rayhound/rayhound/tunnel/relay/sqlitestore"
	"github.com/rayhound/rayhound/tunnel/relay/storetest"
)

func open(t testing.TB, path string) *sqlitestore.Store {
	t.Helper()
	s, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func suite() storetest.Suite {
	paths := map[storetest.Store]string{}
	return storetest.Suite{
		New: func(t testing.TB) func(testing.TB) storetest.Store {
			path := filepath.Join(t.TempDir(), "relay 100%#.db")
			return func(t testing.TB) storetest.Store {
				s := open(t, path)
				paths[s] = path
				return s
			}
		},
		Spoil: func(t testing.TB, s storetest.Store) {
			db, err := sql.Open("sqlite", sqlitestore.DSN(paths[s]))
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.ExecContext(t.Context(), `CREATE TRIGGER poison BEFORE INSERT ON event WHEN NEW.kind = 'poison'
				BEGIN SELECT RAISE(ROLLBACK, 'poison'); END`); err != nil {
				t.Fatal(err)
			}
		},
	}
}

func TestSuite(t *testing.T) { storetest.Run(t, suite()) }
