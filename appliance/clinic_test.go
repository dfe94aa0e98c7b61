package appliance

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/mpps"
	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/localdb"
)

// tenant is a Provet Cloud whose answers a test writes down.
type tenant struct {
	orders  map[string]*provet.Upstream
	maps    map[order.State]string
	fail    error        // of every call
	written []string     // values, in order
	during  func()       // runs while a status is being written
	rows    []provet.Row // of Changed
	since   []time.Time  // Changed was asked for
	missing []provet.MissingPermission
}

func (p *tenant) Order(_ context.Context, id string) (provet.Upstream, error) {
	if p.fail != nil {
		return provet.Upstream{}, p.fail
	}
	up := p.orders[id]
	if up == nil {
		return provet.Upstream{}, provet.ErrGone
	}
	u := *up
	u.Content = u.Content.Clone()
	u.Finished = u.Status == "3" || u.Status == "4" || u.Status == "5"
	u.Withdrawn = u.Status == "9"
	return u, nil
}

func (p *tenant) Changed(_ context.Context, since time.Time, fn func(provet.Row) error) error {
	p.since = append(p.since, since)
	for _, r := range p.rows {
		if err := fn(r); err != nil {
			return err
		}
	}
	return p.fail
}

func (p *tenant) SetStatus(ctx context.Context, id string, st order.State) (provet.StatusResult, error) {
	if up := p.orders[id]; up != nil && up.Status == "9" && p.fail == nil {
		return provet.StatusResult{}, provet.ErrWithdrawn
	}
	return p.OverwriteStatus(ctx, id, st)
}

func (p *tenant) OverwriteStatus(_ context.Context, id string, st order.State) (provet.StatusResult, error) {
	if p.during != nil {
		p.during()
	}
	if p.fail != nil {
		return provet.StatusResult{}, p.fail
	}
	up := p.orders[id]
	if up == nil {
		return provet.StatusResult{}, provet.ErrGone
	}
	res := provet.StatusResult{From: up.Status, To: p.maps[st], Changed: up.Status != p.maps[st]}
	up.Status = res.To
	p.written = append(p.written, res.To)
	return res, nil
}

func (p *tenant) MapsStatus(st order.State) bool          { return p.maps[st] != "" }
func (p *tenant) Permissions() []provet.MissingPermission { return p.missing }

// clinic is the lifecycle on a real database, with a tenant and a clock.
type clinic struct {
	*core
	t      testing.TB
	tenant *tenant
	shelf  shelf
	clock  time.Time
	steps  int
}

var statusValues = map[order.State]string{
	order.Scheduled: "1", order.InProgress: "2", order.Completed: "3", order.Discontinued: "4", order.Cancelled: "5",
}

