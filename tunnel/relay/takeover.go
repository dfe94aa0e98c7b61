package relay

import (
	"slices"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// Flapping: that many takeovers in that time freeze a clinic.
const (
	flapTakeovers = 3
	flapWithin    = time.Hour
	keptRuns      = 16
)

// verdict is what a new session is to the one before.
type verdict int

const (
	verdictSame     verdict = 1 // the same run again: its own half-open socket
	verdictRestart  verdict = 2 // another run of the same computer, or the first of all
	verdictTakeover verdict = 3 // another computer, or a copy of this one
	verdictFrozen   verdict = 4 // refused: two computers fight over the clinic
)

// judge compares a new session with the history and returns the history as it is afterwards.
//
// A copied disk carries the same instance. Its run tells: a restart never comes back with an earlier run, so run A after B is
// a copy. The third takeover within the hour is granted and freezes the clinic on the one that is then present.
func judge(h History, inst wire.InstanceID, run wire.RunID, now time.Time) (History, verdict) {
	p := h.Present
	next := Session{Instance: inst, Run: run, At: now}
	if p.Run == "" {
		h.Present = next
		return h, verdictRestart
	}
	if p.Instance == inst && p.Run == run {
		return h, verdictSame
	}
	earlier := slices.ContainsFunc(h.Runs, func(s Session) bool { return s.Run == run })
	other := p.Instance != inst || earlier
	if other && !h.Frozen.IsZero() {
		return h, verdictFrozen
	}
	h.Runs = append(slices.Clone(h.Runs), p)
	if n := len(h.Runs); n > keptRuns {
		h.Runs = h.Runs[n-keptRuns:]
	}
	h.Present = next
	if !other {
		return h, verdictRestart
	}
	h.Takeovers = slices.DeleteFunc(slices.Clone(h.Takeovers), func(t time.Time) bool { return now.Sub(t) >= flapWithin })
	h.Takeovers = append(h.Takeovers, now)
	if len(h.Takeovers) >= flapTakeovers {
		h.Frozen = now
	}
	return h, verdictTakeover
}
