package mwl

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// maxExcluded is how many excluded orders a record lists.
const maxExcluded = 200

// maxLoggedKeys is how many keys a record lists.
const maxLoggedKeys = 200

// The values of QueryRecord.End.
const (
	EndComplete  = "complete"
	EndCancelled = "cancelled" // by the machine
	EndLimit     = "limit"     // of answers
	EndRefused   = "refused"   // the identifier cannot be read or is too large
	EndDeadline  = "deadline"
	EndLost      = "lost" // the association broke, or the service stopped
	EndFailed    = "failed"
)

// QueryRecord is one line of the query log: what a machine asked and what it
// got. It holds personal data (key values); it is for the page, not for logs.
type QueryRecord struct {
	At              time.Time
	Machine         string // name; empty when the caller is none of ours
	CallingAETitle  string
	CalledAETitle   string
	Address         string // IP and port
	Keys            []Key  // in the order of the request, at most 200
	Matches         int    // pending responses sent
	MatchedOrderIDs []int64
	Status          uint16 // the final one
	Bytes           int    // of the identifiers sent
	Duration        time.Duration
	End             string   // one of the End constants
	Notes           []string // what was unusual in the request; no values

	why func() ([]Excluded, int)
}

// Excluded is an order in the machine's scope that the query did not return.
type Excluded struct {
	OrderID                  int64
	Accession                string
	ScheduledProcedureStepID string
	Key                      string // keyword of the first key that failed
	Reason                   string
}

// Excluded returns the orders in the machine's scope that were not returned,
// each with the first key that failed, newest first and at most 200, and how
// many there are. It works on the list as it was at the time of the query,
// takes some milliseconds for ten thousand orders, and keeps that list in
// memory as long as the record lives: call it once, outside the Log callback,
// and keep its result.
func (r *QueryRecord) Excluded() (list []Excluded, total int) {
	if r.why == nil {
		return nil, 0
	}
	return r.why()
}

// excluded explains one snapshot.
func (q *query) excluded(s *snapshot) ([]Excluded, int) {
	var out []*item
	for it := range q.scope(s) {
		if !q.profile.shows(it.step.State) || q.match(it) == nil {
			out = append(out, it)
		}
	}
	slices.SortFunc(out, func(a, b *item) int {
		if c := b.order.CreatedAt.Compare(a.order.CreatedAt); c != 0 {
			return c
		}
		if c := cmp.Compare(b.order.ID, a.order.ID); c != 0 {
			return c
		}
		return cmp.Compare(a.nth, b.nth)
	})
	var list []Excluded
	for _, it := range out[:min(len(out), maxExcluded)] {
		key, reason := q.failed(it)
		list = append(list, Excluded{
			OrderID: it.order.ID, Accession: it.order.AccessionNumber,
			ScheduledProcedureStepID: it.step.ScheduledProcedureStepID, Key: key, Reason: reason,
		})
	}
	return list, len(out)
}

// failed names the first key that keeps an item from being answered; of several
// alternatives in the sequence, that of the last.
func (q *query) failed(it *item) (key, reason string) {
	if !q.profile.shows(it.step.State) {
		return "", fmt.Sprintf("%s is not among the states this machine shows", it.step.State)
	}
	for i := range q.groups {
		g := &q.groups[i]
		if q.via(g, it) == nil {
			key, reason = q.failedVia(g, it)
			continue
		}
		if !q.starts(g, it) {
			key, reason = g.when.failed(it.start(q.now.day))
			continue
		}
		ok := true
		for _, t := range slices.Concat(g.tests, q.rest) {
			if v := t.value(it); !t.match(v) {
				key, reason, ok = dataset.Keyword(t.tag), because(v, t.asked), false
				break
			}
		}
		if ok {
			return "", ""
		}
	}
	return key, reason
}

func (q *query) failedVia(g *group, it *item) (key, reason string) {
	switch {
	case g.station != "":
		return dataset.Keyword(g.key), g.station
	case !slices.ContainsFunc(q.profile.vias, func(p *profile) bool { return it.routed(p.Name) }):
		return "", "is not routed to this machine"
	case len(g.vias) > 0 && !q.profile.fits(it):
		return "", "has an identifier that is too long for this machine"
	}
	return dataset.Keyword(dataset.ScheduledStationAETitle), "is for another station"
}

func because(value, asked string) string {
	if value == "" {
		return fmt.Sprintf("is empty, asked for %q", asked)
	}
	return fmt.Sprintf("%q does not match %q", cut(value, 64), asked)
}

