package appliance_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
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

const risName = "clinic-ris"

// withRIS starts a practice with a simulated RIS that gets its orders.
func withRIS(t *testing.T, change ...func(*config.RIS)) (*practice, *hl7sim.RIS) {
	t.Helper()
	sim, err := hl7sim.New(hl7sim.Config{Application: risName, Timeout: patience})
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
	p := open(t, asItComes, setup{settings: func(f *config.File) {
		r := config.NewRIS()
		r.Name, r.Address = risName, ln.Addr().String()
		for _, c := range change {
			c(&r)
		}
		f.RIS = append(f.RIS, r)
		f.HL7.Listen = config.Names{"127.0.0.1:0"}
	}})
	sim.SetSendTo(p.hl7())
	return p, sim
}

// hl7 is the address of the appliance's HL7 port.
func (p *practice) hl7() string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	addrs, err := p.app.Load().HL7Addrs(ctx)
	p.ok(err)
	return addrs[0]
}

// holds waits until the RIS has an order.
func (p *practice) holds(sim *hl7sim.RIS, accession string) {
	p.t.Helper()
	p.until("the RIS should have order "+accession, func() error {
		if _, ok := sim.Order(accession); !ok {
			return errors.New("it has not")
		}
		return nil
	})
}

func accepted(t *testing.T, a hl7sim.Answer, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v: %+v", err, a)
	}
}

// An order goes to the RIS, and its news come back: number, start, images, report,
// correction.
func TestRISTellsAboutAnOrder(t *testing.T) {
	t.Parallel()
	p, sim := withRIS(t)
	id := p.request("X-ray")
	acc := p.becomes(id, order.Scheduled).AccessionNumber
	p.holds(sim, acc)
	ctx := t.Context()
	a, err := sim.Number(ctx, acc)
	accepted(t, a, err)
	a, err = sim.Start(ctx, acc)
	accepted(t, a, err)
	p.becomes(id, order.InProgress)
	a, err = sim.Complete(ctx, acc)
	accepted(t, a, err)
	p.becomes(id, order.Completed)
	p.upstream(id, "done")
	pdf := append([]byte("%PDF-1.4\n"), bytes.Repeat([]byte("x"), 214_000)...)
	a, err = sim.Report(ctx, acc, "No fracture.\nStraße, Łódź, Яна, 日本", pdf)
	accepted(t, a, err)
	a, err = sim.Correct(ctx, acc, "A small fracture.", nil)
	accepted(t, a, err)

	d := p.detail(acc)
	if len(d.Documents) != 3 || d.Documents[0].ReplacedBy == 0 || len(d.Numbers) == 0 {
		t.Fatalf("%+v %+v", d.Documents, d.Numbers)
	}
	var lines []string
	for _, e := range d.Timeline {
		lines = append(lines, e.Text)
	}
	contains(t, strings.Join(lines, "\n"), "Report from clinic-ris: final, text, 1 PDF (214 kB)", "Corrected report from clinic-ris")
	rep, err := p.api.Report(ctx, acc)
	p.ok(err)
	if !strings.Contains(rep.Documents[0].Text, "Straße, Łódź, Яна, 日本") || rep.Documents[2].Text != "A small fracture." {
		t.Errorf("%+v", rep)
	}
	var saved bytes.Buffer
	p.ok(p.api.CopyDocument(ctx, acc, rep.Documents[1], &saved))
	if !bytes.Equal(saved.Bytes(), pdf) {
		t.Errorf("%d bytes were saved, not %d", saved.Len(), len(pdf))
	}
	st, err := p.api.Status(ctx)
	p.ok(err)
	if len(st.HL7) != 1 || len(st.RIS) != 1 || st.RIS[0].LastMessageAt.IsZero() {
		t.Errorf("%+v %+v", st.HL7, st.RIS)
	}
	checks, err := p.api.Doctor(ctx)
	p.ok(err)
	seen := 0
	for _, c := range checks {
		if c.Area == "hl7" {
			seen++
			if c.Result != "ok" {
				t.Errorf("%+v", c)
			}
		}
	}
	if seen < 2 {
		t.Errorf("%d checks of HL7", seen)
	}
	var bundle bytes.Buffer
	p.ok(p.api.SupportFile(ctx, &bundle))
	tellsNothing(t, bundle.Bytes(), "fracture", "Straße", "%PDF-1.4")
	p.restart()
	if again, err := p.api.Report(ctx, acc); err != nil || len(again.Documents) != 3 {
		t.Errorf("after a restart: %+v %v", again, err)
	}
}

