package relay_test

import (
	"fmt"
	"testing"
)

// A webhook travels sealed to the agent, is acked, and does not come again.
func TestWebhookReachesTheAgent(t *testing.T) {
	w := newWorld(t, nil, nil)
	a := w.pair("Vet & Pet")
	a.post("before")
	l := a.mustConnect()
	if got := l.body(); got != "before" {
		t.Errorf("got %q", got)
	}
	for i := range 300 {
		a.post(fmt.Sprint("during ", i))
		if got, want := l.body(), fmt.Sprint("during ", i); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
		if i%64 == 0 {
			l.ack(a.resume)
		}
	}
	l.ack(a.resume)
	eventually(t, "the ack is stored", func() bool { return w.mem.acked(a.id) == a.resume })
	l.c.Close()
	l = a.mustConnect()
	if l.welcome.Head != a.resume {
		t.Errorf("head is %d, want %d", l.welcome.Head, a.resume)
	}
	a.post("after")
	if got := l.body(); got != "after" {
		t.Errorf("got %q", got)
	}
}
