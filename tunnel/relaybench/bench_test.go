package relaybench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// The benches start the program again as their relay; here that is the test's binary.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		if err := Serve(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Every bench runs once, small. What it measures is not judged, but what must hold
// on any machine: nothing is lost, and nothing is left behind.
func TestBenchesRun(t *testing.T) {
	for _, x := range []struct {
		name string
		rows int
		run  func(ctx context.Context, say Say, r *Report) error
	}{
		{"ingest", 3, Ingest{For: 200 * time.Millisecond, Rounds: 1, Clients: 4, Agents: 3, Size: 500}.Run},
		{"latency", 2, Latency{For: 300 * time.Millisecond, Rounds: 1, Rate: 50, Clinics: []int{2}, Size: 500}.Run},
		{"agents", 3, Agents{Count: 20, PingEvery: 200 * time.Millisecond, calm: time.Second}.Run},
		{"reconnect", 3, Reconnect{Agents: 2000, Rate: 100, Outages: []time.Duration{30 * time.Second}, Seed: 1}.Run},
		{"soak", 5, Soak{For: 3 * time.Second, Agents: 2, Rate: 50, Cut: time.Second, Restart: time.Second, MaxBytes: 2000}.Run},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := NewReport(x.name)
			if err := x.run(t.Context(), t.Logf, r); err != nil {
				t.Fatal(err)
			}
			if len(r.Rows) != x.rows {
				t.Errorf("%d rows: %+v", len(r.Rows), r.Rows)
			}
			var text, coded bytes.Buffer
			if err := r.Print(&text, false); err != nil {
				t.Error(err)
			}
			t.Log(text.String())
			if err := r.Print(&coded, true); err != nil || json.Unmarshal(coded.Bytes(), &Report{}) != nil {
				t.Errorf("%v: %s", err, coded.String())
			}
			for _, row := range r.Rows {
				if strings.HasSuffix(row.Measure, "lost") && row.Value != 0 || strings.HasPrefix(row.Measure, "goroutines left") && row.Value >= 10 {
					t.Errorf("%s: %+v", row.Measure, row)
				}
			}
		})
	}
}

// A fleet of the shipped back-off stays below the capacity after every outage.
func TestReconnectOfAFleet(t *testing.T) {
	o := Reconnect{Agents: 50_000, Rate: 1800, Seed: 7}
	for _, outage := range []time.Duration{2 * time.Second, 30 * time.Second, 300 * time.Second} {
		if f := o.simulate(outage); f.busiest > o.Rate || f.mostRefused > 1 || f.last > time.Minute+2*o.window() {
			t.Errorf("%s: %+v", outage, f)
		}
	}
}

func TestLedger(t *testing.T) {
	l := ledger{open: map[int64]fate{}}
	l.answer(1, true)
	if l.missing() != 1 {
		t.Error("answered and not delivered is missing")
	}
	l.deliver(1)
	l.deliver(2) // before its answer
	l.answer(2, true)
	l.answer(3, false)
	l.deliver(3) // committed, and the answer was lost
	l.deliver(4)
	l.answer(4, false)
	l.answer(5, false)
	if l.missing() != 0 || len(l.open) != 1 || l.answered != 2 || l.failed != 3 || l.delivered != 4 {
		t.Errorf("%+v", &l)
	}
}
