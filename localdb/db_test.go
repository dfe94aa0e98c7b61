package localdb

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/rayhound/rayhound/appliance/problem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openTest(t *testing.T, path string) *DB {
	t.Helper()
	db, err := Open(t.Context(), Config{Path: path, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func pragma(t *testing.T, c *conn, name string) string {
	t.Helper()
	var v string
	if err := c.c.QueryRowContext(t.Context(), "PRAGMA "+name).Scan(&v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

func TestEveryConnectionHasItsSettings(t *testing.T) {
	db := openTest(t, filepath.Join(t.TempDir(), "rayhound.db"))
	w := <-db.writer
	defer func() { db.writer <- w }()
	for name, want := range map[string]string{
		"busy_timeout": "5000", "journal_mode": "wal", "synchronous": "2", "foreign_keys": "1",
		"auto_vacuum": "2", "secure_delete": "1", "query_only": "0",
	} {
		if got := pragma(t, w, name); got != want {
			t.Errorf("writer: %s is %s, want %s", name, got, want)
		}
	}
	if _, err := w.c.ExecContext(t.Context(), "PRAGMA writable_schema=ON"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.c.ExecContext(t.Context(), "DELETE FROM sqlite_schema"); err == nil {
		t.Error("the writer is not defensive")
	}
	for i := range readerCount {
		r := <-db.readers
		defer func() { db.readers <- r }()
		for name, want := range map[string]string{"busy_timeout": "5000", "foreign_keys": "1", "query_only": "1", "journal_mode": "wal"} {
			if got := pragma(t, r, name); got != want {
				t.Errorf("reader %d: %s is %s, want %s", i, name, got, want)
			}
		}
		if _, err := r.c.ExecContext(t.Context(), "DELETE FROM hint"); err == nil {
			t.Errorf("reader %d can write", i)
		}
	}
}

func TestPathsAreTakenLiterally(t *testing.T) {
	for _, name := range []string{"plain.db", "with space.db", "100%41.db", "a#b.db", "ä ß ö 北.db", "q?mode=ro&x.db", "semi;colon+plus.db"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "Ordner %20 #1")
			db := openTest(t, filepath.Join(dir, name))
			if err := db.Write(t.Context(), func(tx *Tx) error { return tx.SetState(t.Context(), "k", "v") }); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if e.Name() != name && e.Name() != lockName {
					t.Errorf("there is a file %q", e.Name())
				}
			}
		})
	}
}

func TestWindowsPathBecomesURI(t *testing.T) {
	// filepath.ToSlash does nothing on other systems: the path comes with slashes.
	if got, want := dsn("C:/Program Data/Rayhound/rayhound.db", "x=1"), "file:/C:/Program%20Data/Rayhound/rayhound.db?x=1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOneProcessOwnsTheFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rayhound.db")
	db := openTest(t, path)
	_, err := Open(t.Context(), Config{Path: path})
	if p := problem.Of(err); p == nil || p.Code != problem.DataLocked {
		t.Fatalf("got %v, want RH-512", err)
	}
	if _, err := Restore(t.Context(), RestoreConfig{Path: path, File: "x.zip"}); problem.Of(err) == nil || problem.Of(err).Code != problem.DataLocked {
		t.Fatalf("restore: got %v, want RH-512", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	openTest(t, path)
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rayhound.db")
	db := openTest(t, path)
	w := <-db.writer
	if _, err := w.c.ExecContext(t.Context(), "INSERT INTO goose_db_version(version_id, is_applied) VALUES (99, 1)"); err != nil {
		t.Fatal(err)
	}
	db.writer <- w
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), Config{Path: path})
	p := problem.Of(err)
	if p == nil || p.Code != problem.DBNewer || p.Args["found"] != "99" {
		t.Fatalf("got %v, want RH-508 about 99", err)
	}
}

func TestDamagedFileIsAProblem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rayhound.db")
	if err := os.WriteFile(path, []byte("this is not a database, but it is longer than a header of one, "+
		"which has a hundred bytes and begins with its own words"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), Config{Path: path})
	if p := problem.Of(err); p == nil || p.Code != problem.DBDamaged {
		t.Fatalf("got %v, want RH-503", err)
	}
}

func TestQuickCheckFindsDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rayhound.db")
	db := openTest(t, path)
	ctx := t.Context()
	if err := db.Write(ctx, func(tx *Tx) error {
		for i := range 500 {
			if err := tx.AddAudit(ctx, Audit{Who: "somebody", What: "something", Detail: string(make([]byte, 200+i))}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.QuickCheck(ctx); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	junk := make([]byte, 4096)
	for i := range junk {
		junk[i] = byte(i * 7)
	}
	for at := fi.Size() - 20*4096; at < fi.Size(); at += 4096 {
		if _, err := f.WriteAt(junk, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	db = openTest(t, path)
	if p := problem.Of(db.QuickCheck(ctx)); p == nil || p.Code != problem.DBDamaged {
		t.Fatalf("got %v, want RH-503", p)
	}
}

func TestLostParentIsFound(t *testing.T) {
	db := openTest(t, filepath.Join(t.TempDir(), "rayhound.db"))
	w := <-db.writer
	for _, q := range []string{
		"PRAGMA foreign_keys=OFF",
		"INSERT INTO entry(order_id, at, kind, source, code, text) VALUES (77, 1, '', '', '', '')",
		"PRAGMA foreign_keys=ON",
	} {
		if _, err := w.c.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	db.writer <- w
	if p := problem.Of(db.QuickCheck(t.Context())); p == nil || p.Args["detail"] != "a row of entry refers to a missing orders" {
		t.Fatalf("got %v", p)
	}
}

func TestDiskLow(t *testing.T) {
	free := uint64(1 << 30)
	db, err := Open(t.Context(), Config{
		Path:      filepath.Join(t.TempDir(), "rayhound.db"),
		FreeSpace: func(string) (uint64, error) { return free, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() // not the subject
	if err := db.DiskLow(t.Context()); err != nil {
		t.Error(err)
	}
	free = 150 << 20
	p := problem.Of(db.DiskLow(t.Context()))
	if p == nil || p.Code != problem.DiskLow || p.Args["free"] != "150 MB" {
		t.Errorf("got %v", p)
	}
	if _, err := db.Backup(t.Context()); problem.Of(err) == nil {
		t.Errorf("a backup used the reserve: %v", err)
	}
}

// A full disk rolls back, says so, and ends by itself when there is room.
func TestFullDiskRollsBack(t *testing.T) {
	db := openTest(t, filepath.Join(t.TempDir(), "rayhound.db"))
	ctx := t.Context()
	w := <-db.writer
	var pages int64
	if err := w.c.QueryRowContext(ctx, "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	limit := func(n int64) {
		var got int64
		if err := w.c.QueryRowContext(ctx, "PRAGMA max_page_count="+itoa(n)).Scan(&got); err != nil {
			t.Fatal(err)
		}
	}
	limit(pages + 3)
	db.writer <- w
	big := func(tx *Tx) error {
		if err := tx.SetState(ctx, "half", "written"); err != nil {
			return err
		}
		return tx.AddRaw(ctx, Raw{Kind: "webhook", Bytes: make([]byte, 100_000)})
	}
	err := db.Write(ctx, big)
	if p := problem.Of(err); p == nil || p.Code != problem.DiskLow {
		t.Fatalf("got %v, want RH-502", err)
	}
	if err := db.Read(ctx, func(s *Snapshot) error {
		if _, ok, err := s.State(ctx, "half"); ok || err != nil {
			t.Errorf("half a transaction is there (%v)", err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	w = <-db.writer
	limit(pages + 1000)
	db.writer <- w
	if err := db.Write(ctx, big); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestWriteIsAllOrNothing(t *testing.T) {
	db := openTest(t, filepath.Join(t.TempDir(), "rayhound.db"))
	ctx := t.Context()
	boom := errors.New("boom")
	if err := db.Write(ctx, func(tx *Tx) error { return errors.Join(tx.SetState(ctx, "a", "1"), boom) }); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = db.Write(ctx, func(tx *Tx) error {
			if err := tx.SetState(ctx, "a", "1"); err != nil {
				return err
			}
			panic("boom")
		})
	}()
	cancelled, cancel := context.WithCancel(ctx)
	err := db.Write(cancelled, func(tx *Tx) error {
		if err := tx.SetState(cancelled, "a", "1"); err != nil {
			return err
		}
		cancel()
		return tx.SetState(cancelled, "b", "1")
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	var leaked *Tx
	if err := db.Write(ctx, func(tx *Tx) error { leaked = tx; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := leaked.SetState(ctx, "a", "1"); !errors.Is(err, errEnded) {
		t.Errorf("a transaction lived on: %v", err)
	}
	if err := db.Read(ctx, func(s *Snapshot) error {
		if m, err := s.States(ctx, ""); len(m) != 0 || err != nil {
			t.Errorf("there is %v (%v)", m, err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Write(ctx, func(*Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := db.Read(ctx, func(*Snapshot) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestSnapshotDoesNotMove(t *testing.T) {
	db := openTest(t, filepath.Join(t.TempDir(), "rayhound.db"))
	ctx := t.Context()
	if err := db.Read(ctx, func(s *Snapshot) error {
		if _, ok, err := s.State(ctx, "k"); ok || err != nil {
			t.Errorf("%v %v", ok, err)
		}
		if err := db.Write(ctx, func(tx *Tx) error { return tx.SetState(ctx, "k", "v") }); err != nil {
			return err
		}
		if _, ok, err := s.State(ctx, "k"); ok || err != nil {
			t.Errorf("the snapshot moved: %v %v", ok, err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func itoa(n int64) string {
	b, _ := toJSON(n) // a number always has a JSON form
	return b
}
