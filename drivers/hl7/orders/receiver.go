package orders

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"
)

// ReceiverConfig configures a Receiver. Profiles and Store must be set.
type ReceiverConfig struct {
	Profiles []Profile
	Store    Store
	// Whose returns the name of the profile whose peer has an address, "" when none
	// has or several have it. nil compares with the host of Profile.Address.
	Whose func(netip.Addr) string
	// ControlID makes the MSH-10 of our answers: unique, at most 20 ASCII
	// characters. The default is random.
	ControlID func() string
	Now       func() time.Time
	// StoreTimeout bounds Store.Receive, default 30 s.
	StoreTimeout time.Duration
	// Trace hears of every exchange; nil for none.
	Trace func(Exchange)
}

// Exchange is one message and our answer, for logs. It holds no personal data.
type Exchange struct {
	Profile   string // name, "" when unknown
	Peer      netip.AddrPort
	Type      string
	ControlID string
	Code      hl7.AckCode // of our answer, "" when none was wanted
	Text      string      // why it is not accepted
	Duplicate bool        // answered as before
	Bytes     int
	Duration  time.Duration
	Err       error // of the store
}

// Receiver answers messages of the peers.
type Receiver struct {
	config   ReceiverConfig
	profiles []*Profile
}

// NewReceiver returns a receiver.
func NewReceiver(c ReceiverConfig) *Receiver {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.ControlID == nil {
		c.ControlID = randomControlID
	}
	if c.StoreTimeout <= 0 {
		c.StoreTimeout = 30 * time.Second
	}
	r := &Receiver{config: c}
	for i := range c.Profiles {
		p := c.Profiles[i]
		r.profiles = append(r.profiles, &p)
	}
	return r
}

func randomControlID() string {
	var b [10]byte
	rand.Read(b[:])
	return strings.ToUpper(hex.EncodeToString(b[:]))
}

// refusal is why a message is not accepted.
type refusal struct {
	code  hl7.AckCode // AE or AR
	error hl7.AckError
}

func reject(code, where, text string) *refusal {
	return &refusal{hl7.AR, hl7.AckError{Code: code, Where: where, Text: text}}
}

// Handle answers one message; it is a [mllp.Handler]. Whatever comes is kept and
// answered with a sentence; an error of the store is answered AE, so that the peer
// sends again.
func (r *Receiver) Handle(ctx context.Context, conn mllp.Conn, frame []byte) ([]byte, error) {
	begin := r.config.Now()
	in, h, no := r.read(conn.Peer, frame)
	in.At = begin
	code := r.answer(in, h, no)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.config.StoreTimeout)
	defer cancel()
	answer, err := r.config.Store.Receive(ctx, in)
	x := Exchange{
		Peer: conn.Peer, Type: in.Type, ControlID: h.ControlID, Code: code, Text: in.Refused, Bytes: len(frame),
		Duplicate: err == nil && in.Refused == "" && in.Answer != nil && !bytes.Equal(answer, in.Answer), Err: err,
	}
	if in.Profile != nil {
		x.Profile = in.Profile.Name
	}
	if err != nil {
		text := "The message could not be stored. Please send it again."
		if errors.Is(err, ErrNoSpace) {
			text = "There is no space to store the message. Please send it again later."
		}
		x.Code, x.Text = r.answer(in, h, &refusal{hl7.AE, hl7.AckError{Code: hl7.CodeInternalError, Text: text}}), text
		answer = in.Answer
	}
	if r.config.Trace != nil {
		x.Duration = r.config.Now().Sub(begin)
		r.config.Trace(x)
	}
	return answer, nil
}

// Refuse answers bytes that are no message; it fits [mllp.ServerConfig].Refuse. The
// server's OnBad keeps the bytes.
func (r *Receiver) Refuse(_ mllp.Conn, raw []byte, reason error) []byte {
	h := hl7.PeekHeader(raw)
	text := "The message could not be processed. Please send it again."
	code := hl7.AE
	var fe *mllp.FrameError
	if errors.As(reason, &fe) {
		text = "The bytes are no message: " + fe.Reason.Error() + "."
		if !errors.Is(reason, mllp.ErrBusy) {
			code = hl7.AR
		}
	}
	if errors.Is(reason, mllp.ErrTLS) {
		return nil
	}
	b, _, err := hl7.NewAckTo(h, r.ack(code, hl7.AckError{Code: hl7.CodeInternalError, Text: text})).Bytes()
	if err != nil {
		return nil
	}
	return b
}

func (r *Receiver) ack(code hl7.AckCode, errs ...hl7.AckError) hl7.Ack {
	return hl7.Ack{Code: code, MessageControlID: r.config.ControlID(), At: r.config.Now(), Errors: errs}
}

