package appliance

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/orders"
	"github.com/rayhound/rayhound/localdb"
)

// A message that is only accepted has its result later, or a person is asked.
func TestResultThatComesLater(t *testing.T) {
	c := newClinic(t, withRIS(orders.Profile{Name: "ris"}))
	p := c.routes.peer("ris")
	for _, id := range []string{"1", "2", "3"} {
		c.request(id, "X-ray")
		c.look(id)
	}
	c.deliverAs("ris", map[string]orders.Result{"NW": {Class: orders.Pending, AckCode: hl7.CA}})
	ids := map[string]string{}
	for _, e := range c.entries("ris", localdb.Done) {
		ids[e.Unit] = hl7.PeekHeader(e.Payload).ControlID
	}
	c.ok(c.overdueAcks(t.Context()))
	wantList(t, "RH-408 at once", c.raised(problem.RISAckOverdue))
	c.strayAck(t.Context(), p, ids["1"], orders.Result{Class: orders.Delivered, AckCode: hl7.AA, FillerOrderNumber: "F1"})
	c.strayAck(t.Context(), newPeer(orders.Profile{Name: "other"}), ids["3"], taken) // not its message
	c.clock = c.clock.Add(time.Hour)
	c.ok(c.overdueAcks(t.Context()))
	wantList(t, "RH-408", c.raised(problem.RISAckOverdue), "2", "3")
	c.strayAck(t.Context(), p, ids["2"], orders.Result{Class: orders.Park, AckCode: hl7.AR, Text: "no"})
	c.strayAck(t.Context(), p, ids["3"], taken)
	c.strayAck(t.Context(), p, ids["3"], orders.Result{Class: orders.Park, AckCode: hl7.AR}) // twice: nothing
	wantList(t, "RH-408 at the end", c.raised(problem.RISAckOverdue))
	wantList(t, "RH-402", c.raised(problem.RISRefused), "2")
	if o := c.order("1"); !c.told(o, "ris has it as number F1") || !c.told(o, "can use the new order") {
		t.Errorf("%q", c.story(o))
	}
}

// A number that the RIS told stands in what follows.
func TestFillerNumberIsLearnt(t *testing.T) {
	c := newClinic(t, withRIS(orders.Profile{Name: "ris"}))
	up := c.request("1", "X-ray")
	c.look("1")
	c.deliverAs("ris", map[string]orders.Result{"NW": {Class: orders.Delivered, AckCode: hl7.AA, FillerOrderNumber: "F77"}})
	wantList(t, "the number alone is no change", c.owed("ris"))
	up.Content.Remarks = "left"
	c.look("1")
	if e := c.entries("ris")[0]; !strings.Contains(string(e.Payload), "|F77|") {
		t.Errorf("%s", e.Payload)
	}
}

// UA in an answer that accepts the message is for a person.
func TestRISIsUnable(t *testing.T) {
	c := newClinic(t, withRIS(orders.Profile{Name: "ris"}))
	c.request("1", "X-ray")
	c.look("1")
	c.deliverAs("ris", map[string]orders.Result{"NW": {Class: orders.Delivered, AckCode: hl7.AA, OrderControl: "UA", Refused: true, Text: "no slot"}})
	wantList(t, "RH-402", c.raised(problem.RISRefused), "1")
	wantList(t, "owed", c.owed("ris"))
}

// An error is tried again so often, then a person is asked; other orders go on.
func TestErrorsAreTriedAFewTimes(t *testing.T) {
	c := newClinic(t, withRIS(orders.Profile{Name: "ris"}))
	c.request("1", "X-ray")
	c.look("1")
	busy := map[string]orders.Result{"NW": {Class: orders.Retry, MaxTries: 3, AckCode: hl7.AE}}
	tries := 0
	for range 10 {
		tries += len(c.deliverAs("ris", busy))
		c.clock = c.clock.Add(time.Hour)
	}
	if tries != 3 || len(c.owed("ris", localdb.Parked)) != 1 {
		t.Errorf("%d tries, parked %v", tries, c.owed("ris", localdb.Parked))
	}
	c.request("2", "X-ray")
	c.look("2")
	wantList(t, "another order", c.exchange("ris"), "NW 2")
}

