package mllp

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// running is a server on loopback with what it said.
type running struct {
	*Server
	addr string
	stop context.CancelFunc
	done chan error

	mu    sync.Mutex
	bad   []error
	raw   [][]byte
	notes []string
}

func (r *running) reasons() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]error(nil), r.bad...)
}

// serve starts a server; its handler acknowledges unless c says otherwise.
func serve(t *testing.T, c ServerConfig, tlsConfig *tls.Config) *running {
	t.Helper()
	r := &running{done: make(chan error, 1)}
	if c.Handler == nil {
		c.Handler = func(_ context.Context, _ Conn, frame []byte) ([]byte, error) {
			return []byte(ack(idOf(Frame{Payload: frame}))), nil
		}
	}
	c.OnBad = func(_ Conn, raw []byte, reason error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.bad, r.raw = append(r.bad, reason), append(r.raw, raw)
	}
	c.OnNotes = func(_ Conn, notes []string) { r.mu.Lock(); defer r.mu.Unlock(); r.notes = append(r.notes, notes...) }
	if c.Refuse == nil {
		c.Refuse = func(_ Conn, _ []byte, reason error) []byte { return []byte("MSA|AR||" + reason.Error() + "\r") }
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = ln.Addr().String()
	if tlsConfig != nil {
		ln = tls.NewListener(ln, tlsConfig)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.Server, r.stop = NewServer(c), cancel
	go func() { r.done <- r.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-r.done; err != nil {
			t.Error(err)
		}
	})
	return r
}

// dial connects with a deadline for the whole test.
func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// eventually waits, bounded, for something that another goroutine brings about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("not seen: " + what)
		}
		time.Sleep(time.Millisecond)
	}
}

func answer(t *testing.T, c net.Conn) string {
	t.Helper()
	f, err := NewReader(noDeadline{c}, ReaderConfig{}).Next()
	if err != nil {
		t.Fatal(err)
	}
	return string(f.Payload)
}

// noDeadline keeps the reader from changing the deadline of the test.
type noDeadline struct{ io.Reader }

func TestServerTwoInOneWrite(t *testing.T) {
	s := serve(t, ServerConfig{}, nil)
	c := dial(t, s.addr)
	_, _ = c.Write(append(framed(string(message("M1"))), framed(string(message("M2")))...))
	r := NewReader(noDeadline{c}, ReaderConfig{})
	for _, id := range []string{"M1", "M2"} {
		if f, err := r.Next(); err != nil || string(f.Payload) != ack(id) {
			t.Fatal(err, string(f.Payload))
		}
	}
}

// What is no message gets an answer, the bytes are kept, the next connection works.
func TestServerAnswersBadInput(t *testing.T) {
	s := serve(t, ServerConfig{MaxFrame: 1 << 20}, nil)
	for _, tc := range []struct {
		name, raw string
		reason    error
		answer    string
	}{
		{"garbage", "hello", ErrGarbage, "neither VT nor MSH"},
		{"empty", vt + fs + cr, ErrEmpty, "empty"},
		{"too large", vt + strings.Repeat("x", 2<<20) + fs + cr, ErrTooLarge, "larger than allowed"},
		{"truncated", vt + "MSH|^~\\&|", ErrTruncated, "no end"},
		{"TLS", "\x16\x03\x01\x00\x05hello", ErrTLS, "TLS"},
	} {
		before := len(s.reasons())
		c := dial(t, s.addr)
		_, _ = c.Write([]byte(tc.raw))
		if tc.reason == ErrTruncated { //nolint:errorlint // a table entry
			_ = c.(*net.TCPConn).CloseWrite()
		}
		if got := answer(t, c); !strings.Contains(got, tc.answer) {
			t.Errorf("%s: %q", tc.name, got)
		}
		eventually(t, tc.name, func() bool { return len(s.reasons()) > before })
		s.mu.Lock()
		if last := len(s.bad) - 1; !errors.Is(s.bad[last], tc.reason) || !strings.HasPrefix(strings.TrimLeft(tc.raw, vt), string(s.raw[last])) || len(s.raw[last]) > keepBytes {
			t.Errorf("%s: %v, %d bytes", tc.name, s.bad[last], len(s.raw[last]))
		}
		s.mu.Unlock()
		if tc.reason != ErrTruncated && tc.reason != ErrTLS { //nolint:errorlint // table entries
			_, _ = c.Write(framed(string(message("M9"))))
			if got := answer(t, c); got != ack("M9") {
				t.Errorf("%s: the connection is unusable: %q", tc.name, got)
			}
		}
	}
}

