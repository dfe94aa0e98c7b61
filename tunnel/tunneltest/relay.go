package tunneltest

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/client"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// Relay is a small scripted relay with one clinic and its mailbox in memory. It speaks
// the protocol as the real one does and can be told to misbehave. Fields are set before
// it is used; the methods may be called at any time.
type Relay struct {
	Host   string // its name, for signatures
	Clinic wire.ClinicID
	Now    func() time.Time
	Window time.Duration // W, for welcome
	Ping   int           // seconds, for welcome
	// Sealing is the key it seals to; empty: it does not.
	Sealing []byte

	mu        sync.Mutex
	identity  ed25519.PublicKey
	tokens    []string // valid ones
	store     wire.StoreEpoch
	stores    int
	epoch     wire.Epoch
	events    []wire.Event
	head      wire.Seq
	removed   wire.Seq
	why       string
	acked     wire.Seq
	acks      []wire.Ack
	changed   chan struct{} // closed and replaced at every change
	session   *session
	faults    Faults
	nonces    map[string]time.Time
	hellos    []wire.Hello
	heard     []wire.Control // of the agent, besides acks
	mostMsgs  int
	mostBytes int
	upgrades  int
	polls     int
	waiter    int // the newest poll; an older one's connection is gone
	codes     map[string]bool
}

// Faults are ways to misbehave.
type Faults struct {
	// Upgrade, when it is not 0, is the status of every upgrade; Header comes with it.
	// PollStatus is the same for the long-poll.
	Upgrade, PollStatus int
	Header              http.Header
	// NoChallenge and NoWelcome keep silent at that step; Mute sends nothing more once
	// the connection stands, not even a pong.
	NoChallenge, NoWelcome, Mute bool
	// Drop closes the next connections with this code right after hello.
	Drop   wire.CloseCode
	Reason string
}

// session is the connection of the moment, a websocket or a row of polls.
type session struct {
	epoch    wire.Epoch
	instance wire.InstanceID
	window   wire.Window
	sent     wire.Seq
	acked    wire.Seq
	sizes    map[wire.Seq]int // sent and not acked
	out      []wire.Control
	replay   []wire.Event
	close    wire.CloseCode // to be closed with
	reason   string
	over     bool
	raw      [][]byte // frames to send as they are; the first byte 0 means binary
}

// NewRelay returns a relay that lets in cr.
func NewRelay(host string, cr client.Credentials) *Relay {
	pub, _ := cr.Identity.Public().(ed25519.PublicKey)
	r := &Relay{
		Host: host, Clinic: cr.ClinicID, Now: time.Now, Ping: 25, identity: pub, tokens: []string{cr.Token},
		changed: make(chan struct{}), nonces: map[string]time.Time{}, codes: map[string]bool{},
	}
	r.newStore()
	return r
}

// NewCredentials returns the credentials of a paired appliance.
func NewCredentials(tb testing.TB) client.Credentials {
	tb.Helper()
	_, identity, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	priv, _, id, err := wire.NewSealingKey()
	if err != nil {
		tb.Fatal(err)
	}
	token, _ := wire.NewToken()
	return client.Credentials{
		ClinicID: "riverside", Token: token, Identity: identity, InstanceID: "reception",
		SealingKeys: map[string][]byte{id: priv}, SealingKeyID: id,
	}
}

// Handler serves the websocket, the long-poll and the inbound URL /in/test.
func (r *Relay) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+wire.TunnelPath, r.tunnel)
	mux.HandleFunc("GET "+wire.PollPath, r.poll)
	mux.HandleFunc("POST "+wire.AckPath, r.ack)
	mux.HandleFunc("POST "+wire.PairPath, r.pair)
	mux.HandleFunc("POST /in/test", r.ingest)
	return mux
}

func (r *Relay) newStore() {
	r.stores++
	r.store = wire.StoreEpoch(fmt.Sprintf("s%d", r.stores))
}

// tell wakes whoever waits. The caller holds mu.
func (r *Relay) tell() {
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *Relay) locked(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	r.tell()
}

