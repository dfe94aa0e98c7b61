package hl7sim

import (
	"context"
	"sync"
	"time"
)

// Auto makes a RIS work by itself. Times are from the step before; a negative one
// means never by itself.
type Auto struct {
	// Number tells its number of a new order (ORC-1 = SN) before anything else.
	Number bool
	// Schedule is from the arrival of a new order to its scheduling, Start from there
	// to the beginning of the exam, Exam how long that takes, Report from its end to
	// the report. Where the machines report to somebody else, Start is negative and
	// [RIS.ExamDone] tells the RIS.
	Schedule, Start, Exam, Report time.Duration
	// Text of the report; default an invented one. PDF is sent with it; nil: none.
	Text string
	PDF  []byte
}

// reportText is of nobody.
const reportText = "No fracture. No foreign body. The patient was very brave."

// automaton is what a RIS does by itself, while it serves.
type automaton struct {
	r    *RIS
	auto *Auto

	mu  sync.Mutex
	ctx context.Context // of Serve; nil outside of it
	wg  *sync.WaitGroup
}

func newAutomaton(r *RIS, a *Auto) *automaton {
	out := &automaton{r: r}
	if a != nil {
		c := *a
		if c.Text == "" {
			c.Text = reportText
		}
		out.auto = &c
	}
	return out
}

func (a *automaton) start(ctx context.Context, wg *sync.WaitGroup) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ctx, a.wg = ctx, wg
}

func (a *automaton) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ctx = nil
}

// begin runs f while the RIS serves; it returns false, and does not, when the RIS
// does not serve.
func (a *automaton) begin(f func(ctx context.Context)) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ctx == nil {
		return false
	}
	ctx := a.ctx
	a.wg.Add(1)
	go func() {
		defer a.wg.Done()
		f(ctx)
	}()
	return true
}

// afterwards begins what follows from a message that was applied.
func (r *RIS) afterwards(x *exchange) {
	if r.auto.auto == nil || x.again || !x.applied {
		return
	}
	for _, in := range x.orders {
		if in.control == "NW" || in.control == "RO" {
			r.auto.begin(func(ctx context.Context) { r.work(ctx, in.accession) })
		}
	}
}

// work brings a new order to its report. A message that is not accepted ends it.
func (r *RIS) work(ctx context.Context, accession string) {
	a := r.auto.auto
	if a.Number {
		if _, err := r.Number(ctx, accession); err != nil {
			return
		}
	}
	for _, step := range []struct {
		after time.Duration
		do    func(context.Context, string) (Answer, error)
		from  State
	}{{a.Schedule, r.Schedule, Ordered}, {a.Start, r.Start, Scheduled}, {a.Exam, r.Complete, Started}} {
		if step.after < 0 || !wait(ctx, step.after) || !r.stands(accession, step.from) {
			return
		}
		if _, err := step.do(ctx, accession); err != nil {
			return
		}
	}
	r.reportLater(ctx, accession)
}

func (r *RIS) reportLater(ctx context.Context, accession string) {
	a := r.auto.auto
	if a == nil || a.Report < 0 || !wait(ctx, a.Report) || !r.stands(accession, Completed) {
		return
	}
	_, _ = r.Report(ctx, accession, a.Text, a.PDF) // told by Progress
}

func (r *RIS) stands(accession string, s State) bool {
	o, ok := r.Order(accession)
	return ok && o.State == s
}

// ExamDone tells the RIS that the exam of an order was performed, as a machine
// would by MPPS: nothing is sent for it. With Auto the report follows.
func (r *RIS) ExamDone(accession string) error {
	r.mu.Lock()
	o := r.held.orders[accession]
	if o != nil {
		o.set(Completed)
	}
	r.mu.Unlock()
	if o == nil {
		return ErrUnknownOrder
	}
	if r.auto.auto != nil {
		r.auto.begin(func(ctx context.Context) { r.reportLater(ctx, accession) })
	}
	return nil
}
