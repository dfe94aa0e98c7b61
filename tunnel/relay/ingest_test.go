package relay_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// stored returns the last request in a clinic's mailbox, opened.
func (a *agent) stored() wire.Request {
	a.w.t.Helper()
	a.w.mem.mu.Lock()
	list := a.w.mem.boxes[a.id].events
	e := list[len(list)-1]
	a.w.mem.mu.Unlock()
	r, err := wire.Open(a.sealing, a.keyID, a.id, wire.Event{Seq: e.Seq, ReceivedAt: e.ReceivedAt, Header: e.Header, Body: e.Body})
	if err != nil {
		a.w.t.Fatal(err)
	}
	return r
}

func TestExactly200(t *testing.T) {
	for _, seal := range []bool{true, false} {
		for _, two := range []bool{false, true} {
			t.Run(fmt.Sprintf("sealed=%v http2=%v", seal, two), func(t *testing.T) {
				w := newWorld(t, nil, func(c *relay.Config) { c.SealAtIngest = seal })
				tr := w.server.Client().Transport.(*http.Transport)
				tr.ForceAttemptHTTP2 = two
				if !two {
					tr.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
					tr.TLSClientConfig.NextProtos = []string{"http/1.1"}
				}
				a := w.pair("c")
				limit := strings.Repeat("x", wire.DefaultMaxBody)
				for _, suffix := range []string{"", "/", "//", "/a/../b", "/./", "/a//b/", "/%2e%2e/", "/%00", "/a%2Fb", "?x=1&y=<>", "/p?q", "/%C3%28"} {
					for _, body := range []string{"", "a=1&b=%20", `{"a":"\u00e4"}`, "\x00\xff\xfe\r\n", limit} {
						got := w.do(http.MethodPost, a.urls[wire.KindUpdated]+suffix, []byte(body), "Content-Type", "application/x-www-form-urlencoded",
							"Cookie", "no", "Authorization", "no", "X-Provet", "yes", "User-Agent", "provet")
						if got.status != 200 || len(got.body) != 0 || got.header.Get("Location") != "" {
							t.Fatalf("%q: %d %q", suffix, got.status, got.body)
						}
						if want := map[bool]int{false: 1, true: 2}[two]; got.proto != want {
							t.Fatalf("HTTP/%d", got.proto)
						}
						r := a.stored()
						path, query, _ := strings.Cut(suffix, "?")
						if string(r.Body) != body || r.Path != path || r.Query != query || r.Label != wire.KindUpdated {
							t.Fatalf("%q: path %q query %q label %q, %d bytes", suffix, r.Path, r.Query, r.Label, len(r.Body))
						}
						if r.Header["x-provet"] != "yes" || r.Header["cookie"] != "" || r.Header["authorization"] != "" ||
							r.Header["content-type"] == "" || r.Header["user-agent"] != "provet" || r.RemoteAddr != "127.0.0.1" {
							t.Fatalf("headers %v from %q", r.Header, r.RemoteAddr)
						}
					}
				}
			})
		}
	}
}

// raw sends bytes as they are and returns the answer's status.
func (w *world) raw(text string) (int, []byte) {
	w.t.Helper()
	d := tls.Dialer{Config: &tls.Config{RootCAs: w.server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}}
	c, err := d.DialContext(context.Background(), "tcp", w.server.Listener.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, text); err != nil {
		w.t.Fatal(err)
	}
	a, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer a.Body.Close()
	b, _ := io.ReadAll(a.Body)
	return a.StatusCode, b
}

