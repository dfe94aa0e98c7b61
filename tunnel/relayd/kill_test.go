package relayd_test

import (
	"runtime"
	"testing"
)

// A relay on SQLite is killed under load again and again: every 200 reaches the inbox of its clinic, once and in order, over
// websockets and long-polls.
func TestKillRelay(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("ends a child by SIGTERM")
	}
	const store = "sqlite:relay.db"
	dir, front := t.TempDir(), newBalancer(t)
	p := startProcess(t, store, dir)
	front.set(0, p.url)
	eventually(t, "ready", func() bool { return front.alive() == 1 })
	clinics := join(t, store, dir, front, "a", "b", "c")
	clinics[2].RelayURL = front.pollURL
	for _, x := range clinics {
		x.Start(t)
	}
	eventually(t, "all are connected", func() bool { return retried(clinics) })
	l := newLoad(front, clinics)
	l.crash.Store(true)
	stop := l.start(t)
	for range 4 {
		l.more(t, 60)
		p.kill(t)
		p = startProcess(t, store, dir)
		front.set(0, p.url)
	}
	l.more(t, 30)
	stop()
	l.check(t)
	p.drain(t)
}
