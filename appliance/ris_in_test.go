package appliance

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"
	"github.com/rayhound/rayhound/drivers/hl7/orders"
	"github.com/rayhound/rayhound/localdb"
)

// ris is a clinic with a RIS that sends.
type ris struct {
	*clinic
	receiver *orders.Receiver
	peer     *risPeer
	sent     int
}

func testPeer(t testing.TB, change ...func(*config.RIS)) *risPeer {
	t.Helper()
	r := config.NewRIS()
	r.Name, r.Address = "clinic-ris", "127.0.0.1:2575"
	for _, f := range change {
		f(&r)
	}
	p, err := newRISPeer(config.Default(), &r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newRIS(t *testing.T, change ...func(*config.RIS)) *ris {
	t.Helper()
	p := testPeer(t, change...)
	c := newClinic(t, func(k *core, _ *tenant) {
		k.routes.ris = []*risPeer{p}
		for i := range k.routes.stations {
			k.routes.stations[i].DoneWhen = []order.Source{order.MPPS, order.HL7}
		}
	})
	c.inbound.wakeQuiet, c.inbound.wakeReply = make(chan struct{}, 1), make(chan struct{}, 1)
	return &ris{clinic: c, peer: p, receiver: receiverOf(c.core, p)}
}

func receiverOf(c *core, p *risPeer) *orders.Receiver {
	prof := p.profile
	prof.CharsetIn = p.CharsetIn
	return orders.NewReceiver(orders.ReceiverConfig{Profiles: []orders.Profile{prof}, Store: risStore{c}, Now: c.now})
}

// ordered makes an order in Provet and looks at it.
func (r *ris) ordered(id string, modalities ...string) *order.Order {
	r.t.Helper()
	r.request(id, modalities...)
	r.look(id)
	return r.get(id)
}

func (r *ris) get(id string) *order.Order {
	r.t.Helper()
	var o *order.Order
	r.ok(r.db.Read(r.t.Context(), func(s *localdb.Snapshot) (err error) {
		o, err = s.OrderByProvetID(r.t.Context(), id)
		return err
	}))
	return o
}

// bytes sends a whole message and returns the raw answer.
func (r *ris) raw(message []byte) []byte {
	r.t.Helper()
	b, err := r.receiver.Handle(r.t.Context(), mllp.Conn{Peer: netip.MustParseAddrPort("127.0.0.1:40000")}, message)
	r.ok(err)
	return b
}

// message makes the bytes of a message with the next control id.
func (r *ris) message(messageType, version string, segments ...string) []byte {
	r.sent++
	head := fmt.Sprintf(`MSH|^~\&|clinic-ris|Clinic|RAYHOUND|Clinic|20261123084000||%s|C%d|P|%s`, messageType, r.sent, version)
	return []byte(strings.Join(append([]string{head}, segments...), "\r") + "\r")
}

// send sends a message that is to be accepted.
func (r *ris) send(messageType, version string, segments ...string) {
	r.t.Helper()
	r.accepted(r.message(messageType, version, segments...))
}

func (r *ris) accepted(message []byte) {
	r.t.Helper()
	a, err := hl7.ParseAck(r.raw(message), hl7.Options{})
	r.ok(err)
	if a.Code != hl7.AA {
		r.t.Fatalf("%s was answered %s: %s", message, a.Code, a.Text)
	}
}

func (r *ris) lines(o *order.Order) string {
	r.t.Helper()
	var text []string
	r.ok(r.db.Read(r.t.Context(), func(s *localdb.Snapshot) error {
		list, err := s.Timeline(r.t.Context(), o.ID)
		for _, e := range list {
			text = append(text, e.Text)
		}
		return err
	}))
	return strings.Join(text, "\n")
}

func (r *ris) documents(o *order.Order) (list []localdb.Document, texts []string) {
	r.t.Helper()
	ctx := r.t.Context()
	r.ok(r.db.Read(ctx, func(s *localdb.Snapshot) (err error) {
		if list, err = s.DocumentsOf(ctx, o.ID); err != nil {
			return err
		}
		for _, d := range list {
			var b bytes.Buffer
			if err := s.CopyDocument(ctx, d.ID, &b); err != nil {
				return err
			}
			texts = append(texts, b.String())
		}
		return nil
	}))
	return list, texts
}

func (r *ris) arrivals() []localdb.Arrival {
	r.t.Helper()
	var list []localdb.Arrival
	r.ok(r.db.Read(r.t.Context(), func(s *localdb.Snapshot) (err error) {
		list, err = s.ListArrivals(r.t.Context(), true, 100)
		return err
	}))
	return list
}

func hasNotice(o *order.Order, code problem.Code) bool {
	for _, n := range o.Notices {
		if n.Code == string(code) && !n.Done {
			return true
		}
	}
	return false
}

// All three message types move an order, as dcm4chee and as a RIS send them.
func TestRISMovesAnOrder(t *testing.T) {
	for _, c := range []struct {
		name, messageType, version string
		segments                   func(o *order.Order, orc5, obr25 string) []string
	}{
		{"ORM", "ORM^O01", "2.3.1", func(o *order.Order, orc5, obr25 string) []string {
			return []string{"PID|1||" + o.Content.Patient.ID, "ORC|SC|" + o.AccessionNumber + "|F-1||" + orc5, "OBR|1|" + o.AccessionNumber + "|F-1" + strings.Repeat("|", 22) + obr25}
		}},
		{"OMG, by its study alone", "OMG^O19^OMG_O19", "2.5.1", func(o *order.Order, orc5, obr25 string) []string {
			return []string{
				"PID|1||" + o.Content.Patient.ID, "ORC|SC|||" + "|" + orc5, "OBR|1" + strings.Repeat("|", 24) + obr25,
				"OBX|1|ST|113014^DICOM Study^DCM||" + o.StudyInstanceUID + "||||||O",
			}
		}},
		{"OMI, by the IPC", "OMI^O23^OMI_O23", "2.5.1", func(o *order.Order, orc5, obr25 string) []string {
			return []string{
				"PID|1||" + o.Content.Patient.ID, "ORC|SC||||" + orc5, "OBR|1" + strings.Repeat("|", 24) + obr25,
				"IPC|" + o.AccessionNumber + "|" + o.RequestedProcedureID + "|" + o.StudyInstanceUID + "|" + o.Steps[0].ScheduledProcedureStepID,
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRIS(t)
			o := r.ordered("1001", "X-ray")
			r.send(c.messageType, c.version, c.segments(o, "IP", "R")...) // dcm4chee sends R with the first message, too
			if o = r.get("1001"); o.State != order.InProgress {
				t.Fatalf("after IP: %s\n%s", o.State, r.lines(o))
			}
			r.send(c.messageType, c.version, c.segments(o, "CM", "R")...)
			if o = r.get("1001"); o.State != order.Completed || o.ClosedBy != order.HL7 {
				t.Fatalf("after CM: %s by %s\n%s", o.State, o.ClosedBy, r.lines(o))
			}
			r.send(c.messageType, c.version, c.segments(o, "IP", "R")...) // late: no state goes back
			if o = r.get("1001"); o.State != order.Completed {
				t.Fatalf("after a late IP: %s", o.State)
			}
		})
	}
}

func TestRISReportIsKept(t *testing.T) {
	r := newRIS(t)
	o := r.ordered("1001", "X-ray")
	const b64 = "JVBERi0xLjQKJSVFT0YK" // %PDF-1.4
	report := func(status, text string, more ...string) []string {
		return append([]string{
			"PID|1||" + o.Content.Patient.ID, "OBR|1|" + o.AccessionNumber + "|F-7" + strings.Repeat("|", 22) + status,
			"OBX|1|TX|R^Report||" + text + "||||||" + status,
		}, more...)
	}
	r.send("ORU^R01", "2.4", report("P", "Looks like a fracture")...)
	if o = r.get("1001"); o.State == order.Completed {
		t.Error("a preliminary report completed the order")
	}
	r.send("ORU^R01", "2.4", report("F", "Fracture of the elbow", "OBX|2|ED|PDF^Report as PDF||^AP^PDF^Base64^"+b64+"||||||F")...)
	if o = r.get("1001"); o.State != order.Completed {
		t.Errorf("a final report left it %s", o.State)
	}
	r.send("ORU^R01", "2.4", report("C", "No fracture")...)
	r.send("ORU^R01", "2.4", report("C", "No fracture")...) // once more with another control id
	r.send("ORU^R01", "2.4", report("F", "x", "OBX|2|ED|PDF^Broken||^AP^PDF^Base64^!!!notbase64||||||F")...)
	docs, texts := r.documents(o)
	if len(docs) != 6 {
		t.Fatalf("%d documents: %+v", len(docs), docs)
	}
	if docs[1].CorrectionOf != docs[0].ID || docs[3].CorrectionOf != docs[1].ID || docs[3].Status != "C" {
		t.Errorf("corrections: %+v", docs)
	}
	if texts[0] != "Looks like a fracture" || texts[2] != "%PDF-1.4\n%%EOF\n" || texts[3] != "No fracture" {
		t.Errorf("%q", texts)
	}
	if !docs[5].Broken || texts[5] != "!!!notbase64" {
		t.Errorf("the broken file is not as it came: %+v %q", docs[5], texts[5])
	}
	o = r.get("1001")
	lines := r.lines(o)
	for _, want := range []string{
		"Report from clinic-ris: preliminary, text", "Report from clinic-ris: final, text, 1 PDF (15 bytes)",
		"Corrected report from clinic-ris: corrected, text", "1 file is damaged", "clinic-ris knows it as F-7",
	} {
		if !strings.Contains(lines, want) {
			t.Errorf("no line %q in\n%s", want, lines)
		}
	}
	if strings.Contains(lines, "fracture") || strings.Contains(lines, "Fracture") {
		t.Errorf("the timeline tells the report:\n%s", lines)
	}
	if !hasNotice(o, problem.RISDocument) {
		t.Error("nobody is told of the broken file")
	}
	if o.State != order.Completed {
		t.Errorf("a correction left it %s", o.State)
	}
}

func TestRISAsksAPerson(t *testing.T) {
	for _, c := range []struct {
		name  string
		apply bool
		orc   string
		obr25 string
		code  problem.Code
		state order.State
	}{
		{"unable to accept", false, "UA", "", problem.RISRefused, order.Scheduled},
		{"unable to cancel", false, "UC", "", problem.RISRefused, order.Scheduled},
		{"unable to change", false, "UX", "", problem.RISRefused, order.Scheduled},
		{"cancelled", false, "OC", "", problem.RISCancelled, order.Scheduled},
		{"cancelled, applied", true, "OC", "", "", order.Cancelled},
		{"discontinued", false, "OD", "", problem.RISDiscontinued, order.Scheduled},
		{"discontinued, applied", true, "OD", "", "", order.Discontinued},
		{"changed", false, "XX", "", problem.RISChanged, order.Scheduled},
		{"in error", false, "SC|@|||ER", "", problem.RISFailed, order.Scheduled},
		{"images rejected", false, "SC|@|||CM", "X", problem.RISImagesRejected, order.Scheduled},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRIS(t, func(x *config.RIS) {
				if c.apply {
					x.Cancel = "apply"
				}
			})
			o := r.ordered("1001", "X-ray")
			written := len(r.tenant.written)
			orc := "ORC|" + c.orc + "|" + o.AccessionNumber
			if strings.Contains(c.orc, "@") {
				orc = "ORC|" + strings.ReplaceAll(c.orc, "@", o.AccessionNumber)
			}
			r.send("ORM^O01", "2.3.1", "PID|1||"+o.Content.Patient.ID, orc, "OBR|1|"+o.AccessionNumber+strings.Repeat("|", 23)+c.obr25)
			o = r.get("1001")
			if o.State != c.state {
				t.Errorf("%s, want %s\n%s", o.State, c.state, r.lines(o))
			}
			if c.code != "" && !hasNotice(o, c.code) {
				t.Errorf("no notice %s: %+v", c.code, o.Notices)
			}
			if c.code != "" && len(r.board.All()) == 0 {
				t.Error("nothing is on the board")
			}
			r.look("1001") // Provet shows it open as before
			r.clinic.send()
			if o = r.get("1001"); o.State != c.state {
				t.Errorf("after the next look: %s", o.State)
			}
			for _, v := range r.tenant.written[written:] {
				if v == statusValues[order.Cancelled] || v == statusValues[order.Discontinued] {
					t.Errorf("Provet was told %q", v)
				}
			}
		})
	}
}

func TestRISUnknownOrderWaitsForAPerson(t *testing.T) {
	r := newRIS(t)
	o := r.ordered("1001", "X-ray")
	seg := func(status string) []string {
		return []string{"PID|1||" + o.Content.Patient.ID + "||Virtanen^Bella", "ORC|RE||RIS-55||" + status, "OBR|1||RIS-55" + strings.Repeat("|", 15) + "ACC9"}
	}
	r.send("ORM^O01", "2.3.1", seg("IP")...)
	r.send("ORU^R01", "2.4", append(seg("CM"), "OBX|1|TX|R||All is well||||||F")...)
	open := r.arrivals()
	if len(open) != 1 || open[0].Kind != "hl7" || open[0].AccessionNumber != "ACC9" || open[0].PatientName != "Virtanen Bella" {
		t.Fatalf("%+v", open)
	}
	if docs, _ := r.documents(o); len(docs) != 0 {
		t.Error("the report went to an order by the patient alone")
	}
	var hits []suggestion
	r.ok(r.db.Read(t.Context(), func(s *localdb.Snapshot) (err error) { hits, err = suggest(t.Context(), s, &open[0]); return err }))
	if len(hits) != 1 || hits[0].order.ID != o.ID {
		t.Errorf("suggestions %+v", hits)
	}
	if _, err := r.Link(t.Context(), open[0].ID, act{Accession: o.AccessionNumber, Who: "test"}); err != nil {
		t.Fatal(err)
	}
	o = r.get("1001")
	docs, texts := r.documents(o)
	if o.State != order.Completed || len(docs) != 1 || texts[0] != "All is well" {
		t.Errorf("after the link: %s, %+v %q\n%s", o.State, docs, texts, r.lines(o))
	}
	// From now on the RIS's numbers are known.
	r.send("ORU^R01", "2.4", append(seg("CM"), "OBX|1|TX|R||All is well, really||||||C")...)
	if docs, _ = r.documents(o); len(docs) != 2 || len(r.arrivals()) != 0 {
		t.Errorf("the correction was not recognised: %+v", docs)
	}
}

func TestRISOtherPatientIsNotApplied(t *testing.T) {
	r := newRIS(t)
	o := r.ordered("1001", "X-ray")
	r.send("ORM^O01", "2.3.1", "PID|1||OTHER", "ORC|SC|"+o.AccessionNumber+"|||CM", "OBR|1")
	o = r.get("1001")
	if o.State != order.Scheduled || !hasNotice(o, problem.RISPatientDiffers) || len(r.arrivals()) != 1 {
		t.Fatalf("%s %+v %+v", o.State, o.Notices, r.arrivals())
	}
	if _, err := r.Link(t.Context(), r.arrivals()[0].ID, act{Accession: o.AccessionNumber}); err != nil {
		t.Fatal(err)
	}
	if o = r.get("1001"); o.State != order.Completed || hasNotice(o, problem.RISPatientDiffers) {
		t.Errorf("after the link: %s %+v", o.State, o.Notices)
	}
}

func TestRISNamesTwoOrders(t *testing.T) {
	r := newRIS(t)
	a, b := r.ordered("1001", "X-ray"), r.ordered("1002", "X-ray")
	r.send("ORM^O01", "2.3.1", "ORC|SC|"+a.AccessionNumber+"|||CM", "OBR|1", "ZDS|"+b.StudyInstanceUID)
	if r.get("1001").State != order.Scheduled || r.get("1002").State != order.Scheduled || len(r.arrivals()) != 1 {
		t.Error("a message that contradicts itself was applied")
	}
}

func TestRISDuplicatesCountOnce(t *testing.T) {
	r := newRIS(t)
	o := r.ordered("1001", "X-ray")
	m := r.message("ORU^R01", "2.4", "PID|1||"+o.Content.Patient.ID, "OBR|1|"+o.AccessionNumber+strings.Repeat("|", 23)+"F", "OBX|1|TX|R||text||||||F")
	answers := make(chan []byte, 8)
	for range cap(answers) {
		go func() {
			b, _ := r.receiver.Handle(t.Context(), mllp.Conn{}, m)
			answers <- b
		}()
	}
	want := <-answers
	for range cap(answers) - 1 {
		if got := <-answers; !bytes.Equal(got, want) {
			t.Errorf("answered %q and %q", want, got)
		}
	}
	again := newCore(&core{db: r.db, list: shelf{}, now: r.now, routes: r.routes, practice: r.tenant}) // after a restart
	got, err := receiverOf(again, r.peer).Handle(t.Context(), mllp.Conn{}, m)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("after a restart: %q %v", got, err)
	}
	if docs, _ := r.documents(o); len(docs) != 1 {
		t.Errorf("%d documents", len(docs))
	}
	if n := strings.Count(r.lines(o), "Completed"); n != 1 {
		t.Errorf("completed %d times", n)
	}
	// The same control id with other bytes is another message.
	other := bytes.Replace(m, []byte("||text||"), []byte("||other||"), 1)
	r.accepted(other)
	if docs, _ := r.documents(o); len(docs) != 2 {
		t.Errorf("%d documents after another message", len(docs))
	}
}

