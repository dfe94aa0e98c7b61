package appliance

import (
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/mpps"
	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/orders"
	"github.com/rayhound/rayhound/localdb"
)

// lastSent is the newest message that a RIS took.
func (c *clinic) lastSent(ris string) *hl7.Message {
	c.t.Helper()
	e := c.entries(ris, localdb.Done)
	m, err := hl7.Parse(e[len(e)-1].Payload, hl7.Options{})
	c.ok(err)
	return m
}

func modalities(names ...string) (list []order.Ref) {
	for _, n := range names {
		list = append(list, order.Ref{Name: n})
	}
	return list
}

// A step that an edit adds is a new order of its own, one that it takes away is
// cancelled as the RIS knows it, and one that stays is left alone.
func TestStepsComeAndGo(t *testing.T) {
	c := newClinic(t, withRIS(orders.Profile{Name: "ris", Modalities: map[string]string{"X-ray": "DX"}}))
	up := c.request("1", "X-ray")
	c.look("1")
	wantList(t, "one step", c.exchange("ris"), "NW 1")
	up.Content.Modalities = modalities("X-ray", "CT")
	c.look("1")
	wantList(t, "one more", c.exchange("ris"), "NW 1-2")
	if m := c.lastSent("ris"); m.Get("OBR-20") != "1-2" || m.Get("OBR-24") != "CT" || m.Get("OBR-18") != c.order("1").AccessionNumber {
		t.Errorf("the added step: %q", m.Text("OBR"))
	}
	up.Content.Modalities = modalities("CT")
	c.look("1")
	wantList(t, "the first is gone", c.exchange("ris"), "CA 1")
	if m := c.lastSent("ris"); m.Get("OBR-20") != "1" || m.Get("OBR-24") != "DX" {
		t.Errorf("the step that is gone: %s %s", m.Get("OBR-20"), m.Get("OBR-24"))
	}
	up.Content.Modalities = modalities("CT", "X-ray")
	up.Content.Remarks = "both sides"
	c.look("1")
	wantList(t, "it is wanted again", c.exchange("ris"), "XO 1-2", "NW 1-3")
	up.Status = "9"
	c.look("1")
	wantList(t, "withdrawn", c.exchange("ris"), "CA 1-2", "CA 1-3")
}

// An image manager that deletes what a message of a known study leaves out gets
// every step with every message.
func TestStepsComeAndGoForAnImageManager(t *testing.T) {
	c := newClinic(t, withRIS(orders.Profile{Name: "pacs", Version: "2.5.1", Message: orders.OMI, ORC5OnNew: "SC"}))
	up := c.request("1", "X-ray", "CT")
	sent := func(what, control string, steps ...string) {
		t.Helper()
		wantList(t, what, c.exchange("pacs"), strings.Fields(control)[0]+" ")
		m := c.lastSent("pacs")
		got := []string{m.Get("ORC-1") + " " + m.Get("ORC-5")}
		for _, s := range m.Segments("IPC") {
			got = append(got, s.Get("4")+" "+s.Get("5"))
		}
		wantList(t, what, got, append([]string{control}, steps...)...)
	}
	c.look("1")
	sent("new", "NW SC", "1 DX", "1-2 CT")
	up.Content.Modalities = modalities("X-ray")
	c.look("1")
	sent("a step is gone", "XO SC", "1 DX")
	up.Content.Modalities = modalities("X-ray", "CT")
	c.look("1")
	second := c.order("1").Steps[1].ScheduledProcedureStepID
	sent("a step more", "XO SC", "1 DX", second+" CT")
	c.end(c.begin(c.order("1"), 0), mpps.Completed)
	wantList(t, "one is done", c.exchange("pacs"))
	up.Content.Remarks = "left"
	c.look("1")
	sent("changed when one is done", "XO SC", "1 DX", second+" CT")
}

