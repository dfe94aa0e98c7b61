package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/rayhound/rayhound/localdb"
)

// figures count what the peers saw.
type figures struct {
	messages, repeated, came int // HL7 messages of ours by control id, those that came again, all that came
	dropped                  int // made pointless before they were sent
	reports, statuses        int // accepted from the RIS
	unmatched                int // of them about an order that was for another animal by then
	stored, tries, early     int // webhooks: answered 200, tries, stored although the answer was lost
	events                   int // in the inbox
	ackChecks                int // after kills
}

// openPeers sets the RIS and the relay to work. The faults end with load, what
// has to be finished with work. During the first half the relay keeps nothing
// that was acknowledged.
func (t *trial) openPeers(ctx, first, load, work context.Context) error { //nolint:revive // all are contexts
	if t.post != nil {
		if err := t.post.join(ctx); err != nil {
			return err
		}
		t.wg.Go(func() { t.post.shortMemory(first) })
		t.relayEnded.Go(func() { t.post.run(load, work) })
	}
	if len(t.ris) > 0 {
		t.wg.Go(func() { t.nurse(work) })
	}
	for _, r := range t.ris {
		t.wg.Go(func() { r.weather(load) })
		for i := range 3 {
			rng := dice(t.o.seed, fmt.Sprintf("%s %d", r.settings.Name, i))
			t.wg.Go(func() { r.work(load, work, rng) })
		}
	}
	return nil
}

// stopped compares what the peers hold with what the program kept, after the
// program and the relay were ended.
func (t *trial) stopped(ctx context.Context) {
	db, err := localdb.Open(ctx, localdb.Config{Path: filepath.Join(t.dataDir, "rayhound.db"), Version: "killtest"})
	if err != nil {
		t.book.violate("database: it does not open: %v", err)
		return
	}
	defer func() { _ = db.Close() }() // it was only read
	if len(t.ris) > 0 {
		if err := t.checkRIS(ctx, db); err != nil {
			t.book.violate("ris: %v", err)
		}
	}
	if t.post != nil {
		if err := t.checkPost(ctx, db); err != nil {
			t.book.violate("post: %v", err)
		}
	}
}

// peerLines are the lines of the summary about the peers.
func (t *trial) peerLines() (lines []string) {
	f := t.figures
	if len(t.ris) > 0 {
		lines = append(lines, fmt.Sprintf("RIS: %d messages, %d of them more than once, %d deliveries; %d never sent because they were superseded; %d reports and %d statuses accepted, %d of them left to a person",
			f.messages, f.repeated, f.came, f.dropped, f.reports, f.statuses, f.unmatched))
	}
	if t.post != nil {
		lines = append(lines, fmt.Sprintf("relay: %d kills (%d while starting); %d webhooks answered 200 in %d tries (%s), %d stored whose answer was lost; %d events in the inbox, %d forgotten by the relay; acknowledgements checked %d times",
			t.post.kills, t.post.early, f.stored, f.tries, counts(t.post.statuses), f.early, f.events, t.post.forgotten, f.ackChecks))
	}
	return lines
}