func TestRISQuietPeriod(t *testing.T) {
	r := newRIS(t, func(x *config.RIS) { x.QuietPeriod = config.Duration(5 * time.Minute) })
	o := r.ordered("1001", "X-ray")
	cm := []string{"PID|1||" + o.Content.Patient.ID, "ORC|SC|" + o.AccessionNumber + "|||CM", "OBR|1"}
	r.send("OMG^O19", "2.5.1", cm...)
	if o = r.get("1001"); o.State != order.InProgress {
		t.Fatalf("after the first image: %s", o.State)
	}
	r.clock = r.clock.Add(4 * time.Minute)
	r.send("OMG^O19", "2.5.1", cm...) // puts it off
	r.clock = r.clock.Add(4 * time.Minute)
	next, err := r.applyQuiet(t.Context())
	if err != nil || !next.Equal(r.clock.Add(time.Minute)) {
		t.Errorf("next %v %v", next, err)
	}
	if o = r.get("1001"); o.State != order.InProgress {
		t.Fatalf("too early: %s", o.State)
	}
	r.clock = r.clock.Add(2 * time.Minute)
	again := newCore(&core{db: r.db, list: shelf{}, now: r.now, routes: r.routes, practice: r.tenant}) // after a restart
	if _, err := again.applyQuiet(t.Context()); err != nil {
		t.Fatal(err)
	}
	if o = r.get("1001"); o.State != order.Completed {
		t.Fatalf("after the quiet: %s\n%s", o.State, r.lines(o))
	}
}

