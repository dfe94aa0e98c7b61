package support

import (
	"context"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/ui"
)

// health are the active problems without their sentences, which name orders and
// machines.
func (b *bundle) health(ctx context.Context) ([]byte, error) {
	all, err := b.cfg.Source.Problems(ctx, true)
	if err != nil {
		return nil, err
	}
	type entry struct {
		Code     problem.Code     `json:"code"`
		Key      string           `json:"key"`
		Subject  string           `json:"subject"`
		Severity problem.Severity `json:"severity"`
		Since    time.Time        `json:"since"`
		Hidden   bool             `json:"hidden"`
	}
	out := make([]entry, 0, len(all))
	for _, p := range all {
		out = append(out, entry{p.Code, p.Key, b.hide.id(p.Subject), p.Severity, p.Since, p.Hidden})
	}
	return indented(out)
}

// connections are kept whole: support needs addresses and AE titles.
func (b *bundle) connections(ctx context.Context) ([]byte, error) {
	known, err := b.cfg.Source.Machines(ctx)
	if err != nil {
		return nil, err
	}
	pending, err := b.cfg.Source.PendingMachines(ctx)
	if err != nil {
		return nil, err
	}
	return indented(map[string]any{"machines": known, "pending": pending})
}

func (b *bundle) outbox(ctx context.Context) ([]byte, error) {
	all, err := b.cfg.Source.Outbox(ctx, ui.OutboxFilter{All: true, Limit: messagesShown})
	if err != nil {
		return nil, err
	}
	type entry struct {
		ID          int64     `json:"id"`
		Destination string    `json:"destination"`
		Order       string    `json:"order"`
		State       string    `json:"state"`
		Code        string    `json:"code"`
		Attempts    int       `json:"attempts"`
		CreatedAt   time.Time `json:"created_at"`
		NextAt      time.Time `json:"next_at,omitzero"`
		DoneAt      time.Time `json:"done_at,omitzero"`
	}
	out := make([]entry, 0, len(all))
	for _, m := range all {
		out = append(out, entry{
			m.ID, m.Destination, b.hide.id(m.AccessionNumber), m.State, m.Code, max(m.AttemptCount, len(m.Attempts)), m.CreatedAt, m.NextAt, m.DoneAt,
		})
	}
	return indented(out)
}

// orderRecord is an order's course without whom it is about.
type orderRecord struct {
	Order     string           `json:"order"`
	Patient   string           `json:"patient"`
	Study     string           `json:"study"`
	State     order.State      `json:"state"`
	Revision  int              `json:"revision"`
	ByHand    bool             `json:"by_hand"`
	Stations  []string         `json:"stations"`
	Steps     []order.State    `json:"steps"`
	Holds     []string         `json:"holds"` // codes and fields
	Notices   []string         `json:"notices"`
	CreatedAt time.Time        `json:"created_at"`
	ChangedAt time.Time        `json:"changed_at"`
	ClosedAt  time.Time        `json:"closed_at,omitzero"`
	Evidence  []evidenceRecord `json:"evidence"`
	Timeline  []entryRecord    `json:"timeline"`
}

type evidenceRecord struct {
	At        time.Time    `json:"at"`
	Source    order.Source `json:"source"`
	Event     order.Event  `json:"event"`
	Station   string       `json:"station"`
	Series    int          `json:"series"`
	Instances int          `json:"instances"`
	Decided   bool         `json:"decided"`
}

type entryRecord struct {
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"`
	Source string    `json:"source"`
	Code   string    `json:"code,omitempty"`
}

func (b *bundle) orders(ctx context.Context) ([]byte, error) {
	all, err := b.cfg.Source.Orders(ctx, ui.OrderFilter{Limit: ordersShown})
	if err != nil {
		return nil, err
	}
	out := make([]orderRecord, 0, len(all))
	for i := range all {
		out = append(out, b.orderRecord(&all[i]))
	}
	return indented(out)
}

func (b *bundle) orderRecord(o *ui.Order) orderRecord {
	r := orderRecord{
		Order: b.hide.id(o.AccessionNumber), Patient: b.hide.id(o.PatientID), Study: b.hide.id(o.StudyInstanceUID), State: o.State,
		Revision: o.Revision, ByHand: o.ByHand, Stations: o.Stations, CreatedAt: o.CreatedAt, ChangedAt: o.ChangedAt, ClosedAt: o.ClosedAt,
	}
	for _, s := range o.Steps {
		r.Steps = append(r.Steps, s.State)
	}
	for _, h := range o.Holds {
		r.Holds = append(r.Holds, h.Code+" "+h.Field)
	}
	for _, n := range o.Notices {
		r.Notices = append(r.Notices, n.Code)
	}
	for _, e := range o.Evidence {
		r.Evidence = append(r.Evidence, evidenceRecord{e.At, e.Source, e.Event, e.Station, e.Series, e.Instances, e.Decided})
	}
	for _, e := range o.Timeline {
		r.Timeline = append(r.Timeline, entryRecord{e.At, e.Kind, e.Source, e.Code})
	}
	return r
}

// openKeys are the query keys whose values tell nothing about a patient. Of
// every other key only the presence is shown.
var openKeys = map[string]bool{
	"ScheduledProcedureStepStartDate": true, "ScheduledProcedureStepStartTime": true, "Modality": true, "ScheduledStationAETitle": true,
	"ScheduledStationName": true, "SpecificCharacterSet": true, "ScheduledProcedureStepStatus": true,
}

func (b *bundle) queries(ctx context.Context) ([]byte, error) {
	all, err := b.cfg.Source.Queries(ctx, ui.QueryFilter{Limit: queriesShown})
	if err != nil {
		return nil, err
	}
	type excluded struct {
		Order string `json:"order"`
		Key   string `json:"key"`
	}
	type record struct {
		At             time.Time         `json:"at"`
		Machine        string            `json:"machine"`
		CallingAETitle string            `json:"calling_ae_title"`
		Address        string            `json:"address"`
		Keys           map[string]string `json:"keys"`
		Matches        int               `json:"matches"`
		Excluded       []excluded        `json:"excluded"`
		Status         string            `json:"status"`
		End            string            `json:"end"`
		Bytes          int               `json:"bytes"`
		Seconds        float64           `json:"duration_seconds"`
	}
	out := make([]record, 0, len(all))
	for _, q := range all {
		r := record{
			At: q.At, Machine: q.Machine, CallingAETitle: q.CallingAETitle, Address: q.Address, Keys: map[string]string{},
			Matches: q.Matches, Excluded: []excluded{}, Status: q.Status, End: q.End, Bytes: q.Bytes, Seconds: q.DurationSeconds,
		}
		for _, k := range q.Keys {
			if openKeys[k.Keyword] {
				r.Keys[k.Keyword] = k.Value
			} else {
				r.Keys[k.Tag+" "+k.Keyword] = presence(k.Value)
			}
		}
		for _, x := range q.Excluded {
			r.Excluded = append(r.Excluded, excluded{b.hide.id(x.AccessionNumber), x.Key})
		}
		out = append(out, r)
	}
	return indented(out)
}
