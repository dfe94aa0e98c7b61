//go:build peers && linux

package pgstore_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rayhound/rayhound/tunnel/relay/pgstore"
	"github.com/rayhound/rayhound/tunnel/relay/storetest"
	"github.com/rayhound/rayhound/tunnel/relay/storetest/pgtest"
)

func open(t testing.TB, dsn string) *pgstore.Store {
	t.Helper()
	s, err := pgstore.Open(t.Context(), pgstore.Config{DSN: dsn})
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

func suite(server *pgtest.Server) storetest.Suite {
	names := map[storetest.Store]string{}
	return storetest.Suite{
		Nodes: true,
		New: func(t testing.TB) func(testing.TB) storetest.Store {
			dsn := server.NewDatabase(t)
			return func(t testing.TB) storetest.Store {
				s := open(t, dsn)
				names[s] = dsn
				return s
			}
		},
		Spoil: func(t testing.TB, s storetest.Store) {
			c, err := pgx.Connect(t.Context(), names[s])
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close(t.Context())
			if _, err := c.Exec(t.Context(), `CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$
				BEGIN IF NEW.kind = 'poison' THEN RAISE EXCEPTION 'poison'; END IF; RETURN NEW; END $$;
				CREATE TRIGGER poison BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION poison()`); err != nil {
				t.Fatal(err)
			}
		},
	}
}

func TestSuite(t *testing.T) { storetest.Run(t, suite(pgtest.Start(t))) }

func BenchmarkStore(b *testing.B) { storetest.Bench(b, suite(pgtest.Start(b))) }
