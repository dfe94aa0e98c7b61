package relay

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// socket is one upgraded connection: the only place that knows the websocket library. One goroutine reads; writes are
// serialised here; ping and end may be called at any time.
type socket struct {
	conn *websocket.Conn
	mu   sync.Mutex // one writer at a time
}

// What an agent must not send: binary frames, which only the relay sends, and frames above wire.MaxControl.
var (
	errBinary = errors.New("relay: a binary frame from an agent")
	errLarge  = errors.New("relay: too large a frame from an agent")
)

// Buffers are small and shared, because nearly all sockets are idle: 128 bytes to read, more than an ack has, and one to write
// only while writing.
var upgrader = websocket.Upgrader{
	ReadBufferSize:  128,
	WriteBufferSize: 4 << 10,
	WriteBufferPool: &sync.Pool{},
	Subprotocols:    wire.Protocols(),
}

// offersProtocol says whether the caller speaks a version that we speak.
func offersProtocol(q *http.Request) bool {
	for _, p := range websocket.Subprotocols(q) {
		for _, ours := range wire.Protocols() {
			if p == ours {
				return true
			}
		}
	}
	return false
}

func isUpgrade(q *http.Request) bool { return websocket.IsWebSocketUpgrade(q) }

// upgrade answers 101. On an error the answer has been written.
func upgrade(w http.ResponseWriter, q *http.Request) (*socket, error) {
	c, err := upgrader.Upgrade(w, q, http.Header{wire.HeaderRelay: {wire.Protocol}})
	if err != nil {
		return nil, err
	}
	return &socket{conn: c}, nil
}

// heard calls f for each ping and pong. Pings are answered.
func (k *socket) heard(f func()) {
	k.conn.SetPongHandler(func(string) error { f(); return nil })
	k.conn.SetPingHandler(func(data string) error {
		f()
		err := k.conn.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(2*time.Second))
		if errors.Is(err, websocket.ErrCloseSent) {
			return nil
		}
		return err
	})
}

// read returns the next control frame. A zero deadline means none.
func (k *socket) read(deadline time.Time) ([]byte, error) {
	if err := k.conn.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	kind, in, err := k.conn.NextReader()
	if err != nil {
		return nil, err
	}
	if kind != websocket.TextMessage {
		return nil, errBinary
	}
	// The library's own read limit would close with 1009 before we can say what was wrong.
	b, err := io.ReadAll(io.LimitReader(in, wire.MaxControl+1))
	if err == nil && len(b) > wire.MaxControl {
		err = errLarge
	}
	return b, err
}

// write sends one frame.
func (k *socket) write(frame []byte, text bool, deadline time.Time) error {
	kind := websocket.BinaryMessage
	if text {
		kind = websocket.TextMessage
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.conn.SetWriteDeadline(deadline); err != nil {
		return err
	}
	return k.conn.WriteMessage(kind, frame)
}

// ping sends a ping.
func (k *socket) ping(deadline time.Time) error {
	return k.conn.WriteControl(websocket.PingMessage, nil, deadline)
}

// end sends a close frame, if the peer takes it within a moment, and closes the connection.
func (k *socket) end(code wire.CloseCode, reason string) {
	if code != wire.CloseUnknownCode {
		if reason == "" {
			reason = code.Text()
		}
		_ = k.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(int(code), reason), time.Now().Add(time.Second))
	}
	_ = k.conn.Close()
}

// codeOf returns the code of the peer's close, 0 if the connection just broke.
func codeOf(err error) wire.CloseCode {
	var ce *websocket.CloseError
	if errors.As(err, &ce) && ce.Code < 5000 && ce.Code >= 1000 {
		return wire.CloseCode(ce.Code)
	}
	return wire.CloseUnknownCode
}
