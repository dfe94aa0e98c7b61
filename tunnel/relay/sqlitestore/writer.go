package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relay/internal/sqlrecords"
	"github.com/rayhound/rayhound/tunnel/wire"
)

const (
	queueLength = 4096                   // jobs that may wait
	batchLength = 512                    // jobs of one transaction
	queueWait   = 2 * time.Second        // how long a job that is no event waits for room in the queue
	ackEvery    = time.Second            // an ack is written at the latest after this time
	fullPause   = 500 * time.Millisecond // after a full disk, events are refused for so long before one is tried again
	fullShown   = 10 * time.Second       // and Health says full: a relay that is full gets no events, and so none would tell that there is room
)

// The states of a job.
const (
	waiting int32 = iota
	taken
	given // up: its caller has left
)

// job is one thing to write. What it returns counts once its transaction is on the disk.
type job struct {
	// An event; do is nil.
	clinic int64
	event  relay.Event
	seq    wire.Seq

	// do is anything else. It may run twice, when the first transaction failed.
	do func(ctx context.Context, c *conn) error

	state atomic.Int32
	err   error
	done  chan struct{} // takes one value when err and seq are set
}

// writer is the one goroutine that writes, and its queue.
type writer struct {
	s     *Store
	c     *conn
	queue chan *job
	batch []*job

	mu      sync.RWMutex // held for reading while a job is put into the queue
	closed  bool
	closing chan struct{}
	ended   chan struct{}

	fullUntil atomic.Int64 // Unix nanoseconds; 0: the disk has room
}

func newWriter(s *Store, c *conn) *writer {
	return &writer{
		s: s, c: c, queue: make(chan *job, queueLength), batch: make([]*job, 0, batchLength),
		closing: make(chan struct{}), ended: make(chan struct{}),
	}
}

var events = sync.Pool{New: func() any { return &job{done: make(chan struct{}, 1)} }}

// append queues an event and waits until it is durable. A full queue is an error at once.
func (w *writer) append(ctx context.Context, clinic int64, e *relay.Event) (wire.Seq, error) {
	if w.isFull() {
		return 0, relay.ErrFull
	}
	j := events.Get().(*job)
	j.clinic, j.event, j.seq, j.err = clinic, *e, 0, nil
	j.state.Store(waiting)
	if err := w.offer(j); err != nil {
		return 0, err
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		if j.state.CompareAndSwap(waiting, given) {
			return 0, ctx.Err() // the writer will find it and forget it
		}
		<-j.done // it is being written: milliseconds
	}
	seq, err := j.seq, j.err
	j.event = relay.Event{}
	events.Put(j)
	return seq, err
}

// offer puts a job into the queue if there is room.
func (w *writer) offer(j *job) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return errClosed
	}
	select {
	case w.queue <- j:
		return nil
	default:
		return relay.ErrBusy
	}
}

var errClosed = fmt.Errorf("%w: it is closed", relay.ErrUnavailable)

// do runs fn in a transaction of the writer, all or nothing, and waits until it is durable.
func (w *writer) do(ctx context.Context, fn func(ctx context.Context, c *conn) error) error {
	j := &job{do: fn, done: make(chan struct{}, 1)}
	for until := time.Now().Add(queueWait); ; {
		err := w.offer(j)
		if err == nil {
			break
		}
		if !errors.Is(err, relay.ErrBusy) || time.Now().After(until) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		if j.state.CompareAndSwap(waiting, given) {
			return ctx.Err()
		}
		<-j.done
	}
	return j.err
}

// stop ends the writer after it has written what waits.
func (w *writer) stop() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.closing)
	}
	w.mu.Unlock()
	<-w.ended
}

func (w *writer) run() {
	defer close(w.ended)
	tick := time.NewTicker(ackEvery)
	defer tick.Stop()
	for {
		select {
		case j := <-w.queue:
			w.collect(j)
			w.commit()
		case <-tick.C:
			w.s.Acks.Due()
			w.commit()
		case <-w.closing:
			w.drain()
			return
		}
	}
}

// drain writes what waits when the store is closed.
func (w *writer) drain() {
	for {
		w.collect(nil)
		w.s.Acks.Due()
		if len(w.batch) == 0 && w.s.Acks.Idle() {
			return
		}
		if !w.commit() && len(w.batch) == 0 {
			return // acks cannot be written; agents repeat them
		}
	}
}

// collect takes what waits, without lingering.
func (w *writer) collect(first *job) {
	clear(w.batch)
	w.batch = w.batch[:0]
	for j := first; ; {
		if j != nil && j.state.CompareAndSwap(waiting, taken) {
			w.batch = append(w.batch, j)
			if len(w.batch) == batchLength {
				return
			}
		}
		select {
		case j = <-w.queue:
		default:
			return
		}
	}
}

