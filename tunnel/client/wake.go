package client

import (
	"context"
	"net"
	"slices"
	"strings"
	"time"
)

// How often it is looked whether the computer slept or its network changed, and how
// far the two clocks may differ over that time.
const (
	watchEvery = 5 * time.Second
	sleptFor   = 10 * time.Second
)

// watch wakes the client after a sleep and when the computer's addresses change.
func (c *Client) watch(ctx context.Context) {
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	last, addresses := time.Now(), interfaceAddresses()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		now := time.Now()
		wasAsleep, moved := sleptBetween(last, now), false
		if a := interfaceAddresses(); a != addresses {
			moved, addresses = true, a
		}
		last = now
		if wasAsleep || moved {
			c.log.Info("trying the tunnel anew", "slept", wasAsleep, "network_changed", moved)
			c.Wake()
		}
	}
}

// sleptBetween tells whether the computer slept, or its clock was set, between two
// looks: the monotonic clock stands still in a sleep or, where it does not, the
// second look comes late.
func sleptBetween(a, b time.Time) bool {
	return slept(b.Sub(a), b.Round(0).Sub(a.Round(0)))
}

func slept(mono, wall time.Duration) bool {
	return (wall-mono).Abs() > sleptFor || mono > watchEvery+sleptFor
}

// interfaceAddresses is this computer's addresses in one text. The ones that every
// computer gives itself do not count.
func interfaceAddresses() string {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	var out []string
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok && (n.IP.IsLoopback() || n.IP.IsLinkLocalUnicast()) {
			continue
		}
		out = append(out, a.String())
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}
