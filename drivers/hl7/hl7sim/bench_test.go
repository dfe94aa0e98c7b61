package hl7sim_test

import (
	"strconv"
	"testing"

	"github.com/rayhound/rayhound/drivers/hl7/hl7sim"
	"github.com/rayhound/rayhound/drivers/hl7/orders"
)

// Orders acknowledged by a RIS over loopback, one in flight: build, send, classify.
func BenchmarkSendToRIS(b *testing.B) {
	for _, persistent := range []bool{true, false} {
		b.Run(map[bool]string{true: "persistent", false: "per_message"}[persistent], func(b *testing.B) {
			ris, addr := start(b, hl7sim.Config{MaxMessages: 1000})
			p := orders.Profile{Name: "RIS", Address: addr, CloseAfterEach: !persistent}
			s := orders.NewSender(orders.SenderConfig{Profile: p})
			defer s.Close()
			o, n := testOrder("A1", 1), 0
			b.ReportAllocs()
			for b.Loop() {
				n++
				out := build(b, &p, orders.Change, o, "M"+strconv.Itoa(n))
				if r, err := s.Send(b.Context(), out[0].Bytes); err != nil || r.Class != orders.Delivered {
					b.Fatal(r, err)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "messages/s")
			if d := ris.Snapshot().Deliveries; d != n {
				b.Errorf("%d deliveries, %d sent", d, n)
			}
		})
	}
}
