package client_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/tunnel/client"
	"github.com/rayhound/rayhound/tunnel/tunneltest"
	"github.com/rayhound/rayhound/tunnel/wire"
)

var far = time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC)

// site is a relay behind TLS on loopback, called relay.test.
type site struct {
	ca    *tunneltest.Authority
	relay *tunneltest.Relay
	inbox *tunneltest.Inbox
	addr  string
	cfg   client.Config
}

func newSite(t *testing.T, notBefore, notAfter time.Time) *site {
	t.Helper()
	cr := tunneltest.NewCredentials(t)
	s := &site{ca: tunneltest.NewAuthority(t), relay: tunneltest.NewRelay("relay.test", cr), inbox: tunneltest.NewInbox()}
	s.addr = listen(t, s.ca.Issue(t, "relay.test", notBefore, notAfter), s.relay.Handler())
	s.cfg = client.Config{
		RelayURL: "wss://relay.test", Credentials: cr, Inbox: s.inbox, ProxyURL: "none", RootCAs: s.ca.Pool,
		TestURL: "https://relay.test/in/test", Dial: s.dial,
	}
	return s
}

// dial stands in for the name service: every name is on loopback.
func (s *site) dial(ctx context.Context, network, address string) (net.Conn, error) {
	switch host, _, _ := net.SplitHostPort(address); host {
	case "relay.test":
		address = s.addr
	case "127.0.0.1":
	default:
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func listen(t *testing.T, cfg *tls.Config, h http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if cfg != nil {
		l = tls.NewListener(l, cfg)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close() })
	return addr
}

func (s *site) proxy(t *testing.T, p *tunneltest.Proxy) string {
	t.Helper()
	p.Dial = s.dial
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); p.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); l.Close(); <-done })
	return l.Addr().String()
}

