package appliance

import (
	"bytes"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"
	"github.com/rayhound/rayhound/localdb"
)

// Steps of one order are told apart by the id of the step, by its placer number
// where the RIS is told that, and by the number the RIS gave it.
func TestRISTellsStepsApart(t *testing.T) {
	for _, c := range []struct {
		name    string
		byStep  bool
		segment func(o *order.Order, step int) []string
	}{
		{"by the step's id", false, func(o *order.Order, step int) []string {
			return []string{"ORC|SC|" + o.AccessionNumber + "|||CM", "OBR|1|" + o.AccessionNumber + strings.Repeat("|", 18) + o.Steps[step].ScheduledProcedureStepID}
		}},
		{"by the placer number", true, func(o *order.Order, step int) []string {
			return []string{"ORC|SC|" + o.Steps[step].ScheduledProcedureStepID + "|||CM", "OBR|1"}
		}},
		{"by the filler number", false, func(_ *order.Order, step int) []string {
			return []string{"ORC|SC||F-" + string(rune('0'+step)) + "||CM", "OBR|1"}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRIS(t, func(x *config.RIS) {
				if c.byStep {
					x.PlacerNumber = "step"
				}
			})
			o := r.ordered("1001", "X-ray", "CT")
			for i, s := range o.Steps { // the RIS numbers them
				r.send("ORM^O01", "2.3.1", "ORC|SN|"+o.AccessionNumber+"|F-"+string(rune('0'+i)), "OBR|1|"+o.AccessionNumber+strings.Repeat("|", 18)+s.ScheduledProcedureStepID)
			}
			r.send("ORM^O01", "2.3.1", c.segment(o, 0)...)
			if o = r.get("1001"); o.State != order.InProgress || o.Steps[0].State != order.Completed || o.Steps[1].State != order.Scheduled {
				t.Fatalf("%s %+v", o.State, o.Steps)
			}
			r.send("ORM^O01", "2.3.1", c.segment(o, 1)...)
			if o = r.get("1001"); o.State != order.Completed {
				t.Errorf("%s %+v", o.State, o.Steps)
			}
		})
	}
}

// Where the machine's done_when does not name hl7, the RIS says no more than that
// imaging began.
func TestRISDoesNotCompleteWhatOthersComplete(t *testing.T) {
	r := newRIS(t)
	r.routes.stations[0].DoneWhen = []order.Source{order.MPPS}
	o := r.ordered("1001", "X-ray")
	r.send("ORM^O01", "2.3.1", "ORC|SC|"+o.AccessionNumber+"|||CM", "OBR|1")
	if o = r.get("1001"); o.State != order.InProgress {
		t.Error(o.State)
	}
}

// A patient id of the RIS's own authority contradicts nothing.
func TestRISPatientIDsOfOthers(t *testing.T) {
	r := newRIS(t, func(x *config.RIS) { x.PatientAuthority = "PROVET" })
	o := r.ordered("1001", "X-ray")
	r.send("ORM^O01", "2.3.1", "PID|1||R-77^^^RIS", "ORC|SC|"+o.AccessionNumber+"|||IP", "OBR|1")
	if o = r.get("1001"); o.State != order.InProgress {
		t.Error(o.State)
	}
	r.send("ORM^O01", "2.3.1", "PID|1||R-77^^^RIS~"+o.Content.Patient.ID+"^^^PROVET", "ORC|SC|"+o.AccessionNumber+"|||CM", "OBR|1")
	if o = r.get("1001"); o.State != order.Completed {
		t.Error(o.State)
	}
}

