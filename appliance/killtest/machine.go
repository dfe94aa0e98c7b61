package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/dicom/dicomsim"

	"github.com/rayhound/rayhound/drivers/dicom/query"
)

// machines are the clinic's imaging machines.
var machines = []struct{ name, title, code string }{
	{"X-ray room 1", "DR1", "DX"},
	{"CT", "CT1", "CT"},
	{"Ultrasound", "US1", "US"},
	{"Dental", "IO1", "IO"},
}

const (
	turnEvery = 25 * time.Millisecond
	longExam  = 150 * time.Millisecond
)

// technician works at one machine: reads the list, performs most of it, and
// tries again what failed, the way dicomsim.Modality.Run does. Unlike Run it
// notes which messages were acknowledged.
type technician struct {
	t     *trial
	m     *dicomsim.Modality
	title string
	rng   *rand.Rand
	exams map[string]*exam // by step
	busy  *atomic.Int64    // exams that were begun and have not ended
}

// exam is one step that a technician has seen.
type exam struct {
	absent bool // the animal does not come
	step   *dicomsim.Step
	due    time.Time // when the examination ends
	unsure bool      // a final message was sent and its answer was not heard
	done   bool
}

// run works until ctx ends.
func (x *technician) run(ctx context.Context) {
	tick := time.NewTicker(turnEvery)
	defer tick.Stop()
	for {
		x.turn(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// turn reads the list once and does what is due.
func (x *technician) turn(ctx context.Context) {
	entries, err := x.m.Worklist(ctx, query.Keys{StationAETitle: x.title})
	if err != nil {
		return // the list is whole next time
	}
	x.t.book.queried()
	for _, e := range entries {
		x.t.book.entry(e)
		ex := x.exams[e.ScheduledProcedureStepID]
		if ex == nil {
			ex = &exam{absent: x.rng.IntN(6) == 0}
			x.exams[e.ScheduledProcedureStepID] = ex
		}
		if ex.step == nil && !ex.absent && x.t.gloom.Load() == 0 && x.begin(ctx, e, ex) != nil {
			break // the server is gone or overrun
		}
	}
	// What was begun is ended, whether it is on the list or not: the images exist.
	for id, ex := range x.exams {
		if ex.step == nil || ex.done || time.Now().Before(ex.due) {
			continue
		}
		if err := x.end(ctx, ex); err != nil {
			return
		}
		if ex.step.Options.Discontinue != nil && *ex.step.Options.Discontinue == dicomsim.WrongEntry {
			delete(x.exams, id) // it is on the list again
		}
	}
}

// begin sends the N-CREATE. When its answer is not heard the exam is begun anew
// with another instance, which leaves the first one in progress for ever.
func (x *technician) begin(ctx context.Context, e *query.Entry, ex *exam) error {
	o := dicomsim.Options{Series: 1 + x.rng.IntN(2), Progress: x.rng.IntN(5) == 0}
	switch x.rng.IntN(20) {
	case 0, 1:
		o.Discontinue = &dicomsim.Reason{Value: "110513", Scheme: "DCM", Meaning: "Discontinued for unspecified reason"}
	case 2:
		o.Discontinue = &dicomsim.WrongEntry
	}
	x.t.aim(aimCreate)
	s, err := x.m.Start(ctx, e, o)
	var refused *dicomsim.StatusError
	if errors.As(err, &refused) {
		x.t.book.violate("mpps: N-CREATE for %s was refused: %v", e.AccessionNumber, err)
		ex.absent = true
		return nil
	}
	if err != nil {
		return err
	}
	x.t.book.acked(ack{e.AccessionNumber, e.ScheduledProcedureStepID, s.SOPInstanceUID, string(order.StepStarted)})
	x.busy.Add(1)
	ex.step, ex.due = s, time.Now().Add(time.Duration(x.rng.Int64N(int64(longExam))))
	return nil
}

// end sends the final N-SET. A server that says the instance is final already
// has stored an earlier one whose answer was not heard.
func (x *technician) end(ctx context.Context, ex *exam) error {
	x.t.aim(aimSet)
	err := x.m.Finish(ctx, ex.step)
	var refused *dicomsim.StatusError
	e := ex.step.Entries[0]
	switch {
	case errors.As(err, &refused) && ex.unsure:
		x.t.book.refuse("N-SET again after its answer was lost")
	case errors.As(err, &refused):
		x.t.book.violate("mpps: N-SET for %s (%s) was refused: %v", e.AccessionNumber, ex.step.SOPInstanceUID, err)
		ex.done = true
		x.busy.Add(-1)
		return nil
	case err != nil:
		ex.unsure = true
		return err
	}
	ev := order.StepCompleted
	if r := ex.step.Options.Discontinue; r != nil {
		if ev = order.StepDiscontinued; *r == dicomsim.WrongEntry {
			ev = order.WrongEntry
		}
	}
	x.t.book.acked(ack{e.AccessionNumber, e.ScheduledProcedureStepID, ex.step.SOPInstanceUID, string(ev)})
	x.busy.Add(-1)
	ex.done = true
	return nil
}
