package client_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/rayhound/rayhound/tunnel/client"
	"github.com/rayhound/rayhound/tunnel/tunneltest"
	"github.com/rayhound/rayhound/tunnel/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clinic is one appliance and its relay in a bubble of synctest.
type clinic struct {
	*testing.T
	net   *tunneltest.Net
	relay *tunneltest.Relay
	inbox *tunneltest.Inbox
	cr    client.Credentials
	cfg   client.Config
	c     *client.Client
	stop  func()

	mu     sync.Mutex
	saved  []string
	states []client.Status
}

const relayAddress = "localhost:80"

// newClinic lays out a clinic without starting its client. The settings can be changed
// in cfg before start.
func newClinic(t *testing.T, carrier client.Transport) *clinic {
	cl := &clinic{T: t, net: tunneltest.NewNet(), inbox: tunneltest.NewInbox(), cr: tunneltest.NewCredentials(t)}
	cl.relay = tunneltest.NewRelay("localhost", cl.cr)
	pub, err := wire.PublicSealingKey(cl.cr.SealingKeys[cl.cr.SealingKeyID])
	if err != nil {
		t.Fatal(err)
	}
	cl.relay.Sealing = pub
	if carrier == client.LongPoll {
		cl.relay.Misbehave(cl.faults(carrier, tunneltest.Faults{}))
	}
	cl.cfg = client.Config{
		RelayURL: "ws://localhost", Credentials: cl.cr, Inbox: cl.inbox, ProxyURL: "none", Version: "1.2.3", Dial: cl.net.Dial,
		SaveToken: func(_ context.Context, token string) error {
			cl.mu.Lock()
			defer cl.mu.Unlock()
			cl.saved = append(cl.saved, token)
			return nil
		},
		OnChange: func(s client.Status) {
			cl.mu.Lock()
			defer cl.mu.Unlock()
			cl.states = append(cl.states, s)
		},
		TestURL: "http://localhost/in/test",
	}
	cl.serve()
	return cl
}

// faults are f in a network that lets only carrier pass.
func (cl *clinic) faults(carrier client.Transport, f tunneltest.Faults) tunneltest.Faults {
	if carrier == client.LongPoll && f.Upgrade == 0 {
		f.Upgrade = http.StatusForbidden // without the relay's header: a proxy
	}
	return f
}

// serve starts the relay's listener.
func (cl *clinic) serve() *http.Server {
	l := cl.net.Listen(relayAddress)
	srv := &http.Server{Handler: cl.relay.Handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(l) }()
	cl.Cleanup(func() { srv.Close(); cl.net.Cut() })
	return srv
}

// start runs the client until the test ends.
func (cl *clinic) start() {
	c, err := client.New(cl.cfg)
	if err != nil {
		cl.Fatal(err)
	}
	cl.c = c
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.Run(ctx); err != nil {
			cl.Errorf("Run: %v", err)
		}
	}()
	cl.stop = func() { cancel(); <-done }
	cl.Cleanup(cl.stop)
}

// until waits for what the relay sees.
func (cl *clinic) until(what string, ok func(tunneltest.Seen) bool) {
	cl.Helper()
	for range 20 {
		if cl.relay.Until(ok) {
			return
		}
	}
	cl.Fatalf("never: %s; seen %+v; status %+v", what, cl.relay.Seen(), cl.c.Status())
}

// till waits for what the client says of itself.
func (cl *clinic) till(what string, ok func(client.Status) bool) {
	cl.Helper()
	for began := time.Now(); time.Since(began) < 3*time.Hour; {
		if ok(cl.c.Status()) {
			return
		}
		time.Sleep(max(10*time.Millisecond, time.Since(began)/1000))
		synctest.Wait()
	}
	cl.Fatalf("never: %s; status %+v", what, cl.c.Status())
}

// happens is till for what may be over within a moment: a first wait can be next
// to nothing. It returns the status of that moment.
func (cl *clinic) happens(what string, ok func(client.Status) bool) (found client.Status) {
	cl.Helper()
	cl.mu.Lock()
	from := len(cl.states)
	cl.mu.Unlock()
	cl.till(what, func(s client.Status) bool {
		cl.mu.Lock()
		defer cl.mu.Unlock()
		for _, found = range append(cl.states[from:len(cl.states):len(cl.states)], s) {
			if ok(found) {
				return true
			}
		}
		return false
	})
	return found
}

func (cl *clinic) connected() {
	cl.Helper()
	cl.till("connected", func(s client.Status) bool { return s.State == client.Connected })
}

func (cl *clinic) acked(seq wire.Seq) {
	cl.Helper()
	cl.until("acked", func(s tunneltest.Seen) bool { return s.Acked >= seq })
}

func (cl *clinic) append(n int) (last wire.Seq) {
	for range n {
		last = cl.relay.Append(wire.KindUpdated, []byte("diagnosticimagingworklist_id=7"))
	}
	return last
}