// The clinic takes an order back when imaging has begun: the RIS hears of it when
// a person has said so, as a discontinuation; what was imaged stays.
func TestWithdrawnAfterTheStart(t *testing.T) {
	c := newClinic(t, withRIS(orders.Profile{Name: "ris"}))
	up := c.request("1", "X-ray")
	c.look("1")
	c.exchange("ris")
	o := c.order("1")
	c.begin(o, 0)
	c.send()
	up.Status = "9"
	c.look("1")
	wantList(t, "nobody has decided", c.exchange("ris"))
	if o = c.order("1"); o.State != order.InProgress || len(o.Notices) == 0 {
		t.Errorf("%s %+v", o.State, o.Notices)
	}
	_, err := c.Cancel(t.Context(), act{Accession: o.AccessionNumber, Reason: "stopped"})
	c.ok(err)
	wantList(t, "a person has", c.exchange("ris"), "DC 1")

	up = c.request("2", "X-ray")
	c.look("2")
	c.exchange("ris")
	c.end(c.begin(c.order("2"), 0), mpps.Completed)
	c.send()
	up.Status = "9"
	c.look("2")
	wantList(t, "it is performed", c.exchange("ris"))
	if o := c.order("2"); o.State != order.Completed || len(o.Notices) == 0 {
		t.Errorf("%s %+v", o.State, o.Notices)
	}
}

// What an order remembers of its animal is not told again when the RIS knows
// better: only an order that was just read in Provet Cloud brings news.
func TestOldOrdersBringNoNewsOfTheAnimal(t *testing.T) {
	c := newClinic(t, withRIS(orders.Profile{Name: "ris", SendADT: true}))
	first := c.request("1", "X-ray")
	c.look("1")
	wantList(t, "first", c.exchange("ris"), "NW 1")
	c.end(c.begin(c.order("1"), 0), mpps.Completed)
	second := c.request("2", "X-ray")
	second.Content.Patient = first.Content.Patient
	c.look("2")
	wantList(t, "as known", c.exchange("ris"), "NW 2")
	third := c.request("3", "X-ray")
	third.Content.Patient = first.Content.Patient
	third.Content.Patient.Name = "Bella II"
	c.look("3")
	wantList(t, "renamed with a new order", c.exchange("ris"), "A08 patient", "NW 3")
	for id, name := range map[string]string{"1": "that is done", "2": "that was not read since"} {
		c.ok(c.commit(t.Context(), func(b *batch) error { // as a report would
			o, err := b.tx.OrderByProvetID(b.ctx, id)
			if err != nil {
				return err
			}
			return b.keep(o)
		}))
		wantList(t, "news of an order "+name, c.exchange("ris"))
	}
	c.begin(c.order("2"), 0)
	wantList(t, "imaging begins", c.exchange("ris"))
	second.Content.Patient.Name = "Bella II"
	c.look("2")
	wantList(t, "the other order is read", c.exchange("ris"), "XO 2")
	second.Content.Owner.LastName = "Korhonen"
	c.look("2")
	wantList(t, "another owner", c.exchange("ris"), "A08 patient", "XO 2")
	if m := c.lastSent("ris"); m.Get("PID-5.1") != "Korhonen" || m.Get("PID-5.2") != "Bella II" {
		t.Errorf("%q", m.Text("PID-5"))
	}
}

