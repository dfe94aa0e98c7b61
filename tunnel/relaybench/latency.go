package relaybench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// Latency measures how soon a webhook is with its agent, at a steady rate: from the
// moment at which it was to be sent, whether or not the sender was late.
type Latency struct {
	For     time.Duration // of one row
	Rounds  int
	Rate    int   // webhooks a second
	Clinics []int // one row for each number of them
	Size    int   // bytes of a body
}

// Run measures.
func (o Latency) Run(ctx context.Context, say Say, r *Report) error {
	for _, clinics := range o.Clinics {
		var answered, delivered []Row
		for round := range o.Rounds {
			say("%d clinics, round %d of %d: %s at %d/s", clinics, round+1, o.Rounds, o.For, o.Rate)
			a, d, err := o.row(ctx, clinics)
			if err != nil {
				return err
			}
			say("  answered p50 %s, p99 %s ms; with the agent p50 %s, p99 %s ms", number(a.P50), number(a.P99), number(d.P50), number(d.P99))
			answered, delivered = append(answered, a), append(delivered, d)
		}
		r.add(best(answered, lower), best(delivered, lower).atMost(2).tailAtMost(6))
	}
	r.note("Sealed, acks stored. Until the event is committed in a clinic: go run ./appliance/bench tunnel.")
	return nil
}

// stopwatch holds when each webhook was due.
type stopwatch struct {
	mu      sync.Mutex
	due     map[int64]time.Time
	arrived samples
	done    chan struct{} // closed when the last one came
	left    int
}

// came stops the time of one. Opening it is not part of it.
func (w *stopwatch) came(n int64, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	due, ok := w.due[n]
	if !ok {
		return
	}
	delete(w.due, n)
	w.arrived.add(at.Sub(due))
	if w.left--; w.left == 0 {
		close(w.done)
	}
}

func (o Latency) row(ctx context.Context, n int) (answered, delivered Row, err error) {
	dir, remove, err := scratch()
	if err != nil {
		return answered, delivered, err
	}
	defer remove()
	clinics, err := populate(ctx, dir, n)
	if err != nil {
		return answered, delivered, err
	}
	p, err := start(ctx, setting{Dir: dir, Listen: "127.0.0.1:0", Seal: true, Rate: unlimited})
	if err != nil {
		return answered, delivered, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	warm := o.Rate / 2
	total := warm + max(1, int(o.For.Seconds()*float64(o.Rate)))
	w := &stopwatch{due: map[int64]time.Time{}, done: make(chan struct{}), left: total - warm}
	opened := make(chan func(), 4096)
	defer close(opened)
	go func() {
		for open := range opened {
			open()
		}
	}()
	f, err := connectAll(ctx, attach{address: p.address, onEvent: func(c *clinic, e wire.Event, at time.Time) {
		e.Header, e.Body = slices.Clone(e.Header), slices.Clone(e.Body)
		opened <- func() {
			if rq, err := wire.Open(c.sealing, c.keyID, c.id, e); err == nil {
				w.came(bodyNumber(rq.Body), at)
			}
		}
	}}, clinics, 16)
	if err != nil {
		return answered, delivered, err
	}
	defer f.close()
	var sent samples
	if err := o.send(ctx, p.address, clinics, warm, total, w, &sent); err != nil {
		return answered, delivered, err
	}
	select {
	case <-w.done:
	case <-ctx.Done():
		return answered, delivered, ctx.Err()
	case <-time.After(30 * time.Second):
		return answered, delivered, fmt.Errorf("relaybench: %d webhooks were answered and did not arrive", w.left)
	}
	name := fmt.Sprintf("%d clinics at %d/s", n, o.Rate)
	return sent.row(name, "due to 200"), w.arrived.row(name, "due to frame in the agent"), f.fault()
}

// send sends in an open loop: what is due is sent, whatever became of those before.
// The first ones are not measured.
func (o Latency) send(ctx context.Context, address string, clinics []*clinic, warm, total int, w *stopwatch, sent *samples) error {
	const senders = 64
	free := make(chan *poster, senders)
	for range senders {
		p, err := dialPoster(ctx, address)
		if err != nil {
			return err
		}
		defer p.close()
		free <- p
	}
	failed := make(chan error, 1)
	var g sync.WaitGroup
	defer g.Wait()
	every := time.Second / time.Duration(o.Rate)
	due := time.Now().Add(every)
	for i := range total {
		sleepUntil(due)
		at, n := due, int64(i+1)
		due = due.Add(every)
		if i >= warm {
			w.mu.Lock()
			w.due[n] = at
			w.mu.Unlock()
		}
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
		g.Go(func() {
			p := <-free
			err := p.post(clinics[i%len(clinics)].path, body(n, o.Size))
			if err != nil {
				select {
				case failed <- err:
				default:
				}
			} else if i >= warm {
				sent.add(time.Since(at))
			}
			free <- p
		})
	}
	g.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}
