package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

func testClaim(t *testing.T, s Suite) {
	open := s.New(t)
	st := open(t)
	addClinics(t, st, "a")
	if m := got(st.Mailbox(t.Context(), "a"))(t); m.Epoch != 0 || m.StoreEpoch == "" || m.Head != 0 || !m.LastHeard.IsZero() || m.Before != (relay.Claimant{}) {
		t.Errorf("a new mailbox is %+v", m)
	}
	first := relay.Claimant{Node: "n1", Instance: "i1", Run: "r1", Transport: "websocket", Version: "1.0", At: Start}
	c := got(st.Claim(t.Context(), "a", first))(t)
	if c.Epoch != 1 || c.Before != (relay.Claimant{}) || !c.LastHeard.IsZero() {
		t.Errorf("the first claim is %+v", c)
	}
	seqs := addAt(t, st, "a", Start, 3, 5)
	second := relay.Claimant{Node: "n2", Instance: "i2", Run: "r2", Transport: "long-poll", Version: "1.1", At: Start.Add(time.Hour)}
	c = got(st.Claim(t.Context(), "a", second))(t)
	if c.Epoch != 2 || c.Before != first || !c.LastHeard.Equal(Start) || c.Head != seqs[2] || c.Oldest != seqs[0] || c.RemovedTo != 0 {
		t.Errorf("the second claim is %+v", c)
	}
	if m := got(st.Mailbox(t.Context(), "a"))(t); m.Epoch != 2 || m.Before != second || m.StoreEpoch != c.StoreEpoch || !m.LastHeard.Equal(second.At) {
		t.Errorf("the mailbox is %+v", m)
	}
	must(t, st.Close())
	if c := claim(t, open(t), "a", "n3"); c.Epoch != 3 || c.Before != second {
		t.Errorf("after a restart: %+v", c)
	}
}

func testClaimRace(t *testing.T, s Suite) {
	st := s.fresh(t, "a")
	const n = 40
	epochs := make([]wire.Epoch, n)
	var working sync.WaitGroup
	for i := range n {
		working.Go(func() {
			c, err := st.Claim(t.Context(), "a", relay.Claimant{Node: relay.NodeID(rune('a' + i%20)), At: Start})
			if err != nil {
				t.Error(err)
			}
			epochs[i] = c.Epoch
		})
	}
	working.Wait()
	slices.Sort(epochs)
	for i, e := range epochs {
		if e != wire.Epoch(i+1) {
			t.Fatalf("epochs %v", epochs)
		}
	}
}

func testAck(t *testing.T, s Suite) {
	st, ctx := s.fresh(t, "a"), t.Context()
	seqs := addAt(t, st, "a", Start, 5, 5)
	acked := func() wire.Seq { return got(st.Mailbox(ctx, "a"))(t).Acked }
	one := claim(t, st, "a", "n1")
	must(t, st.Ack(ctx, "a", seqs[1], one.Epoch))
	must(t, st.Ack(ctx, "a", seqs[1], one.Epoch)) // again
	must(t, st.Ack(ctx, "a", seqs[0], one.Epoch)) // lower
	if a := acked(); a != seqs[1] {
		t.Errorf("acked %d, want %d", a, seqs[1])
	}
	two := claim(t, st, "a", "n2")
	if two.Acked != seqs[1] {
		t.Errorf("the claim says %d", two.Acked)
	}
	if err := st.Ack(ctx, "a", seqs[4], one.Epoch); err != nil && !errors.Is(err, relay.ErrStaleEpoch) {
		t.Error(err)
	}
	if three := claim(t, st, "a", "n1"); three.Acked != seqs[1] {
		t.Errorf("a stale ack counted: %d", three.Acked)
	}
	if err := st.Ack(ctx, "a", seqs[4], two.Epoch+40); err != nil && !errors.Is(err, relay.ErrStaleEpoch) {
		t.Error(err)
	}
	last := claim(t, st, "a", "n1")
	if last.Acked != seqs[1] {
		t.Errorf("an ack of an epoch that never was counted: %d", last.Acked)
	}
	must(t, st.Ack(ctx, "a", seqs[4]+1000, last.Epoch)) // above the head
	if c := claim(t, st, "a", "n1"); c.Acked != seqs[4] {
		t.Errorf("acked %d, the head is %d", c.Acked, seqs[4])
	}
	if n := len(all(t, st, "a")); n != 5 {
		t.Errorf("an ack removed events: %d are left", n)
	}
}

func testAckClose(t *testing.T, s Suite) {
	open := s.New(t)
	st := open(t)
	addClinics(t, st, "a")
	seq := add(t, st, "a", 1)
	c := claim(t, st, "a", "n")
	must(t, st.Ack(t.Context(), "a", seq, c.Epoch))
	must(t, st.Close())
	if m := got(open(t).Mailbox(t.Context(), "a"))(t); m.Acked != seq {
		t.Errorf("acked %d", m.Acked)
	}
}

