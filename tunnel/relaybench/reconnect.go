package relaybench

import (
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/time/rate"

	"github.com/rayhound/rayhound/tunnel/client"
)

// Reconnect simulates how a fleet comes back after an outage, with the back-off code
// that ships in the appliance and the accept bucket of the relay. It takes no real
// time and opens no socket.
type Reconnect struct {
	Agents  int
	Rate    int // handshakes a second that the relays accept together
	Outages []time.Duration
	Seed    uint64
}

// Run simulates.
func (o Reconnect) Run(ctx context.Context, say Say, r *Report) error {
	w := o.window()
	for _, outage := range o.Outages {
		if err := ctx.Err(); err != nil {
			return err
		}
		say("%d agents, outage of %s", o.Agents, outage)
		f := o.simulate(outage)
		name := fmt.Sprintf("%d agents, outage of %s", o.Agents, outage)
		back := Row{Subject: name, Measure: "last back after the relay's return", Value: f.last.Seconds(), Unit: "s", N: o.Agents}
		back = back.atMost((time.Minute + 2*w).Round(time.Second).Seconds())
		back.Detail = fmt.Sprintf("%.0f s after the loss", (outage + f.last).Seconds())
		if outage == 30*time.Second {
			back = back.judge((outage+f.last).Seconds() <= 120, "≤ 120 s after the loss")
		}
		refused := Row{Subject: name, Measure: "times one agent was refused", Value: float64(f.mostRefused)}
		refused.Detail = fmt.Sprintf("%d refused in all, %d attempts", f.refused, f.attempts)
		r.add(Row{Subject: name, Measure: "accepted in the busiest second", Value: float64(f.busiest), Unit: "/s"}.atMost(float64(o.Rate)),
			refused.atMost(1), back)
	}
	r.note("Simulated. Window of the fleet (W): %s; accept rate %d/s.", w.Round(100*time.Millisecond), o.Rate)
	return nil
}

// window is what a relay tells a fleet of this size: twice the agents over the rate.
func (o Reconnect) window() time.Duration {
	return time.Duration(2 * float64(o.Agents) / float64(o.Rate) * float64(time.Second))
}

// found is what a simulation gave.
type found struct {
	attempts    int // after the relay's return
	busiest     int // accepted in any second
	refused     int
	mostRefused int
	last        time.Duration // until the last agent was back, from the relay's return
}

// simulate plays the loss of all agents at 0. In the outage every attempt fails at
// once; an attempt for which the bucket has nothing is told to wait a second and a
// random part of the window, as the relay does.
func (o Reconnect) simulate(outage time.Duration) (f found) {
	rng := rand.New(rand.NewPCG(o.Seed, o.Seed))
	w := o.window()
	fleet := make([]struct {
		backoff client.Backoff
		refused int
	}, o.Agents)
	var q attempts
	for i := range fleet {
		fleet[i].backoff = client.Backoff{Window: w, Rand: rng.Int64N}
		q = append(q, attempt{fleet[i].backoff.Next(), i})
	}
	heap.Init(&q)
	zero := time.Now()
	bucket := rate.NewLimiter(rate.Limit(o.Rate), o.Rate)
	var recent []time.Duration // accepted within the last second
	for q.Len() > 0 {
		a, _ := heap.Pop(&q).(attempt)
		g := &fleet[a.agent]
		if a.at < outage {
			heap.Push(&q, attempt{a.at + g.backoff.Next(), a.agent})
			continue
		}
		f.attempts++
		if !bucket.AllowN(zero.Add(a.at), 1) {
			f.refused++
			g.refused++
			f.mostRefused = max(f.mostRefused, g.refused)
			told := time.Second + time.Duration(rng.Int64N(int64(max(w, 5*time.Second))))
			heap.Push(&q, attempt{a.at + g.backoff.After(told), a.agent})
			continue
		}
		recent = append(recent, a.at)
		for recent[0] <= a.at-time.Second {
			recent = recent[1:]
		}
		f.busiest = max(f.busiest, len(recent))
		f.last = max(f.last, a.at-outage)
	}
	return f
}

// attempt is when an agent tries.
type attempt struct {
	at    time.Duration
	agent int
}

// attempts are ordered by time (container/heap).
type attempts []attempt

func (q attempts) Len() int           { return len(q) }
func (q attempts) Less(i, j int) bool { return q[i].at < q[j].at }
func (q attempts) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface.
func (q *attempts) Push(x any) {
	a, _ := x.(attempt)
	*q = append(*q, a)
}

// Pop implements heap.Interface.
func (q *attempts) Pop() any {
	n := len(*q) - 1
	a := (*q)[n]
	*q = (*q)[:n]
	return a
}