// read understands a message as far as it can be understood.
func (r *Receiver) read(peer netip.AddrPort, frame []byte) (*Received, hl7.Header, *refusal) {
	h := hl7.PeekHeader(frame)
	sum := sha256.Sum256(frame)
	in := &Received{
		Key:  Key{h.SendingApplication, h.SendingFacility, h.ControlID, hex.EncodeToString(sum[:])},
		Peer: peer, Type: h.Type, Raw: frame,
	}
	in.Profile = r.profile(h, peer)
	var o hl7.Options
	if in.Profile != nil {
		o = readOptions(in.Profile)
	}
	m, err := hl7.Parse(frame, o)
	if err != nil {
		return in, h, refuseParse(err)
	}
	in.Message, in.Type = m, m.Type()
	in.Key = Key{m.SendingApplication(), m.SendingFacility(), m.ControlID(), in.Key.Hash}
	h.AcceptAck, h.ApplicationAck = m.AcceptAck()
	if t := upper(m.ProcessingID()); t == "T" || t == "D" {
		in.Test = true
	}
	switch {
	case in.Type == "":
		return in, h, reject(hl7.CodeRequiredFieldMissing, "MSH-9", "The message type (MSH-9) is missing.")
	case in.Key.ControlID == "":
		return in, h, reject(hl7.CodeRequiredFieldMissing, "MSH-10", "The message control id (MSH-10) is missing.")
	case in.Profile == nil:
		return in, h, reject(hl7.CodeTableValueNotFound, "MSH-3", "The sending application or facility (MSH-3, MSH-4) is not known here.")
	case m.Has("MSA-1"):
		in.Ack = acknowledgement(m, o, frame)
		if in.Ack != nil {
			in.AckClass = Classify(in.Profile, *in.Ack)
			in.Reports = in.AckClass.Reports
			return in, h, nil
		}
	}
	if v := m.Version(); v != "" && v != "2" && !strings.HasPrefix(v, "2.") {
		return in, h, reject(hl7.CodeUnsupportedVersion, "MSH-12", "The HL7 version (MSH-12) is not supported; versions 2.1 to 2.8 are.")
	}
	if code, _, _ := strings.Cut(in.Type, "^"); code == "ADT" || code == "SIU" {
		in.Ignored = true
		return in, h, nil
	}
	in.Reports, err = Read(in.Profile, m)
	switch {
	case errors.Is(err, ErrType):
		return in, h, reject(hl7.CodeUnsupportedMessageType, "MSH-9", "The message type is not supported; ORM, OMG, OMI, ORU, ORR, ORG and ORI are.")
	case err != nil:
		return in, h, refuseParse(err)
	case len(in.Reports) == 0:
		return in, h, reject(hl7.CodeSegmentSequence, "", "The message has neither ORC, OBR nor OBX.")
	}
	return in, h, nil
}

func acknowledgement(m *hl7.Message, o hl7.Options, raw []byte) *hl7.Ack {
	a, err := hl7.ParseAck(raw, o)
	if err != nil {
		return nil
	}
	a.Message = m
	return &a
}

func refuseParse(err error) *refusal {
	var pe *hl7.ParseError
	if errors.As(err, &pe) {
		return reject(pe.Code, pe.Where, "The message cannot be read: "+pe.Text+".")
	}
	var le *hl7.LimitError
	if errors.As(err, &le) {
		return reject(hl7.CodeInternalError, "", "The message is too large: too many "+le.What+".")
	}
	return reject(hl7.CodeInternalError, "", "The message cannot be read.")
}

// profile finds the peer: by MSH-3 and MSH-4, by its address, else the only one
// that has no names of its own.
func (r *Receiver) profile(h hl7.Header, peer netip.AddrPort) *Profile {
	var byAddress, open *Profile
	opens := 0
	for _, p := range r.profiles {
		named := p.ReceivingApplication != "" || p.ReceivingFacility != ""
		switch {
		case named && matches(p.ReceivingApplication, h.SendingApplication) && matches(p.ReceivingFacility, h.SendingFacility),
			!named && p.Name != "" && strings.EqualFold(p.Name, h.SendingApplication):
			return p
		case byAddress == nil && peer.IsValid() && r.isPeer(p, peer.Addr().Unmap()):
			byAddress = p
		}
		if !named {
			open = p
			opens++
		}
	}
	if byAddress == nil && opens == 1 && len(r.profiles) == 1 {
		return open
	}
	return byAddress
}

// isPeer reports whether the peer of a profile has that address.
func (r *Receiver) isPeer(p *Profile, addr netip.Addr) bool {
	if whose := r.config.Whose; whose != nil {
		return p.Name != "" && whose(addr) == p.Name
	}
	return p.host() == addr.String()
}

func matches(want, got string) bool { return want == "" || strings.EqualFold(want, got) }

// answer builds Answer and Later as MSH-15 and MSH-16 ask, and returns the code of
// Answer. An acknowledgement is answered only when the peer asks for it.
func (r *Receiver) answer(in *Received, h hl7.Header, no *refusal) hl7.AckCode {
	in.Answer, in.Later, in.Refused = nil, nil, ""
	application, commit := hl7.AA, hl7.CA
	var errs []hl7.AckError
	if no != nil {
		in.Refused, errs = no.error.Text, []hl7.AckError{no.error}
		application, commit = no.code, hl7.CR
		if no.code == hl7.AE {
			commit = hl7.CE
		}
	}
	build := func(code hl7.AckCode) []byte {
		b := hl7.NewAckTo(h, r.ack(code, errs...))
		if in.Message != nil {
			b = hl7.NewAck(in.Message, r.ack(code, errs...))
		}
		raw, _, err := b.Bytes()
		if err != nil { // the peer's delimiters or character set cannot be written
			raw, _, _ = hl7.NewAckTo(h, r.ack(code, errs...)).Bytes()
		}
		return raw
	}
	isAck := in.Message != nil && in.Message.Has("MSA-1")
	enhanced := h.AcceptAck != "" || h.ApplicationAck != ""
	switch {
	case !enhanced && isAck: // an answer is never answered
		return ""
	case !enhanced:
		in.Answer = build(application)
		return application
	}
	wantsApplication := !isAck && asked(h.ApplicationAck, no == nil)
	switch {
	case asked(h.AcceptAck, no == nil):
		in.Answer = build(commit)
		if wantsApplication && no == nil {
			in.Later = build(application)
		}
		return commit
	case wantsApplication:
		in.Answer = build(application)
		return application
	}
	return ""
}

// asked evaluates a condition of HL7 table 0155.
func asked(condition string, success bool) bool {
	switch upper(condition) {
	case "AL":
		return true
	case "ER":
		return !success
	case "SU":
		return success
	}
	return false
}
