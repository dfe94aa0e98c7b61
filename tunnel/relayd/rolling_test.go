//go:build peers && linux

package relayd_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/client"
	"github.com/rayhound/rayhound/tunnel/relay/storetest/pgtest"
)

const (
	rollingClinics = 30
	pollingClinics = 4 // of them
)

// cluster is three nodes on one database.
type cluster struct {
	t     *testing.T
	dsn   string
	front *balancer
	nodes [3]*process
}

func (c *cluster) start(i int) {
	c.t.Helper()
	c.nodes[i] = startProcess(c.t, c.dsn, c.t.TempDir())
	c.front.set(i, c.nodes[i].url)
	eventually(c.t, "the node is ready", func() bool { return isReady(c.t.Context(), http.DefaultTransport, c.nodes[i].url) })
}

// Three nodes on one PostgreSQL are restarted in turn under load, then one is killed, and then the database: every 200 reaches
// the inbox of its clinic once and in order, senders get nothing but what they try again, and agents stay
// connected while a node is drained.
func TestRollingRestart(t *testing.T) {
	server := pgtest.Start(t)
	c := &cluster{t: t, dsn: server.NewDatabase(t), front: newBalancer(t)}
	for i := range c.nodes {
		c.start(i)
	}
	names := make([]string, rollingClinics)
	for i := range names {
		names[i] = fmt.Sprint("clinic ", i)
	}
	clinics := join(t, c.dsn, "", c.front, names...)
	for i, x := range clinics {
		if i < pollingClinics {
			x.RelayURL = c.front.pollURL
		}
		x.Start(t)
	}
	sockets := clinics[pollingClinics:]
	connected := func() bool { return allConnected(sockets) }
	eventually(t, "all are connected", connected)
	eventually(t, "some by long-poll", func() bool { return retried(clinics[:pollingClinics]) })
	l := newLoad(c.front, clinics)
	stop := l.start(t)
	phase := func(what string, f func()) {
		began, n := time.Now(), l.answered()
		for _, x := range sockets {
			x.States()
		}
		f()
		l.more(t, 50)
		eventually(t, "all are connected again", connected)
		down := 0
		for _, x := range sockets {
			if slices.ContainsFunc(x.States(), func(s client.State) bool { return s != client.Connected }) {
				down++
			}
		}
		t.Logf("%s: %s, %d webhooks, %d of %d agents were without a connection for a moment", what, time.Since(began).Round(time.Millisecond),
			l.answered()-n, down, len(sockets))
	}
	l.more(t, 100)
	for i := range c.nodes {
		phase(fmt.Sprint("drain of node ", i), func() {
			c.nodes[i].drain(t)
			c.front.set(i, "")
			c.start(i)
		})
	}
	if n := c.front.cut.Load(); n != 0 {
		t.Errorf("%d requests were broken off by nodes that ended softly", n)
	}
	l.crash.Store(true)
	phase("kill of a node", func() {
		c.nodes[1].kill(t)
		l.more(t, 50)
		c.start(1)
	})
	phase("crash of the database", func() {
		server.Kill()
		server.Restart(t)
	})
	stop()
	l.check(t)
}
