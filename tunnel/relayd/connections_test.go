package relayd_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// Thousands of connections that never get to the point, and bodies that never end, cost a bounded amount of memory, are closed in
// time, and leave the others alone. The relay runs in a process of its own, so that its memory is its own.
func TestHostileConnections(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("reads /proc")
	}
	dir, front := t.TempDir(), newBalancer(t)
	n := startProcess(t, "sqlite:relay.db", dir)
	front.set(0, n.url)
	eventually(t, "ready", func() bool { return front.alive() == 1 })
	list := join(t, "sqlite:relay.db", dir, front, "attacked", "other")
	attacked, other := list[0], list[1]
	other.Start(t)
	post(t, front.url, other, "before")
	eventually(t, "connected", func() bool { return len(other.Memory.Seqs()) == 1 })
	address := strings.TrimPrefix(n.url, "http://")
	path := strings.TrimPrefix(through("", attacked.URLs[wire.KindCreated]), "/")
	base := rss(t, n.cmd.Process.Pid)

	var conns []net.Conn
	open := func(text string) {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	began := time.Now()
	for range 800 {
		open("")
		open("POST /" + path + " HTTP/1.1\r\nHost: r\r\nX-A: ")
	}
	for range 200 {
		c, _ := upgradeRaw(t, n.url, attacked)
		conns = append(conns, c.NetConn())
	}
	slow := len(conns)
	for range 400 {
		open("POST /" + path + " HTTP/1.1\r\nHost: r\r\nContent-Length: 65536\r\n\r\nx")
	}
	for i := range 20 {
		post(t, n.url, other, fmt.Sprint("meanwhile ", i))
	}
	eventually(t, "the other clinic has its events", func() bool { return len(other.Memory.Seqs()) == 21 })
	peak := rss(t, n.cmd.Process.Pid)
	t.Logf("%d connections in %s: the relay's memory went from %d to %d MB", len(conns), time.Since(began).Round(time.Millisecond), base>>20, peak>>20)
	if peak-base > 300<<20 {
		t.Errorf("the relay's memory grew by %d MB", (peak-base)>>20)
	}
	var closing sync.WaitGroup
	var mu sync.Mutex
	left := 0
	for _, c := range conns[:slow] {
		closing.Go(func() {
			_ = c.SetReadDeadline(began.Add(25 * time.Second))
			if _, err := io.Copy(io.Discard, c); err != nil && os.IsTimeout(err) {
				mu.Lock()
				defer mu.Unlock()
				left++
			}
		})
	}
	closing.Wait()
	if left != 0 {
		t.Errorf("%d of %d connections are still open", left, slow)
	}
}

// rss returns a process's resident memory in bytes.
func rss(t *testing.T, pid int) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skip(err)
	}
	m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(b)
	if m == nil {
		t.Fatal("no VmRSS")
	}
	kb, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}
