package main

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// tellEvery is how often it is said what is not settled.
const tellEvery = 10 * time.Second

// maxShown bounds how many violations are printed.
const maxShown = 15

// settle starts the program for the last time and waits until everything
// agrees, twice in a row, or until the time for it is over. What is wrong then
// is a violation. It returns how long it took.
func (t *trial) settle(ctx context.Context, n *tally) (time.Duration, error) {
	c, err := t.start()
	if err != nil {
		return 0, err
	}
	defer c.kill()
	if err := t.ready(ctx, c, n); err != nil {
		return 0, err
	}
	deadline := time.Now().Add(t.o.settle)
	agreed, told := 0, time.Now()
	for {
		wrong, err := t.unsettled(ctx)
		if err == nil && len(wrong) == 0 {
			wrong, err = t.check(ctx)
		}
		if err == nil && len(wrong) == 0 {
			agreed++
		} else {
			agreed = 0
		}
		if agreed == 2 {
			break
		}
		if time.Since(told) > tellEvery && len(wrong) > 0 {
			told = time.Now()
			fmt.Printf("     after %.0f s still: %s\n", time.Since(c.began).Seconds(), wrong[0])
		}
		if c.died() {
			return 0, fmt.Errorf("the program ended by itself:\n%s", t.lastWords(outName))
		}
		if time.Now().After(deadline) {
			if err != nil {
				return 0, err
			}
			if len(wrong) > 0 {
				all, err := t.check(ctx)
				if err != nil {
					return 0, err
				}
				wrong = append(wrong, all...)
			}
			for _, w := range wrong {
				t.book.violate("%s", w)
			}
			break
		}
		if !pause(ctx, 500*time.Millisecond) {
			return 0, ctx.Err()
		}
	}
	took := time.Since(c.began)
	writes, err := t.checkWrites(ctx)
	if err != nil {
		return 0, err
	}
	for _, w := range writes {
		t.book.violate("%s", w)
	}
	arrivals, err := t.arrivals(ctx)
	t.book.arrived(arrivals)
	c.kill()
	t.checkDatabase(ctx, n)
	return took, err
}

// unsettled says what is still on its way.
func (t *trial) unsettled(ctx context.Context) (what []string, err error) {
	c, err := t.client()
	if err != nil {
		return nil, err
	}
	s, err := c.Status(ctx)
	if err != nil {
		return nil, err
	}
	if s.Hints > 0 {
		what = append(what, fmt.Sprintf("unsettled: %d hints wait", s.Hints))
	}
	for _, d := range s.Destinations {
		if d.Ready+d.Leased+d.Parked > 0 {
			what = append(what, fmt.Sprintf("unsettled: outbox %s: %d ready, %d leased, %d parked", d.Name, d.Ready, d.Leased, d.Parked))
		}
	}
	if n := t.talking.Load(); n > 0 {
		what = append(what, fmt.Sprintf("unsettled: %d messages of the RIS are not answered", n))
	}
	if t.post != nil {
		if n := t.post.undelivered(); n > 0 {
			what = append(what, fmt.Sprintf("unsettled: %d webhooks are not delivered", n))
		}
		if s.Tunnel.State != "connected" || s.Tunnel.Cursor != s.Tunnel.Head || s.Tunnel.Waiting > 0 {
			what = append(what, fmt.Sprintf("unsettled: the tunnel is %s, %d of %d events, %d wait", s.Tunnel.State, s.Tunnel.Cursor, s.Tunnel.Head, s.Tunnel.Waiting))
		}
	}
	if n := t.busy.Load(); n > 0 {
		what = append(what, fmt.Sprintf("unsettled: %d examinations have not ended", n))
	}
	return what, nil
}

var numbers = regexp.MustCompile(`[0-9]+`)

// arrivals returns why open arrivals are there, with their number.
func (t *trial) arrivals(ctx context.Context) (map[string]int, error) {
	c, err := t.client()
	if err != nil {
		return nil, err
	}
	list, err := c.Arrivals(ctx, false)
	reasons := map[string]int{}
	for _, a := range list {
		reasons[numbers.ReplaceAllString(a.Reason, "N")]++
	}
	return reasons, err
}

// verdict prints the summary, and the violations when there are any.
func (t *trial) verdict(n *tally, settled, took time.Duration) error {
	b := t.book
	lines := t.peerLines()
	b.mu.Lock()
	defer b.mu.Unlock()
	kinds := map[string]int{}
	for _, v := range b.violations {
		kind, _, _ := strings.Cut(v, ":")
		kinds[kind]++
	}
	middle, largest := median(n.answers)
	fmt.Printf("\n%d kills (%d while starting, %d aimed at an event) in %.0f s, seed %d\n", t.o.rounds, n.early, n.aimed, took.Seconds(), t.o.seed)
	fmt.Printf("worklist answered %d starts, median %d ms, longest %d ms after the start; settled in %.1f s; database checked %d times\n",
		len(n.answers), middle.Milliseconds(), largest.Milliseconds(), settled.Seconds(), n.checks)
	fmt.Printf("people: %s\n", counts(t.people.done))
	fmt.Printf("%d webhooks stored, %d worklist queries, %d status writes; refused on the way: %s; arrivals: %s\n",
		b.hints, b.queries, len(t.sim.Patches()), counts(b.refused), counts(b.arrivals))
	for _, line := range lines {
		fmt.Println(line)
	}
	fmt.Printf("%d rounds, %d orders, %d MPPS, %d lost, %d doubled, %d identities changed, %d MPPS lost, %d states wrong, %d contents wrong, %d writes wrong, %d database faults, %d other\n",
		t.o.rounds, len(t.people.made()), len(b.acks), kinds["lost"], kinds["doubled"], kinds["identity"], kinds["mpps"], kinds["state"],
		kinds["content"], kinds["write"], kinds["database"], kinds["start"]+kinds["unsettled"]+kinds["relay"]+kinds["post"]+kinds["ris"])
	if len(t.ris) > 0 {
		fmt.Printf("HL7: %d lost, %d doubled, %d out of order, %d wrong, %d refused\n",
			kinds["hl7 lost"], kinds["hl7 doubled"], kinds["hl7 order"], kinds["hl7 wrong"], kinds["hl7 refused"])
	}
	if t.post != nil {
		fmt.Printf("webhooks: %d lost, %d doubled, %d without a look, %d gaps\n", kinds["webhook lost"], kinds["webhook doubled"], kinds["webhook"], kinds["gap"])
	}
	if len(b.violations) == 0 {
		return nil
	}
	for i, v := range b.violations {
		if i == maxShown {
			fmt.Printf("  … and %d more\n", len(b.violations)-i)
			break
		}
		fmt.Println("  " + v)
	}
	return errViolated
}

// counts writes "create 12, delete 3".
func counts(m map[string]int) string {
	if len(m) == 0 {
		return "none"
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, m[k]))
	}
	return strings.Join(parts, ", ")
}
