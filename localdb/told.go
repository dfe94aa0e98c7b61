package localdb

import (
	"context"
	"errors"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
)

// The states of what a RIS was told.
const (
	ToldOpen   = "open"   // it has the order
	ToldClosed = "closed" // it was told that the order is off
)

// Told is what a RIS was told about a step of an order, or about all its steps
// when StepID is empty. The zero State means that it was told nothing.
type Told struct {
	OrderID   int64     `json:"-"`
	RIS       string    `json:"-"`
	StepID    string    `json:"-"`
	State     string    `json:"state,omitempty"`
	Seen      string    `json:"seen,omitempty"`      // hash of what the RIS can see of the order
	Content   string    `json:"content,omitempty"`   // hash of the content the messages were made of
	StudyUID  string    `json:"study_uid,omitempty"` // as the RIS knows it
	PatientID string    `json:"patient_id,omitempty"`
	Modality  order.Ref `json:"modality,omitzero"`
}

const toldColumns = `order_id, ris, sps_id, state, seen, content, study_uid, patient_id, modality_id, modality_name`

func scanTold(r scanner) (t Told, err error) {
	err = r.Scan(&t.OrderID, &t.RIS, &t.StepID, &t.State, &t.Seen, &t.Content, &t.StudyUID, &t.PatientID, &t.Modality.ID, &t.Modality.Name)
	return t, err
}

const toldOf = `SELECT ` + toldColumns + ` FROM told WHERE order_id = ?`

// ToldOf returns what every RIS was told about an order, by RIS and step.
func (s *Snapshot) ToldOf(ctx context.Context, orderID int64) ([]Told, error) {
	return all(ctx, s, toldOf+` ORDER BY ris, sps_id`, scanTold, orderID)
}

// SetTold stores what a RIS was told, over what was stored before. A Told
// without State is forgotten.
func (tx *Tx) SetTold(ctx context.Context, t Told) error {
	if t.State == "" {
		_, err := tx.exec(ctx, `DELETE FROM told WHERE order_id = ? AND ris = ? AND sps_id = ?`, t.OrderID, t.RIS, t.StepID)
		return err
	}
	_, err := tx.exec(ctx, `INSERT INTO told(`+toldColumns+`) VALUES (?,?,?,?,?,?,?,?,?,?)
		ON CONFLICT(order_id, ris, sps_id) DO UPDATE SET state=excluded.state, seen=excluded.seen, content=excluded.content,
		  study_uid=excluded.study_uid, patient_id=excluded.patient_id, modality_id=excluded.modality_id, modality_name=excluded.modality_name`,
		t.OrderID, t.RIS, t.StepID, t.State, t.Seen, t.Content, t.StudyUID, t.PatientID, t.Modality.ID, t.Modality.Name)
	return err
}

// ToldPatient returns the hash of what a RIS was told about an animal, "" when
// it was told nothing.
func (s *Snapshot) ToldPatient(ctx context.Context, ris, patientID string) (string, error) {
	hash, err := one(ctx, s, `SELECT hash FROM told_patient WHERE ris = ? AND patient_id = ?`, scanText, ris, patientID)
	return hash, ignoreNotFound(err)
}

// SetToldPatient stores what a RIS was told about an animal.
func (tx *Tx) SetToldPatient(ctx context.Context, ris, patientID, hash string, at time.Time) error {
	_, err := tx.exec(ctx, `INSERT INTO told_patient(ris, patient_id, hash, at) VALUES (?,?,?,?)
		ON CONFLICT(ris, patient_id) DO UPDATE SET hash=excluded.hash, at=excluded.at`, ris, patientID, hash, msNotNull(at))
	return err
}

// NumbersState is the key of the state that tells apart the numbers of a
// database that was restored from those it had handed out after the backup: who
// uses numbers outside of the database keeps a word of chance there and puts it
// in front of them. Restoring deletes it.
const NumbersState = "numbers"

const nextNumber = `
INSERT INTO counter(name, value) VALUES (?, 1) ON CONFLICT(name) DO UPDATE SET value = value + 1 RETURNING value`

