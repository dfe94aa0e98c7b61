package client_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/tunnel/client"
	"github.com/rayhound/rayhound/tunnel/tunneltest"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// TestCloseCodes transcribes the table of PROTOCOL.md: what each close code makes the
// agent do.
func TestCloseCodes(t *testing.T) {
	table := []struct {
		code       wire.CloseCode
		reason     string
		state      client.State
		least, max time.Duration
		problem    problem.Code
	}{
		{wire.CloseGoingAway, "", client.Waiting, 0, time.Second, problem.TunnelDown},
		{wire.CloseRestart, "", client.Waiting, 0, time.Second, problem.TunnelDown},
		{wire.CloseOverloaded, "retry_ms=20000", client.Waiting, 20 * time.Second, 21 * time.Second, problem.TunnelDown},
		{wire.Close4400, "", client.Waiting, 5 * time.Minute, 10 * time.Minute, problem.TunnelDown},
		{wire.Close4401, "", client.Stopped, time.Hour, 66 * time.Minute, problem.TunnelRefused},
		{wire.Close4403, "", client.Stopped, time.Hour, 66 * time.Minute, problem.TunnelRefused},
		{wire.Close4409, "", client.Waiting, 5 * time.Minute, 10 * time.Minute, problem.TunnelElsewhere},
		{wire.Close4410, "", client.Stopped, time.Hour, 66 * time.Minute, problem.TunnelElsewhere},
		{wire.Close4413, "", client.Waiting, 5 * time.Minute, 10 * time.Minute, problem.TunnelDown},
		{wire.Close4426, "", client.Stopped, time.Hour, 66 * time.Minute, problem.TunnelVersion},
		{wire.Close4429, "retry_ms=90000", client.Waiting, 90 * time.Second, 91 * time.Second, problem.TunnelDown},
		{wire.Close4429, "", client.Waiting, time.Minute, 61 * time.Second, problem.TunnelDown},
	}
	for _, row := range table {
		t.Run(row.code.Text()+" "+row.reason, func(t *testing.T) {
			each(t, func(cl *clinic, carrier client.Transport) {
				if carrier == client.LongPoll && row.code.Status() == 0 {
					cl.Skip("a restart cuts the poll")
				}
				cl.start()
				cl.connected()
				time.Sleep(2 * time.Minute) // stable: the back-off starts anew
				cl.relay.Close(row.code, row.reason)
				synctest.Wait()
				cl.till("down", func(s client.Status) bool { return s.State != client.Connected || s.LastClose == row.code })
				down := cl.firstDown()
				wait := down.NextTry.Sub(down.DownSince)
				if down.State != row.state || down.LastClose != row.code || wait < row.least || wait > row.max {
					cl.Errorf("state %s, code %d, wait %v", down.State, down.LastClose, wait)
				}
				if down.Problem == nil || down.Problem.Code != row.problem || strings.Contains(down.Problem.Sentence(), "{") {
					cl.Errorf("problem %v", down.Problem)
				}
				// Whatever the relay said, the agent comes back.
				last := cl.append(1)
				time.Sleep(70 * time.Minute)
				cl.acked(last)
			})
		})
	}
}

// firstDown is the first status after the connection that says how it ended.
func (cl *clinic) firstDown() client.Status {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	up := false
	for _, s := range cl.states {
		up = up || s.State == client.Connected
		if up && (s.State == client.Waiting || s.State == client.Stopped) {
			return s
		}
	}
	cl.Fatal("never went down")
	return client.Status{}
}

// TestRefusals: an HTTP status counts as the relay's word only with its header.
func TestRefusals(t *testing.T) {
	relay := http.Header{wire.HeaderRelay: {wire.Protocol}}
	table := []struct {
		name   string
		status int
		header http.Header
		state  client.State
		code   wire.CloseCode
	}{
		{"token", 401, relay, client.Stopped, wire.Close4401},
		{"revoked", 403, relay, client.Stopped, wire.Close4403},
		{"old", 426, relay, client.Stopped, wire.Close4426},
		{"rate", 429, relay, client.Waiting, wire.Close4429},
		{"full", 503, relay, client.Waiting, wire.CloseOverloaded},
		{"portal 401", 401, nil, client.Waiting, 0},
		{"portal 403", 403, nil, client.Waiting, 0},
		{"portal 302", 302, http.Header{"Location": {"http://login.example/"}}, client.Waiting, 0},
		{"portal 200", 200, nil, client.Waiting, 0},
	}
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cl := newClinic(t, client.Websocket)
				h := row.header.Clone()
				if row.status == 503 {
					h.Set("Retry-After", "30")
				}
				cl.relay.Misbehave(tunneltest.Faults{Upgrade: row.status, PollStatus: 502, Header: h})
				cl.start()
				cl.till("refused", func(s client.Status) bool { return s.State == client.Waiting || s.State == client.Stopped })
				s := cl.c.Status()
				if s.State != row.state || s.LastClose != row.code {
					t.Errorf("status %+v", s)
				}
				if row.status == 503 && time.Until(s.NextTry) < 28*time.Second {
					t.Errorf("Retry-After was ignored: %v", s.NextTry)
				}
				if row.header.Get(wire.HeaderRelay) == "" && !strings.Contains(s.LastError, "proxy") {
					t.Errorf("error %q", s.LastError)
				}
				cl.relay.Misbehave(tunneltest.Faults{})
				cl.connected()
			})
		})
	}
}

