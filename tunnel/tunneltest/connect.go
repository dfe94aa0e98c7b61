package tunneltest

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"sync"
)

// Proxy is a CONNECT proxy with faults. The zero value lets everything through.
type Proxy struct {
	// User and Password, when User is set, are wanted as Basic.
	User, Password string
	// Without is the raw answer to a request that brings no right password; empty: a
	// proper 407 that offers Basic.
	Without string
	// Raw is the raw answer to every CONNECT, instead of a way through.
	Raw string
	// Endless sends header lines without end; Mute never answers.
	Endless, Mute bool
	// TLS makes it an https proxy.
	TLS *tls.Config
	// Dial replaces the dialing of the target.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	mu    sync.Mutex
	asked []string
}

// Asked returns the targets asked for.
func (p *Proxy) Asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.asked...)
}

// Serve answers on l until it is closed and ctx ends.
func (p *Proxy) Serve(ctx context.Context, l net.Listener) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		wg.Go(func() { p.serve(ctx, c) })
	}
}

func (p *Proxy) serve(ctx context.Context, c net.Conn) {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	if p.TLS != nil {
		c = tls.Server(c, p.TLS)
	}
	br := bufio.NewReader(c)
	req, err := http.ReadRequest(br)
	if err != nil || req.Method != http.MethodConnect {
		return
	}
	p.mu.Lock()
	p.asked = append(p.asked, req.Host)
	p.mu.Unlock()
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.User+":"+p.Password))
	switch {
	case p.Mute:
		_, _ = io.Copy(io.Discard, c)
		return
	case p.Endless:
		_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		for err == nil {
			_, err = io.WriteString(c, "X-More: and more and more and more and more\r\n")
		}
		return
	case p.User != "" && req.Header.Get("Proxy-Authorization") != want:
		without := p.Without
		if without == "" {
			without = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n"
		}
		_, _ = io.WriteString(c, without)
		return
	case p.Raw != "":
		_, _ = io.WriteString(c, p.Raw)
		return
	}
	dial := p.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	out, err := dial(ctx, "tcp", req.Host)
	if err != nil {
		_, _ = io.WriteString(c, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
		return
	}
	defer out.Close()
	if _, err := io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	stopOut := context.AfterFunc(ctx, func() { out.Close() })
	defer stopOut()
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(out, br); out.Close() })
	_, _ = io.Copy(c, out)
	c.Close()
	wg.Wait()
}