// Append puts an event into the mailbox.
func (r *Relay) Append(kind string, body []byte) wire.Seq {
	req := wire.Request{Label: kind, Body: body}
	var header []byte
	var err error
	if len(r.Sealing) > 0 {
		header, body, err = wire.Seal(r.Sealing, wire.KeyID(r.Sealing), r.Clinic, req)
	} else {
		header, body, err = wire.Plain(kind, req)
	}
	if err != nil {
		panic(err)
	}
	var seq wire.Seq
	r.locked(func() {
		r.head++
		seq = r.head
		r.events = append(r.events, wire.Event{Seq: seq, ReceivedAt: r.Now().UTC().Truncate(time.Microsecond), Header: header, Body: body})
	})
	return seq
}

// Remove drops everything up to seq, for a reason of a gap.
func (r *Relay) Remove(seq wire.Seq, why string) {
	r.locked(func() {
		r.events = slices.DeleteFunc(r.events, func(e wire.Event) bool { return e.Seq <= seq })
		r.removed, r.why = seq, why
	})
}

// Rollback forgets everything after seq, as a failover to a stale copy does. The
// relay itself does not notice.
func (r *Relay) Rollback(seq wire.Seq) {
	r.locked(func() {
		r.events = slices.DeleteFunc(r.events, func(e wire.Event) bool { return e.Seq > seq })
		r.head, r.acked = seq, min(r.acked, seq)
	})
}

// Restore changes the store epoch, as restoring the relay's backup does.
func (r *Relay) Restore() { r.locked(r.newStore) }

// Misbehave sets the faults of what comes from now on.
func (r *Relay) Misbehave(f Faults) { r.locked(func() { r.faults = f }) }

// Send sends a control frame on the connection of the moment.
func (r *Relay) Send(c wire.Control) {
	r.locked(func() {
		if r.session != nil {
			r.session.out = append(r.session.out, c)
		}
	})
}

// SendRaw sends a websocket message as it is.
func (r *Relay) SendRaw(text bool, b []byte) {
	head := byte(0)
	if text {
		head = 1
	}
	r.locked(func() {
		if r.session != nil {
			r.session.raw = append(r.session.raw, append([]byte{head}, b...))
		}
	})
}

// Close closes the connection of the moment.
func (r *Relay) Close(code wire.CloseCode, reason string) {
	r.locked(func() {
		if r.session != nil {
			r.session.close, r.session.reason = code, reason
		}
	})
}

// Allow lets a further token in; Forbid shuts one out.
func (r *Relay) Allow(token string) { r.locked(func() { r.tokens = append(r.tokens, token) }) }

// Forbid shuts a token out.
func (r *Relay) Forbid(token string) {
	r.locked(func() { r.tokens = slices.DeleteFunc(r.tokens, func(t string) bool { return t == token }) })
}

// AllowCode lets a pairing code in, once.
func (r *Relay) AllowCode(code string) { r.locked(func() { r.codes[code] = true }) }

// Seen is what a relay has seen so far.
type Seen struct {
	Acked     wire.Seq
	Acks      []wire.Ack
	Hellos    []wire.Hello
	Heard     []wire.Control // besides acks and hellos
	Epoch     wire.Epoch
	Store     wire.StoreEpoch
	Connected bool
	MostMsgs  int // the most events sent and not acknowledged
	MostBytes int
	Upgrades  int // requests of a websocket
	Polls     int
}

// Seen returns what the relay has seen.
func (r *Relay) Seen() Seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Seen{
		Acked: r.acked, Acks: slices.Clone(r.acks), Hellos: slices.Clone(r.hellos), Heard: slices.Clone(r.heard),
		Epoch: r.epoch, Store: r.store, Connected: r.session != nil && !r.session.over,
		MostMsgs: r.mostMsgs, MostBytes: r.mostBytes, Upgrades: r.upgrades, Polls: r.polls,
	}
}

// Until waits until ok holds of what was seen. It reports false when it does not come
// to that within a minute.
func (r *Relay) Until(ok func(Seen) bool) bool {
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		if ok(r.Seen()) {
			return true
		}
		select {
		case <-changed:
		case <-limit.C:
			return ok(r.Seen())
		}
	}
}