func TestRISTestMessagesAreNotApplied(t *testing.T) {
	r := newRIS(t)
	o := r.ordered("1001", "X-ray")
	m := r.message("ORM^O01", "2.3.1", "ORC|SC|"+o.AccessionNumber+"|||CM", "OBR|1")
	r.accepted(bytes.Replace(m, []byte("|P|2.3.1"), []byte("|T|2.3.1"), 1))
	if o = r.get("1001"); o.State != order.Scheduled {
		t.Errorf("a test made it %s", o.State)
	}
	r.ok(r.db.Read(t.Context(), func(s *localdb.Snapshot) error {
		list, err := s.ListHL7In(t.Context(), localdb.HL7Test, 10)
		if len(list) != 1 {
			t.Errorf("%d tests are kept", len(list))
		}
		return err
	}))
}

func TestRISMessagesThatCannotBeUsed(t *testing.T) {
	r := newRIS(t)
	for name, m := range map[string]string{
		"garbage":       "hello, is this the printer?",
		"truncated":     "MSH|^~\\&|clinic-ris",
		"wrong type":    "MSH|^~\\&|clinic-ris|Clinic|||20261123||QRY^A19|1|P|2.4\rQRD|1\r",
		"wrong version": "MSH|^~\\&|clinic-ris|Clinic|||20261123||QBP^Q11|2|P|9.9\rQPD|1\r",
		"empty":         "MSH|^~\\&|clinic-ris|Clinic|||20261123||ORU^R01|3|P|2.4\r",
	} {
		a, err := hl7.ParseAck(r.raw([]byte(m)), hl7.Options{})
		if err != nil || a.Code != hl7.AR || a.Text == "" {
			t.Errorf("%s: %+v %v", name, a, err)
		}
	}
	r.ok(r.db.Read(t.Context(), func(s *localdb.Snapshot) error {
		list, err := s.ListHL7In(t.Context(), localdb.HL7Refused, 10)
		if len(list) != 5 {
			t.Errorf("%d messages are kept", len(list))
		}
		for _, m := range list {
			if raw, err := s.RawByID(t.Context(), m.RawID); err != nil || len(raw.Bytes) == 0 || m.Refused == "" {
				t.Errorf("%+v %v", m, err)
			}
		}
		return err
	}))
	if len(r.board.All()) == 0 {
		t.Error("nobody is told")
	}
}

