package hl7

import (
	"errors"
	"strings"
	"time"
)

// AckCode is MSA-1, HL7 table 0008.
type AckCode string

// Acknowledgement codes. The first three answer in original mode or as the
// application, the last three say only whether the message was taken over.
const (
	AA AckCode = "AA" // application accept
	AE AckCode = "AE" // application error
	AR AckCode = "AR" // application reject
	CA AckCode = "CA" // commit accept
	CE AckCode = "CE" // commit error
	CR AckCode = "CR" // commit reject
)

// AckError is one error of an acknowledgement, an ERR segment.
type AckError struct {
	Code  string // ERR-3, table 0357; CodeInternalError and so on
	Where string // ERR-2 as a path, "PID-5.1"; "" for the whole message
	Text  string // ERR-8, one sentence without personal data
}

// Ack is an acknowledgement, as it is built and as it is read.
type Ack struct {
	// Code is MSA-1. It may be another word than those of table 0008.
	Code AckCode
	// ControlID is MSA-2, the MSH-10 of the message that is answered. NewAck takes
	// it from the message when it is empty.
	ControlID string
	// Text is MSA-3.
	Text   string
	Errors []AckError

	// MessageControlID is the MSH-10 of the acknowledgement itself, at most 20
	// ASCII characters.
	MessageControlID string
	// At is MSH-7. The zero time leaves it empty.
	At time.Time
	// SendingApplication and SendingFacility default to MSH-5 and MSH-6 of the
	// message that is answered.
	SendingApplication, SendingFacility string

	// Type is MSH-9 when read: "ACK", "ORR^O02", "MCF". NewAck writes "ACK" with the
	// trigger event of the message.
	Type string
	// Version is MSH-12 when read; it need not be that of the message.
	Version string
	// Message is what was read, for what else it says, as ORC in an ORR.
	Message *Message
}

// ErrNoMSA means that a message is no acknowledgement.
var ErrNoMSA = errors.New("hl7: the message has no MSA segment")

// maxMSA3 is where dcm4chee cuts MSA-3; ours is cut there too.
const maxMSA3 = 80

// NewAck starts the answer to a message: MSH, MSA and an ERR for each error. More
// segments may follow. For a message that cannot be parsed see [NewAckTo].
func NewAck(m *Message, a Ack) *Builder {
	h := Header{
		SendingApplication: m.SendingApplication(), SendingFacility: m.SendingFacility(),
		ReceivingApplication: m.ReceivingApplication(), ReceivingFacility: m.ReceivingFacility(),
		Type: m.Type(), ControlID: m.ControlID(), ProcessingID: m.ProcessingID(), Version: m.Version(),
	}
	return newAck(h, a, BuilderConfig{Delimiters: m.delimiters, Charset: m.charset.String()})
}

// NewAckTo is [NewAck] for a message of which only the header could be read, or
// nothing at all.
func NewAckTo(h Header, a Ack) *Builder { return newAck(h, a, BuilderConfig{}) }

func newAck(h Header, a Ack, c BuilderConfig) *Builder {
	if c.Version = h.Version; leadingNumber(c.Version) != 2 || len(c.Version) > 8 {
		c.Version = "2.5.1"
	}
	if !KnownCharset(c.Charset) || c.Charset == charsetASCII.name {
		c.Charset = ""
	}
	if a.ControlID == "" {
		a.ControlID = h.ControlID
	}
	if a.SendingApplication == "" && a.SendingFacility == "" {
		a.SendingApplication, a.SendingFacility = h.ReceivingApplication, h.ReceivingFacility
	}
	if h.ProcessingID == "" {
		h.ProcessingID = "P"
	}
	b := NewBuilder(c)
	_, event, _ := strings.Cut(h.Type, "^")
	msh := b.MSH().
		Set("3", a.SendingApplication).Set("4", a.SendingFacility).
		Set("5", h.SendingApplication).Set("6", h.SendingFacility).
		Set("7", Timestamp(a.At)).
		SetAll("9", "ACK", event).
		Set("10", a.MessageControlID).Set("11", h.ProcessingID)
	if event != "" && versionAtLeast(c.Version, "2.4") {
		msh.Set("9.3", "ACK")
	}
	if a.Text == "" && len(a.Errors) > 0 {
		a.Text = a.Errors[0].Text
	}
	b.Segment("MSA").Set("1", string(a.Code)).Set("2", a.ControlID).Set("3", firstRunes(a.Text, maxMSA3))
	for _, e := range a.Errors {
		appendERR(b, e, versionAtLeast(c.Version, "2.5"))
	}
	return b
}

