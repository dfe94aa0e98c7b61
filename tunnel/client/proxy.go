package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpproxy"

	"github.com/rayhound/rayhound/appliance/problem"
)

// proxy is a proxy to pass, or nil.
type proxy struct {
	tls            bool
	host, port     string
	user, password string
}

func (p *proxy) String() string {
	if p == nil {
		return ""
	}
	scheme := "http://"
	if p.tls {
		scheme = "https://"
	}
	return scheme + net.JoinHostPort(p.host, p.port)
}

// findProxy returns the proxy of the settings or the environment for t.
func findProxy(cfg *Config, t target) (*proxy, error) {
	raw := strings.TrimSpace(cfg.ProxyURL)
	var u *url.URL
	var err error
	switch raw {
	case "none":
		return nil, nil
	case "":
		target, perr := url.Parse(t.url("http", "/"))
		if perr != nil {
			return nil, fmt.Errorf("client: %w", perr)
		}
		u, err = httpproxy.FromEnvironment().ProxyFunc()(target)
	default:
		if !strings.Contains(raw, "://") {
			raw = "http://" + raw
		}
		u, err = url.Parse(raw)
	}
	if err != nil {
		// The text of the error may hold a password.
		return nil, errors.New("client: the proxy's address cannot be read")
	}
	if u == nil {
		return nil, nil
	}
	p := &proxy{host: u.Hostname(), port: u.Port(), user: cfg.ProxyUser, password: cfg.ProxyPassword}
	switch u.Scheme {
	case "http":
		p.port = cmpOr(p.port, "80")
	case "https":
		p.tls, p.port = true, cmpOr(p.port, "443")
	default:
		return nil, fmt.Errorf("client: a proxy of the kind %q is not supported, only http and https", u.Scheme)
	}
	if p.host == "" {
		return nil, errors.New("client: the proxy's address names no host")
	}
	if u.User != nil {
		p.user = cmpOr(p.user, u.User.Username())
		if pw, ok := u.User.Password(); ok && p.password == "" {
			p.password = pw
		}
	}
	if strings.Contains(p.user, ":") || strings.ContainsAny(p.user+p.password, "\r\n\x00") {
		return nil, errors.New("client: the proxy's user or password holds a character that Basic does not take")
	}
	return p, nil
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// maxProxyAnswer is the longest answer to CONNECT, up to its empty line, in bytes.
const maxProxyAnswer = 16 << 10

// connect asks the proxy at the other end of conn for a way to address. The caller
// has set a deadline. It returns the connection to go on with.
func (p *proxy) connect(conn net.Conn, address, userAgent string) (net.Conn, error) {
	req := "CONNECT " + address + " HTTP/1.1\r\nHost: " + address + "\r\nUser-Agent: " + userAgent + "\r\nProxy-Connection: Keep-Alive\r\n"
	if p.user != "" || p.password != "" {
		req += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(p.user+":"+p.password)) + "\r\n"
	}
	if _, err := io.WriteString(conn, req+"\r\n"); err != nil {
		return nil, p.refused(address, "it does not take our request", err)
	}
	lim := &io.LimitedReader{R: conn, N: maxProxyAnswer}
	br := bufio.NewReaderSize(lim, 1024)
	status, header, err := readProxyAnswer(br)
	var ne net.Error
	switch {
	case err != nil && lim.N <= 0:
		return nil, p.refused(address, "its answer does not end", err)
	case errors.As(err, &ne) && ne.Timeout():
		return nil, p.refused(address, "it does not answer", err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, p.refused(address, "it closes the connection without an answer", err)
	case err != nil:
		return nil, p.refused(address, "its answer is not that of a proxy", err)
	case status/100 == 2:
		if br.Buffered() == 0 {
			return conn, nil
		}
		rest, _ := br.Peek(br.Buffered())
		return &prefixed{Conn: conn, head: slices.Clone(rest)}, nil
	}
	return nil, p.refused(address, p.reason(status, header, address), fmt.Errorf("status %d", status))
}

// readProxyAnswer reads the head of an answer. A reason phrase may be missing.
func readProxyAnswer(br *bufio.Reader) (int, textproto.MIMEHeader, error) {
	r := textproto.NewReader(br)
	line, err := r.ReadLine()
	if err != nil {
		return 0, nil, fmt.Errorf("client: %w", err)
	}
	version, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	status, err := strconv.Atoi(code)
	if !strings.HasPrefix(version, "HTTP/1.") || err != nil || len(code) != 3 || status < 100 {
		return 0, nil, errors.New("client: no HTTP status line")
	}
	h, err := r.ReadMIMEHeader()
	if err != nil {
		return 0, nil, fmt.Errorf("client: %w", err)
	}
	return status, h, nil
}

// reason tells people what a proxy's status means.
func (p *proxy) reason(status int, h textproto.MIMEHeader, address string) string {
	switch {
	case status == 407:
		var schemes []string
		for _, v := range h.Values("Proxy-Authenticate") {
			s, _, _ := strings.Cut(strings.TrimSpace(v), " ")
			schemes = append(schemes, strings.ToLower(s))
		}
		switch {
		case len(schemes) > 0 && !slices.Contains(schemes, "basic"):
			return "it wants a sign-in that is not supported (" + printable(strings.Join(schemes, ", "), 60) +
				"); ask for an exception for " + address
		case p.user == "" && p.password == "":
			return "it wants a user and a password"
		default:
			return "it does not take the user or the password"
		}
	case status/100 == 3, status == 401, status == 511:
		return fmt.Sprintf("it answers with a page to sign in (status %d)", status)
	case status == 403, status == 405:
		return fmt.Sprintf("it forbids the way to %s (status %d)", address, status)
	case status == 502, status == 503, status == 504:
		return fmt.Sprintf("it cannot reach %s (status %d)", address, status)
	default:
		return fmt.Sprintf("it answers with status %d", status)
	}
}

func (p *proxy) refused(address, reason string, err error) *Error {
	e := failed(StepProxy, fmt.Errorf("the proxy %s: %s: %w", p, reason, err))
	e.problem = problem.New(problem.TunnelProxy, problem.Args{"proxy": p.String(), "host": address, "reason": reason}, e)
	return e
}

// printable cuts s to n bytes of printable ASCII.
func printable(s string, n int) string {
	var b strings.Builder
	for _, r := range s {
		if b.Len() >= n {
			break
		}
		if r < ' ' || r > '~' {
			r = '?'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// prefixed is a connection of which some bytes were read already.
type prefixed struct {
	net.Conn
	head []byte
}

func (c *prefixed) Read(b []byte) (int, error) {
	if len(c.head) > 0 {
		n := copy(b, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

// viaProxy connects to address through p. Its TLS, of an https proxy, is its own.
func (d *dialer) viaProxy(ctx context.Context, p *proxy, address string) (net.Conn, error) {
	conn, err := d.tcp(ctx, p.host, p.port)
	if err != nil {
		e := failed(StepTCP, fmt.Errorf("the proxy %s: %w", p, err))
		var of *Error
		if errors.As(err, &of) {
			e.Step = of.Step
		}
		e.problem = problem.New(problem.TunnelProxy, problem.Args{"proxy": p.String(), "host": address, "reason": "it cannot be reached"}, e)
		return nil, e
	}
	ok := false
	defer func() {
		if !ok {
			conn.Close()
		}
	}()
	if p.tls {
		tc := tls.Client(conn, &tls.Config{RootCAs: d.roots, ServerName: p.host, MinVersion: tls.VersionTLS12, Time: d.now})
		if err := handshake(ctx, tc, d.step); err != nil {
			e := d.tlsFailed(p.host, err)
			e.Step = StepProxy
			if e.problem == nil {
				e.problem = problem.New(problem.TunnelProxy, problem.Args{"proxy": p.String(), "host": address, "reason": e.Err.Error()}, e)
			}
			return nil, e
		}
		conn = tc
	}
	through, err := guarded(ctx, conn, d.step, func() (net.Conn, error) { return p.connect(conn, address, d.userAgent) })
	if err != nil {
		return nil, err
	}
	ok = true
	d.did(StepProxy, p.String())
	return through, nil
}
