package sqlitestore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relay/sqlitestore"
	"github.com/rayhound/rayhound/tunnel/relay/storetest"
	"github.com/rayhound/rayhound/tunnel/wire"
)

func TestKill(t *testing.T) {
	storetest.Kill(t, "TestKill", 3, filepath.Join(t.TempDir(), "relay.db"), func(t testing.TB, path string) storetest.Store { return open(t, path) })
}

// kill -9 cannot tell FULL from NORMAL, because the page cache survives it: read the settings back.
func TestSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	open(t, path)
	for settings, want := range map[string]map[string]string{
		sqlitestore.WriterSettings: {"synchronous": "2", "journal_mode": "wal", "auto_vacuum": "2", "wal_autocheckpoint": "4000", "foreign_keys": "1", "secure_delete": "1"},
		sqlitestore.ReaderSettings: {"query_only": "1", "busy_timeout": "5000"},
	} {
		db, err := sql.Open("sqlite", sqlitestore.DSNWith(path, settings))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range want {
			var is string
			if err := db.QueryRowContext(t.Context(), "PRAGMA "+name).Scan(&is); err != nil || is != value {
				t.Errorf("%s is %s, want %s: %v", name, is, value, err)
			}
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	if strings.Contains(sqlitestore.ReaderSettings, "auto_vacuum") {
		t.Error("readers would ask for the write lock")
	}
}

// Administration in another process writes while the relay is busy.
func TestSecondProcess(t *testing.T) {
	if path := os.Getenv("RAYHOUND_SQLITESTORE_ADMIN"); path != "" {
		s := open(t, path)
		for i := range 20 {
			if err := s.AddClinic(t.Context(), relay.Clinic{ID: wire.ClinicID(fmt.Sprint("new", i)), Name: fmt.Sprint("New ", i), CreatedAt: storetest.Start}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Subscribe(t.Context()); err == nil {
			t.Error("two relays run on one file")
		}
		return
	}
	path := filepath.Join(t.TempDir(), "relay.db")
	s := open(t, path)
	if _, err := s.Subscribe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.AddClinic(t.Context(), relay.Clinic{ID: "a", Name: "A", CreatedAt: storetest.Start}); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var working sync.WaitGroup
	for range 32 {
		working.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := s.Append(t.Context(), "a", relay.Event{ReceivedAt: storetest.Start, Kind: wire.KindTest, Body: make([]byte, 1000)}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	before, err := s.Changes(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSecondProcess$") //nolint:gosec // this test
	cmd.Env = append(os.Environ(), "RAYHOUND_SQLITESTORE_ADMIN="+path)
	began := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(began)
	close(stop)
	working.Wait()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if c, err := s.Changes(t.Context(), before.Revision); err != nil || len(c.Clinics) != 20 {
		t.Errorf("the relay sees %d new clinics: %v", len(c.Clinics), err)
	}
	t.Logf("20 clinics were added beside a busy relay in %v", took)
}

// The disk is full: events are refused, acks and deletes go on, and it heals by itself.
func TestFullDisk(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	ctx := t.Context()
	if err := s.AddClinic(ctx, relay.Clinic{ID: "a", Name: "A", CreatedAt: storetest.Start}); err != nil {
		t.Fatal(err)
	}
	limit := s.LimitPages(t, 40)
	big := relay.Event{ReceivedAt: storetest.Start, Kind: wire.KindTest, Body: make([]byte, 50_000)}
	var stored []wire.Seq
	for {
		seq, err := s.Append(ctx, "a", big)
		if errors.Is(err, relay.ErrFull) {
			break
		}
		if err != nil || len(stored) > 100 {
			t.Fatalf("after %d events: %v", len(stored), err)
		}
		stored = append(stored, seq)
	}
	if s.ReserveKept() {
		t.Error("the reserve was not given up")
	}
	if h, err := s.Health(ctx); err != nil || !h.Full {
		t.Errorf("%+v, %v", h, err)
	}
	s.AgeFull(11 * time.Second) // nothing was tried since: a relay that hears "full" refuses events before they get here
	if h, err := s.Health(ctx); err != nil || h.Full {
		t.Errorf("it stays full though nobody tries: %+v, %v", h, err)
	}
	limit(60) // the room the reserve leaves
	c, err := s.Claim(ctx, "a", relay.Claimant{Node: "n", At: storetest.Start})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ack(ctx, "a", stored[len(stored)-1], c.Epoch); err != nil {
		t.Fatal(err)
	}
	x, err := s.Expire(ctx, time.Now().Add(100*time.Hour), relay.Limits{})
	if err != nil || x.Acked != len(stored) {
		t.Fatalf("%+v, %v", x, err)
	}
	deadline, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		if _, err = s.Append(deadline, "a", big); !errors.Is(err, relay.ErrFull) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if h, err := s.Health(ctx); err != nil || h.Full || !s.ReserveKept() {
		t.Errorf("not healed: %+v, %v", h, err)
	}
}

// A queue that is full is an error at once, and what is in it is stored.
func TestQueueFull(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	if err := s.AddClinic(t.Context(), relay.Clinic{ID: "a", Name: "A", CreatedAt: storetest.Start}); err != nil {
		t.Fatal(err)
	}
	release := s.HoldWriter(t)
	const n = 4500
	errs := make(chan error, n)
	for range n {
		go func() {
			_, err := s.Append(t.Context(), "a", relay.Event{ReceivedAt: storetest.Start, Kind: wire.KindTest})
			errs <- err
		}()
	}
	busy := 0
	for busy < n-4096 { // those that found no room answer while the writer is held
		if err := <-errs; !errors.Is(err, relay.ErrBusy) {
			t.Fatal(err)
		}
		busy++
	}
	release()
	for range n - busy {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
}

func TestNewerDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	s := open(t, path)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", sqlitestore.DSN(path))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: path}); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Error(err)
	}
}
