package relayd_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relayd"
	"github.com/rayhound/rayhound/tunnel/tunneltest"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// An agent with a good pairing that misbehaves is closed with the code that says why, and another clinic notices nothing.
func TestHostileAgent(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	list := p.join("thief", "victim")
	thief, victim := list[0], list[1]
	post(t, p.front.url, thief, "own")
	post(t, p.front.url, victim, "private")
	acked := func(x *tunneltest.Clinic) (seq wire.Seq) {
		p.admin(func(_ *relay.Admin, st relayd.Store) {
			m, err := st.Mailbox(t.Context(), x.Credentials.ClinicID)
			if err != nil {
				t.Fatal(err)
			}
			seq = m.Acked
		})
		return seq
	}
	text := func(s string) func(*rawLine) {
		return func(l *rawLine) { _ = l.c.WriteMessage(websocket.TextMessage, []byte(s)) }
	}
	for _, tt := range []struct {
		name string
		do   func(*rawLine)
		want []wire.CloseCode
	}{
		{"ack beyond the head", func(l *rawLine) { l.send(&wire.Ack{Seq: math.MaxInt64, Epoch: l.welcome.Epoch}) }, []wire.CloseCode{wire.Close4400}},
		{"garbage", func(l *rawLine) { _ = l.c.WriteMessage(websocket.BinaryMessage, bytes.Repeat([]byte{0xff, 0}, 500)) }, []wire.CloseCode{wire.Close4400}},
		{"an event", func(l *rawLine) {
			_ = l.c.WriteMessage(websocket.BinaryMessage, wire.AppendEvent(nil, wire.Event{Seq: 1, ReceivedAt: time.Now(), Header: []byte("{}")}))
		}, []wire.CloseCode{wire.Close4400}},
		{"negative numbers", text(`{"type":"ack","seq":-1,"epoch":-1}`), []wire.CloseCode{wire.Close4400}},
		{"deep JSON", text(strings.Repeat("[", 60<<10)), []wire.CloseCode{wire.Close4400}},
		{"invalid UTF-8", text("\xff\xfe"), []wire.CloseCode{wire.Close4400, 1007, 0}},
		{"64 KiB and one byte", text(`{"type":"x","p":"` + strings.Repeat("x", wire.MaxControl-18) + `"}`), []wire.CloseCode{wire.Close4413}},
		{"16 MiB", func(l *rawLine) { _ = l.c.WriteMessage(websocket.TextMessage, make([]byte, 16<<20)) }, []wire.CloseCode{wire.Close4413, 0}},
		{"a flood of acks", func(l *rawLine) {
			for range 10_000 {
				l.send(&wire.Ack{Seq: 1, Epoch: l.welcome.Epoch + 1})
			}
		}, []wire.CloseCode{wire.Close4429, 0}},
		{"a flood of replays", func(l *rawLine) {
			for range 1000 {
				l.send(&wire.Replay{From: 1, To: math.MaxInt64})
			}
		}, []wire.CloseCode{wire.Close4429, 0}},
		{"a flood of keys", func(l *rawLine) {
			for range 100 {
				_, pub, id, err := wire.NewSealingKey()
				if err != nil {
					t.Fatal(err)
				}
				l.send(&wire.Key{KeyID: id, Public: pub})
			}
		}, []wire.CloseCode{wire.Close4429, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := connectRaw(t, p.front.url, thief)
			l.event()
			tt.do(l)
			if code := l.closed(); !slices.Contains(tt.want, code) {
				t.Errorf("closed with %d, want %d", code, tt.want)
			}
		})
	}
	t.Run("acks of another clinic's session", func(t *testing.T) {
		v := connectRaw(t, p.front.url, victim)
		e := v.event()
		l := connectRaw(t, p.front.url, thief)
		l.event()
		for epoch := range 20 + v.welcome.Epoch {
			l.send(&wire.Ack{Seq: e.Seq, Epoch: epoch + 1})
		}
		l.send(&wire.Ack{Seq: math.MaxInt64, Epoch: l.welcome.Epoch}) // behind all of them
		if code := l.closed(); code != wire.Close4400 {
			t.Errorf("%d", code)
		}
		if n := acked(victim); n != 0 {
			t.Errorf("the victim's mailbox is acked to %d", n)
		}
	})
	t.Run("replay beyond what is kept", func(t *testing.T) {
		l := connectRaw(t, p.front.url, thief)
		first := l.event()
		l.send(&wire.Replay{From: 1, To: math.MaxInt64})
		if e := l.event(); e.Seq != first.Seq {
			t.Errorf("event %d, want its own %d", e.Seq, first.Seq)
		}
		l.send(&wire.Replay{From: math.MaxInt64, To: math.MaxInt64}) // nothing
		post(t, p.front.url, thief, "still here")
		if e := l.event(); e.Seq <= first.Seq {
			t.Errorf("event %d", e.Seq)
		}
	})
	lines := 0
	p.admin(func(_ *relay.Admin, st relayd.Store) {
		list, err := st.Audits(t.Context(), thief.Credentials.ClinicID, 5000)
		if err != nil {
			t.Fatal(err)
		}
		lines = len(list)
	})
	if lines > 200 {
		t.Errorf("%d audit lines by one agent", lines)
	}
	victim.Start(t)
	post(t, p.front.url, victim, "more")
	eventually(t, "the victim has its own", func() bool { return slices.Equal(victim.Bodies(t, ""), []string{"private", "more"}) })
}

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

