package appliance

import (
	"context"
	"fmt"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/tunnel/wire"
	"github.com/rayhound/rayhound/ui"
)

const (
	// watchEvery is how often the tunnel's state is looked at without a reason.
	watchEvery = 5 * time.Second
	// showEvery is how often the inbox is looked at though nothing came.
	showEvery = time.Minute
	// slowPolls is how much slower Provet Cloud is polled while the tunnel is
	// healthy, and slowestPoll the longest pause: 5 times, 5 minutes at most, and
	// never more often than poll_interval says.
	slowPolls   = 5
	slowestPoll = 5 * time.Minute
	// provenFor is how long one event about an order proves that Provet Cloud's
	// webhooks reach the relay. A tunnel alone proves nothing: nobody may have
	// entered the addresses.
	provenFor = 24 * time.Hour
	// incidentFor is how long a hole or an event that cannot be used is shown.
	incidentFor = 24 * time.Hour
	// mostPoison bounds the counting of what cannot be used.
	mostPoison = 1000
)

// subjectTunnel is the subject of the tunnel's problems.
const subjectTunnel = "tunnel"

// tunnelCodes are the problems that the agent's state has; at most one is shown.
var tunnelCodes = []problem.Code{problem.TunnelRefused, problem.TunnelElsewhere, problem.TunnelVersion, problem.TunnelProxy}

// link is how the connection to the relay is.
type link struct {
	State     string // connected, connecting, waiting, stopped
	Up        bool
	Transport string // websocket, long-poll
	Proxy     string
	Since     time.Time // of this connection
	Heard     time.Time // last frame of any kind
	NextTry   time.Time
	Head      wire.Seq // newest event of the relay
	Close     string   // why the last connection ended; empty: none did
	Skew      time.Duration
	Problem   *problem.Error
}

// pace is the pause between two polls at present.
func (t *tunnel) pace() time.Duration {
	if !t.healthy.Load() {
		return t.every
	}
	return max(t.every, min(slowPolls*t.every, slowestPoll))
}

// link returns the state of the agent, false while there is none.
func (t *tunnel) link() (link, bool) {
	t.mu.Lock()
	a := t.agent
	t.mu.Unlock()
	if a == nil {
		return link{}, false
	}
	return a.Link(), true
}

// watchOnce makes polling, board and metrics say what the tunnel's state is.
func (t *tunnel) watchOnce(ctx context.Context) {
	l, running := t.link()
	heard := l.Up && t.now().Sub(l.Heard) <= wire.DeadAfter
	proven := t.now().Sub(unixMilli(t.lastOrder.Load())) < provenFor
	well := heard && proven && !t.sweeping.Load()
	if was := t.healthy.Swap(well); was && !well {
		signal(t.pollNow) // what the tunnel did not tell since the last poll
	}
	t.core.metrics.SetTunnel(heard, l.Heard)
	t.showLink(l, running)
	if t.relayURL() == "" || !t.inboxMoved.Swap(false) && t.now().Sub(t.shown) < showEvery {
		return
	}
	t.shown = t.now()
	if err := t.showInbox(ctx); err != nil && ctx.Err() == nil {
		t.log.LogAttrs(ctx, levelOf(err), "reading the inbox failed", errAttr(err))
	}
}

// showLink puts what is wrong with the connection on the board.
func (t *tunnel) showLink(l link, running bool) {
	b := t.core.board
	for _, code := range tunnelCodes {
		if l.Problem != nil && l.Problem.Code == code {
			b.Raise(code, subjectTunnel, l.Problem.Args)
		} else {
			b.Clear(code, subjectTunnel)
		}
	}
	if running && !l.Up {
		b.Raise(problem.TunnelDown, subjectTunnel, nil) // shown when it lasts
	} else {
		b.Clear(problem.TunnelDown, subjectTunnel)
	}
	clock := l.Problem != nil && l.Problem.Code == problem.ClockSkew
	switch {
	case l.Skew.Abs() > wire.MaxSkew:
		b.Raise(problem.ClockSkew, subjectTunnel, problem.Args{"skew": l.Skew.Round(time.Second).String()})
	case clock:
		b.Raise(problem.ClockSkew, subjectTunnel, l.Problem.Args)
	case l.Up || !running:
		b.Clear(problem.ClockSkew, subjectTunnel)
	}
}

