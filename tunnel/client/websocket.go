package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// socket is the carrier over a websocket. This file alone knows the library.
type socket struct {
	conn  *websocket.Conn
	host  string
	limit wire.Limits
	ping  time.Duration
	dead  time.Duration

	heard   atomic.Int64 // ns since start
	start   time.Time    // with the monotonic clock
	write   sync.Mutex
	done    chan struct{}
	closing sync.Once
	wg      sync.WaitGroup
}

// maxUpgrade is the most that is read before the websocket stands, in bytes.
const maxUpgrade = 32 << 10

// upgradeLimit ends a connection that sends too much before the websocket stands.
type upgradeLimit struct {
	net.Conn
	open atomic.Bool
	n    int
}

func (u *upgradeLimit) Read(b []byte) (int, error) {
	if u.open.Load() {
		return u.Conn.Read(b)
	}
	if u.n >= maxUpgrade {
		return 0, errors.New("client: the answer to the upgrade does not end")
	}
	n, err := u.Conn.Read(b[:min(len(b), maxUpgrade-u.n)])
	u.n += n
	return n, err
}

// openSocket connects a websocket to t and greets the relay.
func openSocket(ctx context.Context, d *dialer, t target, g *greeting) (carrier, *wire.Welcome, error) {
	raw, err := d.open(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	ws, err := upgrade(ctx, d, t, g, &upgradeLimit{Conn: raw})
	if err != nil {
		raw.Close()
		return nil, nil, err
	}
	d.did(StepUpgrade, wire.Protocol)
	s := &socket{conn: ws, host: t.host, ping: wire.PingEvery, dead: wire.DeadAfter, start: time.Now(), done: make(chan struct{})}
	ws.SetReadLimit(wire.MaxControl)
	welcome, err := s.greet(ctx, d, g)
	if err != nil {
		s.close(ourCode(err), "")
		return nil, nil, err
	}
	s.run(welcome)
	return s, welcome, nil
}

func upgrade(ctx context.Context, d *dialer, t target, g *greeting, raw *upgradeLimit) (*websocket.Conn, error) {
	use := func(context.Context, string, string) (net.Conn, error) { return raw, nil }
	gd := websocket.Dialer{
		NetDialContext: use, NetDialTLSContext: use, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		Subprotocols: wire.Protocols(), ReadBufferSize: 4096, WriteBufferSize: 1024,
	}
	header := http.Header{"Authorization": {"Bearer " + g.token}, "User-Agent": {d.userAgent}}
	ws, err := guarded(ctx, raw, d.step, func() (*websocket.Conn, error) {
		ws, resp, err := gd.DialContext(ctx, t.url("ws", wire.TunnelPath), header)
		if resp != nil && resp.Body != nil {
			defer resp.Body.Close()
		}
		switch {
		case err == nil:
			return ws, nil
		case resp != nil && resp.StatusCode != http.StatusSwitchingProtocols:
			body, _ := io.ReadAll(io.LimitReader(resp.Body, 1024))
			return nil, refusal(StepUpgrade, t.host, answer{resp.StatusCode, resp.Header, body})
		default:
			return nil, failed(StepUpgrade, fmt.Errorf("%s does not accept the upgrade: %w", t.host, err))
		}
	})
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			err = failed(StepUpgrade, err)
		}
		return nil, err
	}
	raw.open.Store(true)
	if ws.Subprotocol() != wire.Protocol {
		_ = ws.Close()
		return nil, failed(StepUpgrade, fmt.Errorf("%s chose the protocol %q", t.host, printable(ws.Subprotocol(), 40)))
	}
	return ws, nil
}

// greet does challenge, hello and welcome.
func (s *socket) greet(ctx context.Context, d *dialer, g *greeting) (*wire.Welcome, error) {
	stop := context.AfterFunc(ctx, func() { _ = s.conn.Close() })
	defer stop()
	ch, err := await[*wire.Challenge](s, StepChallenge, d.step)
	if err != nil {
		return nil, err
	}
	if ch.MinProtocol > wire.MaxVersion || ch.MaxProtocol < wire.MinVersion {
		e := &Error{Step: StepChallenge, Code: wire.Close4426, Err: fmt.Errorf("the relay speaks the versions %d to %d", ch.MinProtocol, ch.MaxProtocol)}
		return nil, e.saidBy(s.host)
	}
	d.did(StepChallenge, "")
	if err := s.send(g.challenge(ch.Nonce)); err != nil {
		return nil, s.ended(StepWelcome, err)
	}
	w, err := await[*wire.Welcome](s, StepWelcome, d.step)
	if err != nil {
		return nil, err
	}
	d.did(StepWelcome, "")
	return w, nil
}

