package localdb_test

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/localdb/localdbtest"
)

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func code(err error) problem.Code {
	if p := problem.Of(err); p != nil {
		return p.Code
	}
	return ""
}

func TestBackupWhileWriting(t *testing.T) {
	ck := &clock{t: localdbtest.Start}
	toml := filepath.Join(t.TempDir(), "rayhound.toml")
	if err := os.WriteFile(toml, []byte("version = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	db := localdbtest.Open(t, func(c *localdb.Config) { c.Now, c.ExtraBackupFiles = ck.now, []string{toml, toml + ".missing"} })
	localdbtest.Fill(t, db, 0, 500)
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := 1000; ; i++ {
			select {
			case <-stop:
				return
			default:
				localdbtest.Write(t, db, func(ctx context.Context, tx *localdb.Tx) error { return tx.InsertOrder(ctx, localdbtest.Order(i)) })
			}
		}
	})
	info, err := db.Backup(t.Context())
	close(stop)
	writer.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Base(info.Path) != "rayhound-20260302-080000.zip" || info.Version != "test" || info.SchemaVersion == 0 || info.Size == 0 {
		t.Errorf("got %+v", info)
	}
	z, err := zip.OpenReader(info.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close() // it was only read
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name)
	}
	if got := strings.Join(names, " "); got != "meta.json rayhound.toml rayhound.db" {
		t.Errorf("the set is %s", got)
	}
	entries, err := os.ReadDir(filepath.Dir(info.Path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v %v", entries, err)
	}
}

