package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

func testRoundTrip(t *testing.T, s Suite) {
	open := s.New(t)
	st := open(t)
	addClinics(t, st, "a", "b")
	var want []relay.Event
	for i, body := range [][]byte{nil, {}, {0}, []byte("\xff\x00\xfe'\"\\"), make([]byte, 70_000)} {
		e := event(i)
		e.Body = body
		if i == 0 {
			e.Header = nil
		}
		e.Seq = 77 // ignored
		seq := got(st.Append(t.Context(), "a", e))(t)
		if seq <= 0 || (len(want) > 0 && seq <= want[len(want)-1].Seq) {
			t.Errorf("number %d after %d events", seq, len(want))
		}
		e.Seq = seq
		want = append(want, e)
		add(t, st, "b", i)
	}
	check := func(st Store) {
		t.Helper()
		for i, e := range all(t, st, "a") {
			if e.Seq != want[i].Seq || !sameEvent(e, want[i]) || e.ReceivedAt.Location() != time.UTC {
				t.Errorf("event %d is %+v, want %+v", i, e, want[i])
			}
			if at := got(st.ReceivedAt(t.Context(), "a", e.Seq))(t); !at.Equal(e.ReceivedAt) {
				t.Errorf("received at %v", at)
			}
			if _, err := st.ReceivedAt(t.Context(), "b", e.Seq+1000); !errors.Is(err, relay.ErrNoEvent) {
				t.Errorf("an event that never was: %v", err)
			}
		}
		if n := len(all(t, st, "a")); n != len(want) {
			t.Errorf("%d events", n)
		}
	}
	check(st)
	must(t, st.Close())
	check(open(t))
}

func testLimits(t *testing.T, s Suite) {
	st := s.fresh(t, "a")
	for _, e := range []relay.Event{
		{Header: make([]byte, wire.MaxHeader+1)}, {Body: make([]byte, relay.MaxBodyLimit+relay.MaxSealing+1)}, {Kind: string(make([]byte, 65))},
	} {
		if _, err := st.Append(t.Context(), "a", e); !errors.Is(err, relay.ErrTooLarge) {
			t.Error(err)
		}
	}
	largest := relay.Event{ReceivedAt: Start, Kind: wire.KindTest, Header: make([]byte, wire.MaxHeader), Body: make([]byte, relay.MaxBodyLimit+relay.MaxSealing)}
	got(st.Append(t.Context(), "a", largest))(t)
	if e := all(t, st, "a"); len(e) != 1 || !sameEvent(e[0], largest) {
		t.Error("the largest event was not kept")
	}
}

func testUnknown(t *testing.T, s Suite) {
	st, ctx := s.fresh(t), t.Context()
	_, err1 := st.Append(ctx, "nobody", event(1))
	_, err2 := st.After(ctx, "nobody", 0, 1, 1)
	_, err3 := st.Claim(ctx, "nobody", relay.Claimant{})
	_, err4 := st.Mailbox(ctx, "nobody")
	_, err5 := st.NewStoreEpoch(ctx, "nobody")
	_, err6 := st.ReceivedAt(ctx, "nobody", 1)
	for i, err := range []error{err1, err2, err3, err4, err5, err6, st.Ack(ctx, "nobody", 1, 1)} {
		if !errors.Is(err, relay.ErrUnknownClinic) {
			t.Errorf("%d: %v", i, err)
		}
	}
	addClinics(t, st, "nobody") // an answer must not be remembered
	add(t, st, "nobody", 1)
}

// Many senders at once: a reader that follows with a cursor sees every event once, in order, and each sender's own events in
// the order it sent them.
func testOrder(t *testing.T, s Suite) {
	st := s.fresh(t, "a", "b", "c")
	const senders, each = 16, 40
	clinics := []wire.ClinicID{"a", "b", "c"}
	var working sync.WaitGroup
	for n := range senders {
		working.Go(func() {
			last := map[wire.ClinicID]wire.Seq{}
			for i := range each {
				c := clinics[(n+i)%3]
				e := event(i)
				e.Body = fmt.Appendf(nil, "%d %d", n, i)
				seq, err := st.Append(t.Context(), c, e)
				if err != nil || seq <= last[c] {
					t.Errorf("number %d after %d: %v", seq, last[c], err)
				}
				last[c] = seq
			}
		})
	}
	done := make(chan struct{})
	go func() { working.Wait(); close(done) }()
	var readers sync.WaitGroup
	var seen atomic.Int64
	for _, c := range clinics {
		readers.Go(func() {
			seen.Add(int64(follow(t, st, c, done)))
		})
	}
	readers.Wait()
	if seen.Load() != senders*each {
		t.Errorf("%d events were seen, %d were sent", seen.Load(), senders*each)
	}
}

