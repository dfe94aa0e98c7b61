package localdb

import (
	"context"
	"time"
)

// Raw is a message as it was received or sent.
type Raw struct {
	ID      int64
	Kind    string // mpps-create, mpps-set, provet, webhook, hl7-in ...
	OrderID int64  // 0: belongs to no order
	Ref     string // SOP Instance UID, message control id ...
	Peer    string // name or address
	At      time.Time
	Bytes   []byte // nil after their retention
	Note    string
}

// AddRaw keeps a message for its retention.
func (tx *Tx) AddRaw(ctx context.Context, r Raw) error {
	b := r.Bytes
	if b == nil {
		b = []byte{}
	}
	_, err := tx.exec(ctx, `INSERT INTO raw(kind, order_id, ref, peer, at, note, bytes) VALUES (?,?,?,?,?,?,?)`,
		r.Kind, idOrNull(r.OrderID), r.Ref, r.Peer, msNotNull(r.At), r.Note, b)
	return err
}

const rawColumns = `id, kind, order_id, ref, peer, at, note, bytes`

func scanRaw(r scanner) (v Raw, err error) {
	err = r.Scan(&v.ID, &v.Kind, intoNum{&v.OrderID}, &v.Ref, &v.Peer, intoTime{&v.At}, &v.Note, &v.Bytes)
	return v, err
}

// RawOf returns the messages of an order, oldest first.
func (s *Snapshot) RawOf(ctx context.Context, orderID int64) ([]Raw, error) {
	return all(ctx, s, `SELECT `+rawColumns+` FROM raw WHERE order_id = ? ORDER BY id`, scanRaw, orderID)
}

// RawByID returns one message or ErrNotFound.
func (s *Snapshot) RawByID(ctx context.Context, id int64) (Raw, error) {
	return one(ctx, s, `SELECT `+rawColumns+` FROM raw WHERE id = ?`, scanRaw, id)
}
