package relayd_test

import (
	"crypto/ed25519"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rayhound/rayhound/tunnel/tunneltest"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// rawLine is a tunnel under the hands of a test, which may say what it likes.
type rawLine struct {
	t       *testing.T
	c       *websocket.Conn
	welcome *wire.Welcome
}

// upgradeRaw opens a socket and says nothing.
func upgradeRaw(t *testing.T, relayURL string, x *tunneltest.Clinic) (*websocket.Conn, *wire.Challenge) {
	t.Helper()
	d := websocket.Dialer{Subprotocols: wire.Protocols(), HandshakeTimeout: 10 * time.Second}
	c, a, err := d.DialContext(t.Context(), strings.Replace(relayURL, "http:", "ws:", 1)+wire.TunnelPath,
		http.Header{"Authorization": {"Bearer " + x.Credentials.Token}})
	if err != nil {
		t.Fatal(err)
	}
	_ = a.Body.Close() // empty
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	_, b, err := c.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	f, err := wire.DecodeControl(b, wire.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return c, f.(*wire.Challenge)
}

// connectRaw does the handshake of a clinic that was never connected.
func connectRaw(t *testing.T, relayURL string, x *tunneltest.Clinic) *rawLine {
	t.Helper()
	c, ch := upgradeRaw(t, relayURL, x)
	cr := x.Credentials
	l := &rawLine{t: t, c: c}
	l.send(&wire.Hello{
		Version: "1.0.0", ClinicID: cr.ClinicID, InstanceID: cr.InstanceID, Run: wire.RunID(wire.NewID()), Time: time.Now().UTC(),
		Window:    wire.Window{Msgs: wire.WindowMsgs, Bytes: wire.WindowBytes},
		Signature: ed25519.Sign(cr.Identity, wire.HelloBytes(ch.Nonce, "127.0.0.1", cr.ClinicID, cr.InstanceID)),
	})
	f, err := l.next()
	if err != nil {
		t.Fatal(err)
	}
	l.welcome = f.Control.(*wire.Welcome)
	return l
}

// send does not care whether the relay still listens.
func (l *rawLine) send(c wire.Control) {
	b, err := wire.EncodeControl(c)
	if err != nil {
		l.t.Fatal(err)
	}
	_ = l.c.WriteMessage(websocket.TextMessage, b)
}

func (l *rawLine) next() (wire.Frame, error) {
	_ = l.c.SetReadDeadline(time.Now().Add(20 * time.Second))
	kind, b, err := l.c.ReadMessage()
	if err != nil {
		return wire.Frame{}, err
	}
	return wire.DecodeFrame(b, kind == websocket.TextMessage, wire.Limits{})
}

func (l *rawLine) event() wire.Event {
	l.t.Helper()
	f, err := l.next()
	if err != nil || f.Control != nil {
		l.t.Fatalf("no event: %+v %v", f.Control, err)
	}
	return f.Event
}

// closed waits for the end and returns its code; 0: without a word.
func (l *rawLine) closed() wire.CloseCode {
	for {
		if _, err := l.next(); err != nil {
			var ce *websocket.CloseError
			if errors.As(err, &ce) && ce.Code != websocket.CloseAbnormalClosure {
				return wire.CloseCode(ce.Code)
			}
			return wire.CloseUnknownCode
		}
	}
}
