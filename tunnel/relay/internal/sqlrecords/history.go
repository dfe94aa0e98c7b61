package sqlrecords

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// History implements relay.Registry.
func (r *Records) History(ctx context.Context, id wire.ClinicID) (relay.History, error) {
	var h relay.History
	err := r.db.Read(ctx, func(tx Tx) error {
		var text string
		var version int64
		found, err := one(ctx, tx, `SELECT history, history_version FROM clinic WHERE id = ?`, []any{&text, &version}, string(id))
		if err != nil {
			return err
		}
		if !found {
			return relay.ErrUnknownClinic
		}
		h = relay.History{}
		if err := json.Unmarshal([]byte(text), &h); err != nil {
			return fmt.Errorf("sqlrecords: read a history: %w", err)
		}
		h.Version = version
		return nil
	})
	return h, err
}

// SaveHistory implements relay.Registry.
func (r *Records) SaveHistory(ctx context.Context, id wire.ClinicID, h relay.History) error {
	text, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("sqlrecords: write a history: %w", err)
	}
	return r.db.Write(ctx, func(tx Tx) error {
		n, err := tx.Exec(ctx, `UPDATE clinic SET history = ?, history_version = history_version + 1 WHERE id = ? AND history_version = ?`,
			string(text), string(id), h.Version)
		if err != nil || n == 1 {
			return err
		}
		if _, err := clinicKey(ctx, tx, id); err != nil {
			return err
		}
		return relay.ErrConflict
	})
}