// What a stranger sends is refused before it is read, and looks the same whatever exists.
func TestHostilePoster(t *testing.T) {
	t.Parallel()
	p := newPlace(t, func(c *relay.Config) { c.RatePerClinic, c.Burst = 0, 0 }) // as in earnest
	list := p.join("gone", "stays")
	gone, stays := list[0], list[1]
	p.admin(func(a *relay.Admin, _ relayd.Store) {
		if err := a.Revoke(t.Context(), "gone"); err != nil {
			t.Fatal(err)
		}
	})
	live := through("", stays.URLs[wire.KindCreated])
	revoked := through("", gone.URLs[wire.KindCreated])
	ask := func(head string, body io.Reader) (*http.Response, string) {
		t.Helper()
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.node.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		go func() {
			_, _ = io.WriteString(c, head) // the relay may have hung up
			_, _ = io.Copy(c, body)
		}()
		a, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("%.60q: %v", head, err)
		}
		defer a.Body.Close()
		b, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatalf("%.60q: %v", head, err)
		}
		return a, string(b)
	}
	none := strings.NewReader("")
	eventually(t, "the revocation is known", func() bool {
		a, _ := ask("POST "+revoked+" HTTP/1.1\r\nHost: r\r\nContent-Length: 0\r\n\r\n", none)
		return a.StatusCode == http.StatusNotFound
	})
	t.Run("guesses", func(t *testing.T) {
		var first string
		for i := range 400 {
			path := "/in/" + wire.NewSecret()
			switch i % 8 {
			case 1:
				path = revoked
			case 2:
				path = live + "a"
			case 3:
				path = live[:len(live)-1]
			case 4:
				path = strings.ToUpper(live)
			}
			a, text := ask("POST "+path+" HTTP/1.1\r\nHost: r\r\nContent-Length: 1\r\n\r\nx", none)
			a.Header.Del("Date")
			if got := fmt.Sprint(a.StatusCode, a.Header, text); first == "" {
				first = got
			} else if got != first {
				t.Fatalf("%s: %s, others got %s", path, got, first)
			}
			if a.StatusCode != http.StatusNotFound {
				t.Fatalf("%s: %d", path, a.StatusCode)
			}
		}
	})
	t.Run("headers without end", func(t *testing.T) {
		for _, head := range []string{
			"POST " + live + " HTTP/1.1\r\nHost: r\r\nX-A: " + strings.Repeat("a", 64<<10) + "\r\n\r\n",
			"POST " + live + " HTTP/1.1\r\nHost: r\r\n" + strings.Repeat("X-A: a\r\n", 8<<10) + "\r\n",
			"POST " + live + "/" + strings.Repeat("p", 64<<10) + " HTTP/1.1\r\nHost: r\r\n\r\n",
		} {
			if a, _ := ask(head, none); a.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("%d", a.StatusCode)
			}
		}
	})
	t.Run("a body without end", func(t *testing.T) {
		endless := &counted{}
		if a, _ := ask("POST "+live+" HTTP/1.1\r\nHost: r\r\nContent-Length: 9000000000\r\n\r\n", endless); a.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%d", a.StatusCode)
		}
		if a, _ := ask("POST /in/"+wire.NewSecret()+" HTTP/1.1\r\nHost: r\r\nContent-Length: 9000000000\r\n\r\n", &counted{}); a.StatusCode != http.StatusNotFound {
			t.Errorf("%d", a.StatusCode)
		}
	})
	t.Run("smuggling", func(t *testing.T) {
		for _, head := range []string{
			"POST " + live + " HTTP/1.1\r\nHost: r\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
			"POST " + live + " HTTP/1.1\r\nHost: r\r\nContent-Length: -1\r\n\r\n",
			"POST " + live + " HTTP/1.1\r\nHost: r\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
			"POST " + live + " HTTP/9.9\r\nHost: r\r\n\r\n",
			"POST " + live + "\x00 HTTP/1.1\r\nHost: r\r\n\r\n",
		} {
			if a, _ := ask(head, none); a.StatusCode < 400 {
				t.Errorf("%q: %d", head, a.StatusCode)
			}
		}
	})
	t.Run("a flood", func(t *testing.T) {
		taken, limited := 0, 0
		for range 400 {
			switch a, _ := ask("POST "+live+" HTTP/1.1\r\nHost: r\r\nContent-Length: 1\r\n\r\nx", none); {
			case a.StatusCode == http.StatusOK:
				taken++
			case a.StatusCode == http.StatusTooManyRequests && a.Header.Get("Retry-After") != "":
				limited++
			default:
				t.Fatalf("%d", a.StatusCode)
			}
		}
		if taken < 200 {
			t.Errorf("%d of 400 were taken, %d refused", taken, limited)
		}
	})
	stays.Start(t)
	eventually(t, "its own appliance gets what was taken", func() bool { return len(stays.Memory.Seqs()) >= 200 })
	if bodies := stays.Bodies(t, ""); slices.ContainsFunc(bodies, func(s string) bool { return s != "x" }) {
		t.Errorf("%q", bodies)
	}
}

// counted is an endless body.
type counted struct{ n int }

func (c *counted) Read(b []byte) (int, error) {
	c.n += len(b)
	return len(b), nil
}
