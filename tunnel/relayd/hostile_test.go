package relayd_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
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
	none := http.NoBody
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