func newClinic(t testing.TB, change ...func(*core, *tenant)) *clinic {
	t.Helper()
	c := &clinic{t: t, clock: time.Date(2026, 11, 23, 8, 40, 0, 0, time.UTC), shelf: shelf{}}
	now := func() time.Time { return c.clock }
	db, err := localdb.Open(t.Context(), localdb.Config{Path: filepath.Join(t.TempDir(), "rayhound.db"), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	c.tenant = &tenant{orders: map[string]*provet.Upstream{}, maps: statusValues}
	k := &core{
		db: db, list: c.shelf, now: now, statuses: statusValues,
		routes: &routes{stations: []station{
			{Name: "DR1", Serves: []string{"X-ray"}, DoneWhen: []order.Source{order.MPPS}},
			{Name: "CT1", Serves: []string{"CT"}, DoneWhen: []order.Source{order.MPPS}},
		}},
	}
	k.practice = c.tenant
	for _, f := range change {
		f(k, c.tenant)
	}
	c.core = newCore(k)
	return c
}

func (c *clinic) ok(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// request makes an order in Provet, without a signal.
func (c *clinic) request(id string, modalities ...string) *provet.Upstream {
	up := &provet.Upstream{Status: "0", InScope: true, Content: order.Content{
		Patient: order.Patient{ID: "p" + id, Name: "Bella"}, Owner: order.Owner{LastName: "Virtanen"},
	}}
	for _, m := range modalities {
		up.Content.Modalities = append(up.Content.Modalities, order.Ref{Name: m})
	}
	c.tenant.orders[id] = up
	return up
}

// look reconciles one order now.
func (c *clinic) look(id string) {
	c.t.Helper()
	c.ok(c.Signal(c.t.Context(), id, "test"))
	c.drain()
}

func (c *clinic) drain() {
	c.t.Helper()
	for range 50 {
		due, _, err := c.dueHints(c.t.Context())
		c.ok(err)
		if len(due) == 0 {
			return
		}
		c.ok(c.core.look(c.t.Context(), due[0]))
	}
	c.t.Fatal("hints never end")
}

// send delivers what is due.
func (c *clinic) send() {
	c.t.Helper()
	for range 50 {
		sent, err := c.deliverOne(c.t.Context())
		c.ok(err)
		if !sent {
			return
		}
	}
	c.t.Fatal("the outbox never empties")
}

func (c *clinic) order(id string) *order.Order {
	c.t.Helper()
	var o *order.Order
	c.ok(c.db.Read(c.t.Context(), func(s *localdb.Snapshot) (err error) {
		o, err = s.OrderByProvetID(c.t.Context(), id)
		return err
	}))
	return o
}

// wants fails the test unless the order is in that state, and on the list
// exactly when it should be.
func (c *clinic) wants(id string, st order.State) *order.Order {
	c.t.Helper()
	o := c.order(id)
	if o.State != st {
		c.t.Fatalf("order %s is %s, want %s; %v", id, o.State, st, c.story(o))
	}
	if on := c.shelf[o.ID] != nil; on != (st == order.Scheduled || st == order.InProgress) {
		c.t.Fatalf("order %s is %s, on the list: %v", id, st, on)
	}
	return o
}

func (c *clinic) story(o *order.Order) (lines []string) {
	c.t.Helper()
	c.ok(c.db.Read(c.t.Context(), func(s *localdb.Snapshot) error {
		entries, err := s.Timeline(c.t.Context(), o.ID)
		for _, e := range entries {
			lines = append(lines, e.Kind+": "+e.Text)
		}
		return err
	}))
	return lines
}

func (c *clinic) told(o *order.Order, part string) bool {
	return slices.ContainsFunc(c.story(o), func(l string) bool { return strings.Contains(l, part) })
}

// begin reports the start of a step and returns the report.
func (c *clinic) begin(o *order.Order, step int) *mpps.Report {
	c.t.Helper()
	c.steps++
	r := &mpps.Report{
		SOPInstanceUID: fmt.Sprintf("2.25.%d", c.steps), Machine: "DR1", Status: mpps.InProgress, PatientID: o.Content.Patient.ID,
		References: []mpps.Reference{{
			StudyInstanceUID: o.StudyInstanceUID, AccessionNumber: o.AccessionNumber,
			ScheduledProcedureStepID: o.Steps[step].ScheduledProcedureStepID,
		}},
	}
	c.ok(steps{c.core}.Create(c.t.Context(), r))
	return r
}

func (c *clinic) end(r *mpps.Report, status string) {
	c.t.Helper()
	r.Status = status
	if status == mpps.Completed {
		r.Series = []mpps.Series{{Instances: 2}}
	}
	c.ok(steps{c.core}.Set(c.t.Context(), r))
}

// raised returns the subjects of a problem.
func (c *clinic) raised(code problem.Code) (subjects []string) {
	for _, p := range c.board.All() {
		if p.Code == code {
			subjects = append(subjects, p.Subject)
		}
	}
	slices.Sort(subjects)
	return subjects
}

func (c *clinic) unsent() (kinds []string) {
	c.t.Helper()
	c.ok(c.db.Read(c.t.Context(), func(s *localdb.Snapshot) error {
		list, err := s.Outbox(c.t.Context(), localdb.OutboxFilter{})
		for _, e := range list {
			kinds = append(kinds, entryText(e))
		}
		return err
	}))
	return kinds
}

func refused(detail string) error {
	return &provet.Error{Op: "set status", Resource: "worklist", Class: provet.Permanent, HTTPStatus: 400, Detail: detail}
}
