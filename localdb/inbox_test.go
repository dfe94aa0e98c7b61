package localdb_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/localdb/localdbtest"
)

// event is the n-th event of an invented mailbox.
func event(n int64) *localdb.InboxEvent {
	return &localdb.InboxEvent{
		Clinic: "c1", Epoch: "e1", Seq: n, Kind: "worklist.created", ReceivedAt: localdbtest.Start.Add(time.Duration(n) * time.Microsecond),
		Header: []byte(`{"kind":"worklist.created"}`), Body: []byte("sealed \x00 " + strconv.FormatInt(n, 10)), At: localdbtest.Start, State: localdb.InboxNew,
	}
}

func TestInboxStoresOnce(t *testing.T) {
	db := localdbtest.Open(t)
	localdbtest.Write(t, db, func(ctx context.Context, tx *localdb.Tx) error {
		for _, c := range []struct {
			name string
			e    func(*localdb.InboxEvent)
			want bool
		}{
			{"first", func(*localdb.InboxEvent) {}, true},
			{"again", func(*localdb.InboxEvent) {}, false},
			{"other epoch", func(e *localdb.InboxEvent) { e.Epoch = "e2" }, true},
			{"other mailbox", func(e *localdb.InboxEvent) { e.Clinic = "c2" }, true},
			{"another event with the number", func(e *localdb.InboxEvent) { e.ReceivedAt = e.ReceivedAt.Add(time.Second); e.Body = []byte("new") }, true},
			{"and that one again", func(e *localdb.InboxEvent) { e.ReceivedAt = e.ReceivedAt.Add(time.Second) }, false},
		} {
			e := event(7)
			c.e(e)
			if got, err := tx.AddInbox(ctx, e); err != nil || got != c.want {
				t.Errorf("%s: %v %v", c.name, got, err)
			}
		}
		for _, bad := range []func(*localdb.InboxEvent){
			func(e *localdb.InboxEvent) { e.Seq = 0 },
			func(e *localdb.InboxEvent) { e.Epoch = "" },
			func(e *localdb.InboxEvent) { e.State = "x" },
		} {
			e := event(8)
			bad(e)
			if _, err := tx.AddInbox(ctx, e); err == nil {
				t.Errorf("%+v was taken", e)
			}
		}
		e, err := tx.InboxEventBySeq(ctx, "c1", "e1", 7)
		if err != nil || string(e.Body) != "new" || e.ReceivedAt.Nanosecond() != 7000 {
			t.Errorf("got %+v %v", e, err)
		}
		return nil
	})
}

func TestInboxStates(t *testing.T) {
	db := localdbtest.Open(t)
	at := localdbtest.Start
	localdbtest.Write(t, db, func(ctx context.Context, tx *localdb.Tx) error {
		for n := range int64(5) {
			if _, err := tx.AddInbox(ctx, event(n+1)); err != nil {
				return err
			}
		}
		list, err := tx.NewInbox(ctx, 0, 10)
		if err != nil || len(list) != 5 || list[0].Seq != 1 {
			t.Fatalf("%d events, %v", len(list), err)
		}
		if rest, err := tx.NewInbox(ctx, list[3].ID, 10); err != nil || len(rest) != 1 || rest[0].Seq != 5 {
			t.Errorf("behind the fourth: %v %v", rest, err)
		}
		if err := tx.FinishInbox(ctx, list[0].ID, "10", false, at); err != nil {
			return err
		}
		if err := tx.FinishInbox(ctx, list[1].ID, "", true, at); err != nil {
			return err
		}
		if err := tx.SpoilInbox(ctx, list[2].ID, "key", false, at); err != nil {
			return err
		}
		if err := tx.SpoilInbox(ctx, list[0].ID, "late", false, at); err != nil { // done is done
			return err
		}
		a, err1 := tx.InboxEventBySeq(ctx, "c1", "e1", 1)
		b, err2 := tx.InboxEventBySeq(ctx, "c1", "e1", 2)
		if err1 != nil || err2 != nil || a.State != localdb.InboxDone || a.ProvetID != "10" || len(a.Body) == 0 || len(b.Body) != 0 {
			t.Errorf("%+v\n%+v", a, b)
		}
		bad, err := tx.PoisonInbox(ctx, 10)
		if err != nil || len(bad) != 1 || bad[0].Seq != 3 || bad[0].Reason != "key" {
			t.Errorf("poison %+v %v", bad, err)
		}
		st, err := tx.InboxStats(ctx)
		if st != (localdb.InboxStats{New: 2, Poison: 1}) {
			t.Errorf("%+v", st)
		}
		return err
	})
}