// each runs a story over both carriers.
func each(t *testing.T, story func(cl *clinic, carrier client.Transport)) {
	t.Helper()
	for _, carrier := range []client.Transport{client.Websocket, client.LongPoll} {
		t.Run(string(carrier), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { story(newClinic(t, carrier), carrier) })
		})
	}
}

func seqs(from, to wire.Seq) (out []wire.Seq) {
	for s := from; s <= to; s++ {
		out = append(out, s)
	}
	return out
}

func TestEventsAreCommittedThenAcknowledged(t *testing.T) {
	each(t, func(cl *clinic, carrier client.Transport) {
		cl.append(3)
		cl.start()
		cl.acked(3)
		if s := cl.c.Status(); s.Transport != carrier || s.Cursor != 3 || s.StoreEpoch != "s1" || s.Problem != nil || s.DownSince != (time.Time{}) {
			cl.Errorf("status %+v", s)
		}
		last := cl.append(500)
		cl.acked(last)
		if got := cl.inbox.Seqs(); !slices.Equal(got, seqs(1, last)) {
			cl.Errorf("inbox has %v", got)
		}
		e, _ := cl.inbox.Event("s1", 1)
		r, err := wire.Open(cl.cr.SealingKeys[cl.cr.SealingKeyID], cl.cr.SealingKeyID, cl.cr.ClinicID, e)
		if err != nil || string(r.Body) != "diagnosticimagingworklist_id=7" {
			cl.Errorf("%v, %v", r, err)
		}
		for _, a := range cl.relay.Seen().Acks {
			if a.Epoch != cl.relay.Seen().Epoch {
				cl.Errorf("ack %+v", a)
			}
		}
	})
}

func TestAckComesWithin50msOr64Events(t *testing.T) {
	each(t, func(cl *clinic, _ client.Transport) {
		cl.start()
		cl.connected()
		synctest.Wait()
		began := time.Now()
		cl.append(1)
		cl.acked(1)
		if d := time.Since(began); d > wire.AckDelay {
			cl.Errorf("one event acked after %v", d)
		}
		began = time.Now()
		last := cl.append(wire.AckEvents)
		cl.acked(last)
		if d := time.Since(began); d > wire.AckDelay {
			cl.Errorf("%d events acked after %v", wire.AckEvents, d)
		}
	})
}

func TestNothingIsAckedWhileTheInboxFails(t *testing.T) {
	each(t, func(cl *clinic, _ client.Transport) {
		cl.start()
		cl.connected()
		cl.inbox.Fail(errors.New("disk full"))
		last := cl.append(wire.WindowMsgs + 100)
		time.Sleep(time.Minute)
		seen := cl.relay.Seen()
		if seen.Acked != 0 || seen.MostMsgs > wire.WindowMsgs || !seen.Connected {
			cl.Errorf("acked %d, at most %d unacked, connected %v", seen.Acked, seen.MostMsgs, seen.Connected)
		}
		if s := cl.c.Status(); s.InboxError == "" || s.State != client.Connected {
			cl.Errorf("status %+v", s)
		}
		cl.inbox.Fail(nil)
		cl.acked(last)
		if s := cl.c.Status(); s.InboxError != "" {
			cl.Errorf("status %+v", s)
		}
		if got := cl.inbox.Seqs(); !slices.Equal(got, seqs(1, last)) {
			cl.Errorf("inbox has %v", got)
		}
	})
}

func TestOneEventLargerThanTheWindow(t *testing.T) {
	each(t, func(cl *clinic, _ client.Transport) {
		cl.start()
		cl.connected()
		big := bytes.Repeat([]byte{0, 0xff}, wire.MaxBody/2)
		for range 3 {
			cl.relay.Append(wire.KindUpdated, big)
		}
		cl.acked(3)
		if s := cl.relay.Seen(); s.MostMsgs != 1 || s.MostBytes <= wire.WindowBytes {
			cl.Errorf("most unacked: %d events, %d bytes", s.MostMsgs, s.MostBytes)
		}
	})
}

func TestResume(t *testing.T) {
	each(t, func(cl *clinic, _ client.Transport) {
		cl.append(10)
		cl.start()
		cl.acked(10)

		// The connection is lost and the agent returns: nothing comes twice.
		cl.net.Cut()
		last := cl.append(5)
		cl.acked(last)
		if n := cl.inbox.Repeats(); n != 0 {
			cl.Errorf("%d events came again", n)
		}
		// The agent's backup is restored: what is retained comes again.
		e, _ := cl.inbox.Event("s1", 4)
		cl.stop()
		cl.inbox.SetCursor(client.Cursor{Epoch: "s1", Seq: 4, ReceivedAt: e.ReceivedAt})
		cl.start()
		cl.till("sent again", func(s client.Status) bool { return cl.inbox.Repeats() == int(last)-4 })
		if g := cl.inbox.Gaps(); len(g) != 0 {
			cl.Errorf("gaps %v", g)
		}
	})
}

