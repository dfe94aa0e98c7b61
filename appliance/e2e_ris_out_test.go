package appliance_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/dicomsim"
	"github.com/rayhound/rayhound/drivers/hl7/hl7sim"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
	"github.com/rayhound/rayhound/ui"
)

// standRIS starts a simulated RIS; it ends with the test.
func standRIS(t *testing.T) (sim *hl7sim.RIS, address string) {
	t.Helper()
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
	go func() { ended <- sim.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return sim, ln.Addr().String()
}

// sendingTo opens a practice that sends to these addresses, as RIS ris1, ris2 ...
func sendingTo(t *testing.T, change func(*config.RIS), addresses ...string) *practice {
	t.Helper()
	return open(t, asItComes, setup{settings: func(f *config.File) {
		for i, a := range addresses {
			r := config.NewRIS()
			r.Name, r.Address = fmt.Sprintf("ris%d", i+1), a
			if change != nil {
				change(&r)
			}
			f.RIS = append(f.RIS, r)
		}
		f.HL7.Listen = config.Names{"127.0.0.1:0"}
	}})
}

// heard returns the order control codes that a RIS heard of an order.
func heard(sim *hl7sim.RIS, accession string) (codes []string) {
	for _, m := range sim.Messages() {
		if m.AccessionNumber == accession {
			codes = append(codes, m.Control)
		}
	}
	return codes
}

// hears waits until a RIS has heard exactly these codes of an order.
func (p *practice) hears(sim *hl7sim.RIS, accession string, codes ...string) {
	p.t.Helper()
	p.until(fmt.Sprintf("the RIS should hear %v of order %s", codes, accession), func() error {
		if got := heard(sim, accession); !slices.Equal(got, codes) {
			return fmt.Errorf("it heard %v", got)
		}
		return nil
	})
}

// quiet fails the test when a RIS saw what no sender should do.
func quiet(t *testing.T, sim *hl7sim.RIS) {
	t.Helper()
	if s := sim.Snapshot(); len(s.Anomalies) > 0 || s.Unreadable > 0 {
		t.Errorf("the RIS complains: %+v, %d unreadable", s.Anomalies, s.Unreadable)
	}
}

func (p *practice) remark(id int, text string) {
	p.t.Helper()
	p.sim.UpdateOrder(id, func(o *provetsim.Order) { o.Remarks = text })
}

// An order as a RIS hears of it, from the webhooks of its creation to its end.
func TestRISHearsOfAnOrder(t *testing.T) {
	t.Parallel()
	for update, changed := range map[string][]string{"XO": {"XO"}, "CA+NW": {"CA", "NW"}, "RP": {"RP"}} {
		t.Run(update, func(t *testing.T) {
			t.Parallel()
			sim, address := standRIS(t)
			p := sendingTo(t, func(r *config.RIS) { r.Update = update }, address)
			id := p.request("X-ray") // created and updated at once: Provet Cloud signals both
			p.ok(p.app.Load().Signal(t.Context(), fmt.Sprint(id), "webhook"))
			acc := p.becomes(id, order.Scheduled).AccessionNumber
			want := []string{"NW"}
			p.hears(sim, acc, want...)
			p.remark(id, "left leg")
			want = append(want, changed...)
			p.hears(sim, acc, want...)
			p.sim.SetStatus(id, "cancelled")
			p.becomes(id, order.Cancelled)
			want = append(want, "CA")
			p.hears(sim, acc, want...)
			p.sim.SetStatus(id, "new")
			p.becomes(id, order.Scheduled)
			want = append(want, "NW")
			p.hears(sim, acc, want...)
			_, err := p.machine(xray).Perform(t.Context(), p.listed(xray, id), dicomsim.Options{Discontinue: &dicomsim.Reason{}})
			p.ok(err)
			p.becomes(id, order.Discontinued)
			p.hears(sim, acc, append(want, "DC")...)
			quiet(t, sim)
		})
	}
}

// While a RIS is down its messages wait, are overtaken by what comes after them,
// and arrive in order.
func TestRISComesBack(t *testing.T) {
	t.Parallel()
	sim, address := standRIS(t)
	p := sendingTo(t, nil, address)
	first := p.becomes(p.request("X-ray"), order.Scheduled)
	p.hears(sim, first.AccessionNumber, "NW")
	sim.Unplug()
	var ids []int
	for range 10 {
		ids = append(ids, p.request("X-ray"))
	}
	for _, id := range ids {
		p.becomes(id, order.Scheduled)
		p.upstream(id, "scheduled")
	}
	p.remark(ids[0], "right leg")
	p.sim.SetStatus(ids[1], "cancelled")
	gone := p.becomes(ids[1], order.Cancelled)
	p.until("RH-401", func() error {
		all, err := p.api.Problems(t.Context(), true)
		p.ok(err)
		if !slices.ContainsFunc(all, func(x problem.Problem) bool { return x.Code == problem.RISUnreachable }) {
			return errors.New("it is not on the board")
		}
		return nil
	})
	p.until("the change should be stored", func() error {
		if o, _ := p.order(ids[0]); o.Revision < 2 {
			return errors.New("it is not")
		}
		return nil
	})
	sim.Plug()
	p.until("everything should be sent", func() error {
		if _, err := p.api.RetryOutbox(t.Context(), "ris:ris1"); err != nil {
			return err
		}
		waiting, err := p.api.Outbox(t.Context(), ui.OutboxFilter{Destination: "ris:ris1"})
		if len(waiting) > 0 {
			return fmt.Errorf("%d wait", len(waiting))
		}
		return err
	})
	for _, id := range ids {
		o, _ := p.order(id)
		want := []string{"NW"}
		if o.ID == gone.ID {
			want = nil // it never knew it
		}
		if got := heard(sim, o.AccessionNumber); !slices.Equal(got, want) {
			t.Errorf("order %s: it heard %v, want %v", o.AccessionNumber, got, want)
		}
	}
	quiet(t, sim)
}

// Nine RIS that hang do not slow the tenth.
func TestTenRISOfWhichNineHang(t *testing.T) {
	t.Parallel()
	var sims []*hl7sim.RIS
	var addresses []string
	for i := range 10 {
		sim, address := standRIS(t)
		if i < 9 {
			if _, err := sim.Inject(hl7sim.Fault{Kind: hl7sim.NeverAck}); err != nil {
				t.Fatal(err)
			}
		}
		sims, addresses = append(sims, sim), append(addresses, address)
	}
	p := sendingTo(t, func(r *config.RIS) { r.Timeout = config.Duration(10 * time.Minute) }, addresses...)
	for range 5 {
		o := p.becomes(p.request("X-ray"), order.Scheduled)
		p.hears(sims[9], o.AccessionNumber, "NW")
	}
	for _, s := range sims[:9] {
		if n := len(s.Messages()); n != 1 {
			t.Errorf("a RIS that hangs got %d messages", n)
		}
	}
}

// A lost answer: sent again, the same bytes, or kept for a person.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	for _, resend := range []bool{true, false} {
		t.Run(fmt.Sprint("resend ", resend), func(t *testing.T) {
			t.Parallel()
			sim, address := standRIS(t)
			if _, err := sim.Inject(hl7sim.Fault{Kind: hl7sim.LoseAnswer, Count: 1}); err != nil {
				t.Fatal(err)
			}
			p := sendingTo(t, func(r *config.RIS) { r.Resend = resend }, address)
			o := p.becomes(p.request("X-ray"), order.Scheduled)
			state := "delivered"
			if !resend {
				state = "parked"
			}
			p.until("the message should be "+state, func() error {
				all, err := p.api.Outbox(t.Context(), ui.OutboxFilter{Destination: "ris:ris1", All: true})
				p.ok(err)
				if len(all) != 1 || all[0].State != state {
					return fmt.Errorf("%+v", all)
				}
				return nil
			})
			if !resend {
				if d := p.detail(o.AccessionNumber); len(d.Notices) != 1 || d.Notices[0].Code != string(problem.RISUnsure) {
					t.Errorf("notices %+v", d.Notices)
				}
				_, err := p.api.ActOnOrder(t.Context(), o.AccessionNumber, ui.Action{Kind: ui.Resend, To: "ris:ris1"})
				p.ok(err)
			}
			p.until("it should come twice", func() error {
				ms := sim.Messages()
				if len(ms) != 1 || ms[0].Deliveries != 2 || ms[0].Conflicts != 0 {
					return fmt.Errorf("%+v", ms)
				}
				return nil
			})
			quiet(t, sim)
		})
	}
}

