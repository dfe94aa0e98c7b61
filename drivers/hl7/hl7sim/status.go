package hl7sim

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/rayhound/rayhound/drivers/hl7"
)

// news is what the RIS says about an order.
type news struct {
	control string // ORC-1
	orc5    string // ORC-5
	obr25   string // OBR-25
	obx11   string // OBX-11 of text and document
	text    string
	pdf     []byte
	report  bool  // an ORU whatever the type of status is
	to      State // what the order becomes; "" as it is
}

// Number tells the RIS's number of an order (ORC-1 = SN, ORC-3).
func (r *RIS) Number(ctx context.Context, accession string) (Answer, error) {
	return r.tell(ctx, accession, news{control: "SN"})
}

// Schedule tells that an order was scheduled (ORC-5 = SC).
func (r *RIS) Schedule(ctx context.Context, accession string) (Answer, error) {
	return r.tell(ctx, accession, news{control: "SC", orc5: "SC", obr25: "S", to: Scheduled})
}

// Start tells that the exam began (ORC-5 = IP).
func (r *RIS) Start(ctx context.Context, accession string) (Answer, error) {
	return r.tell(ctx, accession, news{control: "SC", orc5: "IP", obr25: "I", to: Started})
}

// Complete tells that the images were made (ORC-5 = CM, OBR-25 = R).
func (r *RIS) Complete(ctx context.Context, accession string) (Answer, error) {
	return r.tell(ctx, accession, news{control: "SC", orc5: "CM", obr25: "R", to: Completed})
}

// Report sends a final report (ORU^R01, OBR-25 = F) with a line per OBX and, when
// pdf is not empty, the document in an OBX of its own.
func (r *RIS) Report(ctx context.Context, accession, text string, pdf []byte) (Answer, error) {
	return r.tell(ctx, accession, news{control: "RE", orc5: "CM", obr25: "F", obx11: "F", text: text, pdf: pdf, report: true, to: Reported})
}

// Correct sends a corrected report (OBR-25 and OBX-11 = C).
func (r *RIS) Correct(ctx context.Context, accession, text string, pdf []byte) (Answer, error) {
	return r.tell(ctx, accession, news{control: "RE", orc5: "CM", obr25: "C", obx11: "C", text: text, pdf: pdf, report: true, to: Reported})
}

// Preliminary sends a report that is not final (OBR-25 = P with ORC-5 = IP).
func (r *RIS) Preliminary(ctx context.Context, accession, text string) (Answer, error) {
	return r.tell(ctx, accession, news{control: "RE", orc5: "IP", obr25: "P", obx11: "P", text: text, report: true})
}

// Cancel tells that the RIS cancelled the order (ORC-1 = OC, ORC-5 = CA).
func (r *RIS) Cancel(ctx context.Context, accession string) (Answer, error) {
	return r.tell(ctx, accession, news{control: "OC", orc5: "CA", obr25: "X", to: Cancelled})
}

// Discontinue tells that the RIS gave the order up after the start (OD, DC).
func (r *RIS) Discontinue(ctx context.Context, accession string) (Answer, error) {
	return r.tell(ctx, accession, news{control: "OD", orc5: "DC", obr25: "X", to: Discontinued})
}

// Refuse tells that the RIS does not do what the latest message about the order
// asked for: UA, UC, UX, UD or UM, with the reason in NTE-3.
func (r *RIS) Refuse(ctx context.Context, accession, reason string) (Answer, error) {
	o, ok := r.Order(accession)
	if !ok {
		return Answer{}, ErrUnknownOrder
	}
	n := news{control: first(unables[o.Control], "UA"), text: reason}
	if n.control == "UA" {
		n.to = Refused
	}
	return r.tell(ctx, accession, n)
}

