package hl7sim_test

import (
	"bytes"
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/hl7/hl7sim"
	"github.com/rayhound/rayhound/drivers/hl7/orders"
)

// start runs a RIS on loopback until the test ends.
func start(t testing.TB, c hl7sim.Config) (*hl7sim.RIS, string) {
	t.Helper()
	r, err := hl7sim.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, ln) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r, ln.Addr().String()
}

func inject(t testing.TB, r *hl7sim.RIS, f hl7sim.Fault) {
	t.Helper()
	if _, err := r.Inject(f); err != nil {
		t.Fatal(err)
	}
}

// eventually waits, bounded, for something that another goroutine brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("not seen: " + what)
		}
		time.Sleep(time.Millisecond)
	}
}

var scheduledAt = time.Date(2026, 11, 24, 9, 30, 0, 0, time.UTC)

// testOrder is an order of an invented animal.
func testOrder(accession string, steps int) *order.Order {
	o := &order.Order{
		AccessionNumber: accession, StudyInstanceUID: "2.25.1234567890", RequestedProcedureID: "RP" + accession, State: order.Scheduled,
		Content: order.Content{
			Patient: order.Patient{ID: "1001", Name: "Bella"}, Owner: order.Owner{LastName: "Müller"}, ScheduledAt: scheduledAt,
			TargetAreas: []order.Ref{{ID: "1", Name: "Thorax"}},
		},
	}
	for i := range steps {
		o.Steps = append(o.Steps, order.Step{
			ScheduledProcedureStepID: "SP" + accession + string(rune('1'+i)), Modality: order.Ref{ID: "3", Name: "DX"}, State: order.Scheduled,
		})
	}
	return o
}

// build makes the messages about an order; id is the MSH-10 of the first.
func build(t testing.TB, p *orders.Profile, ev orders.Trigger, o *order.Order, id string) []orders.Outgoing {
	t.Helper()
	return buildStep(t, p, ev, o, stepOf(p, o), id)
}

// stepOf is the step that a message is about; OMI^O23 tells all at once.
func stepOf(p *orders.Profile, o *order.Order) *order.Step {
	if p.Message == orders.OMI {
		return nil
	}
	return &o.Steps[0]
}

