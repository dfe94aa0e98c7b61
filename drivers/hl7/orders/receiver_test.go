package orders

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"
)

// memory is a Store as the contract describes it.
type memory struct {
	mu      sync.Mutex
	answers map[Key][]byte
	kept    []*Received
	err     error
}

func (s *memory) Receive(_ context.Context, r *Received) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	if a, ok := s.answers[r.Key]; ok && r.Refused == "" {
		return a, nil
	}
	if r.Refused == "" {
		if s.answers == nil {
			s.answers = map[Key][]byte{}
		}
		s.answers[r.Key] = r.Answer
	}
	copied := *r
	s.kept = append(s.kept, &copied)
	return r.Answer, nil
}

func (s *memory) last() *Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kept) == 0 {
		return nil
	}
	return s.kept[len(s.kept)-1]
}

var risPeer = mllp.Conn{Peer: netip.MustParseAddrPort("192.0.2.7:40000")}

func handle(t *testing.T, r *Receiver, segments ...string) hl7.Ack {
	t.Helper()
	b, err := r.Handle(t.Context(), risPeer, []byte(strings.Join(segments, "\r")+"\r"))
	if err != nil {
		t.Fatal(err)
	}
	if b == nil {
		return hl7.Ack{}
	}
	a, err := hl7.ParseAck(b, hl7.Options{})
	if err != nil {
		t.Fatalf("%v: %q", err, b)
	}
	return a
}

func TestReceiverAnswers(t *testing.T) {
	header := func(application, messageType, id, mode string) string {
		return `MSH|^~\&|` + application + `|Clinic|RAYHOUND|Clinic|20261124||` + messageType + `|` + id + `|P|2.5.1|||` + mode
	}
	for _, c := range []struct {
		name   string
		frame  string
		code   hl7.AckCode
		err    string // ERR-3
		later  bool
		refuse bool
	}{
		{"status", header("RIS", "ORM^O01", "1", "") + "\rORC|SC|A||" + "|CM", hl7.AA, "", false, false},
		{"admission, ignored", header("RIS", "ADT^A40", "1", "") + "\rPID|1||1\rMRG|1", hl7.AA, "", false, false},
		{"scheduling, ignored", header("RIS", "SIU^S12", "1", ""), hl7.AA, "", false, false},
		{"commit and application", header("RIS", "ORU^R01", "1", "AL|AL") + "\rOBR|1", hl7.CA, "", true, false},
		{"commit alone", header("RIS", "ORU^R01", "1", "AL|NE") + "\rOBR|1", hl7.CA, "", false, false},
		{"application alone", header("RIS", "ORU^R01", "1", "NE|AL") + "\rOBR|1", hl7.AA, "", false, false},
		{"errors only", header("RIS", "ORU^R01", "1", "ER|ER") + "\rOBR|1", "", "", false, false},
		{"errors only, an error", header("RIS", "QRY^A19", "1", "ER|NE"), hl7.CR, "200", false, true},
		{"nothing wanted", header("RIS", "ORU^R01", "1", "NE|NE") + "\rOBR|1", "", "", false, false},
		{"no type", header("RIS", "", "1", ""), hl7.AR, "101", false, true},
		{"no control id", header("RIS", "ORU^R01", "", "") + "\rOBR|1", hl7.AR, "101", false, true},
		{"unsupported", header("RIS", "QRY^A19", "1", ""), hl7.AR, "200", false, true},
		{"version 3", strings.Replace(header("RIS", "ORU^R01", "1", ""), "|2.5.1|", "|3.0|", 1) + "\rOBR|1", hl7.AR, "203", false, true},
		{"no version", strings.Replace(header("RIS", "ORU^R01", "1", ""), "|2.5.1|", "||", 1) + "\rOBR|1", hl7.AA, "", false, false},
		{"unknown sender", header("WHO", "ORU^R01", "1", "") + "\rOBR|1", hl7.AR, "103", false, true},
		{"nothing in it", header("RIS", "ORU^R01", "1", ""), hl7.AR, "100", false, true},
		{"garbage", "hello", hl7.AR, "", false, true},
		{"delimiters of letters", "MSHAabcdARIS", hl7.AR, "", false, true},
		{"an answer of the application", header("RIS", "ACK", "1", "") + "\rMSA|AR|77|no", "", "", false, false},
		{"an answer of a stranger", header("WHO", "ACK", "1", "") + "\rMSA|AR|77|no", "", "", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := &memory{}
			r := NewReceiver(ReceiverConfig{Profiles: []Profile{{Name: "RIS"}, {Name: "other"}}, Store: store})
			a := handle(t, r, c.frame)
			if a.Code != c.code {
				t.Errorf("code %q %q, want %q", a.Code, a.Text, c.code)
			}
			if c.err != "" && (len(a.Errors) != 1 || a.Errors[0].Code != c.err) {
				t.Errorf("errors %+v", a.Errors)
			}
			kept := store.last()
			if kept == nil || (kept.Refused != "") != c.refuse || (kept.Later != nil) != c.later || !strings.HasPrefix(string(kept.Raw), c.frame) {
				t.Errorf("kept %+v", kept)
			}
			if c.refuse && a.Code != "" && a.Text == "" {
				t.Error("a refusal without a text")
			}
		})
	}
}

