package relayd_test

import (
	"slices"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/client"
	"github.com/rayhound/rayhound/tunnel/relay"
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
