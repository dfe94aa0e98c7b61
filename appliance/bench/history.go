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
	return "Two whole appliances in turn, without and with history, are measured the same way: the start, memory,\n" +
		"worklist queries, and orders on their way. A million finished orders need some 3 GB of disk and minutes.\n\n" +
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
	var without, with []row
	for _, n := range []int{0, c.Finished} {
		b.say("%d finished orders", n)
		data := filepath.Join(dir, fmt.Sprintf("finished-%d", n))
		rows, err := c.measure(ctx, b, data, n)
		if err != nil {
			return err
		}
		if without == nil {
			without = rows
		} else {
			with = rows
		}
	}
	r.add(without...)
	for i, x := range with {
		if was := without[i].Value; x.Unit == "ms" && x.Met == nil && was > 0 {
			change := 100 * (x.Value - was) / was
			met := change <= 10
			x.Target, x.Met, x.Detail = "≤ +10 %", &met, fmt.Sprintf("%+.0f %%", change)
		}
		r.add(x)
	}
	return nil
}

// measure returns the rows of one database, always the same ones.
func (c historyCmd) measure(ctx context.Context, b *bench, dir string, done int) ([]row, error) {
	subject := fmt.Sprintf("%d finished", done)
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
	var opened, memories []row
	var s *scene
	for i := range c.Rounds { // the start; the last one stays
		if s != nil {
			s.stop()
		}
		var err error
		if s, err = startFilled(ctx, dir); err != nil {
			return nil, err
		}
		if i == 0 && c.Rounds > 1 {
			continue // the first one routes the orders to the settings
		}
		opened = append(opened, row{Subject: subject, Measure: "start to open port", Value: s.ready.Millis / 1000, Unit: "s"})
		memories = append(memories, row{Subject: subject, Measure: "RSS after the start", Value: memory(s.pid(), "VmRSS") / megabyte, Unit: "MB"})
	}
	defer s.stop()
	t := target{name: subject, title: ourTitle, address: s.ready.Address}
	rows := []row{best(opened, lower).atMost(1), best(memories, lower).atMost(100)}
	for _, k := range cells(c.Items) {
		x, err := t.cell(ctx, k, c.Rounds, c.Samples, c.For)
		if err != nil {
			return nil, err
		}
		rows = append(rows, x)
	}
	laps, err := s.rounds(ctx, b, subject, c.Rounds, c.Orders)
	if err != nil {
		return nil, err
	}
	rows = append(rows, laps...)
	return append(rows, row{Subject: subject, Measure: "RSS at the end", Value: memory(s.pid(), "VmRSS") / megabyte, Unit: "MB"}.atMost(100),
		row{Subject: subject, Measure: "RSS, highest", Value: memory(s.pid(), "VmHWM") / megabyte, Unit: "MB"}), nil
}
