package relaybench

import (
	"slices"
	"sync"
	"time"
)

// samples are durations of one kind.
type samples struct {
	mu  sync.Mutex
	all []time.Duration
}

func (s *samples) add(d ...time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, d...)
}

func (s *samples) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// quantiles returns the median and the 99th percentile in ms, nearest rank.
func (s *samples) quantiles() (p50, p99 float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == 0 {
		return 0, 0
	}
	slices.Sort(s.all)
	at := func(q float64) float64 {
		return float64(s.all[min(int(q*float64(len(s.all))), len(s.all)-1)].Microseconds()) / 1000
	}
	return at(0.50), at(0.99)
}

// row is the median with its tail.
func (s *samples) row(subject, measure string) Row {
	p50, p99 := s.quantiles()
	return Row{Subject: subject, Measure: measure, Value: p50, Unit: "ms", P50: p50, P99: p99, N: s.count()}
}
