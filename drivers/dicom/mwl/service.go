package mwl

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/dataset"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
)

// ServiceConfig is what a Service needs. Only List must be set. The callbacks
// run on the association's goroutine before the final response is sent: they
// hand over and return.
type ServiceConfig struct {
	List *List

	Log  func(QueryRecord)                      // every query
	Seen func(machine string, orderIDs []int64) // what was answered; the slice is the callback's
	Note func(Note)                             // letters were replaced, once per order, machine and revision; a list was cut
}

// Service answers the C-FIND of the Modality Worklist.
type Service struct {
	list *List
	log  func(QueryRecord)
	seen func(string, []int64)
	note func(Note)

	mu    sync.Mutex
	noted map[noteKey]int // revision that was noted
}

type noteKey struct {
	machine string
	order   int64
}

// commentCut is the Error Comment of a list that was cut.
const commentCut = "too many matches, the list is cut"

// maxNoted bounds what Service remembers of its notes; beyond, they may come a
// second time.
const maxNoted = 100_000

var _ dimse.Finder = (*Service)(nil)

// NewService returns the service of a list.
func NewService(c ServiceConfig) *Service {
	return &Service{list: c.List, log: c.Log, seen: c.Seen, note: c.Note, noted: map[noteKey]int{}}
}

// Find implements dimse.Finder. The machine is the one that the association was
// granted to: Peer.Tag when that is a machine's name or a Machine, else whoever
// has the calling AE title and address. A caller that is none of ours gets an
// empty list.
func (s *Service) Find(ctx context.Context, r *dimse.Request, answers *dimse.Answers) error {
	return s.find(ctx, r, answers.Send)
}

// find is Find with any place to send answers to.
func (s *Service) find(ctx context.Context, r *dimse.Request, send func(identifier []byte, pending uint16) error) error {
	began := time.Now()
	snap := s.list.snap.Load()
	a := answer{
		service: s, snap: snap, send: send,
		rec: QueryRecord{
			At: s.list.now(), CallingAETitle: r.Peer.CallingAETitle, CalledAETitle: r.Peer.CalledAETitle,
			Address: r.Peer.Addr.String(),
		},
	}
	err := a.run(ctx, r)
	rec := &a.rec
	rec.Status, rec.End = ending(err)
	if rec.End == EndRefused && rec.Matches > 0 {
		rec.End = EndLimit // that of the server, below the machine's own
	}
	rec.Duration = time.Since(began)
	if a.several {
		rec.MatchedOrderIDs = distinct(rec.MatchedOrderIDs)
	}
	a.report(err)
	return err
}

// answer is one query being answered.
type answer struct {
	service *Service
	snap    *snapshot
	send    func([]byte, uint16) error
	rec     QueryRecord
	several bool    // an order with several steps was answered
	altered []*item // answered with letters replaced
	query   *query
}

func (a *answer) run(ctx context.Context, r *dimse.Request) error {
	syntax, ok := dataset.SyntaxByUID(r.TransferSyntaxUID)
	if !ok {
		return dimse.Status{Code: dimse.UnableToProcess, Comment: "transfer syntax is not supported"}
	}
	p := caller(a.snap.roster, r.Peer)
	fallback := dataset.Latin1
	if p != nil {
		a.rec.Machine = p.Name
		if cs, _, ok := charsetOf(p.Charset); ok {
			fallback = cs
		}
	}
	id, err := parseIdentifier(r.Data, syntax, fallback)
	if err != nil {
		return err
	}
	a.rec.Keys, a.rec.Notes = id.keys[:min(len(id.keys), maxLoggedKeys)], id.notes
	if p == nil {
		a.rec.Notes = append(a.rec.Notes, "the caller is not a machine of ours")
		return nil
	}
	q := newQuery(id, p, a.snap.roster, &a.service.list.set, syntax, a.rec.At)
	a.query = q
	snap := a.snap
	a.rec.why = func() ([]Excluded, int) { return q.excluded(snap) }
	pending := dimse.Pending
	if id.unused {
		pending = dimse.PendingWarning
	}
	return a.all(ctx, q, syntax, pending)
}

// buffers are for one answer at a time.
var buffers = sync.Pool{New: func() any {
	b := make([]byte, 0, 4096)
	return &b
}}

