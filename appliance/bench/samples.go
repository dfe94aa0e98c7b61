package main

import (
	"slices"
	"time"
)

// samples are durations of one kind.
type samples []time.Duration

// at returns the q-quantile, nearest rank.
func (s samples) at(q float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// row makes a row of a round: the median, and a tail.
func (s samples) row(subject, measure, tailOf string, tail float64) row {
	return row{
		Subject: subject, Measure: measure, Value: millis(s.at(0.5)), Unit: "ms",
		TailOf: tailOf, Tail: millis(s.at(tail)), N: len(s),
	}
}

// best joins the rows of several rounds, one for each round: the computer is
// shared, so the round that was disturbed least says most.
func best(rounds []row, better func(a, b float64) bool) row {
	b := rounds[0]
	var all []float64
	for _, r := range rounds {
		all = append(all, r.Value)
		if better(r.Value, b.Value) {
			b = r
		}
	}
	b.Rounds = all
	return b
}

func lower(a, b float64) bool  { return a < b }
func higher(a, b float64) bool { return a > b }
