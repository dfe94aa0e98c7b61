package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// historyCmd measures what a long history costs.
type historyCmd struct {
	Finished int           `help:"Finished orders in the database." default:"1000000"`
	Items    int           `help:"Steps that wait." default:"10000"`
	Rounds   int           `help:"Rounds; the best is reported." default:"3"`
	Samples  int           `help:"Queries of a kind and round at most." default:"300"`
	For      time.Duration `help:"Time for a kind of query and round at most." default:"4s"`
	Orders   int           `help:"New orders of a round." default:"100"`
	Keep     string        `help:"Folder to keep the databases in, and to find them at the next run." type:"path"`
}

// Help shows an example.
func (historyCmd) Help() string {
	return "Two whole appliances, without and with history, run at the same time and are measured in turns: the\n" +
		"start, memory, worklist queries, and orders on their way. A million finished orders need some 3 GB of disk and minutes.\n\n" +
		"Example:\n\n  bench history --finished 100000"
}

// Validate answers kong.
func (c historyCmd) Validate() error {
	if c.Finished < 1 || c.Finished > 5_000_000 || c.Items < rooms*days || c.Items > 10_000 || c.Rounds < 1 || c.Rounds > 20 || c.Orders < 1 || c.Orders > 10_000 {
		return fmt.Errorf("--finished must be 1 to 5000000, --items %d to 10000, --rounds 1 to 20, --orders 1 to 10000", rooms*days)
	}
	return nil
}

// Run measures.
func (c historyCmd) Run(ctx context.Context, b *bench, r *report) error {
	dir := c.Keep
	if dir == "" {
		d, remove, err := scratch()
		if err != nil {
			return err
		}
		defer remove()
		dir = d
	}
	var pair []*era
	defer func() {
		for _, e := range pair {
			e.stop()
		}
	}()
	for _, n := range []int{0, c.Finished} {
		b.say("%d finished orders", n)
		e, err := c.begin(ctx, b, filepath.Join(dir, fmt.Sprintf("finished-%d", n)), n)
		if err != nil {
			return err
		}
		pair = append(pair, e)
	}
	for i := range c.Rounds { // in turns, so that other work on the computer meets both
		b.say("round %d", i+1)
		for k := range pair {
			if err := c.round(ctx, b, pair[(i+k)%2]); err != nil {
				return err
			}
		}
	}
	for i, e := range pair {
		rows := e.rows()
		for j, x := range rows {
			if i == 1 && x.Unit == "ms" && r.Rows[j].Value > 0 {
				was := r.Rows[j].Value
				change := 100 * (x.Value - was) / was
				met := change <= 10
				x.Target, x.Met, x.Detail = "≤ +10 %", &met, fmt.Sprintf("%+.0f %%", change)
			}
			r.add(x)
		}
	}
	return nil
}

// era is an appliance with a history.
type era struct {
	*scene
	subject string
	top     func() float64
	start   []row   // of the start
	kinds   [][]row // by kind, then round
}

func (e *era) stop() { e.scene.stop() }

// begin starts an appliance with done finished orders, several times: the last
// one stays.
func (c historyCmd) begin(ctx context.Context, b *bench, dir string, done int) (*era, error) {
	filled := filepath.Join(dir, "filled")
	if _, err := os.Stat(filled); err != nil {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		if err := fill(ctx, b, dir, c.Items, done); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filled, nil, 0o600); err != nil {
			return nil, err
		}
	}
	e := &era{subject: fmt.Sprintf("%d finished", done)}
	var opened, memories, highs []row
	for range c.Rounds {
		if e.scene != nil {
			e.stop()
		}
		var err error
		if e.scene, err = startFilled(ctx, dir); err != nil {
			return nil, err
		}
		one := func(measure string, v float64, unit string) row {
			return row{Subject: e.subject, Measure: measure, Value: v, Unit: unit}
		}
		opened = append(opened, one("start to open port", e.ready.Millis/1000, "s"))
		memories = append(memories, one("RSS after the start", memory(e.pid(), "VmRSS")/megabyte, "MB"))
		highs = append(highs, one("RSS, highest during the start", memory(e.pid(), "VmHWM")/megabyte, "MB"))
	}
	e.top = peak(ctx, e.pid())
	e.start = []row{best(opened, lower).atMost(1), best(memories, lower).atMost(100), best(highs, lower)}
	return e, nil
}

// round measures an appliance once.
func (c historyCmd) round(ctx context.Context, b *bench, e *era) error {
	t := target{name: e.subject, title: ourTitle, address: e.ready.Address}
	var rows []row
	for _, k := range cells(c.Items) {
		x, err := t.cell(ctx, k, 1, c.Samples, c.For)
		if err != nil {
			return err
		}
		rows = append(rows, x)
	}
	laps, err := e.rounds(ctx, b, e.subject, 1, c.Orders)
	if err != nil {
		return err
	}
	if e.kinds == nil {
		e.kinds = make([][]row, len(rows)+len(laps))
	}
	for i, x := range append(rows, laps...) {
		x.Rounds = nil
		e.kinds[i] = append(e.kinds[i], x)
	}
	return nil
}

// rows returns what was measured, always the same rows.
func (e *era) rows() []row {
	rows := e.start
	for _, k := range e.kinds {
		rows = append(rows, best(k, lower))
	}
	return append(rows, row{Subject: e.subject, Measure: "RSS, highest in the rounds", Value: e.top() / megabyte, Unit: "MB"}.atMost(100),
		row{Subject: e.subject, Measure: "RSS at the end", Value: memory(e.pid(), "VmRSS") / megabyte, Unit: "MB"}.atMost(100))
}
