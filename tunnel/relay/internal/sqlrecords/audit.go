package sqlrecords

import (
	"context"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// maxDetail bounds an audit line, in bytes.
const maxDetail = 500

// Audit implements relay.Registry.
func (r *Records) Audit(ctx context.Context, a relay.AuditLine) error {
	detail := a.Detail
	if len(detail) > maxDetail {
		detail = detail[:maxDetail]
	}
	return r.db.Write(ctx, func(tx Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO audit (at, clinic, action, detail) VALUES (?, ?, ?, ?)`, micro(a.At), string(a.Clinic), a.Action, detail)
		return err
	})
}

// Audits implements relay.Registry.
func (r *Records) Audits(ctx context.Context, id wire.ClinicID, limit int) ([]relay.AuditLine, error) {
	text, args := `SELECT at, clinic, action, detail FROM audit `, []any{}
	if id != "" {
		text, args = text+`WHERE clinic = ? `, append(args, string(id))
	}
	var out []relay.AuditLine
	err := r.db.Read(ctx, func(tx Tx) error {
		out = nil
		return tx.Query(ctx, text+`ORDER BY at DESC, id DESC LIMIT ?`, func(scan Scan) error {
			var a relay.AuditLine
			var at int64
			if err := scan(&at, (*string)(&a.Clinic), &a.Action, &a.Detail); err != nil {
				return err
			}
			a.At = fromMicro(at)
			out = append(out, a)
			return nil
		}, append(args, int64(limit))...)
	})
	return out, err
}
