package relaybench

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// agent is the least that the protocol asks of one: one goroutine, small buffers,
// pongs, and acks when an event came. It keeps nothing.
type agent struct {
	clinic  *clinic
	conn    net.Conn
	in      *bufio.Reader
	epoch   wire.Epoch
	onEvent func(c *clinic, e wire.Event, at time.Time) // e is valid during the call
	pings   *atomic.Int64

	mu      sync.Mutex // of writing
	last    wire.Seq   // not yet acked, 0: none
	waiting int        // events since the last ack
	timer   *time.Timer
}

// attach is how agents connect.
type attach struct {
	address string
	tls     *tls.Config // nil: plain
	from    func(i int) net.Addr
	onEvent func(c *clinic, e wire.Event, at time.Time)
	pings   *atomic.Int64
}

// connect dials, upgrades and says hello.
func (t *attach) connect(ctx context.Context, i int, c *clinic) (*agent, error) {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	d := net.Dialer{KeepAlive: -1}
	if t.from != nil {
		d.LocalAddr = t.from(i)
	}
	conn, err := d.DialContext(ctx, "tcp", t.address)
	if err != nil {
		return nil, err
	}
	if t.tls != nil {
		s := tls.Client(conn, t.tls)
		if err := s.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		conn = s
	}
	a := &agent{clinic: c, conn: conn, in: bufio.NewReaderSize(conn, 512), onEvent: t.onEvent, pings: t.pings}
	if err := a.handshake(t.address); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return a, nil
}

func (a *agent) handshake(address string) error {
	if err := a.conn.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
		return err
	}
	key := make([]byte, 16)
	rand.Read(key)
	_, err := fmt.Fprintf(a.conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: %s\r\nAuthorization: Bearer %s\r\n\r\n",
		wire.TunnelPath, address, base64.StdEncoding.EncodeToString(key), wire.Protocol, a.clinic.token)
	if err != nil {
		return err
	}
	rs, err := http.ReadResponse(a.in, nil)
	if err != nil {
		return err
	}
	_ = rs.Body.Close() // an upgrade has none
	if rs.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("relaybench: the relay refused an agent: %s", rs.Status)
	}
	control, err := a.control()
	if err != nil {
		return err
	}
	ch, ok := control.(*wire.Challenge)
	if !ok {
		return errFrame
	}
	hello, err := wire.EncodeControl(&wire.Hello{
		Version: "bench", ClinicID: a.clinic.id, InstanceID: a.clinic.instance, Run: "run", Time: time.Now().UTC(),
		Window:    wire.Window{Msgs: wire.WindowMsgs, Bytes: wire.WindowBytes},
		Signature: ed25519.Sign(a.clinic.identity, wire.HelloBytes(ch.Nonce, "127.0.0.1", a.clinic.id, a.clinic.instance)),
	})
	if err != nil {
		return err
	}
	if err := writeFrame(a.conn, opText, hello); err != nil {
		return err
	}
	if control, err = a.control(); err != nil {
		return err
	}
	w, ok := control.(*wire.Welcome)
	if !ok {
		return errFrame
	}
	a.epoch = w.Epoch
	return a.conn.SetDeadline(time.Time{})
}

// control reads the next control frame of the handshake.
func (a *agent) control() (wire.Control, error) {
	op, b, err := readFrame(a.in, nil)
	if err != nil {
		return nil, err
	}
	if op != opText {
		return nil, errFrame
	}
	return wire.DecodeControl(b, wire.Limits{})
}

// run reads until the connection ends.
func (a *agent) run() error {
	var buf []byte
	for {
		op, b, err := readFrame(a.in, buf)
		if err != nil {
			return err
		}
		buf = b
		switch op {
		case opPing:
			if a.pings != nil {
				a.pings.Add(1)
			}
			a.mu.Lock()
			err = writeFrame(a.conn, opPong, b)
			a.mu.Unlock()
			if cap(buf) > 512 {
				buf = nil // an idle agent keeps nothing large
			}
		case opBinary:
			err = a.event(b)
		case opClose:
			return errors.New("relaybench: the relay closed an agent")
		}
		if err != nil {
			return err
		}
	}
}

func (a *agent) event(b []byte) error {
	at := time.Now()
	e, err := wire.DecodeEvent(b, wire.Limits{})
	if err != nil {
		return err
	}
	if a.onEvent != nil {
		a.onEvent(a.clinic, e, at)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = e.Seq
	a.waiting++
	if a.waiting >= wire.AckEvents {
		return a.ack()
	}
	if a.waiting == 1 {
		if a.timer == nil {
			a.timer = time.AfterFunc(wire.AckDelay, func() {
				a.mu.Lock()
				defer a.mu.Unlock()
				_ = a.ack() // the reader notices a broken connection
			})
		} else {
			a.timer.Reset(wire.AckDelay)
		}
	}
	return nil
}

// ack acknowledges everything so far. mu is held.
func (a *agent) ack() error {
	if a.last == 0 {
		return nil
	}
	b, err := wire.EncodeControl(&wire.Ack{Seq: a.last, Epoch: a.epoch})
	a.last, a.waiting = 0, 0
	if err != nil {
		return err
	}
	return writeFrame(a.conn, opText, b)
}