func TestReceiverRepeatsTheStoredAnswer(t *testing.T) {
	store := &memory{}
	var seen []Exchange
	r := NewReceiver(ReceiverConfig{Profiles: []Profile{{Name: "RIS"}}, Store: store, Trace: func(x Exchange) { seen = append(seen, x) }})
	frame := []byte(msh("ORU^R01") + "\rOBR|1\r")
	first, _ := r.Handle(t.Context(), risPeer, frame)
	second, _ := r.Handle(t.Context(), risPeer, bytes.Clone(frame))
	if !bytes.Equal(first, second) || len(store.kept) != 1 {
		t.Errorf("%d kept\n%q\n%q", len(store.kept), first, second)
	}
	other := bytes.Replace(frame, []byte("OBR|1"), []byte("OBR|2"), 1)
	if third, _ := r.Handle(t.Context(), risPeer, other); bytes.Equal(first, third) || len(store.kept) != 2 {
		t.Error("the same control id with other content is another message")
	}
	if len(seen) != 3 || seen[0].Duplicate || !seen[1].Duplicate || seen[2].Duplicate {
		t.Errorf("%+v", seen)
	}
}

func TestReceiverStoreFails(t *testing.T) {
	for _, err := range []error{errors.New("disk"), ErrNoSpace} {
		r := NewReceiver(ReceiverConfig{Profiles: []Profile{{Name: "RIS"}}, Store: &memory{err: err}})
		if a := handle(t, r, msh("ORU^R01"), "OBR|1"); a.Code != hl7.AE || a.Text == "" || a.Errors[0].Code != hl7.CodeInternalError {
			t.Errorf("%+v", a)
		}
		if a := handle(t, r, msh("ORU^R01")+"|||AL", "OBR|1"); a.Code != hl7.CE {
			t.Errorf("%+v", a)
		}
	}
}

func TestReceiverFindsThePeer(t *testing.T) {
	r := NewReceiver(ReceiverConfig{Store: &memory{}, Profiles: []Profile{
		{Name: "a", ReceivingApplication: "APP", ReceivingFacility: "FAC"}, {Name: "b", Address: "192.0.2.7:2575"}, {Name: "c"},
	}})
	for in, want := range map[[2]string]string{{"app", "fac"}: "a", {"X", "Y"}: "b", {"C", "Y"}: "c"} {
		p := r.profile(hl7.Header{SendingApplication: in[0], SendingFacility: in[1]}, risPeer.Peer)
		if p == nil || p.Name != want {
			t.Errorf("%v: %+v, want %s", in, p, want)
		}
	}
	if p := r.profile(hl7.Header{SendingApplication: "X"}, netip.AddrPort{}); p != nil {
		t.Errorf("%+v", p)
	}
}

func TestRefuse(t *testing.T) {
	r := NewReceiver(ReceiverConfig{Store: &memory{}})
	a, err := hl7.ParseAck(r.Refuse(risPeer, []byte(msh("ORU^R01")), &mllp.FrameError{Reason: mllp.ErrTooLarge}), hl7.Options{})
	if err != nil || a.Code != hl7.AR || a.ControlID != "42" || a.Text == "" {
		t.Errorf("%+v %v", a, err)
	}
	if a, err := hl7.ParseAck(r.Refuse(risPeer, nil, mllp.ErrHandlerPanic), hl7.Options{}); err != nil || a.Code != hl7.AE {
		t.Errorf("%+v %v", a, err)
	}
	if r.Refuse(risPeer, []byte{0x16}, &mllp.FrameError{Reason: mllp.ErrTLS}) != nil {
		t.Error("TLS was answered in plain text")
	}
}

// serve runs an MLLP server on loopback.
func serve(t *testing.T, c mllp.ServerConfig) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mllp.NewServer(c).Serve(ctx, ln) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

