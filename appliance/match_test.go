package appliance

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/mpps"
	"github.com/rayhound/rayhound/localdb"
)

// Which order a machine's report means.
func TestFindReferences(t *testing.T) {
	c := newClinic(t)
	for _, id := range []string{"1", "2"} {
		c.request(id, "X-ray")
		c.look(id)
	}
	a, b := c.order("1"), c.order("2")
	for name, row := range map[string]struct {
		refs []mpps.Reference
		want string // accession numbers
		code problem.Code
	}{
		"nothing":               {nil, "", problem.ArrivalUnmatched},
		"unknown":               {[]mpps.Reference{{AccessionNumber: "99"}}, "", problem.ArrivalUnmatched},
		"study":                 {[]mpps.Reference{{StudyInstanceUID: a.StudyInstanceUID}}, "1", ""},
		"accession":             {[]mpps.Reference{{AccessionNumber: "1", StudyInstanceUID: "1.2.3"}}, "1", ""},
		"step":                  {[]mpps.Reference{{ScheduledProcedureStepID: a.Steps[0].ScheduledProcedureStepID}}, "1", ""},
		"requested procedure":   {[]mpps.Reference{{RequestedProcedureID: "2"}}, "2", ""},
		"referenced study":      {[]mpps.Reference{{ReferencedStudyUIDs: []string{b.StudyInstanceUID}}}, "2", ""},
		"contradiction":         {[]mpps.Reference{{StudyInstanceUID: a.StudyInstanceUID, AccessionNumber: "2"}}, "", problem.OrderConflict},
		"contradiction later":   {[]mpps.Reference{{AccessionNumber: "1"}, {StudyInstanceUID: a.StudyInstanceUID, AccessionNumber: "2"}}, "", problem.OrderConflict},
		"two orders, two items": {[]mpps.Reference{{AccessionNumber: "1"}, {AccessionNumber: "2"}}, "1, 2", ""},
		"one order twice":       {[]mpps.Reference{{AccessionNumber: "1"}, {StudyInstanceUID: a.StudyInstanceUID}}, "1", ""},
		"the weak id is ignored beside a strong one": {[]mpps.Reference{{AccessionNumber: "1", RequestedProcedureID: "2"}}, "1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.ok(c.commit(t.Context(), func(x *batch) error {
				f, err := x.findReferences(row.refs)
				var hits []*order.Order
				for _, h := range f.targets {
					hits = append(hits, h.order)
				}
				if accessions(hits) != row.want || f.code != row.code || (len(hits) == 0) != (f.reason != "") {
					t.Errorf("%q, %s, %q", accessions(hits), f.code, f.reason)
				}
				return err
			}))
		})
	}
}

func (c *clinic) arrival(ref string) *localdb.Arrival {
	c.t.Helper()
	var a *localdb.Arrival
	c.ok(c.db.Read(c.t.Context(), func(s *localdb.Snapshot) (err error) {
		a, err = s.ArrivalByRef(c.t.Context(), "mpps", ref)
		return err
	}))
	return a
}

// Imaging without an order waits for a person, who links it.
func TestArrivalIsLinked(t *testing.T) {
	c := newClinic(t)
	c.request("1", "X-ray")
	c.look("1")
	r := &mpps.Report{SOPInstanceUID: "2.25.9", Machine: "DR1", Status: mpps.InProgress, PatientID: "p1", PatientName: "Virtanen^Bella"}
	c.ok(steps{c.core}.Create(t.Context(), r))
	if len(c.raised(problem.ArrivalUnmatched)) != 1 {
		t.Fatal("RH-205 is missing")
	}
	if err := (steps{c.core}).Create(t.Context(), r); !errors.Is(err, mpps.ErrDuplicate) {
		t.Errorf("a second N-CREATE: %v", err)
	}
	arr := c.arrival("2.25.9")
	c.ok(c.db.Read(t.Context(), func(s *localdb.Snapshot) error {
		hits, err := suggest(t.Context(), s, arr)
		if len(hits) != 1 || hits[0].order.AccessionNumber != "1" {
			t.Errorf("%d suggestions", len(hits))
		}
		return err
	}))
	_, err := c.Link(t.Context(), arr.ID, act{Accession: "1", Who: "x"})
	c.ok(err)
	c.wants("1", order.InProgress)
	if got := c.raised(problem.ArrivalUnmatched); len(got) != 0 {
		t.Errorf("RH-205 stays: %v", got)
	}
	if _, err := c.Link(t.Context(), arr.ID, act{Accession: "1"}); problem.Of(err) == nil {
		t.Errorf("linked twice: %v", err)
	}
	c.end(r, mpps.Completed)
	c.wants("1", order.Completed)
}

// A machine that reports only the end: linked, it counts, and RH-205 stays away.
func TestEndWithoutBeginning(t *testing.T) {
	c := newClinic(t)
	c.request("1", "X-ray")
	c.look("1")
	r := &mpps.Report{SOPInstanceUID: "2.25.9", Machine: "DR1", Status: mpps.InProgress}
	if err := (steps{c.core}).Set(t.Context(), r); !errors.Is(err, mpps.ErrUnknown) {
		t.Fatal(err)
	}
	_, err := c.Link(t.Context(), c.arrival("2.25.9").ID, act{Accession: "1"})
	c.ok(err)
	c.wants("1", order.InProgress)
	c.end(r, mpps.Completed)
	c.wants("1", order.Completed)
	if got := c.raised(problem.ArrivalUnmatched); len(got) != 0 {
		t.Errorf("RH-205 of %v", got)
	}
}

// A refused message about an arrival that was linked does not raise it again.
func TestLinkedArrivalStaysLinked(t *testing.T) {
	c := newClinic(t)
	c.request("1", "X-ray")
	c.look("1")
	r := &mpps.Report{SOPInstanceUID: "2.25.9", Machine: "DR1", Status: mpps.InProgress}
	c.ok(steps{c.core}.Create(t.Context(), r))
	id := c.arrival("2.25.9").ID
	_, err := c.Link(t.Context(), id, act{Accession: "1"})
	c.ok(err)
	c.ok(steps{c.core}.Refused(t.Context(), r, "a status that there is not"))
	if got := c.raised(problem.ArrivalUnmatched); len(got) != 0 {
		t.Errorf("RH-205 of %v", got)
	}
	if a := c.arrival("2.25.9"); a.ID != id || a.State != localdb.ArrivalLinked {
		t.Errorf("arrival %s is %s", strconv.FormatInt(a.ID, 10), a.State)
	}
}

// A machine that reports about a purged order is not told that it failed.
func TestEndAfterThePurge(t *testing.T) {
	c := newClinic(t)
	c.request("1", "X-ray")
	c.look("1")
	o := c.order("1")
	r := c.begin(o, 0)
	_, err := c.Complete(t.Context(), act{Accession: "1"})
	c.ok(err)
	c.send()
	c.clock = c.clock.AddDate(1, 0, 0)
	_, err = c.db.Purge(context.WithoutCancel(t.Context()), localdb.PurgePolicy{Orders: 24 * 90 * 3600e9})
	c.ok(err)
	r.Status = mpps.Completed
	if err := (steps{c.core}).Set(t.Context(), r); err != nil && !errors.Is(err, mpps.ErrUnknown) {
		t.Error(err)
	}
}
