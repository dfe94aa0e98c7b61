package appliance

import (
	"fmt"
	"slices"
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

// withRIS gives a clinic a RIS of that profile.
func withRIS(p orders.Profile) func(*core, *tenant) {
	return func(c *core, _ *tenant) { c.routes.ris = append(c.routes.ris, newPeer(p)) }
}

// newPeer is a RIS as the settings would make it.
func newPeer(p orders.Profile) *risPeer {
	return &risPeer{Name: p.Name, profile: p, clinic: "Clinic", ackWithin: 5 * time.Minute, wake: make(chan struct{}, 1), codes: map[string]string{"x-ray": "DX"}}
}

// owed returns what a RIS is owed: "NW 1", with the step's id.
func (c *clinic) owed(ris string, states ...string) (kinds []string) {
	c.t.Helper()
	for _, e := range c.entries(ris, states...) {
		kinds = append(kinds, e.Kind+" "+e.Unit)
	}
	return kinds
}

func (c *clinic) entries(ris string, states ...string) (list []localdb.OutboxEntry) {
	c.t.Helper()
	if len(states) == 0 {
		states = []string{localdb.Ready, localdb.Leased, localdb.Parked}
	}
	c.ok(c.db.Read(c.t.Context(), func(s *localdb.Snapshot) (err error) {
		list, err = s.Outbox(c.t.Context(), localdb.OutboxFilter{Dest: risPrefix + ris, States: states})
		return err
	}))
	slices.SortFunc(list, func(a, b localdb.OutboxEntry) int { return int(a.ID - b.ID) })
	return list
}

// deliverAs sends everything that is due to a RIS, which answers each message
// with the result given for its kind, else takes it. It returns what was sent.
func (c *clinic) deliverAs(ris string, answer map[string]orders.Result) (sent []string) {
	c.t.Helper()
	d := &scripted{toRIS: &toRIS{c: c.core, p: c.routes.peer(ris)}, answer: answer, sent: &sent}
	for range 100 {
		more, err := c.deliverSome(c.t.Context(), d)
		c.ok(err)
		if !more {
			return sent
		}
	}
	c.t.Fatal("the outbox never empties")
	return nil
}

var taken = orders.Result{Class: orders.Delivered, AckCode: hl7.AA}

func (c *clinic) exchange(ris string) []string { c.t.Helper(); return c.deliverAs(ris, nil) }

func wantList(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: %q, want %q", what, got, want)
	}
}

// The life of an order as a RIS hears of it.
func TestRISHearsTheLife(t *testing.T) {
	c := newClinic(t, withRIS(orders.Profile{Name: "ris"}))
	up := c.request("1", "X-ray")
	c.look("1")
	wantList(t, "new", c.exchange("ris"), "NW 1")
	up.Content.Remarks = "left leg"
	c.look("1")
	wantList(t, "changed", c.exchange("ris"), "XO 1")
	c.look("1")
	wantList(t, "looked at again", c.exchange("ris"))
	up.Content.InternalNotes = "not for others"
	c.look("1")
	wantList(t, "a change that it does not see", c.exchange("ris"))
	up.Status = "9"
	c.look("1")
	wantList(t, "withdrawn", c.exchange("ris"), "CA 1")
	up.Status = "0"
	c.look("1")
	wantList(t, "restored", c.exchange("ris"), "NW 1")
	r := c.begin(c.order("1"), 0)
	c.end(r, mpps.Discontinued)
	wantList(t, "given up", c.exchange("ris"), "DC 1")
	ids := map[string]bool{}
	for _, e := range c.entries("ris", localdb.Done) {
		id := hl7.PeekHeader(e.Payload).ControlID
		if ids[id] || len(id) > 20 {
			t.Errorf("control id %q", id)
		}
		ids[id] = true
	}
	if !c.told(c.order("1"), "ris was sent the new order (NW)") {
		t.Errorf("%q", c.story(c.order("1")))
	}
}