// NextNumber returns the next number of a counter, from 1 on. A number is never
// handed out twice, but by a database that was restored from a backup.
func (tx *Tx) NextNumber(ctx context.Context, name string) (int64, error) {
	return one(ctx, tx.Snapshot, nextNumber, scanInt, name)
}

// AwaitAck remembers that the entry's peer accepted the message with that
// control id and has not said yet what came of it.
func (tx *Tx) AwaitAck(ctx context.Context, controlID string, entryID int64, due time.Time) error {
	_, err := tx.exec(ctx, `INSERT INTO awaited_ack(control_id, outbox_id, due_at) VALUES (?,?,?)
		ON CONFLICT(control_id) DO UPDATE SET outbox_id=excluded.outbox_id, due_at=excluded.due_at`, controlID, entryID, msNotNull(due))
	return err
}

// AckArrived forgets an awaited acknowledgement and returns its entry, or
// ErrNotFound when none was awaited.
func (tx *Tx) AckArrived(ctx context.Context, controlID string) (*OutboxEntry, error) {
	id, err := one(ctx, tx.Snapshot, `DELETE FROM awaited_ack WHERE control_id = ? RETURNING outbox_id`, scanInt, controlID)
	if err != nil {
		return nil, err
	}
	return tx.OutboxEntry(ctx, id)
}

const overdueAcks = `SELECT ` + outboxColumns + ` FROM awaited_ack w JOIN outbox e ON e.id = w.outbox_id JOIN orders r ON r.id = e.order_id
		WHERE w.due_at <= ? ORDER BY w.due_at LIMIT ?`

// OverdueAcks returns up to limit entries whose application acknowledgement is
// overdue.
func (s *Snapshot) OverdueAcks(ctx context.Context, now time.Time, limit int) ([]OutboxEntry, error) {
	return all(ctx, s, overdueAcks, scanOutbox, msNotNull(now), limit)
}

// EntryByKey returns the entry with that IdemKey, or ErrNotFound.
func (s *Snapshot) EntryByKey(ctx context.Context, key string) (*OutboxEntry, error) {
	id, err := one(ctx, s, `SELECT id FROM outbox WHERE idem_key = ?`, scanInt, key)
	if err != nil {
		return nil, err
	}
	return s.OutboxEntry(ctx, id)
}

// SendAgain makes an entry that was delivered due once more, with the bytes it
// has. It reports false for any other, and for one whose bytes
// were deleted after their retention.
func (tx *Tx) SendAgain(ctx context.Context, id int64, now, giveUpAt time.Time) (bool, error) {
	n, err := tx.exec(ctx, `UPDATE outbox SET state='ready', next_at=?, give_up_at=?, done_at=NULL, attempts=0, unsure=1
		WHERE id=? AND state='done' AND length(payload) > 0`, msNotNull(now), msNotNull(giveUpAt), id)
	return n > 0, err
}

// CountAsTaken ends a parked entry that a person knows to have been taken. It
// reports false for any other.
func (tx *Tx) CountAsTaken(ctx context.Context, id int64, why string, at time.Time) (bool, error) {
	n, err := tx.exec(ctx, `UPDATE outbox SET state='done', done_at=?, last_text=? WHERE id=? AND state='parked'`, msNotNull(at), why, id)
	return n > 0, err
}

// LastEventAt returns when the newest line of an order's timeline was written
// that is none of these kinds, or false.
func (s *Snapshot) LastEventAt(ctx context.Context, orderID int64, but ...string) (time.Time, bool, error) {
	var at time.Time
	kinds, err := toJSON(append([]string{}, but...))
	if err != nil {
		return at, false, err
	}
	_, err = one(ctx, s, `SELECT at FROM entry WHERE order_id = ? AND kind NOT IN (SELECT value FROM json_each(?)) ORDER BY id DESC LIMIT 1`,
		func(r scanner) (struct{}, error) { return struct{}{}, r.Scan(intoTime{&at}) }, orderID, kinds)
	if errors.Is(err, ErrNotFound) {
		return time.Time{}, false, nil
	}
	return at, err == nil, err
}