// tellsNothing looks for words in every file of a zip.
func tellsNothing(t *testing.T, bundle []byte, words ...string) {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(bundle), int64(len(bundle)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.File {
		rc, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(rc)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range words {
			if bytes.Contains(bytes.ToLower(b), []byte(strings.ToLower(w))) {
				t.Errorf("%s holds %q", f.Name, w)
			}
		}
	}
}

// What is no message is answered, kept, and harms nobody else.
func TestRISPortStandsBadInput(t *testing.T) {
	t.Parallel()
	p, sim := withRIS(t)
	acc := p.becomes(p.request("X-ray"), order.Scheduled).AccessionNumber
	p.holds(sim, acc)
	for name, b := range map[string]string{
		"garbage":        "GET / HTTP/1.1\r\n\r\n",
		"an empty frame": "\x0b\x1c\r",
		"truncated":      "\x0bMSH|^~\\&|clinic-ris|Clinic|||2026||ORM^O01|1|P|2.3.1\rORC|SC",
		"unknown type":   "\x0bMSH|^~\\&|clinic-ris|Clinic|||2026||QRY^A19|2|P|2.3.1\rQRD|1\r\x1c\r",
		"nobody's":       "\x0bhello\x1c\r",
	} {
		d := net.Dialer{Timeout: patience}
		c, err := d.DialContext(t.Context(), "tcp", p.hl7())
		p.ok(err)
		p.ok(c.SetDeadline(time.Now().Add(patience)))
		_, err = c.Write([]byte(b))
		p.ok(err)
		p.ok(c.(*net.TCPConn).CloseWrite())
		f, err := mllp.NewReader(c, mllp.ReaderConfig{}).Next()
		if err != nil {
			t.Errorf("%s: no answer: %v", name, err)
		} else if ack, err := hl7.ParseAck(f.Payload, hl7.Options{}); err != nil || ack.Code == hl7.AA || ack.Text == "" {
			t.Errorf("%s: %q %v", name, f.Payload, err)
		}
		p.ok(c.Close())
	}
	a, err := sim.Start(t.Context(), acc)
	accepted(t, a, err)
	if p.raised(problem.RISMessage, risName) == "" {
		t.Error("nobody is told")
	}
}

// A caller that belongs to no RIS is refused and named.
func TestRISPortRefusesStrangers(t *testing.T) {
	t.Parallel()
	p, _ := withRIS(t, func(r *config.RIS) { r.Address = "192.0.2.7:2575" })
	_, err := p.api.Doctor(t.Context()) // whose knocking is no stranger's
	p.ok(err)
	if lines := p.board(problem.RISCaller, "127.0.0.1"); len(lines) != 0 {
		t.Errorf("the doctor is taken for a stranger: %v", lines)
	}
	d := net.Dialer{Timeout: patience}
	c, err := d.DialContext(t.Context(), "tcp", p.hl7())
	p.ok(err)
	defer c.Close()
	p.ok(c.SetDeadline(time.Now().Add(patience)))
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("a stranger got %d bytes, %v", n, err)
	}
	contains(t, p.raised(problem.RISCaller, "127.0.0.1"), "127.0.0.1")
}

