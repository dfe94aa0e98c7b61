package hl7sim_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/hl7sim"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"
	"github.com/rayhound/rayhound/drivers/hl7/orders"
)

// short is a wait for an answer that never comes: the only outcome is its end.
const short = 50 * time.Millisecond

// long is a wait that must not end by itself.
const long = 20 * time.Second

// outcome is what a sender says of one misbehaviour.
type outcome struct {
	class   orders.Class
	unknown bool
	kind    error // of mllp; nil with an answer
	code    hl7.AckCode
	err     string // ERR-3
	applied bool   // by the RIS
	strays  int    // answers that were not ours
	timeout time.Duration
}

// answering is every misbehaviour of a RIS that answers, with what the sender must
// make of it.
var answering = map[hl7sim.FaultKind]outcome{
	hl7sim.NeverAck:         {class: orders.Park, unknown: true, kind: mllp.ErrTimeout, applied: true, timeout: short},
	hl7sim.CloseAfterRead:   {class: orders.Park, unknown: true, kind: mllp.ErrPeerClosed},
	hl7sim.LoseAnswer:       {class: orders.Park, unknown: true, kind: mllp.ErrPeerClosed, applied: true},
	hl7sim.HalfFrame:        {class: orders.Park, unknown: true, kind: mllp.ErrBadAnswer, applied: true, strays: 1},
	hl7sim.DoubleFrame:      {class: orders.Delivered, code: hl7.AA, applied: true},
	hl7sim.DoubleAck:        {class: orders.Delivered, code: hl7.AA, applied: true, strays: 1},
	hl7sim.OldAckFirst:      {class: orders.Delivered, code: hl7.AA, applied: true, strays: 1},
	hl7sim.WrongID:          {class: orders.Park, unknown: true, kind: mllp.ErrTimeout, applied: true, strays: 1, timeout: short},
	hl7sim.EmptyID:          {class: orders.Park, unknown: true, kind: mllp.ErrTimeout, applied: true, strays: 1, timeout: short},
	hl7sim.CutID:            {class: orders.Park, unknown: true, kind: mllp.ErrTimeout, applied: true, strays: 1, timeout: short},
	hl7sim.CommitElsewhere:  {class: orders.Pending, code: hl7.CA, applied: true},
	hl7sim.CommitSame:       {class: orders.Pending, code: hl7.CA, applied: true, strays: 1},
	hl7sim.Internal207:      {class: orders.Retry, code: hl7.AR, err: "207"},
	hl7sim.Error101:         {class: orders.Park, code: hl7.AE, err: "101"},
	hl7sim.ErrorPlain:       {class: orders.Retry, code: hl7.AE},
	hl7sim.RejectPlain:      {class: orders.Park, code: hl7.AR},
	hl7sim.AcceptWithError:  {class: orders.Delivered, code: hl7.AA, err: "103", applied: true},
	hl7sim.AsOrder:          {class: orders.Delivered, code: hl7.AA, applied: true},
	hl7sim.AsMCF:            {class: orders.Delivered, code: hl7.AA, applied: true},
	hl7sim.OldVersion:       {class: orders.Delivered, code: hl7.AA, applied: true},
	hl7sim.LFAck:            {class: orders.Delivered, code: hl7.AA, applied: true},
	hl7sim.SplitAck:         {class: orders.Delivered, code: hl7.AA, applied: true},
	hl7sim.NoEndAck:         {class: orders.Delivered, code: hl7.AA, applied: true},
	hl7sim.GarbageAck:       {class: orders.Park, unknown: true, kind: mllp.ErrBadAnswer, applied: true, strays: 1},
	hl7sim.HugeAck:          {class: orders.Park, unknown: true, kind: mllp.ErrBadAnswer, applied: true, strays: 1},
	hl7sim.CloseAfterAck:    {}, // TestClosesAfterEachAnswer
	hl7sim.Unable:           {class: orders.Delivered, code: hl7.AA},
	hl7sim.SlowConnection:   {class: orders.Park, unknown: true, kind: mllp.ErrTimeout, timeout: short},
	hl7sim.LateAck:          {}, // TestLateAnswer
	hl7sim.Gap:              {}, // TestGap
	hl7sim.GapReject:        {}, // TestGap
	hl7sim.RefuseConnection: {}, // TestRefusedConnections
}

