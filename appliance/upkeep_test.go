package appliance

import (
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/metrics"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/localdb"
)

// A queue is told of for its age and for its depth, and no longer than it is so.
func TestOutboxProblems(t *testing.T) {
	c := newClinic(t)
	a := &Appliance{core: c.core, board: c.board, metrics: metrics.New("test")}
	raised := func(code problem.Code) bool {
		for _, p := range c.board.All() {
			if p.Code == code {
				return true
			}
		}
		return false
	}
	provetDest := localdb.Destination{Dest: destProvet}
	now := time.Date(2026, 11, 24, 8, 40, 0, 0, time.UTC)
	young, old := now.Add(-time.Minute), now.Add(-time.Hour)
	for _, row := range []struct {
		name        string
		stats       localdb.OutboxStats
		stuck, deep bool
	}{
		{"few and young", localdb.OutboxStats{Destination: provetDest, Ready: 3, OldestAt: young}, false, false},
		{"few and old", localdb.OutboxStats{Destination: provetDest, Ready: 3, OldestAt: old}, true, false},
		{"many and young", localdb.OutboxStats{Destination: provetDest, Ready: outboxDeep - 1, Parked: 1, OldestAt: young}, false, true},
		{"none", localdb.OutboxStats{Destination: provetDest}, false, false},
	} {
		a.outboxProblems([]localdb.OutboxStats{row.stats}, now)
		if got := raised(problem.ReportStuck); got != row.stuck {
			t.Errorf("%s: stuck %v", row.name, got)
		}
		if got := raised(problem.OutboxDeep); got != row.deep {
			t.Errorf("%s: deep %v", row.name, got)
		}
	}
}
