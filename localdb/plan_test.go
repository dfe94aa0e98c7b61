package localdb

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The hot statements use the partial indexes: their cost does not grow with
// history. SCAN of a whole table, or a sort, is the regression to find.
func TestPlans(t *testing.T) {
	db := openTest(t, filepath.Join(t.TempDir(), "rayhound.db"))
	c := <-db.readers
	defer func() { db.readers <- c }()
	for name, q := range map[string]string{
		"lease":        lease,
		"open orders":  `SELECT ` + orderColumns + ` FROM orders o INDEXED BY orders_open WHERE o.` + openStates + ` ORDER BY o.id`,
		"by accession": `SELECT ` + orderColumns + ` FROM orders o WHERE o.accession_number = ?`,
		"by step":      `SELECT ` + orderColumns + ` FROM orders o WHERE o.id = (SELECT order_id FROM step WHERE sps_id = ?)`,
		"by foreign":   `SELECT ` + orderColumns + ` FROM orders o WHERE o.id IN (SELECT order_id FROM step WHERE foreign_study_uid = ?)`,
		"due hint":     `SELECT ` + hintColumns + ` FROM hint WHERE due_at <= ? ORDER BY due_at, seq LIMIT ?`,
		"unsent":       `SELECT 1 FROM outbox e WHERE e.` + unsent + ` AND e.dest = ?`,
		"drop unsent":  `UPDATE outbox SET state='dropped' WHERE dest=? AND order_id=? AND state IN ('ready','parked')`,
		"retry all":    retryDest,
		"release":      releaseLeases,
		"expire":       releaseLeases + ` AND lease_until <= ?`,
		"purge":        closedOrders,
		"arrivals":     `SELECT ` + arrivalColumns + ` FROM arrival WHERE state = 'open' ORDER BY id DESC LIMIT ?`,
		"new events":   newInbox,
		"poison":       poisonInbox,
		"trim":         trimInbox,
		"told":         toldOf + ` ORDER BY ris, sps_id`,
		"overdue acks": overdueAcks,
		"dest due":     destDue,
		"hints due":    hintsDue,
		"hl7 key":      `SELECT ` + hl7InColumns + ` FROM hl7_in WHERE control_id = ? AND hash = ? AND sending_application = ? AND sending_facility = ? AND refused = ''`,
		"hl7 last":     `SELECT ` + hl7InColumns + ` FROM hl7_in WHERE ris = ? ORDER BY at DESC LIMIT 1`,
		"hl7 due":      `SELECT ` + hl7HeldColumns + ` FROM hl7_held WHERE due_at IS NOT NULL AND due_at <= ? ORDER BY due_at, id LIMIT ?`,
		"hl7 busy":     `SELECT ` + hl7HeldColumns + ` FROM hl7_held WHERE order_id = ? AND ris = ? AND due_at IS NOT NULL ORDER BY id`,
		"documents":    `SELECT ` + documentColumns + ` FROM document WHERE order_id = ? ORDER BY id`,
		"filler":       `SELECT ` + fillerColumns + ` FROM filler WHERE ris = ? AND filler_order_number = ? AND filler_order_number <> '' LIMIT ?`,
		"foreign key":  `UPDATE performed_ref SET order_id = NULL WHERE order_id = ?`,
	} {
		t.Run(name, func(t *testing.T) {
			rows, err := c.c.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+regexp.MustCompile(`\?\d*`).ReplaceAllString(q, "1"))
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close() // rows.Err tells
			var plan []string
			for rows.Next() {
				var id, parent, unused int
				var detail string
				if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
					t.Fatal(err)
				}
				plan = append(plan, detail)
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
			whole := regexp.MustCompile(`^SCAN (\w+)( USING INDEX (\w+))?$`)
			for _, step := range plan {
				if m := whole.FindStringSubmatch(step); m != nil && !slices.Contains([]string{"orders_open", "arrival_open", "outbox_leased", "inbox_poison"}, m[3]) {
					t.Errorf("%s, in\n%s", step, strings.Join(plan, "\n"))
				}
				if strings.Contains(step, "TEMP B-TREE") {
					t.Errorf("sorts, in\n%s", strings.Join(plan, "\n"))
				}
			}
		})
	}
}
