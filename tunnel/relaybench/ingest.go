package relaybench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// Say tells progress.
type Say func(format string, args ...any)

// Ingest measures how many webhooks the relay takes: senders in a closed loop, each
// waiting for its 200, and agents that take what arrives.
type Ingest struct {
	For     time.Duration // of one row
	Rounds  int
	Clients int
	Agents  int    // clinics, each with an agent
	Size    int    // bytes of a body
	Profile string // folder for CPU profiles of the relay; empty: none
}

// unlimited is a rate that never limits: a clinic may send 20 webhooks a second.
const unlimited = 1e9

// ackNever is so rarely that acks stay unwritten during a measurement.
const ackNever = 24 * time.Hour

// ingestRows are the ways of which the targets speak.
var ingestRows = []struct {
	name   string
	set    setting
	target float64
}{
	{"plain", setting{AckEvery: ackNever}, 5500},
	{"sealed", setting{Seal: true, AckEvery: ackNever}, 3500},
	{"sealed, acks stored", setting{Seal: true}, 3500},
}

// Run measures.
func (o Ingest) Run(ctx context.Context, say Say, r *Report) error {
	results := make([][]Row, len(ingestRows))
	for round := range o.Rounds { // in turns, so that a busy minute of the computer hits all alike
		for i, x := range ingestRows {
			say("%s, round %d of %d: %s, %d senders, %d agents", x.name, round+1, o.Rounds, o.For, o.Clients, o.Agents)
			row, err := o.row(ctx, x.name, x.set, round)
			if err != nil {
				return err
			}
			say("  %s/s, p50 %s ms, p99 %s ms", number(row.Value), number(row.P50), number(row.P99))
			results[i] = append(results[i], row)
		}
	}
	for i, x := range ingestRows {
		r.add(best(results[i], higher).atLeast(x.target))
	}
	return nil
}

// row is one relay with a new database.
func (o Ingest) row(ctx context.Context, name string, set setting, round int) (row Row, err error) {
	dir, remove, err := scratch()
	if err != nil {
		return row, err
	}
	defer remove()
	set.Dir, set.Listen, set.Rate = dir, "127.0.0.1:0", unlimited
	clinics, err := populate(ctx, dir, o.Agents)
	if err != nil {
		return row, err
	}
	p, err := start(ctx, set)
	if err != nil {
		return row, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	var taken atomic.Int64
	f, err := connectAll(ctx, attach{
		address: p.address, onEvent: func(*clinic, wire.Event, time.Time) { taken.Add(1) },
	}, clinics, 16)
	if err != nil {
		return row, err
	}
	defer f.close()
	if err := o.loop(ctx, p.address, clinics, time.Second/2, &samples{}); err != nil { // what is built at first use
		return row, err
	}
	warm := &samples{}
	if o.Profile != "" {
		if _, err := p.ask("profile " + filepath.Join(o.Profile, fmt.Sprintf("ingest-%d-%s.pprof", round+1, name[:4]))); err != nil {
			return row, err
		}
	}
	before, began := taken.Load(), time.Now()
	if err := o.loop(ctx, p.address, clinics, o.For, warm); err != nil {
		return row, err
	}
	took := time.Since(began)
	if o.Profile != "" {
		if _, err := p.ask("end-profile"); err != nil {
			return row, err
		}
	}
	delivered := taken.Load() - before
	row = warm.row(name, "POST to 200")
	row.Value, row.Unit = float64(row.N)/took.Seconds(), "/s"
	row.Detail = fmt.Sprintf("%s/s reached the agents meanwhile, relay %.0f MB", number(float64(delivered)/took.Seconds()), p.memory()/1e6)
	return row, errors.Join(f.fault())
}

// loop sends for a while from all senders at once.
func (o Ingest) loop(ctx context.Context, address string, clinics []*clinic, lasts time.Duration, all *samples) error {
	ctx, cancel := context.WithTimeout(ctx, lasts)
	defer cancel()
	var next atomic.Int64
	var g errgroup.Group
	payload := body(0, o.Size)
	for range o.Clients {
		g.Go(func() error {
			p, err := dialPoster(context.WithoutCancel(ctx), address)
			if err != nil {
				return err
			}
			defer p.close()
			var mine []time.Duration
			for ctx.Err() == nil {
				c := clinics[int(next.Add(1))%len(clinics)]
				began := time.Now()
				if err := p.post(c.path, payload); err != nil {
					return err
				}
				mine = append(mine, time.Since(began))
			}
			all.add(mine...)
			return nil
		})
	}
	return g.Wait()
}
