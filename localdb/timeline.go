package localdb

import (
	"context"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
)

// AddEntry adds a line to an order's timeline.
func (tx *Tx) AddEntry(ctx context.Context, e order.Entry) error {
	_, err := tx.exec(ctx, `INSERT INTO entry(order_id, at, kind, source, code, text) VALUES (?,?,?,?,?,?)`,
		e.OrderID, msNotNull(e.At), e.Kind, e.Source, e.Code, e.Text)
	return err
}

// Timeline returns an order's timeline, oldest first. A line may be written
// after a later one: what a machine saw is noted aside.
func (s *Snapshot) Timeline(ctx context.Context, orderID int64) ([]order.Entry, error) {
	return all(ctx, s, `SELECT id, order_id, at, kind, source, code, text FROM entry WHERE order_id = ? ORDER BY at, id`,
		func(r scanner) (e order.Entry, err error) {
			err = r.Scan(&e.ID, &e.OrderID, intoTime{&e.At}, &e.Kind, &e.Source, &e.Code, &e.Text)
			return e, err
		}, orderID)
}

// AddEvidence adds a fact to an order's ledger and sets e.ID.
func (tx *Tx) AddEvidence(ctx context.Context, e *order.Evidence) error {
	id, err := tx.insert(ctx, `
		INSERT INTO evidence(order_id, sps_id, at, source, event, station, ref, series, instances, reason, decided)
		VALUES (?,?,?,?,?,?,?,?,?,?,?)`,
		e.OrderID, e.ScheduledProcedureStepID, msNotNull(e.At), string(e.Source), string(e.Event), e.Station, e.Ref,
		e.Series, e.Instances, e.Reason, e.Decided)
	if err != nil {
		return err
	}
	e.ID = id
	return nil
}

// EvidenceOf returns an order's ledger, oldest first.
func (s *Snapshot) EvidenceOf(ctx context.Context, orderID int64) ([]order.Evidence, error) {
	return all(ctx, s, `SELECT id, order_id, sps_id, at, source, event, station, ref, series, instances, reason, decided
		FROM evidence WHERE order_id = ? ORDER BY id`,
		func(r scanner) (e order.Evidence, err error) {
			err = r.Scan(&e.ID, &e.OrderID, &e.ScheduledProcedureStepID, intoTime{&e.At}, &e.Source, &e.Event, &e.Station, &e.Ref,
				&e.Series, &e.Instances, &e.Reason, &e.Decided)
			return e, err
		}, orderID)
}

// Seen says that a machine was given an order in its worklist.
type Seen struct {
	OrderID int64
	Machine string
	FirstAt time.Time
	LastAt  time.Time
	Count   int
}

// MarkSeen records that a machine was given an order. An order that is no
// longer there is passed over: the worklist answers from memory.
func (tx *Tx) MarkSeen(ctx context.Context, orderID int64, machine string, at time.Time) error {
	_, err := tx.exec(ctx, `
		INSERT INTO seen(order_id, machine, first_at, last_at, count) SELECT id, ?2, ?3, ?3, 1 FROM orders WHERE id = ?1
		ON CONFLICT(order_id, machine) DO UPDATE SET last_at = max(last_at, excluded.last_at), count = count + 1`,
		orderID, machine, msNotNull(at))
	return err
}

// SeenBy returns the machines that were given an order, first one first.
func (s *Snapshot) SeenBy(ctx context.Context, orderID int64) ([]Seen, error) {
	return all(ctx, s, `SELECT order_id, machine, first_at, last_at, count FROM seen WHERE order_id = ? ORDER BY first_at, id`,
		func(r scanner) (v Seen, err error) {
			err = r.Scan(&v.OrderID, &v.Machine, intoTime{&v.FirstAt}, intoTime{&v.LastAt}, &v.Count)
			return v, err
		}, orderID)
}
