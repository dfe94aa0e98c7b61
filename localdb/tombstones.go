package localdb

import (
	"context"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
)

// Tombstone is what is left of an order, so that a late message does not bring
// it back. It holds no personal data.
type Tombstone struct {
	ProvetID         string // may be empty: the order was entered by hand
	AccessionNumber  string
	StudyInstanceUID string
	Reason           string // why it is not here: PurgedAs(state), or words
	At               time.Time
}

const putTombstone = `
INSERT INTO tombstone(provet_id, accession_number, study_instance_uid, reason, at) VALUES (?,?,?,?,?)
ON CONFLICT(provet_id) DO UPDATE SET
  accession_number = coalesce(excluded.accession_number, accession_number),
  study_instance_uid = coalesce(excluded.study_instance_uid, study_instance_uid),
  reason = excluded.reason, at = excluded.at`

// PurgedAs is the Reason of an order that was closed in this state and purged.
func PurgedAs(s order.State) string { return "purged " + string(s) }

// PutTombstone stores a tombstone, over an older one for the same order.
func (tx *Tx) PutTombstone(ctx context.Context, t Tombstone) error {
	_, err := tx.exec(ctx, putTombstone, orNull(t.ProvetID), orNull(t.AccessionNumber), orNull(t.StudyInstanceUID), t.Reason, msNotNull(t.At))
	return err
}

// DeleteTombstone removes the tombstone of an order, if there is one.
func (tx *Tx) DeleteTombstone(ctx context.Context, provetID string) error {
	_, err := tx.exec(ctx, `DELETE FROM tombstone WHERE provet_id = ?`, provetID)
	return err
}

const tombstoneColumns = `provet_id, accession_number, study_instance_uid, reason, at`

func scanTombstone(r scanner) (t Tombstone, err error) {
	err = r.Scan(intoText{&t.ProvetID}, intoText{&t.AccessionNumber}, intoText{&t.StudyInstanceUID}, &t.Reason, intoTime{&t.At})
	return t, err
}

// TombstoneByProvetID returns a tombstone or ErrNotFound.
func (s *Snapshot) TombstoneByProvetID(ctx context.Context, provetID string) (Tombstone, error) {
	return one(ctx, s, `SELECT `+tombstoneColumns+` FROM tombstone WHERE provet_id = ?`, scanTombstone, provetID)
}

// TombstoneByAccession returns the newest tombstone with that accession number
// or ErrNotFound.
func (s *Snapshot) TombstoneByAccession(ctx context.Context, accession string) (Tombstone, error) {
	return one(ctx, s, `SELECT `+tombstoneColumns+` FROM tombstone WHERE accession_number = ? ORDER BY id DESC LIMIT 1`, scanTombstone, accession)
}
