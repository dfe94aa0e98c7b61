package appliance

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/ui"
)

// api answers what the loopback server asks (ui.Appliance): orders, outbox and
// arrivals here, health and upkeep in the files beside.
type api struct{ *Appliance }

var _ ui.Appliance = api{}

// console is who acts through the API: everybody who holds the control token.
const console = "console"

// Orders answers ui.Orders.
func (a api) Orders(ctx context.Context, f ui.OrderFilter) ([]ui.Order, error) {
	states := f.States
	if f.Open {
		for _, s := range order.States() {
			if s.Open() {
				states = append(states, s)
			}
		}
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 200
	}
	search := strings.TrimSpace(f.Text)
	if f.PatientID != "" {
		search = strings.TrimSpace(search + " " + f.PatientID)
	}
	list := []ui.Order{}
	skip := f.Offset
	err := a.db.Read(ctx, func(s *localdb.Snapshot) error {
		before := int64(0)
		for len(list) < limit {
			page, err := s.FindOrders(ctx, localdb.OrderFilter{States: states, Since: f.Since, Search: search, Limit: 200, Before: before})
			if err != nil || len(page) == 0 {
				return err
			}
			for _, o := range page {
				before = o.ID
				if f.PatientID != "" && o.Content.Patient.ID != f.PatientID || f.Station != "" && !slices.Contains(o.Stations(), f.Station) {
					continue
				}
				if skip > 0 {
					skip--
					continue
				}
				if len(list) < limit {
					list = append(list, ui.ViewOrder(o, nil, nil))
				}
			}
		}
		return nil
	})
	return list, err
}

// Order answers ui.Orders: an order with everything known about it.
func (a api) Order(ctx context.Context, accession string) (ui.OrderDetail, error) {
	var d ui.OrderDetail
	err := a.db.Read(ctx, func(s *localdb.Snapshot) error {
		o, err := s.OrderByAccession(ctx, accession)
		if err != nil {
			return notFound(err, accession)
		}
		evidence, err := s.EvidenceOf(ctx, o.ID)
		if err != nil {
			return err
		}
		timeline, err := s.Timeline(ctx, o.ID)
		if err != nil {
			return err
		}
		d.Order = ui.ViewOrder(o, evidence, timeline)
		d.Complaint, d.Remarks = o.Content.Complaint, o.Content.Remarks
		d.Veterinarian = personName(o.Content.Veterinarian)
		d.TargetAreas = []string{}
		for _, t := range o.Content.TargetAreas {
			d.TargetAreas = append(d.TargetAreas, refText(t))
		}
		if d.Messages, err = messagesOf(ctx, s, localdb.OutboxFilter{OrderID: o.ID, States: allOutbox}, true); err != nil {
			return err
		}
		if d.Documents, err = documentsOf(ctx, s, o.ID); err != nil {
			return err
		}
		if d.Numbers, err = numbersOf(ctx, s, o.ID); err != nil {
			return err
		}
		if d.Queries, err = queriesOf(ctx, s, o); err != nil {
			return err
		}
		d.Explanations = a.explain(o)
		return nil
	})
	return d, err
}

// explain says for each machine whether it would see o now (P5).
func (a api) explain(o *order.Order) []ui.Explanation {
	list := []ui.Explanation{}
	for _, m := range a.list.Machines() {
		e := ui.Explanation{Machine: m.Name}
		for _, x := range a.list.Explain(m.Name, o, nil) {
			e.Visible = e.Visible || x.Listed
			if !x.Listed && e.Reason == "" {
				e.Reason = strings.TrimSpace(x.Key + " " + x.Reason)
			}
		}
		if e.Visible {
			e.Reason = ""
		}
		list = append(list, e)
	}
	return list
}

// AddOrder answers ui.Orders.
func (a api) AddOrder(ctx context.Context, n ui.NewOrder) (ui.Order, error) {
	o, err := a.core.Add(ctx, newByHand{
		Who: console, Modality: n.Modality, Remarks: n.Remarks, Scheduled: n.ScheduledAt,
		Patient: order.Patient{ID: n.PatientID, Name: n.PatientName, Species: n.Species, Sex: n.Sex, BirthDate: n.BirthDate},
		Owner:   order.Owner{FirstName: n.OwnerFirst, LastName: n.OwnerLast},
	})
	if err != nil {
		return ui.Order{}, err
	}
	return ui.ViewOrder(o, nil, nil), nil
}

