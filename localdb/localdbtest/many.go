package localdbtest

import (
	"context"
	"database/sql"
	"net/url"
	"testing"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/rayhound/rayhound/localdb"
)

// copyOrders makes copies of order ?1, numbered ?2 to ?3 as Order does.
const copyOrders = `
INSERT INTO orders(provet_id, accession_number, study_instance_uid, requested_procedure_id, state, revision, by_hand,
  created_at, changed_at, closed_at, patient_id, search_text, content_hash, holds, content)
WITH RECURSIVE c(n) AS (SELECT ?2 UNION ALL SELECT n + 1 FROM c WHERE n < ?3)
SELECT 10000 + n, 10000 + n, '2.25.' || (7000000000000 + n), 'R' || (10000 + n), o.state, 1, 0,
  ?4 + n * 60000, ?4 + (n + 60) * 60000, ?4 + (n + 60) * 60000, 500 + n / 3,
  (10000 + n) || ' ' || (500 + n / 3) || ' ' ||
    json_extract('["bella","luna","milo","rocky","nala","sarka","agir"]', '$[' || (n % 7) || ']') || ' owner' || (n / 6) || ' test',
  o.content_hash, o.holds, o.content
FROM c, orders o WHERE o.id = ?1`

const copySteps = `
INSERT INTO step(order_id, n, sps_id, modality_id, modality_name, stations, state, started_at, ended_at)
SELECT o.id, 0, o.provet_id || '-1', s.modality_id, s.modality_name, s.stations, s.state, o.created_at, o.closed_at
FROM orders o, step s WHERE o.id > ?2 AND s.order_id = ?1`

// FillMany is Fill for a great many orders: about 50,000 a second. All have the
// content of the first; identities, times, and what is searched are their own.
func FillMany(tb testing.TB, db *localdb.DB, from, n int) {
	tb.Helper()
	ctx := context.WithoutCancel(tb.Context())
	var first int64
	Write(tb, db, func(ctx context.Context, tx *localdb.Tx) error {
		o := Finished(from)
		err := tx.InsertOrder(ctx, o)
		first = o.ID
		return err
	})
	pool, err := sql.Open("sqlite", "file:"+(&url.URL{Path: db.Path()}).EscapedPath()+"?mode=rw&_busy_timeout=60000&_txlock=immediate")
	if err != nil {
		tb.Fatal(err)
	}
	defer pool.Close() //nolint:errcheck // the commit was checked
	const batch = 50_000
	for next, end := from+1, from+n; next < end; next += batch {
		if err := copyBatch(ctx, pool, first, next, min(next+batch, end)-1); err != nil {
			tb.Fatal(err)
		}
	}
}

func copyBatch(ctx context.Context, pool *sql.DB, first int64, from, to int) error {
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // without effect after the commit
	var last int64
	if err := tx.QueryRowContext(ctx, `SELECT max(id) FROM orders`).Scan(&last); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, copyOrders, first, from, to, Start.UnixMilli()); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, copySteps, first, last); err != nil {
		return err
	}
	return tx.Commit()
}