func TestEveryKindIsTested(t *testing.T) {
	for _, k := range hl7sim.Kinds() {
		_, a := answering[k.Kind]
		_, s := sending[k.Kind]
		if k.Side == hl7sim.Answering && !a || k.Side == hl7sim.Sending && !s {
			t.Errorf("%s has no expectation", k.Kind)
		}
		if k.Text == "" {
			t.Errorf("%s has no text", k.Kind)
		}
	}
}

// strays collects answers that belong to no message in flight.
type strays struct {
	mu   sync.Mutex
	acks []*hl7.Ack
}

func (s *strays) add(_ []byte, a *hl7.Ack, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acks = append(s.acks, a)
}

func (s *strays) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.acks)
}

func TestSenderAgainstEveryMisbehaviour(t *testing.T) {
	for _, k := range hl7sim.Kinds() {
		want := answering[k.Kind]
		if k.Side != hl7sim.Answering || want.class == "" {
			continue
		}
		t.Run(string(k.Kind), func(t *testing.T) {
			t.Parallel()
			ris, addr := start(t, hl7sim.Config{})
			inject(t, ris, hl7sim.Fault{Kind: k.Kind, Count: 1})
			var stray strays
			p := orders.Profile{Name: "RIS", Address: addr, Timeout: max(want.timeout, 0)}
			if p.Timeout == 0 {
				p.Timeout = long
			}
			s := orders.NewSender(orders.SenderConfig{Profile: p, OnStray: stray.add})
			defer s.Close()
			r, err := s.Send(t.Context(), build(t, &p, orders.New, testOrder("A1", 1), "M1")[0].Bytes)
			if r.Class != want.class || r.Unknown != want.unknown || !errors.Is(err, want.kind) || (err == nil) != (want.kind == nil) {
				t.Fatalf("%+v %v, want %+v", r, err, want)
			}
			if r.AckCode != want.code || r.Code != want.err || r.Class == orders.Retry && r.MaxTries == 0 {
				t.Errorf("%+v", r)
			}
			if r.Refused != (k.Kind == hl7sim.Unable) || r.Refused && r.OrderControl != "UA" {
				t.Errorf("refused: %+v", r)
			}
			if (r.Class == orders.Park || r.Refused) && r.Problem("RIS", "A1") == nil {
				t.Error("nothing is shown to a person")
			}
			if want.timeout == 0 || k.Kind != hl7sim.SlowConnection {
				eventually(t, "the message in the RIS", func() bool { return len(ris.Messages()) == 1 })
				if m := ris.Messages()[0]; m.Applied != want.applied || m.ControlID != "M1" {
					t.Errorf("%+v", m)
				}
			}
			// The next message, to the RIS as it should be, is answered, and by its own answer.
			p2 := p
			p2.Timeout = long
			s2 := s
			if want.timeout != 0 {
				s2 = orders.NewSender(orders.SenderConfig{Profile: p2, OnStray: stray.add})
				defer s2.Close()
			}
			r, err = s2.Send(t.Context(), build(t, &p2, orders.New, testOrder("A2", 1), "M2")[0].Bytes)
			if err != nil || r.Class != orders.Delivered || r.AckCode != hl7.AA || !strings.Contains(string(r.Answer), "M2") {
				t.Errorf("the next one: %+v %v", r, err)
			}
			// Within a short time a foreign answer may come or not: TestForeignAnswer.
			if n := stray.count(); n > want.strays || n < want.strays && want.timeout == 0 {
				t.Errorf("%d strays, want %d", n, want.strays)
			}
			if o, ok := ris.Order("A2"); !ok || o.State != hl7sim.Ordered {
				t.Errorf("%+v", o)
			}
		})
	}
}

