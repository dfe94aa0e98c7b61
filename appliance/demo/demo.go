package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

// onceLimit bounds a run with Once: a start, and time for each order.
const onceLimit = time.Minute

// ErrUnfinished says that an order did not reach Provet Cloud as completed.
var ErrUnfinished = errors.New("demo: an order did not reach Provet Cloud as completed")

// Run runs the demo until ctx ends or, with Once, until every order is done.
func Run(ctx context.Context, o Options) error {
	o = o.withDefaults()
	p := &printer{out: o.Out}
	c, err := open(ctx, o, func(x *order.Order, e order.Entry) {
		if !o.Once {
			p.line(x, e)
		}
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(o.Out, "Rayhound demo: an invented clinic on loopback.\n  status and API  http://%s\n  worklist        RAYHOUND@%s\n  relay           %s\n  RIS             %s\n  data            %s\n\n",
		c.app.PageAddr(), c.address, c.relay, c.risAddress, c.dir)
	if o.Once {
		err = c.once(p)
	} else {
		err = c.calm()
	}
	return errors.Join(err, c.close())
}

func (o Options) withDefaults() Options {
	def := func(d *time.Duration, calm, once time.Duration) {
		switch {
		case *d != 0:
		case o.Once:
			*d = once
		default:
			*d = calm
		}
	}
	def(&o.Refresh, time.Second, 50*time.Millisecond)
	def(&o.Exam, 5*time.Second, 0)
	def(&o.Pace, 8*time.Second, 0)
	def(&o.Report, 3*time.Second, 0)
	if o.Orders <= 0 {
		o.Orders = 1
	}
	if o.Seed == 0 {
		o.Seed = time.Now().UnixNano()
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	return o
}

// calm makes a new order every now and then, changes some and withdraws some,
// until ctx ends.
func (c *clinic) calm() error {
	fmt.Fprintln(c.opts.Out, "Orders come every few seconds. Ctrl-C ends the demo.")
	tick := time.NewTicker(c.opts.Pace)
	defer tick.Stop()
	for n := 0; ; n++ {
		id := c.sim.CreateOrder(c.sim.RandomOrder(nil))
		switch n % 5 {
		case 2: // the vet adds a remark
			c.sim.UpdateOrder(id, func(o *provetsim.Order) { o.Remarks = "Please include the left side as well." })
		case 4: // the vet thinks again
			c.sim.DeleteOrder(id)
		}
		select {
		case <-c.ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// once brings the orders through the whole loop and prints what happened.
func (c *clinic) once(p *printer) error {
	n := c.opts.Orders
	ctx, cancel := context.WithTimeout(c.ctx, onceLimit+time.Duration(n)*500*time.Millisecond)
	defer cancel()
	began := time.Now()
	ids := c.sim.CreateOrders(n)
	fmt.Fprintf(c.opts.Out, "%d order(s) requested in Provet Cloud\n", n)
	done, unfinished := 0, 0
	next := max(1, n/10)
	for _, id := range ids {
		if err := c.sim.WaitStatus(ctx, id, "done"); err != nil {
			unfinished++
			continue
		}
		if done++; n > 1 && (done%next == 0 || done == n) {
			fmt.Fprintf(c.opts.Out, "  %d of %d reported back after %.1f s\n", done, n, time.Since(began).Seconds())
		}
	}
	took := time.Since(began)
	fmt.Fprintln(c.opts.Out)
	var accessions []string
	for _, id := range ids {
		accession, err := c.story(ctx, p, id)
		if err != nil {
			return err
		}
		accessions = append(accessions, accession)
	}
	if v := c.sim.Violations(); len(v) > 0 {
		return fmt.Errorf("demo: Rayhound wrote more than a status to Provet Cloud %d times", len(v))
	}
	if unfinished > 0 {
		return fmt.Errorf("%w: %d of %d", ErrUnfinished, unfinished, n)
	}
	if wrong := c.risHolds(accessions); wrong != "" {
		return fmt.Errorf("demo: the RIS: %s", wrong)
	}
	fmt.Fprintf(c.opts.Out, "%d of %d orders went from request to \"done\" in Provet Cloud, in %.1f s.\n", done, n, took.Seconds())
	return nil
}

// story prints one order's timeline and returns its accession number.
func (c *clinic) story(ctx context.Context, p *printer, id int) (accession string, err error) {
	// The report of the last status is written just after Provet shows it.
	var o *order.Order
	var timeline []order.Entry
	for range 1000 {
		if o, timeline, err = c.app.Order(context.WithoutCancel(ctx), strconv.Itoa(id)); err != nil {
			return "", fmt.Errorf("demo: order %d: %w", id, err)
		}
		if told(timeline) || ctx.Err() != nil {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
	p.title(o)
	for _, e := range timeline {
		p.entry(e)
	}
	fmt.Fprintln(p.out)
	return o.AccessionNumber, nil
}

// told reports whether a timeline has come to rest: the machine's query, the
// last status in Provet Cloud and the RIS's report stand in it. They are written
// just after they happened.
func told(timeline []order.Entry) bool {
	seen, read, reports, states := false, false, 0, 0
	for _, e := range timeline {
		switch e.Kind {
		case "seen":
			seen = true
		case "report":
			read = true
		case "reported":
			reports++
		case string(order.Completed):
			states, reports = 1, 0
		}
	}
	return seen && read && states > 0 && reports > 0
}

// printer writes timelines for people.
type printer struct {
	mu  sync.Mutex
	out io.Writer
}

// marks are the signs before a line of a timeline.
var marks = map[string]string{"held": "!", "parked": "!", "idle": "!", "withdrawn_late": "!", "patient_differs": "!"}

func mark(kind string) string {
	if m := marks[kind]; m != "" {
		return m
	}
	return "✓"
}

// line prints one event of any order, for the calm demo.
func (p *printer) line(o *order.Order, e order.Entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, "%s %s %-7s %-22s %s\n", e.At.Local().Format(time.TimeOnly), mark(e.Kind), o.AccessionNumber, animal(o), e.Text)
}

func (p *printer) title(o *order.Order) {
	fmt.Fprintf(p.out, "%s  %s · %s · %s\n", o.AccessionNumber, animal(o), modalities(o), o.State)
}

func (p *printer) entry(e order.Entry) {
	fmt.Fprintf(p.out, "  %s %s %s\n", e.At.Local().Format("15:04:05.000"), mark(e.Kind), e.Text)
}

func animal(o *order.Order) string {
	p := o.Content.Patient
	if p.Species == "" {
		return p.Name
	}
	return p.Name + " (" + p.Species + ")"
}

func modalities(o *order.Order) string {
	s := ""
	for i, m := range o.Content.Modalities {
		if i > 0 {
			s += ", "
		}
		s += m.Name
	}
	return s
}