func TestTunnelCursor(t *testing.T) {
	db := localdbtest.Open(t)
	at := localdbtest.Start
	localdbtest.Write(t, db, func(ctx context.Context, tx *localdb.Tx) error {
		wants := func(what string, want localdb.TunnelCursor) {
			t.Helper()
			got, err := tx.TunnelCursor(ctx)
			got.ChangedAt = time.Time{}
			if err != nil || got != want {
				t.Errorf("%s: %+v, want %+v, %v", what, got, want, err)
			}
		}
		move := func(epoch string, seq int64, received time.Time) {
			if err := tx.MoveTunnel(ctx, epoch, seq, received, at); err != nil {
				t.Error(err)
			}
		}
		wants("never connected", localdb.TunnelCursor{})
		if changed, err := tx.BindTunnel(ctx, "c1", at); err != nil || !changed {
			t.Error(changed, err)
		}
		t1, t2 := at.Add(time.Microsecond), at.Add(time.Second)
		move("e1", 5, t1)
		move("e1", 4, t2)
		wants("never back", localdb.TunnelCursor{Clinic: "c1", Epoch: "e1", Seq: 5, ReceivedAt: t1})
		move("e1", 9, time.Time{})
		wants("over a gap", localdb.TunnelCursor{Clinic: "c1", Epoch: "e1", Seq: 9})
		move("e2", 2, t2)
		wants("another store", localdb.TunnelCursor{Clinic: "c1", Epoch: "e2", Seq: 2, ReceivedAt: t2})
		if err := tx.SetTunnelWindow(ctx, 56*time.Second); err != nil {
			return err
		}
		gap := localdb.TunnelGap{Clinic: "c1", Epoch: "e2", From: 3, To: 9, Reason: "expired", At: at}
		for i, want := range []bool{true, false} {
			if isNew, err := tx.AddTunnelGap(ctx, gap); err != nil || isNew != want {
				t.Errorf("gap, time %d: %v %v", i+1, isNew, err)
			}
		}
		wants("with all", localdb.TunnelCursor{Clinic: "c1", Epoch: "e2", Seq: 2, ReceivedAt: t2, Window: 56 * time.Second, Gaps: 1})
		if gaps, err := tx.TunnelGaps(ctx, 5); err != nil || len(gaps) != 1 || gaps[0].To != 9 || gaps[0].Reason != "expired" {
			t.Errorf("%+v %v", gaps, err)
		}
		if changed, err := tx.BindTunnel(ctx, "c1", at); err != nil || changed {
			t.Error("bound again", changed, err)
		}
		if changed, err := tx.BindTunnel(ctx, "c2", at); err != nil || !changed {
			t.Error(changed, err)
		}
		wants("another mailbox", localdb.TunnelCursor{Clinic: "c2"})
		return nil
	})
}

func TestInboxRetention(t *testing.T) {
	ck := &clock{t: localdbtest.Start}
	db := localdbtest.Open(t, func(c *localdb.Config) { c.Now = ck.now })
	localdbtest.Write(t, db, func(ctx context.Context, tx *localdb.Tx) error {
		for n := range int64(1200) {
			e := event(n + 1)
			e.Body = []byte("ZEBRAFISH")
			if n%2 == 0 {
				e.State, e.ProcessedAt = localdb.InboxDone, e.At
			}
			if n >= 1100 {
				e.State, e.ProcessedAt = localdb.InboxDone, e.At.Add(10*day)
			}
			if _, err := tx.AddInbox(ctx, e); err != nil {
				return err
			}
		}
		_, err := tx.AddTunnelGap(ctx, localdb.TunnelGap{Epoch: "e1", From: 1, To: 2, At: localdbtest.Start})
		return err
	})
	ck.add(15 * day)
	r, err := db.Purge(t.Context(), localdb.PurgePolicy{Raw: 14 * day, Audit: 365 * day})
	if err != nil || r.Inbox != 1100 {
		t.Fatalf("%+v %v", r, err)
	}
	localdbtest.Write(t, db, func(ctx context.Context, tx *localdb.Tx) error {
		for _, want := range []int{60, 10, 0} {
			if n, err := tx.TrimInbox(ctx, 30, 60); err != nil || n != want {
				t.Errorf("trimmed %d, want %d, %v", n, want, err)
			}
		}
		if gaps, err := tx.TunnelGaps(ctx, 5); err != nil || len(gaps) != 1 {
			t.Errorf("%v %v", gaps, err)
		}
		return nil
	})
	ck.add(400 * day)
	if r, err := db.Purge(t.Context(), localdb.PurgePolicy{Raw: 14 * day, Audit: 365 * day}); err != nil || r.Inbox != 30 {
		t.Fatalf("%+v %v", r, err)
	}
	if n := readable(t, db, "ZEBRAFISH"); n != 0 {
		t.Errorf("%d events are still readable", n)
	}
}

