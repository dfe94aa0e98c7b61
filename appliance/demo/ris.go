package demo

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/hl7/hl7sim"
)

// risName is the RIS in the settings and in every timeline.
const risName = "clinic-ris"

// openRIS starts a RIS that takes every order and writes a report after the
// imaging.
func (c *clinic) openRIS() (err error) {
	c.ris, err = hl7sim.New(hl7sim.Config{
		Seed: uint64(c.opts.Seed),
		Auto: &hl7sim.Auto{
			Number: true, Start: -1, Report: c.opts.Report,
			Text: "No fracture is seen. The soft tissue is unremarkable.",
		},
		Tries: 5, RetryAfter: time.Second,
	})
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(c.ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	c.risAddress = ln.Addr().String()
	c.run("RIS", func(ctx context.Context) error { return c.ris.Serve(ctx, ln) })
	return nil
}

// risSettings are those of the RIS in the settings file.
func (c *clinic) risSettings() config.RIS {
	r := config.NewRIS()
	r.Name, r.Address = risName, c.risAddress
	r.Version, r.Message = "2.5.1", "OMI^O23"
	r.ReceivingApplication, r.ReceivingFacility = "RIS", "Clinic"
	return r
}

// tellRIS lets the RIS know what it would learn from the machines: that an exam
// was performed. Its report follows.
func (c *clinic) tellRIS(o *order.Order, e order.Entry) {
	if c.ris == nil || e.Kind != string(order.Completed) {
		return
	}
	accession := o.AccessionNumber
	go func() { // the RIS may get the order a moment later than the machine
		ctx, cancel := context.WithTimeout(c.ctx, settleWithin)
		defer cancel()
		// A demo goes on without a report; with --once its absence is seen in the end.
		_ = c.until(ctx, "", func() bool { return c.ris.ExamDone(accession) == nil })
	}()
}

// risHolds says what is wrong with what the RIS got for these orders; "" is
// nothing.
func (c *clinic) risHolds(accessions []string) string {
	s := c.ris.Snapshot()
	if len(s.Anomalies) > 0 {
		return s.Anomalies[0].Text
	}
	for _, a := range accessions {
		i := slices.IndexFunc(s.Orders, func(o hl7sim.Order) bool { return o.AccessionNumber == a })
		if i < 0 {
			return "order " + a + " did not reach it"
		}
	}
	return ""
}
