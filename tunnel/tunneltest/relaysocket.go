package tunneltest

import (
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// refuse answers as a relay that does not take a request.
func refuse(w http.ResponseWriter, code wire.CloseCode, reason string) {
	w.Header().Set(wire.HeaderRelay, wire.Protocol)
	http.Error(w, reason, code.Status())
}

func (f *Faults) answer(w http.ResponseWriter, status int) {
	for k, v := range f.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(status)
}

func (r *Relay) tunnel(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.upgrades++
	f, ok := r.faults, r.let(req.Header.Get("Authorization"))
	r.mu.Unlock()
	switch {
	case f.Upgrade != 0:
		f.answer(w, f.Upgrade)
		return
	case !ok:
		refuse(w, wire.Close4401, "")
		return
	}
	up := websocket.Upgrader{Subprotocols: wire.Protocols(), CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := up.Upgrade(w, req, http.Header{wire.HeaderRelay: {wire.Protocol}})
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	r.talk(conn, f)
}

// talk holds one conversation.
func (r *Relay) talk(conn *websocket.Conn, f Faults) {
	if f.NoChallenge {
		_, _, _ = conn.ReadMessage()
		return
	}
	nonce := make([]byte, wire.NonceSize)
	nonce[0] = byte(r.Seen().Upgrades)
	write := func(c wire.Control) error {
		b, err := wire.EncodeControl(c)
		if err != nil {
			panic(err)
		}
		_ = conn.SetWriteDeadline(time.Now().Add(wire.WriteTimeout))
		return conn.WriteMessage(websocket.TextMessage, b)
	}
	shut := func(code wire.CloseCode, reason string) {
		_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(int(code), reason), time.Now().Add(time.Second))
	}
	err := write(&wire.Challenge{Nonce: nonce, MinProtocol: 1, MaxProtocol: 1, ServerTime: r.Now().UTC()})
	if err != nil {
		return
	}
	_, b, err := conn.ReadMessage()
	if err != nil {
		return
	}
	c, err := wire.DecodeControl(b, wire.Limits{})
	h, ok := c.(*wire.Hello)
	switch {
	case err != nil || !ok || h.ClinicID != r.Clinic:
		shut(wire.Close4400, "hello")
		return
	case !wire.Verify(r.identity, wire.HelloBytes(nonce, r.Host, h.ClinicID, h.InstanceID), h.Signature):
		shut(wire.Close4401, "signature")
		return
	case f.Drop != 0:
		shut(f.Drop, f.Reason)
		return
	case f.NoWelcome:
		_, _, _ = conn.ReadMessage()
		return
	}
	r.mu.Lock()
	s, welcome := r.claim(h)
	r.mu.Unlock()
	if err := write(welcome); err != nil {
		return
	}
	if f.Mute {
		conn.SetPingHandler(func(string) error { return nil })
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for {
			_, b, err := conn.ReadMessage()
			if err != nil {
				return
			}
			c, err := wire.DecodeControl(b, wire.Limits{})
			if err != nil {
				return
			}
			r.mu.Lock()
			r.take(s, c)
			r.mu.Unlock()
		}
	}()
	r.pump(conn, s, f, gone, write, shut)
	_ = conn.Close()
	<-gone
	r.locked(func() { s.over = true })
}

// pump sends until the conversation is over.
func (r *Relay) pump(conn *websocket.Conn, s *session, f Faults, gone <-chan struct{},
	write func(wire.Control) error, shut func(wire.CloseCode, string),
) {
	ping := time.NewTicker(time.Duration(r.Ping) * time.Second)
	defer ping.Stop()
	for {
		r.mu.Lock()
		changed := r.changed
		var control []wire.Control
		var events []wire.Event
		if !f.Mute {
			control, events = r.next(s)
		}
		raw := s.raw
		s.raw = nil
		code, reason, over := s.close, s.reason, s.over
		r.mu.Unlock()
		for _, c := range control {
			if write(c) != nil {
				return
			}
		}
		for _, e := range events {
			_ = conn.SetWriteDeadline(time.Now().Add(wire.WriteTimeout))
			if conn.WriteMessage(websocket.BinaryMessage, wire.AppendEvent(nil, e)) != nil {
				return
			}
		}
		for _, b := range raw {
			kind := websocket.BinaryMessage
			if b[0] == 1 {
				kind = websocket.TextMessage
			}
			if conn.WriteMessage(kind, b[1:]) != nil {
				return
			}
		}
		if code != 0 {
			shut(code, reason)
			return
		}
		if over {
			return // a newer connection took its place
		}
		if len(control)+len(events)+len(raw) > 0 {
			continue
		}
		select {
		case <-changed:
		case <-gone:
			return
		case <-ping.C:
			if !f.Mute {
				_ = conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second))
			}
		}
	}
}