// commit writes the batch in one transaction; if that fails, each job in its own, so that one bad row does not fail its
// neighbours. It reports whether all went well.
func (w *writer) commit() bool {
	ctx := context.Background()
	acks := w.s.Acks.Take()
	jobs := w.batch
	if len(jobs) == 0 && len(acks) == 0 {
		return true
	}
	err := w.transaction(ctx, jobs, acks)
	if err != nil {
		w.s.cfg.Log.Warn("a group commit failed", "jobs", len(jobs), "error", err)
		if isFull(err) {
			w.full()
		}
		w.s.Acks.Back(acks)
		w.singly(ctx, jobs, err)
	} else if w.fullUntil.Load() != 0 && hasEvent(jobs) {
		w.fullUntil.Store(0)
	}
	for _, j := range jobs {
		j.done <- struct{}{}
	}
	clear(w.batch)
	w.batch = w.batch[:0]
	return err == nil
}

func hasEvent(jobs []*job) bool {
	for _, j := range jobs {
		if j.do == nil && j.err == nil {
			return true
		}
	}
	return false
}

// singly runs the jobs of a failed batch one by one.
func (w *writer) singly(ctx context.Context, jobs []*job, cause error) {
	for i, j := range jobs {
		if j.do == nil && w.isFull() {
			j.err = fmt.Errorf("%w: %w", relay.ErrFull, cause)
			continue
		}
		if err := w.transaction(ctx, jobs[i:i+1], nil); err != nil {
			if isFull(err) {
				w.full()
			}
			j.err = failure(err)
		}
	}
}

// transaction runs jobs and acks and commits. An error means that nothing of them is stored; the error of one job, which
// changed nothing, is left in it.
func (w *writer) transaction(ctx context.Context, jobs []*job, acks []sqlrecords.PendingAck) (err error) {
	if err := w.c.begin(ctx); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			w.c.rollback(ctx)
		}
	}()
	for _, j := range jobs {
		if j.do != nil {
			err = w.apply(ctx, j)
		} else {
			err = w.insert(ctx, j)
		}
		if err != nil {
			return err
		}
	}
	for _, a := range acks {
		if err := w.s.Settle(ctx, writeTx{w.c}, a); err != nil {
			return err
		}
	}
	_, err = w.c.exec(ctx, "COMMIT")
	return err
}

const insertText = `INSERT INTO event (clinic, received_at, kind, size, header, body) VALUES (?, ?, ?, ?, ?, ?)`

func (w *writer) insert(ctx context.Context, j *job) error {
	e := &j.event
	r, err := w.c.exec(ctx, insertText, j.clinic, e.ReceivedAt.UnixMicro(), e.Kind, int64(len(e.Header)+len(e.Body)), blob(e.Header), blob(e.Body))
	if err != nil {
		return err // it may have ended the transaction: singly finds the one at fault
	}
	n, err := r.LastInsertId()
	j.seq, j.err = wire.Seq(n), nil
	return err
}

// apply runs a job that may fail by itself in a savepoint of its own.
func (w *writer) apply(ctx context.Context, j *job) error {
	if _, err := w.c.exec(ctx, "SAVEPOINT job"); err != nil {
		return err
	}
	j.err = j.do(ctx, w.c)
	if j.err != nil {
		if code := sqliteCode(j.err); code != 0 && !isRow(j.err) {
			return j.err // the transaction may be gone
		}
		if _, err := w.c.exec(ctx, "ROLLBACK TO job"); err != nil {
			return err
		}
	}
	_, err := w.c.exec(ctx, "RELEASE job")
	return err
}

// full notes a full disk and gives up the reserve, so that deletes and acks have room.
func (w *writer) full() {
	w.fullUntil.Store(time.Now().Add(fullPause).UnixNano())
	if w.s.reserve.release() {
		w.s.cfg.Log.Error("the disk is full; the reserve was given up", "path", w.s.cfg.Path)
	}
}

// isFull reports whether events are refused for now.
func (w *writer) isFull() bool {
	until := w.fullUntil.Load()
	return until != 0 && time.Now().UnixNano() < until
}

// showsFull reports whether the disk was full a moment ago, as far as anybody tried.
func (w *writer) showsFull() bool {
	until := w.fullUntil.Load()
	return until != 0 && time.Now().UnixNano() < until+int64(fullShown-fullPause)
}

// blob keeps an empty value from becoming NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