func (s *site) check(t *testing.T) []client.Step {
	t.Helper()
	c, err := client.New(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c.Check(t.Context())
}

func names(steps []client.Step) (out []string) {
	for _, s := range steps {
		n := string(s.Name)
		if s.Skipped {
			n = "(" + n + ")"
		}
		if !s.OK {
			n += "!"
		}
		out = append(out, n)
	}
	return out
}

const all = "name tcp (proxy) tls upgrade challenge welcome event"

func TestCheckAllIsWell(t *testing.T) {
	s := newSite(t, time.Unix(0, 0), far)
	steps := s.check(t)
	if got := strings.Join(names(steps), " "); got != all {
		t.Errorf("steps: %s; the last: %+v", got, steps[len(steps)-1])
	}
	if n := len(s.inbox.Seqs()); n != 1 {
		t.Errorf("%d events in the inbox", n)
	}
}

func TestCheckBesideARunningClient(t *testing.T) {
	s := newSite(t, time.Unix(0, 0), far)
	c, err := client.New(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = c.Run(ctx) }()
	defer func() { cancel(); <-done }()
	if !s.relay.Until(func(s tunneltest.Seen) bool { return s.Connected }) {
		t.Fatal("not connected")
	}
	for c.Status().State != client.Connected {
		time.Sleep(time.Millisecond)
	}
	if got := strings.Join(names(c.Check(t.Context())), " "); got != all {
		t.Errorf("steps: %s", got)
	}
	if e := s.relay.Seen().Epoch; e != 1 {
		t.Errorf("the test disturbed the connection: session %d", e)
	}
}

func TestCheckStopsAtTheFirstFailure(t *testing.T) {
	now := time.Now()
	portal := func(status int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://portal.example/")
			w.WriteHeader(status)
		})
	}
	table := []struct {
		name    string
		change  func(t *testing.T, s *site)
		steps   string
		problem problem.Code
		words   string
	}{
		{
			"name", func(_ *testing.T, s *site) { s.cfg.RelayURL = "wss://nowhere.test" },
			"name!", problem.RelayUnreachable, "cannot be found",
		},
		{
			"tcp", func(t *testing.T, s *site) { s.addr = "127.0.0.1:1" },
			"name tcp!", problem.RelayUnreachable, "does not answer",
		},
		{
			"not TLS", func(t *testing.T, s *site) { s.addr = listen(t, nil, portal(302)) },
			"name tcp (proxy) tls!", problem.RelayUnreachable, "does not speak TLS",
		},
		{
			"not trusted", func(t *testing.T, s *site) { s.cfg.RootCAs = tunneltest.NewAuthority(t).Pool },
			"name tcp (proxy) tls!", problem.RelayUnreachable, "add its root",
		},
		{"other name", func(t *testing.T, s *site) {
			s.addr = listen(t, s.ca.Issue(t, "portal.test", time.Unix(0, 0), far), portal(302))
		}, "name tcp (proxy) tls!", problem.RelayUnreachable, "not for relay.test"},
		{"not yet valid", func(t *testing.T, s *site) {
			s.cfg.Now = func() time.Time { return now.Add(-48 * time.Hour) }
			s.addr = listen(t, s.ca.Issue(t, "relay.test", now.Add(-time.Hour), far), portal(200))
		}, "name tcp (proxy) tls!", problem.ClockSkew, "check the clock of this computer"},
		{"expired", func(t *testing.T, s *site) {
			s.addr = listen(t, s.ca.Issue(t, "relay.test", time.Unix(0, 0), now.Add(-time.Hour)), portal(200))
		}, "name tcp (proxy) tls!", problem.ClockSkew, "check the clock of this computer"},
		{
			"portal 200", func(t *testing.T, s *site) {
				s.addr = listen(t, s.ca.Issue(t, "relay.test", time.Unix(0, 0), far), portal(200))
			},
			"name tcp (proxy) tls upgrade!", problem.RelayUnreachable, "login portal",
		},
		{
			"portal 302", func(t *testing.T, s *site) {
				s.addr = listen(t, s.ca.Issue(t, "relay.test", time.Unix(0, 0), far), portal(302))
			},
			"name tcp (proxy) tls upgrade!", problem.RelayUnreachable, "login portal",
		},
		{
			"portal 401", func(t *testing.T, s *site) {
				s.addr = listen(t, s.ca.Issue(t, "relay.test", time.Unix(0, 0), far), portal(401))
			},
			"name tcp (proxy) tls upgrade!", problem.RelayUnreachable, "login portal",
		},
		{
			"token", func(_ *testing.T, s *site) { s.relay.Forbid(s.cfg.Credentials.Token) },
			"name tcp (proxy) tls upgrade!", problem.TunnelRefused, "bad token",
		},
		{
			"identity", func(t *testing.T, s *site) { s.cfg.Credentials.Identity = tunneltest.NewCredentials(t).Identity },
			"name tcp (proxy) tls upgrade challenge welcome!", problem.TunnelRefused, "signature",
		},
		{
			"event", func(_ *testing.T, s *site) { s.cfg.TestURL = "https://relay.test/in/unknown" },
			"name tcp (proxy) tls upgrade challenge welcome event!", problem.TunnelDown, "status 404",
		},
		{
			"no test URL", func(_ *testing.T, s *site) { s.cfg.TestURL = "" },
			"name tcp (proxy) tls upgrade challenge welcome (event)", "", "no test URL",
		},
		{
			"only the long-poll", func(_ *testing.T, s *site) { s.relay.Misbehave(tunneltest.Faults{Upgrade: 403}) },
			"name tcp (proxy) tls upgrade challenge welcome event", "", "",
		},
	}
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t, time.Unix(0, 0), far)
			row.change(t, s)
			steps := s.check(t)
			last := steps[len(steps)-1]
			if got := strings.Join(names(steps), " "); got != row.steps {
				t.Errorf("steps: %s; the last: %+v", got, last)
			}
			if !strings.Contains(last.Detail, row.words) {
				t.Errorf("says %q", last.Detail)
			}
			if code := codeOf(last.Problem); code != row.problem {
				t.Errorf("problem %v", last.Problem)
			}
		})
	}
}

func codeOf(p *problem.Error) problem.Code {
	if p == nil {
		return ""
	}
	return p.Code
}