func testOwned(t *testing.T, s Suite) {
	st, ctx := s.fresh(t, "a", "b", "c"), t.Context()
	claim(t, st, "a", "n1")
	claim(t, st, "b", "n1")
	claim(t, st, "b", "n2")
	c := claim(t, st, "c", "n1")
	seq := add(t, st, "c", 1)
	must(t, st.Revoke(ctx, "a", Start))
	owned := got(st.Owned(ctx, "n1"))(t)
	slices.SortFunc(owned, func(x, y relay.Ownership) int { return int(x.Clinic[0]) - int(y.Clinic[0]) })
	want := []relay.Ownership{{Clinic: "a", Epoch: 1, Revoked: true}, {Clinic: "c", Epoch: 1, Head: seq}}
	if !slices.Equal(owned, want) {
		t.Errorf("owned %+v, want %+v", owned, want)
	}
	if b := got(st.Owned(ctx, "n2"))(t); len(b) != 1 || b[0] != (relay.Ownership{Clinic: "b", Epoch: 2}) {
		t.Errorf("owned %+v", b)
	}
	if p := got(st.Pending(ctx, "n1"))(t); len(p) != 1 || p[0] != (relay.Wakeup{Clinic: "c", Seq: seq}) {
		t.Errorf("pending %+v", p)
	}
	must(t, st.Ack(ctx, "c", seq, c.Epoch))
	if p := got(st.Pending(ctx, "n1"))(t); len(p) != 0 {
		t.Errorf("pending after the ack %+v", p)
	}
	if o := got(st.Owned(ctx, "nobody"))(t); len(o) != 0 {
		t.Errorf("%+v", o)
	}
}

func testStoreEpoch(t *testing.T, s Suite) {
	st, ctx := s.fresh(t, "a", "b"), t.Context()
	of := func(c wire.ClinicID) wire.StoreEpoch { return got(st.Mailbox(ctx, c))(t).StoreEpoch }
	a, b := of("a"), of("b")
	next := got(st.NewStoreEpoch(ctx, "a"))(t)
	if next == a || of("a") != next || of("b") != b {
		t.Errorf("a: %s, then %s; b: %s, then %s", a, of("a"), b, of("b"))
	}
	must(t, st.NewStoreEpochs(ctx))
	if of("a") == next || of("b") == b || of("a") == "" {
		t.Error("not all mailboxes have a new epoch")
	}
}

// The database is put back to an older state: the numbers show it, or the time of receipt does.
func testRestored(t *testing.T, s Suite) {
	st, ctx := s.fresh(t, "a"), t.Context()
	seq := add(t, st, "a", 1)
	if at := got(st.ReceivedAt(ctx, "a", seq))(t); at.Equal(event(2).ReceivedAt) {
		t.Error("two events have one time")
	}
	m := got(st.Mailbox(ctx, "a"))(t)
	if m.Head != seq {
		t.Errorf("the head is %d", m.Head)
	}
	if _, err := st.ReceivedAt(ctx, "a", seq+1); !errors.Is(err, relay.ErrNoEvent) {
		t.Errorf("an event the store lost: %v", err)
	}
}

// Two nodes on one database.
func testNodes(t *testing.T, s Suite) {
	if !s.Nodes {
		t.Skip("one node only")
	}
	open := s.New(t)
	one, two := open(t), open(t)
	addClinics(t, one, "a", "b")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ch := got(two.Subscribe(ctx))(t)
	eventually(t, "the other node hears", func() bool {
		one.Wake("b", 1)
		select {
		case w := <-ch:
			return w.Clinic == "b"
		case <-time.After(20 * time.Millisecond):
			return false
		}
	})
	seq := add(t, one, "a", 1)
	one.Wake("a", seq)
	one.Wake("a", 0)
	var event, change bool
	eventually(t, "both wake-ups", func() bool {
		w := <-ch
		event, change = event || w == relay.Wakeup{Clinic: "a", Seq: seq}, change || w == relay.Wakeup{Clinic: "a"}
		return event && change
	})
	c1 := claim(t, one, "a", "n1")
	must(t, one.Ack(ctx, "a", seq, c1.Epoch))
	c2 := claim(t, two, "a", "n2")
	if c2.Epoch != c1.Epoch+1 || c2.Before.Node != "n1" {
		t.Errorf("claims %+v, then %+v", c1, c2)
	}
	next := add(t, two, "a", 2)
	_ = one.Ack(ctx, "a", next, c1.Epoch) // stale, whether it says so or not
	got(one.Expire(ctx, Start, relay.Limits{}))(t)
	if err := one.Ack(ctx, "a", next, c1.Epoch); !errors.Is(err, relay.ErrStaleEpoch) {
		t.Errorf("by now the node knows: %v", err)
	}
	if m := got(two.Mailbox(ctx, "a"))(t); m.Acked >= next {
		t.Errorf("a stale ack of the other node counted: %+v", m)
	}
	testNodesAppend(t, one, two)
}

// Both nodes append to the same clinics at once.
func testNodesAppend(t *testing.T, nodes ...Store) {
	const each = 60
	var working sync.WaitGroup
	for _, st := range nodes {
		for w := range 6 {
			working.Go(func() {
				for i := range each {
					c := wire.ClinicID([]string{"a", "b"}[(w+i)%2])
					if _, err := st.Append(t.Context(), c, event(i)); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	working.Wait()
	n := 0
	for _, c := range []wire.ClinicID{"a", "b"} {
		nums := numbers(all(t, nodes[0], c))
		if !slices.IsSorted(nums) || len(slices.Compact(nums)) != len(nums) {
			t.Errorf("numbers of %s: %v", c, nums)
		}
		n += len(nums)
	}
	if n < len(nodes)*6*each {
		t.Errorf("%d events", n)
	}
}
