package appliance_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/hl7sim"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
	"github.com/rayhound/rayhound/ui"
)

// received lists what came through the HL7 port, newest first.
func (p *practice) received(outcome string) []ui.HL7Message {
	p.t.Helper()
	list, err := p.api.HL7Messages(p.t.Context(), ui.HL7Filter{Outcome: outcome, Limit: 1000})
	p.ok(err)
	return list
}

// sayings speaks to the port over a connection of its own, message by message.
func sayings(t *testing.T, address string) (say func(text string) (hl7.Ack, time.Duration)) {
	t.Helper()
	c := mllp.NewClient(mllp.ClientConfig{Address: address, Persistent: true, AnswerTimeout: patience})
	t.Cleanup(func() { _ = c.Close() })
	n := 0
	return func(text string) (hl7.Ack, time.Duration) {
		t.Helper()
		n++
		start := time.Now()
		answer, err := c.Send(t.Context(), fmt.Appendf(nil, "MSH|^~\\&|other|Clinic|||20261124||ORM^O01|GOOD%d|P|2.3.1\r%s\r", n, text), nil)
		if err != nil {
			t.Fatalf("a peer that does nothing wrong: %v", err)
		}
		a, err := hl7.ParseAck(answer, hl7.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return a, time.Since(start)
	}
}

// Whatever a RIS does wrong, the port says what is wrong, keeps the bytes, and
// goes on; a peer on another connection notices nothing.
func TestRISPortStandsEveryMisbehaviour(t *testing.T) {
	t.Parallel()
	p, sim := withRIS(t)
	o := p.becomes(p.request("X-ray"), order.Scheduled)
	p.holds(sim, o.AccessionNumber)
	say := sayings(t, p.hl7())
	good := func(after string) {
		t.Helper()
		a, took := say("ORC|SC|" + o.AccessionNumber + "|||SC\rOBR|1|" + o.AccessionNumber)
		if a.Code != hl7.AA || took > patience/4 {
			t.Errorf("after %s another peer got %s in %s", after, a.Code, took)
		}
	}
	good("nothing")
	want := map[hl7sim.FaultKind]string{ // the first answer, and what is kept of it as refused
		hl7sim.ByteOrderMark: "AA", hl7sim.TwoInOne: "AA", hl7sim.NoCR: "AA", hl7sim.NoStart: "AA", hl7sim.DoubleStart: "AA", hl7sim.NULs: "AA",
		hl7sim.Slow: "AA", hl7sim.WrongCharset: "AA", hl7sim.LargeDocument: "AA", hl7sim.SendTwice: "AA", hl7sim.Flood: "AA",
		hl7sim.NoEnd: "AR kept", hl7sim.HalfMessage: "AR kept", hl7sim.Garbage: "AR kept", hl7sim.WrongVersion: "AR kept", hl7sim.WrongType: "AR kept",
		hl7sim.HugeMessage: "AR kept",
	}
	for _, k := range hl7sim.Kinds() {
		if k.Side != hl7sim.Sending {
			continue
		}
		code, kept, known := "", false, want[k.Kind] != ""
		if !known {
			t.Errorf("nobody says what %s is answered", k.Kind)
			continue
		}
		code, kept = want[k.Kind][:2], strings.HasSuffix(want[k.Kind], "kept")
		before := len(p.received("refused"))
		_, err := sim.Inject(hl7sim.Fault{Kind: k.Kind, Count: 1})
		p.ok(err)
		m, err := sim.Unsolicited(hl7sim.Order{AccessionNumber: "NOBODYS-" + strings.ToUpper(string(k.Kind)), PatientName: "Müller^Bella"}, "Größe normal.", nil)
		p.ok(err)
		a, err := sim.Send(t.Context(), m)
		if string(a.Code) != code || code != "AA" && len(strings.Fields(a.Text)) < 3 {
			t.Errorf("%s is answered %s %q, %v", k.Kind, a.Code, a.Text, err)
		}
		list := p.received("refused")
		if (len(list) > before) != kept {
			t.Errorf("%s: %d refused messages are kept", k.Kind, len(list)-before)
		} else if kept {
			if list[0].Bytes == 0 || !list[0].Kept || list[0].Refused == "" || list[0].RIS != risName {
				t.Errorf("%s is kept as %+v", k.Kind, list[0])
			}
			t.Logf("%s: %s %q; kept %d bytes, %q", k.Kind, a.Code, a.Text, list[0].Bytes, list[0].Refused)
		}
		good(string(k.Kind))
	}
	if text := p.raised(problem.RISMessage, risName); text == "" {
		t.Error("nobody is told")
	}
	a, err := sim.Start(t.Context(), o.AccessionNumber)
	accepted(t, a, err)
	p.hasState(o, order.InProgress)
}

func (p *practice) hasState(o *order.Order, st order.State) {
	p.t.Helper()
	if got, err := p.api.Order(p.t.Context(), o.AccessionNumber); err != nil || got.State != st {
		p.t.Errorf("order %s is %s, want %s: %v", o.AccessionNumber, got.State, st, err)
	}
}

// While somebody floods the port, another RIS is answered.
func TestRISPortUnderAFlood(t *testing.T) {
	t.Parallel()
	p, sim := withRIS(t)
	o := p.becomes(p.request("X-ray"), order.Scheduled)
	p.holds(sim, o.AccessionNumber)
	say := sayings(t, p.hl7())
	say("ORC|SC|" + o.AccessionNumber + "|||SC\rOBR|1|" + o.AccessionNumber)
	m, err := sim.Unsolicited(hl7sim.Order{AccessionNumber: "FLOOD"}, "x", nil)
	p.ok(err)
	_, err = sim.Inject(hl7sim.Fault{Kind: hl7sim.Flood, Size: 400, Count: 3})
	p.ok(err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range 3 {
			_, _ = sim.Send(ctx, m) // some of its connections are not taken
		}
	}()
	var worst time.Duration
	n := 0
	for going := true; going; n++ {
		select {
		case <-ended:
			going = false
		default:
		}
		a, took := say("ORC|SC|" + o.AccessionNumber + "|||SC\rOBR|1|" + o.AccessionNumber)
		if a.Code != hl7.AA {
			t.Fatalf("%+v", a)
		}
		worst = max(worst, took)
	}
	t.Logf("%d answers during the flood, the slowest in %s", n, worst)
	p.listed(xray, p.request("X-ray"))
}

// Names reach each RIS in its character set, and where a letter was replaced the
// order says so.
func TestNamesReachTheRIS(t *testing.T) {
	t.Parallel()
	readers := []struct {
		charset, msh18, owner, pet string
	}{
		{"UNICODE UTF-8", "UNICODE UTF-8", `Jäger ß ł Я 日本 |^~\&`, `Bel|la ^~\& Łapka II`},
		{"8859/1", "8859/1", `Jäger ß l Ia ?? |^~\&`, `Bel|la ^~\& Lapka II`},
		{"ASCII", "", `Jaeger ss l Ia ?? |^~\&`, `Bel|la ^~\& Lapka II`},
	}
	for name, set := range map[string]func(*config.RIS){
		"ORM 2.3.1": func(*config.RIS) {},
		"ORM 2.4":   func(r *config.RIS) { r.Version = "2.4" },
		"OMG":       func(r *config.RIS) { r.Version, r.Message = "2.5.1", "OMG^O19" },
		"OMI":       func(r *config.RIS) { r.Version, r.Message = "2.5.1", "OMI^O23" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sims []*hl7sim.RIS
			var addresses []string
			for range readers {
				sim, address := standRIS(t)
				sims, addresses = append(sims, sim), append(addresses, address)
			}
			i := 0
			p := sendingTo(t, func(r *config.RIS) { set(r); r.Charset, i = readers[i].charset, i+1 }, addresses...)
			p.sim.UpdatePatient(bello, func(x *provetsim.Patient) { x.Name = "Bel|la ^~\\& Łapka\rII" })
			x, _ := p.sim.Patient(bello)
			p.sim.RenameClient(x.ClientID, readers[0].owner)
			id := p.sim.CreateOrder(provetsim.NewOrder{Modality: "X-ray", Remarks: "Zwei ß\r|Aufnahmen| \\X0D\\"})
			o := p.becomes(id, order.Scheduled)
			var story []string
			for _, e := range p.detail(o.AccessionNumber).Timeline {
				story = append(story, e.Text)
			}
			for i, r := range readers {
				p.hears(sims[i], o.AccessionNumber, "NW")
				m, err := hl7.Parse(sims[i].Messages()[0].Raw, hl7.Options{Default: "ASCII"})
				p.ok(err)
				if m.Get("PID-5.1") != r.owner || m.Get("PID-5.2") != r.pet || m.Get("MSH-18") != r.msh18 || m.Get("PID-8.1") == "" {
					t.Errorf("%s: %q %q %q", r.charset, m.Text("PID-5"), m.Get("MSH-18"), m.Text("PID"))
				}
				if got := m.Get("NTE-3"); !strings.Contains(got, "\n|Aufnahmen| \\X0D\\") {
					t.Errorf("%s: remarks %q", r.charset, got)
				}
				said := slices.ContainsFunc(story, func(l string) bool { return strings.HasPrefix(l, fmt.Sprintf("For ris%d ", i+1)) })
				if said != (i > 0) {
					t.Errorf("%s: its letters are told of: %v\n%s", r.charset, said, strings.Join(story, "\n"))
				}
				quiet(t, sims[i])
			}
			contains(t, strings.Join(story, "\n"), "For ris2 ł is written as l (PID-5", "For ris3 ä is written as ae (PID-5", "ß is written as ss", "Я is written as Ia", "日 is written as ?")
		})
	}
}