// What has not left is taken back by what comes after it.
func TestUnsentMessagesGiveWay(t *testing.T) {
	c := newClinic(t, withRIS(orders.Profile{Name: "ris"}))
	up := c.request("1", "X-ray")
	c.look("1")
	up.Content.Remarks = "first"
	c.look("1")
	up.Content.Remarks = "second"
	c.look("1")
	wantList(t, "changed before it was sent", c.owed("ris"), "NW 1")
	if e := c.entries("ris")[0]; !strings.Contains(string(e.Payload), "second") {
		t.Errorf("%s", e.Payload)
	}
	up.Status = "9"
	c.look("1")
	wantList(t, "withdrawn before it was sent", c.owed("ris"))
	up.Status = "0"
	c.look("1")
	c.exchange("ris")
	up.Content.Remarks = "third"
	c.look("1")
	up.Content.Remarks = "fourth"
	c.look("1")
	wantList(t, "changed twice", c.owed("ris"), "XO 1")
	up.Content.Remarks = "second"
	c.look("1")
	wantList(t, "changed back", c.owed("ris"))
	up.Status = "9"
	c.look("1")
	up.Status = "0"
	c.look("1")
	wantList(t, "withdrawn and back", c.owed("ris"))
}

// A message that may have left is never taken back.
func TestMessageThatMayHaveLeftStays(t *testing.T) {
	c := newClinic(t, withRIS(orders.Profile{Name: "ris", Resend: true}))
	up := c.request("1", "X-ray")
	c.look("1")
	lost := map[string]orders.Result{"NW": {Class: orders.Retry, Unknown: true, MaxTries: 5, Text: "no answer in time"}}
	wantList(t, "sent", c.deliverAs("ris", lost), "NW 1")
	up.Status = "9"
	c.look("1")
	wantList(t, "withdrawn", c.owed("ris"), "NW 1", "CA 1")
	before := c.entries("ris")[0].Payload
	c.clock = c.clock.Add(time.Hour)
	wantList(t, "sent again", c.exchange("ris"), "NW 1", "CA 1")
	if after := c.entries("ris", localdb.Done)[0].Payload; string(after) != string(before) {
		t.Error("a resend has other bytes")
	}
}

// A refused message is replaced when its cause is gone; what is unsure waits for
// a person.
func TestParkedMessages(t *testing.T) {
	c := newClinic(t, withRIS(orders.Profile{Name: "ris"}))
	up := c.request("1", "X-ray")
	c.look("1")
	no := orders.Result{Class: orders.Park, AckCode: hl7.AE, Code: "102", Where: "PID-7", Text: "bad date"}
	c.deliverAs("ris", map[string]orders.Result{"NW": no})
	wantList(t, "refused", c.owed("ris", localdb.Parked), "NW 1")
	wantList(t, "RH-402", c.raised(problem.RISRefused), "1")
	up.Content.Patient.BirthDate = "2020-01-01"
	c.look("1")
	wantList(t, "corrected", c.owed("ris"), "NW 1")
	if got := c.raised(problem.RISRefused); len(got) > 0 {
		t.Errorf("RH-402 of %v", got)
	}
	c.deliverAs("ris", map[string]orders.Result{"NW": {Class: orders.Park, Unknown: true, Text: "no answer in time"}})
	wantList(t, "RH-406", c.raised(problem.RISUnsure), "1")
	wantList(t, "RH-401", c.raised(problem.RISUnreachable), "ris")
	up.Status = "9"
	c.look("1")
	wantList(t, "withdrawn", c.owed("ris"), "NW 1", "CA 1")
	c.clock = c.clock.Add(time.Hour)
	wantList(t, "waits for a person", c.exchange("ris"))
}