// 100 MB come where 1 MB is allowed: the sender gets its answer or loses the
// connection, the listener lives.
func TestServerHugeFrame(t *testing.T) {
	s := serve(t, ServerConfig{MaxFrame: 1 << 20}, nil)
	c := dial(t, s.addr)
	_, _ = c.Write([]byte(vt + "MSH|"))
	block := bytes.Repeat([]byte("x"), 1<<20)
	for range 100 {
		if _, err := c.Write(block); err != nil {
			break
		}
	}
	eventually(t, "the refusal", func() bool { b := s.reasons(); return len(b) > 0 && errors.Is(b[0], ErrTooLarge) })
	d := dial(t, s.addr)
	_, _ = d.Write(framed(string(message("M1"))))
	if got := answer(t, d); got != ack("M1") {
		t.Error(got)
	}
}

func TestServerHandlerFails(t *testing.T) {
	s := serve(t, ServerConfig{Handler: func(_ context.Context, _ Conn, frame []byte) ([]byte, error) {
		switch idOf(Frame{Payload: frame}) {
		case "PANIC":
			panic("patient data")
		case "ERR":
			return nil, errors.New("no disk")
		case "NAK":
			return []byte("MSA|AE|NAK\r"), errors.New("refused")
		case "NONE":
			return nil, nil
		}
		return []byte(ack("M")), nil
	}}, nil)
	c := dial(t, s.addr)
	r := NewReader(noDeadline{c}, ReaderConfig{})
	for id, part := range map[string]string{"PANIC": "the handler panicked", "ERR": "no disk", "NAK": "AE", "M": "AA"} {
		_, _ = c.Write(framed(string(message(id))))
		f, err := r.Next()
		if err != nil || !strings.Contains(string(f.Payload), part) || strings.Contains(string(f.Payload), "patient") {
			t.Errorf("%s: %v %q", id, err, f.Payload)
		}
	}
	_, _ = c.Write(append(framed(string(message("NONE"))), framed(string(message("M")))...))
	if f, err := r.Next(); err != nil || !strings.Contains(string(f.Payload), "AA") {
		t.Error(err)
	}
}

func TestServerAllowList(t *testing.T) {
	s := serve(t, ServerConfig{Allow: func(a netip.Addr) bool { return a != netip.MustParseAddr("127.0.0.1") }}, nil)
	c := dial(t, s.addr)
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the peer was let in")
	}
	eventually(t, "the refusal", func() bool { b := s.reasons(); return len(b) == 1 && errors.Is(b[0], ErrNotAllowed) })
}

// A flood from one address takes its own places only.
func TestServerConnectionFlood(t *testing.T) {
	s := serve(t, ServerConfig{MaxPerAddress: 4}, nil)
	kept := make([]net.Conn, 4)
	for i := range kept {
		kept[i] = dial(t, s.addr)
	}
	eventually(t, "four connections", func() bool { return s.Connections() == 4 })
	for range 50 {
		c := dial(t, s.addr)
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Fatal("a fifth connection was let in")
		}
		_ = c.Close()
	}
	eventually(t, "the refusals", func() bool { b := s.reasons(); return len(b) == 50 && errors.Is(b[49], ErrTooManyFrom) })
	_, _ = kept[3].Write(framed(string(message("M1"))))
	if got := answer(t, kept[3]); got != ack("M1") {
		t.Error(got)
	}
	_ = kept[0].Close()
	eventually(t, "a free place", func() bool { return s.Connections() == 3 })
	c := dial(t, s.addr)
	_, _ = c.Write(framed(string(message("M2"))))
	if got := answer(t, c); got != ack("M2") {
		t.Error(got)
	}
}

