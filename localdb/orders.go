package localdb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rayhound/rayhound/appliance/order"
)

const insertOrder = `
INSERT INTO orders(provet_id, accession_number, study_instance_uid, requested_procedure_id, state, revision, by_hand,
  created_at, changed_at, closed_at, patient_id, search_text, content_hash, holds, content,
  upstream_status, closed_by, closed_text, notices)
VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`

const updateOrder = `
UPDATE orders SET provet_id=?, accession_number=?, study_instance_uid=?, requested_procedure_id=?, state=?, revision=?, by_hand=?,
  created_at=?, changed_at=?, closed_at=?, patient_id=?, search_text=?, content_hash=?, holds=?, content=?,
  upstream_status=?, closed_by=?, closed_text=?, notices=?
WHERE id=?`

// InsertOrder stores a new order with its steps and sets o.ID. When its Provet
// id, accession number, Study Instance UID or a step's id is taken, the error
// wraps ErrExists.
func (tx *Tx) InsertOrder(ctx context.Context, o *order.Order) error {
	args, err := orderArgs(o)
	if err != nil {
		return err
	}
	id, err := tx.insert(ctx, insertOrder, args...)
	if err != nil {
		return fmt.Errorf("insert order %s: %w", o.AccessionNumber, err)
	}
	if err := tx.insertSteps(ctx, id, o.Steps); err != nil {
		return err
	}
	o.ID = id
	return nil
}

// UpdateOrder stores everything about an order that is there already; an
// order that is not is ErrNotFound.
func (tx *Tx) UpdateOrder(ctx context.Context, o *order.Order) error {
	args, err := orderArgs(o)
	if err != nil {
		return err
	}
	n, err := tx.exec(ctx, updateOrder, append(args, o.ID)...)
	if err != nil {
		return fmt.Errorf("update order %s: %w", o.AccessionNumber, err)
	}
	if n == 0 {
		return ErrNotFound
	}
	if _, err := tx.exec(ctx, `DELETE FROM step WHERE order_id = ?`, o.ID); err != nil {
		return err
	}
	return tx.insertSteps(ctx, o.ID, o.Steps)
}

func orderArgs(o *order.Order) ([]any, error) {
	content, err := toJSON(o.Content)
	if err != nil {
		return nil, err
	}
	holds, err := toJSON(o.Holds)
	if err != nil {
		return nil, err
	}
	notices, err := toJSON(o.Notices)
	if err != nil {
		return nil, err
	}
	closed := ms(o.ClosedAt)
	if !o.State.Open() && o.ClosedAt.IsZero() {
		closed = msNotNull(o.ChangedAt) // retention must have an end to count from
	}
	return []any{
		orNull(o.ProvetID), o.AccessionNumber, o.StudyInstanceUID, o.RequestedProcedureID, string(o.State), o.Revision, o.ByHand,
		msNotNull(o.CreatedAt), msNotNull(o.ChangedAt), closed, o.Content.Patient.ID, searchText(o), o.ContentHash, holds, content,
		o.UpstreamStatus, string(o.ClosedBy), o.ClosedText, notices,
	}, nil
}

func searchText(o *order.Order) string {
	c := &o.Content
	parts := []string{
		o.AccessionNumber, o.ProvetID, c.Patient.ID, c.Patient.Name, c.Owner.LastName, c.Owner.FirstName, c.Owner.Organization,
	}
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	return fold(strings.Join(parts, " "))
}

const insertStep = `
INSERT INTO step(order_id, n, sps_id, modality_id, modality_name, stations, state, started_at, ended_at, foreign_study_uid)
VALUES (?,?,?,?,?,?,?,?,?,?)`

func (tx *Tx) insertSteps(ctx context.Context, orderID int64, steps []order.Step) error {
	for n := range steps {
		st := &steps[n]
		stations, err := toJSON(st.Stations)
		if err != nil {
			return err
		}
		if _, err := tx.exec(ctx, insertStep, orderID, n, st.ScheduledProcedureStepID, st.Modality.ID, st.Modality.Name, stations,
			string(st.State), ms(st.StartedAt), ms(st.EndedAt), orNull(st.ForeignStudyUID)); err != nil {
			return fmt.Errorf("store step %s: %w", st.ScheduledProcedureStepID, err)
		}
	}
	return nil
}

const orderColumns = `o.id, o.provet_id, o.accession_number, o.study_instance_uid, o.requested_procedure_id, o.state, o.revision,
  o.by_hand, o.created_at, o.changed_at, o.closed_at, o.content_hash, o.holds, o.content,
  o.upstream_status, o.closed_by, o.closed_text, o.notices`