func TestGapOfWhatWasRemoved(t *testing.T) {
	each(t, func(cl *clinic, _ client.Transport) {
		cl.append(10)
		cl.start()
		cl.acked(10)
		cl.stop()
		cl.inbox.SetCursor(client.Cursor{Epoch: "s1", Seq: 3})
		cl.relay.Remove(7, wire.GapQuota)
		cl.start()
		cl.till("a gap", func(s client.Status) bool { return s.Gaps == 1 && cl.inbox.Repeats() == 3 })
		want := []wire.Gap{{From: 4, To: 7, Reason: wire.GapQuota, StoreEpoch: "s1"}}
		if g := cl.inbox.Gaps(); !slices.Equal(g, want) {
			cl.Errorf("gaps %v", g)
		}
	})
}

func TestStoreRollback(t *testing.T) {
	stories := map[string]func(cl *clinic){
		"restored": func(cl *clinic) { cl.relay.Restore() },
		"behind":   func(cl *clinic) { cl.relay.Rollback(6) },
		"overtaken": func(cl *clinic) {
			cl.relay.Rollback(6)
			time.Sleep(time.Second)
			cl.append(10)
		},
	}
	for name, story := range stories {
		t.Run(name, func(t *testing.T) {
			each(t, func(cl *clinic, _ client.Transport) {
				cl.append(10)
				cl.start()
				cl.acked(10)
				cl.stop()
				story(cl)
				cl.start()
				cl.till("a gap", func(s client.Status) bool { return s.Gaps == 1 && s.State == client.Connected })
				if g := cl.inbox.Gaps(); g[0].Reason != wire.GapRollback || g[0].From != 11 || g[0].StoreEpoch != "s2" {
					cl.Errorf("gaps %v", g)
				}
				last := cl.append(2)
				cl.acked(last)
				if e, ok := cl.inbox.Event("s2", last); !ok {
					cl.Errorf("event %d is missing: %v", last, e)
				}
				if s := cl.c.Status(); s.StoreEpoch != "s2" || s.Cursor != last {
					cl.Errorf("status %+v", s)
				}
			})
		})
	}
}

func TestReplay(t *testing.T) {
	each(t, func(cl *clinic, carrier client.Transport) {
		cl.start()
		cl.connected()
		last := cl.append(20)
		cl.acked(last)
		if err := cl.c.Replay(t.Context(), 5, 9); err != nil {
			cl.Fatal(err)
		}
		want := 5
		if carrier == client.LongPoll {
			want = 16 // a poll reads on from there
		}
		cl.till("again", func(client.Status) bool { return cl.inbox.Repeats() == want })
		if s := cl.c.Status(); s.Cursor != last {
			cl.Errorf("the cursor went back to %d", s.Cursor)
		}
	})
}

func TestDrainOpensTheNewConnectionFirst(t *testing.T) {
	each(t, func(cl *clinic, _ client.Transport) {
		cl.start()
		cl.connected()
		cl.append(3)
		cl.acked(3)
		first := cl.relay.Seen().Epoch
		began := time.Now()
		cl.relay.Send(&wire.Drain{ReconnectInMS: 30_000})
		cl.until("a new session", func(s tunneltest.Seen) bool { return s.Epoch == first+1 })
		if d := time.Since(began); d < 30*time.Second || d > 60*time.Second {
			cl.Errorf("moved after %v", d)
		}
		last := cl.append(4)
		cl.acked(last)
		cl.mu.Lock()
		defer cl.mu.Unlock()
		for _, s := range cl.states[slices.IndexFunc(cl.states, func(s client.Status) bool { return s.State == client.Connected }):] {
			if s.State != client.Connected {
				cl.Errorf("was %s in between", s.State)
			}
		}
	})
}

func TestRotation(t *testing.T) {
	each(t, func(cl *clinic, _ client.Transport) {
		cl.start()
		cl.connected()
		token, kid := wire.NewToken()
		cl.relay.Allow(token)
		cl.relay.Send(&wire.Rotate{Token: token})
		cl.until("rotated", func(s tunneltest.Seen) bool {
			return slices.ContainsFunc(s.Heard, func(c wire.Control) bool {
				r, ok := c.(*wire.Rotated)
				return ok && r.KID == kid
			})
		})
		cl.mu.Lock()
		if !slices.Equal(cl.saved, []string{token}) {
			cl.Errorf("saved %v", cl.saved)
		}
		cl.mu.Unlock()
		cl.relay.Forbid(cl.cr.Token) // the next connect must use the new one
		cl.net.Cut()
		last := cl.append(1)
		cl.acked(last)
	})
}

func TestNoticeAndUnknownFrames(t *testing.T) {
	each(t, func(cl *clinic, _ client.Transport) {
		cl.start()
		cl.connected()
		cl.relay.Send(&wire.Notice{Text: "the certificate ends in 5 days"})
		cl.till("a notice", func(s client.Status) bool { return s.Notice == "the certificate ends in 5 days" })
		last := cl.append(1)
		cl.acked(last)
	})
}
