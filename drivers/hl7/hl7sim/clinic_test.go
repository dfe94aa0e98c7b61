package hl7sim_test

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/hl7sim"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"
	"github.com/rayhound/rayhound/drivers/hl7/orders"
)

// clinic is our listener with a store in memory, and a well-behaved peer whose
// connection stays open throughout.
type clinic struct {
	addr string
	good *mllp.Client
	n    int // messages of the good peer

	mu      sync.Mutex
	answers map[orders.Key][]byte
	kept    []*orders.Received
	bad     []error
	badRaw  [][]byte
	notes   []string
}

func (c *clinic) Receive(_ context.Context, in *orders.Received) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a, ok := c.answers[in.Key]; ok && in.Refused == "" {
		return a, nil
	}
	if in.Refused == "" {
		c.answers[in.Key] = in.Answer
	}
	copied := *in
	copied.Raw = bytes.Clone(in.Raw)
	c.kept = append(c.kept, &copied)
	return in.Answer, nil
}

// received are the messages of the RIS that were kept.
func (c *clinic) received() []*orders.Received {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*orders.Received
	for _, in := range c.kept {
		if in.Key.SendingApplication != "GOOD" {
			out = append(out, in)
		}
	}
	return out
}

func (c *clinic) badFrames() ([]error, [][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]error(nil), c.bad...), append([][]byte(nil), c.badRaw...)
}

func openClinic(t testing.TB, sc mllp.ServerConfig) *clinic {
	t.Helper()
	c := &clinic{answers: map[orders.Key][]byte{}}
	receiver := orders.NewReceiver(orders.ReceiverConfig{Profiles: []orders.Profile{{Name: "RIS"}, {Name: "GOOD"}}, Store: c})
	sc.Handler, sc.Refuse = receiver.Handle, receiver.Refuse
	sc.OnBad = func(_ mllp.Conn, raw []byte, reason error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.bad, c.badRaw = append(c.bad, reason), append(c.badRaw, bytes.Clone(raw))
	}
	sc.OnNotes = func(_ mllp.Conn, notes []string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.notes = append(c.notes, notes...)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.addr = ln.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mllp.NewServer(sc).Serve(ctx, ln) }()
	c.good = mllp.NewClient(mllp.ClientConfig{Address: c.addr, Persistent: true})
	t.Cleanup(func() {
		_ = c.good.Close()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	c.goodPeer(t)
	return c
}

// goodPeer sends a status on the connection that stays open, and wants AA.
func (c *clinic) goodPeer(t testing.TB) {
	t.Helper()
	c.n++
	raw := `MSH|^~\&|GOOD|Clinic|RAYHOUND|Clinic|20261124||ORM^O01|G` + strings.Repeat("1", c.n) + "|P|2.3.1\rORC|SC|G1|||CM\r"
	answer, err := c.good.Send(t.Context(), []byte(raw), nil)
	if err != nil || !bytes.Contains(answer, []byte("\rMSA|AA|G")) {
		t.Errorf("a good peer: %q %v", answer, err)
	}
}

// reporting is a RIS that holds one order and sends to the clinic.
func reporting(t testing.TB, c *clinic, config hl7sim.Config) *hl7sim.RIS {
	t.Helper()
	config.SendTo = c.addr
	ris, addr := start(t, config)
	p := orders.Profile{Name: "RIS", Address: addr}
	s := orders.NewSender(orders.SenderConfig{Profile: p})
	defer s.Close()
	tell(t, s, build(t, &p, orders.New, testOrder("A1", 1), "M1"))
	return ris
}

// codes are the MSA-1 of answers.
func codes(t testing.TB, a hl7sim.Answer) string {
	t.Helper()
	var out []string
	for _, raw := range append([][]byte{a.Raw}, a.More...) {
		if raw == nil {
			continue
		}
		k, err := hl7.ParseAck(raw, hl7.Options{})
		if err != nil {
			t.Errorf("%q: %v", raw, err)
		}
		if k.Code != hl7.AA && k.Code != hl7.CA && k.Text == "" {
			t.Errorf("a refusal without a sentence: %q", raw)
		}
		out = append(out, string(k.Code))
	}
	return strings.Join(out, " ")
}
