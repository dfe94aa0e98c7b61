package appliance

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/mwl"
	"github.com/rayhound/rayhound/localdb"
)

const (
	noteBuffer     = 1024 // notes that wait to be written
	queryBuffer    = 128  // records that wait to be written, of up to 10,000 orders each; beyond, the newest are dropped and counted
	queriesPerTurn = 64
	ordersPerTurn  = 500                    // after so many no further record is taken; and so many are marked in one transaction
	queryPause     = 250 * time.Millisecond // between two writes
	seenAgain      = time.Minute            // how often "seen by" is brought up to date for a machine
	maxSeen        = 200_000
)

// queryLog writes the query log aside: a machine never waits for it.
type queryLog struct {
	c       *core
	records chan mwl.QueryRecord
	notes   chan mwl.Note

	mu      sync.Mutex
	dropped int
	last    map[string]time.Time // machine -> last query

	seen map[seenKey]time.Time // owned by run
}

type seenKey struct {
	order   int64
	machine string
}

func newQueryLog(c *core) *queryLog {
	return &queryLog{
		c: c, records: make(chan mwl.QueryRecord, queryBuffer), notes: make(chan mwl.Note, noteBuffer),
		last: map[string]time.Time{}, seen: map[seenKey]time.Time{},
	}
}

// add takes a record; it is mwl's Log callback and does not block.
func (q *queryLog) add(r mwl.QueryRecord) {
	q.c.metrics.Find(r.End, r.Matches, r.Duration)
	q.mu.Lock()
	q.last[r.Machine] = r.At
	q.mu.Unlock()
	if r.End == mwl.EndComplete {
		q.c.board.Clear(problem.MachineLimit, r.Machine)
	}
	select {
	case q.records <- r:
	default:
		q.mu.Lock()
		q.dropped++
		q.mu.Unlock()
	}
}

// lastQuery returns when a machine asked last since the start.
func (q *queryLog) lastQuery(machine string) time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.last[machine]
}

// run writes the records until ctx ends, several in one transaction, and then
// what is left.
func (q *queryLog) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			q.rest(ctx)
			return ctx.Err()
		case r := <-q.records:
			q.write(context.WithoutCancel(ctx), q.more([]mwl.QueryRecord{r})) // what was taken is written, whatever ends
		}
		if err := sleepOr(ctx, queryPause, nil); err != nil {
			q.rest(ctx)
			return err
		}
	}
}

// rest writes everything that waits, at the end.
func (q *queryLog) rest(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	for rs := q.more(nil); len(rs) > 0; rs = q.more(nil) {
		q.write(ctx, rs)
	}
}

// more takes what waits already.
func (q *queryLog) more(rs []mwl.QueryRecord) []mwl.QueryRecord {
	orders := 0
	for _, r := range rs {
		orders += len(r.MatchedOrderIDs)
	}
	for len(rs) < queriesPerTurn && orders < ordersPerTurn {
		select {
		case r := <-q.records:
			rs = append(rs, r)
			orders += len(r.MatchedOrderIDs)
		default:
			return rs
		}
	}
	return rs
}

