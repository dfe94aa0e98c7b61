package relayd_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relay/sqlitestore"
	"github.com/rayhound/rayhound/tunnel/relayd"
	"github.com/rayhound/rayhound/tunnel/tunneltest"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// An older copy of the relay's database takes its place, with and without "rayhound relay restored", and the agent comes back before
// and after the numbers were given out again. It always hears of the gap, and nothing that was stored after is missing.
func TestStoreRolledBack(t *testing.T) {
	for _, restored := range []bool{false, true} {
		for _, tt := range []struct {
			name     string
			after    []string // the clinics that get webhooks before the agent is back: "a" is the agent's
			overPoll bool     // by long-poll too
		}{
			{"the agent is ahead", nil, false},
			{"one number is given out again", []string{"a"}, false},
			{"the same head", []string{"a", "a", "a"}, false},
			{"the head has overtaken", []string{"a", "a", "a", "a", "a"}, true},
			{"the number went to another clinic", []string{"a", "b", "b", "a"}, true},
			{"all numbers went to another clinic", []string{"b", "b", "b", "a"}, false},
		} {
			if restored && len(tt.after)%4 != 0 {
				continue // the command settles it whatever the numbers are
			}
			t.Run(fmt.Sprintf("restored=%v, %s", restored, tt.name), func(t *testing.T) {
				t.Parallel()
				rollBack(t, restored, false, tt.after)
			})
			if !restored && tt.overPoll {
				t.Run(fmt.Sprintf("long-poll, restored=%v, %s", restored, tt.name), func(t *testing.T) {
					t.Parallel()
					rollBack(t, restored, true, tt.after)
				})
			}
		}
	}
}

func rollBack(t *testing.T, restored, polling bool, after []string) {
	p := newPlace(t, nil)
	both := p.join("a", "b")
	clinics := map[string]*tunneltest.Clinic{"a": both[0], "b": both[1]}
	a := clinics["a"]
	if polling {
		a.RelayURL = p.front.pollURL
	}
	a.Start(t)
	eventually(t, "connected", func() bool { return retried(both[:1]) })
	for i := range 3 {
		post(t, p.front.url, a, fmt.Sprint("before ", i))
	}
	eventually(t, "the inbox holds three", func() bool { return len(a.Memory.Seqs()) == 3 })
	p.admin(func(_ *relay.Admin, st relayd.Store) {
		eventually(t, "the acks are stored", func() bool {
			m, err := st.Mailbox(t.Context(), a.Credentials.ClinicID)
			return err == nil && m.Acked == m.Head
		})
		if err := st.(*sqlitestore.Store).Backup(t.Context(), filepath.Join(p.dir, "copy.db")); err != nil {
			t.Fatal(err)
		}
	})
	for i := range 3 {
		post(t, p.front.url, a, fmt.Sprint("forgotten ", i))
	}
	eventually(t, "the inbox holds six", func() bool { return len(a.Memory.Seqs()) == 6 })
	a.Stop()
	cursor, err := a.Memory.Cursor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.stop()
	for _, end := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(p.database() + end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if err := os.Rename(filepath.Join(p.dir, "copy.db"), p.database()); err != nil {
		t.Fatal(err)
	}
	if restored {
		p.admin(func(a *relay.Admin, _ relayd.Store) {
			if err := a.NewStoreEpochs(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
	p.start()
	var want []string
	for i, name := range after {
		body := fmt.Sprint("after ", i)
		post(t, p.front.url, clinics[name], body)
		if name == "a" {
			want = append(want, body)
		}
	}
	a.Start(t)
	eventually(t, "connected", func() bool { return retried(both[:1]) })
	post(t, p.front.url, a, "the last")
	want = append(want, "the last")
	eventually(t, "the newest event is there", func() bool { return slices.Contains(a.Bodies(t, ""), "the last") })
	now := a.Client.Status().StoreEpoch
	if now == cursor.Epoch {
		t.Error("the agent kept its store epoch")
	}
	if got := a.Bodies(t, now); len(got) < len(want) || !slices.Equal(got[len(got)-len(want):], want) {
		t.Errorf("of the new epoch the inbox holds %q, want %q", got, want)
	}
	gaps := a.Memory.Gaps()
	if len(gaps) != 1 || gaps[0].Reason != wire.GapRollback || gaps[0].StoreEpoch != now {
		t.Errorf("gaps: %+v", gaps)
	}
}

// The appliance's own database is put back to last night's copy: what it had seen since comes again, and nothing is a gap.
func TestApplianceRestored(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	a := p.join("a")[0]
	a.Start(t)
	post(t, p.front.url, a, "0")
	eventually(t, "the inbox holds it", func() bool { return len(a.Memory.Seqs()) == 1 })
	backup, err := a.Memory.Cursor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		post(t, p.front.url, a, fmt.Sprint(i+1))
	}
	eventually(t, "the inbox holds all", func() bool { return len(a.Memory.Seqs()) == 21 })
	a.Stop()
	a.Memory = tunneltest.NewInbox()
	a.Memory.SetCursor(backup)
	a.Inbox = a.Memory
	post(t, p.front.url, a, "21")
	a.Start(t)
	eventually(t, "all that came after the copy comes again", func() bool { return len(a.Memory.Seqs()) == 21 })
	for i, body := range a.Bodies(t, "") {
		if body != fmt.Sprint(i+1) {
			t.Fatalf("%q at %d", body, i)
		}
	}
	if gaps := a.Memory.Gaps(); len(gaps) != 0 {
		t.Errorf("%+v", gaps)
	}
}
