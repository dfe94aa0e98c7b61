package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

// people are those who work in Provet Cloud: they make orders, change them,
// withdraw them, bring them back and delete them.
type people struct {
	t    *trial
	rng  *rand.Rand
	mu   sync.Mutex
	ids  []int
	done map[string]int // how often each thing was done

	withdrawn map[int]time.Time // latest withdrawal of an order, by Provet's clock
	silent    map[string]bool   // orders whose deletion no webhook told
}

// unheard notes that the webhook of a deletion was lost.
func (p *people) unheard(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent[id] = true
}

// deletedUnheard reports whether the webhook of an order's deletion was lost.
func (p *people) deletedUnheard(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.silent[id]
}

// run works until ctx ends.
func (p *people) run(ctx context.Context) {
	for {
		wait := time.Duration(p.rng.ExpFloat64() * float64(p.t.o.every))
		if p.t.calm.Load() {
			wait *= 8
		}
		timer := time.NewTimer(min(wait, 40*p.t.o.every))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
			p.act()
		}
	}
}

// act does one thing. Work is mostly about recent orders.
func (p *people) act() {
	sim, n := p.t.sim, p.rng.IntN(100)
	id, ok := p.pick()
	switch {
	case !ok || n < 40:
		p.create()
	case n < 55:
		p.count("remarks", sim.UpdateOrder(id, func(o *provetsim.Order) { o.Remarks = fmt.Sprintf("Remark %d", p.rng.IntN(1e6)) }))
	case n < 63:
		to := p.patient()
		p.count("patient", sim.UpdateOrder(id, func(o *provetsim.Order) { o.PatientID = to.ID; o.ClientID = to.ClientID }))
	case n < 70:
		p.rename(id)
	case n < 77:
		list := sim.Modalities()
		to := list[p.rng.IntN(len(list))].ID
		p.count("modality", sim.Status(id) == "new" && sim.UpdateOrder(id, func(o *provetsim.Order) { o.ModalityID = to }))
	case n < 88:
		p.count("withdraw", p.withdraw(id))
	case n < 91:
		p.count("bring back", sim.Status(id) == "cancelled" && sim.SetStatus(id, "new"))
	default:
		if n >= 97 || sim.Status(id) == "new" || sim.Status(id) == "scheduled" {
			p.count("delete", sim.DeleteOrder(id))
		}
	}
}

// withdraw cancels an order that a person would cancel: one that is not done.
func (p *people) withdraw(id int) bool {
	switch p.t.sim.Status(id) {
	case "new", "scheduled", "in_progress":
		p.mu.Lock()
		p.withdrawn[id] = p.t.now()
		p.mu.Unlock()
		return p.t.sim.SetStatus(id, "cancelled")
	}
	return false
}

// create makes an order.
func (p *people) create() {
	id := p.t.sim.CreateOrder(p.t.sim.RandomOrder(p.rng))
	p.mu.Lock()
	p.ids = append(p.ids, id)
	p.done["create"]++
	p.mu.Unlock()
}

// rename gives the animal of an order another name, and saves its orders, which
// is what tells about it.
func (p *people) rename(id int) {
	o, ok := p.t.sim.Order(id)
	if !ok {
		return
	}
	p.count("rename", p.t.sim.RenamePatient(o.PatientID, "Renamed "+strconv.Itoa(p.rng.IntN(1e6))))
	for _, other := range p.t.sim.Orders() {
		if other.PatientID == o.PatientID {
			p.t.sim.UpdateOrder(other.ID, func(*provetsim.Order) {})
		}
	}
}

// touch changes one order.
func (p *people) touch(accession string) {
	if id, err := strconv.Atoi(accession); err == nil {
		p.count("touch", p.t.sim.UpdateOrder(id, func(o *provetsim.Order) { o.Remarks += "." }))
	}
}

func (p *people) patient() provetsim.Patient {
	list := p.t.sim.Patients()
	for {
		if x := list[p.rng.IntN(len(list))]; !x.Archived && x.MergedInto == 0 {
			return x
		}
	}
}

// pick returns an order, mostly one of the last twenty.
func (p *people) pick() (int, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.ids)
	if n == 0 {
		return 0, false
	}
	if p.rng.IntN(4) > 0 {
		return p.ids[n-1-p.rng.IntN(min(n, 20))], true
	}
	return p.ids[p.rng.IntN(n)], true
}

func (p *people) count(what string, did bool) {
	if !did {
		return
	}
	p.mu.Lock()
	p.done[what]++
	p.mu.Unlock()
}

// made returns the ids of all orders, the deleted too.
func (p *people) made() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]int(nil), p.ids...)
}

// weather brings short faults of Provet Cloud's until ctx ends.
func (t *trial) weather(ctx context.Context, rng *rand.Rand) {
	faults := []provetsim.Fault{
		{Kind: provetsim.FaultStatus, Rate: 0.3, Status: 503},
		{Kind: provetsim.FaultStatus, Rate: 0.2, Status: 500},
		{Kind: provetsim.FaultReset, Rate: 0.3},
		{Kind: provetsim.FaultResetAfter, Rate: 0.3},
		{Kind: provetsim.FaultResetAfter, Method: "PATCH"},
		{Kind: provetsim.FaultCut, Rate: 0.2},
		{Kind: provetsim.FaultTruncated, Rate: 0.2},
		{Kind: provetsim.FaultSlow, Delay: 80 * time.Millisecond},
		{Kind: provetsim.FaultAuth, Count: 3},
		{Kind: provetsim.FaultThrottle, Count: 2, Delay: time.Second},
		{Kind: provetsim.FaultHang, Count: 1},
	}
	for {
		if !pause(ctx, time.Duration(500+rng.IntN(1500))*time.Millisecond) {
			return
		}
		id := t.sim.Inject(faults[rng.IntN(len(faults))])
		pause(ctx, time.Duration(50+rng.IntN(300))*time.Millisecond)
		t.sim.RemoveFault(id)
		if rng.IntN(5) == 0 {
			t.sim.ExpireTokens()
		}
	}
}

// pause waits, and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
