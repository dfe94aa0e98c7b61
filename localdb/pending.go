package localdb

import (
	"context"
	"time"
)

// maxPending bounds the pending machines: a port scanner must not fill the disk.
const maxPending = 200

// Pending is a machine that was refused because nobody told us about it.
type Pending struct {
	ID             int64
	CallingAETitle string
	CalledAETitle  string
	Address        string // without the port
	Reason         string
	At             time.Time // for NotePending; last time when read
	FirstAt        time.Time
	Count          int
	Ignored        bool
}

// NotePending counts a refused call. The 200 newest machines are kept; ignored
// ones go last.
func (tx *Tx) NotePending(ctx context.Context, p Pending) error {
	_, err := tx.exec(ctx, `
		INSERT INTO pending_machine(calling_ae_title, called_ae_title, address, reason, first_at, last_at, count) VALUES (?1,?2,?3,?4,?5,?5,1)
		ON CONFLICT(calling_ae_title, called_ae_title, address) DO UPDATE SET reason=excluded.reason, last_at=excluded.last_at, count=count+1`,
		p.CallingAETitle, p.CalledAETitle, p.Address, p.Reason, msNotNull(p.At))
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `DELETE FROM pending_machine WHERE id IN (SELECT id FROM pending_machine ORDER BY ignored, last_at
		LIMIT max(0, (SELECT count(*) FROM pending_machine) - ?))`, maxPending)
	return err
}

// ListPending returns the pending machines, last caller first; ignored ones
// only when asked for.
func (s *Snapshot) ListPending(ctx context.Context, ignored bool) ([]Pending, error) {
	return all(ctx, s, `SELECT id, calling_ae_title, called_ae_title, address, reason, first_at, last_at, count, ignored
		FROM pending_machine WHERE ignored = 0 OR ? ORDER BY last_at DESC, id DESC`,
		func(r scanner) (p Pending, err error) {
			err = r.Scan(&p.ID, &p.CallingAETitle, &p.CalledAETitle, &p.Address, &p.Reason, intoTime{&p.FirstAt}, intoTime{&p.At}, &p.Count, &p.Ignored)
			return p, err
		}, ignored)
}

// IgnorePending stops (or starts again) showing a pending machine.
func (tx *Tx) IgnorePending(ctx context.Context, id int64, ignored bool) error {
	n, err := tx.exec(ctx, `UPDATE pending_machine SET ignored=? WHERE id=?`, ignored, id)
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// DeletePending forgets the pending machines with a calling AE title: it has
// been set up.
func (tx *Tx) DeletePending(ctx context.Context, callingAETitle string) error {
	_, err := tx.exec(ctx, `DELETE FROM pending_machine WHERE calling_ae_title=?`, callingAETitle)
	return err
}
