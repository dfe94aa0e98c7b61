package localdb

import (
	"context"
	"encoding/json"
	"time"
)

const (
	maxQueries  = 2000 // kept per machine
	maxExcluded = 100  // kept per query
)

// QueryLog is a worklist query of a machine and what became of it.
type QueryLog struct {
	ID             int64
	At             time.Time
	Machine        string // name; empty: unknown
	CallingAETitle string
	Address        string
	Keys           json.RawMessage // the matching keys; nil: none
	Matches        int
	Status         uint16 // DIMSE status
	Bytes          int
	Millis         int64
	End            string // how it ended
	Excluded       []QueryExcluded
	Matched        []int64 // order ids
}

// QueryExcluded says why an order was not in the answer.
type QueryExcluded struct {
	OrderID   int64
	Accession string
	Key       string // keyword of the matching key, such as ScheduledProcedureStepStartDate
	Reason    string
}

const upsertQueryOrder = `
INSERT INTO query_order(order_id, machine, outcome, key, reason, query_id, count) SELECT id, ?2, ?3, ?4, ?5, ?6, 1 FROM orders WHERE id = ?1
ON CONFLICT(order_id, machine, outcome, key) DO UPDATE SET query_id=excluded.query_id, reason=excluded.reason, count=count+1`

// AddQueries writes a batch of queries. The newest 2000 of each machine are
// kept, and per order and machine the newest one of each outcome.
func (tx *Tx) AddQueries(ctx context.Context, queries []QueryLog) error {
	machines := map[string]bool{}
	for i := range queries {
		if err := tx.addQuery(ctx, &queries[i]); err != nil {
			return err
		}
		machines[queries[i].Machine] = true
	}
	for m := range machines {
		if _, err := tx.exec(ctx, `DELETE FROM query WHERE machine = ?1 AND id <=
			(SELECT id FROM query WHERE machine = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)`, m, maxQueries); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) addQuery(ctx context.Context, q *QueryLog) error {
	keys := "null"
	if json.Valid(q.Keys) {
		keys = string(q.Keys)
	}
	ex := q.Excluded[:min(len(q.Excluded), maxExcluded)]
	excluded, err := toJSON(ex)
	if err != nil {
		return err
	}
	matched, err := toJSON(q.Matched)
	if err != nil {
		return err
	}
	id, err := tx.insert(ctx, `
		INSERT INTO query(at, machine, calling_ae_title, address, keys, matches, status, bytes, ms, end_reason, excluded, matched)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?)`,
		msNotNull(q.At), q.Machine, q.CallingAETitle, q.Address, keys, q.Matches, int64(q.Status), q.Bytes, q.Millis, q.End, excluded, matched)
	if err != nil {
		return err
	}
	for _, o := range q.Matched {
		if _, err := tx.exec(ctx, upsertQueryOrder, o, q.Machine, "matched", "", "", id); err != nil {
			return err
		}
	}
	for _, e := range ex {
		if _, err := tx.exec(ctx, upsertQueryOrder, e.OrderID, q.Machine, "excluded", e.Key, e.Reason, id); err != nil {
			return err
		}
	}
	return nil
}

const queryColumns = `q.id, q.at, q.machine, q.calling_ae_title, q.address, q.keys, q.matches, q.status, q.bytes, q.ms, q.end_reason, q.excluded, q.matched`

func scanQuery(r scanner) (QueryLog, error) {
	var q QueryLog
	err := r.Scan(&q.ID, intoTime{&q.At}, &q.Machine, &q.CallingAETitle, &q.Address, intoJSON{&q.Keys}, &q.Matches, &q.Status, &q.Bytes,
		&q.Millis, &q.End, intoJSON{&q.Excluded}, intoJSON{&q.Matched})
	return q, err
}

// Queries returns the queries of a machine, newest first; "*" stands for all
// machines.
func (s *Snapshot) Queries(ctx context.Context, machine string, limit int) ([]QueryLog, error) {
	if machine == "*" {
		return all(ctx, s, `SELECT `+queryColumns+` FROM query q ORDER BY q.id DESC LIMIT ?`, scanQuery, limit)
	}
	return all(ctx, s, `SELECT `+queryColumns+` FROM query q WHERE q.machine = ? ORDER BY q.id DESC LIMIT ?`, scanQuery, machine, limit)
}

// OrderQuery is a query seen from one order.
type OrderQuery struct {
	Query   QueryLog // the newest with this outcome; Excluded and Matched tell about other orders, too
	Matched bool     // the order was in the answer
	Key     string   // why it was not: the matching key
	Reason  string
	Count   int // queries of this machine with this outcome
}

// QueriesAboutOrder returns, newest first, for each machine and outcome the
// newest query that returned the order or passed it over.
func (s *Snapshot) QueriesAboutOrder(ctx context.Context, orderID int64, limit int) ([]OrderQuery, error) {
	return all(ctx, s, `SELECT `+queryColumns+`, x.outcome, x.key, x.reason, x.count
		FROM query_order x JOIN query q ON q.id = x.query_id WHERE x.order_id = ? ORDER BY q.id DESC, x.id LIMIT ?`,
		func(r scanner) (OrderQuery, error) {
			var v OrderQuery
			var outcome string
			q := &v.Query
			err := r.Scan(&q.ID, intoTime{&q.At}, &q.Machine, &q.CallingAETitle, &q.Address, intoJSON{&q.Keys}, &q.Matches, &q.Status, &q.Bytes,
				&q.Millis, &q.End, intoJSON{&q.Excluded}, intoJSON{&q.Matched}, &outcome, &v.Key, &v.Reason, &v.Count)
			v.Matched = outcome == "matched"
			return v, err
		}, orderID, limit)
}
