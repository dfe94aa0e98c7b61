package provet_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

func BenchmarkOrder(b *testing.B) {
	for name, latency := range map[string]time.Duration{"no latency": 0, "20ms": 20 * time.Millisecond} {
		b.Run(name, func(b *testing.B) {
			c := openTenant(b, provetsim.Config{NoLimits: true, Latency: latency}, nil)
			id := strconv.Itoa(c.sim.CreateOrder(provetsim.NewOrder{TargetAreas: []string{"Skull"}, AppointmentAt: time.Now()}))
			if _, err := c.Client.Order(b.Context(), id); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Client.Order(b.Context(), id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSetStatus(b *testing.B) {
	c := openTenant(b, provetsim.Config{NoLimits: true}, nil)
	id := strconv.Itoa(c.sim.CreateOrder(provetsim.NewOrder{}))
	states := []order.State{order.InProgress, order.Completed}
	i := 0
	for b.Loop() {
		i++
		if _, err := c.SetStatus(b.Context(), id, states[i%2]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkChanged(b *testing.B) {
	c := openTenant(b, provetsim.Config{NoLimits: true}, nil)
	for range 500 {
		c.sim.CreateOrder(provetsim.NewOrder{})
	}
	for b.Loop() {
		n := 0
		if err := c.Changed(b.Context(), time.Time{}, func(provet.Row) error { n++; return nil }); err != nil || n < 500 {
			b.Fatal(n, err)
		}
	}
}