// tell sends news about an order. The order changes first, as in a RIS whose
// interface runs behind; what is not accepted stays so.
func (r *RIS) tell(ctx context.Context, accession string, n news) (Answer, error) {
	r.mu.Lock()
	o := r.held.orders[accession]
	if o == nil {
		r.mu.Unlock()
		return Answer{}, ErrUnknownOrder
	}
	if n.to != "" {
		o.set(n.to)
	}
	if n.report {
		o.reports++
	}
	s := statement{news: n, order: o.copied(), id: r.controlID(), kind: r.config.Message, receiver: r.receiver}
	r.mu.Unlock()
	if n.report {
		s.kind = ORU
	}
	raw, err := s.build(&r.config)
	if err != nil {
		return Answer{}, err
	}
	return r.Send(ctx, raw)
}

// statement is one message of the RIS.
type statement struct {
	news
	order    Order
	id, kind string
	receiver [2]string
}

func (s *statement) build(c *Config) ([]byte, error) {
	b := hl7.NewBuilder(hl7.BuilderConfig{Version: c.Version, Charset: c.Charset})
	code, event, _ := strings.Cut(s.kind, "^")
	msh := b.MSH().
		Set("3", c.Application).Set("4", c.Facility).Set("5", s.receiver[0]).Set("6", s.receiver[1]).
		Set("7", hl7.Timestamp(c.Now())).SetAll("9", code, event).Set("10", s.id).Set("11", "P")
	if c.Version >= "2.4" {
		msh.Set("9.3", code+"_"+event)
	}
	pid := b.Segment("PID").Set("1", "1").Set("3", s.order.PatientID)
	pid.SetAll("5", strings.Split(s.order.PatientName, "^")...)
	for i, step := range s.order.Steps {
		s.group(b, c, i+1, step)
		if s.report {
			break // a report belongs to the order, once
		}
	}
	raw, _, err := b.Bytes()
	return raw, err
}

// group writes what is said about one step.
func (s *statement) group(b *hl7.Builder, c *Config, n int, step Step) {
	o := &s.order
	b.Segment("ORC").Set("1", s.control).Set("2", o.PlacerOrderNumber).Set("3", o.FillerOrderNumber).Set("5", s.orc5).Set("9", hl7.Timestamp(c.Now()))
	obr := b.Segment("OBR").Set("1", strconv.Itoa(n)).Set("2", o.PlacerOrderNumber).Set("3", o.FillerOrderNumber).Set("4.2", o.Procedure).Set("25", s.obr25)
	if s.kind != OMI {
		obr.Set("18", o.AccessionNumber).Set("19", step.RequestedProcedureID).Set("20", step.ID).Set("24", step.Modality)
	}
	if s.obr25 == "F" || s.obr25 == "C" {
		obr.Set("22", hl7.Timestamp(c.Now()))
	}
	if s.text != "" && !s.report {
		b.Segment("NTE").Set("1", "1").Set("3", s.text)
	}
	obx := 0
	next := func(kind, id, name string) *hl7.SegmentBuilder {
		obx++
		return b.Segment("OBX").Set("1", strconv.Itoa(obx)).Set("2", kind).Set("3.1", id).Set("3.2", name)
	}
	if s.report {
		for line := range strings.SplitSeq(s.text, "\n") {
			next("TX", "REPORT", "Report").Set("5", strings.TrimRight(line, "\r")).Set("11", s.obx11)
		}
		if len(s.pdf) > 0 {
			next("ED", "PDF", "Report").SetAll("5", "", "AP", "PDF", "Base64", base64.StdEncoding.EncodeToString(s.pdf)).Set("11", s.obx11)
		}
	}
	switch {
	case step.StudyInstanceUID == "":
	case s.kind == OMI:
		b.Segment("IPC").Set("1", o.AccessionNumber).Set("2", step.RequestedProcedureID).Set("3", step.StudyInstanceUID).Set("4", step.ID).Set("5", step.Modality)
	case s.kind == OMG, s.kind == ORU:
		next("ST", "113014", "DICOM Study").Set("3.3", "DCM").Set("5", step.StudyInstanceUID).Set("11", "O")
	default:
		b.Segment("ZDS").SetAll("1", step.StudyInstanceUID, "", "Application", "DICOM")
	}
}