// A RIS that cannot be reached holds up everything for it; nothing is parked, and
// what waited is due when it answers.
func TestUnreachableRIS(t *testing.T) {
	c := newClinic(t, withRIS(orders.Profile{Name: "ris"}))
	for _, id := range []string{"1", "2", "3"} {
		c.request(id, "X-ray")
		c.look(id)
	}
	down := map[string]orders.Result{"NW": {Class: orders.Destination, Text: "cannot connect"}}
	wantList(t, "one probe", c.deliverAs("ris", down), "NW 1")
	for range 100 {
		c.clock = c.clock.Add(time.Minute)
		c.deliverAs("ris", down)
	}
	wantList(t, "RH-401", c.raised(problem.RISUnreachable), "ris")
	wantList(t, "parked", c.owed("ris", localdb.Parked))
	c.clock = c.clock.Add(time.Hour)
	if got := c.exchange("ris"); len(got) != 3 {
		t.Errorf("after the outage: %v", got)
	}
	wantList(t, "RH-401 afterwards", c.raised(problem.RISUnreachable))
}

// Letters that the RIS cannot read are named in the order's story.
func TestLettersAreNamed(t *testing.T) {
	c := newClinic(t, withRIS(orders.Profile{Name: "ris", Charset: "ASCII"}))
	up := c.request("1", "X-ray")
	up.Content.Owner.LastName = "Groß"
	c.look("1")
	if o := c.order("1"); !c.told(o, "For ris ß is written as ss (PID-5") {
		t.Errorf("%q", c.story(o))
	}
}

// Two animals that became one are told as such; an order that is moved to another
// animal is not.
func TestMergedAnimals(t *testing.T) {
	c := newClinic(t, withRIS(orders.Profile{Name: "ris", SendADT: true}))
	up := c.request("1", "X-ray")
	c.look("1")
	c.exchange("ris")
	up.Content.UpstreamPatient = "p9"
	c.look("1")
	c.look("1")
	wantList(t, "merged", c.exchange("ris"), "A40 patient")
	e := c.entries("ris", localdb.Done)
	if m := string(e[len(e)-1].Payload); !strings.Contains(m, "|p9^") || !strings.Contains(m, "MRG|p1") {
		t.Errorf("%s", strings.ReplaceAll(m, "\r", "\n"))
	}
	other := c.request("2", "X-ray")
	c.look("2")
	c.exchange("ris")
	other.Content.Patient.ID = "p3"
	c.look("2")
	wantList(t, "moved", c.exchange("ris"), "XO 2")
	o, err := c.Add(t.Context(), newByHand{Modality: "X-ray", Patient: order.Patient{Name: "Rex"}})
	c.ok(err)
	c.exchange("ris")
	c.request("4", "X-ray")
	_, err = c.LinkOrder(t.Context(), act{Accession: o.AccessionNumber}, "4")
	c.ok(err)
	c.drain()
	wantList(t, "found in Provet", c.exchange("ris"), "A40 patient", "XO "+o.AccessionNumber)
}

// A change that a RIS without XO cannot be told once imaging began is for a person.
func TestChangeAfterTheStart(t *testing.T) {
	c := newClinic(t, withRIS(orders.Profile{Name: "ris", Update: orders.UpdateCA}))
	up := c.request("1", "X-ray")
	c.look("1")
	c.exchange("ris")
	c.begin(c.order("1"), 0)
	up.Content.Remarks = "left"
	c.look("1")
	c.look("1")
	wantList(t, "told", c.owed("ris"))
	wantList(t, "RH-407", c.raised(problem.RISNotTold), "1")
	n := 0
	for _, l := range c.story(c.order("1")) {
		if strings.Contains(l, "was not told") {
			n++
		}
	}
	if n != 1 {
		t.Errorf("said %d times: %q", n, c.story(c.order("1")))
	}
}

// With CA+NW a RIS may want a new study UID; images that bear it are found.
func TestNewStudyUID(t *testing.T) {
	c := newClinic(t, withRIS(orders.Profile{Name: "ris", Update: orders.UpdateCA, NewUIDOnReplace: true}))
	up := c.request("1", "X-ray")
	c.look("1")
	c.exchange("ris")
	up.Content.Remarks = "left"
	c.look("1")
	wantList(t, "replaced", c.exchange("ris"), "CA 1", "NW 1")
	o := c.order("1")
	c.ok(c.db.Read(t.Context(), func(s *localdb.Snapshot) error {
		told, err := s.ToldOf(t.Context(), o.ID)
		if err != nil || len(told) != 1 || told[0].StudyUID == o.StudyInstanceUID {
			t.Fatalf("told %+v, %v", told, err)
		}
		found, err := s.OrderByStudyUID(t.Context(), told[0].StudyUID)
		if err == nil && found.ID != o.ID {
			t.Error("found another order")
		}
		return err
	}))
}