func TestProxies(t *testing.T) {
	const through = "name tcp proxy tls upgrade challenge welcome event"
	table := []struct {
		name  string
		proxy *tunneltest.Proxy
		tls   bool
		user  string // user:password of the settings
		inURL string // user of the URL
		steps string
		words string
	}{
		{"open", &tunneltest.Proxy{}, false, "", "", through, ""},
		{"https", &tunneltest.Proxy{}, true, "", "", through, ""},
		{"basic", &tunneltest.Proxy{User: "clinic", Password: "p:w ü"}, false, "clinic:p:w ü", "", through, ""},
		{"basic, https", &tunneltest.Proxy{User: "clinic", Password: "pw"}, true, "clinic:pw", "", through, ""},
		{"basic, user in the URL", &tunneltest.Proxy{User: "clinic", Password: "pw"}, false, ":pw", "clinic@", through, ""},
		{"407", &tunneltest.Proxy{User: "clinic"}, false, "", "", "name tcp proxy!", "wants a user and a password"},
		{"407, wrong password", &tunneltest.Proxy{User: "clinic", Password: "x"}, false, "clinic:y", "", "name tcp proxy!", "does not take the user or the password"},
		{"407 without a reason phrase", &tunneltest.Proxy{User: "clinic", Without: "HTTP/1.1 407\r\n\r\n"}, false, "", "", "name tcp proxy!", "wants a user"},
		{"407 with a space", &tunneltest.Proxy{User: "clinic", Without: "HTTP/1.1 407 \r\n\r\n"}, false, "", "", "name tcp proxy!", "wants a user"},
		{
			"NTLM", &tunneltest.Proxy{User: "clinic", Without: "HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\nProxy-Authenticate: Negotiate\r\n\r\n"},
			false, "clinic:x", "", "name tcp proxy!", "not supported (ntlm, negotiate)",
		},
		{"portal 302", &tunneltest.Proxy{Raw: "HTTP/1.1 302 Found\r\nLocation: http://login/\r\n\r\n"}, false, "", "", "name tcp proxy!", "page to sign in"},
		{"portal 401", &tunneltest.Proxy{Raw: "HTTP/1.1 401 Unauthorized\r\n\r\n"}, false, "", "", "name tcp proxy!", "page to sign in"},
		{"portal 200", &tunneltest.Proxy{Raw: "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>Please sign in</html>"}, false, "", "", "name tcp proxy tls!", "does not speak TLS"},
		{"403", &tunneltest.Proxy{Raw: "HTTP/1.1 403 Forbidden\r\n\r\n"}, false, "", "", "name tcp proxy!", "forbids the way to relay.test:443"},
		{"503", &tunneltest.Proxy{Raw: "HTTP/1.1 503 Service Unavailable\r\n\r\n"}, false, "", "", "name tcp proxy!", "cannot reach relay.test:443"},
		{"no HTTP", &tunneltest.Proxy{Raw: "SSH-2.0-OpenSSH_9.9\r\n\r\n"}, false, "", "", "name tcp proxy!", "not that of a proxy"},
		{"half a line", &tunneltest.Proxy{Raw: "HTTP/1.1 20"}, false, "", "", "name tcp proxy!", "answer"},
		{"answer without end", &tunneltest.Proxy{Endless: true}, false, "", "", "name tcp proxy!", "does not end"},
	}
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t, time.Unix(0, 0), far)
			scheme := "http://"
			if row.tls {
				scheme = "https://"
				row.proxy.TLS = s.ca.Issue(t, "127.0.0.1", time.Unix(0, 0), far)
			}
			s.cfg.ProxyURL = scheme + row.inURL + s.proxy(t, row.proxy)
			s.cfg.ProxyUser, s.cfg.ProxyPassword, _ = strings.Cut(row.user, ":")
			steps := s.check(t)
			last := steps[len(steps)-1]
			if got := strings.Join(names(steps), " "); got != row.steps {
				t.Errorf("steps: %s; the last: %+v", got, last)
			}
			if !strings.Contains(last.Detail, row.words) {
				t.Errorf("says %q", last.Detail)
			}
			if strings.HasSuffix(row.steps, "proxy!") && codeOf(last.Problem) != problem.TunnelProxy {
				t.Errorf("problem %v", last.Problem)
			}
			for _, step := range steps {
				if _, pw, ok := strings.Cut(row.user, ":"); ok && len(pw) > 1 && strings.Contains(step.Detail, pw) {
					t.Errorf("the password stands in %q", step.Detail)
				}
			}
			if got := row.proxy.Asked(); len(got) == 0 || got[0] != "relay.test:443" {
				t.Errorf("the proxy was asked for %v", got)
			}
		})
	}
}

func TestProxyOfTheEnvironment(t *testing.T) {
	s := newSite(t, time.Unix(0, 0), far)
	p := &tunneltest.Proxy{}
	t.Setenv("HTTPS_PROXY", "http://"+s.proxy(t, p))
	t.Setenv("NO_PROXY", "")
	s.cfg.ProxyURL = ""
	if got := strings.Join(names(s.check(t)), " "); got != "name tcp proxy tls upgrade challenge welcome event" {
		t.Errorf("steps: %s", got)
	}
	t.Setenv("NO_PROXY", "relay.test")
	if got := strings.Join(names(s.check(t)), " "); got != all {
		t.Errorf("steps: %s", got)
	}
}

