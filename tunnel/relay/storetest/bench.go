package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// The events of the benchmarks: 1 KB of body, 500 B of header, for this many clinics.
const (
	benchClinics = 1000
	benchBody    = 1024
	benchHeader  = 500
)

// Bench runs the benchmarks of a store.
func Bench(b *testing.B, s Suite) {
	for _, writers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("Append/%d", writers), func(b *testing.B) { benchAppend(b, s, writers) })
	}
	b.Run("LifeCycle/64", func(b *testing.B) { benchLifeCycle(b, s, 64) })
}

func benchStore(b *testing.B, s Suite) (Store, []wire.ClinicID) {
	b.Helper()
	st := s.New(b)(b)
	ids := make([]wire.ClinicID, benchClinics)
	var adding sync.WaitGroup
	for i := range ids {
		ids[i] = wire.ClinicID(fmt.Sprintf("clinic%010d", i))
		adding.Go(func() {
			if err := st.AddClinic(b.Context(), relay.Clinic{ID: ids[i], Name: string(ids[i]), CreatedAt: Start}); err != nil {
				b.Error(err)
			}
		})
		if i%200 == 199 {
			adding.Wait()
		}
	}
	adding.Wait()
	return st, ids
}

func benchEvent() relay.Event {
	e := relay.Event{Kind: "worklist.created", Header: make([]byte, benchHeader), Body: make([]byte, benchBody)}
	for _, part := range [][]byte{e.Header, e.Body} {
		for i := range part {
			part[i] = byte(rand.Uint32()) //nolint:gosec // as a sealed body looks
		}
	}
	return e
}

// benchAppend is a closed loop of writers.
func benchAppend(b *testing.B, s Suite, writers int) {
	st, ids := benchStore(b, s)
	waits := make([][]time.Duration, writers)
	var next atomic.Int64
	var working sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for w := range writers {
		working.Go(func() {
			e := benchEvent()
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				began := time.Now()
				e.ReceivedAt = began
				if _, err := st.Append(b.Context(), ids[i*7919%benchClinics], e); err != nil {
					b.Error(err)
					return
				}
				waits[w] = append(waits[w], time.Since(began))
			}
		})
	}
	working.Wait()
	b.StopTimer()
	report(b, slices.Concat(waits...))
}

func report(b *testing.B, waits []time.Duration) {
	b.Helper()
	slices.Sort(waits)
	ms := func(q float64) float64 { return float64(waits[int(q*float64(len(waits)-1))].Microseconds()) / 1000 }
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(ms(0.5), "p50-ms")
	b.ReportMetric(ms(0.99), "p99-ms")
	b.ReportMetric(0, "ns/op")
}

// benchLifeCycle appends, reads and acknowledges each event, and in the end removes them all; the whole time counts.
func benchLifeCycle(b *testing.B, s Suite, writers int) {
	st, ids := benchStore(b, s)
	epochs := make([]wire.Epoch, len(ids))
	for i, id := range ids {
		epochs[i] = claim(b, st, id, "n").Epoch
	}
	var next atomic.Int64
	var working sync.WaitGroup
	waits := make([][]time.Duration, writers)
	b.ResetTimer()
	for w := range writers {
		working.Go(func() {
			e := benchEvent()
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				began := time.Now()
				e.ReceivedAt = began
				k := i * 7919 % benchClinics
				seq, err := st.Append(b.Context(), ids[k], e)
				if err == nil {
					_, err = st.After(b.Context(), ids[k], seq-1, 10, 1<<20)
				}
				if err == nil {
					err = st.Ack(b.Context(), ids[k], seq, epochs[k])
				}
				if err != nil {
					b.Error(err)
					return
				}
				waits[w] = append(waits[w], time.Since(began))
			}
		})
	}
	working.Wait()
	removed := 0
	for more := true; more; {
		x := expire(b, st, time.Now().Add(75*time.Hour), relay.Limits{})
		removed, more = removed+x.Acked, x.More
	}
	b.StopTimer()
	if removed != b.N {
		b.Errorf("%d of %d events were removed", removed, b.N)
	}
	report(b, slices.Concat(waits...))
}