// A backup holds the inbox and the cursor of its time.
func TestInboxInBackup(t *testing.T) {
	dir := t.TempDir()
	path, backups := filepath.Join(dir, "data", "rayhound.db"), filepath.Join(dir, "backups")
	db := localdbtest.Open(t, func(c *localdb.Config) { c.Path, c.BackupDir = path, backups })
	store := func(from, to int64) {
		localdbtest.Write(t, db, func(ctx context.Context, tx *localdb.Tx) error {
			for n := from; n <= to; n++ {
				e := event(n)
				if _, err := tx.AddInbox(ctx, e); err != nil {
					return err
				}
				if err := tx.MoveTunnel(ctx, e.Epoch, e.Seq, e.ReceivedAt, e.At); err != nil {
					return err
				}
			}
			return nil
		})
	}
	store(1, 5)
	if _, err := db.Backup(t.Context()); err != nil {
		t.Fatal(err)
	}
	store(6, 9)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := localdb.Restore(t.Context(), localdb.RestoreConfig{BackupDir: backups, Path: path, Who: "test"}); err != nil {
		t.Fatal(err)
	}
	db, err := localdb.Open(t.Context(), localdb.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	localdbtest.Read(t, db, func(ctx context.Context, s *localdb.Snapshot) error {
		c, err := s.TunnelCursor(ctx)
		if c.Seq != 5 || !c.ReceivedAt.Equal(event(5).ReceivedAt) {
			t.Errorf("%+v", c)
		}
		if err == nil {
			var st localdb.InboxStats
			if st, err = s.InboxStats(ctx); st.New != 5 {
				t.Errorf("%+v", st)
			}
		}
		return err
	})
}

// The process is killed between a commit and its acknowledgement. The relay
// sends from the cursor on: nothing is lost, nothing is there twice.
func TestKillInbox(t *testing.T) {
	if path := os.Getenv("LOCALDB_TEST_KILL_INBOX"); path != "" {
		inboxChild(t, path)
		return
	}
	path := filepath.Join(t.TempDir(), "rayhound.db")
	acked := int64(0)
	for round := range 4 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKillInbox$") //nolint:gosec // this test
		cmd.Env = append(os.Environ(), "LOCALDB_TEST_KILL_INBOX="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		killed := false
		lines := bufio.NewScanner(out)
		for stop := acked + int64(60+35*round); lines.Scan(); {
			n, ok := strings.CutPrefix(lines.Text(), "ack ")
			if !ok {
				continue
			}
			if acked, err = strconv.ParseInt(n, 10, 64); err != nil {
				t.Fatal(err)
			}
			if acked >= stop && !killed {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				killed = true
			}
		}
		_ = cmd.Wait() // it was killed
		db, err := localdb.Open(t.Context(), localdb.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		localdbtest.Read(t, db, func(ctx context.Context, s *localdb.Snapshot) error {
			c, err := s.TunnelCursor(ctx)
			if err != nil {
				return err
			}
			list, err := s.NewInbox(ctx, 0, 100_000)
			if c.Seq < acked || int64(len(list)) != c.Seq {
				t.Errorf("round %d: cursor %d, %d events, acknowledged up to %d", round, c.Seq, len(list), acked)
			}
			for i, e := range list {
				if e.Seq != int64(i+1) {
					t.Fatalf("round %d: event %d has the number %d", round, i+1, e.Seq)
				}
			}
			hints, herr := s.Hints(ctx, 100_000)
			if herr != nil || int64(len(hints)) != c.Seq {
				t.Errorf("round %d: %d hints of %d events, %v", round, len(hints), c.Seq, herr)
			}
			return err
		})
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// inboxChild takes events until it is killed, the last three of a batch twice,
// as after a lost acknowledgement, and says so after each commit.
func inboxChild(t *testing.T, path string) {
	t.Helper()
	db, err := localdb.Open(t.Context(), localdb.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	for range 10_000 {
		var last int64
		if err := db.Write(t.Context(), func(tx *localdb.Tx) error {
			ctx := t.Context()
			c, err := tx.TunnelCursor(ctx)
			if err != nil {
				return err
			}
			last = c.Seq + 5
			for n := max(1, c.Seq-2); n <= last; n++ {
				e := event(n)
				isNew, err := tx.AddInbox(ctx, e)
				if err != nil {
					return err
				}
				if isNew {
					if err := tx.AddHint(ctx, strconv.FormatInt(n, 10), "test", e.At); err != nil {
						return err
					}
				}
				if err := tx.MoveTunnel(ctx, e.Epoch, n, e.ReceivedAt, e.At); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("ack %d\n", last)
	}
}

// BenchmarkInbox is what one batch of the tunnel costs: the events, a hint each
// and the cursor, in one transaction.
func BenchmarkInbox(b *testing.B) {
	for _, batch := range []int{1, 8, 64, 256} {
		b.Run(fmt.Sprintf("batch%d", batch), func(b *testing.B) {
			db := localdbtest.Open(b)
			body := make([]byte, 400)
			n := int64(0)
			for b.Loop() {
				localdbtest.Write(b, db, func(ctx context.Context, tx *localdb.Tx) error {
					var e *localdb.InboxEvent
					for range batch {
						n++
						e = event(n)
						e.Body, e.State, e.ProcessedAt, e.ProvetID = body, localdb.InboxDone, e.At, "100"
						if _, err := tx.AddInbox(ctx, e); err != nil {
							return err
						}
						if err := tx.AddHint(ctx, strconv.FormatInt(100+n%40, 10), "worklist.updated", e.At); err != nil {
							return err
						}
					}
					return tx.MoveTunnel(ctx, e.Epoch, e.Seq, e.ReceivedAt, e.At)
				})
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