// An answer whose MSA-2 is not ours is kept for people and never taken for ours.
func TestForeignAnswer(t *testing.T) {
	for _, k := range []hl7sim.FaultKind{hl7sim.WrongID, hl7sim.EmptyID, hl7sim.CutID} {
		ris, addr := start(t, hl7sim.Config{})
		inject(t, ris, hl7sim.Fault{Kind: k})
		ctx, cancel := context.WithCancel(t.Context())
		var stray *hl7.Ack
		s := orders.NewSender(orders.SenderConfig{
			Profile: orders.Profile{Name: "RIS", Address: addr, Timeout: long},
			OnStray: func(_ []byte, a *hl7.Ack, _ error) { stray = a; cancel() },
		})
		defer s.Close()
		r, err := s.Send(ctx, build(t, &orders.Profile{Name: "RIS"}, orders.New, testOrder("A1", 1), "M1")[0].Bytes)
		want := map[hl7sim.FaultKind]string{hl7sim.WrongID: "0M1", hl7sim.EmptyID: "", hl7sim.CutID: "M"}[k]
		if !errors.Is(err, mllp.ErrCancelled) || r.Class == orders.Delivered || stray == nil || stray.Code != hl7.AA || stray.ControlID != want {
			t.Errorf("%s: %+v %v, stray %+v", k, r, err, stray)
		}
		cancel()
	}
}

// Whoever lost the answer gets it with the same bytes again, and the RIS holds the
// order once.
func TestResendAfterAnUnknownOutcome(t *testing.T) {
	ris, addr := start(t, hl7sim.Config{Strict: true, Seed: 7})
	inject(t, ris, hl7sim.Fault{Kind: hl7sim.LoseAnswer, Rate: 0.5})
	p := orders.Profile{Name: "RIS", Address: addr, Resend: true, Timeout: long}
	s := orders.NewSender(orders.SenderConfig{Profile: p})
	defer s.Close()
	lost := 0
	for i := range 40 {
		id := "M" + string(rune('A'+i/10)) + string(rune('0'+i%10))
		raw := build(t, &p, orders.New, testOrder("A"+id, 1), id)[0].Bytes
		for {
			r, err := s.Send(t.Context(), raw)
			if r.Class == orders.Delivered {
				break
			}
			if lost++; r.Class != orders.Retry || !r.Unknown || !errors.Is(err, mllp.ErrPeerClosed) || lost > 1000 {
				t.Fatalf("%+v %v", r, err)
			}
		}
	}
	snap := ris.Snapshot()
	if len(snap.Orders) != 40 || len(snap.Messages) != 40 || snap.Duplicates != lost || lost == 0 || len(snap.Anomalies) != 0 {
		t.Errorf("%d orders, %d messages, %d duplicates, %d lost, %v", len(snap.Orders), len(snap.Messages), snap.Duplicates, lost, snap.Anomalies)
	}
	for _, m := range snap.Messages {
		if !m.Applied {
			t.Errorf("%+v", m)
		}
	}
}

