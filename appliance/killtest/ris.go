package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/drivers/hl7/hl7sim"
)

// ris is a RIS of the clinic, with the people who work there.
type ris struct {
	t        *trial
	sim      *hl7sim.RIS
	settings config.RIS
	rng      *rand.Rand  // of its weather
	lost     chan string // an answer about that order was lost

	mu   sync.Mutex
	said []saying
}

// saying is something that the RIS said and that was accepted (AA).
type saying struct {
	id        string // MSH-10
	accession string
	what      string
	evidence  bool // it belongs into the ledger
	text      bool // with a report
	pdf       bool // and a document
}

// openRIS starts two RIS: one takes changes (XO), the other wants a cancel and a
// new order (CA+NW), serves half of the modalities and hears of the animals.
func (t *trial) openRIS(ctx context.Context) error {
	a := config.NewRIS()
	a.Name, a.Version, a.Message, a.Update = "changing", "2.4", "ORM^O01", "XO"
	b := config.NewRIS()
	b.Name, b.Version, b.Message, b.Update = "replacing", "2.5.1", "OMG^O19", "CA+NW"
	switch t.o.seed % 3 {
	case 1:
		b.Message = "OMI^O23"
	case 2:
		b.Version, b.Message = "2.3.1", "ORM^O01"
	}
	b.SendADT = true
	for i, m := range t.sim.Modalities() {
		if i%2 == 0 {
			b.Serves = append(b.Serves, m.Name)
		}
	}
	for i, s := range []config.RIS{a, b} {
		s.Resend, s.Timeout = true, config.Duration(time.Second)
		s.ReceivingApplication, s.ReceivingFacility = strings.ToUpper(s.Name), "Clinic"
		r := &ris{t: t, settings: s, lost: make(chan string), rng: dice(t.o.seed, "weather of "+s.Name)}
		var err error
		r.sim, err = hl7sim.New(hl7sim.Config{
			Application: s.ReceivingApplication, Facility: s.ReceivingFacility, SendTo: t.hl7, Strict: true,
			AnswerOrders: i == 1, Seed: uint64(t.o.seed), Timeout: 2 * time.Second, Tries: 1 << 20, RetryAfter: 40 * time.Millisecond,
			Progress: r.progress,
		})
		if err != nil {
			return err
		}
		ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // lives until close
		if err != nil {
			return err
		}
		r.settings.Address = ln.Addr().String()
		t.wg.Go(func() { _ = r.sim.Serve(ctx, ln) }) // ends with ctx
		t.ris = append(t.ris, r)
	}
	return nil
}

// progress hears of every message before it is answered.
func (r *ris) progress(e hl7sim.Event) {
	if e.Kind != hl7sim.Received {
		return
	}
	r.t.aim(aimTold)
	if e.Fault == hl7sim.LoseAnswer {
		select {
		case r.lost <- e.AccessionNumber:
		default:
		}
	}
}

// latest returns the orders of the last messages.
func (r *ris) latest(n int) (list []string) {
	all := r.sim.Messages()
	for _, m := range all[max(0, len(all)-n):] {
		list = append(list, m.AccessionNumber)
	}
	return list
}

// dark takes the RIS off the network for a while.
func (r *ris) dark(ctx context.Context, d time.Duration) {
	r.sim.Unplug()
	pause(ctx, d)
	r.sim.Plug()
}

// serves reports whether orders of a modality go to the RIS.
func (r *ris) serves(modality string) bool {
	if len(r.settings.Serves) == 0 {
		return true
	}
	for _, s := range r.settings.Serves {
		if s == modality {
			return true
		}
	}
	return false
}