func (q *queryLog) write(ctx context.Context, rs []mwl.QueryRecord) {
	q.writeNotes(ctx)
	if len(rs) == 0 {
		return
	}
	if n := q.takeDropped(); n > 0 {
		q.c.log.LogAttrs(ctx, slog.LevelWarn, "queries came faster than they could be written down", slog.Int("dropped", n))
	}
	logs := make([]localdb.QueryLog, 0, len(rs))
	for i := range rs {
		row := queryRow(&rs[i])
		row.Matched = q.fresh(&rs[i])
		logs = append(logs, row)
	}
	for i, turn := range sights(rs) {
		err := q.c.commit(ctx, func(b *batch) error {
			if i == 0 {
				if err := b.tx.AddQueries(b.ctx, logs); err != nil {
					return err
				}
			}
			for _, s := range turn {
				if err := q.markSeen(b, s.record, s.orders); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			clear(q.seen) // what was marked in that transaction was not stored
			q.c.log.LogAttrs(ctx, levelOf(err), "writing the query log failed", errAttr(err))
			return
		}
	}
}

// sight is what a machine was shown, or a part of it.
type sight struct {
	record *mwl.QueryRecord
	orders []int64
}

// sights divides what records show into transactions: a machine that lists ten
// thousand orders must not keep the writer from everybody else. There is at
// least one.
func sights(rs []mwl.QueryRecord) [][]sight {
	turns := [][]sight{nil}
	room := ordersPerTurn
	for i := range rs {
		for left := rs[i].MatchedOrderIDs; len(left) > 0; {
			if room == 0 {
				turns, room = append(turns, nil), ordersPerTurn
			}
			n := min(room, len(left))
			last := len(turns) - 1
			turns[last] = append(turns[last], sight{&rs[i], left[:n]})
			left, room = left[n:], room-n
		}
	}
	return turns
}

// takeDropped returns how many records were dropped since it was asked last.
func (q *queryLog) takeDropped() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.dropped
	q.dropped = 0
	return n
}

// longAnswer is an answer of which the log does not repeat every order: a machine
// that lists thousands every half minute would keep the database busy with it.
const longAnswer = 200

// fresh returns the matched orders that the log has to name: all of them, or of
// a long answer those that the machine has not seen within the last minute.
func (q *queryLog) fresh(r *mwl.QueryRecord) []int64 {
	if len(r.MatchedOrderIDs) <= longAnswer {
		return r.MatchedOrderIDs
	}
	var ids []int64
	for _, id := range r.MatchedOrderIDs {
		if at, known := q.seen[seenKey{id, r.Machine}]; !known || r.At.Sub(at) >= seenAgain {
			ids = append(ids, id)
		}
	}
	return ids
}

// markSeen notes for each order in an answer that the machine saw it; the first
// time is a line of the order's timeline.
func (q *queryLog) markSeen(b *batch, r *mwl.QueryRecord, orders []int64) error {
	if r.Machine == "" {
		return nil
	}
	if len(q.seen) > maxSeen {
		clear(q.seen)
	}
	for _, id := range orders {
		k := seenKey{id, r.Machine}
		at, known := q.seen[k]
		if known && r.At.Sub(at) < seenAgain {
			continue
		}
		if !known {
			if err := q.firstSight(b, id, r); err != nil {
				return err
			}
		}
		if err := b.tx.MarkSeen(b.ctx, id, r.Machine, r.At); err != nil {
			return err
		}
		q.seen[k] = r.At
	}
	return nil
}

func (q *queryLog) firstSight(b *batch, id int64, r *mwl.QueryRecord) error {
	list, err := b.tx.SeenBy(b.ctx, id)
	if err != nil {
		return err
	}
	for _, s := range list {
		if s.Machine == r.Machine {
			return nil
		}
	}
	o, err := b.tx.OrderByID(b.ctx, id)
	if err != nil {
		return ignoreNotFound(err) // purged meanwhile: the worklist answers from memory
	}
	e := order.Entry{OrderID: id, At: r.At, Kind: "seen", Source: r.Machine, Text: "Seen by " + r.Machine}
	if w := b.c.watch; w != nil {
		b.after = append(b.after, func() { w(o, e) })
	}
	return b.tx.AddEntry(b.ctx, e)
}

// queryRow is the row of a record.
func queryRow(r *mwl.QueryRecord) localdb.QueryLog {
	excluded, _ := r.Excluded()
	row := localdb.QueryLog{
		At: r.At, Machine: r.Machine, CallingAETitle: r.CallingAETitle, Address: r.Address, Matches: r.Matches,
		Status: r.Status, Bytes: r.Bytes, Millis: r.Duration.Milliseconds(), End: r.End, Matched: r.MatchedOrderIDs,
	}
	for _, e := range excluded {
		row.Excluded = append(row.Excluded, localdb.QueryExcluded{OrderID: e.OrderID, Accession: e.Accession, Key: e.Key, Reason: e.Reason})
	}
	if keys, err := json.Marshal(r.Keys); err == nil { // keys are text: they always marshal
		row.Keys = keys
	}
	return row
}