func scanOrder(r scanner) (*order.Order, error) {
	o := &order.Order{}
	err := r.Scan(&o.ID, intoText{&o.ProvetID}, &o.AccessionNumber, &o.StudyInstanceUID, &o.RequestedProcedureID, &o.State, &o.Revision,
		&o.ByHand, intoTime{&o.CreatedAt}, intoTime{&o.ChangedAt}, intoTime{&o.ClosedAt}, &o.ContentHash,
		intoJSON{&o.Holds}, intoJSON{&o.Content}, &o.UpstreamStatus, &o.ClosedBy, &o.ClosedText, intoJSON{&o.Notices})
	return o, err
}

const stepColumns = `order_id, sps_id, modality_id, modality_name, stations, state, started_at, ended_at, foreign_study_uid`

type orderStep struct {
	orderID int64
	order.Step
}

func scanStep(r scanner) (s orderStep, err error) {
	err = r.Scan(&s.orderID, &s.ScheduledProcedureStepID, &s.Modality.ID, &s.Modality.Name, intoJSON{&s.Stations}, &s.State,
		intoTime{&s.StartedAt}, intoTime{&s.EndedAt}, intoText{&s.ForeignStudyUID})
	return s, err
}

// attachSteps gives the orders the steps, which come sorted by order and n.
func attachSteps(orders []*order.Order, steps []orderStep) {
	byID := make(map[int64]*order.Order, len(orders))
	for _, o := range orders {
		byID[o.ID] = o
	}
	for _, s := range steps {
		if o := byID[s.orderID]; o != nil {
			o.Steps = append(o.Steps, s.Step)
		}
	}
}

// oneOrder reads the order that a condition finds; of several the newest that
// is open, else the newest.
func (s *Snapshot) oneOrder(ctx context.Context, where string, args ...any) (*order.Order, error) {
	o, err := one(ctx, s, `SELECT `+orderColumns+` FROM orders o WHERE `+where+`
		ORDER BY o.state IN ('received','held','scheduled','in_progress') DESC, o.id DESC LIMIT 1`, scanOrder, args...)
	if err != nil {
		return nil, err
	}
	steps, err := all(ctx, s, `SELECT `+stepColumns+` FROM step WHERE order_id = ? ORDER BY n`, scanStep, o.ID)
	if err != nil {
		return nil, err
	}
	attachSteps([]*order.Order{o}, steps)
	return o, nil
}

// byText is oneOrder for a text that an order may lack: the empty text finds
// nothing.
func (s *Snapshot) byText(ctx context.Context, where, key string) (*order.Order, error) {
	if key == "" {
		return nil, ErrNotFound
	}
	return s.oneOrder(ctx, where, key)
}

// OrderByID returns an order or ErrNotFound.
func (s *Snapshot) OrderByID(ctx context.Context, id int64) (*order.Order, error) {
	return s.oneOrder(ctx, `o.id = ?`, id)
}

// OrderByProvetID returns an order or ErrNotFound.
func (s *Snapshot) OrderByProvetID(ctx context.Context, provetID string) (*order.Order, error) {
	return s.byText(ctx, `o.provet_id = ?`, provetID)
}

// OrderByAccession returns an order or ErrNotFound.
func (s *Snapshot) OrderByAccession(ctx context.Context, accession string) (*order.Order, error) {
	return s.byText(ctx, `o.accession_number = ?`, accession)
}

// OrderByStudyUID returns the order whose Study Instance UID it is, or the one
// whose machine used this UID of its own or that a RIS knows by it, or
// ErrNotFound.
func (s *Snapshot) OrderByStudyUID(ctx context.Context, uid string) (*order.Order, error) {
	o, err := s.byText(ctx, `o.study_instance_uid = ?`, uid)
	if !errors.Is(err, ErrNotFound) {
		return o, err
	}
	o, err = s.byText(ctx, `o.id IN (SELECT order_id FROM step WHERE foreign_study_uid = ?)`, uid)
	if !errors.Is(err, ErrNotFound) {
		return o, err
	}
	return s.byText(ctx, `o.id IN (SELECT order_id FROM told WHERE study_uid = ?)`, uid)
}

// OrderByRequestedProcedureID returns an order or ErrNotFound.
func (s *Snapshot) OrderByRequestedProcedureID(ctx context.Context, id string) (*order.Order, error) {
	return s.byText(ctx, `o.requested_procedure_id = ?`, id)
}

// OrderByStepID returns the order that has this scheduled procedure step, or
// ErrNotFound.
func (s *Snapshot) OrderByStepID(ctx context.Context, spsID string) (*order.Order, error) {
	return s.byText(ctx, `o.id = (SELECT order_id FROM step WHERE sps_id = ?)`, spsID)
}