func TestRawRequests(t *testing.T) {
	w := newWorld(t, nil, nil)
	a := w.pair("c")
	path := strings.TrimPrefix(a.urls[wire.KindCreated], "https://"+w.server.Listener.Addr().String())
	for _, tt := range []struct {
		name, text string
		want       int
	}{
		{"chunked", "POST " + path + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\x00b\r\n0\r\n\r\n", 200},
		{"absolute form", "POST https://other" + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na\x00b", 200},
		{"HTTP/1.0", "POST " + path + " HTTP/1.0\r\nContent-Length: 3\r\n\r\na\x00b", 200},
		{"long chunked", "POST " + path + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n10001\r\n" + strings.Repeat("x", 0x10001) + "\r\n0\r\n\r\n", 413},
		{"long by its own word", "POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n", 413},
		{"options", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 404},
		{"long query", "POST " + path + "?" + strings.Repeat("&", 9000) + " HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", 414},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, body := w.raw(tt.text)
			if tt.name == "options" && status == 200 { // net/http answers "*" itself
				return
			}
			if status != tt.want {
				t.Fatalf("%d %q, want %d", status, body, tt.want)
			}
			if status == 200 && string(a.stored().Body) != "a\x00b" {
				t.Errorf("body %q", a.stored().Body)
			}
		})
	}
}

func TestHeadersAreBounded(t *testing.T) {
	w := newWorld(t, nil, nil)
	a := w.pair("c")
	var h []string
	for i := range 100 {
		h = append(h, fmt.Sprint("X-H", i), strings.Repeat("\"<", 400))
	}
	if got := w.do(http.MethodPost, a.urls[wire.KindCreated]+"?"+strings.Repeat("q", 3000), []byte("b"), h...); got.status != 200 {
		t.Fatalf("%d", got.status)
	}
	if r := a.stored(); string(r.Body) != "b" || len(r.Query) != 3000 {
		t.Errorf("%d %d", len(r.Body), len(r.Query))
	}
}

func TestUnknownRevokedAndNeverAreAlike(t *testing.T) {
	w := newWorld(t, nil, nil)
	a, b := w.pair("gone"), w.pair("stays")
	if err := w.admin.Revoke(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	hookup, _, err := w.admin.OpenHookup(t.Context(), "stays", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	base := w.server.URL
	secret := hookup[strings.LastIndex(hookup, "/")+1:]
	event := b.urls[wire.KindCreated]
	w.do(http.MethodPost, hookup, []byte("warm")) // the directory knows it now
	eventually(t, "the revocation is known", func() bool { return w.do(http.MethodPost, a.urls[wire.KindCreated], nil).status == 404 })
	var first answer
	for i, url := range []string{
		a.urls[wire.KindCreated], base + "/in/" + wire.NewSecret(), base + "/in/", base + "/in/x", base + "/in/" + strings.Repeat("a", 5000),
		base + "/in/" + secret, base + "/hookup/" + event[strings.LastIndex(event, "/")+1:], base + "/", base + "/in", base + "/hookup/",
	} {
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
			got := w.do(method, url, []byte("x"))
			got.header.Del("Date")
			if i == 0 && method == http.MethodPost {
				first = got
			}
			if got.status != 404 || !bytes.Equal(got.body, first.body) || fmt.Sprint(got.header) != fmt.Sprint(first.header) {
				t.Errorf("%s %s: %d %q %v, want %d %q %v", method, url, got.status, got.body, got.header, first.status, first.body, first.header)
			}
		}
	}
}

func TestOtherMethods(t *testing.T) {
	w := newWorld(t, nil, nil)
	a := w.pair("c")
	for method, want := range map[string]int{"GET": 200, "HEAD": 200, "PUT": 405, "DELETE": 405, "PATCH": 405, "OPTIONS": 405} {
		got := w.do(method, a.urls[wire.KindTest], nil)
		if got.status != want {
			t.Errorf("%s: %d, want %d", method, got.status, want)
		}
		if method == "GET" && string(got.body) != "ok\n" {
			t.Errorf("GET: %q", got.body)
		}
	}
}

// A flood at one clinic's address does not touch another clinic, and is told when to come again.
func TestFlood(t *testing.T) {
	w := newWorld(t, nil, func(c *relay.Config) { c.RatePerClinic, c.Burst = 0.001, 5 })
	a, b := w.pair("a"), w.pair("b")
	limited := 0
	for range 50 {
		got := w.do(http.MethodPost, a.urls[wire.KindCreated], []byte("x"))
		if got.status == 429 && got.header.Get("Retry-After") != "" {
			limited++
		} else if got.status != 200 {
			t.Fatalf("%d", got.status)
		}
	}
	if limited != 45 {
		t.Errorf("%d of 50 were refused, want 45", limited)
	}
	b.post("x")
}

func TestTooManyBodiesAtATime(t *testing.T) {
	w := newWorld(t, nil, func(c *relay.Config) { c.MaxBodies = 1000 })
	a := w.pair("c")
	a.post(strings.Repeat("x", 1000))
	if got := w.do(http.MethodPost, a.urls[wire.KindCreated], make([]byte, 1001)); got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("%d", got.status)
	}
	a.post("x")
}

func TestStoreFails(t *testing.T) {
	w := newWorld(t, nil, nil)
	a := w.pair("c")
	for _, err := range []error{relay.ErrFull, relay.ErrBusy, relay.ErrUnavailable} {
		w.mem.mu.Lock()
		w.mem.fail = err
		w.mem.mu.Unlock()
		got := w.do(http.MethodPost, a.urls[wire.KindCreated], []byte("x"))
		if got.status != 503 || got.header.Get("Retry-After") == "" {
			t.Errorf("%v: %d", err, got.status)
		}
	}
	w.mem.mu.Lock()
	w.mem.fail = nil
	w.mem.mu.Unlock()
	a.post("x")
}

func TestForwardedAddresses(t *testing.T) {
	for _, tt := range []struct {
		name, header string
		proxies      []netip.Prefix
		want         string
	}{
		{"nobody is trusted", "203.0.113.9", nil, "127.0.0.1"},
		{"a proxy", "203.0.113.9", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "203.0.113.9"},
		{"what the caller invented", "198.51.100.1, 203.0.113.9", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "203.0.113.9"},
		{"two proxies", "203.0.113.9, 10.0.0.2", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}, "203.0.113.9"},
		{"rubbish", "x, y", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "127.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil, func(c *relay.Config) { c.TrustedProxies = tt.proxies })
			a := w.pair("c")
			w.do(http.MethodPost, a.urls[wire.KindCreated], nil, "X-Forwarded-For", tt.header)
			if got := a.stored().RemoteAddr; got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// Credentials have an address of their own, are sealed whatever the settings, and the address ends by itself.
func TestHookup(t *testing.T) {
	w := newWorld(t, nil, func(c *relay.Config) { c.SealAtIngest = false })
	if _, err := w.admin.AddClinic(t.Context(), "unpaired"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.admin.OpenHookup(t.Context(), "unpaired", time.Minute); err == nil {
		t.Error("opened for a clinic without an appliance")
	}
	a := w.pair("c")
	url, _, err := w.admin.OpenHookup(t.Context(), "c", 10*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.do(http.MethodPost, url, []byte(`{"client_secret":"s3cret"}`)); got.status != 200 {
		t.Fatalf("%d", got.status)
	}
	w.mem.mu.Lock()
	e := w.mem.boxes[a.id].events[0]
	w.mem.mu.Unlock()
	if bytes.Contains(e.Body, []byte("s3cret")) || e.Kind != wire.KindCredentials {
		t.Error("credentials were stored in the clear")
	}
	if string(a.stored().Body) != `{"client_secret":"s3cret"}` {
		t.Error("credentials do not open")
	}
	w.clock.move(11 * time.Minute)
	if got := w.do(http.MethodPost, url, nil); got.status != 404 {
		t.Errorf("after its time: %d", got.status)
	}
	if err := w.relay.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := w.admin.ListClinics(t.Context())
	if err != nil || len(list[0].URLs) != 4 {
		t.Errorf("%v %v", list, err)
	}
}

// The old address lives until the new one has been used.
func TestPairingAgainRetiresOldAddresses(t *testing.T) {
	w := newWorld(t, nil, nil)
	old := w.pair("c")
	w.clock.move(time.Second)
	young := w.pair("c")
	old.post("still taken")
	young.post("first use")
	eventually(t, "the use is noted", func() bool {
		w.mem.mu.Lock()
		defer w.mem.mu.Unlock()
		return len(w.mem.first) == 2
	})
	if err := w.relay.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	old.post("within the hour")
	w.clock.move(2 * time.Hour)
	if err := w.relay.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.do(http.MethodPost, old.urls[wire.KindCreated], nil); got.status != 404 {
		t.Errorf("%d", got.status)
	}
	if got := w.do(http.MethodPost, old.urls[wire.KindUpdated], nil); got.status != 200 {
		t.Errorf("an address whose successor was never used: %d", got.status)
	}
	young.post("x")
}