// failed names the key of the start that failed.
func (w *when) failed(at moment) (key, reason string) {
	date := dataset.Keyword(dataset.ScheduledProcedureStepStartDate)
	clock := dataset.Keyword(dataset.ScheduledProcedureStepStartTime)
	day := string(appendDate(nil, at.day))
	switch {
	case w.wrong != "" && len(w.dates) == 0 && w.first > w.last:
		return date, w.wrong
	case w.wrong != "" && len(w.times) > 0:
		return clock, w.wrong
	case w.wrong != "":
		return date, w.wrong
	case w.window && (at.day < w.first || at.day > w.last):
		return date, day + " is outside of the days this machine lists when it names no date"
	case at.day < w.first || at.day > w.last || len(w.times) == 0:
		return date, fmt.Sprintf("%s is not in %s", day, joined(w.dates))
	case len(w.dates) == 1 && w.dates[0].IsRange() && w.times[0].IsRange():
		return clock, fmt.Sprintf("%s %s is not in the interval %s", day, appendTime(nil, at.ms), joined(w.dates))
	}
	return clock, fmt.Sprintf("%s is not in the times asked for", appendTime(nil, at.ms))
}

func joined(dates []dataset.DateKey) string {
	var s string
	for i, d := range dates {
		if i > 0 {
			s += `\`
		}
		s += d.String()
	}
	return s
}

// Explanation says for one step of an order whether a machine's query returns
// it, and if not why.
type Explanation struct {
	ScheduledProcedureStepID string
	Listed                   bool
	Key                      string // keyword of the first key that failed; empty when the reason is none of the keys
	Reason                   string
}

// Explain says why an order would or would not be in the answer to a query of a
// machine. The order need not be on the list; keys are those of a QueryRecord,
// none means a query that matches everything.
func (l *List) Explain(machine string, o *order.Order, keys []Key) []Explanation {
	r := l.snap.Load().roster
	p := r.byName(machine)
	if p == nil {
		return []Explanation{{Reason: "there is no machine of that name"}}
	}
	if len(o.Steps) == 0 {
		return []Explanation{{Reason: "the order has no steps"}}
	}
	q := newQuery(identifierOf(keys), p, r, &l.set, dataset.ImplicitLE, l.now())
	var out []Explanation
	for i := range o.Steps {
		s := &o.Steps[i]
		e := Explanation{ScheduledProcedureStepID: s.ScheduledProcedureStepID}
		if e.Reason = scopeReason(o, s, p); e.Reason == "" {
			it := newItem(o, i, l.set.zone)
			e.Key, e.Reason = q.failed(it)
			e.Listed = e.Reason == ""
		}
		out = append(out, e)
	}
	return out
}

// scopeReason says why a step is not in a machine's scope, before any key.
func scopeReason(o *order.Order, s *order.Step, p *profile) string {
	switch o.State {
	case order.Held:
		if len(o.Holds) == 0 {
			return "the order is held"
		}
		h := o.Holds[0]
		return fmt.Sprintf("the order is held: %s %s", h.Field, h.Detail)
	case order.Received:
		return "the order is not scheduled yet"
	case order.Completed, order.Discontinued, order.Cancelled:
		return fmt.Sprintf("the order is %s", o.State)
	case order.Scheduled, order.InProgress:
	}
	switch s.State {
	case order.Completed, order.Discontinued, order.Cancelled, order.Held, order.Received:
		return fmt.Sprintf("the step is %s", s.State)
	case order.Scheduled, order.InProgress:
	}
	var via *profile
	for _, v := range p.vias {
		if slices.Contains(s.Stations, v.Name) {
			via = v
			break
		}
	}
	if via == nil {
		if len(s.Stations) == 0 {
			return "the step is routed to no machine"
		}
		return "the step is routed to other machines"
	}
	if holds := Check(o, via.Machine); len(holds) > 0 {
		return fmt.Sprintf("the machine cannot take it: %s %s", holds[0].Field, holds[0].Detail)
	}
	return ""
}

// identifierOf makes an identifier of logged keys.
func identifierOf(keys []Key) *identifier {
	id := &identifier{}
	var step []criterion
	for _, k := range keys {
		vr := dataset.VROf(k.Tag)
		if k.Tag == dataset.TimezoneOffsetFromUTC {
			id.zone = k.Value
		}
		values := splitKey(k.Value)
		if _, ok := matched(k.Tag); !ok || universal(values, vr) {
			continue
		}
		c := criterion{tag: k.Tag, vr: vr, values: values}
		if k.Step {
			step = append(step, c)
		} else {
			id.root = append(id.root, c)
		}
	}
	if len(step) > 0 {
		id.step = [][]criterion{step}
	}
	return id
}

// Note is something about an answer that a person should know.
type Note struct {
	Code      problem.Code // MachineCharset (letters were replaced) or MachineLimit (the list was cut)
	Machine   string
	OrderID   int64 // 0 for MachineLimit
	Accession string
	Revision  int
	Args      problem.Args // for the text of the problem
}
