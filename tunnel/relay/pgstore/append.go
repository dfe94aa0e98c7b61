package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

const maxKind = 64 // bytes

// job is one event to append.
type job struct {
	clinic int64
	event  relay.Event
	seq    wire.Seq
	err    error
	state  atomic.Int32  // waiting, taken or given
	done   chan struct{} // takes one value when seq and err are set
}

// The states of a job.
const (
	waiting int32 = iota
	taken
	given // up: its caller has left
)

var jobs = sync.Pool{New: func() any { return &job{done: make(chan struct{}, 1)} }}

var errClosed = fmt.Errorf("%w: it is closed", relay.ErrUnavailable)

// Append implements relay.Store.
func (s *Store) Append(ctx context.Context, c wire.ClinicID, e relay.Event) (wire.Seq, error) {
	if len(e.Header) > wire.MaxHeader || len(e.Body) > relay.MaxBodyLimit+relay.MaxSealing || len(e.Kind) > maxKind {
		return 0, relay.ErrTooLarge
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	n, err := s.key(ctx, c)
	if err != nil {
		return 0, err
	}
	j := jobs.Get().(*job)
	j.clinic, j.event, j.seq, j.err = n, e, 0, nil
	j.state.Store(waiting)
	if err := s.offer(j); err != nil {
		return 0, err
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		j.state.CompareAndSwap(waiting, given) // what is on its way may be stored; the batcher forgets what waits
		return 0, ctx.Err()
	}
	seq, err := j.seq, j.err
	j.event = relay.Event{}
	jobs.Put(j)
	return seq, err
}

// offer puts a job into the queue if there is room.
func (s *Store) offer(j *job) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return errClosed
	}
	select {
	case s.queue <- j:
		return nil
	default:
		return relay.ErrBusy
	}
}

// write is one batcher.
func (s *Store) write() {
	b := batch{s: s}
	for j := range s.queue {
		b.collect(j)
		if len(b.jobs) > 0 {
			b.settle()
		}
	}
}

// batch is what one transaction appends. Its slices are used again.
type batch struct {
	s    *Store
	jobs []*job

	locks, clinics, times, sizes []int64
	kinds                        []string
	headers, bodies              [][]byte
}

// collect takes what waits, without lingering, and sorts it by clinic: locks are taken in one order everywhere, and
// the order of arrival stays within a clinic.
func (b *batch) collect(j *job) {
	b.jobs = b.jobs[:0]
	for ok := true; ok; {
		if j.state.CompareAndSwap(waiting, taken) {
			b.jobs = append(b.jobs, j)
		}
		if len(b.jobs) == batchLength {
			break
		}
		select {
		case j, ok = <-b.s.queue:
		default:
			ok = false
		}
	}
	slices.SortStableFunc(b.jobs, func(x, y *job) int { return cmp.Compare(x.clinic, y.clinic) })
}

// settle stores the batch; when one row spoils it, each row by itself.
func (b *batch) settle() {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	err := b.store(ctx, b.jobs)
	if err != nil && isRow(err) && len(b.jobs) > 1 {
		b.s.cfg.Log.Warn("a batch failed and is stored one by one", "jobs", len(b.jobs), "error", err)
		for i := range b.jobs {
			if err := b.store(ctx, b.jobs[i:i+1]); err != nil {
				b.jobs[i].err = appendFailure(err)
			}
		}
	} else if err != nil {
		full := int64(0)
		if isFull(err) {
			full = time.Now().UnixNano()
		}
		b.s.full.Store(full)
		b.s.cfg.Log.Warn("a batch was not stored", "jobs", len(b.jobs), "error", err)
		for _, j := range b.jobs {
			j.err = appendFailure(err)
		}
	} else if b.s.full.Load() != 0 {
		b.s.full.Store(0)
	}
	for _, j := range b.jobs {
		j.done <- struct{}{}
	}
	clear(b.jobs)
}

