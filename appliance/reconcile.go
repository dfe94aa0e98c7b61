package appliance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/localdb"
)

// lookers is how many orders are read from Provet at the same time.
const lookers = 8

// reconcile takes hints until ctx ends: it reads each order's present truth and
// makes what is stored agree with it. One order is never looked at twice at the
// same time; hints that come meanwhile coalesce and are looked at afterwards.
func (c *core) reconcile(ctx context.Context) error {
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		flying = map[string]bool{}
		slots  = make(chan struct{}, lookers)
	)
	defer wg.Wait()
	for {
		due, next, err := c.dueHints(ctx)
		if err != nil {
			return fmt.Errorf("appliance: reading hints: %w", err)
		}
		started := false
		for _, h := range due {
			mu.Lock()
			busy := flying[h.ProvetID]
			flying[h.ProvetID] = true
			mu.Unlock()
			if busy {
				continue
			}
			started = true
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			wg.Go(func() {
				defer func() {
					<-slots
					mu.Lock()
					delete(flying, h.ProvetID)
					mu.Unlock()
					signal(c.wakeHints) // a hint that came meanwhile may wait
				}()
				c.lookAndLog(ctx, h)
			})
		}
		wait := time.Hour
		if !next.IsZero() {
			wait = max(0, next.Sub(c.now()))
		}
		if len(due) > 0 && !started {
			wait = time.Minute // all of them are being looked at; their end wakes us
		}
		if err := sleepOr(ctx, wait, c.wakeHints); err != nil {
			return err
		}
	}
}

// lookAndLog is look for a goroutine: the error ends here, and so does a panic,
// which must not take the other orders with it.
func (c *core) lookAndLog(ctx context.Context, h order.Hint) {
	defer func() {
		if p := recover(); p != nil {
			c.log.LogAttrs(ctx, levelOf(errPanic), "looking at an order panicked", provetIDAttr(h.ProvetID), panicAttr(p))
			if err := c.deferHint(ctx, h, errPanic); err != nil {
				c.log.LogAttrs(ctx, levelOf(err), "deferring a hint failed", errAttr(err), provetIDAttr(h.ProvetID))
			}
		}
	}()
	err := c.look(ctx, h)
	if err == nil || ctx.Err() != nil {
		return
	}
	c.log.LogAttrs(ctx, levelOf(err), "looking at an order failed", errAttr(err), provetIDAttr(h.ProvetID))
	if errors.Is(err, errNotDeferred) { // the hint is due still: do not ask Provet again at once
		_ = sleepOr(ctx, notDeferredPause, nil)
	}
}

// errNotDeferred says that a hint could not be postponed: the database does not
// take it.
var errNotDeferred = errors.New("appliance: a hint could not be postponed")

// notDeferredPause is how long an order is left alone then.
const notDeferredPause = 5 * time.Second

// dueHints returns the hints that are due and when the next one will be.
func (c *core) dueHints(ctx context.Context) (due []order.Hint, next time.Time, err error) {
	now := c.now()
	err = c.db.Read(ctx, func(s *localdb.Snapshot) error {
		var err error
		if due, err = s.DueHints(ctx, now, 4*lookers); err != nil {
			return err
		}
		next, _, err = s.NextHintAt(ctx)
		return err
	})
	return due, next, err
}

// look reads one order from Provet and stores what follows from it, in one
// transaction with the end of the hint. When Provet cannot be read the hint
// stays and is tried again, later each time.
func (c *core) look(ctx context.Context, h order.Hint) error {
	if c.practice == nil {
		return c.deferHint(ctx, h, problem.New(problem.ProvetUnconfigured, problem.Args{"what": "address"}, nil))
	}
	start := c.now()
	defer c.readings.begin(h.ProvetID)()
	up, err := c.practice.Order(ctx, h.ProvetID)
	read := err == nil
	var outcome string
	switch {
	case err == nil:
		err = c.commit(ctx, func(b *batch) error {
			var err error
			if outcome, err = b.present(h, up); err != nil {
				return err
			}
			return b.finish(h)
		})
	case errors.Is(err, provet.ErrGone):
		err = c.commit(ctx, func(b *batch) error {
			var err error
			if outcome, err = b.gone(h); err != nil {
				return err
			}
			return b.finish(h)
		})
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		c.lookFailed(h.ProvetID, err)
		c.metrics.Reconciled("unread", c.now().Sub(start))
		return errors.Join(err, c.deferHint(ctx, h, err))
	}
	if err != nil {
		c.metrics.Reconciled("failed", c.now().Sub(start))
		return errors.Join(err, c.deferHint(ctx, h, err))
	}
	c.lookWorked(h.ProvetID, up, read)
	c.metrics.Reconciled(outcome, c.now().Sub(start))
	if outcome == outcomeNew || outcome == outcomeChanged {
		c.metrics.Visible(c.now().Sub(h.At))
	}
	return nil
}

// The outcomes of a look, for metrics and logs.
const (
	outcomeNew       = "new"
	outcomeSame      = "same"
	outcomeChanged   = "changed"
	outcomeHeld      = "held"
	outcomeRestored  = "restored"
	outcomeWithdrawn = "withdrawn"
	outcomeLate      = "withdrawn_late"
	outcomeClosed    = "closed"
	outcomeGone      = "gone"
	outcomeHistory   = "history"
)

