package relay_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

func TestResume(t *testing.T) {
	w := newWorld(t, nil, nil)
	a := w.pair("c")
	l := a.mustConnect()
	for i := range 5 {
		a.post(fmt.Sprint(i + 1))
		l.event()
	}
	l.ack(5)
	eventually(t, "acked", func() bool { return w.mem.acked(a.id) == 5 })
	keep := *a
	seqs := func(l *line, n int) (out []wire.Seq) {
		for range n {
			out = append(out, l.event().Seq)
		}
		return out
	}
	t.Run("lower, after a restore", func(t *testing.T) {
		x := keep
		x.resume, x.resumeAt = 2, time.Time{}
		if got := fmt.Sprint(seqs(x.mustConnect(), 3)); got != "[3 4 5]" {
			t.Error(got)
		}
	})
	t.Run("replay", func(t *testing.T) {
		x := keep
		l := x.mustConnect()
		l.send(&wire.Replay{From: 2, To: 3})
		got := fmt.Sprint(seqs(l, 2))
		x.post("6")
		if got += fmt.Sprint(seqs(l, 1)); got != "[2 3][6]" {
			t.Error(got)
		}
		l.ack(6)
		eventually(t, "acked", func() bool { return w.mem.acked(a.id) == 6 })
	})
	rollback := func(name string, x agent) {
		t.Run(name, func(t *testing.T) {
			before := x.epoch
			l := x.mustConnect()
			f, err := l.next()
			if err != nil {
				t.Fatal(err)
			}
			g, ok := f.Control.(*wire.Gap)
			if !ok || g.Reason != wire.GapRollback || g.StoreEpoch != l.welcome.StoreEpoch || g.To != 6 {
				t.Fatalf("%+v", f)
			}
			if before == g.StoreEpoch {
				t.Error("the store epoch stayed")
			}
		})
	}
	x := keep
	x.resume, x.resumeAt = 100, time.Now()
	rollback("higher than the head", x)
	w.mem.mu.Lock()
	x = keep
	x.epoch = w.mem.boxes[a.id].claim.StoreEpoch
	w.mem.mu.Unlock()
	x.resumeAt = x.resumeAt.Add(time.Microsecond)
	rollback("the same number, another event", x)
	x = keep
	x.epoch = "another"
	rollback("another epoch", x)
}

func TestGapIsAnnounced(t *testing.T) {
	w := newWorld(t, nil, func(c *relay.Config) { c.Limits.Events = 3 })
	a := w.pair("c")
	for i := range 10 {
		a.post(fmt.Sprint(i))
	}
	if err := w.relay.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := a.mustConnect()
	f, err := l.next()
	if err != nil {
		t.Fatal(err)
	}
	if g, ok := f.Control.(*wire.Gap); !ok || g.From != 1 || g.To != 7 || g.Reason != wire.GapQuota {
		t.Fatalf("%+v", f.Control)
	}
	if e := l.event(); e.Seq != 8 {
		t.Errorf("%d", e.Seq)
	}
}

// A quota that strikes while a slow agent is connected is announced too.
func TestGapDuringASession(t *testing.T) {
	w := newWorld(t, nil, func(c *relay.Config) { c.Limits.Events = 3 })
	a := w.pair("c")
	a.window.Msgs = 2
	l := a.mustConnect()
	for i := range 10 {
		a.post(fmt.Sprint(i))
	}
	l.event()
	l.event()
	if err := w.relay.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.ack(2)
	f, err := l.next()
	if err != nil {
		t.Fatal(err)
	}
	if g, ok := f.Control.(*wire.Gap); !ok || g.From != 3 || g.To != 7 {
		t.Fatalf("%+v", f.Control)
	}
	if e := l.event(); e.Seq != 8 {
		t.Errorf("%d", e.Seq)
	}
}