// A port that is taken is told and tried again, and the rest goes on.
func TestRISPortIsTaken(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	other, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	p := open(t, asItComes, setup{settings: func(f *config.File) {
		r := config.NewRIS()
		r.Name, r.Address = risName, "127.0.0.1:1"
		f.RIS = append(f.RIS, r)
		f.HL7.Listen = config.Names{other.Addr().String()}
	}})
	p.becomes(p.request("X-ray"), order.Scheduled)
	contains(t, p.raised(problem.RISPort, other.Addr().String()), "another program")
}

// A report that names no order we know waits for a person.
func TestRISReportWaitsForItsOrder(t *testing.T) {
	t.Parallel()
	p, sim := withRIS(t)
	id := p.request("X-ray")
	o := p.becomes(id, order.Scheduled)
	p.holds(sim, o.AccessionNumber)
	m, err := sim.Unsolicited(hl7sim.Order{AccessionNumber: "NOBODYS"}, "All is well.", []byte("%PDF-1.4 x"))
	p.ok(err)
	a, err := sim.Send(t.Context(), m)
	accepted(t, a, err)
	var arrivals []ui.Arrival
	p.until("the report should wait", func() error {
		arrivals, err = p.api.Arrivals(t.Context(), false)
		if err == nil && len(arrivals) != 1 {
			err = fmt.Errorf("%d arrivals", len(arrivals))
		}
		return err
	})
	if arrivals[0].Source != "hl7" || arrivals[0].AccessionNumber != "NOBODYS" {
		t.Errorf("%+v", arrivals)
	}
	_, err = p.api.LinkArrival(t.Context(), arrivals[0].ID, o.AccessionNumber, "asked the RIS")
	p.ok(err)
	if d := p.detail(o.AccessionNumber); len(d.Documents) != 2 {
		t.Errorf("%+v", d.Documents)
	}
	p.becomes(id, order.Completed)
}

// An application acknowledgement of enhanced mode goes to the RIS as a message of
// its own, also when the RIS was away.
func TestRISGetsItsApplicationAck(t *testing.T) {
	t.Parallel()
	p, sim := withRIS(t)
	acc := p.becomes(p.request("X-ray"), order.Scheduled).AccessionNumber
	p.holds(sim, acc)
	p.restart()
	client := mllp.NewClient(mllp.ClientConfig{Address: p.hl7()})
	defer client.Close()
	answer, err := client.Send(t.Context(), []byte("MSH|^~\\&|clinic-ris|Clinic|||20261124||ORM^O01|ENH1|P|2.5.1|||AL|AL\rORC|SC|"+acc+"|||IP\rOBR|1\r"), nil)
	p.ok(err)
	if a, err := hl7.ParseAck(answer, hl7.Options{}); err != nil || a.Code != hl7.CA {
		t.Fatalf("%q %v", answer, err)
	}
	p.until("the RIS should get AA", func() error {
		for _, m := range sim.Messages() {
			if bytes.Contains(m.Raw, []byte("MSA|AA|ENH1")) {
				return nil
			}
		}
		return errors.New("it has not")
	})
}

// asItComes is a Provet Cloud with the names of its defaults.
func asItComes(c provetsim.Config) provetsim.Config { return c }

// A report of 20 MB comes through the port while the machines go on.
func TestRISSendsABigReport(t *testing.T) {
	t.Parallel()
	p, sim := withRIS(t)
	id := p.request("X-ray")
	acc := p.becomes(id, order.Scheduled).AccessionNumber
	p.holds(sim, acc)
	pdf := append([]byte("%PDF-1.4\n"), bytes.Repeat([]byte("0123456789abcde"), 1_000_000)...)
	start := time.Now()
	a, err := sim.Report(t.Context(), acc, "All is well.", pdf)
	accepted(t, a, err)
	t.Logf("%d bytes as PDF, built, sent and answered in %s", len(pdf), time.Since(start))
	p.listed(xray, p.request("X-ray"))
	if d := p.detail(acc); len(d.Documents) != 2 || d.Documents[1].Bytes != int64(len(pdf)) {
		t.Errorf("%+v", d.Documents)
	}
	p.becomes(id, order.Completed)
}