func outcomeOf(changed bool) string {
	if changed {
		return outcomeChanged
	}
	return outcomeSame
}

// finish removes the hint unless a new signal came while we looked.
func (b *batch) finish(h order.Hint) error {
	done, err := b.tx.FinishHint(b.ctx, h.ProvetID, h.Seq)
	if err == nil && !done {
		b.hints = true
	}
	return err
}

// deferHint keeps the hint for later.
func (c *core) deferHint(ctx context.Context, h order.Hint, cause error) error {
	wait := delay(h.Attempts)
	code, text := "", "failed"
	if p := practiceProblem(cause); p != nil {
		code = string(p.Code)
	}
	var pe *provet.Error
	if errors.As(cause, &pe) {
		wait = max(wait, pe.RetryAfter)
		text = pe.Class.String()
	}
	err := c.commit(ctx, func(b *batch) error {
		_, err := b.tx.DeferHint(b.ctx, h.ProvetID, h.Seq, b.now.Add(wait), code, text)
		return err
	})
	if err != nil {
		return errors.Join(errNotDeferred, err)
	}
	return nil
}

// present reconciles an order that exists in Provet.
func (b *batch) present(h order.Hint, up provet.Upstream) (outcome string, err error) {
	b.readNow = h.ProvetID
	o, err := b.tx.OrderByProvetID(b.ctx, h.ProvetID)
	if errors.Is(err, localdb.ErrNotFound) {
		return b.arrive(h, up)
	}
	if err != nil {
		return "", err
	}
	before := o.Clone()
	counts, err := b.statusCounts(o, up)
	if err != nil {
		return "", err
	}
	changed := up.Content.Hash() != o.ContentHash
	switch {
	case changed:
		if err := b.renew(o, up); err != nil {
			return "", err
		}
	case !slices.Equal(o.Content.Missing, up.Content.Missing):
		o.Content.Missing = up.Content.Missing
		b.noteReading(o, up)
	}
	if counts {
		o.UpstreamStatus = up.Status
		outcome, err := b.followStatus(before, o, up)
		if err != nil || outcome != "" {
			return outcome, err
		}
	}
	switch o.State {
	case order.Received, order.Held, order.Scheduled:
		return b.schedule(before, o, changed)
	case order.InProgress:
		if ended := order.Aggregate(o.Steps); changed && !ended.Open() { // what was left to do was taken away
			o.State, o.ClosedBy, o.ClosedAt = ended, order.Upstream, b.now
			o.ClosedText = "nothing else is wanted in Provet Cloud"
			return outcomeChanged, b.entered(o, "", o.ClosedText)
		}
	case order.Completed, order.Discontinued, order.Cancelled:
	}
	if changed || touched(before, o) {
		return outcomeOf(changed), b.save(o)
	}
	return outcomeSame, nil
}

// arrive takes an order that we do not know. One that is finished or withdrawn
// already is history and not replayed.
func (b *batch) arrive(h order.Hint, up provet.Upstream) (outcome string, err error) {
	if up.Withdrawn || up.Finished || !up.InScope {
		return outcomeHistory, nil
	}
	o := &order.Order{
		ProvetID: h.ProvetID, State: order.Received, Revision: 1,
		Content: up.Content, ContentHash: up.Content.Hash(), UpstreamStatus: up.Status, CreatedAt: b.now,
	}
	mint(o, b.c.routes.prefix)
	if err := b.unique(o); err != nil {
		return "", err
	}
	ts, err := b.tx.TombstoneByProvetID(b.ctx, h.ProvetID)
	switch {
	case err == nil && (ts.Reason == localdb.PurgedAs(order.Completed) || ts.Reason == localdb.PurgedAs(order.Discontinued)):
		return outcomeHistory, nil // imaged long ago: a late edit does not bring it back
	case err == nil && ts.AccessionNumber != "": // known before: same identity for life
		o.AccessionNumber, o.StudyInstanceUID, o.RequestedProcedureID = ts.AccessionNumber, ts.StudyInstanceUID, ts.AccessionNumber
	case err != nil && !errors.Is(err, localdb.ErrNotFound):
		return "", err
	}
	b.c.routes.plan(o)
	b.noteReading(o, up)
	if err := b.save(o); err != nil {
		return "", err
	}
	if err := b.say(o, string(order.Received), order.Upstream, "", "Received from Provet Cloud ("+h.Reason+")"); err != nil {
		return "", err
	}
	if _, err := b.schedule(nil, o, true); err != nil {
		return "", err
	}
	return outcomeNew, nil
}

// unique gives a new order another accession number when an order has it
// already, as after a change of the clinic's prefix.
func (b *batch) unique(o *order.Order) error {
	_, err := b.tx.OrderByAccession(b.ctx, o.AccessionNumber)
	if errors.Is(err, localdb.ErrNotFound) {
		_, err = b.tx.TombstoneByAccession(b.ctx, o.AccessionNumber)
	}
	switch {
	case errors.Is(err, localdb.ErrNotFound):
		return nil
	case err == nil:
		o.AccessionNumber = shortID(b.c.routes.prefix + "H")
		o.RequestedProcedureID = o.AccessionNumber
	}
	return err
}

