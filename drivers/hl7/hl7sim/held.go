package hl7sim

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"time"
)

// State is where an order stands in the RIS.
type State string

// The states.
const (
	Ordered      State = "ordered"
	Scheduled    State = "scheduled"
	Started      State = "started"
	Completed    State = "completed"
	Reported     State = "reported"
	Cancelled    State = "cancelled"
	Discontinued State = "discontinued"
	Refused      State = "refused"
)

// Order is an order as the RIS holds it.
type Order struct {
	AccessionNumber string // OBR-18, IPC-1; else ORC-2
	// PlacerOrderNumber is ORC-2 of the latest message, FillerOrderNumber the RIS's own.
	PlacerOrderNumber, FillerOrderNumber string
	PatientID, PatientName               string // PID-3, PID-5 as text
	Procedure                            string // OBR-4.2
	State                                State
	Control                              string   // ORC-1 of the latest message applied
	Changes                              int      // how often it was changed: XO, or a new order after a cancel or replace
	Steps                                []Step   // in the order of their first arrival
	Messages                             []string // MSH-10 of those applied, in order

	reports int
}

// Step is a scheduled procedure step of an order.
type Step struct {
	ID                   string // OBR-20, IPC-4; may be empty
	RequestedProcedureID string // OBR-19, IPC-2
	StudyInstanceUID     string // ZDS-1, IPC-3
	Modality             string // OBR-24, IPC-5
	State                State
}

// Message is a message by its MSH-10.
type Message struct {
	ControlID       string
	Type            string // MSH-9, "ORM^O01"
	Control         string // ORC-1
	AccessionNumber string
	At              time.Time // of its first arrival
	Deliveries      int       // how often it came
	Conflicts       int       // how often the control id came with other bytes
	Applied         bool
	Answers         []string // MSA-1 of the answers sent, "" for none; the last 16
	Raw             []byte   // nil when there was no room for it

	sum [sha256.Size]byte
}

// Anomaly is something no sender should do.
type Anomaly struct {
	ControlID       string
	AccessionNumber string
	Text            string // one sentence without the final stop
}

// Sent is a message that the RIS sent.
type Sent struct {
	ControlID       string
	Type            string
	Control         string // ORC-1
	AccessionNumber string
	Tries           int
	Code            string // MSA-1 of the answer, "" without one
	Text            string // MSA-3
}

// Snapshot is all that a RIS holds, at one moment.
type Snapshot struct {
	Orders    []Order // by accession number
	Messages  []Message
	Sent      []Sent
	Anomalies []Anomaly

	Deliveries int // messages that came, duplicates included
	Duplicates int // of them those that had come before, with the same bytes
	Unreadable int // frames that were no message
	Forgotten  int // messages that are not held any more
}

// holdings is what a RIS holds. The lock is the RIS's.
type holdings struct {
	orders    map[string]*Order
	messages  []*Message
	byID      map[string]*Message
	sent      []Sent
	anomalies []Anomaly
	bytes     int

	deliveries, duplicates, unreadable, forgotten int
}

func (h *holdings) init() { h.orders, h.byID = map[string]*Order{}, map[string]*Message{} }

// log records the arrival of a message and reports whether it came before with
// the same bytes and was applied.
func (h *holdings) log(c *Config, in Message, raw []byte) (m *Message, again bool) {
	h.deliveries++
	in.sum = sha256.Sum256(raw)
	if m = h.byID[in.ControlID]; m != nil && in.ControlID != "" {
		m.Deliveries++
		if m.sum == in.sum {
			h.duplicates++
			return m, m.Applied
		}
		m.Conflicts++
		h.anomaly(c, Anomaly{in.ControlID, in.AccessionNumber, "the control id was given to another message before"})
		return m, false
	}
	in.Deliveries = 1
	if h.bytes+len(raw) <= c.MaxBytes {
		in.Raw = slices.Clone(raw)
		h.bytes += len(raw)
	}
	m = &in
	h.messages = append(h.messages, m)
	if in.ControlID != "" {
		h.byID[in.ControlID] = m
	}
	for len(h.messages) > c.MaxMessages {
		old := h.messages[0]
		h.messages[0] = nil
		h.messages = h.messages[1:]
		if h.byID[old.ControlID] == old {
			delete(h.byID, old.ControlID)
		}
		h.bytes -= len(old.Raw)
		h.forgotten++
	}
	return m, false
}

func (h *holdings) anomaly(c *Config, a Anomaly) {
	h.anomalies = append(h.anomalies, a)
	if len(h.anomalies) > c.MaxMessages {
		h.anomalies = h.anomalies[1:]
	}
}

func (h *holdings) addSent(c *Config, s Sent) {
	h.sent = append(h.sent, s)
	if len(h.sent) > c.MaxMessages {
		h.sent = h.sent[1:]
	}
}

// answered notes the code of an answer.
func (m *Message) answered(code string) {
	if m.Answers = append(m.Answers, code); len(m.Answers) > 16 {
		m.Answers = m.Answers[1:]
	}
}

func (o *Order) copied() Order {
	c := *o
	c.Steps, c.Messages = slices.Clone(o.Steps), slices.Clone(o.Messages)
	return c
}

// Order returns the order of an accession number.
func (r *RIS) Order(accession string) (Order, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.held.orders[accession]
	if o == nil {
		return Order{}, false
	}
	return o.copied(), true
}

// Orders returns all orders by accession number.
func (r *RIS) Orders() []Order { return r.Snapshot().Orders }

// Messages returns all messages in the order of their first arrival. Raw is shared
// and not to be changed.
func (r *RIS) Messages() []Message { return r.Snapshot().Messages }

// Duplicates returns the messages that came more than once.
func (r *RIS) Duplicates() []Message {
	return slices.DeleteFunc(r.Messages(), func(m Message) bool { return m.Deliveries < 2 })
}

// Snapshot returns all that the RIS holds. Raw of its messages is shared and not to
// be changed.
func (r *RIS) Snapshot() Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := &r.held
	s := Snapshot{
		Sent: slices.Clone(h.sent), Anomalies: slices.Clone(h.anomalies),
		Deliveries: h.deliveries, Duplicates: h.duplicates, Unreadable: h.unreadable, Forgotten: h.forgotten,
	}
	for _, o := range h.orders {
		s.Orders = append(s.Orders, o.copied())
	}
	slices.SortFunc(s.Orders, func(a, b Order) int { return cmp.Compare(a.AccessionNumber, b.AccessionNumber) })
	for _, m := range h.messages {
		c := *m
		c.Answers = slices.Clone(m.Answers)
		s.Messages = append(s.Messages, c)
	}
	return s
}

// Forget empties the RIS; faults and timers stay.
func (r *RIS) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = holdings{}
	r.held.init()
}
