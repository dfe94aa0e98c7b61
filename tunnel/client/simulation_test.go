package client_test

import (
	"container/heap"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/client"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// TestReconnectOfAFleet simulates 50,000 agents that lose their relay at once, with the
// back-off code that ships and the relay's accept bucket: nobody is refused more than
// once, accepted handshakes never exceed the capacity, and all are back within
// 60 s + 2·W of the relay's return.
func TestReconnectOfAFleet(t *testing.T) {
	const agents, rate = 50_000, 1_800
	w := 2 * time.Second * agents / rate
	for _, outage := range []time.Duration{2 * time.Second, 30 * time.Second, 300 * time.Second} {
		t.Run(outage.String(), func(t *testing.T) {
			r := simulate(agents, rate, w, outage)
			t.Logf("W %v: busiest second %d, refused %d (most for one agent %d), last back %v after the return",
				w.Round(time.Second), r.busiest, r.refused, r.mostRefused, r.last.Round(time.Second))
			if r.mostRefused > 1 || r.busiest > rate || r.last > time.Minute+2*w {
				t.Errorf("%+v", r)
			}
			if outage == 30*time.Second && outage+r.last > 120*time.Second {
				t.Errorf("all back %v after the loss", outage+r.last)
			}
		})
	}
}

// TestReconnectOfAFewClinics: twenty clinics need no window.
func TestReconnectOfAFewClinics(t *testing.T) {
	if r := simulate(20, 500, 0, 2*time.Second); r.refused != 0 || r.last > 10*time.Second {
		t.Errorf("%+v", r)
	}
}

type simulated struct {
	busiest     int // accepted in one second
	refused     int
	mostRefused int
	last        time.Duration // until the last agent was back, from the relay's return
}

// simulate plays the loss at 0 of all agents. Attempts in the outage fail at once, and
// attempts beyond the bucket are told to wait, as the relay tells them.
func simulate(agents, rate int, w, outage time.Duration) (r simulated) {
	rng := rand.New(rand.NewPCG(1, 2))
	type agent struct {
		backoff client.Backoff
		refused int
	}
	fleet := make([]agent, agents)
	var q attempts
	for i := range fleet {
		fleet[i].backoff = client.Backoff{Window: w, Rand: rng.Int64N}
		q = append(q, attempt{fleet[i].backoff.Next(), i})
	}
	heap.Init(&q)
	// The bucket holds a tenth of a second and refills at the rate.
	tokens, at := float64(rate)/10, time.Duration(0)
	accepted := map[time.Duration]int{}
	for q.Len() > 0 {
		a, _ := heap.Pop(&q).(attempt)
		g := &fleet[a.agent]
		if a.at < outage {
			heap.Push(&q, attempt{a.at + g.backoff.Next(), a.agent})
			continue
		}
		tokens, at = min(float64(rate)/10, tokens+float64(rate)*(a.at-at).Seconds()), a.at
		if tokens < 1 {
			r.refused++
			g.refused++
			r.mostRefused = max(r.mostRefused, g.refused)
			retry, _ := wire.ParseRetry(wire.RetryReason(time.Second))
			heap.Push(&q, attempt{a.at + g.backoff.After(retry), a.agent})
			continue
		}
		tokens--
		accepted[a.at/time.Second]++
		r.busiest = max(r.busiest, accepted[a.at/time.Second])
		r.last = max(r.last, a.at-outage)
	}
	return r
}

type attempt struct {
	at    time.Duration
	agent int
}

type attempts []attempt

func (q attempts) Len() int           { return len(q) }
func (q attempts) Less(i, j int) bool { return q[i].at < q[j].at }
func (q attempts) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

func (q *attempts) Push(x any) {
	a, _ := x.(attempt)
	*q = append(*q, a)
}

func (q *attempts) Pop() any {
	n := len(*q) - 1
	a := (*q)[n]
	*q = (*q)[:n]
	return a
}