// await reads until a frame of the type T comes, for at most limit.
func await[T wire.Control](s *socket, step StepName, limit time.Duration) (T, error) {
	var zero T
	if err := s.conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return zero, s.ended(step, err)
	}
	for range 100 {
		f, _, err := s.read()
		if err != nil {
			return zero, s.ended(step, err)
		}
		switch c := f.Control.(type) {
		case T:
			return c, nil
		case *wire.Unknown, *wire.Notice:
		default:
			return zero, protocolError(step, "a frame that does not belong there")
		}
	}
	return zero, protocolError(step, "too many frames")
}

// run starts the heartbeat.
func (s *socket) run(w *wire.Welcome) {
	s.limit.MaxFrame = w.MaxFrame
	s.conn.SetReadLimit(int64(max(w.MaxFrame, wire.MaxControl)))
	if p := time.Duration(w.PingSecs) * time.Second; p < s.ping {
		s.ping, s.dead = p, p*(wire.DeadAfter/time.Second)/(wire.PingEvery/time.Second)
	}
	s.alive()
	s.conn.SetPongHandler(func(string) error { s.alive(); return nil })
	s.conn.SetPingHandler(func(data string) error {
		s.alive()
		err := s.conn.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(wire.WriteTimeout))
		var ne net.Error
		if errors.Is(err, websocket.ErrCloseSent) || errors.As(err, &ne) {
			return nil // the reading side finds out
		}
		return err
	})
	s.wg.Go(func() {
		t := time.NewTicker(s.ping)
		defer t.Stop()
		for {
			select {
			case <-s.done:
				return
			case <-t.C:
				if time.Since(s.lastHeard()) >= s.ping {
					_ = s.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(wire.WriteTimeout))
				}
			}
		}
	})
}

// alive notes a sign of life.
func (s *socket) alive() {
	s.heard.Store(int64(time.Since(s.start)))
	_ = s.conn.SetReadDeadline(time.Now().Add(s.dead))
}

func (s *socket) lastHeard() time.Time { return s.start.Add(time.Duration(s.heard.Load())) }

func (s *socket) transport() Transport { return Websocket }

func (s *socket) read() (wire.Frame, int, error) {
	kind, b, err := s.conn.ReadMessage()
	if err != nil {
		return wire.Frame{}, 0, err
	}
	f, err := wire.DecodeFrame(b, kind == websocket.TextMessage, s.limit)
	return f, len(b), err
}

func (s *socket) receive() (wire.Frame, int, error) {
	f, n, err := s.read()
	if err != nil {
		return f, n, s.ended(StepOpen, err)
	}
	s.alive()
	return f, n, nil
}

func (s *socket) send(c wire.Control) error {
	b, err := wire.EncodeControl(c)
	if err != nil {
		return err
	}
	s.write.Lock()
	defer s.write.Unlock()
	if err := s.conn.SetWriteDeadline(time.Now().Add(wire.WriteTimeout)); err != nil {
		return fmt.Errorf("client: %w", err)
	}
	if err := s.conn.WriteMessage(websocket.TextMessage, b); err != nil {
		return fmt.Errorf("client: %w", err)
	}
	return nil
}

func (s *socket) use(string) {}

func (s *socket) probe() {
	_ = s.conn.SetReadDeadline(time.Now().Add(wire.HandshakeTimeout))
	_ = s.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(wire.WriteTimeout))
}

func (s *socket) close(code wire.CloseCode, reason string) {
	s.closing.Do(func() {
		close(s.done)
		if code != wire.CloseUnknownCode {
			_ = s.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(int(code), reason), time.Now().Add(time.Second))
		}
		_ = s.conn.Close()
	})
	s.wg.Wait()
}

// ended turns the library's error into ours.
func (s *socket) ended(step StepName, err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		e := &Error{Step: step, Code: wire.CloseCode(closed.Code)}
		switch closed.Code {
		case websocket.CloseNoStatusReceived, websocket.CloseAbnormalClosure:
			e.Code = wire.CloseUnknownCode
		}
		if closed.Text != "" {
			e.Err = errors.New(printable(closed.Text, 120))
		}
		if d, ok := wire.ParseRetry(closed.Text); ok {
			e.Retry = d
		}
		return e.saidBy(s.host)
	}
	var ne net.Error
	switch {
	case errors.Is(err, wire.ErrMalformed):
		return &Error{Step: step, ours: wire.Close4400, Err: err}
	case errors.Is(err, wire.ErrTooLarge), errors.Is(err, websocket.ErrReadLimit):
		return &Error{Step: step, ours: wire.Close4413, Err: err}
	case errors.As(err, &ne) && ne.Timeout():
		return failed(step, fmt.Errorf("nothing was heard from %s: %w", s.host, err))
	default:
		return failed(step, fmt.Errorf("the connection to %s was lost: %w", s.host, err))
	}
}

func protocolError(step StepName, what string) *Error {
	return &Error{Step: step, ours: wire.Close4400, Err: fmt.Errorf("%w: %s", wire.ErrMalformed, what)}
}

// ourCode is the code to close with after err.
func ourCode(err error) wire.CloseCode {
	var e *Error
	if errors.As(err, &e) {
		return e.ours
	}
	return wire.CloseUnknownCode
}
