package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

const day = 24 * time.Hour

func expire(t testing.TB, st Store, now time.Time, l relay.Limits) relay.Expired {
	t.Helper()
	return got(st.Expire(t.Context(), now, l))(t)
}

// gap asserts what After says about a hole.
func gap(t testing.TB, st Store, c wire.ClinicID, from, to wire.Seq, reason string) {
	t.Helper()
	_, err := st.After(t.Context(), c, from, 10, 1<<20)
	var g *relay.GapError
	if !errors.As(err, &g) || g.RemovedTo != to || g.Reason != reason {
		t.Errorf("after %d: %v, want a gap to %d (%s)", from, err, to, reason)
	}
	if _, err := st.After(t.Context(), c, to, 10, 1<<20); err != nil {
		t.Errorf("after the gap: %v", err)
	}
}

func testExpireAcked(t *testing.T, s Suite) {
	st, ctx := s.fresh(t, "a", "b"), t.Context()
	now := time.Now()
	seqs := addAt(t, st, "a", now, 4, 5)
	addAt(t, st, "b", now, 2, 5)
	c := claim(t, st, "a", "n")
	must(t, st.Ack(ctx, "a", seqs[2], c.Epoch))
	if x := expire(t, st, now.Add(71*time.Hour), relay.Limits{}); x.Acked != 0 || len(x.Dropped) != 0 || x.More {
		t.Errorf("too early: %+v", x)
	}
	x := expire(t, st, now.Add(74*time.Hour), relay.Limits{})
	if x.Acked != 3 || len(x.Dropped) != 0 || x.More {
		t.Errorf("%+v", x)
	}
	gap(t, st, "a", 0, seqs[2], wire.GapExpired)
	gap(t, st, "a", seqs[1], seqs[2], wire.GapExpired)
	if n := numbers(all(t, st, "a")); !slices.Equal(n, seqs[3:]) {
		t.Errorf("left: %v", n)
	}
	if n := len(all(t, st, "b")); n != 2 {
		t.Errorf("%d left of another clinic", n)
	}
	if m := claim(t, st, "a", "n"); m.RemovedTo != seqs[2] || m.Reason != wire.GapExpired || m.Oldest != seqs[3] || m.Head != seqs[3] {
		t.Errorf("%+v", m)
	}
	if x := expire(t, st, now.Add(74*time.Hour), relay.Limits{}); x.Acked != 0 {
		t.Errorf("again: %+v", x)
	}
}

func testExpireAge(t *testing.T, s Suite) {
	st := s.fresh(t, "a", "b")
	old := addAt(t, st, "a", Start, 3, 5)
	young := addAt(t, st, "a", Start.Add(day), 2, 5)
	addAt(t, st, "b", Start.Add(day), 1, 5)
	x := expire(t, st, Start.Add(14*day+time.Hour), relay.Limits{})
	want := relay.Dropped{Clinic: "a", From: old[0], To: old[2], Events: 3, Reason: wire.GapExpired}
	if len(x.Dropped) != 1 || x.Dropped[0] != want || x.Acked != 0 {
		t.Errorf("%+v, want %+v", x, want)
	}
	gap(t, st, "a", 0, old[2], wire.GapExpired)
	if n := numbers(all(t, st, "a")); !slices.Equal(n, young) {
		t.Errorf("left: %v", n)
	}
}

func testExpireCount(t *testing.T, s Suite) {
	st := s.fresh(t, "a", "b")
	seqs := addAt(t, st, "a", Start, 30, 5)
	addAt(t, st, "b", Start, 20, 5)
	x := expire(t, st, Start, relay.Limits{Events: 20})
	want := relay.Dropped{Clinic: "a", From: seqs[0], To: seqs[9], Events: 10, Reason: wire.GapQuota}
	if len(x.Dropped) != 1 || x.Dropped[0] != want {
		t.Errorf("%+v, want %+v", x, want)
	}
	gap(t, st, "a", seqs[3], seqs[9], wire.GapQuota)
}

func testExpireBytes(t *testing.T, s Suite) {
	st := s.fresh(t, "a")
	seqs := addAt(t, st, "a", Start, 10, 1000)
	x := expire(t, st, Start, relay.Limits{Bytes: 6500})
	if len(x.Dropped) != 1 || x.Dropped[0].To != seqs[3] || x.Dropped[0].Reason != wire.GapQuota {
		t.Errorf("%+v", x)
	}
	if x := expire(t, st, Start, relay.Limits{Bytes: 6000}); len(x.Dropped) != 0 {
		t.Errorf("exactly full: %+v", x)
	}
}

// Over the quota, with acknowledged events before: a prefix goes, and only what nobody took is a hole.
func testExpirePrefix(t *testing.T, s Suite) {
	st := s.fresh(t, "a")
	now := time.Now()
	seqs := addAt(t, st, "a", now, 10, 5)
	c := claim(t, st, "a", "n")
	must(t, st.Ack(t.Context(), "a", seqs[3], c.Epoch))
	x := expire(t, st, now, relay.Limits{Events: 4})
	want := relay.Dropped{Clinic: "a", From: seqs[4], To: seqs[5], Events: 2, Reason: wire.GapQuota}
	if x.Acked != 4 || len(x.Dropped) != 1 || x.Dropped[0] != want {
		t.Errorf("%+v, want %+v", x, want)
	}
	if n := numbers(all(t, st, "a")); !slices.Equal(n, seqs[6:]) {
		t.Errorf("left: %v", n)
	}
}