func TestOldBackupsAreRemoved(t *testing.T) {
	ck := &clock{t: localdbtest.Start}
	dir := filepath.Join(t.TempDir(), "back[ups]")
	db := localdbtest.Open(t, func(c *localdb.Config) { c.Now, c.BackupDir, c.KeepBackups = ck.now, dir, 3 })
	stranger := filepath.Join(dir, "rayhound-holiday.zip")
	for i := range 6 {
		if _, err := db.Backup(t.Context()); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 { // two in the same second, too
			ck.add(24 * time.Hour)
		}
		if err := os.WriteFile(stranger, []byte("not ours"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := localdb.Backups(dir)
	if err != nil || len(got) != 3 {
		t.Fatalf("%d backups, %v", len(got), err)
	}
	if !got[0].CreatedAt.After(got[2].CreatedAt) {
		t.Error("not the newest first")
	}
	if _, err := os.Stat(stranger); err != nil {
		t.Error("a file that is no backup was removed")
	}
}

// sent adds an order with one delivered, one fresh and one old unsent entry.
func owing(t *testing.T, db *localdb.DB, now time.Time) {
	t.Helper()
	localdbtest.Write(t, db, func(ctx context.Context, tx *localdb.Tx) error {
		o := localdbtest.Order(1)
		if err := tx.InsertOrder(ctx, o); err != nil {
			return err
		}
		for i, age := range []time.Duration{72 * time.Hour, 48 * time.Hour, time.Hour} {
			if _, err := tx.Enqueue(ctx, localdb.OutboxEntry{
				OrderID: o.ID, Dest: fmt.Sprint("ris:", i), Kind: "NW", Payload: []byte("MSH"), IdemKey: fmt.Sprint(i),
				CreatedAt: now.Add(-age), GiveUpAt: now.Add(72 * time.Hour),
			}); err != nil {
				return err
			}
		}
		e, err := tx.Lease(ctx, "ris:0", now, now.Add(time.Minute))
		if err != nil {
			return err
		}
		_, err = tx.Finish(ctx, e.ID, e.LeaseToken, localdb.Attempt{At: now, Outcome: "accepted"}, now)
		return err
	})
}

func TestRestore(t *testing.T) {
	ck := &clock{t: localdbtest.Start}
	dir := t.TempDir()
	path, toml := filepath.Join(dir, "data", "rayhound.db"), filepath.Join(dir, "rayhound.toml")
	if err := os.WriteFile(toml, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := localdb.Config{Path: path, Now: ck.now, ExtraBackupFiles: []string{toml}}
	db, err := localdb.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	owing(t, db, ck.now())
	info, err := db.Backup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	insert(t, db, localdbtest.Order(2)) // after the backup
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(toml, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	res, err := localdb.Restore(t.Context(), localdb.RestoreConfig{
		File: info.Path, Path: path, ConfigFile: toml, Who: "IT", Now: ck.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	if res.Parked != 1 {
		t.Errorf("%d entries parked, want 1", res.Parked)
	}
	if b, err := os.ReadFile(toml); string(b) != "old" {
		t.Errorf("the settings are %q, %v", b, err)
	}
	for name, want := range map[string]string{"rayhound.toml": "new", "rayhound.db": ""} {
		b, err := os.ReadFile(filepath.Join(res.Aside, name))
		if err != nil || want != "" && string(b) != want {
			t.Errorf("aside: %s is %q, %v", name, b, err)
		}
	}
	db, err = localdb.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() // not the subject
	localdbtest.Read(t, db, func(ctx context.Context, s *localdb.Snapshot) error {
		o, err := s.OrderByAccession(ctx, "10001")
		if err != nil || o.StudyInstanceUID != localdbtest.Order(1).StudyInstanceUID {
			t.Errorf("the order is not what it was: %v", err)
		}
		if _, err := s.OrderByAccession(ctx, "10002"); !errors.Is(err, localdb.ErrNotFound) {
			t.Errorf("the later order is there: %v", err)
		}
		if _, ok, err := s.State(ctx, localdb.RestoredAtState); !ok || err != nil {
			t.Errorf("nothing says that it was restored: %v", err)
		}
		entries, err := s.Outbox(ctx, localdb.OutboxFilter{States: []string{"ready", "parked", "done"}})
		if err != nil {
			return err
		}
		var states []string
		for _, e := range entries {
			states = append(states, e.State+e.LastCode)
		}
		if got := strings.Join(states, " "); got != "done parkedrestored ready" {
			t.Errorf("outbox: %s", got)
		}
		audit, err := s.ListAudit(ctx, 0, 10)
		if err != nil || len(audit) != 1 || audit[0].What != "backup.restore" || audit[0].Who != "IT" {
			t.Errorf("audit: %+v %v", audit, err)
		}
		return nil
	})
}

func TestRestoreTakesTheNewestThatPasses(t *testing.T) {
	ck := &clock{t: localdbtest.Start}
	db := localdbtest.Open(t, func(c *localdb.Config) { c.Now = ck.now })
	good, err := db.Backup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ck.add(time.Hour)
	bad, err := db.Backup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(bad.Path)
	if err != nil {
		t.Fatal(err)
	}
	copy(b[len(b)/2:], make([]byte, 2000))
	if err := os.WriteFile(bad.Path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := localdb.RestoreConfig{BackupDir: filepath.Dir(good.Path), Path: db.Path(), Now: ck.now}
	res, err := localdb.Restore(t.Context(), cfg)
	if err != nil || res.Backup.Path != good.Path {
		t.Fatalf("restored %s, %v", res.Backup.Path, err)
	}
	cfg.File = bad.Path
	if _, err := localdb.Restore(t.Context(), cfg); err == nil {
		t.Error("a damaged backup was restored")
	}
	cfg.File = filepath.Join(t.TempDir(), "none.zip")
	if _, err := localdb.Restore(t.Context(), cfg); code(err) != problem.FileUnusable {
		t.Errorf("got %v, want RH-513", err)
	}
	cfg.File, cfg.BackupDir = "", t.TempDir()
	if _, err := localdb.Restore(t.Context(), cfg); code(err) != problem.FileUnusable {
		t.Errorf("got %v, want RH-513", err)
	}
}

// A power cut at any point of the swap leaves the old database or the new one.
func TestRestoreIsCompletedAfterACrash(t *testing.T) {
	mark := func(t *testing.T, path string, v string) {
		t.Helper()
		db, err := localdb.Open(t.Context(), localdb.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		localdbtest.Write(t, db, func(ctx context.Context, tx *localdb.Tx) error { return tx.SetState(ctx, "which", v) })
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	move := func(t *testing.T, from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name  string
		crash func(t *testing.T, path, aside string)
		want  string
	}{
		{"before the marker", func(t *testing.T, path, _ string) { _ = os.Remove(path + ".restore.json") }, "old"},
		{"after the marker", func(*testing.T, string, string) {}, "new"},
		{"after setting aside", func(t *testing.T, path, aside string) { move(t, path, filepath.Join(aside, "rayhound.db")) }, "new"},
		{"after the swap", func(t *testing.T, path, aside string) {
			move(t, path, filepath.Join(aside, "rayhound.db"))
			move(t, path+".restore", path)
		}, "new"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path, aside := filepath.Join(dir, "rayhound.db"), filepath.Join(dir, "aside")
			mark(t, path, "old")
			fresh := filepath.Join(t.TempDir(), "new.db")
			mark(t, fresh, "new")
			move(t, fresh, path+".restore")
			if err := os.Mkdir(aside, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path+".restore.json", fmt.Appendf(nil, `{"aside":%q}`, aside), 0o600); err != nil {
				t.Fatal(err)
			}
			c.crash(t, path, aside)
			db, err := localdb.Open(t.Context(), localdb.Config{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close() // not the subject
			localdbtest.Read(t, db, func(ctx context.Context, s *localdb.Snapshot) error {
				got, _, err := s.State(ctx, "which")
				if got != c.want {
					t.Errorf("the %s database is there, want the %s one", got, c.want)
				}
				return err
			})
			for _, s := range []string{".restore", ".restore.json"} {
				if _, err := os.Stat(path + s); err == nil {
					t.Errorf("%s was left behind", s)
				}
			}
		})
	}
}