func TestRISFullDiskAsksToSendAgain(t *testing.T) {
	r := newRIS(t)
	o := r.ordered("1001", "X-ray")
	m := r.message("ORM^O01", "2.3.1", "ORC|SC|"+o.AccessionNumber+"|||CM", "OBR|1")
	r.ok(r.db.Close())
	a, err := hl7.ParseAck(r.raw(m), hl7.Options{})
	if err != nil || a.Code != hl7.AE {
		t.Errorf("%+v %v", a, err)
	}
	if _, err := (risStore{r.core}).Receive(t.Context(), &orders.Received{}); err == nil || errors.Is(err, orders.ErrNoSpace) {
		t.Errorf("a closed database is %v", err)
	}
}

// Names and reports arrive as they were meant in every character set.
func TestRISCharacterSets(t *testing.T) {
	for _, c := range []struct {
		name, charset, text string
		encode              func(string) []byte
		want                string
	}{
		{"UTF-8", "UNICODE UTF-8", "Straße Łódź Яна 日本", func(s string) []byte { return []byte(s) }, "Straße Łódź Яна 日本"},
		{"no MSH-18, UTF-8", "", "Straße Łódź Яна 日本", func(s string) []byte { return []byte(s) }, "Straße Łódź Яна 日本"},
		{"8859/1", "8859/1", "Straße", latin, "Straße"},
		{"no MSH-18, windows-1252", "", "Straße “ok”", windows1252, "Straße “ok”"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRIS(t, func(x *config.RIS) { x.Charset = "ASCII" })
			o := r.ordered("1001", "X-ray")
			m := string(r.message("ORU^R01", "2.4", "PID|1||"+o.Content.Patient.ID, "OBR|1|"+o.AccessionNumber+strings.Repeat("|", 23)+"F", "OBX|1|TX|R||"+c.text+"||||||F"))
			m = strings.Replace(m, "|P|2.4", "|P|2.4||||||"+c.charset, 1)
			r.accepted(c.encode(m))
			if _, texts := r.documents(o); len(texts) != 1 || texts[0] != c.want {
				t.Errorf("%q, want %q", texts, c.want)
			}
		})
	}
}

func latin(s string) []byte {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r))
	}
	return b
}

func windows1252(s string) []byte {
	var b []byte
	for _, r := range s {
		switch r {
		case '“':
			r = 0x93
		case '”':
			r = 0x94
		}
		b = append(b, byte(r))
	}
	return b
}
