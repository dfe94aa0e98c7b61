package sqlitestore

import (
	"path/filepath"
	"strings"
	"testing"
)

// A clinic that was away for two weeks has a long backlog: reading it never sorts and never looks at rows it does not return.
func TestPlans(t *testing.T) {
	s, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "relay.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, text := range []string{
		afterText,
		`SELECT coalesce((SELECT max(h.seq) FROM event h WHERE h.clinic = m.clinic), m.removed_to) FROM mailbox m WHERE m.clinic = ?`,
		`SELECT count(*), sum(size) FROM event WHERE clinic = ? AND seq > ?`,
		`SELECT seq, received_at, size FROM event WHERE clinic = ? ORDER BY seq LIMIT ?`,
		`DELETE FROM event WHERE clinic = ? AND seq <= ?`,
		`SELECT 1 FROM mailbox m WHERE m.node <> '' AND m.node = ?`,
		`SELECT 1 FROM url WHERE changed_rev > ?`,
		`SELECT clinic, seq FROM metadata WHERE received_at < ? ORDER BY received_at LIMIT ?`,
		`SELECT key FROM notice WHERE settled_at = 0 AND due_at <= ? ORDER BY due_at, key LIMIT ?`,
		insertText,
	} {
		rows, err := s.readPool.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, 1, 1, 1, 1, 1, 1)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var plan []string
		if err := scanAll(rows, func(r scanner) error {
			var id, parent, unused int
			var detail string
			err := r.Scan(&id, &parent, &unused, &detail)
			plan = append(plan, detail)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for _, step := range plan {
			if strings.HasPrefix(step, "SCAN") || strings.Contains(step, "TEMP B-TREE") && !strings.Contains(text, "due_at, key") {
				t.Errorf("%s\nplan %q", text, plan)
			}
		}
		t.Log(plan)
	}
}