func testExpireBatches(t *testing.T, s Suite) {
	st := s.fresh(t, "a", "b")
	fill(t, st, "a", 2300)
	fill(t, st, "b", 10)
	var dropped, calls int
	for more := true; more; calls++ {
		x := expire(t, st, Start.Add(15*day), relay.Limits{Batches: 1})
		for _, d := range x.Dropped {
			dropped += d.Events
		}
		if more = x.More; calls > 20 {
			t.Fatal("no end")
		}
	}
	if dropped != 2310 || calls < 3 {
		t.Errorf("%d dropped in %d calls", dropped, calls)
	}
}

// fill appends many events at once.
func fill(t testing.TB, st Store, c wire.ClinicID, n int) {
	t.Helper()
	errs := make(chan error, n)
	for i := range n {
		go func() {
			_, err := st.Append(t.Context(), c, event(i))
			errs <- err
		}()
	}
	for range n {
		must(t, <-errs)
	}
}

func testMetadata(t *testing.T, s Suite) {
	st, ctx := s.fresh(t, "a"), t.Context()
	e := event(5)
	seq := got(st.Append(ctx, "a", e))(t)
	last := event(6)
	end := got(st.Append(ctx, "a", last))(t)
	expire(t, st, Start.Add(15*day), relay.Limits{})
	if at := got(st.ReceivedAt(ctx, "a", seq))(t); !at.Equal(e.ReceivedAt) {
		t.Errorf("received at %v, want %v", at, e.ReceivedAt)
	}
	if x := expire(t, st, Start.Add(29*day), relay.Limits{}); x.Metadata != 0 {
		t.Errorf("%+v", x)
	}
	if x := expire(t, st, Start.Add(31*day), relay.Limits{}); x.Metadata != 2 {
		t.Errorf("%+v", x)
	}
	if _, err := st.ReceivedAt(ctx, "a", seq); !errors.Is(err, relay.ErrNoEvent) {
		t.Error(err)
	}
	if at := got(st.ReceivedAt(ctx, "a", end))(t); !at.Equal(last.ReceivedAt) {
		t.Errorf("the last one removed was received at %v, want %v", at, last.ReceivedAt)
	}
}

func testHourly(t *testing.T, s Suite) {
	st, ctx := s.fresh(t, "a", "b"), t.Context()
	l := relay.Limits{HourlyAbove: 1}
	for round := range 2 {
		received := Start.Add(time.Duration(round) * time.Minute)
		seqs := addAt(t, st, "a", received, 3, 5)
		if x := expire(t, st, Start.Add(15*day), l); len(x.Dropped) != 1 || x.Dropped[0].Events != 3 {
			t.Errorf("round %d: %+v", round, x)
		}
		if at := got(st.ReceivedAt(ctx, "a", seqs[2]))(t); !at.Equal(received) {
			t.Errorf("round %d: the last one removed was received at %v, want %v", round, at, received)
		}
		if _, err := st.ReceivedAt(ctx, "a", seqs[1]); !errors.Is(err, relay.ErrNoEvent) {
			t.Errorf("round %d: %v", round, err)
		}
	}
	expire(t, st, Start.Add(60*day), l)
}

func testExpireRest(t *testing.T, s Suite) {
	st, ctx := s.fresh(t, "a"), t.Context()
	must(t, st.AddPairing(ctx, relay.Pairing{Group: "AAAA", Clinic: "a", CreatedAt: Start, ExpiresAt: Start.Add(time.Hour)}))
	must(t, st.Audit(ctx, relay.AuditLine{At: Start, Clinic: "a", Action: "add"}))
	must(t, st.Audit(ctx, relay.AuditLine{At: Start.Add(300 * day), Clinic: "a", Action: "pair"}))
	got(st.AddNotice(ctx, relay.Notice{Key: "k", Kind: "gap", Clinic: "a", At: Start}))(t)
	expire(t, st, Start.Add(2*time.Hour), relay.Limits{})
	got(st.Pairing(ctx, "AAAA"))(t) // a late try still learns why
	expire(t, st, Start.Add(366*day), relay.Limits{})
	if _, err := st.Pairing(ctx, "AAAA"); !errors.Is(err, relay.ErrUnknownPairing) {
		t.Error(err)
	}
	if lines := got(st.Audits(ctx, "", 10))(t); len(lines) != 1 || lines[0].Action != "pair" {
		t.Errorf("%+v", lines)
	}
	if !got(st.AddNotice(ctx, relay.Notice{Key: "k", Kind: "gap", Clinic: "a", At: Start}))(t) {
		t.Error("an old notice still holds its key")
	}
}