// A peer answers our order and then reports; both ways over sockets.
func TestLoopback(t *testing.T) {
	store := &memory{}
	receiver := NewReceiver(ReceiverConfig{Profiles: []Profile{{Name: "RIS"}}, Store: store})
	ours := serve(t, mllp.ServerConfig{Handler: receiver.Handle, Refuse: receiver.Refuse})
	script := map[string]func(m *hl7.Message) []byte{
		"1": func(m *hl7.Message) []byte { return ack(t, m, hl7.Ack{Code: hl7.AA}) },
		"2": func(m *hl7.Message) []byte { return ack(t, m, hl7.Ack{Code: hl7.AA}, "UA", "F-2") },
		"3": func(m *hl7.Message) []byte { return ack(t, m, hl7.Ack{Code: hl7.CA}) },
		"4": func(m *hl7.Message) []byte { return ack(t, m, hl7.Ack{Code: hl7.AA, ControlID: "3"}) },
		"5": func(m *hl7.Message) []byte { return ack(t, m, hl7.Ack{Code: hl7.AA}) },
	}
	ris := serve(t, mllp.ServerConfig{Handler: func(_ context.Context, _ mllp.Conn, frame []byte) ([]byte, error) {
		m, err := hl7.Parse(frame, hl7.Options{})
		if err != nil {
			return nil, err
		}
		return script[m.ControlID()](m), nil
	}})
	var strays []hl7.Ack
	var mu sync.Mutex
	p := Profile{Name: "RIS", Address: ris, Timeout: 300 * time.Millisecond}
	s := NewSender(SenderConfig{Profile: p, OnStray: func(_ []byte, a *hl7.Ack, _ error) {
		mu.Lock()
		defer mu.Unlock()
		if a != nil {
			strays = append(strays, *a)
		}
	}})
	defer s.Close()
	send := func(id string) (Result, error) {
		meta := testMeta()
		meta.ControlID = id
		out, err := Build(&p, New, fullOrder(), nil, meta)
		if err != nil {
			t.Fatal(err)
		}
		return s.Send(t.Context(), out[0].Bytes)
	}
	if r, err := send("1"); err != nil || r.Class != Delivered || len(r.Answer) == 0 {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := send("2"); err != nil || r.Class != Delivered || !r.Refused || r.OrderControl != "UA" || r.FillerOrderNumber != "F-2" {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := send("3"); err != nil || r.Class != Pending {
		t.Errorf("%+v %v", r, err)
	}
	// An answer to another message is none to ours.
	if r, err := send("4"); !errors.Is(err, mllp.ErrTimeout) || r.Class != Park || !r.Unknown {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := send("5"); err != nil || r.Class != Delivered {
		t.Errorf("%+v %v", r, err)
	}
	mu.Lock()
	if len(strays) != 1 || strays[0].ControlID != "3" {
		t.Errorf("strays %+v", strays)
	}
	mu.Unlock()

	c := mllp.NewClient(mllp.ClientConfig{Address: ours, Persistent: true})
	defer c.Close()
	report := []byte(msh("ORU^R01") + "\rPID|1||1001\rORC|RE|RH0000000042\rOBR|1|RH0000000042|F-2|x" + strings.Repeat("|", 21) + "F\rOBX|1|TX|||No findings.\r")
	answer, err := c.Send(t.Context(), report, nil)
	if err != nil || !bytes.Contains(answer, []byte("MSA|AA|42")) {
		t.Fatalf("%q %v", answer, err)
	}
	if got := store.last().Reports; len(got) != 1 || got[0].Event != order.StepCompleted || got[0].Text != "No findings." {
		t.Errorf("%+v", got)
	}
	again, err := c.Send(t.Context(), report, nil)
	if err != nil || !bytes.Equal(answer, again) || len(store.kept) != 1 {
		t.Errorf("%q %v", again, err)
	}
}

func ack(t *testing.T, m *hl7.Message, a hl7.Ack, orc ...string) []byte {
	a.MessageControlID = "X"
	b := hl7.NewAck(m, a)
	if len(orc) > 0 {
		b.Segment("ORC").Set("1", orc[0]).Set("3", orc[1])
	}
	raw, _, err := b.Bytes()
	if err != nil {
		t.Error(err)
	}
	return raw
}

func TestSenderNoConnection(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	s := NewSender(SenderConfig{Profile: Profile{Address: addr}})
	defer s.Close()
	if r, err := s.Send(t.Context(), []byte(msh("ORM^O01")+"\r")); !errors.Is(err, mllp.ErrConnect) || r.Class != Destination {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := s.Send(t.Context(), []byte("MSH|^~\\&\r")); !errors.Is(err, ErrControlID) || r.Class != Park {
		t.Errorf("%+v %v", r, err)
	}
}