// An order that a person holds is told to nobody; the RIS hears of what it is when
// it is released.
func TestRISHearsNothingOfAHeldOrder(t *testing.T) {
	t.Parallel()
	sim, address := standRIS(t)
	p := sendingTo(t, nil, address)
	id := p.request("X-ray")
	o := p.becomes(id, order.Scheduled)
	p.hears(sim, o.AccessionNumber, "NW")
	p.upstream(id, "scheduled")
	p.act(o.AccessionNumber, ui.Suspend, order.Held)
	p.remark(id, "left leg")
	p.until("the change should be stored", func() error {
		if x, _ := p.order(id); x.Revision < 2 {
			return fmt.Errorf("revision %d", x.Revision)
		}
		return nil
	})
	p.hears(sim, o.AccessionNumber, "NW")
	p.act(o.AccessionNumber, ui.Release, order.Scheduled)
	p.hears(sim, o.AccessionNumber, "NW", "XO")
	quiet(t, sim)
}

// The gap between an answer and the next message is kept, and one message is in
// flight at a time.
func TestRISGetsItsGap(t *testing.T) {
	t.Parallel()
	sim, address := standRIS(t)
	if _, err := sim.Inject(hl7sim.Fault{Kind: hl7sim.Gap, Delay: 300 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	p := sendingTo(t, func(r *config.RIS) { r.MinGap = config.Duration(320 * time.Millisecond) }, address)
	var orders []*order.Order
	for range 4 {
		orders = append(orders, p.becomes(p.request("X-ray"), order.Scheduled))
	}
	for _, o := range orders {
		p.hears(sim, o.AccessionNumber, "NW")
	}
	for _, m := range sim.Messages() {
		if m.Deliveries != 1 {
			t.Errorf("%s came %d times", m.ControlID, m.Deliveries)
		}
	}
	quiet(t, sim)
}

// answered is what becomes of a message that a RIS answers in some way, once: the
// state it ends in, the notice, how often it came, and whether it was unknown for
// a while what became of it.
type answered struct {
	state   string
	notice  problem.Code
	came    int
	unknown bool
}

var taken = answered{state: "delivered", came: 1}

// outcomes is every misbehaviour of a RIS that answers.
var outcomes = map[hl7sim.FaultKind]answered{
	hl7sim.LateAck: {"delivered", "", 2, true}, hl7sim.NeverAck: {"delivered", "", 2, true}, hl7sim.CloseAfterRead: {"delivered", "", 2, true},
	hl7sim.LoseAnswer: {"delivered", "", 2, true}, hl7sim.HalfFrame: {"delivered", "", 2, true}, hl7sim.GarbageAck: {"delivered", "", 2, true},
	hl7sim.HugeAck: {"delivered", "", 2, true}, hl7sim.WrongID: {"delivered", "", 2, true}, hl7sim.EmptyID: {"delivered", "", 2, true},
	hl7sim.CutID: {"delivered", "", 2, true}, hl7sim.SlowConnection: {"delivered", "", 1, true},
	hl7sim.Internal207: {"delivered", "", 2, false}, hl7sim.ErrorPlain: {"delivered", "", 2, false}, hl7sim.RefuseConnection: {"delivered", "", 1, true},
	hl7sim.Error101: {"parked", problem.RISRefused, 1, false}, hl7sim.RejectPlain: {"parked", problem.RISRefused, 1, false},
	hl7sim.Unable:      {"delivered", problem.RISRefused, 1, false},
	hl7sim.DoubleFrame: taken, hl7sim.DoubleAck: taken, hl7sim.OldAckFirst: taken, hl7sim.CommitElsewhere: taken, hl7sim.CommitSame: taken,
	hl7sim.AcceptWithError: taken, hl7sim.AsOrder: taken, hl7sim.AsMCF: taken, hl7sim.OldVersion: taken, hl7sim.LFAck: taken, hl7sim.SplitAck: taken,
	hl7sim.NoEndAck: taken, hl7sim.CloseAfterAck: taken, hl7sim.Gap: taken, hl7sim.GapReject: taken,
}

// One appliance and a RIS for each way to answer badly: each message ends where it
// should, and none is counted as delivered by the answer to another.
func TestRISAnswersInEveryWay(t *testing.T) {
	t.Parallel()
	for _, resend := range []bool{true, false} {
		t.Run(fmt.Sprint("resend ", resend), func(t *testing.T) {
			t.Parallel()
			var kinds []hl7sim.FaultKind
			var sims []*hl7sim.RIS
			var addresses []string
			for _, k := range hl7sim.Kinds() {
				if k.Side != hl7sim.Answering {
					continue
				}
				sim, address := standRIS(t)
				f := hl7sim.Fault{Kind: k.Kind, Count: 1}
				if k.Kind == hl7sim.LateAck {
					f.Delay = 1500 * time.Millisecond
				}
				if _, err := sim.Inject(f); err != nil {
					t.Fatal(err)
				}
				kinds, sims, addresses = append(kinds, k.Kind), append(sims, sim), append(addresses, address)
			}
			p := sendingTo(t, func(r *config.RIS) { r.Resend, r.Timeout = resend, config.Duration(time.Second) }, addresses...)
			for _, sim := range sims {
				sim.SetSendTo(p.hl7())
			}
			acc := p.becomes(p.request("X-ray"), order.Scheduled).AccessionNumber
			for i, k := range kinds {
				want, known := outcomes[k]
				if !known {
					t.Errorf("nobody says what becomes of %s", k)
				}
				if k == hl7sim.RefuseConnection && !resend {
					continue // known or not, as the reset comes before the message was written or after
				}
				if want.unknown && !resend {
					want.state, want.notice, want.came = "parked", problem.RISUnsure, 1
					if k == hl7sim.SlowConnection { // it was never read, which we cannot know
						want.came = 0
					}
				}
				dest := fmt.Sprint("ris:ris", i+1)
				p.until(fmt.Sprintf("%s: the message should be %s", k, want.state), func() error {
					all, err := p.api.Outbox(t.Context(), ui.OutboxFilter{Destination: dest, All: true})
					if err != nil {
						return err
					}
					if len(all) != 1 || all[0].State != want.state {
						if len(all) == 1 && all[0].State == "ready" {
							_, _ = p.api.RetryOutbox(t.Context(), dest) // not after five seconds
						}
						return fmt.Errorf("%+v", all)
					}
					return nil
				})
				ms := sims[i].Messages()
				came := 0
				for _, m := range ms {
					if came += m.Deliveries; m.Conflicts > 0 {
						t.Errorf("%s: other bytes with one control id", k)
					}
				}
				if came != want.came {
					t.Errorf("%s: it came %d times, want %d", k, came, want.came)
				}
				got := problem.Code("")
				for _, n := range p.detail(acc).Notices {
					if n.Args["ris"] == fmt.Sprint("ris", i+1) {
						got = problem.Code(n.Code)
					}
				}
				if got != want.notice {
					t.Errorf("%s: the order says %q, want %q", k, got, want.notice)
				}
			}
		})
	}
}

// Sending and listening do not stop each other.
func TestOneSideOfHL7Stops(t *testing.T) {
	t.Parallel()
	p, sim := withRIS(t)
	id := p.request("X-ray")
	acc := p.becomes(id, order.Scheduled).AccessionNumber
	p.holds(sim, acc)
	p.ok(p.api.PauseDestination(t.Context(), "ris:"+risName, "test"))
	a, err := sim.Start(t.Context(), acc)
	accepted(t, a, err)
	p.becomes(id, order.InProgress)
	p.ok(p.api.ResumeDestination(t.Context(), "ris:"+risName))
	p.settings.HL7.Listen = config.Names{"203.0.113.1:2575"} // nobody's: the port cannot be opened
	p.stop()
	p.start()
	p.raised(problem.RISPort, "203.0.113.1:2575")
	p.holds(sim, p.becomes(p.request("X-ray"), order.Scheduled).AccessionNumber)
}

// Orders go to a RIS over TLS when its certificate is the pinned one, and wait when
// it is another.
func TestRISHearsOverTLS(t *testing.T) {
	t.Parallel()
	cert, key, fingerprint := ownCertificate(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	stand := func() (*hl7sim.RIS, string) {
		sim, err := hl7sim.New(hl7sim.Config{Strict: true, Timeout: patience})
		if err != nil {
			t.Fatal(err)
		}
		var lc net.ListenConfig
		ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		ended := make(chan error, 1)
		go func() {
			ended <- sim.Serve(ctx, tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}))
		}()
		t.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		return sim, ln.Addr().String()
	}
	trusted, address := stand()
	other, otherAddress := stand()
	p := sendingTo(t, func(r *config.RIS) {
		r.TLS, r.TLSPin = true, config.Names{fingerprint}
		if r.Name == "ris2" {
			r.TLSPin = config.Names{strings.Repeat("ab", 32)}
		}
	}, address, otherAddress)
	o := p.becomes(p.request("X-ray"), order.Scheduled)
	p.hears(trusted, o.AccessionNumber, "NW")
	p.until("RH-401", func() error {
		all, err := p.api.Problems(t.Context(), true)
		if !slices.ContainsFunc(all, func(x problem.Problem) bool { return x.Code == problem.RISUnreachable && x.Subject == "ris2" }) {
			return fmt.Errorf("%+v", all)
		}
		return err
	})
	if n := len(other.Messages()); n != 0 {
		t.Errorf("a RIS with another certificate got %d messages", n)
	}
	quiet(t, trusted)
}