func TestExtraRoots(t *testing.T) {
	s := newSite(t, time.Unix(0, 0), far)
	s.cfg.RootCAs, s.cfg.ExtraRoots = nil, s.ca.PEM
	if got := strings.Join(names(s.check(t)), " "); got != all {
		t.Errorf("steps: %s", got)
	}
	s.cfg.ExtraRoots = []byte("no certificate")
	if _, err := client.New(s.cfg); err == nil {
		t.Error("a file without a certificate was taken")
	}
}

// TestHoleOnRealSockets: the connection stays, nothing passes, and the other end's
// death is noticed. The heartbeat's times come from the relay here.
func TestHoleOnRealSockets(t *testing.T) {
	s := newSite(t, time.Unix(0, 0), far)
	s.relay.Ping = 1
	hole := tunneltest.NewHole(t, s.addr)
	s.addr = hole.Address
	s.cfg.ProxyURL = "none"
	c, err := client.New(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = c.Run(ctx) }()
	defer func() { cancel(); <-done }()
	for c.Status().State != client.Connected {
		time.Sleep(time.Millisecond)
	}
	hole.Swallow(true, true)
	for limit := time.Now().Add(30 * time.Second); c.Status().LastError == ""; {
		if time.Now().After(limit) {
			t.Fatalf("the hole was not noticed: %+v", c.Status())
		}
		time.Sleep(10 * time.Millisecond)
	}
	hole.Swallow(false, false)
	seq := s.relay.Append(wire.KindTest, nil)
	if !s.relay.Until(func(s tunneltest.Seen) bool { return s.Acked >= seq }) {
		t.Errorf("did not come back: %+v; seen %+v", c.Status(), s.relay.Seen())
	}
}

func TestPair(t *testing.T) {
	s := newSite(t, time.Unix(0, 0), far)
	s.relay.AllowCode("BCDF-GHJK-LMNP")
	cfg := client.PairConfig{RelayURL: "wss://relay.test", Code: " bcdf ghjk-lmnp ", Version: "1.2.3", ProxyURL: "none", RootCAs: s.ca.Pool, Dial: s.dial}
	cr, urls, err := client.Pair(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(urls) != 1 || urls[0].Kind != wire.KindTest || cr.InstanceID == "" || len(cr.SealingKeys) != 1 {
		t.Errorf("got %v, %v", cr.InstanceID, urls)
	}
	s.cfg.Credentials = cr
	if got := strings.Join(names(s.check(t)), " "); got != all {
		t.Errorf("steps: %s", got)
	}
	for name, row := range map[string]struct {
		change func(c *client.PairConfig)
		code   problem.Code
	}{
		"used":     {func(*client.PairConfig) {}, problem.TunnelPairing},
		"no code":  {func(c *client.PairConfig) { c.Code = "AEIO" }, problem.TunnelPairing},
		"address":  {func(c *client.PairConfig) { c.RelayURL = "http://relay.test" }, problem.RelayUnreachable},
		"no relay": {func(c *client.PairConfig) { c.RelayURL = "wss://nowhere.test" }, problem.RelayUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := cfg
			row.change(&cfg)
			_, _, err := client.Pair(t.Context(), cfg)
			var p *problem.Error
			if !errors.As(err, &p) || p.Code != row.code {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestSettingsThatCannotWork(t *testing.T) {
	good := client.Config{RelayURL: "wss://relay.test", Credentials: tunneltest.NewCredentials(t), Inbox: tunneltest.NewInbox(), ProxyURL: "none"}
	if _, err := client.New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(c *client.Config){
		"plain":        func(c *client.Config) { c.RelayURL = "ws://relay.test" },
		"no scheme":    func(c *client.Config) { c.RelayURL = "relay.test" },
		"path":         func(c *client.Config) { c.RelayURL = "wss://relay.test/x" },
		"user":         func(c *client.Config) { c.RelayURL = "wss://a:b@relay.test" },
		"no inbox":     func(c *client.Config) { c.Inbox = nil },
		"no token":     func(c *client.Config) { c.Credentials.Token = "x" },
		"no identity":  func(c *client.Config) { c.Credentials.Identity = nil },
		"no key":       func(c *client.Config) { c.Credentials.SealingKeyID = "x" },
		"socks":        func(c *client.Config) { c.ProxyURL = "socks5://127.0.0.1:1080" },
		"proxy header": func(c *client.Config) { c.ProxyURL, c.ProxyUser = "http://127.0.0.1:1", "a\r\nb" },
	} {
		c := good
		change(&c)
		if _, err := client.New(c); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
