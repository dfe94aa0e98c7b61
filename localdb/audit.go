package localdb

import (
	"context"
	"time"
)

// Audit says who did what. It holds no names of patients or owners.
type Audit struct {
	ID        int64
	At        time.Time
	Who       string // a user of the page, or "system"
	What      string // stable word: order.complete, outbox.retry, backup.restore ...
	Accession string
	Detail    string
}

// AddAudit writes an audit line.
func (tx *Tx) AddAudit(ctx context.Context, a Audit) error {
	_, err := tx.exec(ctx, `INSERT INTO audit(at, who, what, accession_number, detail) VALUES (?,?,?,?,?)`,
		msNotNull(a.At), a.Who, a.What, a.Accession, a.Detail)
	return err
}

// ListAudit returns audit lines, newest first; before is the ID of the last
// line of the page before, or 0.
func (s *Snapshot) ListAudit(ctx context.Context, before int64, limit int) ([]Audit, error) {
	return all(ctx, s, `SELECT id, at, who, what, accession_number, detail FROM audit WHERE id < ?1 OR ?1 = 0 ORDER BY id DESC LIMIT ?2`,
		func(r scanner) (a Audit, err error) {
			err = r.Scan(&a.ID, intoTime{&a.At}, &a.Who, &a.What, &a.Accession, &a.Detail)
			return a, err
		}, before, limit)
}
