package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/rayhound/rayhound/appliance"
	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"
)

// risCmd measures how fast a RIS that answers at once gets what it is owed.
type risCmd struct {
	Orders int `help:"Orders that the RIS does not know yet." default:"3000"`
	Rounds int `help:"Rounds; the best is reported." default:"3"`
}

// Help shows an example.
func (risCmd) Help() string {
	return "A whole appliance with its database on disk starts with a RIS that is new in its settings: it is owed every open order.\n" +
		"Each message is acknowledged over loopback, and each outcome is on the disk.\n\nExample:\n\n  bench ris --orders 3000"
}

// Validate answers kong.
func (c risCmd) Validate() error {
	if c.Orders < 10 || c.Orders > 10_000 || c.Rounds < 1 || c.Rounds > 20 {
		return fmt.Errorf("--orders must be 10 to 10000, --rounds 1 to 20")
	}
	return nil
}

// Run measures.
func (c risCmd) Run(ctx context.Context, b *bench, r *report) error {
	var rows []row
	for i := range c.Rounds {
		b.say("round %d: %d orders", i+1, c.Orders)
		x, err := c.round(ctx, b)
		if err != nil {
			return err
		}
		rows = append(rows, x)
	}
	r.add(best(rows, higher).atLeast(500))
	return nil
}

func (c risCmd) round(ctx context.Context, b *bench) (row, error) {
	dir, remove, err := scratch()
	if err != nil {
		return row{}, err
	}
	defer remove()
	dir = filepath.Join(dir, "data")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return row{}, err
	}
	if err := fill(ctx, b, dir, c.Orders, 0); err != nil {
		return row{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	got := newTaker(c.Orders)
	address, err := got.serve(ctx)
	if err != nil {
		return row{}, err
	}
	f := settings("", nil)
	f.HL7.Listen = config.Names{"127.0.0.1:0"}
	peer := config.NewRIS()
	peer.Name, peer.Address = "bench", address
	f.RIS = append(f.RIS, peer)
	app, err := appliance.New(ctx, appliance.Config{Settings: f, DataDir: dir, Version: "bench"})
	if err != nil {
		return row{}, err
	}
	ended := make(chan error, 1)
	run, stop := context.WithCancel(ctx)
	go func() { ended <- app.Run(run) }()
	select {
	case <-got.all:
	case err = <-ended:
		err = fmt.Errorf("the appliance ended early: %w", err)
	case <-ctx.Done():
		err = fmt.Errorf("%d of %d messages came: %w", got.n.Load(), c.Orders, ctx.Err())
	}
	stop()
	if err != nil {
		return row{}, err
	}
	took := time.Duration(got.last.Load() - got.first.Load())
	return row{
		Subject: "outbox to one RIS", Measure: "acknowledged messages", Value: float64(c.Orders-1) / took.Seconds(), Unit: "1/s", N: c.Orders,
		Detail: fmt.Sprintf("%d came twice", got.n.Load()-int64(c.Orders)),
	}, <-ended
}

// taker is a RIS that takes everything at once.
type taker struct {
	want        int64
	n           atomic.Int64
	first, last atomic.Int64 // unix ns
	all         chan struct{}
}

func newTaker(want int) *taker { return &taker{want: int64(want), all: make(chan struct{})} }

func (t *taker) serve(ctx context.Context) (address string, err error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s := mllp.NewServer(mllp.ServerConfig{Handler: t.take})
	go func() { _ = s.Serve(ctx, ln) }() // ends with the round
	return ln.Addr().String(), nil
}

func (t *taker) take(_ context.Context, _ mllp.Conn, frame []byte) ([]byte, error) {
	now := time.Now().UnixNano()
	n := t.n.Add(1)
	if n == 1 {
		t.first.Store(now)
	}
	if n == t.want {
		t.last.Store(now)
		close(t.all)
	}
	answer, _, err := hl7.NewAckTo(hl7.PeekHeader(frame), hl7.Ack{Code: hl7.AA, MessageControlID: fmt.Sprint(n), At: time.Now()}).Bytes()
	return answer, err
}
