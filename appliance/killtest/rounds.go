package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/query"
	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/ui"
)

// What a kill can wait for. The moment comes a little later, so that it falls
// before, into or behind the transaction.
const (
	aimNothing int32 = iota
	aimCreate        // a machine sends N-CREATE
	aimSet           // a machine sends its final N-SET
	aimHint          // a webhook is handed over
	aimPatch         // Provet Cloud has written a status and not answered yet
	aimTold          // a RIS has a message and not answered yet; these two with a RIS only
	aimSaid          // a RIS sends a status or a report
	aims
)

const (
	checkEvery = 10
	longEvery  = 20 // a life that is long enough to poll again, and to try again what failed
	longLife   = 6 * time.Second
)

// quiet is how many rounds there are at the end without new load: what waits is
// worked off, within the call budget of each start.
func quiet(rounds int) int { return max(2, rounds/10) }

// aim tells that something happened which a kill may wait for.
func (t *trial) aim(what int32) {
	if t.aimed.CompareAndSwap(what, aimNothing) {
		select {
		case t.fire <- struct{}{}:
		default:
		}
	}
}

// tally counts the rounds.
type tally struct {
	early, aimed int // killed before it was ready, at an event
	answers      []time.Duration
	checks       int // of the database
}

// play runs the rounds and returns the verdict.
func (t *trial) play(ctx context.Context) error {
	began := time.Now()
	work, stopMachines := context.WithCancel(ctx)
	defer stopMachines()
	for _, x := range t.technicians {
		t.wg.Go(func() { x.run(work) })
	}
	load, stopLoad := context.WithCancel(ctx)
	defer stopLoad()
	first, secondHalf := context.WithCancel(load)
	defer secondHalf()
	if err := t.openPeers(ctx, first, load, work); err != nil {
		return err
	}
	t.lossy.Store(true)
	t.wg.Go(func() { t.people.run(load) })
	t.wg.Go(func() { t.weather(load, dice(t.o.seed, "weather")) })

	rng, n := dice(t.o.seed, "kills"), &tally{}
	for i := 1; i <= t.o.rounds; i++ {
		if i == t.o.rounds/2+1 {
			secondHalf()
		}
		if i == max(2, t.o.rounds-quiet(t.o.rounds)+1) {
			stopLoad()
			t.lossy.Store(false)
			t.evening.Add(int64(time.Hour)) // what comes now is all that changed lately
			t.people.create()
		}
		if err := t.round(ctx, rng, n, i); err != nil {
			return err
		}
		if i%checkEvery == 0 || i == t.o.rounds {
			t.checkDatabase(ctx, n)
			fmt.Printf("%4d of %d kills after %5.1f s: %d orders, %d MPPS acknowledged, %d violations\n",
				i, t.o.rounds, time.Since(began).Seconds(), len(t.people.made()), t.book.ackCount(), t.book.broken())
		}
	}
	stopLoad()
	t.lossy.Store(false)
	settled, err := t.settle(ctx, n)
	if err != nil {
		return err
	}
	stopMachines()
	t.relayEnded.Wait()
	t.stopped(ctx)
	return t.verdict(n, settled, time.Since(began))
}

// round is one life of the program, from its start to SIGKILL.
func (t *trial) round(ctx context.Context, rng *rand.Rand, n *tally, number int) error {
	c, err := t.start()
	if err != nil {
		return err
	}
	defer c.kill()
	aimedAt := aimNothing
	how, wait := rng.IntN(10), time.Duration(5+rng.IntN(396))*time.Millisecond
	if how < 2 { // in the middle of the start
		n.early++
		pause(ctx, wait*3/4)
		c.kill()
		return ctx.Err()
	}
	if err := t.ready(ctx, c, n); err != nil {
		return err
	}
	if number%checkEvery == 5 {
		t.look(ctx)
	}
	if number%longEvery == 15 {
		t.calm.Store(true)
		pause(ctx, longLife)
		t.calm.Store(false)
	}
	if how < 6 { // at an event
		n.aimed++
		delay := time.Duration(rng.IntN(4000)) * time.Microsecond
		select {
		case <-t.fire: // of an earlier round
		default:
		}
		last := aims
		if len(t.ris) == 0 {
			last = aimTold
		}
		aimedAt = 1 + rng.Int32N(last-1)
		t.aimed.Store(aimedAt)
		select {
		case <-t.fire:
			pause(ctx, delay)
		case <-time.After(600 * time.Millisecond):
		case <-ctx.Done():
		}
		t.aimed.Store(aimNothing)
	} else {
		pause(ctx, wait)
	}
	if c.died() {
		return fmt.Errorf("the program ended by itself:\n%s", t.lastWords(outName))
	}
	c.kill()
	if aimedAt == aimTold { // what it took is not known, and it is not there to be asked again
		for _, r := range t.ris {
			r.sim.Unplug()
			for _, accession := range r.latest(8) {
				t.people.touch(accession)
			}
			t.gloom.Add(1)
			t.wg.Go(func() {
				r.dark(ctx, 1200*time.Millisecond)
				t.gloom.Add(-1)
			})
		}
	}
	if aimedAt == aimHint && t.post != nil {
		t.checkAcks(ctx)
	}
	return ctx.Err()
}

// ready waits until a worklist query is answered.
func (t *trial) ready(ctx context.Context, c *child, n *tally) error {
	late := false
	for {
		if _, err := t.probe.Worklist(ctx, query.Keys{StationAETitle: machines[len(machines)-1].title}); err == nil {
			n.answers = append(n.answers, time.Since(c.began))
			return nil
		}
		if c.died() {
			return fmt.Errorf("the program ended by itself:\n%s", t.lastWords(outName))
		}
		if took := time.Since(c.began); took > t.o.answer && !late {
			late = true
			t.book.violate("start: no worklist query was answered within %s of start %d", t.o.answer, len(n.answers))
		} else if took > 10*t.o.answer {
			return fmt.Errorf("the program does not answer:\n%s", t.lastWords(outName))
		}
		if !pause(ctx, 5*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// look notes all orders as the API shows them in the middle of things.
func (t *trial) look(ctx context.Context) {
	if list, err := t.orders(ctx); err == nil {
		t.book.listed(list)
	}
}

// orders returns all orders of the program, page by page. Pages of a list that
// grows meanwhile may overlap; an order that is seen twice with one id is one.
func (t *trial) orders(ctx context.Context) ([]ui.Order, error) {
	c, err := t.client()
	if err != nil {
		return nil, err
	}
	const page = 1000
	var all []ui.Order
	for {
		list, err := c.Orders(ctx, ui.OrderFilter{Limit: page, Offset: len(all)})
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
		if len(list) < page {
			return all, nil
		}
	}
}

// checkDatabase opens the database that a kill left behind and checks it whole.
func (t *trial) checkDatabase(ctx context.Context, n *tally) {
	db, err := localdb.Open(ctx, localdb.Config{Path: filepath.Join(t.dataDir, "rayhound.db"), Version: "killtest"})
	if err != nil {
		t.book.violate("database: it does not open: %v", err)
		return
	}
	defer func() { _ = db.Close() }() // it was only read
	n.checks++
	if err := db.QuickCheck(ctx); err != nil {
		t.book.violate("database: %v", err)
	}
}

// median returns the middle and the largest of the durations.
func median(list []time.Duration) (middle, largest time.Duration) {
	if len(list) == 0 {
		return 0, 0
	}
	s := slices.Sorted(slices.Values(list))
	return s[len(s)/2], s[len(s)-1]
}
