package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// mwlCmd measures worklist queries.
type mwlCmd struct {
	Items   int           `help:"Steps on the list." default:"10000"`
	Rounds  int           `help:"Rounds; the best is reported." default:"3"`
	Samples int           `help:"Queries of a kind and round at most." default:"300"`
	For     time.Duration `help:"Time for a kind of query and round at most." default:"4s"`
	Clients int           `help:"Clients that ask at the same time." default:"8"`
	Peer    string        `help:"Measure a server that runs already, AET@HOST:PORT; it must hold the same items." placeholder:"AET@HOST:PORT"`
	Peers   bool          `help:"Measure DCMTK's wlmscpfs and Orthanc with its worklist plugin as well, on the same items."`
}

// Help shows an example.
func (mwlCmd) Help() string {
	return "Each query is a whole association: connect, associate, find with 31 keys in implicit VR, release.\n" +
		"The server is a process of its own on this computer.\n\n" +
		"Examples:\n\n  bench mwl --peers\n  bench mwl --items 1000 --rounds 1\n  bench mwl --peer MWL@127.0.0.1:11113 --json"
}

// Validate answers kong.
func (c mwlCmd) Validate() error {
	switch {
	case c.Items < rooms*days || c.Items > 10_000:
		return fmt.Errorf("--items must be %d to 10000", rooms*days)
	case c.Rounds < 1 || c.Rounds > 20 || c.Samples < 1 || c.Clients < 1 || c.Clients > 64:
		return fmt.Errorf("--rounds must be 1 to 20, --samples at least 1, --clients 1 to 64")
	}
	return nil
}

// Run measures.
func (c mwlCmd) Run(ctx context.Context, b *bench, r *report) error {
	if c.Peer != "" {
		title, address, ok := strings.Cut(c.Peer, "@")
		if !ok {
			return fmt.Errorf("--peer %q is not AET@HOST:PORT", c.Peer)
		}
		rows, err := c.measure(ctx, target{name: title, title: title, address: address}, true)
		r.add(rows...)
		return err
	}
	child, err := start(ctx, fmt.Sprintf("--items=%d", c.Items))
	if err != nil {
		return err
	}
	defer func() { _ = child.stop() }()
	own := target{name: "Rayhound", title: ourTitle, address: child.ready.Address}
	b.say("Rayhound, %d items", c.Items)
	idle := memory(child.pid(), "VmRSS")
	rows, err := c.measure(ctx, own, c.Items == 10_000)
	r.add(rows...)
	if err != nil {
		return err
	}
	r.add(row{Subject: own.name, Measure: "RSS before the first query", Value: idle / megabyte, Unit: "MB"},
		row{Subject: own.name, Measure: "RSS, highest", Value: memory(child.pid(), "VmHWM") / megabyte, Unit: "MB"}.atMost(100))
	if c.Peers {
		return c.others(ctx, b, r, own)
	}
	return nil
}

// measure asks a server everything. With judge the targets are shown.
func (c mwlCmd) measure(ctx context.Context, t target, judge bool) ([]row, error) {
	var rows []row
	kinds := cells(c.Items)
	for _, k := range kinds {
		x, err := t.cell(ctx, k, c.Rounds, c.Samples, c.For)
		if err != nil {
			return rows, err
		}
		if judge {
			x = x.atMost(k.limit)
		}
		rows = append(rows, x)
	}
	var rounds []row
	for range c.Rounds {
		x, err := t.throughput(ctx, kinds[0], c.Clients, c.For)
		if err != nil {
			return rows, err
		}
		rounds = append(rounds, x)
	}
	x := best(rounds, higher)
	if judge && c.Clients == 8 {
		x = x.atLeast(4000)
	}
	return append(rows, x), nil
}

// cell measures one kind of query in rounds.
func (t target) cell(ctx context.Context, k cell, rounds, most int, limit time.Duration) (row, error) {
	if _, err := t.sample(ctx, k, 1, 1, limit); err != nil { // what is built at first use
		return row{}, err
	}
	var list []row
	for range rounds {
		s, err := t.sample(ctx, k, 3, most, limit)
		if err != nil {
			return row{}, err
		}
		list = append(list, s.row(t.name, k.name, "p95", 0.95))
	}
	return best(list, lower), nil
}