// appendFailure says that an event may or may not be stored where the connection was lost.
func appendFailure(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w: %w", relay.ErrUnavailable, err)
	}
	return failure(err)
}

// store appends jobs in one transaction, again when another one was in the way.
func (b *batch) store(ctx context.Context, jobs []*job) error {
	b.fill(jobs)
	for n := 0; ; n++ {
		err := b.send(ctx, jobs)
		if err == nil || !again(err) || n == tries-1 || !pause(ctx, n) {
			return err
		}
	}
}

func (b *batch) fill(jobs []*job) {
	b.locks, b.clinics, b.times, b.sizes = b.locks[:0], b.clinics[:0], b.times[:0], b.sizes[:0]
	b.kinds, b.headers, b.bodies = b.kinds[:0], b.headers[:0], b.bodies[:0]
	for _, j := range jobs {
		if n := len(b.locks); n == 0 || b.locks[n-1] != j.clinic {
			b.locks = append(b.locks, j.clinic)
		}
		e := &j.event
		b.clinics = append(b.clinics, j.clinic)
		b.times = append(b.times, e.ReceivedAt.UnixMicro())
		b.sizes = append(b.sizes, int64(len(e.Header)+len(e.Body)))
		b.kinds = append(b.kinds, e.Kind)
		b.headers = append(b.headers, blob(e.Header))
		b.bodies = append(b.bodies, blob(e.Body))
	}
}

// The two statements of a batch travel in one round trip and are one transaction. The first takes the locks in order;
// the second gives out numbers under them. Its snapshot is younger than the locks.
const (
	lockText   = `SELECT clinic FROM mailbox WHERE clinic = ANY($1) ORDER BY clinic FOR UPDATE`
	appendText = `WITH e AS (
		SELECT u.*, row_number() OVER (PARTITION BY clinic ORDER BY i) AS k
		FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bytea[], $6::bytea[])
		WITH ORDINALITY AS u(clinic, received_at, kind, size, header, body, i)
	), c AS (
		UPDATE mailbox m SET last_seq = m.last_seq + n.n FROM (SELECT clinic, count(*) AS n FROM e GROUP BY clinic) n
		WHERE m.clinic = n.clinic RETURNING m.clinic, m.last_seq - n.n AS base
	)
	INSERT INTO event (clinic, seq, received_at, kind, size, header, body)
	SELECT e.clinic, c.base + e.k, e.received_at, e.kind, e.size, e.header, e.body FROM e JOIN c ON c.clinic = e.clinic
	RETURNING clinic, seq`
)

// send runs the transaction once and numbers the jobs. Nothing is known to be stored before the last answer is there.
func (b *batch) send(ctx context.Context, jobs []*job) error {
	var first map[int64]int64 // the lowest number of each clinic
	var pb pgx.Batch
	pb.Queue(lockText, b.locks)
	pb.Queue(appendText, b.clinics, b.times, b.kinds, b.sizes, b.headers, b.bodies)
	br := b.s.pool.SendBatch(ctx, &pb)
	err := func() error {
		if _, err := br.Exec(); err != nil {
			return err
		}
		rows, err := br.Query()
		if err != nil {
			return err
		}
		defer rows.Close()
		first = make(map[int64]int64, len(b.locks))
		for rows.Next() {
			var clinic, seq int64
			if err := rows.Scan(&clinic, &seq); err != nil {
				return err
			}
			if low, ok := first[clinic]; !ok || seq < low {
				first[clinic] = seq
			}
		}
		return rows.Err()
	}()
	if err2 := br.Close(); err == nil {
		err = err2 // of the commit
	}
	if err != nil {
		return err
	}
	for _, j := range jobs {
		seq, ok := first[j.clinic]
		if !ok {
			j.err = relay.ErrUnknownClinic
			continue
		}
		j.seq, j.err = wire.Seq(seq), nil
		first[j.clinic] = seq + 1
	}
	return nil
}

// blob keeps an empty value from becoming NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