func buildStep(t testing.TB, p *orders.Profile, ev orders.Trigger, o *order.Order, step *order.Step, id string) []orders.Outgoing {
	t.Helper()
	out, err := orders.Build(p, ev, o, step, orders.Meta{ControlID: id, More: []string{id + "b", id + "c"}, At: scheduledAt, Clinic: "Clinic"})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// tell sends the messages about an order and fails unless all are delivered.
func tell(t testing.TB, s *orders.Sender, out []orders.Outgoing) {
	t.Helper()
	for _, m := range out {
		if r, err := s.Send(t.Context(), m.Bytes); err != nil || r.Class != orders.Delivered {
			t.Fatalf("%s %s: %+v %v", m.Kind, m.ControlID, r, err)
		}
	}
}

// What the orders driver tells is what the RIS then holds, by every type and update.
func TestHoldsWhatItIsTold(t *testing.T) {
	for _, p := range []orders.Profile{
		{Message: orders.ORM},
		{Message: orders.ORM, Version: "2.4", Update: orders.UpdateCA},
		{Message: orders.ORM, Update: orders.UpdateRP},
		{Message: orders.OMG, Version: "2.5.1"},
		{Message: orders.OMI, Version: "2.5.1", ORC5OnNew: "SC"},
	} {
		t.Run(p.Message+p.Update, func(t *testing.T) {
			ris, addr := start(t, hl7sim.Config{AnswerOrders: true, Strict: true})
			p.Name, p.Address = "RIS", addr
			s := orders.NewSender(orders.SenderConfig{Profile: p})
			defer s.Close()
			o := testOrder("A1", 1)
			tell(t, s, build(t, &p, orders.New, o, "M1"))
			want := hl7sim.Order{AccessionNumber: "A1", State: hl7sim.Ordered}
			got, ok := ris.Order("A1")
			if !ok || got.State != want.State || got.PatientID != "1001" || got.PatientName != "Müller^Bella" || len(got.Steps) != 1 ||
				got.Steps[0].StudyInstanceUID != o.StudyInstanceUID || got.Steps[0].ID != "SPA11" || got.FillerOrderNumber == "" {
				t.Fatalf("%+v", got)
			}
			o.Content.Patient.Name = "Bello"
			tell(t, s, build(t, &p, orders.Change, o, "M2"))
			if got, _ := ris.Order("A1"); got.State != hl7sim.Ordered || got.PatientName != "Müller^Bello" || len(got.Steps) != 1 || got.Changes != 1 {
				t.Errorf("%+v", got)
			}
			tell(t, s, build(t, &p, orders.Cancel, o, "M3"))
			if got, _ := ris.Order("A1"); got.State != hl7sim.Cancelled {
				t.Errorf("%+v", got)
			}
			o = testOrder("A2", 1)
			tell(t, s, build(t, &p, orders.New, o, "M4"))
			o.Steps[0].State, o.State = order.InProgress, order.InProgress
			tell(t, s, build(t, &p, orders.Cancel, o, "M5"))
			snap := ris.Snapshot()
			if got := snap.Orders[1]; got.State != hl7sim.Discontinued && p.ORC5OnNew == "" {
				t.Errorf("%+v", got)
			}
			if len(snap.Anomalies) != 0 || snap.Duplicates != 0 || snap.Deliveries != len(snap.Messages) || snap.Messages[0].Deliveries != 1 {
				t.Errorf("%+v", snap)
			}
		})
	}
}

func TestDuplicatesAndAnomalies(t *testing.T) {
	ris, addr := start(t, hl7sim.Config{MaxMessages: 5})
	p := orders.Profile{Name: "RIS", Address: addr}
	s := orders.NewSender(orders.SenderConfig{Profile: p})
	defer s.Close()
	first := build(t, &p, orders.New, testOrder("A1", 1), "M1")
	tell(t, s, first)
	tell(t, s, first)
	tell(t, s, build(t, &p, orders.New, testOrder("A2", 1), "M1")) // another message under the same id
	tell(t, s, build(t, &p, orders.New, testOrder("A2", 1), "M2")) // stands already
	tell(t, s, build(t, &p, orders.Cancel, testOrder("A3", 1), "M3"))
	snap := ris.Snapshot()
	if snap.Duplicates != 1 || snap.Deliveries != 5 || len(snap.Messages) != 3 || snap.Messages[0].Deliveries != 3 || snap.Messages[0].Conflicts != 1 {
		t.Errorf("%+v", snap)
	}
	if len(snap.Anomalies) != 3 || len(ris.Duplicates()) != 1 {
		t.Errorf("%+v", snap.Anomalies)
	}
	if o, _ := ris.Order("A1"); len(o.Messages) != 1 {
		t.Errorf("a duplicate was applied again: %+v", o)
	}
	for _, id := range []string{"M4", "M5", "M6", "M7", "M8"} {
		tell(t, s, build(t, &p, orders.New, testOrder("B"+id, 1), id))
	}
	if snap := ris.Snapshot(); len(snap.Messages) != 5 || snap.Forgotten != 3 || snap.Messages[4].ControlID != "M8" {
		t.Errorf("%+v", snap)
	}
	ris.Forget()
	if snap := ris.Snapshot(); len(snap.Messages)+len(snap.Orders) != 0 {
		t.Errorf("%+v", snap)
	}
}

func TestStrict(t *testing.T) {
	_, addr := start(t, hl7sim.Config{Strict: true, MaxOrders: 1})
	p := orders.Profile{Name: "RIS", Address: addr}
	s := orders.NewSender(orders.SenderConfig{Profile: p})
	defer s.Close()
	for _, c := range []struct {
		ev        orders.Trigger
		accession string
		code      string
	}{{orders.Cancel, "A1", "204"}, {orders.New, "A1", ""}, {orders.New, "A1", "205"}, {orders.New, "A2", "207"}} {
		id := "M" + c.code + c.accession
		r, err := s.Send(t.Context(), build(t, &p, c.ev, testOrder(c.accession, 1), id)[0].Bytes)
		if err != nil || r.Code != c.code {
			t.Errorf("%v: %+v %v", c, r, err)
		}
	}
}

// Two steps of one order come in two messages, and are cancelled one by one.
func TestTwoSteps(t *testing.T) {
	ris, addr := start(t, hl7sim.Config{Strict: true})
	p := orders.Profile{Name: "RIS", Address: addr, SendADT: true}
	s := orders.NewSender(orders.SenderConfig{Profile: p})
	defer s.Close()
	o := testOrder("A1", 2)
	tell(t, s, buildStep(t, &p, orders.New, o, &o.Steps[0], "M1"))
	tell(t, s, buildStep(t, &p, orders.New, o, &o.Steps[1], "M2"))
	got, _ := ris.Order("A1")
	if len(got.Steps) != 2 || got.Changes != 0 || got.State != hl7sim.Ordered {
		t.Errorf("%+v", got)
	}
	tell(t, s, buildStep(t, &p, orders.Cancel, o, &o.Steps[0], "M3"))
	if got, _ := ris.Order("A1"); got.State != hl7sim.Ordered || got.Steps[0].State != hl7sim.Cancelled {
		t.Errorf("%+v", got)
	}
	tell(t, s, buildStep(t, &p, orders.Cancel, o, &o.Steps[1], "M4"))
	if got, _ := ris.Order("A1"); got.State != hl7sim.Cancelled {
		t.Errorf("%+v", got)
	}
	o.Content.Patient.Name = "Bello"
	tell(t, s, build(t, &p, orders.PatientUpdate, o, "M5"))
	if got, _ := ris.Order("A1"); got.PatientName != "Müller^Bello" {
		t.Errorf("%+v", got)
	}
	if a := ris.Snapshot().Anomalies; len(a) != 0 {
		t.Errorf("%+v", a)
	}
}

// A message that asks for it is answered CA, and AA over another connection.
func TestEnhancedMode(t *testing.T) {
	c := openClinic(t, mllp.ServerConfig{})
	ris, addr := start(t, hl7sim.Config{SendTo: c.addr, Timeout: long})
	p := orders.Profile{Name: "RIS", Address: addr, Timeout: long}
	s := orders.NewSender(orders.SenderConfig{Profile: p})
	defer s.Close()
	raw := build(t, &p, orders.New, testOrder("A1", 1), "M1")[0].Bytes
	header, rest, _ := bytes.Cut(raw, []byte("\r"))
	fields := bytes.Split(header, []byte("|"))
	for len(fields) < 16 {
		fields = append(fields, nil)
	}
	fields[14], fields[15] = []byte("AL"), []byte("AL")
	raw = append(append(bytes.Join(fields, []byte("|")), '\r'), rest...)
	if r, err := s.Send(t.Context(), raw); err != nil || r.Class != orders.Pending {
		t.Fatalf("%+v %v", r, err)
	}
	eventually(t, "the application acknowledgement", func() bool { return len(c.received()) == 1 })
	if in := c.received()[0]; in.Ack == nil || in.Ack.Code != hl7.AA || in.Ack.ControlID != "M1" {
		t.Errorf("%+v", in)
	}
	if m := ris.Messages()[0]; !slices.Equal(m.Answers, []string{"CA"}) {
		t.Errorf("%+v", m)
	}
}