// A RIS with a worklist of its own: the order is not on ours, and the RIS is told
// as a new one when a person wants it.
func TestRISWithItsOwnWorklist(t *testing.T) {
	t.Parallel()
	sim, address := standRIS(t)
	p := sendingTo(t, func(r *config.RIS) { r.OwnsWorklist, r.Serves = true, config.Names{"X-ray"} }, address)
	o := p.becomes(p.request("X-ray"), order.Scheduled)
	p.unlisted(xray, o)
	p.hears(sim, o.AccessionNumber, "NW")
	_, timeline, err := p.app.Load().Order(t.Context(), o.ProvetID)
	p.ok(err)
	contains(t, strings.Join(texts(timeline), "\n"), "With the RIS ris1")
	other := p.request("CT")
	p.listed(ct, other)
	sim.Forget()
	_, err = p.api.ActOnOrder(t.Context(), o.AccessionNumber, ui.Action{Kind: ui.Resend, To: "ris1", AsNew: true})
	p.ok(err)
	p.hears(sim, o.AccessionNumber, "NW")
	st, err := p.api.Status(t.Context())
	p.ok(err)
	if len(st.RIS) != 1 || st.RIS[0].LastAnswerAt.IsZero() || !st.RIS[0].OwnsWorklist {
		t.Errorf("status %+v", st.RIS)
	}
	checks, err := p.api.Doctor(t.Context())
	p.ok(err)
	if !slices.ContainsFunc(checks, func(c ui.Check) bool { return c.Name == "to ris1" && c.Result == "ok" }) {
		t.Errorf("the doctor says %+v", checks)
	}
	quiet(t, sim)
}

// What waits for a RIS that is gone from the settings stays, and is seen.
func TestRISRemovedFromTheSettings(t *testing.T) {
	t.Parallel()
	sim, address := standRIS(t)
	p := sendingTo(t, nil, address)
	p.ok(p.api.PauseDestination(t.Context(), "ris:ris1", "test"))
	o := p.becomes(p.request("X-ray"), order.Scheduled)
	was := p.settings.RIS
	p.settings.RIS = nil
	p.restart()
	waiting, err := p.api.Outbox(t.Context(), ui.OutboxFilter{})
	p.ok(err)
	if !slices.ContainsFunc(waiting, func(m ui.Message) bool { return m.Destination == "ris:ris1" && m.Kind == "NW" }) {
		t.Errorf("%+v", waiting)
	}
	p.settings.RIS = was
	p.restart()
	p.ok(p.api.ResumeDestination(t.Context(), "ris:ris1"))
	p.hears(sim, o.AccessionNumber, "NW")
}