// What was leased at a crash is sent again, the same bytes; what was only owed is
// sent once.
func TestCrashOnTheWayToTheRIS(t *testing.T) {
	c := newClinic(t, withRIS(orders.Profile{Name: "ris"}))
	c.request("1", "X-ray")
	c.look("1")
	before := c.entries("ris")[0]
	c.ok(c.db.Write(t.Context(), func(tx *localdb.Tx) error {
		_, err := tx.Lease(t.Context(), "ris:ris", c.clock, c.clock.Add(time.Hour))
		return err
	}))
	wantList(t, "while it is leased", c.exchange("ris"))
	c.ok(c.db.Write(t.Context(), func(tx *localdb.Tx) error {
		_, err := tx.ReleaseLeasesOf(t.Context(), "ris:ris")
		return err
	}))
	wantList(t, "after the start", c.exchange("ris"), "NW 1")
	if after := c.entries("ris", localdb.Done)[0]; string(after.Payload) != string(before.Payload) {
		t.Error("other bytes")
	}
}

// Every character set of the settings is one that messages can be written in.
func TestSettingsOfARIS(t *testing.T) {
	f := config.Default()
	m := config.NewModality()
	m.Name, m.AETitle, m.Code, m.Serves = "DR", "DR1", "DX", config.Names{"X-Ray"}
	f.Modalities = append(f.Modalities, m)
	for _, set := range config.HL7Charsets() {
		r := config.NewRIS()
		r.Name, r.Address, r.Charset = "ris", "127.0.0.1:2575", set
		f.RIS = []config.RIS{r}
		peers, err := risOf(f)
		if err != nil {
			t.Errorf("%s: %v", set, err)
			continue
		}
		prof := peers[0].profileFor([]order.Step{{Modality: order.Ref{Name: " x-ray "}}})
		if prof.Modalities[" x-ray "] != "DX" {
			t.Errorf("modalities %v", prof.Modalities)
		}
	}
	r := config.NewRIS()
	r.Name, r.Address, r.TLS, r.TLSCAFile = "ris", "127.0.0.1:2575", true, filepath.Join(t.TempDir(), "none.pem")
	f.RIS = []config.RIS{r}
	if _, err := risOf(f); problem.Of(err) == nil {
		t.Errorf("a missing file: %v", err)
	}
}

// The doctor opens a connection and sends nothing.
func TestConnectToARIS(t *testing.T) {
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer(orders.Profile{Name: "ris", Address: ln.Addr().String()})
	if reason, err := p.connect(t.Context()); err != nil {
		t.Errorf("%s: %v", reason, err)
	}
	ln.Close()
	if reason, err := p.connect(t.Context()); err == nil || !strings.Contains(reason, "cannot connect") {
		t.Errorf("%s: %v", reason, err)
	}
}

// A person who looked into the RIS says that it has the message: what waits behind
// it goes on.
func TestPersonKnowsThatItWasTaken(t *testing.T) {
	c := newClinic(t, withRIS(orders.Profile{Name: "ris"}))
	up := c.request("1", "X-ray")
	c.look("1")
	c.deliverAs("ris", map[string]orders.Result{"NW": {Class: orders.Park, Unknown: true, Text: "no answer in time"}})
	up.Status = "9"
	c.look("1")
	c.clock = c.clock.Add(time.Hour)
	wantList(t, "before", c.exchange("ris"))
	_, err := c.ResendTo(t.Context(), act{Accession: "1"}, "ris:ris", resendTaken)
	c.ok(err)
	wantList(t, "after", c.exchange("ris"), "CA 1")
	wantList(t, "RH-406", c.raised(problem.RISUnsure))
	if _, err := c.ResendTo(t.Context(), act{Accession: "1"}, "ris:ris", resendTaken); problem.Of(err) == nil {
		t.Errorf("twice: %v", err)
	}
}

// MSH-10 is never used twice, also not after a restore.
func TestControlIDs(t *testing.T) {
	c := newClinic(t)
	var ids []string
	for range 3 {
		c.ok(c.commit(t.Context(), func(b *batch) error {
			for range 3 {
				id, err := b.controlID()
				if err != nil {
					return err
				}
				ids = append(ids, id)
			}
			return b.tx.DeleteState(b.ctx, localdb.NumbersState) // as a restore does
		}))
	}
	slices.Sort(ids)
	if n := len(ids); len(slices.Compact(ids)) != n || len(ids[0]) > 20 {
		t.Errorf("%q", ids)
	}
}
