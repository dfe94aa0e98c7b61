package hl7sim

import (
	"bytes"
	"strings"

	"github.com/rayhound/rayhound/drivers/hl7"
)

// exchange is one message that came, with its answer.
type exchange struct {
	r     *RIS
	conn  interface{ Write([]byte) (int, error) }
	m     *hl7.Message
	raw   []byte
	fault Fault

	orders             []incoming
	control, accession string // of the first order
	logged             *Message
	again              bool // a duplicate that was applied
	reply              reply
	code               string // MSA-1 that went out
	applied, told      bool
}

// reply is the answer before it is written.
type reply struct {
	code    hl7.AckCode
	id      string // MSA-2; "" for that of the message
	noID    bool   // MSA-2 empty
	text    string
	errors  []hl7.AckError
	as      string // MSH-9; "" for an ACK
	version string // MSH-12; "" for that of the message
	orders  []orderReply
}

// orderReply is an ORC of an answer.
type orderReply struct{ control, placer, filler string }

// meets reports whether a fault in force meets this message.
func (x *exchange) meets(f Fault) bool {
	if side, _ := sideOf(f.Kind); side != Answering || f.Kind == RefuseConnection || f.Kind == SlowConnection || x.isAnswer() {
		return false
	}
	if x.orders == nil {
		x.orders = readOrders(x.m)
		if len(x.orders) > 0 {
			x.control, x.accession = x.orders[0].control, x.orders[0].accession
		}
	}
	switch {
	case f.Control != "" && f.Control != x.control:
		return false
	case f.Kind == Unable:
		return unables[x.control] != ""
	case f.Kind == Gap, f.Kind == GapReject:
		if f.Delay == 0 {
			f.Delay = defaultGap
		}
		x.r.mu.Lock()
		defer x.r.mu.Unlock()
		return !x.r.lastAnswer.IsZero() && x.r.config.Now().Sub(x.r.lastAnswer) < f.Delay
	}
	return true
}

// unables are the refusals of what is asked for by ORC-1.
var unables = map[string]string{"NW": "UA", "RP": "UM", "RO": "UM", "CA": "UC", "XO": "UX", "DC": "UD"}

// notApplied are the faults of a RIS that did not get to the message.
var notApplied = map[FaultKind]bool{
	CloseAfterRead: true, Gap: true, GapReject: true, Internal207: true, Error101: true, ErrorPlain: true, RejectPlain: true, Unable: true,
}

// process keeps the message, applies it and says what is to be answered.
func (x *exchange) process() {
	r := x.r
	code, _, _ := strings.Cut(x.m.Type(), "^")
	if x.orders == nil {
		x.orders = readOrders(x.m)
		if len(x.orders) > 0 {
			x.control, x.accession = x.orders[0].control, x.orders[0].accession
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	id := x.m.ControlID()
	r.receiver = [2]string{first(x.m.SendingApplication(), r.receiver[0]), first(x.m.SendingFacility(), r.receiver[1])}
	x.logged, x.again = r.held.log(&r.config, Message{
		ControlID: id, Type: x.m.Type(), Control: x.control, AccessionNumber: x.accession, At: r.config.Now(),
	}, x.raw)
	x.reply = reply{code: hl7.AA}
	var no *refusal
	switch code {
	case "ORM", "OMG", "OMI":
		switch {
		case id == "":
			no = &refusal{hl7.AE, hl7.AckError{Code: hl7.CodeRequiredFieldMissing, Where: "MSH-10", Text: "The control id is missing."}}
		case len(x.orders) == 0:
			no = &refusal{hl7.AE, hl7.AckError{Code: hl7.CodeSegmentSequence, Text: "The message has no ORC."}}
		}
	case "ADT", "ACK", "ORR", "ORG", "ORI", "MCF":
	default:
		no = &refusal{hl7.AR, hl7.AckError{Code: hl7.CodeUnsupportedMessageType, Where: "MSH-9", Text: "The message type is not taken here."}}
	}
	if no == nil && !x.again && !notApplied[x.fault.Kind] {
		if code == "ADT" {
			r.applyADT(x.m)
		}
		for _, in := range x.orders {
			if no = r.apply(id, in); no != nil {
				break
			}
		}
		x.applied = no == nil
		x.logged.Applied = x.applied
	}
	if no != nil {
		x.reply.code, x.reply.text, x.reply.errors = no.code, no.error.Text, []hl7.AckError{no.error}
		return
	}
	for _, in := range x.orders {
		if o := r.held.orders[in.accession]; o != nil {
			x.reply.orders = append(x.reply.orders, orderReply{"OK", in.placer, o.FillerOrderNumber})
		}
	}
	if r.config.AnswerOrders && len(x.reply.orders) > 0 {
		x.reply.as = map[string]string{"ORM": "ORR^O02", "OMG": "ORG^O20", "OMI": "ORI^O24"}[code]
	}
}

// isAnswer reports whether the message is an answer itself, which is not answered.
func (x *exchange) isAnswer() bool { return x.m.Has("MSA-1") }

// bytes builds the answer; nil when none is to be sent.
func (x *exchange) bytes() []byte {
	if x.isAnswer() {
		return nil
	}
	return x.build(x.reply)
}

func (x *exchange) build(p reply) []byte {
	b := hl7.NewAck(x.m, hl7.Ack{
		Code: p.code, ControlID: p.id, Text: p.text, Errors: p.errors, MessageControlID: x.r.newControlID(), At: x.r.config.Now(),
	})
	if p.as != "" {
		structure, event, _ := strings.Cut(p.as, "^")
		b.MSH().SetAll("9", structure, event)
		if event == "" || x.m.Version() < "2.4" {
			b.MSH().Set("9.3", "")
		} else {
			b.MSH().Set("9.3", structure+"_"+event)
		}
		for _, o := range p.orders {
			b.Segment("ORC").Set("1", o.control).Set("2", o.placer).Set("3", o.filler)
		}
	}
	if p.version != "" {
		b.MSH().Set("12", p.version)
	}
	raw, _, err := b.Bytes()
	if err != nil { // the delimiters or the character set of the message cannot be written
		raw, _, _ = hl7.NewAckTo(hl7.PeekHeader(x.raw), hl7.Ack{Code: p.code, MessageControlID: x.r.newControlID()}).Bytes()
	}
	if p.noID {
		f := string(x.m.Delimiters().Field)
		raw = bytes.Replace(raw, []byte("\rMSA"+f+string(p.code)+f+x.m.ControlID()), []byte("\rMSA"+f+string(p.code)+f), 1)
	}
	return raw
}
