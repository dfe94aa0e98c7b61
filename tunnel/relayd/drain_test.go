package relayd_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/client"
	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// A node of many spreads its drain over two minutes. An agent that waits for its slot goes on to get its events.
func TestEventsFlowWhileDraining(t *testing.T) {
	t.Parallel()
	p := newPlace(t, func(c *relay.Config) { c.DrainSpread = 2 * time.Second })
	a := p.join("a")[0]
	a.Start(t)
	eventually(t, "connected", func() bool { return a.Client.Status().State == client.Connected })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.node.stop()
	}()
	eventually(t, "the node is not ready", func() bool { return p.front.alive() == 0 })
	post(t, p.node.url, a, "while draining")
	eventually(t, "the inbox holds it", func() bool { return slices.Contains(a.Bodies(t, ""), "while draining") })
	select {
	case <-ended:
		t.Error("only after the node had ended")
	default:
	}
	a.Stop()
	<-ended
}

// The slots of a drain are spread evenly over two minutes, after a moment in
// which a balancer sees that the node is going.
func TestDrainIsSpread(t *testing.T) {
	t.Parallel()
	const agents = 12
	p := newPlace(t, func(c *relay.Config) { c.DrainSpread = 2 * time.Minute })
	var names []string
	for i := range agents {
		names = append(names, fmt.Sprint(i))
	}
	var lines []*rawLine
	for _, c := range p.join(names...) {
		l := connectRaw(t, p.front.url, c)
		post(t, p.front.url, c, "x")
		l.send(&wire.Ack{Seq: l.event().Seq, Epoch: l.welcome.Epoch}) // the session has begun
		lines = append(lines, l)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.node.stop()
	}()
	var slots []int64
	for _, l := range lines {
		f, err := l.next()
		d, ok := f.Control.(*wire.Drain)
		if err != nil || !ok {
			t.Fatalf("%+v %v", f, err)
		}
		slots = append(slots, d.ReconnectInMS)
		_ = l.c.Close()
	}
	slices.Sort(slots)
	for i, ms := range slots {
		if want := 5_000 + int64(i)*115_000/agents; ms < want || ms > want+1 {
			t.Errorf("slot %d is at %d ms, want %d", i, ms, want)
		}
	}
	<-ended // as soon as nobody is there
}