// The ways to tell a change, and the messages of orders with several steps.
func TestWaysToTellAChange(t *testing.T) {
	for _, row := range []struct {
		p            orders.Profile
		first, after string
	}{
		{orders.Profile{}, "NW 1, NW 1-2", "XO 1, XO 1-2"},
		{orders.Profile{Update: orders.UpdateCA}, "NW 1, NW 1-2", "CA 1, NW 1, CA 1-2, NW 1-2"},
		{orders.Profile{Update: orders.UpdateRP}, "NW 1, NW 1-2", "RP 1, RP 1-2"},
		{orders.Profile{Message: orders.OMI, Version: "2.5.1"}, "NW ", "XO "},
		{orders.Profile{Serves: []string{"CT"}}, "NW 1-2", "XO 1-2"},
		{orders.Profile{RegisterFirst: true, SendADT: true}, "A04 1, NW 1, A04 1-2, NW 1-2", "A08 patient, XO 1, XO 1-2"},
		{orders.Profile{Serves: []string{"MR"}}, "", ""},
	} {
		row.p.Name = "ris"
		c := newClinic(t, withRIS(row.p))
		up := c.request("1", "X-ray", "CT")
		c.look("1")
		if got := strings.Join(c.exchange("ris"), ", "); got != row.first {
			t.Errorf("%+v: new: %s", row.p, got)
		}
		up.Content.Patient.Name = "Bello"
		c.look("1")
		if got := strings.Join(c.exchange("ris"), ", "); got != row.after {
			t.Errorf("%+v: changed: %s", row.p, got)
		}
	}
}

// Orders of a RIS with a worklist of its own are on none of ours, and not held.
func TestRISOwnsTheWorklist(t *testing.T) {
	c := newClinic(t, withRIS(orders.Profile{Name: "ris", OwnsWorklist: true, Serves: []string{"X-ray", "MR"}}))
	c.request("1", "X-ray")
	c.request("2", "MR")
	c.request("3", "MR", "CT")
	for _, id := range []string{"1", "2", "3"} {
		c.look(id)
	}
	for _, id := range []string{"1", "2"} {
		o := c.wants(id, order.Scheduled)
		if len(o.Stations()) > 0 || !c.told(o, "With the RIS ris") {
			t.Errorf("order %s at %v: %q", id, o.Stations(), c.story(o))
		}
	}
	if o := c.wants("3", order.Scheduled); !c.told(o, "On the list of CT1, and with the RIS ris") {
		t.Errorf("%q", c.story(o))
	}
	wantList(t, "told", c.exchange("ris"), "NW 1", "NW 2", "NW 3")
}

// Held orders are told when they are scheduled, orders entered by hand at once,
// and an order that turns out to be one of Provet's is not told twice.
func TestHeldAndByHand(t *testing.T) {
	c := newClinic(t, withRIS(orders.Profile{Name: "ris"}))
	up := c.request("1", "Dental")
	c.look("1")
	wantList(t, "held", c.owed("ris"))
	up.Content.Modalities = []order.Ref{{Name: "X-ray"}}
	c.look("1")
	wantList(t, "scheduled", c.exchange("ris"), "NW 1")
	o, err := c.Add(t.Context(), newByHand{Modality: "X-ray", Patient: order.Patient{Name: "Rex"}})
	c.ok(err)
	wantList(t, "by hand", c.exchange("ris"), "NW "+o.AccessionNumber)
	_, err = c.LinkOrder(t.Context(), act{Accession: o.AccessionNumber}, "1")
	c.ok(err)
	c.drain()
	wantList(t, "linked", c.exchange("ris"), "CA 1", "XO "+o.AccessionNumber)
}

// A RIS that is new in the settings hears of what is open.
func TestNewRISHearsOfOpenOrders(t *testing.T) {
	c := newClinic(t)
	for i := range 3 {
		c.request(fmt.Sprint(i+1), "X-ray")
		c.look(fmt.Sprint(i + 1))
	}
	c.routes.ris = append(c.routes.ris, newPeer(orders.Profile{Name: "ris"}))
	open, err := c.openOrders(t.Context())
	c.ok(err)
	for range 2 { // the second start finds nothing to tell
		c.ok(c.tellOpenOrders(t.Context(), open))
	}
	wantList(t, "told", c.exchange("ris"), "NW 1", "NW 2", "NW 3")
}