func TestBlackHole(t *testing.T) {
	for name, dir := range map[string][2]bool{"up": {true, false}, "down": {false, true}, "both": {true, true}} {
		t.Run(name, func(t *testing.T) {
			each(t, func(cl *clinic, carrier client.Transport) {
				cl.start()
				cl.connected()
				time.Sleep(10 * time.Second)
				began := time.Now()
				cl.net.BlackHole(dir[0], dir[1])
				limit := wire.DeadAfter
				if carrier == client.LongPoll {
					limit += wire.PollWait // the answer to the poll before may still come
				}
				if carrier == client.Websocket && name == "up" {
					// The relay's pings still come, until it misses the pongs itself and
					// goes; a real one does after 65 s. This one is cut.
					time.Sleep(wire.DeadAfter)
					cl.net.Cut()
					limit += 10 * time.Second
				}
				cl.happens("dead", func(s client.Status) bool { return s.State != client.Connected })
				if d := time.Since(began); d > limit+200*time.Millisecond {
					cl.Errorf("noticed after %v", d)
				}
				cl.net.BlackHole(false, false)
				last := cl.append(1)
				cl.acked(last)
			})
		})
	}
}

// TestSilentRelay: every step of the handshake has its time, and a relay that goes
// silent is left.
func TestSilentRelay(t *testing.T) {
	for name, row := range map[string]struct {
		f    tunneltest.Faults
		step string
	}{
		"no challenge": {tunneltest.Faults{NoChallenge: true, PollStatus: 502}, "challenge"},
		"no welcome":   {tunneltest.Faults{NoWelcome: true, PollStatus: 502}, "welcome"},
		"mute":         {tunneltest.Faults{Mute: true}, "open"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cl := newClinic(t, client.Websocket)
				cl.relay.Misbehave(row.f)
				began := time.Now()
				cl.start()
				s := cl.happens("given up", func(s client.Status) bool { return s.LastError != "" })
				limit := wire.HandshakeTimeout
				if row.step == "open" {
					limit = wire.DeadAfter
				}
				if d := time.Since(began); d > limit+200*time.Millisecond || d < limit-time.Second {
					t.Errorf("given up after %v", d)
				}
				if !strings.HasPrefix(s.LastError, "tunnel: "+row.step) || !strings.Contains(s.LastError, "nothing was heard") {
					t.Errorf("error %q", s.LastError)
				}
				cl.relay.Misbehave(tunneltest.Faults{})
				last := cl.append(1)
				cl.acked(last)
			})
		})
	}
}