// Each step of an order is with the RIS that answers for its modality, and an
// image manager hears of both.
func TestTwoRISOwnTheirLists(t *testing.T) {
	c := newClinic(t,
		withRIS(orders.Profile{Name: "x", OwnsWorklist: true, Serves: []string{"X-ray"}}),
		withRIS(orders.Profile{Name: "ct", OwnsWorklist: true, Serves: []string{"CT"}}),
		withRIS(orders.Profile{Name: "pacs", ORC5OnNew: "SC"}))
	up := c.request("1", "X-ray", "CT")
	all := func(what, x, ct, pacs string) {
		t.Helper()
		c.look("1")
		for name, want := range map[string]string{"x": x, "ct": ct, "pacs": pacs} {
			if got := strings.Join(c.exchange(name), ", "); got != want {
				t.Errorf("%s: %s heard %q, want %q", what, name, got, want)
			}
		}
	}
	all("new", "NW 1", "NW 1-2", "NW 1, NW 1-2")
	if o := c.order("1"); o.State != order.Scheduled || len(o.Stations()) != 0 || !c.told(o, "With the RIS x and ct") {
		t.Errorf("%s on %v: %q", o.State, o.Stations(), c.story(o))
	}
	up.Content.Modalities = modalities("CT")
	all("no X-ray", "CA 1", "", "CA 1")
	up.Content.Modalities = modalities("MR") // nobody's: held, and nobody is told until a person decides
	all("nobody's", "", "", "")
	if o := c.order("1"); o.State != order.Held {
		t.Error(o.State)
	}
	up.Content.Modalities = modalities("X-ray")
	all("X-ray after all", "NW 1-2", "CA 1-2", "XO 1-2")
}

// What one RIS refused stays on the order when another one takes it.
func TestNoticesOfSeveralRIS(t *testing.T) {
	c := newClinic(t, withRIS(orders.Profile{Name: "a"}), withRIS(orders.Profile{Name: "b"}), withRIS(orders.Profile{Name: "c"}))
	up := c.request("1", "X-ray")
	c.look("1")
	no := map[string]orders.Result{"NW": {Class: orders.Park, AckCode: hl7.AR, Text: "no"}}
	c.deliverAs("a", no)
	c.deliverAs("b", no)
	c.exchange("c")
	standing := func() (names []string) {
		for _, n := range c.order("1").Notices {
			names = append(names, n.Code+" "+n.Args["ris"])
		}
		return names
	}
	wantList(t, "two refused it", standing(), "RH-402 a", "RH-402 b")
	wantList(t, "RH-402", c.raised(problem.RISRefused), "1")
	_, err := c.ResendTo(t.Context(), act{Accession: "1"}, "a", resendSame)
	c.ok(err)
	wantList(t, "one is sent again", c.exchange("a"), "NW 1")
	wantList(t, "the other stays", standing(), "RH-402 b")
	wantList(t, "RH-402", c.raised(problem.RISRefused), "1")
	up.Content.Remarks = "left"
	c.look("1") // what was refused is made anew
	wantList(t, "nobody is in trouble", standing())
	wantList(t, "a new one for b", c.exchange("b"), "NW 1")
}

// A step that the RIS refused holds up the other steps of the order, until a
// person has looked.
func TestRefusedStepHoldsUpItsOrder(t *testing.T) {
	c := newClinic(t, withRIS(orders.Profile{Name: "a"}))
	c.request("1", "X-ray", "CT")
	c.look("1")
	wantList(t, "the first", c.deliverAs("a", map[string]orders.Result{"NW": {Class: orders.Park, AckCode: hl7.AR, Text: "no"}}), "NW 1")
	wantList(t, "the second waits", c.exchange("a"))
	wantList(t, "RH-402", c.raised(problem.RISRefused), "1")
	_, err := c.ResendTo(t.Context(), act{Accession: "1"}, "a", resendTaken)
	c.ok(err)
	wantList(t, "a person has looked", c.exchange("a"), "NW 1-2")
	wantList(t, "RH-402 afterwards", c.raised(problem.RISRefused))
}

