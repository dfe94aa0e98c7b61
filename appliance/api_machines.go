package appliance

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/dicom/mwl"
	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/ui"
)

// Machines answers ui.Machines: the configured machines and what is known of them.
func (a api) Machines(ctx context.Context) ([]ui.Machine, error) {
	open, err := a.core.openOrders(ctx)
	if err != nil {
		return nil, err
	}
	offered := map[string]int{}
	for _, o := range open {
		if o.State == order.Scheduled || o.State == order.InProgress {
			for _, name := range o.Stations() {
				offered[name]++
			}
		}
	}
	list := []ui.Machine{}
	for _, m := range a.cfg.Settings.Modalities {
		list = append(list, ui.Machine{
			Name: m.Name, AETitle: m.AETitle, Code: m.Code, Addresses: texts(m.Addresses), Serves: texts(m.Serves),
			LastQueryAt: a.queries.lastQuery(m.Name), LastMPPSAt: a.gate.lastReport(m.Name), Offered: offered[m.Name],
		})
	}
	return list, nil
}

func texts(in []string) []string { return append([]string{}, in...) }

// PendingMachines answers ui.Machines.
func (a api) PendingMachines(ctx context.Context) ([]ui.PendingMachine, error) {
	list := []ui.PendingMachine{}
	err := a.db.Read(ctx, func(s *localdb.Snapshot) error {
		rows, err := s.ListPending(ctx, false)
		for _, p := range rows {
			list = append(list, ui.PendingMachine{
				AETitle: printable(p.CallingAETitle), Address: p.Address, Called: printable(p.CalledAETitle), Reason: p.Reason,
				Count: p.Count, FirstAt: p.FirstAt, LastAt: p.At, Proposal: proposal(p),
			})
		}
		return err
	})
	return list, err
}

// proposal is a [[modality]] to start from; empty for a title that cannot be one.
func proposal(p localdb.Pending) string {
	if !mwl.ValidAETitle(p.CallingAETitle) {
		return ""
	}
	return fmt.Sprintf("[[modality]]\nname = %q\nae_title = %q\naddresses = [%q]\ncode = \"DX\"\nserves = []\n",
		p.CallingAETitle, p.CallingAETitle, p.Address)
}

// Queries answers ui.Machines: the query log, newest first.
func (a api) Queries(ctx context.Context, f ui.QueryFilter) ([]ui.Query, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = 50
	}
	list := []ui.Query{}
	err := a.db.Read(ctx, func(s *localdb.Snapshot) error {
		if f.Accession != "" {
			o, err := s.OrderByAccession(ctx, f.Accession)
			if err != nil {
				return notFound(err, f.Accession)
			}
			list, err = queriesOf(ctx, s, o)
			return err
		}
		rows, err := s.Queries(ctx, f.Machine, limit)
		if err != nil {
			return err
		}
		for i := range rows {
			v, err := queryView(ctx, s, &rows[i])
			if err != nil {
				return err
			}
			list = append(list, v)
		}
		return nil
	})
	return list, err
}

// maxMatched bounds the accession numbers that a query is shown with.
const maxMatched = 50

func queryView(ctx context.Context, s *localdb.Snapshot, q *localdb.QueryLog) (ui.Query, error) {
	v := ui.Query{
		At: q.At, Machine: q.Machine, CallingAETitle: printable(q.CallingAETitle), Address: q.Address, Keys: []ui.QueryKey{},
		Matches: q.Matches, Matched: []string{}, Excluded: []ui.Excluded{}, Status: statusText(q.Status), End: q.End,
		Bytes: q.Bytes, DurationSeconds: float64(q.Millis) / 1000,
	}
	if len(q.Keys) > 0 {
		var keys []mwl.Key
		if err := json.Unmarshal(q.Keys, &keys); err != nil {
			return v, err
		}
		for _, k := range keys {
			v.Keys = append(v.Keys, ui.QueryKey{Tag: k.Tag.String(), Keyword: k.Keyword, Value: k.Value})
		}
	}
	for _, id := range q.Matched[:min(len(q.Matched), maxMatched)] {
		o, err := s.OrderByID(ctx, id)
		if err == nil {
			v.Matched = append(v.Matched, o.AccessionNumber)
		} else if ignoreNotFound(err) != nil {
			return v, err
		}
	}
	for _, e := range q.Excluded {
		v.Excluded = append(v.Excluded, ui.Excluded{AccessionNumber: e.Accession, Key: e.Key, Reason: e.Reason})
	}
	return v, nil
}

// queriesOf returns the newest queries that answered or excluded an order; of
// each it shows only what concerns that order.
func queriesOf(ctx context.Context, s *localdb.Snapshot, o *order.Order) ([]ui.Query, error) {
	rows, err := s.QueriesAboutOrder(ctx, o.ID, 20)
	if err != nil {
		return nil, err
	}
	list := []ui.Query{}
	for i := range rows {
		r := &rows[i]
		q := r.Query
		q.Matched, q.Excluded = nil, nil
		v, err := queryView(ctx, s, &q)
		if err != nil {
			return nil, err
		}
		if r.Matched {
			v.Matched = []string{o.AccessionNumber}
		} else {
			v.Excluded = []ui.Excluded{{AccessionNumber: o.AccessionNumber, Key: r.Key, Reason: r.Reason}}
		}
		list = append(list, v)
	}
	return list, nil
}

// entryText says in words what an entry tells its destination.
func entryText(e localdb.OutboxEntry) string {
	var r statusReport
	if json.Unmarshal(e.Payload, &r) == nil && r.State != "" {
		return e.Kind + " " + string(r.State)
	}
	return strings.TrimSpace(e.Kind)
}
