package orders

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/hl7"
)

// Meta is what a message needs besides the order. It is kept with the message:
// a resend repeats the bytes.
type Meta struct {
	// ControlID is MSH-10 of the first message, More those of the following ones
	// ([Plan] says how many): unique, 1 to 20 printable ASCII characters.
	ControlID string
	More      []string
	// At is MSH-7 and the time of the transaction.
	At time.Time
	// Clinic is the default of MSH-4 and MSH-6.
	Clinic string
	// FillerOrderNumber is the peer's number of the order, once known: ORC-3.
	FillerOrderNumber string
	// StudyInstanceUID is the UID the peer knows, when it is not that of the order.
	StudyInstanceUID string
	// NewStudyInstanceUID is needed for a replacement with Profile.NewUIDOnReplace.
	NewStudyInstanceUID string
	// PreviousPatientID is the id that a merge gives up: MRG-1.
	PreviousPatientID string
}

// Outgoing is one message to send.
type Outgoing struct {
	Kind      Kind
	ControlID string
	Bytes     []byte
	Notes     []hl7.Note // what the peer's character set could not write
}

// ErrControlID refuses a MSH-10.
var ErrControlID = errors.New("orders: a message control id is missing or not 1 to 20 printable ASCII characters")

// Build makes the messages for a trigger, in the order of sending. They concern
// one step; step nil means the only one, or with OMI^O23 all, each in an IPC.
func Build(p *Profile, ev Trigger, o *order.Order, step *order.Step, meta Meta) ([]Outgoing, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	kinds, err := Plan(p, ev, o, step)
	if err != nil {
		return nil, err
	}
	w := &writer{p: p, o: o, c: &o.Content, meta: meta}
	switch {
	case step != nil:
		w.steps = []*order.Step{step}
	case len(o.Steps) == 1 || p.message() == OMI:
		for i := range o.Steps {
			w.steps = append(w.steps, &o.Steps[i])
		}
	}
	out := make([]Outgoing, 0, len(kinds))
	for i, k := range kinds {
		w.id = meta.ControlID
		if i > 0 {
			if i > len(meta.More) {
				return nil, ErrControlID
			}
			w.id = meta.More[i-1]
		}
		if !validControlID(w.id) {
			return nil, ErrControlID
		}
		m, err := w.message(k, len(kinds) > 1 && ev != New || k == RP)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

func validControlID(id string) bool {
	if id == "" || len(id) > 20 {
		return false
	}
	return strings.IndexFunc(id, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`|^~\&`, r) }) < 0
}

// writer makes the messages of one order.
type writer struct {
	p     *Profile
	o     *order.Order
	c     *order.Content
	meta  Meta
	steps []*order.Step
	id    string
	b     *hl7.Builder
}

func (w *writer) message(k Kind, replaces bool) (Outgoing, error) {
	w.b = hl7.NewBuilder(hl7.BuilderConfig{Version: w.p.version(), Charset: w.p.Charset})
	var err error
	switch k {
	case A04, A08, A40:
		err = w.adt(k)
	case NW, XO, CA, DC, RP:
		err = w.orderMessage(k, replaces)
	}
	if err != nil {
		return Outgoing{}, err
	}
	b, notes, err := w.b.Bytes()
	if err != nil {
		return Outgoing{}, fmt.Errorf("orders: %w", err)
	}
	return Outgoing{Kind: k, ControlID: w.id, Bytes: b, Notes: notes}, nil
}

// header writes MSH. All of its fields are required by dcm4chee.
func (w *writer) header(messageType, structure string) {
	code, event, _ := strings.Cut(messageType, "^")
	if w.p.version() == "2.3.1" {
		structure = ""
	}
	processing := "P"
	if w.p.Test {
		processing = "T"
	}
	clinic := or(w.meta.Clinic, "CLINIC")
	w.b.MSH().
		Set("3", or(w.p.SendingApplication, "RAYHOUND")).Set("4", or(w.p.SendingFacility, clinic)).
		Set("5", or(w.p.ReceivingApplication, w.p.Name, "RIS")).Set("6", or(w.p.ReceivingFacility, clinic)).
		Set("7", w.p.time(w.meta.At)).
		SetAll("9", code, event, structure).
		Set("10", w.id).Set("11", processing)
}
