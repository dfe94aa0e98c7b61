package relay_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	add time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.add)
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add += d
}

// world is one relay on a loopback port.
type world struct {
	t      testing.TB
	mem    *memory
	store  relay.Store
	reg    relay.Registry
	relay  *relay.Relay
	admin  *relay.Admin
	server *httptest.Server
	clock  *clock
	stop   func()
}

// newWorld starts a relay; mem may be nil and is shared by the nodes of one database.
func newWorld(t testing.TB, mem *memory, change func(*relay.Config)) *world {
	t.Helper()
	if mem == nil {
		mem = newMemory()
	}
	return newWorldOn(t, mem, mem, mem, change)
}

func newWorldOn(t testing.TB, mem *memory, store relay.Store, reg relay.Registry, change func(*relay.Config)) *world {
	t.Helper()
	w := &world{t: t, mem: mem, store: store, reg: reg, clock: &clock{}}
	w.server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, q *http.Request) { w.relay.Handler().ServeHTTP(rw, q) }))
	w.server.EnableHTTP2 = true
	cfg := relay.Config{
		Store: store, Registry: reg, PublicURL: "https://" + w.server.Listener.Addr().String(), Now: w.clock.now,
		SealAtIngest: true, RatePerClinic: 1e6, Burst: 1e6, AcceptRate: 1e4,
		RefreshEvery: 20 * time.Millisecond, PendingEvery: 50 * time.Millisecond, AckEvery: 10 * time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if w.relay, err = relay.New(cfg); err != nil {
		t.Fatal(err)
	}
	w.admin = w.relay.Admin()
	w.server.StartTLS()
	w.server.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.relay.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		w.server.CloseClientConnections()
		w.server.Close()
	})
	t.Cleanup(w.stop)
	return w
}

// agent is a paired appliance, as a script.
type agent struct {
	w        *world
	id       wire.ClinicID
	token    string
	identity ed25519.PrivateKey
	sealing  []byte
	keyID    string
	instance wire.InstanceID
	run      wire.RunID
	urls     map[string]string
	epoch    wire.StoreEpoch
	resume   wire.Seq
	resumeAt time.Time
	window   wire.Window
}

func (w *world) pairRequest(code string) (wire.PairRequest, *agent) {
	w.t.Helper()
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	priv, pub, keyID, err := wire.NewSealingKey()
	if err != nil {
		w.t.Fatal(err)
	}
	a := &agent{
		w: w, identity: key, sealing: priv, keyID: keyID, instance: wire.InstanceID(wire.NewID()), run: wire.RunID(wire.NewID()),
		urls: map[string]string{}, window: wire.Window{Msgs: wire.WindowMsgs, Bytes: wire.WindowBytes},
	}
	return wire.PairRequest{
		Code: code, Identity: key.Public().(ed25519.PublicKey), Sealing: pub, InstanceID: a.instance, Version: "1.0.0",
	}, a
}

func (w *world) postPair(req wire.PairRequest) (int, []byte) {
	w.t.Helper()
	b, _ := json.Marshal(req)
	a := w.do(http.MethodPost, w.server.URL+wire.PairPath, b)
	return a.status, a.body
}

// pair adds a clinic if need be, and joins an agent to it.
func (w *world) pair(name string) *agent {
	w.t.Helper()
	ctx := context.Background()
	if _, err := w.admin.AddClinic(ctx, name); err != nil && !errors.Is(err, relay.ErrNameTaken) {
		w.t.Fatal(err)
	}
	code, _, err := w.admin.PairingCode(ctx, name)
	if err != nil {
		w.t.Fatal(err)
	}
	req, a := w.pairRequest(code)
	status, body := w.postPair(req)
	if status != 200 {
		w.t.Fatalf("pairing: %d %s", status, body)
	}
	answer, err := wire.DecodePairAnswer(body)
	if err != nil {
		w.t.Fatal(err)
	}
	a.id, a.token = answer.ClinicID, answer.Token
	for _, u := range answer.URLs {
		a.urls[u.Kind] = u.URL
	}
	return a
}

type answer struct {
	status int
	body   []byte
	header http.Header
	proto  int
}