// A RIS that never answers gets a message so often as it is set, in growing gaps,
// and then a person is asked.
func TestRISThatNeverAnswers(t *testing.T) {
	c := newClinic(t, withRIS(orders.Profile{Name: "a", Resend: true}))
	c.request("1", "X-ray")
	c.look("1")
	silent := map[string]orders.Result{"NW": {Class: orders.Retry, MaxTries: 4, Unknown: true, Text: "no answer"}}
	var at []time.Time
	for range 2000 {
		if len(c.deliverAs("a", silent)) > 0 {
			at = append(at, c.clock)
		}
		c.clock = c.clock.Add(time.Second)
	}
	if len(at) != 4 {
		t.Fatalf("%d tries", len(at))
	}
	for i := 2; i < len(at); i++ {
		if at[i].Sub(at[i-1]) <= at[i-1].Sub(at[i-2]) {
			t.Errorf("tried at %v", at)
		}
	}
	ids := map[string]bool{}
	for _, e := range c.entries("a", localdb.Parked) {
		ids[hl7.PeekHeader(e.Payload).ControlID] = true
	}
	if len(ids) != 1 {
		t.Errorf("parked: %v", ids)
	}
	wantList(t, "RH-406", c.raised(problem.RISUnsure), "1")
}

// The number that the RIS told in a message stands in what follows, also where
// one message holds all steps.
func TestFillerNumberOfAMessage(t *testing.T) {
	for _, message := range []string{orders.ORM, orders.OMI} {
		prof := orders.Profile{Name: "a", Message: message}
		c := newClinic(t, withRIS(prof))
		up := c.request("1", "X-ray")
		c.look("1")
		c.exchange("a")
		o := c.order("1")
		c.ok(c.commit(t.Context(), func(b *batch) error { // as SN with OBR-20 does
			return b.learnFiller(o, o.Steps[0].ScheduledProcedureStepID, "a", "F-1")
		}))
		up.Content.Remarks = "left"
		c.look("1")
		wantList(t, message, c.exchange("a"), map[string]string{orders.ORM: "XO 1", orders.OMI: "XO "}[message])
		if m := c.lastSent("a"); m.Get("ORC-3") != "F-1" {
			t.Errorf("%s: %q", message, m.Text("ORC"))
		}
	}
}

// A RIS without XO cannot be told of a step that has begun: a person hears of it,
// whatever is told about the other steps.
func TestChangeWhenOneStepHasBegun(t *testing.T) {
	for _, update := range []string{orders.UpdateCA, orders.UpdateRP} {
		c := newClinic(t, withRIS(orders.Profile{Name: "a", Update: update}))
		up := c.request("1", "X-ray", "CT")
		c.look("1")
		wantList(t, "new", c.exchange("a"), "NW 1", "NW 1-2")
		r := c.begin(c.order("1"), 0)
		up.Content.Remarks = "left"
		c.look("1")
		want := []string{"CA 1-2", "NW 1-2"}
		if update == orders.UpdateRP {
			want = []string{"RP 1-2"}
		}
		wantList(t, "the other step is told", c.exchange("a"), want...)
		wantList(t, "RH-407", c.raised(problem.RISNotTold), "1")
		c.end(r, mpps.Discontinued)
		wantList(t, "given up", c.exchange("a"), "DC 1")
		wantList(t, "RH-407 stays", c.raised(problem.RISNotTold), "1")
		up.Content.Remarks = "right"
		c.look("1")
		wantList(t, "changed again", c.exchange("a"), want...)
		wantList(t, "RH-407 is over", c.raised(problem.RISNotTold))
	}
}

// A RIS that has nothing to do with an order hears nothing of its animal.
func TestAnimalsOfOtherRIS(t *testing.T) {
	c := newClinic(t, withRIS(orders.Profile{Name: "x", SendADT: true, Serves: []string{"X-ray"}}))
	up := c.request("1", "CT")
	c.look("1")
	up.Content.Patient.Name = "Bella II"
	c.look("1")
	wantList(t, "an animal of the CT", c.exchange("x"))
	second := c.request("2", "X-ray")
	second.Content.Patient = up.Content.Patient
	c.look("2")
	wantList(t, "it is new to it", c.exchange("x"), "NW 2")
	second.Content.Patient.Name = "Bella III"
	c.look("2")
	wantList(t, "it has another name", c.exchange("x"), "A08 patient", "XO 2")
}