// schedule puts an order that has not begun on the worklist, or holds it and
// says what is missing. before is nil for a new order.
func (b *batch) schedule(before, o *order.Order, changed bool) (outcome string, err error) {
	b.c.routes.plan(o)
	if o.State == order.Held && len(o.Holds) == 0 {
		// A person holds it: it stays so, whatever Provet says.
		if changed || touched(before, o) {
			return outcomeOf(changed), b.save(o)
		}
		return outcomeSame, nil
	}
	if holds := b.c.routes.holds(o); len(holds) > 0 {
		same := slices.Equal(holds, o.Holds) && o.State == order.Held
		o.Holds = holds
		if same {
			if !changed && !touched(before, o) {
				return outcomeSame, nil
			}
			return outcomeOf(changed), b.save(o)
		}
		if o.State, err = order.Next(o.State, order.HeldBack); err != nil {
			return "", err
		}
		return outcomeHeld, b.entered(o, "", "")
	}
	if o.State != order.Scheduled {
		return outcomeOf(changed), b.move(o, order.Accepted, "", "")
	}
	rerouted := before != nil && !slices.Equal(before.Stations(), o.Stations())
	if rerouted {
		if err := b.say(o, "rerouted", "", "", "Now "+lowerFirst(b.c.routes.place(o))); err != nil {
			return "", err
		}
	}
	if changed || rerouted || touched(before, o) || !sameStations(before, o) {
		return outcomeOf(changed), b.save(o)
	}
	return outcomeSame, nil
}

// sameStations reports whether every step is offered where it was.
func sameStations(a, b *order.Order) bool {
	return slices.EqualFunc(a.Steps, b.Steps, func(x, y order.Step) bool { return slices.Equal(x.Stations, y.Stations) })
}

// renew takes over what Provet says now: a new revision. The steps of a closed
// order stay as they were done.
func (b *batch) renew(o *order.Order, up provet.Upstream) error {
	what := differences(o.Content, up.Content)
	if err := b.comparePatient(o, up.Content.Patient.ID); err != nil {
		return err
	}
	o.Revision++
	o.Content = up.Content
	o.ContentHash = up.Content.Hash()
	b.noteReading(o, up)
	if o.State.Open() {
		b.c.routes.plan(o)
	}
	return b.say(o, outcomeChanged, order.Upstream, "", fmt.Sprintf("Changed in Provet Cloud: %s (revision %d)", what, o.Revision))
}

// noteReading remembers on the order what could not be read, and a merge.
func (b *batch) noteReading(o *order.Order, up provet.Upstream) {
	if len(up.Content.Missing) > 0 {
		b.notice(o, problem.OrderIncomplete, problem.Args{"accession": o.AccessionNumber, "what": joinNames(up.Content.Missing)})
	} else {
		unnotice(o, problem.OrderIncomplete)
	}
	if up.Content.UpstreamPatient != "" {
		b.notice(o, problem.OrderPatientMerged, problem.Args{"accession": o.AccessionNumber})
	} else {
		unnotice(o, problem.OrderPatientMerged)
	}
}

// gone reconciles an order that Provet does not have (any more).
func (b *batch) gone(h order.Hint) (outcome string, err error) {
	o, err := b.tx.OrderByProvetID(b.ctx, h.ProvetID)
	if errors.Is(err, localdb.ErrNotFound) {
		_, err := b.tx.TombstoneByProvetID(b.ctx, h.ProvetID)
		if errors.Is(err, localdb.ErrNotFound) {
			err = b.tx.PutTombstone(b.ctx, localdb.Tombstone{ProvetID: h.ProvetID, Reason: "gone before it was read", At: b.now})
		}
		return outcomeGone, err
	}
	if err != nil {
		return "", err
	}
	if err := b.dropReports(o, "the order was deleted in Provet Cloud"); err != nil {
		return "", err
	}
	return b.withdraw(o, "deleted in Provet Cloud")
}

// withdraw takes an order off the worklist, or, when imaging has begun, keeps
// it with its images and asks a person.
func (b *batch) withdraw(o *order.Order, why string) (outcome string, err error) {
	switch o.State {
	case order.Received, order.Held, order.Scheduled:
		return outcomeWithdrawn, b.move(o, order.Withdrawn, order.Upstream, why)
	case order.InProgress, order.Completed:
		if noticed(o, problem.OrderCancelledLate) || o.ClosedBy == order.Upstream {
			return outcomeSame, nil
		}
		b.notice(o, problem.OrderCancelledLate, problem.Args{"accession": o.AccessionNumber})
		if err := b.say(o, outcomeLate, order.Upstream, problem.OrderCancelledLate, "It was "+why+" after imaging had begun; the images stay with the order"); err != nil {
			return "", err
		}
		return outcomeLate, b.save(o)
	case order.Discontinued, order.Cancelled:
	}
	return outcomeSame, nil
}
