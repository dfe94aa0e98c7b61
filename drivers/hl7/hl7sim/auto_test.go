package hl7sim_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/hl7sim"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"
	"github.com/rayhound/rayhound/drivers/hl7/orders"
)

// meanings are what our side makes of the messages of the RIS, in order.
func (c *clinic) meanings() []orders.Meaning {
	var out []orders.Meaning
	for _, in := range c.received() {
		for _, r := range in.Reports {
			out = append(out, r.Meaning)
		}
	}
	return out
}

// Whatever type tells it, our side understands every status, and of which order.
func TestStatusIsUnderstood(t *testing.T) {
	for _, config := range []hl7sim.Config{
		{},
		{Version: "2.4"},
		{Message: hl7sim.OMG, Version: "2.5.1"},
		{Message: hl7sim.OMI, Version: "2.5.1"},
		{Message: hl7sim.ORU, Version: "2.5"},
		{Message: hl7sim.ORR},
		{Charset: "8859/1"},
	} {
		t.Run(config.Message+config.Version+config.Charset, func(t *testing.T) {
			c := openClinic(t, mllp.ServerConfig{})
			config.Timeout = long
			ris := reporting(t, c, config)
			ctx := t.Context()
			report := func(text string) func(context.Context, string) (hl7sim.Answer, error) {
				return func(ctx context.Context, a string) (hl7sim.Answer, error) {
					return ris.Report(ctx, a, text, []byte("%PDF-1.4 x"))
				}
			}
			for _, step := range []struct {
				do      func(context.Context, string) (hl7sim.Answer, error)
				meaning orders.Meaning
				event   order.Event
				state   hl7sim.State
			}{
				{ris.Number, orders.Numbered, "", hl7sim.Ordered},
				{ris.Schedule, orders.Scheduled, "", hl7sim.Scheduled},
				{ris.Start, orders.Started, order.StepStarted, hl7sim.Started},
				{ris.Complete, orders.Acquired, order.StepCompleted, hl7sim.Completed},
				{report("Größe normal.\nNo findings."), orders.Reported, order.StepCompleted, hl7sim.Reported},
				{ris.Cancel, orders.Cancelled, order.Withdrawn, hl7sim.Cancelled},
			} {
				if a, err := step.do(ctx, "A1"); err != nil || !a.Accepted() {
					t.Fatalf("%s: %+v %v", step.meaning, a, err)
				}
				all := c.received()
				in := all[len(all)-1]
				if len(in.Reports) != 1 {
					t.Fatalf("%s: %+v", step.meaning, in.Reports)
				}
				o, _ := ris.Order("A1")
				r := in.Reports[0]
				if r.Meaning != step.meaning || r.Event != step.event || r.AccessionNumber != "A1" || r.FillerOrderNumber != o.FillerOrderNumber ||
					r.StudyInstanceUID != o.Steps[0].StudyInstanceUID || r.ScheduledProcedureStepID != o.Steps[0].ID || o.State != step.state {
					t.Errorf("%s: %+v, %s", step.meaning, r, o.State)
				}
				if step.meaning == orders.Reported && (r.Text != "Größe normal.\nNo findings." || len(r.Documents) != 1 || string(r.Documents[0].Data) != "%PDF-1.4 x") {
					t.Errorf("%q %+v", r.Text, r.Documents)
				}
			}
			if s := ris.Snapshot().Sent; len(s) != 6 || s[0].Code != "AA" || s[0].Control != "SN" || s[0].AccessionNumber != "A1" || s[0].Tries != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestCorrectionsAndRefusals(t *testing.T) {
	c := openClinic(t, mllp.ServerConfig{})
	ris := reporting(t, c, hl7sim.Config{Timeout: long})
	ctx := t.Context()
	if _, err := ris.Preliminary(ctx, "A1", "First look."); err != nil {
		t.Error(err)
	}
	if _, err := ris.Correct(ctx, "A1", "Left, not right.", nil); err != nil {
		t.Error(err)
	}
	if _, err := ris.Refuse(ctx, "A1", "No room."); err != nil {
		t.Error(err)
	}
	if _, err := ris.Discontinue(ctx, "A1"); err != nil {
		t.Error(err)
	}
	all := c.received()
	if r := all[0].Reports[0]; r.Event == order.StepCompleted || r.Text != "First look." {
		t.Errorf("%+v", r)
	}
	if r := all[1].Reports[0]; !r.Correction || r.Text != "Left, not right." {
		t.Errorf("%+v", r)
	}
	if r := all[2].Reports[0]; r.Kind != orders.KindRefusal || r.Control != "UA" {
		t.Errorf("%+v", r)
	}
	if _, err := ris.Start(ctx, "A9"); !errors.Is(err, hl7sim.ErrUnknownOrder) {
		t.Error(err)
	}
	ris.SetSendTo("")
	if _, err := ris.Start(ctx, "A1"); !errors.Is(err, hl7sim.ErrNowhere) {
		t.Error(err)
	}
	unknown, err := ris.Unsolicited(hl7sim.Order{AccessionNumber: "NOBODY"}, "Of whom?", nil)
	if err != nil || !bytes.Contains(unknown, []byte("|NOBODY|")) {
		t.Errorf("%q %v", unknown, err)
	}
}

func TestAuto(t *testing.T) {
	c := openClinic(t, mllp.ServerConfig{})
	_, addr := start(t, hl7sim.Config{SendTo: c.addr, Timeout: long, Auto: &hl7sim.Auto{Number: true, PDF: []byte("%PDF-1.4")}})
	p := orders.Profile{Name: "RIS", Address: addr}
	s := orders.NewSender(orders.SenderConfig{Profile: p})
	defer s.Close()
	m := build(t, &p, orders.New, testOrder("A1", 1), "M1")
	tell(t, s, m)
	tell(t, s, m) // a duplicate begins nothing
	want := []orders.Meaning{orders.Numbered, orders.Scheduled, orders.Started, orders.Acquired, orders.Reported}
	eventually(t, "the report", func() bool { return len(c.meanings()) == len(want) })
	if got := c.meanings(); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

// Where the machines report to us, the RIS hears of the exam from elsewhere.
func TestAutoReportsWhenTheExamIsDone(t *testing.T) {
	c := openClinic(t, mllp.ServerConfig{})
	ris, addr := start(t, hl7sim.Config{SendTo: c.addr, Timeout: long, Auto: &hl7sim.Auto{Start: -1}})
	inject(t, ris, hl7sim.Fault{Kind: hl7sim.DoubleFrame}) // an order is worked on whatever became of the answer
	p := orders.Profile{Name: "RIS", Address: addr}
	s := orders.NewSender(orders.SenderConfig{Profile: p})
	defer s.Close()
	tell(t, s, build(t, &p, orders.New, testOrder("A1", 1), "M1"))
	eventually(t, "the schedule", func() bool { return len(c.meanings()) == 1 })
	if err := ris.ExamDone("A1"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the report", func() bool { return slices.Equal(c.meanings(), []orders.Meaning{orders.Scheduled, orders.Reported}) })
	if err := ris.ExamDone("A9"); !errors.Is(err, hl7sim.ErrUnknownOrder) {
		t.Error(err)
	}
	// An order that was cancelled is not worked on.
	tell(t, s, build(t, &p, orders.New, testOrder("A2", 1), "M2"))
	eventually(t, "the schedule", func() bool { return len(c.meanings()) == 3 })
	tell(t, s, build(t, &p, orders.Cancel, testOrder("A2", 1), "M3"))
	if err := ris.ExamDone("A2"); err != nil {
		t.Fatal(err)
	}
	if o, _ := ris.Order("A2"); o.State != hl7sim.Cancelled {
		t.Errorf("%+v", o)
	}
}

// A RIS tries again with the same bytes until it is heard.
func TestTriesAgain(t *testing.T) {
	c := openClinic(t, mllp.ServerConfig{})
	ris := reporting(t, c, hl7sim.Config{Timeout: long, Tries: 5, RetryAfter: time.Millisecond})
	inject(t, ris, hl7sim.Fault{Kind: hl7sim.HalfMessage, Count: 1})
	if a, err := ris.Schedule(t.Context(), "A1"); !errors.Is(err, hl7sim.ErrRefused) || a.Code != hl7.AR { // a rejection is final
		t.Errorf("%+v %v", a, err)
	}
	ris.SetSendTo("127.0.0.1:1")
	if _, err := ris.Schedule(t.Context(), "A1"); !errors.Is(err, hl7sim.ErrNoAnswer) {
		t.Error(err)
	}
	sent := ris.Snapshot().Sent
	if last := sent[len(sent)-1]; last.Tries != 5 || last.Code != "" {
		t.Errorf("%+v", last)
	}
}

// The application acknowledgement of a message that was answered CA comes to our
// listener, over another connection, and is not answered.
func TestCommitThenApplication(t *testing.T) {
	c := openClinic(t, mllp.ServerConfig{})
	ris, addr := start(t, hl7sim.Config{SendTo: c.addr, Timeout: long})
	inject(t, ris, hl7sim.Fault{Kind: hl7sim.CommitElsewhere})
	p := orders.Profile{Name: "RIS", Address: addr}
	s := orders.NewSender(orders.SenderConfig{Profile: p})
	defer s.Close()
	r, err := s.Send(t.Context(), build(t, &p, orders.New, testOrder("A1", 1), "M1")[0].Bytes)
	if err != nil || r.Class != orders.Pending {
		t.Fatalf("%+v %v", r, err)
	}
	eventually(t, "the application acknowledgement", func() bool { return len(c.received()) == 1 })
	in := c.received()[0]
	if in.Ack == nil || in.Ack.ControlID != "M1" || in.AckClass.Class != orders.Delivered || in.Answer != nil || in.Refused != "" {
		t.Errorf("%+v", in)
	}
}

// The log of a RIS names nobody.
func TestProgressNamesNobody(t *testing.T) {
	var mu sync.Mutex
	var lines []hl7sim.Event
	c := openClinic(t, mllp.ServerConfig{})
	ris := reporting(t, c, hl7sim.Config{Timeout: long, Progress: func(e hl7sim.Event) { mu.Lock(); defer mu.Unlock(); lines = append(lines, e) }})
	if _, err := ris.Report(t.Context(), "A1", "Of Bella.", nil); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(lines) != 2 || lines[0].Kind != hl7sim.Received || lines[0].Control != "NW" || lines[0].Code != "AA" || lines[1].Kind != hl7sim.Answered || lines[1].Control != "RE" {
		t.Errorf("%+v", lines)
	}
	for _, e := range lines {
		if e.AccessionNumber != "A1" || strings.Contains(e.Text, "Bella") {
			t.Errorf("%+v", e)
		}
	}
}