// The process dies after the commit and before the answer is sent: the peer sends
// again, gets the answer, and nothing happens twice.
func TestRISDiesBeforeItsAnswer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rayhound.db")
	p := testPeer(t)
	life := func() (*core, func()) {
		db, err := localdb.Open(t.Context(), localdb.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		return newCore(&core{db: db, list: shelf{}, routes: &routes{
			stations: []station{{Name: "DR1", Serves: []string{"X-ray"}}}, ris: []*risPeer{p},
		}}), func() { db.Close() }
	}
	c, die := life()
	o, err := c.Add(t.Context(), newByHand{Modality: "X-ray", Patient: order.Patient{ID: "p1", Name: "Bella"}, Owner: order.Owner{LastName: "Virtanen"}})
	if err != nil {
		t.Fatal(err)
	}
	r := &ris{}
	m := r.message("ORU^R01", "2.4", "OBR|1|"+o.AccessionNumber+strings.Repeat("|", 23)+"F", "OBX|1|TX|R||All is well||||||F")
	first, err := receiverOf(c, p).Handle(t.Context(), mllp.Conn{}, m)
	if err != nil {
		t.Fatal(err)
	}
	die() // nobody got the answer
	c, die = life()
	defer die()
	again, err := receiverOf(c, p).Handle(t.Context(), mllp.Conn{}, m)
	if err != nil || !bytes.Equal(first, again) {
		t.Errorf("%q, then %q %v", first, again, err)
	}
	err = c.db.Read(t.Context(), func(s *localdb.Snapshot) error {
		o, err := s.OrderByID(t.Context(), o.ID)
		if err != nil {
			return err
		}
		docs, err := s.DocumentsOf(t.Context(), o.ID)
		if err != nil {
			return err
		}
		ledger, err := s.EvidenceOf(t.Context(), o.ID)
		if o.State != order.Completed || len(docs) != 1 || len(ledger) != 1 {
			t.Errorf("%s, %d documents, %d facts", o.State, len(docs), len(ledger))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// With no room on the disk the peer is asked to send again, and nothing is kept.
func TestRISNoRoom(t *testing.T) {
	var free atomic.Uint64
	free.Store(100 << 30)
	r := newRIS(t)
	db, err := localdb.Open(t.Context(), localdb.Config{
		Path: filepath.Join(t.TempDir(), "rayhound.db"), FreeSpace: func(string) (uint64, error) { return free.Load(), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r.db = db
	o := r.ordered("1001", "X-ray")
	m := r.message("ORM^O01", "2.3.1", "ORC|SC|"+o.AccessionNumber+"|||CM", "OBR|1")
	free.Store(1 << 20)
	for range 2 {
		a, err := hl7.ParseAck(r.raw(m), hl7.Options{})
		if err != nil || a.Code != hl7.AE || !strings.Contains(a.Text, "space") {
			t.Errorf("%+v %v", a, err)
		}
	}
	free.Store(100 << 30)
	if o = r.get("1001"); o.State != order.Scheduled {
		t.Errorf("a message that was not kept made it %s", o.State)
	}
	r.accepted(m)
	if o = r.get("1001"); o.State != order.Completed {
		t.Error(o.State)
	}
}

// A message about an order that was deleted is kept as an arrival.
func TestRISSpeaksOfADeletedOrder(t *testing.T) {
	r := newRIS(t)
	o := r.ordered("1001", "X-ray")
	r.send("ORM^O01", "2.3.1", "ORC|SN|"+o.AccessionNumber+"|F-1", "OBR|1")
	r.ok(r.db.Write(t.Context(), func(tx *localdb.Tx) error { return tx.DeleteOrder(t.Context(), o.ID, r.clock) }))
	r.send("ORM^O01", "2.3.1", "ORC|SC||F-1||CM", "OBR|1")
	if list := r.arrivals(); len(list) != 1 {
		t.Errorf("%+v", list)
	}
}

// What was closed while it waited for quiet stays closed.
func TestRISQuietAfterTheEnd(t *testing.T) {
	r := newRIS(t, func(x *config.RIS) { x.QuietPeriod = config.Duration(5 * time.Minute) })
	o := r.ordered("1001", "X-ray")
	r.send("OMG^O19", "2.5.1", "ORC|SC|"+o.AccessionNumber+"|||CM", "OBR|1")
	if _, err := r.Cancel(t.Context(), act{Accession: o.AccessionNumber, Reason: "stopped"}); err != nil {
		t.Fatal(err)
	}
	r.clock = r.clock.Add(time.Hour)
	if _, err := r.applyQuiet(t.Context()); err != nil {
		t.Fatal(err)
	}
	if o = r.get("1001"); o.State != order.Discontinued {
		t.Error(o.State)
	}
}

// A reply that nobody takes is given up after a day, with a problem.
func TestRISReplyIsGivenUp(t *testing.T) {
	r := newRIS(t, func(x *config.RIS) { x.Address = "127.0.0.1:1" })
	o := r.ordered("1001", "X-ray")
	m := bytes.Replace(r.message("ORM^O01", "2.5.1", "ORC|SC|"+o.AccessionNumber+"|||IP", "OBR|1"), []byte("|P|2.5.1"), []byte("|P|2.5.1|||AL|AL"), 1)
	if a, err := hl7.ParseAck(r.raw(m), hl7.Options{}); err != nil || a.Code != hl7.CA {
		t.Fatalf("%+v %v", a, err)
	}
	for range 3 {
		var due []localdb.HL7Reply
		r.ok(r.db.Read(t.Context(), func(s *localdb.Snapshot) (err error) {
			due, _, err = s.HL7RepliesDue(t.Context(), r.clock, 10)
			return err
		}))
		r.ok(r.sendDue(t.Context(), due))
		r.clock = r.clock.Add(13 * time.Hour)
	}
	if len(r.raised(problem.RISReply)) != 1 {
		t.Error("nobody is told")
	}
	r.ok(r.db.Read(t.Context(), func(s *localdb.Snapshot) error {
		due, next, err := s.HL7RepliesDue(t.Context(), r.clock.Add(time.Hour), 10)
		if len(due) != 0 || !next.IsZero() {
			t.Errorf("%+v is still owed", due)
		}
		return err
	}))
}

// An answer that refuses what we sent reaches a person, by its order.
func TestRISAnswersLater(t *testing.T) {
	r := newRIS(t)
	o := r.ordered("1001", "X-ray")
	m := r.message("ORR^O02", "2.3.1", "MSA|AA|RHX1", "ORC|UA|"+o.AccessionNumber, "NTE|1||no slot")
	r.raw(m)
	if o = r.get("1001"); !hasNotice(o, problem.RISRefused) {
		t.Errorf("%+v\n%s", o.Notices, r.lines(o))
	}
}
