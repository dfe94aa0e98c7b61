package orders

import (
	"errors"
	"strings"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"
)

// Class is what to do with a message after it was tried.
type Class string

// The classes.
const (
	Delivered   Class = "delivered"   // processed by the peer
	Pending     Class = "pending"     // stored by the peer (CA); its answer comes later, to the Receiver
	Retry       Class = "retry"       // try again with back-off, at most Result.MaxTries times
	Park        Class = "park"        // no use in trying again; a person decides
	Destination Class = "destination" // the peer cannot be reached: hold everything for it
)

// Result is what came of sending a message.
type Result struct {
	Class Class
	// MaxTries bounds Retry, 0 when nothing but the age of the message does.
	MaxTries int
	// Unknown means that the peer may have processed the message.
	Unknown bool

	AckCode hl7.AckCode // MSA-1, "" without an answer
	Code    string      // ERR-3
	Where   string      // ERR-2, "PID-5.1"
	Text    string      // MSA-3 or ERR-8, or why there is no answer; for people

	// OrderControl is ORC-1 of the answer. Refused means that it is UA, UC, UX or
	// UD: the message was delivered, but the peer does not do what it asks. That is
	// for a person.
	OrderControl      string
	Refused           bool
	FillerOrderNumber string   // ORC-3 of the answer
	Reports           []Report // everything the answer says of orders

	Answer []byte // as received, nil without one
}

// Problem returns what to show on the order or the peer, nil when all is well.
func (r Result) Problem(ris, accession string) *problem.Error {
	reason := strings.Join(nonEmpty(string(r.AckCode), r.OrderControl, r.Code, r.Where, r.Text), " ")
	switch {
	case r.Class == Destination:
		return problem.New(problem.RISUnreachable, problem.Args{"ris": ris, "reason": reason}, nil)
	case r.Class == Park || r.Refused:
		return problem.New(problem.RISRefused, problem.Args{"ris": ris, "accession": accession, "reason": reason}, nil)
	}
	return nil
}

func nonEmpty(all ...string) []string {
	var out []string
	for _, s := range all {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// Classify says what an answer means for the message that it answers. The caller
// has seen to it that MSA-2 is the MSH-10 of that message.
func Classify(p *Profile, a hl7.Ack) Result {
	r := Result{AckCode: a.Code, Text: a.Text}
	worst := hl7.AckError{}
	for i, e := range a.Errors {
		if e.Code == hl7.CodeAccepted {
			continue
		}
		if worst == (hl7.AckError{}) || permanent(e.Code) && !permanent(worst.Code) {
			worst = a.Errors[i]
		}
	}
	r.Code, r.Where = worst.Code, worst.Where
	if r.Text == "" {
		r.Text = or(worst.Text, hl7.CodeText(worst.Code))
	}
	switch a.Code {
	case hl7.AA:
		r.Class = Delivered
	case hl7.CA:
		r.Class = Pending
	case hl7.AR, hl7.CR:
		if r.Class = Park; r.Code == hl7.CodeInternalError {
			r.Class, r.MaxTries = Retry, p.maxTries()
		}
	case hl7.AE, hl7.CE:
		fallthrough
	default: // words that no table has
		if r.Class, r.MaxTries = Retry, p.maxTries(); permanent(r.Code) {
			r.Class, r.MaxTries = Park, 0
		}
	}
	if a.Message != nil {
		r.answer(p, a.Message)
	}
	return r
}

// permanent reports whether the same bytes will fail again: sequence, required
// field, data type, table value.
func permanent(code string) bool {
	switch code {
	case hl7.CodeSegmentSequence, hl7.CodeRequiredFieldMissing, hl7.CodeDataType, hl7.CodeTableValueNotFound:
		return true
	}
	return false
}

// answer reads the orders in an answer, whatever its type is called.
func (r *Result) answer(p *Profile, m *hl7.Message) {
	rd := reader{p: p, m: m}
	for i, g := range m.Groups() {
		if i == maxReports {
			break
		}
		if !g.ORC.Exists() {
			continue
		}
		r.Reports = append(r.Reports, rd.group(g)...)
	}
	for _, rep := range r.Reports {
		r.FillerOrderNumber = or(r.FillerOrderNumber, rep.FillerOrderNumber)
		if rep.Kind == KindRefusal && !r.Refused {
			r.Refused, r.OrderControl = true, rep.Control
			r.Text = or(r.Text, rep.Text)
		}
		r.OrderControl = or(r.OrderControl, rep.Control)
	}
}

// ClassifyError says what to do when no answer came.
func ClassifyError(p *Profile, err error) Result {
	r := Result{Class: Retry, Text: "no answer"}
	var se *mllp.SendError
	if errors.As(err, &se) {
		r.Unknown, r.Answer = se.Sent, se.Raw
	}
	switch {
	case errors.Is(err, mllp.ErrFrameCharacter):
		return Result{Class: Park, Text: "the message holds a character of the frame"}
	case errors.Is(err, mllp.ErrConnect):
		return Result{Class: Destination, Text: "cannot connect"}
	case errors.Is(err, mllp.ErrCancelled), errors.Is(err, mllp.ErrClosed):
		r.Text = "sending was given up"
		return r
	case errors.Is(err, mllp.ErrWrite):
		r.Text = "the message could not be written"
		return r
	case errors.Is(err, mllp.ErrTimeout):
		r.Text = "no answer in time"
	case errors.Is(err, mllp.ErrPeerClosed):
		r.Text = "the peer closed the connection before it answered"
	case errors.Is(err, mllp.ErrBadAnswer):
		r.Text = "the answer is no message"
	}
	r.Unknown = true
	if r.MaxTries = p.maxTries(); !p.Resend {
		r.Class, r.MaxTries = Park, 0
	}
	return r
}