// follow reads by cursor until the senders are done and nothing is left. It fails when a number appears late.
func follow(t *testing.T, st Store, c wire.ClinicID, done <-chan struct{}) int {
	var cursor wire.Seq
	sender := map[int]int{}
	n := 0
	for {
		ended := false
		select {
		case <-done:
			ended = true
		default:
		}
		part, err := st.After(t.Context(), c, cursor, 7, 1<<20)
		if err != nil {
			t.Error(err)
			return n
		}
		for _, e := range part {
			var who, i int
			if _, err := fmt.Sscan(string(e.Body), &who, &i); err != nil || e.Seq <= cursor {
				t.Errorf("event %d after %d: %v", e.Seq, cursor, err)
			}
			if last, ok := sender[who]; ok && i <= last {
				t.Errorf("sender %d: %d after %d", who, i, last)
			}
			sender[who], cursor = i, e.Seq
			n++
		}
		if ended && len(part) == 0 {
			if stored := numbers(all(t, st, c)); len(stored) != n {
				t.Errorf("clinic %s: %d events are stored, the reader saw %d", c, len(stored), n)
			}
			return n
		}
	}
}

// A reader asks right after each number it has heard of: nothing below may come later.
func testLateCommitter(t *testing.T, s Suite) {
	st := s.fresh(t, "a", "other")
	stop := make(chan struct{})
	var noise sync.WaitGroup
	for range 4 {
		noise.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				e := event(0)
				e.Body = make([]byte, 20_000)
				for _, c := range []wire.ClinicID{"other", "a"} {
					if _, err := st.Append(t.Context(), c, e); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	known := map[wire.Seq]bool{}
	var highest wire.Seq
	for range 30 {
		seq := add(t, st, "a", 1)
		if seq <= highest {
			t.Errorf("number %d was given out after %d was read", seq, highest)
		}
		from := wire.Seq(0)
		for {
			part := got(st.After(t.Context(), "a", from, 1000, 1<<30))(t)
			for _, e := range part {
				if !known[e.Seq] && e.Seq <= highest {
					t.Errorf("number %d appeared after %d had been read", e.Seq, highest)
				}
				known[e.Seq], from = true, e.Seq
			}
			if len(part) == 0 {
				break
			}
		}
		highest = from
		if !known[seq] {
			t.Errorf("number %d was answered and is not there", seq)
		}
	}
	close(stop)
	noise.Wait()
}

func testNeverReused(t *testing.T, s Suite) {
	open := s.New(t)
	st := open(t)
	addClinics(t, st, "a")
	var highest wire.Seq
	for range 3 {
		for i := range 5 {
			seq := add(t, st, "a", i)
			if seq <= highest {
				t.Fatalf("number %d after %d", seq, highest)
			}
			highest = seq
		}
		x := got(st.Expire(t.Context(), Start.Add(15*24*time.Hour), relay.Limits{}))(t)
		if len(x.Dropped) != 1 || len(all(t, st, "a")) != 0 {
			t.Fatalf("not emptied: %+v", x)
		}
		m := got(st.Mailbox(t.Context(), "a"))(t)
		if m.Head != highest || m.RemovedTo != highest || m.Oldest != 0 {
			t.Errorf("an empty mailbox is %+v, the last number was %d", m, highest)
		}
		must(t, st.Close())
		st = open(t)
	}
}

func testPoison(t *testing.T, s Suite) {
	if s.Spoil == nil {
		t.Skip("this store cannot be made to refuse a row")
	}
	st := s.fresh(t, "a")
	s.Spoil(t, st)
	const n = 300
	var working sync.WaitGroup
	var good atomic.Int64
	for i := range n {
		working.Go(func() {
			e := event(i)
			if i%50 == 7 {
				e.Kind = "poison"
			}
			_, err := st.Append(t.Context(), "a", e)
			if (err != nil) != (e.Kind == "poison") {
				t.Errorf("event %d of kind %s: %v", i, e.Kind, err)
			}
			if err == nil {
				good.Add(1)
			}
		})
	}
	working.Wait()
	if stored := len(all(t, st, "a")); int64(stored) != good.Load() || stored != n-6 {
		t.Errorf("%d stored, %d answered", stored, good.Load())
	}
}

// A caller that leaves gets its own error, and what it left behind neither blocks nor spoils the store.
func testCancelled(t *testing.T, s Suite) {
	st := s.fresh(t, "a")
	var working sync.WaitGroup
	for i := range 100 {
		working.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			if i%2 == 0 {
				go cancel()
			}
			defer cancel()
			_, err := st.Append(ctx, "a", event(i))
			if err != nil && (i%2 == 1 || !errors.Is(err, context.Canceled)) {
				t.Error(err)
			}
		})
	}
	working.Wait()
	if n := len(all(t, st, "a")); n < 50 {
		t.Errorf("%d stored", n)
	}
}

