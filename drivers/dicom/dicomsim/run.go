package dicomsim

import (
	"context"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/query"
)

// Run is a technician at the machine: every interval it reads the worklist and
// performs what it has not performed before, one step after the other, as
// Config.Options say. What fails is tried again at the next turn. It returns
// when ctx ends; what a server does wrong is told to Config.Progress and never
// ends it.
func (m *Modality) Run(ctx context.Context, interval time.Duration) error {
	t := technician{modality: m, steps: map[string]*exam{}}
	tick := time.NewTicker(max(interval, time.Millisecond))
	defer tick.Stop()
	for {
		t.turn(ctx)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// technician remembers what was performed.
type technician struct {
	modality *Modality
	steps    map[string]*exam // by study and step
}

// exam is one entry of the worklist that was taken up.
type exam struct {
	step *Step // nil until it was begun
	done bool
}

// turn reads the list once and works it off.
func (t *technician) turn(ctx context.Context) {
	keys := t.modality.config.Keys
	if keys.StationAETitle == "" {
		keys.StationAETitle = t.modality.config.AETitle
	}
	entries, err := t.modality.Worklist(ctx, keys)
	if err != nil {
		return // told by Worklist; the list is whole next time
	}
	listed := map[string]bool{}
	for _, e := range entries {
		key := e.StudyInstanceUID + "|" + e.ScheduledProcedureStepID
		listed[key] = true
		x := t.steps[key]
		if x == nil {
			x = &exam{}
			t.steps[key] = x
		}
		if !x.done {
			t.perform(ctx, e, x)
		}
		if ctx.Err() != nil {
			return
		}
	}
	for key, x := range t.steps {
		if x.done && !listed[key] {
			delete(t.steps, key) // gone from the list: nothing to remember
		}
	}
	t.finishUnlisted(ctx, listed)
}

// perform begins the step if it has not been begun, waits as long as the
// examination takes, and ends it.
func (t *technician) perform(ctx context.Context, e *query.Entry, x *exam) {
	m := t.modality
	if x.step == nil {
		s, err := m.Start(ctx, e, m.config.Options)
		if err != nil {
			return
		}
		x.step = s
		if !pause(ctx, m.config.Exam) {
			return
		}
	}
	t.finish(ctx, x)
}

// finish ends a step that was begun.
func (t *technician) finish(ctx context.Context, x *exam) {
	if !t.modality.config.Options.NoFinal && t.modality.Finish(ctx, x.step) != nil {
		return
	}
	x.done = true
}

// finishUnlisted ends steps whose entry left the list while they were being
// performed, as happens when an order is withdrawn: the images exist.
func (t *technician) finishUnlisted(ctx context.Context, listed map[string]bool) {
	for key, x := range t.steps {
		if listed[key] || x.done {
			continue
		}
		if x.step == nil {
			delete(t.steps, key)
			continue
		}
		t.finish(ctx, x)
	}
}

// pause waits, and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
