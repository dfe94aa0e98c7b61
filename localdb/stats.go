package localdb

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/rayhound/rayhound/appliance/order"
)

// Stats are figures for the page and the metrics. They are cheap to get,
// whatever the size of the database.
type Stats struct {
	FileBytes     int64 // of the database
	WALBytes      int64 // of the write-ahead log
	DiskFree      uint64
	SchemaVersion int64
	Orders        map[order.State]int
	Hints         int
	OpenArrivals  int
	Outbox        []OutboxStats
}

// Stats returns the figures.
func (db *DB) Stats(ctx context.Context) (Stats, error) {
	st := Stats{FileBytes: fileSize(db.cfg.Path), WALBytes: fileSize(db.cfg.Path + "-wal")}
	if free, err := db.cfg.FreeSpace(filepath.Dir(db.cfg.Path)); err == nil {
		st.DiskFree = free
	}
	err := db.Read(ctx, func(s *Snapshot) (err error) {
		if st.SchemaVersion, err = one(ctx, s, `SELECT max(version_id) FROM goose_db_version WHERE is_applied`, scanInt); err != nil {
			return err
		}
		if st.Orders, err = s.CountOrders(ctx); err != nil {
			return err
		}
		if st.Hints, err = s.HintCount(ctx); err != nil {
			return err
		}
		if st.OpenArrivals, _, err = s.OpenArrivals(ctx); err != nil {
			return err
		}
		st.Outbox, err = s.OutboxStats(ctx)
		return err
	})
	return st, err
}

func fileSize(path string) int64 {
	fi, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return fi.Size()
}

// Schema returns the statements that make the present tables, as one text: what
// the migrations add up to.
func (s *Snapshot) Schema(ctx context.Context) (string, error) {
	rows, err := all(ctx, s, `SELECT sql || ';' FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'
		AND tbl_name <> 'goose_db_version' ORDER BY tbl_name, CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 ELSE 2 END, name`, scanText)
	return strings.Join(rows, "\n\n") + "\n", err
}