// ActOnOrder answers ui.Orders.
func (a api) ActOnOrder(ctx context.Context, accession string, in ui.Action) (ui.Order, error) {
	if in.Kind == ui.Link {
		o, err := a.core.LinkOrder(ctx, act{Accession: accession, Who: console, Reason: in.Reason}, in.ProvetID)
		if err != nil {
			return ui.Order{}, err
		}
		return ui.ViewOrder(o, nil, nil), nil
	}
	if in.Kind == ui.Resend && in.To != "" && in.To != destProvet {
		o, err := a.core.ResendTo(ctx, act{Accession: accession, Who: console, Reason: in.Reason}, in.To, resendMode(in))
		if err != nil {
			return ui.Order{}, err
		}
		return ui.ViewOrder(o, nil, nil), nil
	}
	do := map[ui.ActionKind]func(context.Context, act) (*order.Order, error){
		ui.Complete: a.core.Complete, ui.Cancel: a.core.Cancel, ui.Suspend: a.core.Hold,
		ui.Release: a.core.Release, ui.Resend: a.core.Resend, ui.Reopen: a.core.Reopen,
	}[in.Kind]
	if do == nil {
		return ui.Order{}, problem.New(problem.Usage, problem.Args{"reason": "There is no such action"}, nil)
	}
	o, err := do(ctx, act{Accession: accession, Who: console, Reason: in.Reason})
	if err != nil {
		return ui.Order{}, err
	}
	return ui.ViewOrder(o, nil, nil), nil
}

// Hint answers ui.Orders.
func (a api) Hint(ctx context.Context, provetID string) error {
	return a.Signal(ctx, provetID, "person")
}

// notFound turns a missing order into RH-209.
func notFound(err error, accession string) error {
	if errors.Is(err, localdb.ErrNotFound) {
		return problem.New(problem.OrderUnknown, problem.Args{"accession": accession}, err)
	}
	return err
}

func personName(p order.Person) string {
	return strings.TrimSpace(strings.TrimSpace(p.Title+" "+p.FirstName) + " " + p.LastName)
}

// allOutbox are the states of entries, sent and unsent.
var allOutbox = []string{localdb.Ready, localdb.Leased, localdb.Parked, localdb.Done, localdb.Dropped}

// delivered is the API's word for an entry that is done.
const delivered = "delivered"

// Outbox answers ui.Outbox.
func (a api) Outbox(ctx context.Context, f ui.OutboxFilter) ([]ui.Message, error) {
	q := localdb.OutboxFilter{Dest: f.Destination, Limit: f.Limit}
	switch {
	case f.State == delivered:
		q.States = []string{localdb.Done}
	case f.State != "":
		q.States = []string{f.State}
	case f.All:
		q.States = allOutbox
	}
	var list []ui.Message
	err := a.db.Read(ctx, func(s *localdb.Snapshot) error {
		if f.Accession != "" {
			o, err := s.OrderByAccession(ctx, f.Accession)
			if err != nil {
				return notFound(err, f.Accession)
			}
			q.OrderID = o.ID
		}
		var err error
		list, err = messagesOf(ctx, s, q, false)
		return err
	})
	return list, err
}

// messagesOf reads entries, with their attempts when asked for.
func messagesOf(ctx context.Context, s *localdb.Snapshot, f localdb.OutboxFilter, attempts bool) ([]ui.Message, error) {
	entries, err := s.Outbox(ctx, f)
	if err != nil {
		return nil, err
	}
	destinations, err := s.Destinations(ctx)
	if err != nil {
		return nil, err
	}
	paused := map[string]bool{}
	for _, d := range destinations {
		paused[d.Dest] = !d.PausedAt.IsZero()
	}
	list := make([]ui.Message, 0, len(entries))
	for _, e := range entries {
		m := ui.Message{
			ID: e.ID, Destination: e.Dest, Kind: entryText(e), AccessionNumber: e.Accession, State: e.State, Paused: paused[e.Dest],
			CreatedAt: e.CreatedAt, NextAt: e.NextAt, DoneAt: e.DoneAt, Code: e.LastCode, LastError: e.LastText,
			Attempts: []ui.Attempt{}, AttemptCount: e.Attempts,
		}
		if e.State == localdb.Done {
			m.State, m.LastError, m.Code = delivered, "", ""
		}
		if attempts {
			tries, err := s.Attempts(ctx, e.ID)
			if err != nil {
				return nil, err
			}
			for _, t := range tries {
				m.Attempts = append(m.Attempts, ui.Attempt{At: t.At, Outcome: t.Outcome, Code: t.Code, Detail: t.Text})
			}
		}
		list = append(list, m)
	}
	return list, nil
}

// RetryMessage answers ui.Outbox.
func (a api) RetryMessage(ctx context.Context, id int64) error {
	return a.core.commit(ctx, func(b *batch) error {
		ok, err := b.tx.RetryNow(b.ctx, id, b.now, b.now.Add(giveUpAfter))
		if err != nil {
			return err
		}
		if !ok {
			return problem.New(problem.Usage, problem.Args{"reason": "There is no waiting or parked message with that number"}, nil)
		}
		b.outbox = true
		return b.tx.AddAudit(b.ctx, localdb.Audit{At: b.now, Who: console, What: "outbox retry"})
	})
}

