package relayd_test

import (
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/client"
	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relayd"
	"github.com/rayhound/rayhound/tunnel/tunneltest"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// halfOpen is a connection whose computer lost its power: what it sends is lost, and it never says goodbye.
type halfOpen struct {
	net.Conn
	dead *atomic.Bool
}

func (c halfOpen) Write(b []byte) (int, error) {
	if c.dead.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c halfOpen) Close() error {
	if c.dead.Load() {
		return c.SetReadDeadline(time.Now()) // its reader goes, the socket stays
	}
	return c.Conn.Close()
}

func (p *place) status(name string) (out relay.Status) {
	p.t.Helper()
	p.admin(func(a *relay.Admin, _ relayd.Store) {
		list, err := a.ListClinics(p.t.Context())
		if err != nil {
			p.t.Fatal(err)
		}
		for _, s := range list {
			if s.Clinic.Name == name {
				out = s
			}
		}
	})
	return out
}

// An appliance that lost its power comes back while the relay still holds its old socket: no takeover, and the old one is closed.
func TestOwnHalfOpenSocketIsReplaced(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	a := p.join("a")[0]
	for range 4 { // more often than a freeze would take
		var dead atomic.Bool
		var mu sync.Mutex
		var conns []net.Conn
		a.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, network, strings.TrimPrefix(p.node.url, "http://"))
			if err != nil {
				return nil, err
			}
			mu.Lock()
			defer mu.Unlock()
			conns = append(conns, c)
			return halfOpen{c, &dead}, nil
		}
		a.Start(t)
		eventually(t, "connected", func() bool { return a.Client.Status().State == client.Connected })
		dead.Store(true)
		a.Stop()
		a.Dial = nil
		a.Start(t)
		eventually(t, "connected again", func() bool { return a.Client.Status().State == client.Connected })
		for _, c := range conns {
			_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
			if _, err := io.Copy(io.Discard, c); err != nil {
				t.Errorf("the old socket is still open: %v", err)
			}
			_ = c.Close()
		}
		a.Stop()
	}
	if s := p.status("a"); s.Counts.Takeovers != 0 || !s.Frozen.IsZero() {
		t.Errorf("%d takeovers, frozen %v", s.Counts.Takeovers, s.Frozen)
	}
	p.admin(func(_ *relay.Admin, st relayd.Store) {
		lines, err := st.Audits(t.Context(), a.Credentials.ClinicID, 100)
		if err != nil || slices.ContainsFunc(lines, func(l relay.AuditLine) bool { return l.Action == "takeover" || l.Action == "freeze" }) {
			t.Errorf("%+v %v", lines, err)
		}
	})
}

// Two computers with one identity, one of them a copy of the other's disk, take the clinic from each other until the relay freezes
// it on one. A pairing code ends the freeze; the pairing itself ends both.
func TestTwoComputers(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	one := p.join("a")[0]
	two := one.Copy()
	both := []*tunneltest.Clinic{one, two}
	one.Start(t)
	eventually(t, "connected", func() bool { return one.Client.Status().State == client.Connected })
	two.Start(t)
	var superseded atomic.Bool
	var lost *tunneltest.Clinic
	eventually(t, "the relay freezes the clinic", func() bool {
		for _, c := range both {
			s := c.Client.Status()
			if s.LastClose == wire.Close4409 {
				superseded.Store(true)
			}
			if s.LastClose == wire.Close4410 && s.State == client.Stopped {
				lost = c
				return true
			}
			if s.State != client.Connected {
				c.Client.Retry() // without the 5 to 10 minutes
			}
		}
		return false
	})
	if !superseded.Load() {
		t.Error("nobody was told that another computer uses its identity")
	}
	if lost.Client.Status().Problem == nil {
		t.Error("the loser's page shows no problem")
	}
	present := both[0]
	if present == lost {
		present = both[1]
	}
	eventually(t, "the present one is connected", func() bool { present.Client.Retry(); return present.Client.Status().State == client.Connected })
	post(t, p.front.url, one, "for the present one")
	eventually(t, "it arrives", func() bool { return slices.Contains(present.Bodies(t, ""), "for the present one") })
	if s := p.status("a"); s.Frozen.IsZero() {
		t.Error("not frozen")
	}
	lost.States()
	lost.Client.Retry()
	eventually(t, "it is refused again", func() bool { return slices.Contains(lost.States(), client.Stopped) })
	if lost.Client.Status().LastClose != wire.Close4410 {
		t.Errorf("%d", lost.Client.Status().LastClose)
	}

	present.Stop()
	code := ""
	p.admin(func(a *relay.Admin, _ relayd.Store) {
		var err error
		if code, _, err = a.PairingCode(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	})
	lost.Client.Retry()
	eventually(t, "the freeze is over", func() bool { return lost.Client.Status().State == client.Connected })
	young := tunneltest.Pair(t, p.front.url, code, nil)
	young.Start(t)
	eventually(t, "the new computer is connected", func() bool { return young.Client.Status().State == client.Connected })
	eventually(t, "the old one is out", func() bool {
		s := lost.Client.Status()
		return s.State == client.Stopped && (s.LastClose == wire.Close4403 || s.LastClose == wire.Close4401)
	})
	post(t, p.front.url, young, "for the new one")
	eventually(t, "it arrives", func() bool { return slices.Contains(young.Bodies(t, ""), "for the new one") })
}