// showInbox puts holes and events that cannot be used on the board, for a day.
func (t *tunnel) showInbox(ctx context.Context) error {
	since := t.now().Add(-incidentFor)
	return t.core.db.Read(ctx, func(s *localdb.Snapshot) error {
		gaps, err := s.TunnelGaps(ctx, 20)
		if err != nil {
			return err
		}
		t.showGap(gaps, since)
		p, err := s.PoisonSince(ctx, since, mostPoison)
		if err != nil {
			return err
		}
		t.showPoison(p)
		st, err := s.InboxStats(ctx)
		t.core.metrics.SetInbox(st.New, st.Poison)
		return err
	})
}

// showGap shows the holes since then as one incident.
func (t *tunnel) showGap(gaps []localdb.TunnelGap, since time.Time) {
	var first time.Time
	for _, g := range gaps {
		if g.At.After(since) {
			first = g.At
		}
	}
	if first.IsZero() {
		t.core.board.Clear(problem.TunnelGap, subjectTunnel)
		return
	}
	t.core.board.RaiseSince(problem.TunnelGap, subjectTunnel, problem.Args{"reason": gapText(gaps[0])}, first)
}

// showPoison shows what could not be used since then. What was sealed for another
// computer is told as a hole.
func (t *tunnel) showPoison(p localdb.Poison) {
	count, reason, last := 0, "", time.Time{}
	for r, n := range p.Count {
		if r == spoilKey {
			continue
		}
		count += n
		if p.Last[r].After(last) || reason == "" {
			reason, last = r, p.Last[r]
		}
	}
	if count == 0 {
		t.core.board.Clear(problem.TunnelEvent, subjectTunnel)
		return
	}
	t.core.board.Raise(problem.TunnelEvent, subjectTunnel, problem.Args{"count": fmt.Sprint(count), "reason": spoilTexts[reason]})
}

// status is the tunnel as the API shows it; nil when no relay is set.
func (t *tunnel) status(ctx context.Context) (*ui.Tunnel, error) {
	t.mu.Lock()
	relay, p := t.relay, t.pairing
	t.mu.Unlock()
	if relay == "" {
		return nil, nil //nolint:nilnil // nothing to show is no error
	}
	l, running := t.link()
	v := &ui.Tunnel{
		RelayURL: relay, Paired: running && p != nil, State: l.State, Transport: l.Transport, Proxy: l.Proxy, ConnectedSince: l.Since,
		LastHeardAt: l.Heard, NextTryAt: l.NextTry, LastClose: l.Close, Head: int64(l.Head),
		LastOrderAt: unixMilli(t.lastOrder.Load()), Sweeping: t.sweeping.Load(), PollSeconds: t.pace().Seconds(),
	}
	if !running {
		v.State = "unpaired"
	}
	if l.Skew != 0 {
		v.ClockSkew = l.Skew.Round(time.Millisecond).String()
	}
	err := t.core.db.Read(ctx, func(s *localdb.Snapshot) error {
		cur, err := s.TunnelCursor(ctx)
		if err != nil {
			return err
		}
		v.Cursor, v.Gaps = cur.Seq, cur.Gaps
		v.Head = max(v.Head, v.Cursor)
		st, err := s.InboxStats(ctx)
		v.Waiting, v.Unusable = st.New, st.Poison
		return err
	})
	v.Text = tunnelText(v, l.Up, t.now())
	return v, err
}

// tunnelText says the state in a sentence.
func tunnelText(v *ui.Tunnel, up bool, now time.Time) string {
	heard := "the relay was never heard"
	if !v.LastHeardAt.IsZero() {
		heard = "relay last heard " + now.Sub(v.LastHeardAt).Truncate(time.Second).String() + " ago"
	}
	switch {
	case !v.Paired:
		return "not paired"
	case up:
		return fmt.Sprintf("%s by %s, connected for %s", heard, v.Transport, now.Sub(v.ConnectedSince).Truncate(time.Second))
	case !v.NextTryAt.IsZero():
		return fmt.Sprintf("not connected; %s; next try in %s", heard, max(0, v.NextTryAt.Sub(now)).Round(time.Second))
	}
	return "not connected; " + heard
}