// claim starts a session for a hello that was verified: section "Resume" of PROTOCOL.md.
// The caller holds mu.
func (r *Relay) claim(h *wire.Hello) (*session, *wire.Welcome) {
	if r.session != nil {
		r.session.over = true
	}
	r.epoch++
	s := &session{epoch: r.epoch, instance: h.InstanceID, window: h.Window, sizes: map[wire.Seq]int{}}
	at := slices.IndexFunc(r.events, func(e wire.Event) bool { return e.Seq == h.Resume })
	other := at >= 0 && !h.ResumeAt.IsZero() && !r.events[at].ReceivedAt.Equal(h.ResumeAt)
	switch {
	case h.StoreEpoch == "":
		s.sent = r.acked
	case h.StoreEpoch != r.store, h.Resume > r.head, other:
		if h.StoreEpoch == r.store {
			r.newStore()
		}
		s.sent = r.acked
		s.out = append(s.out, &wire.Gap{From: h.Resume + 1, To: r.acked, Reason: wire.GapRollback, StoreEpoch: r.store})
	case h.Resume < r.removed:
		s.sent = r.removed
		s.out = append(s.out, &wire.Gap{From: h.Resume + 1, To: r.removed, Reason: r.why, StoreEpoch: r.store})
	default:
		s.sent = h.Resume
	}
	s.acked = s.sent
	r.session = s
	r.hellos = append(r.hellos, *h)
	r.tell()
	return s, r.welcome()
}

func (r *Relay) welcome() *wire.Welcome {
	w := &wire.Welcome{
		Epoch: r.epoch, StoreEpoch: r.store, Head: r.head, ServerTime: r.Now().UTC(), PingSecs: r.Ping, MaxFrame: wire.MaxFrame,
		ReconnectWindowMS: r.Window.Milliseconds(), Capabilities: []string{wire.CapReplay, wire.CapKey, wire.CapPoll},
	}
	if len(r.events) > 0 {
		w.Oldest = r.events[0].Seq
	}
	if len(r.Sealing) > 0 {
		w.SealingKeyID = wire.KeyID(r.Sealing)
	}
	return w
}

// next returns what may be sent: control frames first, then events as the window
// allows. The caller holds mu.
func (r *Relay) next(s *session) (control []wire.Control, events []wire.Event) {
	control, s.out = s.out, nil
	bytes := 0
	for _, n := range s.sizes {
		bytes += n
	}
	allow := func(e wire.Event) bool {
		n := wire.FixedSize + len(e.Header) + len(e.Body)
		if len(s.sizes) > 0 && (len(s.sizes) >= s.window.Msgs || bytes+n > s.window.Bytes) {
			return false
		}
		bytes += n
		s.sizes[e.Seq] = n
		events = append(events, e)
		r.mostMsgs, r.mostBytes = max(r.mostMsgs, len(s.sizes)), max(r.mostBytes, bytes)
		return true
	}
	for len(s.replay) > 0 && allow(s.replay[0]) {
		s.replay = s.replay[1:]
	}
	for _, e := range r.events {
		if e.Seq <= s.sent {
			continue
		}
		if !allow(e) {
			break
		}
		s.sent = e.Seq
	}
	return control, events
}

// take does what a frame of the agent says. The caller holds mu.
func (r *Relay) take(s *session, c wire.Control) {
	switch c := c.(type) {
	case *wire.Ack:
		r.acks = append(r.acks, *c)
		if c.Epoch == r.epoch {
			r.acked = max(r.acked, min(c.Seq, r.head))
			for seq := range s.sizes {
				if seq <= c.Seq {
					delete(s.sizes, seq)
				}
			}
		}
	case *wire.Replay:
		for _, e := range r.events {
			if e.Seq >= c.From && e.Seq <= c.To {
				s.replay = append(s.replay, e)
			}
		}
		r.heard = append(r.heard, c)
	default:
		r.heard = append(r.heard, c)
	}
	r.tell()
}

// let tells whether a token is valid. The caller holds mu.
func (r *Relay) let(header string) bool {
	for _, t := range r.tokens {
		if header == "Bearer "+t {
			return true
		}
	}
	return false
}