// weather brings faults of the RIS until ctx ends. Some answers are lost all the
// time, after the message was taken.
func (r *ris) weather(ctx context.Context) {
	steady := []hl7sim.Fault{
		{Kind: hl7sim.LoseAnswer, Rate: 0.06},
		{Kind: hl7sim.SendTwice, Rate: 0.05},
	}
	showers := []hl7sim.Fault{
		{Kind: hl7sim.LateAck, Count: 2, Delay: 150 * time.Millisecond},
		{Kind: hl7sim.LateAck, Count: 1, Delay: 1300 * time.Millisecond}, // later than anybody waits
		{Kind: hl7sim.LoseAnswer, Count: 1},
		{Kind: hl7sim.CloseAfterRead, Count: 1},
		{Kind: hl7sim.HalfFrame, Count: 1},
		{Kind: hl7sim.DoubleAck, Count: 2},
		{Kind: hl7sim.OldAckFirst, Count: 1},
		{Kind: hl7sim.CloseAfterAck, Count: 2},
		{Kind: hl7sim.RefuseConnection, Count: 1},
	}
	inject := func(f hl7sim.Fault) {
		if _, err := r.sim.Inject(f); err != nil {
			r.t.book.violate("ris: %v", err)
		}
	}
	for _, f := range steady {
		inject(f)
	}
	for pause(ctx, time.Duration(300+r.rng.IntN(1200))*time.Millisecond) {
		switch r.rng.IntN(8) {
		case 0, 1:
			r.dark(ctx, time.Duration(50+r.rng.IntN(400))*time.Millisecond)
			continue
		case 2, 3: // it took a message, does not say so, and is gone while the order changes
			inject(hl7sim.Fault{Kind: hl7sim.LoseAnswer, Count: 1})
			select {
			case accession := <-r.lost:
				r.sim.Unplug()
				r.t.people.touch(accession)
				r.dark(ctx, time.Duration(500+r.rng.IntN(700))*time.Millisecond)
			case <-time.After(500 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		inject(showers[r.rng.IntN(len(showers))])
	}
	r.sim.Plug()
	r.sim.ClearFaults()
}

// work tells statuses and sends reports until load ends. What is not answered is
// sent again, the same bytes, also after that.
func (r *ris) work(load, ctx context.Context, rng *rand.Rand) { //nolint:revive // both are contexts
	for n := 1; pause(load, time.Duration(rng.ExpFloat64()*float64(4*r.t.o.every))); n++ {
		list := r.latest(60)
		if len(list) == 0 {
			continue
		}
		o, ok := r.sim.Order(list[rng.IntN(len(list))])
		id, err := strconv.Atoi(o.AccessionNumber)
		if !ok || err != nil || o.State == hl7sim.Cancelled || o.State == hl7sim.Discontinued {
			continue
		}
		r.t.talking.Add(1)
		r.t.aim(aimSaid)
		r.say(ctx, o, r.t.sim.Status(id), rng)
		r.t.talking.Add(-1)
	}
}

// say says one thing about an order. Reports are about what was imaged.
func (r *ris) say(ctx context.Context, o hl7sim.Order, upstream string, rng *rand.Rand) {
	s := saying{accession: o.AccessionNumber}
	var a hl7sim.Answer
	var err error
	n := rng.IntN(10)
	text, pdf := "Report "+strconv.Itoa(rng.IntN(1e9))+" of "+r.settings.Name, []byte(nil)
	if rng.IntN(3) == 0 {
		pdf = []byte("%PDF-1.4\n% " + text + "\n%%EOF\n")
	}
	switch imaged := upstream == "done" || upstream == "in_progress"; {
	case o.State == hl7sim.Reported && n < 3:
		s.what, s.evidence, s.text, s.pdf = "correction", false, true, pdf != nil
		a, err = r.sim.Correct(ctx, s.accession, text, pdf)
	case imaged && n < 2:
		s.what, s.text = "preliminary report", true
		a, err = r.sim.Preliminary(ctx, s.accession, text)
	case imaged && n < 7 && o.State != hl7sim.Reported:
		s.what, s.evidence, s.text, s.pdf = "report", true, true, pdf != nil
		a, err = r.sim.Report(ctx, s.accession, text, pdf)
	case o.State == hl7sim.Ordered && n < 5:
		s.what = "number"
		a, err = r.sim.Number(ctx, s.accession)
	case o.State == hl7sim.Ordered:
		s.what = "scheduled"
		a, err = r.sim.Schedule(ctx, s.accession)
	case o.State == hl7sim.Scheduled && upstream == "scheduled" && n < 2:
		s.what, s.evidence = "started", true
		a, err = r.sim.Start(ctx, s.accession)
	default:
		return
	}
	switch {
	case errors.Is(err, hl7sim.ErrRefused):
		r.t.book.violate("hl7 refused: %s of order %s (%s): %s %s", s.what, s.accession, a.ControlID, a.Code, a.Text)
	case err == nil:
		s.id = a.ControlID
		r.mu.Lock()
		r.said = append(r.said, s)
		r.mu.Unlock()
	}
}

// sayings returns what was said and accepted.
func (r *ris) sayings() []saying {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]saying(nil), r.said...)
}

// nurse tells the program to try again what waits for a RIS that did not answer,
// as a person would who does not want to wait.
func (t *trial) nurse(ctx context.Context) {
	for pause(ctx, 300*time.Millisecond) {
		c, err := t.client()
		if err != nil {
			continue
		}
		for _, r := range t.ris {
			_, _ = c.RetryOutbox(ctx, "ris:"+r.settings.Name) // it may be down
		}
	}
}

// risSettings are those of the RIS.
func (t *trial) risSettings(f *config.File) {
	f.HL7.Listen = config.Names{t.hl7}
	for _, r := range t.ris {
		f.RIS = append(f.RIS, r.settings)
	}
}

// codeOf returns the DICOM modality of a modality of Provet Cloud.
func (t *trial) codeOf(modality string) string {
	for i, m := range t.sim.Modalities() {
		if m.Name == modality {
			return machines[i%len(machines)].code
		}
	}
	return ""
}