// An answer that comes too late dies with its connection.
func TestLateAnswer(t *testing.T) {
	ris, addr := start(t, hl7sim.Config{})
	release := make(chan struct{})
	inject(t, ris, hl7sim.Fault{Kind: hl7sim.LateAck, Count: 1, Release: release})
	var stray strays
	p := orders.Profile{Name: "RIS", Address: addr, Timeout: short}
	s := orders.NewSender(orders.SenderConfig{Profile: p, OnStray: stray.add})
	defer s.Close()
	r, err := s.Send(t.Context(), build(t, &p, orders.New, testOrder("A1", 1), "M1")[0].Bytes)
	if r.Class != orders.Park || !r.Unknown || !errors.Is(err, mllp.ErrTimeout) {
		t.Fatalf("%+v %v", r, err)
	}
	close(release)
	p.Timeout = long
	s = orders.NewSender(orders.SenderConfig{Profile: p, OnStray: stray.add})
	defer s.Close()
	r, err = s.Send(t.Context(), build(t, &p, orders.New, testOrder("A2", 1), "M2")[0].Bytes)
	if err != nil || r.Class != orders.Delivered {
		t.Errorf("%+v %v", r, err)
	}
	// Given up while the answer is held back, and then on the same sender.
	release = make(chan struct{})
	inject(t, ris, hl7sim.Fault{Kind: hl7sim.LateAck, Count: 1, Release: release})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for !slices.ContainsFunc(ris.Messages(), func(m hl7sim.Message) bool { return m.ControlID == "M4" }) && t.Context().Err() == nil {
			runtime.Gosched()
		}
	}()
	if r, err := s.Send(ctx, build(t, &p, orders.New, testOrder("A4", 1), "M4")[0].Bytes); !errors.Is(err, mllp.ErrCancelled) || !r.Unknown {
		t.Errorf("%+v %v", r, err)
	}
	close(release)
	if r, err := s.Send(t.Context(), build(t, &p, orders.New, testOrder("A5", 1), "M5")[0].Bytes); err != nil || r.Class != orders.Delivered {
		t.Errorf("%+v %v", r, err)
	}
	// One that is late and still in time.
	inject(t, ris, hl7sim.Fault{Kind: hl7sim.LateAck, Count: 1, Delay: time.Millisecond})
	if r, err := s.Send(t.Context(), build(t, &p, orders.New, testOrder("A3", 1), "M3")[0].Bytes); err != nil || r.Class != orders.Delivered {
		t.Errorf("%+v %v", r, err)
	}
	if stray.count() != 0 {
		t.Errorf("strays %+v", stray.acks)
	}
}

// A RIS that wants a gap between messages, by a clock that stands.
func TestGap(t *testing.T) {
	var mu sync.Mutex
	now := scheduledAt
	ris, addr := start(t, hl7sim.Config{Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }})
	for _, c := range []struct {
		kind  hl7sim.FaultKind
		class orders.Class
		err   error
	}{{hl7sim.Gap, orders.Park, mllp.ErrTimeout}, {hl7sim.GapReject, orders.Retry, nil}} {
		ris.ClearFaults()
		ris.Forget()
		inject(t, ris, hl7sim.Fault{Kind: c.kind})
		send := func(id string, timeout time.Duration) (orders.Result, error) {
			p := orders.Profile{Name: "RIS", Address: addr, Timeout: timeout}
			s := orders.NewSender(orders.SenderConfig{Profile: p})
			defer s.Close()
			return s.Send(t.Context(), build(t, &p, orders.New, testOrder("A"+id, 1), id)[0].Bytes)
		}
		pass := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
		pass(time.Hour)
		if r, err := send("M1", long); err != nil || r.Class != orders.Delivered {
			t.Fatalf("%+v %v", r, err)
		}
		pass(2 * time.Second)
		timeout := long
		if c.err != nil {
			timeout = short
		}
		if r, err := send("M2", timeout); !errors.Is(err, c.err) || r.Class != c.class {
			t.Errorf("%s too soon: %+v %v", c.kind, r, err)
		}
		pass(3 * time.Second)
		if r, err := send("M2", long); err != nil || r.Class != orders.Delivered {
			t.Errorf("%s in time: %+v %v", c.kind, r, err)
		}
		if _, ok := ris.Order("AM2"); !ok {
			t.Error("the order is not there")
		}
	}
}

// The gap of the sender is at least that of the RIS, whatever the machine is doing.
func TestGapOfTheSender(t *testing.T) {
	ris, addr := start(t, hl7sim.Config{})
	inject(t, ris, hl7sim.Fault{Kind: hl7sim.GapReject, Delay: 20 * time.Millisecond})
	p := orders.Profile{Name: "RIS", Address: addr, MinGap: 20 * time.Millisecond}
	s := orders.NewSender(orders.SenderConfig{Profile: p})
	defer s.Close()
	for _, id := range []string{"M1", "M2", "M3", "M4"} {
		tell(t, s, build(t, &p, orders.New, testOrder("A"+id, 1), id))
	}
}