// RetryOutbox answers ui.Outbox.
func (a api) RetryOutbox(ctx context.Context, destination string) (n int, err error) {
	if destination != "" {
		if destination, err = a.destination(ctx, destination); err != nil {
			return 0, err
		}
	}
	err = a.core.commit(ctx, func(b *batch) error {
		if n, err = b.retryAll(destination); err != nil {
			return err
		}
		return b.tx.AddAudit(b.ctx, localdb.Audit{At: b.now, Who: console, What: "outbox retry", Detail: destination})
	})
	return n, err
}

// PauseDestination answers ui.Outbox.
func (a api) PauseDestination(ctx context.Context, destination, reason string) error {
	destination, err := a.destination(ctx, destination)
	if err != nil {
		return err
	}
	return a.core.commit(ctx, func(b *batch) error {
		b.after = append(b.after, func() { a.showPaused(destination, reason, b.now) })
		if err := b.tx.Pause(b.ctx, destination, console, reason, b.now); err != nil {
			return err
		}
		return b.tx.AddAudit(b.ctx, localdb.Audit{At: b.now, Who: console, What: "pause", Detail: destination})
	})
}

// ResumeDestination answers ui.Outbox.
func (a api) ResumeDestination(ctx context.Context, destination string) error {
	destination, err := a.destination(ctx, destination)
	if err != nil {
		return err
	}
	return a.core.commit(ctx, func(b *batch) error {
		b.outbox = true
		b.after = append(b.after, func() {
			a.board.Clear(problem.Paused, destination)
			a.board.Clear(problem.RISPaused, strings.TrimPrefix(destination, risPrefix))
		})
		if _, err := b.tx.Resume(b.ctx, destination); err != nil {
			return err
		}
		return b.tx.AddAudit(b.ctx, localdb.Audit{At: b.now, Who: console, What: "resume", Detail: destination})
	})
}

// showPaused puts a pause on the board.
func (a *Appliance) showPaused(destination, reason string, since time.Time) {
	if name, ok := strings.CutPrefix(destination, risPrefix); ok {
		a.board.RaiseSince(problem.RISPaused, name, problem.Args{"ris": name}, since)
		return
	}
	a.board.RaiseSince(problem.Paused, destination, problem.Args{
		"what": destination, "since": since.In(a.core.zone).Format(time.DateTime), "reason": reason,
	}, since)
}

// Arrivals answers ui.Arrivals.
func (a api) Arrivals(ctx context.Context, all bool) ([]ui.Arrival, error) {
	list := []ui.Arrival{}
	err := a.db.Read(ctx, func(s *localdb.Snapshot) error {
		rows, err := s.ListArrivals(ctx, !all, 500)
		if err != nil {
			return err
		}
		for i := range rows {
			v, err := a.arrivalView(ctx, s, &rows[i])
			if err != nil {
				return err
			}
			list = append(list, v)
		}
		return nil
	})
	return list, err
}

func (a api) arrivalView(ctx context.Context, s *localdb.Snapshot, r *localdb.Arrival) (ui.Arrival, error) {
	v := ui.Arrival{
		ID: r.ID, At: r.At, Source: r.Kind, Status: r.Status, Station: r.Machine, CallingAETitle: r.CallingAETitle, Modality: r.Modality,
		PatientID: r.PatientID, PatientName: r.PatientName, AccessionNumber: r.AccessionNumber, StudyInstanceUID: r.StudyInstanceUID,
		Series: r.Series, Instances: r.Instances, Reason: r.Reason, Suggestions: []ui.Suggestion{},
	}
	if r.LinkedOrderID != 0 {
		o, err := s.OrderByID(ctx, r.LinkedOrderID)
		if err == nil {
			v.LinkedTo = o.AccessionNumber
		}
		return v, ignoreNotFound(err)
	}
	hits, err := suggest(ctx, s, r)
	for _, h := range hits {
		v.Suggestions = append(v.Suggestions, ui.Suggestion{
			AccessionNumber: h.order.AccessionNumber, PatientName: h.order.Content.Patient.Name, Reason: strings.Join(h.why, ", "),
		})
	}
	return v, err
}

func ignoreNotFound(err error) error {
	if errors.Is(err, localdb.ErrNotFound) {
		return nil
	}
	return err
}

// LinkArrival answers ui.Arrivals.
func (a api) LinkArrival(ctx context.Context, id int64, accession, reason string) (ui.Order, error) {
	o, err := a.core.Link(ctx, id, act{Accession: accession, Who: console, Reason: reason})
	if err != nil {
		return ui.Order{}, err
	}
	return ui.ViewOrder(o, nil, nil), nil
}
