package localdb

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
)

// openStates is the condition of the partial index orders_open, to the letter.
const openStates = `state IN ('received','held','scheduled','in_progress')`

// OpenOrders returns every order that still waits for something, oldest first.
// Its cost does not grow with the finished ones.
func (s *Snapshot) OpenOrders(ctx context.Context) ([]*order.Order, error) {
	orders, err := all(ctx, s, `SELECT `+orderColumns+` FROM orders o INDEXED BY orders_open WHERE o.`+openStates+` ORDER BY o.id`, scanOrder)
	if err != nil {
		return nil, err
	}
	steps, err := all(ctx, s, `SELECT `+stepColumns+` FROM step WHERE order_id IN
		(SELECT id FROM orders INDEXED BY orders_open WHERE `+openStates+`) ORDER BY order_id, n`, scanStep)
	if err != nil {
		return nil, err
	}
	attachSteps(orders, steps)
	return orders, nil
}

// OrderIDsByState returns the ids of all orders in these states, oldest first.
func (s *Snapshot) OrderIDsByState(ctx context.Context, states ...order.State) ([]int64, error) {
	var ids []int64
	for _, st := range states {
		more, err := all(ctx, s, `SELECT id FROM orders WHERE state = ? ORDER BY created_at, id`, scanInt, string(st))
		if err != nil {
			return nil, err
		}
		ids = append(ids, more...)
	}
	slices.Sort(ids)
	return ids, nil
}

// CountOrders returns how many orders are in each state. Nothing is counted:
// the numbers are kept.
func (s *Snapshot) CountOrders(ctx context.Context) (map[order.State]int, error) {
	type count struct {
		state order.State
		n     int
	}
	rows, err := all(ctx, s, `SELECT state, n FROM order_count`, func(r scanner) (c count, err error) {
		err = r.Scan(&c.state, &c.n)
		return c, err
	})
	out := make(map[order.State]int, len(rows))
	for _, c := range rows {
		out[c.state] = c.n
	}
	return out, err
}

// OrderFilter selects orders. The zero value is the newest 100 of all.
type OrderFilter struct {
	States []order.State // empty: all
	Since  time.Time     // created at or after
	Until  time.Time     // created before
	Search string        // each word occurs in the accession number, Provet id, patient id, or a name; case and accents do not count
	Limit  int           // 0: 100; at most 1000
	Before int64         // the ID of the last order of the page before; 0: from the newest
}

// maxSearchWords bounds the work of a search.
const maxSearchWords = 6

func (f OrderFilter) limit() int {
	if f.Limit <= 0 {
		return 100
	}
	return min(f.Limit, 1000)
}

// FindOrders returns orders, newest first. A Before that is no longer there
// finds nothing.
func (s *Snapshot) FindOrders(ctx context.Context, f OrderFilter) ([]*order.Order, error) {
	var where []string
	var args []any
	if !f.Since.IsZero() {
		where, args = append(where, `created_at >= ?`), append(args, f.Since.UnixMilli())
	}
	if !f.Until.IsZero() {
		where, args = append(where, `created_at < ?`), append(args, f.Until.UnixMilli())
	}
	if f.Before != 0 {
		where = append(where, `(created_at, id) < (SELECT created_at, id FROM orders WHERE id = ?)`)
		args = append(args, f.Before)
	}
	words := strings.Fields(fold(f.Search))
	for _, w := range words[:min(len(words), maxSearchWords)] {
		where, args = append(where, `instr(search_text, ?) > 0`), append(args, w)
	}
	ids, err := s.findIDs(ctx, f, len(words) > 0, where, args)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return s.ordersByID(ctx, ids)
}

type idAt struct{ id, at int64 }

func scanIDAt(r scanner) (v idAt, err error) { err = r.Scan(&v.id, &v.at); return v, err }

// findIDs walks one index backwards and stops at the limit. Without a search
// each state has a stretch of orders_state to itself, so that a few open orders
// are not looked for among all finished ones.
func (s *Snapshot) findIDs(ctx context.Context, f OrderFilter, searching bool, where []string, args []any) ([]int64, error) {
	const tail = ` ORDER BY created_at DESC, id DESC LIMIT ?`
	var found []idAt
	switch {
	case len(f.States) == 0 || searching:
		if len(f.States) > 0 {
			marks := make([]string, len(f.States))
			for i, st := range f.States {
				marks[i], args = "?", append(args, string(st))
			}
			where = append(where, `state IN (`+strings.Join(marks, ",")+`)`)
		}
		q := `SELECT id, created_at FROM orders INDEXED BY orders_list`
		if len(where) > 0 {
			q += ` WHERE ` + strings.Join(where, ` AND `)
		}
		rows, err := all(ctx, s, q+tail, scanIDAt, append(args, f.limit())...)
		if err != nil {
			return nil, err
		}
		found = rows
	default:
		q := `SELECT id, created_at FROM orders INDEXED BY orders_state WHERE ` + strings.Join(append(where, `state = ?`), ` AND `) + tail
		for _, st := range f.States {
			rows, err := all(ctx, s, q, scanIDAt, append(slices.Clone(args), string(st), f.limit())...)
			if err != nil {
				return nil, err
			}
			found = append(found, rows...)
		}
		slices.SortFunc(found, func(a, b idAt) int { return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(b.id, a.id)) })
		found = slices.Compact(found) // a state named twice
	}
	ids := make([]int64, 0, min(len(found), f.limit()))
	for _, v := range found[:min(len(found), f.limit())] {
		ids = append(ids, v.id)
	}
	return ids, nil
}

// ordersByID reads orders with their steps, in the order of ids.
func (s *Snapshot) ordersByID(ctx context.Context, ids []int64) ([]*order.Order, error) {
	list, err := toJSON(ids)
	if err != nil {
		return nil, err
	}
	orders, err := all(ctx, s, `SELECT `+orderColumns+` FROM json_each(?) j JOIN orders o ON o.id = j.value ORDER BY j.key`, scanOrder, list)
	if err != nil {
		return nil, err
	}
	steps, err := all(ctx, s, `SELECT `+stepColumns+` FROM step WHERE order_id IN (SELECT value FROM json_each(?)) ORDER BY order_id, n`,
		scanStep, list)
	if err != nil {
		return nil, err
	}
	attachSteps(orders, steps)
	return orders, nil
}

// OrdersForPatient returns the orders of a patient that were made at or after
// since, newest first, at most 200.
func (s *Snapshot) OrdersForPatient(ctx context.Context, patientID string, since time.Time) ([]*order.Order, error) {
	ids, err := all(ctx, s, `SELECT id FROM orders WHERE patient_id = ? AND created_at >= ? ORDER BY created_at DESC, id DESC LIMIT 200`,
		scanInt, patientID, msNotNull(since))
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return s.ordersByID(ctx, ids)
}