// appendERR writes ERR-2, 3, 4 and 8, which version 2.5 brought, or ERR-1.
func appendERR(b *Builder, e AckError, modern bool) {
	var location []string
	if p, ok := parsePath(e.Where); ok {
		location = []string{p.segment, decimal(p.index), decimal(p.field), decimal(p.repetition), decimal(p.component), decimal(p.subcomponent)}
	}
	if e.Code == "" {
		e.Code = CodeInternalError
	}
	s := b.Segment("ERR")
	if !modern {
		if len(location) > 0 {
			s.SetAll("1", location[:3]...)
		}
		s.Set("1.4.1", e.Code).Set("1.4.2", firstNonEmpty(e.Text, CodeText(e.Code)))
		return
	}
	if len(location) > 0 {
		s.SetAll("2", location...)
	}
	s.SetAll("3", e.Code, CodeText(e.Code), "HL70357").Set("4", "E").Set("8", e.Text)
}

// Timestamp writes a time as HL7 does, to the second and with the zone:
// "20261124014500+0100"; "" for the zero time.
func Timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format("20060102150405-0700")
}

// ParseAck reads an acknowledgement of any type: what counts is MSA, not MSH-9.
// It returns [ErrNoMSA] with what it read when there is no MSA-1.
func ParseAck(raw []byte, o Options) (Ack, error) {
	m, err := Parse(raw, o)
	if err != nil {
		return Ack{}, err
	}
	a := Ack{
		Code: AckCode(strings.ToUpper(strings.TrimSpace(m.Get("MSA-1")))), ControlID: strings.TrimSpace(m.Get("MSA-2")), Text: m.Text("MSA-3"),
		MessageControlID: m.ControlID(), SendingApplication: m.SendingApplication(), SendingFacility: m.SendingFacility(),
		Type: m.Type(), Version: m.Version(), Message: m,
	}
	for _, s := range m.Segments("ERR") {
		if e := readERR(s); e != (AckError{}) {
			a.Errors = append(a.Errors, e)
		}
	}
	if len(a.Errors) == 0 && m.Has("MSA-6") {
		a.Errors = []AckError{{Code: m.Get("MSA-6.1"), Text: m.Get("MSA-6.2")}}
	}
	if a.Code == "" {
		return a, ErrNoMSA
	}
	return a, nil
}

// readERR reads both forms of ERR.
func readERR(s Segment) AckError {
	e := AckError{Code: s.Get("3.1"), Where: location(s, "2")}
	e.Text = firstNonEmpty(s.Text("8"), s.Text("7"), s.Get("3.2"))
	if e.Code == "" {
		e.Code = s.Get("1.4.1")
		e.Text = firstNonEmpty(e.Text, s.Get("1.4.2"))
	}
	if e.Where == "" {
		e.Where = location(s, "1")
	}
	return e
}

// location reads ERL, "PID^1^5^1^2", into "PID-5.2".
func location(s Segment, field string) string {
	name := s.Get(field + ".1")
	if name == "" || s.Get(field+".3") == "" {
		return name
	}
	where := name
	if n := s.Get(field + ".2"); n != "" && n != "1" && n != "0" {
		where += "(" + n + ")"
	}
	where += "-" + s.Get(field+".3")
	if field == "2" {
		if n := s.Get("2.4"); n != "" && n != "1" && n != "0" {
			where += "[" + n + "]"
		}
		if n := s.Get("2.5"); n != "" && n != "0" {
			where += "." + n
		}
	}
	return where
}

func decimal(n int) string {
	if n == 0 {
		return ""
	}
	var b [8]byte
	i := len(b)
	for ; n > 0; n /= 10 {
		i--
		b[i] = byte('0' + n%10)
	}
	return string(b[i:])
}

func firstNonEmpty(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// firstRunes cuts s after n characters.
func firstRunes(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