// TestHostileRelay: a relay that breaks the protocol is left slowly, and nothing of
// what it sent is taken.
func TestHostileRelay(t *testing.T) {
	table := map[string]func(r *tunneltest.Relay){
		"binary type":   func(r *tunneltest.Relay) { r.SendRaw(false, []byte{2, 0, 0}) },
		"no JSON":       func(r *tunneltest.Relay) { r.SendRaw(true, []byte("{")) },
		"for the relay": func(r *tunneltest.Relay) { r.SendRaw(true, []byte(`{"type":"ack","seq":1,"epoch":1}`)) },
		"welcome again": func(r *tunneltest.Relay) { r.SendRaw(true, []byte(`{"type":"challenge"}`)) },
		"too large":     func(r *tunneltest.Relay) { r.SendRaw(false, make([]byte, wire.MaxFrame+1)) },
		"over the window": func(r *tunneltest.Relay) {
			e := wire.AppendEvent(nil, wire.Event{Seq: 1, ReceivedAt: time.Now(), Header: []byte("{}"), Body: make([]byte, wire.MaxBody)})
			for range 8 {
				r.SendRaw(false, e)
			}
		},
	}
	for name, attack := range table {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cl := newClinic(t, client.Websocket)
				cl.start()
				cl.connected()
				if name == "over the window" {
					cl.inbox.Fail(http.ErrAbortHandler)
				}
				attack(cl.relay)
				cl.till("left", func(s client.Status) bool { return s.State == client.Waiting })
				if s := cl.c.Status(); time.Until(s.NextTry) < 4*time.Minute {
					t.Errorf("back at %v: %s", s.NextTry, s.LastError)
				}
				if n := len(cl.inbox.Seqs()); n != 0 {
					t.Errorf("%d events taken", n)
				}
				cl.inbox.Fail(nil)
				last := cl.append(1)
				cl.acked(last)
			})
		})
	}
	t.Run("unknown frame", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			cl := newClinic(t, client.Websocket)
			cl.start()
			cl.connected()
			cl.relay.SendRaw(true, []byte(`{"type":"of-version-9","x":1}`))
			cl.till("counted", func(s client.Status) bool { return s.UnknownFrames == 1 })
			last := cl.append(1)
			cl.acked(last)
		})
	})
}

// TestInboxPanics: whatever happens on one connection, there is another one.
func TestInboxPanics(t *testing.T) {
	each(t, func(cl *clinic, _ client.Transport) {
		panics := 2
		cl.inbox.OnEvent(func(wire.Event) {
			if panics--; panics >= 0 {
				panic("a bug")
			}
		})
		cl.append(2)
		cl.start()
		cl.acked(2)
	})
}

func TestFallbackAndUpgrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl := newClinic(t, client.LongPoll)
		cl.start()
		cl.connected()
		if s := cl.relay.Seen(); s.Upgrades != 3 {
			t.Errorf("%d upgrades tried", s.Upgrades)
		}
		time.Sleep(29 * time.Minute)
		if s := cl.relay.Seen(); s.Upgrades != 3 || cl.c.Status().Transport != client.LongPoll {
			t.Errorf("%d upgrades tried, %s", s.Upgrades, cl.c.Status().Transport)
		}
		time.Sleep(32 * time.Minute)
		if s := cl.relay.Seen(); s.Upgrades != 5 {
			t.Errorf("%d upgrades tried", s.Upgrades)
		}
		cl.relay.Misbehave(tunneltest.Faults{})
		cl.till("upgraded", func(s client.Status) bool { return s.Transport == client.Websocket && s.State == client.Connected })
		last := cl.append(3)
		cl.acked(last)
	})
}

// TestRelayOffAndOn: the relay is away for a while, and connections that were there
// are gone.
func TestRelayOffAndOn(t *testing.T) {
	each(t, func(cl *clinic, _ client.Transport) {
		cl.relay.Window = 40 * time.Second
		srv := cl.serve()
		cl.start()
		cl.connected()
		cur, _ := cl.inbox.Cursor(t.Context())
		if cur.Window != 40*time.Second {
			cl.Errorf("kept the window %v", cur.Window)
		}
		srv.Close()
		cl.net.Cut()
		cl.till("down", func(s client.Status) bool { return s.State == client.Waiting && s.LastError != "" })
		time.Sleep(10 * time.Minute)
		if n := cl.net.Dials(); n > 60 {
			cl.Errorf("%d dials", n)
		}
		last := cl.append(1)
		cl.serve()
		back := time.Now()
		cl.acked(last)
		if d := time.Since(back); d > time.Minute+2*40*time.Second {
			cl.Errorf("back after %v", d)
		}
	})
}

func TestWakeEndsAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl := newClinic(t, client.Websocket)
		cl.start()
		cl.connected()
		cl.relay.Close(wire.Close4400, "")
		cl.till("waiting", func(s client.Status) bool { return s.State == client.Waiting })
		began := time.Now()
		cl.c.Wake()
		cl.connected()
		if d := time.Since(began); d > 3*time.Second {
			t.Errorf("connected after %v", d)
		}
		cl.relay.Close(wire.Close4403, "")
		cl.till("stopped", func(s client.Status) bool { return s.State == client.Stopped })
		cl.c.Wake()
		time.Sleep(10 * time.Second)
		if s := cl.c.Status(); s.State != client.Stopped {
			t.Errorf("a wake ended a stop: %s", s.State)
		}
		cl.c.Retry()
		cl.connected()
	})
}