// A server that stops answers the message it has, and closes idle connections.
func TestServerStops(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := serve(t, ServerConfig{Handler: func(ctx context.Context, _ Conn, _ []byte) ([]byte, error) {
		close(entered)
		<-leave
		return []byte(ack("M1")), ctx.Err()
	}}, nil)
	idle, busy := dial(t, s.addr), dial(t, s.addr)
	_, _ = busy.Write(framed(string(message("M1"))))
	<-entered
	s.stop()
	if _, err := idle.Read(make([]byte, 1)); err == nil {
		t.Error("the idle connection is open")
	}
	close(leave)
	if got := answer(t, busy); got != ack("M1") {
		t.Error(got)
	}
	if _, err := busy.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is open")
	}
}

func TestServerStopGrace(t *testing.T) {
	entered := make(chan struct{})
	s := serve(t, ServerConfig{StopGrace: 10 * time.Millisecond, Handler: func(ctx context.Context, _ Conn, _ []byte) ([]byte, error) {
		close(entered)
		<-ctx.Done()
		return nil, ctx.Err()
	}}, nil)
	c := dial(t, s.addr)
	_, _ = c.Write(framed(string(message("M1"))))
	<-entered
	s.stop()
	if err := <-s.done; err != nil {
		t.Error(err)
	}
	s.done <- nil
}

// certificate makes a certificate of its own making.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, &x509.Certificate{SerialNumber: big.NewInt(1)}, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, hex.EncodeToString(sum[:])
}

func TestTLSPinned(t *testing.T) {
	cert, fingerprint := certificate(t)
	s := serve(t, ServerConfig{}, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	colons := strings.ToUpper(fingerprint[:2] + ":" + fingerprint[2:])
	good, err := Pin(nil, colons)
	if err != nil {
		t.Fatal(err)
	}
	c := NewClient(ClientConfig{Address: s.addr, TLS: good, Persistent: true})
	for range 2 {
		if got, err := c.Send(t.Context(), message("M1"), matching("M1")); err != nil || string(got) != ack("M1") {
			t.Fatal(err)
		}
	}
	_ = c.Close()
	other, err := Pin(nil, strings.Repeat("00", 32))
	if err != nil {
		t.Fatal(err)
	}
	for _, config := range []*tls.Config{other, {MinVersion: tls.VersionTLS12}} {
		c := NewClient(ClientConfig{Address: s.addr, TLS: config})
		if _, err := c.Send(t.Context(), message("M1"), nil); !errors.Is(err, ErrConnect) {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "zz", fingerprint[:10]} {
		if _, err := Pin(nil, bad); err == nil {
			t.Error(bad, "is taken")
		}
	}
}

func TestPlainTextOnTLSPort(t *testing.T) {
	cert, _ := certificate(t)
	s := serve(t, ServerConfig{}, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	c := dial(t, s.addr)
	_, _ = c.Write(framed(string(message("M1"))))
	eventually(t, "the reason", func() bool { b := s.reasons(); return len(b) == 1 && errors.Is(b[0], ErrPlainText) })
}

func TestClientAndServer(t *testing.T) {
	s := serve(t, ServerConfig{}, nil)
	for _, persistent := range []bool{true, false} {
		c := NewClient(ClientConfig{Address: s.addr, Persistent: persistent})
		for range 50 {
			if got, err := c.Send(t.Context(), message("M1"), matching("M1")); err != nil || string(got) != ack("M1") {
				t.Fatal(err)
			}
		}
		_ = c.Close()
	}
	// A server that stopped in between: the idle connection is not used again.
	c := NewClient(ClientConfig{Address: s.addr, Persistent: true})
	if _, err := c.Send(t.Context(), message("M1"), nil); err != nil {
		t.Fatal(err)
	}
	s.stop()
	eventually(t, "the end", func() bool { return s.Connections() == 0 })
	if _, err := c.Send(t.Context(), message("M1"), nil); err == nil {
		t.Error("an answer from nowhere")
	}
	if reasons := s.reasons(); len(reasons) != 0 {
		t.Error(reasons)
	}
}

func BenchmarkExchange(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := NewServer(ServerConfig{Handler: func(context.Context, Conn, []byte) ([]byte, error) { return []byte(ack("M1")), nil }})
	go func() { _ = s.Serve(b.Context(), ln) }()
	c := NewClient(ClientConfig{Address: ln.Addr().String(), Persistent: true})
	defer c.Close()
	payload := append(message("M1"), bytes.Repeat([]byte("OBX|1|TX|x||text\r"), 100)...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Send(b.Context(), payload, matching("M1")); err != nil {
			b.Fatal(err)
		}
	}
}
