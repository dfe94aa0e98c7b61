package appliance

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rayhound/rayhound/appliance/metrics"
	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/localdb"
)

// destProvet is the outbox destination of Provet Cloud.
const destProvet = "provet"

// practice is what the lifecycle asks of the practice system; provet.Client
// answers. Every method may block on the network and honours its context.
type practice interface {
	// Order reads an order's present truth. The error wraps provet.ErrGone when
	// there is no such order, else it is a *provet.Error.
	Order(ctx context.Context, id string) (provet.Upstream, error)
	// Changed calls fn for every order changed at or after since, at least once.
	Changed(ctx context.Context, since time.Time, fn func(provet.Row) error) error
	// SetStatus writes the status that stands for a state, when it differs. The
	// error is provet.ErrWithdrawn when a person withdrew the order meanwhile.
	SetStatus(ctx context.Context, id string, st order.State) (provet.StatusResult, error)
	// OverwriteStatus writes it over a withdrawal too.
	OverwriteStatus(ctx context.Context, id string, st order.State) (provet.StatusResult, error)
	// MapsStatus reports whether a state is written at all.
	MapsStatus(order.State) bool
}

// offering is the worklist in memory; mwl.List answers.
type offering interface {
	Put(*order.Order)
	Remove(orderID int64)
}

// core holds the lifecycle in motion: everything that changes an order goes
// through its commit.
type core struct {
	db       *localdb.DB
	practice practice // nil while Provet is not set up
	list     offering
	board    *problem.Board
	routes   *routes
	statuses map[order.State]string // values of the clinic's Provet for our states
	zone     *time.Location
	log      *slog.Logger
	now      func() time.Time
	metrics  *metrics.Metrics // may be nil

	// mu makes the order of commits the order of publication: whoever commits
	// first is seen first on the worklist.
	mu sync.Mutex

	wakeHints  chan struct{} // size 1: hints became due
	wakeProvet chan struct{} // size 1: the outbox has something for Provet

	// watch, when set, sees every line of every timeline after its commit.
	watch func(*order.Order, order.Entry)

	scope string // the departments filter, as one text

	replaced replacedLetters // RH-305 on the board

	gaps gaps // what of Provet is missing and on the board

	polledAt, sweptAt atomic.Int64 // unix ms of the last complete poll and sweep

	polling sync.Mutex // one poll at a time

	// recent remembers what the last polls saw, so that the overlap of two polls
	// does not read every order again.
	recent recentRows

	readings readings

	outage outage

	inbound inbound // what comes from the RIS
}

// newCore fills in what is not set and returns c.
func newCore(c *core) *core {
	if c.now == nil {
		c.now = time.Now
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.board == nil {
		c.board = &problem.Board{}
	}
	if c.zone == nil {
		c.zone = time.UTC
	}
	c.wakeHints = make(chan struct{}, 1)
	c.wakeProvet = make(chan struct{}, 1)
	return c
}

// signal wakes whoever waits on a channel of size 1.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// batch is one write transaction with what has to be published after it.
type batch struct {
	c   *core
	tx  *localdb.Tx
	ctx context.Context
	now time.Time

	touched map[int64]*order.Order
	// heardFrom is the RIS whose message is being applied: what it says itself it
	// is not told back.
	heardFrom string
	// readNow is the id in Provet of the order that was just read there.
	readNow string
	telling telling
	hints   bool
	outbox  bool
	after   []func() // run after the commit, in order
}

// commit runs fn in one write transaction, and after the commit publishes what
// changed: the worklist, the problems, the queues. Nothing is published when fn
// or the commit fails.
func (c *core) commit(ctx context.Context, fn func(*batch) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b *batch
	start := time.Now()
	err := c.db.Write(ctx, func(tx *localdb.Tx) error {
		b = &batch{c: c, tx: tx, ctx: ctx, now: c.now(), touched: map[int64]*order.Order{}}
		if err := fn(b); err != nil {
			return err
		}
		return b.tellPeers()
	})
	if err != nil {
		return err
	}
	c.metrics.Commit(time.Since(start))
	for _, o := range b.touched {
		c.publish(o)
	}
	if b.hints {
		signal(c.wakeHints)
	}
	if b.outbox {
		signal(c.wakeProvet)
		for _, p := range c.routes.ris {
			signal(p.wake)
		}
	}
	for _, f := range b.after {
		f()
	}
	return nil
}

// publish shows an order as it was committed: on the worklist when it is
// offered, and on the board what is wrong with it.
func (c *core) publish(o *order.Order) {
	switch o.State {
	case order.Scheduled, order.InProgress:
		c.list.Put(o)
	case order.Received, order.Held, order.Completed, order.Discontinued, order.Cancelled:
		c.list.Remove(o.ID)
	}
	c.replaced.published(c, o)
	c.publishProblems(o)
}

// orderProblems are the codes that come from an order itself.
var orderProblems = []problem.Code{
	problem.OrderUnmapped, problem.OrderInvalid, problem.OrderCancelledLate, problem.OrderPatientDiffers,
	problem.OrderIdle, problem.OrderPatientMerged, problem.OrderIncomplete,
	problem.RISRefused, problem.RISUnsure, problem.RISNotTold, problem.RISAckOverdue,
	problem.RISCancelled, problem.RISDiscontinued, problem.RISChanged, problem.RISFailed, problem.RISImagesRejected, problem.RISDocument,
	problem.RISPatientDiffers,
}

// publishProblems makes the board say what the order's holds and notices say.
func (c *core) publishProblems(o *order.Order) {
	want := map[problem.Code]problem.Args{}
	since := map[problem.Code]time.Time{}
	for _, h := range o.Holds {
		want[problem.Code(h.Code)] = problem.Args{
			"accession": o.AccessionNumber, "field": h.Field, "detail": h.Detail, "modality": h.Detail,
		}
		since[problem.Code(h.Code)] = o.ChangedAt
	}
	for _, n := range o.Notices {
		if n.Done {
			continue
		}
		if _, said := want[problem.Code(n.Code)]; said {
			continue // of several RIS; the next one follows
		}
		want[problem.Code(n.Code)] = n.Args
		since[problem.Code(n.Code)] = n.At
	}
	for _, code := range orderProblems {
		if args, ok := want[code]; ok {
			c.board.RaiseSince(code, o.AccessionNumber, args, since[code])
		} else {
			c.board.Clear(code, o.AccessionNumber)
		}
	}
}

// save stores o and remembers to publish it.
func (b *batch) save(o *order.Order) error {
	o.ChangedAt = b.now
	var err error
	if o.ID == 0 {
		err = b.tx.InsertOrder(b.ctx, o)
	} else {
		err = b.tx.UpdateOrder(b.ctx, o)
	}
	if err == nil {
		b.touched[o.ID] = o
	}
	return err
}

// say adds a line to an order's timeline.
func (b *batch) say(o *order.Order, kind string, source order.Source, code problem.Code, text string) error {
	e := order.Entry{OrderID: o.ID, At: b.now, Kind: kind, Source: string(source), Code: string(code), Text: text}
	if w := b.c.watch; w != nil {
		seen := o.Clone()
		b.after = append(b.after, func() { w(seen, e) })
	}
	return b.tx.AddEntry(b.ctx, e)
}

// lastPoll returns when the last complete poll ended; zero: none since the start.
func (c *core) lastPoll() time.Time { return unixMilli(c.polledAt.Load()) }

// lastSweep returns when the last complete sweep ended.
func (c *core) lastSweep() time.Time { return unixMilli(c.sweptAt.Load()) }

func unixMilli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
