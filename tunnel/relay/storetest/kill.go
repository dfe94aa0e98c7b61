package storetest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// The environment of a child of Kill: it appends until it is killed.
const killEnv = "RAYHOUND_STORETEST_KILL"

// IsChild reports whether this process is one that Kill has started.
func IsChild() bool { return os.Getenv(killEnv) != "" }

// Kill kills a process that appends, several times, and checks that everything it said was stored is there, once and in
// order. test is the name of the calling test, where names what open opens. In the child it does not return.
func Kill(t *testing.T, test string, rounds int, where string, open func(t testing.TB, where string) Store) {
	if target := os.Getenv(killEnv); target != "" {
		appendForever(t, open(t, target))
		return
	}
	st := open(t, where)
	addClinics(t, st, "a", "b", "c")
	must(t, st.Close())
	said := map[string]wire.Seq{} // body -> number
	for round := range rounds {
		killOne(t, test, where, round, said)
		st := open(t, where)
		checkKilled(t, st, said)
		must(t, st.Close())
	}
	if len(said) == 0 {
		t.Error("nothing was ever stored")
	}
	t.Logf("%d answered over %d kills", len(said), rounds)
}

func killOne(t *testing.T, test, where string, round int, said map[string]wire.Seq) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$") //nolint:gosec // this test
	cmd.Env = append(os.Environ(), killEnv+"="+where, "RAYHOUND_STORETEST_ROUND="+strconv.Itoa(round))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	stop := len(said) + 200 + 300*round
	lines := bufio.NewScanner(out)
	killed := false
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), "stored ")
		if !ok {
			continue
		}
		num, body, _ := strings.Cut(rest, " ")
		n, err := strconv.ParseInt(num, 10, 64)
		must(t, err)
		said[body] = wire.Seq(n)
		if !killed && len(said) >= stop {
			killed = true
			must(t, cmd.Process.Kill())
		}
	}
	if err := cmd.Wait(); !killed {
		t.Fatalf("the child ended by itself: %v", err)
	}
}

func checkKilled(t *testing.T, st Store, said map[string]wire.Seq) {
	t.Helper()
	stored := map[string]wire.Seq{}
	for _, c := range []wire.ClinicID{"a", "b", "c"} {
		var last wire.Seq
		for _, e := range all(t, st, c) {
			if e.Seq <= last {
				t.Errorf("number %d after %d", e.Seq, last)
			}
			last, stored[string(e.Body)] = e.Seq, e.Seq
		}
	}
	for body, seq := range said {
		if stored[body] != seq {
			t.Errorf("%q was answered with %d and is stored as %d", body, seq, stored[body])
		}
	}
}

// appendForever says what is stored, after it is.
func appendForever(t *testing.T, st Store) {
	round := os.Getenv("RAYHOUND_STORETEST_ROUND")
	var mu sync.Mutex
	var working sync.WaitGroup
	for w := range 8 {
		working.Go(func() {
			for i := 0; ; i++ {
				body := fmt.Sprintf("%s-%d-%d", round, w, i)
				seq, err := st.Append(t.Context(), wire.ClinicID("abc"[i%3:i%3+1]), relay.Event{ReceivedAt: time.Now(), Kind: wire.KindTest, Body: []byte(body)})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				fmt.Printf("stored %d %s\n", seq, body)
				mu.Unlock()
			}
		})
	}
	working.Wait()
}