func testAfterLimits(t *testing.T, s Suite) {
	st := s.fresh(t, "a")
	sizes := []int{10, 10, 500, 10, 10}
	var seqs []wire.Seq
	for _, n := range sizes {
		seqs = append(seqs, addAt(t, st, "a", Start, 1, n)...)
	}
	for _, c := range []struct {
		from        wire.Seq
		msgs, bytes int
		want        []wire.Seq
	}{
		{0, 100, 1 << 20, seqs},
		{0, 2, 1 << 20, seqs[:2]},
		{0, 100, 20, seqs[:2]},
		{0, 100, 25, seqs[:2]},
		{seqs[1], 100, 1, seqs[2:3]}, // at least one, however large
		{seqs[1], 100, 0, seqs[2:3]},
		{0, 0, 0, seqs[:1]},
		{seqs[2], 100, 1 << 20, seqs[3:]},
		{seqs[4], 100, 1 << 20, nil},
		{seqs[4] + 1000, 100, 1 << 20, nil},
	} {
		if nums := numbers(got(st.After(t.Context(), "a", c.from, c.msgs, c.bytes))(t)); !slices.Equal(nums, c.want) {
			t.Errorf("after %d, %d messages, %d bytes: %v, want %v", c.from, c.msgs, c.bytes, nums, c.want)
		}
	}
}

func testWake(t *testing.T, s Suite) {
	st := s.fresh(t, "a")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ch := got(st.Subscribe(ctx))(t)
	second := got(st.Subscribe(ctx))(t)
	st.Wake("a", 5)
	st.Wake("a", 0)
	for _, c := range []<-chan relay.Wakeup{ch, second} {
		var seqs []wire.Seq
		for len(seqs) < 2 {
			seqs = append(seqs, (<-c).Seq)
		}
		slices.Sort(seqs)
		if !slices.Equal(seqs, []wire.Seq{0, 5}) {
			t.Errorf("woken with %v", seqs)
		}
	}
	for range 100_000 { // nobody reads: it must not block
		st.Wake("a", 6)
	}
	cancel()
	eventually(t, "the channel is closed", func() bool {
		for range 10_000 {
			if _, ok := <-ch; !ok {
				return true
			}
		}
		return false
	})
}

func testHealth(t *testing.T, s Suite) {
	st := s.fresh(t, "a")
	h := got(st.Health(t.Context()))(t)
	if h.DatabaseBytes <= 0 || h.Full || h.Queued != 0 || h.DiskUsed > 1 {
		t.Errorf("%+v", h)
	}
}

func testClosed(t *testing.T, s Suite) {
	st := s.fresh(t, "a")
	add(t, st, "a", 1)
	must(t, st.Close())
	must(t, st.Close())
	if _, err := st.Append(t.Context(), "a", event(1)); !errors.Is(err, relay.ErrUnavailable) {
		t.Error(err)
	}
	_, err := st.Mailbox(t.Context(), "a")
	for _, err := range []error{err, st.Revoke(t.Context(), "a", Start)} {
		if !errors.Is(err, relay.ErrUnavailable) {
			t.Error(err)
		}
	}
}
