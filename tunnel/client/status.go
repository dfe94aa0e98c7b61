package client

import (
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// State is what the client is doing.
type State string

// The states.
const (
	Idle       State = "idle"       // Run was not called, or has ended
	Connecting State = "connecting" // an attempt is made
	Connected  State = "connected"  // events flow
	Waiting    State = "waiting"    // until NextTry
	Stopped    State = "stopped"    // the relay refused us for good; one try per hour remains
)

// Status is what people and the page learn.
type Status struct {
	State          State
	Transport      Transport // of the connection, or the last one
	ConnectedSince time.Time // zero when not connected
	DownSince      time.Time // zero when connected
	LastHeard      time.Time // any sign of life of the relay
	Cursor         wire.Seq  // committed
	StoreEpoch     wire.StoreEpoch
	Head           wire.Seq // the newest number known of the relay
	Received       int      // events committed since the start
	Gaps           int      // since the start
	LastGap        *wire.Gap
	UnknownFrames  int
	LastClose      wire.CloseCode // how the last connection or attempt ended; 0: without a word
	LastError      string         // the same as a chain, for the log and support
	Proxy          string         // without user and password
	Skew           time.Duration  // this computer's clock minus the relay's
	NextTry        time.Time
	Window         time.Duration // W
	Notice         string        // the relay's last text
	// InboxError is why events cannot be stored at the moment; empty: they can.
	InboxError string
	// Problem is what to tell people; nil while connected or never tried.
	Problem *problem.Error
}

// Status returns a copy of the present one.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.status
	if c.current != nil {
		s.LastHeard = c.heardAt(c.current)
	}
	return s
}

// heardAt tells the wall clock's time of the last sign of life.
func (c *Client) heardAt(car carrier) time.Time {
	return c.cfg.Now().Add(-time.Since(car.lastHeard())).UTC()
}

// change changes the status and tells OnChange.
func (c *Client) change(f func(s *Status)) {
	c.mu.Lock()
	f(&c.status)
	s := c.status
	if c.current != nil {
		s.LastHeard = c.heardAt(c.current)
	}
	c.mu.Unlock()
	if c.cfg.OnChange != nil {
		c.cfg.OnChange(s)
	}
}