// all sends every match.
func (a *answer) all(ctx context.Context, q *query, syntax dataset.Syntax, pending uint16) error {
	p, list := q.profile, a.service.list
	limit := p.maxAnswers()
	buf := buffers.Get().(*[]byte) // the pool holds nothing else
	defer buffers.Put(buf)
	var end error
	for it := range q.candidates(a.snap) {
		if ctx.Err() != nil {
			return cause(ctx)
		}
		if !p.showAll && !p.shows(it.step.State) {
			continue
		}
		via := q.match(it)
		if via == nil {
			continue
		}
		if limit > 0 && a.rec.Matches == limit {
			end = dimse.Status{Code: dimse.OutOfResources, Comment: commentCut}
			break
		}
		blk := list.cache.get(it, a.snap.roster, p.form, syntax)
		*buf = q.plan.answer((*buf)[:0], it, blk, via)
		if err := a.send(*buf, pending); err != nil {
			return err
		}
		a.answered(it, blk, len(*buf))
	}
	return end
}

// answered keeps the record of one match.
func (a *answer) answered(it *item, blk *block, n int) {
	a.rec.Matches++
	a.rec.Bytes += n
	a.rec.MatchedOrderIDs = append(a.rec.MatchedOrderIDs, it.order.ID)
	a.several = a.several || len(it.order.Steps) > 1
	if blk.altered != nil && a.service.note != nil {
		a.altered = append(a.altered, it)
	}
}

// report calls back.
func (a *answer) report(err error) {
	s := a.service
	for _, it := range a.altered {
		if s.once(a.rec.Machine, it) {
			s.note(Note{
				Code: problem.MachineCharset, Machine: a.rec.Machine, OrderID: it.order.ID,
				Accession: it.order.AccessionNumber, Revision: it.order.Revision,
				Args: problem.Args{"accession": it.order.AccessionNumber, "station": a.rec.Machine},
			})
		}
	}
	if a.query != nil && a.rec.End == EndLimit && s.note != nil && a.rec.Matches > 0 {
		s.note(Note{
			Code: problem.MachineLimit, Machine: a.rec.Machine,
			Args: problem.Args{"station": a.rec.Machine, "limit": strconv.Itoa(a.rec.Matches)},
		})
	}
	if s.seen != nil && len(a.rec.MatchedOrderIDs) > 0 {
		s.seen(a.rec.Machine, slices.Clone(a.rec.MatchedOrderIDs))
	}
	if s.log != nil {
		s.log(a.rec)
	}
}

// once reports whether a revision of an order is noted for a machine for the
// first time.
func (s *Service) once(machine string, it *item) bool {
	k := noteKey{machine, it.order.ID}
	s.mu.Lock()
	defer s.mu.Unlock()
	if was, ok := s.noted[k]; ok && was == it.order.Revision {
		return false
	}
	if len(s.noted) >= maxNoted {
		clear(s.noted)
	}
	s.noted[k] = it.order.Revision
	return true
}

// caller finds the machine that asks.
func caller(r *roster, peer *dimse.Peer) *profile {
	switch tag := peer.Tag.(type) {
	case string:
		return r.byName(tag)
	case Machine:
		return r.byName(tag.Name)
	case *Machine:
		if tag != nil {
			return r.byName(tag.Name)
		}
	}
	if m, ok := Caller(r.machines, peer.CallingAETitle, peer.Addr.Addr()); ok {
		return r.byName(m.Name)
	}
	return nil
}

// cause turns the end of a context into the final status.
func cause(ctx context.Context) error {
	switch err := context.Cause(ctx); {
	case errors.Is(err, dimse.ErrCancelled):
		return dimse.Status{Code: dimse.Cancel}
	case errors.Is(err, dimse.ErrDeadline), errors.Is(err, context.DeadlineExceeded):
		return dimse.Status{Code: dimse.Deadline, Comment: "deadline reached"}
	default:
		return err
	}
}

// ending says how a query ended.
func ending(err error) (status uint16, end string) {
	st, ok := dimse.StatusOf(err)
	switch {
	case err == nil:
		return dimse.Success, EndComplete
	case errors.Is(err, dimse.ErrCancelled), ok && st.Code == dimse.Cancel:
		return dimse.Cancel, EndCancelled
	case errors.Is(err, dimse.ErrDeadline), ok && st.Code == dimse.Deadline:
		return dimse.Deadline, EndDeadline
	case ok && st.Code == dimse.OutOfResources && st.Comment == commentCut:
		return st.Code, EndLimit
	case ok && (st.Code == dimse.OutOfResources || st.Code == dimse.IdentifierMismatch):
		return st.Code, EndRefused
	case ok:
		return st.Code, EndFailed
	}
	return dimse.UnableToProcess, EndLost
}

// distinct removes repeated ids, keeping the order.
func distinct(ids []int64) []int64 {
	seen := make(map[int64]bool, len(ids))
	return slices.DeleteFunc(ids, func(id int64) bool {
		was := seen[id]
		seen[id] = true
		return was
	})
}