func TestRefusedConnections(t *testing.T) {
	ris, addr := start(t, hl7sim.Config{})
	p := orders.Profile{Name: "RIS", Address: addr, Timeout: long}
	s := orders.NewSender(orders.SenderConfig{Profile: p})
	defer s.Close()
	inject(t, ris, hl7sim.Fault{Kind: hl7sim.RefuseConnection, Count: 1})
	// Whether the reset meets the connecting, the writing or the waiting is not ours to say.
	r, err := s.Send(t.Context(), build(t, &p, orders.New, testOrder("A1", 1), "M1")[0].Bytes)
	ok := errors.Is(err, mllp.ErrConnect) && r.Class == orders.Destination || errors.Is(err, mllp.ErrWrite) && r.Class == orders.Retry && !r.Unknown ||
		errors.Is(err, mllp.ErrPeerClosed) && r.Class == orders.Park && r.Unknown
	if !ok {
		t.Errorf("%+v %v", r, err)
	}
	ris.Unplug()
	r, err = s.Send(t.Context(), build(t, &p, orders.New, testOrder("A1", 1), "M1")[0].Bytes)
	if !errors.Is(err, mllp.ErrConnect) || r.Class != orders.Destination || r.Unknown {
		t.Errorf("unplugged: %+v %v", r, err)
	}
	ris.Plug()
	eventually(t, "the RIS back", func() bool {
		r, err := s.Send(t.Context(), build(t, &p, orders.New, testOrder("A1", 1), "M1")[0].Bytes)
		return err == nil && r.Class == orders.Delivered
	})
}

// The closing of a RIS may meet the next message on its way; that one is sent again.
func TestClosesAfterEachAnswer(t *testing.T) {
	ris, addr := start(t, hl7sim.Config{Strict: true})
	inject(t, ris, hl7sim.Fault{Kind: hl7sim.CloseAfterAck})
	p := orders.Profile{Name: "RIS", Address: addr, Timeout: long, Resend: true}
	s := orders.NewSender(orders.SenderConfig{Profile: p})
	defer s.Close()
	for i := range 10 {
		id := "M" + string(rune('0'+i))
		raw := build(t, &p, orders.New, testOrder("A"+id, 1), id)[0].Bytes
		r, err := s.Send(t.Context(), raw)
		if err != nil && r.Class == orders.Retry {
			r, err = s.Send(t.Context(), raw)
		}
		if err != nil || r.Class != orders.Delivered {
			t.Errorf("%s: %+v %v", id, r, err)
		}
	}
	if snap := ris.Snapshot(); len(snap.Orders) != 10 || len(snap.Anomalies) != 0 {
		t.Errorf("%d orders, %+v", len(snap.Orders), snap.Anomalies)
	}
}

// What a RIS refuses by UA, UC, UX and UD was delivered, and a person hears of it.
func TestUnable(t *testing.T) {
	ris, addr := start(t, hl7sim.Config{})
	p := orders.Profile{Name: "RIS", Address: addr}
	s := orders.NewSender(orders.SenderConfig{Profile: p})
	defer s.Close()
	tell(t, s, build(t, &p, orders.New, testOrder("A1", 1), "M0"))
	for ev, control := range map[orders.Trigger]string{orders.Change: "UX", orders.Cancel: "UC", orders.New: "UA", orders.Discontinue: "UD"} {
		inject(t, ris, hl7sim.Fault{Kind: hl7sim.Unable, Count: 1})
		r, err := s.Send(t.Context(), build(t, &p, ev, testOrder("A1", 1), "M"+control)[0].Bytes)
		if err != nil || r.Class != orders.Delivered || !r.Refused || r.OrderControl != control || r.Problem("RIS", "A1") == nil {
			t.Errorf("%s: %+v %v", ev, r, err)
		}
	}
	if o, _ := ris.Order("A1"); o.State != hl7sim.Ordered || !slices.Equal(o.Messages, []string{"M0"}) {
		t.Errorf("%+v", o)
	}
}
