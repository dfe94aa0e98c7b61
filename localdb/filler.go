package localdb

import (
	"context"
	"errors"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
)

// Filler holds the numbers that a RIS has for an order.
type Filler struct {
	OrderID           int64
	SPSID             string // of the step; empty for the whole order
	RIS               string
	FillerOrderNumber string // ORC-3
	AccessionNumber   string // of the RIS, when it has its own
	At                time.Time
}

// LearnFiller takes over the numbers of f that are not empty, and reports
// whether that changed anything.
func (tx *Tx) LearnFiller(ctx context.Context, f Filler) (changed bool, err error) {
	known, err := one(ctx, tx.Snapshot, `SELECT `+fillerColumns+` FROM filler WHERE order_id = ? AND ris = ? AND sps_id = ?`, scanFiller, f.OrderID, f.RIS, f.SPSID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return false, err
	}
	if f.FillerOrderNumber == "" {
		f.FillerOrderNumber = known.FillerOrderNumber
	}
	if f.AccessionNumber == "" {
		f.AccessionNumber = known.AccessionNumber
	}
	if f.FillerOrderNumber == known.FillerOrderNumber && f.AccessionNumber == known.AccessionNumber {
		return false, nil
	}
	_, err = tx.exec(ctx, `
		INSERT INTO filler(order_id, sps_id, ris, filler_order_number, accession_number, at) VALUES (?,?,?,?,?,?)
		ON CONFLICT(order_id, ris, sps_id) DO UPDATE SET filler_order_number=excluded.filler_order_number,
		  accession_number=excluded.accession_number, at=excluded.at`,
		f.OrderID, f.SPSID, f.RIS, f.FillerOrderNumber, f.AccessionNumber, msNotNull(f.At))
	return err == nil, err
}

const fillerColumns = `order_id, sps_id, ris, filler_order_number, accession_number, at`

func scanFiller(r scanner) (f Filler, err error) {
	err = r.Scan(&f.OrderID, &f.SPSID, &f.RIS, &f.FillerOrderNumber, &f.AccessionNumber, intoTime{&f.At})
	return f, err
}

// FillersOf returns the numbers of an order, by RIS and step.
func (s *Snapshot) FillersOf(ctx context.Context, orderID int64) ([]Filler, error) {
	return all(ctx, s, `SELECT `+fillerColumns+` FROM filler WHERE order_id = ? ORDER BY ris, sps_id`, scanFiller, orderID)
}

// FillerOf returns the number that a RIS has for a step of an order, else that
// for the whole order; empty: none is known.
func (s *Snapshot) FillerOf(ctx context.Context, orderID int64, spsID, ris string) (string, error) {
	n, err := one(ctx, s, `SELECT filler_order_number FROM filler WHERE order_id = ?1 AND ris = ?2 AND sps_id IN ('', ?3)
		AND filler_order_number <> '' ORDER BY sps_id DESC LIMIT 1`, scanText, orderID, ris, spsID)
	return n, ignoreNotFound(err)
}

// FillersByNumber returns for which orders a RIS told that number, at most 20.
func (s *Snapshot) FillersByNumber(ctx context.Context, ris, number string) ([]Filler, error) {
	if number == "" {
		return nil, nil
	}
	return all(ctx, s, `SELECT `+fillerColumns+` FROM filler WHERE ris = ? AND filler_order_number = ? AND filler_order_number <> ''
		LIMIT 20`, scanFiller, ris, number)
}

// OrdersByRISAccession returns the orders that a RIS knows by an accession
// number of its own.
func (s *Snapshot) OrdersByRISAccession(ctx context.Context, ris, accession string) ([]*order.Order, error) {
	if accession == "" {
		return nil, nil
	}
	ids, err := all(ctx, s, `SELECT DISTINCT order_id FROM filler WHERE ris = ? AND accession_number = ? AND accession_number <> '' LIMIT 20`,
		scanInt, ris, accession)
	if err != nil {
		return nil, err
	}
	var list []*order.Order
	for _, id := range ids {
		o, err := s.OrderByID(ctx, id)
		if err != nil {
			return nil, err
		}
		list = append(list, o)
	}
	return list, nil
}
