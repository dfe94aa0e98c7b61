package appliance

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/mpps"
	"github.com/rayhound/rayhound/drivers/dicom/mwl"
	"github.com/rayhound/rayhound/localdb"
)

func (c *clinic) asked(q *queryLog, machine, end string, ids ...int64) {
	q.add(mwl.QueryRecord{At: c.clock, Machine: machine, Matches: len(ids), MatchedOrderIDs: ids, End: end})
}

// The first sight is one line, however often a machine asks, restarts included.
func TestSeenOnce(t *testing.T) {
	c := newClinic(t)
	c.request("1", "X-ray")
	c.look("1")
	o := c.order("1")
	for range 2 {
		q := newQueryLog(c.core)
		for range 5 {
			c.asked(q, "DR1", mwl.EndComplete, o.ID)
			c.clock = c.clock.Add(2 * time.Minute)
		}
		c.asked(q, "", mwl.EndComplete, o.ID)    // nobody we know
		c.asked(q, "DR1", mwl.EndComplete, 4711) // purged meanwhile
		q.rest(t.Context())
	}
	n := 0
	for _, l := range c.story(o) {
		if strings.HasPrefix(l, "seen: Seen by DR1") {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d lines: %q", n, c.story(o))
	}
}

// At the end everything is written, however much waits.
func TestQueriesAreWrittenAtTheEnd(t *testing.T) {
	c := newClinic(t)
	q := newQueryLog(c.core)
	for range queryBuffer + 10 {
		c.asked(q, "DR1", mwl.EndComplete)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.run(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	c.ok(c.db.Read(t.Context(), func(s *localdb.Snapshot) error {
		rows, err := s.Queries(t.Context(), "DR1", 5000)
		if len(rows) != queryBuffer {
			t.Errorf("%d queries were written", len(rows))
		}
		return err
	}))
}

// A list that was cut is told until a query of that machine was answered whole.
func TestCutListClears(t *testing.T) {
	c := newClinic(t)
	q := newQueryLog(c.core)
	q.note(mwl.Note{Code: problem.MachineLimit, Machine: "DR1", Args: problem.Args{"station": "DR1"}})
	c.asked(q, "DR1", mwl.EndLimit)
	c.asked(q, "CT1", mwl.EndComplete)
	if got := c.raised(problem.MachineLimit); len(got) != 1 {
		t.Fatalf("RH-306 of %v", got)
	}
	c.asked(q, "DR1", mwl.EndComplete)
	if got := c.raised(problem.MachineLimit); len(got) != 0 {
		t.Errorf("RH-306 stays: %v", got)
	}
}

// Replaced letters are told as long as that revision is on the list.
func TestReplacedLettersClear(t *testing.T) {
	c := newClinic(t)
	up := c.request("1", "X-ray")
	c.look("1")
	q := newQueryLog(c.core)
	note := func() *order.Order {
		o := c.order("1")
		q.note(mwl.Note{Code: problem.MachineCharset, Machine: "DR1", OrderID: o.ID, Accession: "1", Revision: o.Revision})
		if got := c.raised(problem.MachineCharset); len(got) != 1 || got[0] != "1@DR1" {
			t.Fatalf("RH-305 of %v", got)
		}
		return o
	}
	o := note()
	c.asked(q, "DR1", mwl.EndComplete, o.ID)
	q.rest(t.Context())
	if !c.told(o, "Letters that DR1 cannot show") {
		t.Errorf("%q", c.story(o))
	}
	up.Content.Remarks = "changed"
	c.look("1")
	if got := c.raised(problem.MachineCharset); len(got) != 0 {
		t.Errorf("RH-305 outlived the revision: %v", got)
	}
	r := c.begin(note(), 0)
	if got := c.raised(problem.MachineCharset); len(got) != 1 {
		t.Errorf("RH-305 of the same revision went away: %v", got)
	}
	c.end(r, mpps.Completed)
	if got := c.raised(problem.MachineCharset); len(got) != 0 {
		t.Errorf("RH-305 outlived the order: %v", got)
	}
}
