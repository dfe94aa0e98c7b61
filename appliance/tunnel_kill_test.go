package appliance

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// cell is a tunnel on a data folder, without Provet Cloud: hints stay.
func cell(t *testing.T, dir string) (*tunnel, *localdb.DB) {
	t.Helper()
	db, err := localdb.Open(t.Context(), localdb.Config{Path: filepath.Join(dir, "rayhound.db")})
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := secret.NewStore(secret.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	return newTunnel(&tunnel{
		core: newCore(&core{db: db, list: shelf{}, log: log, board: &problem.Board{}, routes: &routes{}}), secrets: secrets, log: log, now: time.Now,
		fields: provet.DefaultFields(), tenant: func(string, string) bool { return true }, every: time.Minute, pollNow: make(chan struct{}, 1),
	}), db
}

// The appliance is killed again and again while webhooks come: every one that the
// relay answered with 200 is in the inbox once, and its order will be looked at.
func TestTunnelKill(t *testing.T) {
	if dir := os.Getenv("APPLIANCE_TEST_KILL_TUNNEL"); dir != "" {
		killedTunnel(t, dir)
		return
	}
	dir := t.TempDir()
	url, r := benchRelay(t)
	admin := r.Admin()
	if _, err := admin.AddClinic(t.Context(), "kill"); err != nil {
		t.Fatal(err)
	}
	code, _, err := admin.PairingCode(t.Context(), "kill")
	if err != nil {
		t.Fatal(err)
	}
	tun, db := cell(t, dir)
	if _, err := tun.pair(t.Context(), strings.Replace(url, "http", "ws", 1), code); err != nil {
		t.Fatal(err)
	}
	p, err := loadPairing(tun.secrets)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	target := ""
	for _, u := range p.URLs {
		if u.Kind == wire.KindUpdated {
			target = u.URL
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var posted []string // what was answered with 200
	var sender sync.WaitGroup
	sender.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			id := fmt.Sprint(5000 + i)
			resp, err := http.Post(target, "application/x-www-form-urlencoded", strings.NewReader(hook(id)))
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				posted = append(posted, id)
			}
		}
	})
	for round := range 4 {
		killAfter(t, dir, 20+30*round)
	}
	stop()
	sender.Wait()
	tun, db = cell(t, dir)
	defer db.Close()
	tun.mu.Lock()
	tun.relay = p.RelayURL
	tun.mu.Unlock()
	ctx, stop = context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- tun.run(ctx) }()
	defer func() { stop(); <-ended }()
	count := map[string]int{}
	hints := map[string]bool{}
	deadline := time.Now().Add(60 * time.Second)
	for {
		clear(count)
		if err := db.Read(t.Context(), func(s *localdb.Snapshot) error {
			cur, err := s.TunnelCursor(t.Context())
			if err != nil {
				return err
			}
			for seq := int64(1); seq <= cur.Seq; seq++ {
				e, err := s.InboxEventBySeq(t.Context(), cur.Clinic, cur.Epoch, seq)
				if err == nil {
					count[e.ProvetID]++
				}
			}
			list, err := s.Hints(t.Context(), 1_000_000)
			for _, h := range list {
				hints[h.ProvetID] = true
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if len(count) >= len(posted) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d came", len(count), len(posted))
		}
		time.Sleep(20 * time.Millisecond)
	}
	for _, id := range posted {
		if count[id] != 1 || !hints[id] {
			t.Errorf("order %s: %d events, hint %v", id, count[id], hints[id])
		}
	}
	t.Logf("%d webhooks, 4 kills", len(posted))
}

// killAfter runs the appliance's part and kills it after so many commits.
func killAfter(t *testing.T, dir string, commits int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTunnelKill$")
	cmd.Env = append(os.Environ(), "APPLIANCE_TEST_KILL_TUNNEL="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if !strings.HasPrefix(lines.Text(), "commit") {
			t.Log(lines.Text())
			continue
		}
		if said++; said == commits {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // it was killed
	if said < commits {
		t.Fatalf("it ended after %d commits", said)
	}
}

// loud is the inbox of a process that is to be killed; it says so between a
// commit and its acknowledgement.
type loud struct{ *inbox }

func (l loud) Commit(ctx context.Context, epoch wire.StoreEpoch, events []wire.Event) error {
	err := l.inbox.Commit(ctx, epoch, events)
	if err == nil {
		fmt.Println("commit")
	}
	return err
}

func killedTunnel(t *testing.T, dir string) {
	t.Helper()
	tun, _ := cell(t, dir)
	p, err := loadPairing(tun.secrets)
	if err != nil || p == nil {
		t.Fatal(p, err)
	}
	tun.mu.Lock()
	tun.relay = p.RelayURL
	tun.mu.Unlock()
	tun.receive = loud{tun.inbox()}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	_ = tun.run(ctx) // it is killed
}
