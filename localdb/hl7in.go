package localdb

import (
	"context"
	"time"
)

// What became of a message that came by HL7.
const (
	HL7Applied   = "applied"   // it concerned an order
	HL7Unmatched = "unmatched" // it waits for a person to say which order is meant
	HL7Test      = "test"      // it was a test
	HL7Ignored   = "ignored"   // of a type that has no effect here
	HL7Answer    = "answer"    // it answered a message of ours
	HL7Refused   = "refused"
)

// HL7Key recognises a message that comes again.
type HL7Key struct {
	SendingApplication, SendingFacility, ControlID string
	Hash                                           string // SHA-256 of the bytes, hexadecimal
}

// HL7In is a message that came by HL7, with the answer that it got.
type HL7In struct {
	ID      int64
	RIS     string // name in the settings; empty when not known
	Peer    string // address
	At      time.Time
	Type    string // MSH-9
	Key     HL7Key
	Outcome string // HL7Applied ...
	Refused string // why it was not accepted; empty when it was
	Size    int64  // bytes
	RawID   int64  // of the bytes; 0 when their row is gone
	Kept    bool   // the bytes are there still; for reading
	Answer  []byte // nil: none was wanted
}

// AddHL7In stores a message with its bytes and sets m.ID, m.RawID and m.Size. An
// accepted message whose key is known is ErrExists.
func (tx *Tx) AddHL7In(ctx context.Context, m *HL7In, raw []byte) error {
	rawID, err := tx.insert(ctx, `INSERT INTO raw(kind, order_id, ref, peer, at, note, bytes) VALUES ('hl7-in',NULL,?,?,?,?,?)`,
		m.Key.ControlID, m.Peer, msNotNull(m.At), m.Refused, notNil(raw))
	if err != nil {
		return err
	}
	m.Size, m.RawID = int64(len(raw)), rawID
	m.ID, err = tx.insert(ctx, `
		INSERT INTO hl7_in(ris, peer, at, type, sending_application, sending_facility, control_id, hash, outcome, refused, size, raw_id, answer)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)`,
		m.RIS, m.Peer, msNotNull(m.At), m.Type, m.Key.SendingApplication, m.Key.SendingFacility, m.Key.ControlID, m.Key.Hash,
		m.Outcome, m.Refused, m.Size, m.RawID, m.Answer)
	return err
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// SetHL7Outcome stores what became of a message.
func (tx *Tx) SetHL7Outcome(ctx context.Context, id int64, outcome string) error {
	_, err := tx.exec(ctx, `UPDATE hl7_in SET outcome=? WHERE id=?`, outcome, id)
	return err
}

// LinkHL7In remembers that a message speaks of an order.
func (tx *Tx) LinkHL7In(ctx context.Context, id, orderID int64) error {
	_, err := tx.exec(ctx, `INSERT INTO hl7_in_order(in_id, order_id) VALUES (?,?) ON CONFLICT DO NOTHING`, id, orderID)
	return err
}

const hl7InColumns = `id, ris, peer, at, type, sending_application, sending_facility, control_id, hash, outcome, refused, size, raw_id,
  EXISTS (SELECT 1 FROM raw WHERE raw.id = raw_id AND bytes IS NOT NULL), answer`

func scanHL7In(r scanner) (m HL7In, err error) {
	err = r.Scan(&m.ID, &m.RIS, &m.Peer, intoTime{&m.At}, &m.Type, &m.Key.SendingApplication, &m.Key.SendingFacility, &m.Key.ControlID,
		&m.Key.Hash, &m.Outcome, &m.Refused, &m.Size, intoNum{&m.RawID}, &m.Kept, &m.Answer)
	return m, err
}

// HL7InByKey returns the accepted message with that key, or ErrNotFound.
func (s *Snapshot) HL7InByKey(ctx context.Context, k HL7Key) (HL7In, error) {
	return one(ctx, s, `SELECT `+hl7InColumns+` FROM hl7_in
		WHERE control_id = ? AND hash = ? AND sending_application = ? AND sending_facility = ? AND refused = ''`,
		scanHL7In, k.ControlID, k.Hash, k.SendingApplication, k.SendingFacility)
}

// HL7In returns a message or ErrNotFound.
func (s *Snapshot) HL7In(ctx context.Context, id int64) (HL7In, error) {
	return one(ctx, s, `SELECT `+hl7InColumns+` FROM hl7_in WHERE id = ?`, scanHL7In, id)
}

// HL7InOf returns the messages that speak of an order, oldest first.
func (s *Snapshot) HL7InOf(ctx context.Context, orderID int64) ([]HL7In, error) {
	return all(ctx, s, `SELECT `+hl7InColumns+` FROM hl7_in WHERE id IN (SELECT in_id FROM hl7_in_order WHERE order_id = ?) ORDER BY id`, scanHL7In, orderID)
}

// ListHL7In returns the newest messages, newest first, of one outcome or, when it
// is empty, all.
func (s *Snapshot) ListHL7In(ctx context.Context, outcome string, limit int) ([]HL7In, error) {
	return all(ctx, s, `SELECT `+hl7InColumns+` FROM hl7_in WHERE ?1 = '' OR outcome = ?1 ORDER BY id DESC LIMIT ?2`, scanHL7In, outcome, limit)
}

// LastHL7In returns the newest message of a RIS, or ErrNotFound.
func (s *Snapshot) LastHL7In(ctx context.Context, ris string) (HL7In, error) {
	return one(ctx, s, `SELECT `+hl7InColumns+` FROM hl7_in WHERE ris = ? ORDER BY at DESC LIMIT 1`, scanHL7In, ris)
}

// HL7Held is what a message says of an order and what does not count yet.
type HL7Held struct {
	ID        int64
	InID      int64
	RIS       string
	ControlID string
	OrderID   int64     // 0 while it is not known
	SPSID     string    // of the step; empty for the whole order
	ArrivalID int64     // not 0: a person has to say which order is meant
	DueAt     time.Time // not zero: it counts when nothing comes until then
	Body      string    // JSON
}

// AddHL7Held stores h and sets h.ID.
func (tx *Tx) AddHL7Held(ctx context.Context, h *HL7Held) (err error) {
	h.ID, err = tx.insert(ctx, `INSERT INTO hl7_held(in_id, ris, control_id, order_id, sps_id, arrival_id, due_at, body) VALUES (?,?,?,?,?,?,?,?)`,
		h.InID, h.RIS, h.ControlID, idOrNull(h.OrderID), h.SPSID, idOrNull(h.ArrivalID), ms(h.DueAt), h.Body)
	return err
}

const hl7HeldColumns = `id, in_id, ris, control_id, order_id, sps_id, arrival_id, due_at, body`

func scanHL7Held(r scanner) (h HL7Held, err error) {
	err = r.Scan(&h.ID, &h.InID, &h.RIS, &h.ControlID, intoNum{&h.OrderID}, &h.SPSID, intoNum{&h.ArrivalID}, intoTime{&h.DueAt}, &h.Body)
	return h, err
}

// HL7HeldOfArrival returns what an arrival waits to say, oldest first.
func (s *Snapshot) HL7HeldOfArrival(ctx context.Context, arrivalID int64) ([]HL7Held, error) {
	return all(ctx, s, `SELECT `+hl7HeldColumns+` FROM hl7_held WHERE arrival_id = ? ORDER BY id`, scanHL7Held, arrivalID)
}

// HL7HeldOfOrder returns what waits for quiet about an order, said by one RIS.
func (s *Snapshot) HL7HeldOfOrder(ctx context.Context, orderID int64, ris string) ([]HL7Held, error) {
	return all(ctx, s, `SELECT `+hl7HeldColumns+` FROM hl7_held WHERE order_id = ? AND ris = ? AND due_at IS NOT NULL ORDER BY id`, scanHL7Held, orderID, ris)
}

// HL7HeldDue returns what counts at that time, the earliest first, and when the
// next one will; zero: there is none.
func (s *Snapshot) HL7HeldDue(ctx context.Context, now time.Time, limit int) (due []HL7Held, next time.Time, err error) {
	due, err = all(ctx, s, `SELECT `+hl7HeldColumns+` FROM hl7_held WHERE due_at IS NOT NULL AND due_at <= ? ORDER BY due_at, id LIMIT ?`,
		scanHL7Held, now.UnixMilli(), limit)
	if err != nil {
		return nil, time.Time{}, err
	}
	_, err = one(ctx, s, `SELECT due_at FROM hl7_held WHERE due_at IS NOT NULL AND due_at > ? ORDER BY due_at LIMIT 1`,
		func(r scanner) (struct{}, error) { return struct{}{}, r.Scan(intoTime{&next}) }, now.UnixMilli())
	return due, next, ignoreNotFound(err)
}

// PostponeHL7Held sets when a held word counts.
func (tx *Tx) PostponeHL7Held(ctx context.Context, id int64, due time.Time) error {
	_, err := tx.exec(ctx, `UPDATE hl7_held SET due_at=? WHERE id=?`, ms(due), id)
	return err
}

// DeleteHL7Held removes what was held: it counts now, or never.
func (tx *Tx) DeleteHL7Held(ctx context.Context, id int64) error {
	_, err := tx.exec(ctx, `DELETE FROM hl7_held WHERE id=?`, id)
	return err
}

// HL7Reply is an application acknowledgement that a peer is still to get.
type HL7Reply struct {
	ID       int64
	RIS      string
	Payload  []byte
	Attempts int
	NextAt   time.Time
	GiveUpAt time.Time
	LastText string
}

// AddHL7Reply owes a peer an application acknowledgement of message inID.
func (tx *Tx) AddHL7Reply(ctx context.Context, inID int64, r HL7Reply) error {
	_, err := tx.exec(ctx, `INSERT INTO hl7_reply(in_id, ris, payload, next_at, give_up_at) VALUES (?,?,?,?,?)`,
		inID, r.RIS, notNil(r.Payload), msNotNull(r.NextAt), msNotNull(r.GiveUpAt))
	return err
}

// HL7RepliesDue returns what is to be sent at that time, at most limit, and when
// the next one is due; zero: there is none.
func (s *Snapshot) HL7RepliesDue(ctx context.Context, now time.Time, limit int) (due []HL7Reply, next time.Time, err error) {
	due, err = all(ctx, s, `SELECT id, ris, payload, attempts, next_at, give_up_at, last_text FROM hl7_reply WHERE next_at <= ? ORDER BY next_at, id LIMIT ?`,
		func(r scanner) (v HL7Reply, err error) {
			err = r.Scan(&v.ID, &v.RIS, &v.Payload, &v.Attempts, intoTime{&v.NextAt}, intoTime{&v.GiveUpAt}, &v.LastText)
			return v, err
		}, now.UnixMilli(), limit)
	if err != nil {
		return nil, time.Time{}, err
	}
	_, err = one(ctx, s, `SELECT next_at FROM hl7_reply WHERE next_at > ? ORDER BY next_at LIMIT 1`,
		func(r scanner) (struct{}, error) { return struct{}{}, r.Scan(intoTime{&next}) }, now.UnixMilli())
	return due, next, ignoreNotFound(err)
}

// RetryHL7Reply puts a reply off.
func (tx *Tx) RetryHL7Reply(ctx context.Context, id int64, next time.Time, text string) error {
	_, err := tx.exec(ctx, `UPDATE hl7_reply SET attempts = attempts + 1, next_at = ?, last_text = ? WHERE id = ?`, msNotNull(next), text, id)
	return err
}

// DeleteHL7Reply removes a reply: it was sent, or given up.
func (tx *Tx) DeleteHL7Reply(ctx context.Context, id int64) error {
	_, err := tx.exec(ctx, `DELETE FROM hl7_reply WHERE id = ?`, id)
	return err
}

// scrubHL7 removes the bytes of every message that speaks of an order, whatever
// else it speaks of, before the order is deleted at its owner's request.
func (tx *Tx) scrubHL7(ctx context.Context, orderID int64) error {
	_, err := tx.exec(ctx, `DELETE FROM raw WHERE id IN (SELECT raw_id FROM hl7_in WHERE id IN (SELECT in_id FROM hl7_in_order WHERE order_id = ?))`, orderID)
	return err
}