func (w *world) do(method, url string, body []byte, header ...string) answer {
	w.t.Helper()
	q, err := http.NewRequestWithContext(context.Background(), method, url, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	a, err := w.server.Client().Do(q)
	if err != nil {
		w.t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{a.StatusCode, b, a.Header, a.ProtoMajor}
}

func (a *agent) post(body string) {
	a.w.t.Helper()
	got := a.w.do(http.MethodPost, a.urls[wire.KindCreated], []byte(body), "Content-Type", "application/json")
	if got.status != 200 || len(got.body) != 0 {
		a.w.t.Fatalf("webhook: %d %q", got.status, got.body)
	}
}

// line is an agent's open tunnel.
type line struct {
	a       *agent
	c       *websocket.Conn
	welcome *wire.Welcome
}

func (a *agent) dialer() *websocket.Dialer {
	return &websocket.Dialer{
		Subprotocols: wire.Protocols(), HandshakeTimeout: 5 * time.Second,
		TLSClientConfig: &tls.Config{RootCAs: a.w.server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs},
	}
}

// upgrade opens the socket and reads the challenge.
func (a *agent) upgrade() (*websocket.Conn, *wire.Challenge, *http.Response, error) {
	c, resp, err := a.dialer().Dial(strings.Replace(a.w.server.URL, "https:", "wss:", 1)+wire.TunnelPath,
		http.Header{"Authorization": {"Bearer " + a.token}})
	if err != nil {
		return nil, nil, resp, err
	}
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, b, err := c.ReadMessage()
	if err != nil {
		c.Close()
		return nil, nil, resp, err
	}
	f, err := wire.DecodeControl(b, wire.Limits{})
	if err != nil {
		return nil, nil, resp, err
	}
	return c, f.(*wire.Challenge), resp, nil
}

func (a *agent) hello() *wire.Hello {
	return &wire.Hello{
		Version: "1.0.0", ClinicID: a.id, InstanceID: a.instance, Run: a.run, StoreEpoch: a.epoch, Resume: a.resume, ResumeAt: a.resumeAt,
		Window: a.window, Time: time.Now().UTC(),
	}
}

// connect does the whole handshake; the error is the refusal.
func (a *agent) connect() (*line, error) {
	c, ch, _, err := a.upgrade()
	if err != nil {
		return nil, err
	}
	h := a.hello()
	h.Signature = ed25519.Sign(a.identity, wire.HelloBytes(ch.Nonce, "127.0.0.1", a.id, a.instance))
	l := &line{a: a, c: c}
	l.send(h)
	f, err := l.next()
	if err != nil {
		c.Close()
		return nil, err
	}
	l.welcome = f.Control.(*wire.Welcome)
	a.w.t.Cleanup(func() { c.Close() })
	return l, nil
}

func (a *agent) mustConnect() *line {
	a.w.t.Helper()
	l, err := a.connect()
	if err != nil {
		a.w.t.Fatalf("connect: %v", err)
	}
	return l
}

func (l *line) send(c wire.Control) {
	b, err := wire.EncodeControl(c)
	if err != nil {
		l.a.w.t.Fatal(err)
	}
	_ = l.c.WriteMessage(websocket.TextMessage, b)
}

func (l *line) next() (wire.Frame, error) {
	_ = l.c.SetReadDeadline(time.Now().Add(10 * time.Second))
	kind, b, err := l.c.ReadMessage()
	if err != nil {
		return wire.Frame{}, err
	}
	return wire.DecodeFrame(b, kind == websocket.TextMessage, wire.Limits{})
}

// event returns the next event and remembers it as held.
func (l *line) event() wire.Event {
	l.a.w.t.Helper()
	f, err := l.next()
	if err != nil {
		l.a.w.t.Fatalf("waiting for an event: %v", err)
	}
	if f.Control != nil {
		l.a.w.t.Fatalf("a %s instead of an event", f.Control.Type())
	}
	l.a.epoch, l.a.resume, l.a.resumeAt = l.welcome.StoreEpoch, f.Event.Seq, f.Event.ReceivedAt
	return f.Event
}

func (l *line) body() string {
	l.a.w.t.Helper()
	r, err := wire.Open(l.a.sealing, l.a.keyID, l.a.id, l.event())
	if err != nil {
		l.a.w.t.Fatal(err)
	}
	return string(r.Body)
}

func (l *line) ack(seq wire.Seq) { l.send(&wire.Ack{Seq: seq, Epoch: l.welcome.Epoch}) }

// closed waits for the end of the line and returns its code.
func (l *line) closed() wire.CloseCode {
	l.a.w.t.Helper()
	for {
		if _, err := l.next(); err != nil {
			return closeCode(err)
		}
	}
}

func closeCode(err error) wire.CloseCode {
	var ce *websocket.CloseError
	if errors.As(err, &ce) {
		return wire.CloseCode(ce.Code)
	}
	return 0
}

// eventually polls until something is so, for at most 10 s.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	end := time.NewTimer(10 * time.Second)
	defer end.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-end.C:
			t.Fatalf("never happened: %s", what)
		case <-tick.C:
		}
	}
}

func (m *memory) acked(c wire.ClinicID) wire.Seq {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.boxes[c].claim.Acked
}
