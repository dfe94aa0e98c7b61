package problem

import (
	"slices"
	"sync"
	"time"
)

// Problem is something that is wrong now.
type Problem struct {
	Code     Code      `json:"code"`
	Key      string    `json:"key"`
	Subject  string    `json:"subject"` // what it concerns: an accession number, a machine's name; may be empty
	Severity Severity  `json:"severity"`
	Audience Audience  `json:"audience"`
	Title    string    `json:"title"`
	Text     string    `json:"text"`
	Help     string    `json:"help"`
	Since    time.Time `json:"since"`  // of the first fact
	Hidden   bool      `json:"hidden"` // a problem it depends on is active too
	Args     Args      `json:"args,omitempty"`
}

// Board holds the problems that are active now. It is safe for use by several
// goroutines. The zero value is ready.
type Board struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Changed, when set, is called after a problem appeared or went away, on the
	// goroutine that reported it, without a lock held.
	Changed func(p Problem, active bool)

	mu     sync.Mutex
	active map[boardKey]Problem
}

type boardKey struct {
	code    Code
	subject string
}

func (b *Board) now() time.Time {
	if b.Now != nil {
		return b.Now()
	}
	return time.Now()
}

// Raise reports that a problem is there. Raising it again keeps Since and
// replaces the arguments.
func (b *Board) Raise(code Code, subject string, args Args) {
	b.raiseAt(code, subject, args, b.now())
}

// RaiseSince is Raise with the time of the first fact, for problems that are
// read back from the database.
func (b *Board) RaiseSince(code Code, subject string, args Args, since time.Time) {
	b.raiseAt(code, subject, args, since)
}

func (b *Board) raiseAt(code Code, subject string, args Args, since time.Time) {
	d, ok := Lookup(code)
	if !ok {
		return
	}
	p := Problem{
		Code: code, Key: d.Key, Subject: subject, Severity: d.Severity, Audience: d.Audience,
		Title: fill(d.Title, args), Text: fill(d.Text, args), Help: fill(d.Help, args), Since: since, Args: args,
	}
	b.mu.Lock()
	if b.active == nil {
		b.active = map[boardKey]Problem{}
	}
	k := boardKey{code, subject}
	old, was := b.active[k]
	if was {
		p.Since = old.Since
	}
	b.active[k] = p
	b.mu.Unlock()
	if !was && b.Changed != nil {
		b.Changed(p, true)
	}
}

// Clear reports that a problem is gone. Clearing what is not there does nothing.
func (b *Board) Clear(code Code, subject string) {
	b.mu.Lock()
	k := boardKey{code, subject}
	p, was := b.active[k]
	delete(b.active, k)
	b.mu.Unlock()
	if was && b.Changed != nil {
		b.Changed(p, false)
	}
}

// ClearCode clears a problem for every subject.
func (b *Board) ClearCode(code Code) {
	for _, p := range b.All() {
		if p.Code == code {
			b.Clear(code, p.Subject)
		}
	}
}

// All returns every active problem, whether it has lasted long enough to be
// shown or not: worst first, then oldest, then by code and subject.
func (b *Board) All() []Problem {
	b.mu.Lock()
	all := make([]Problem, 0, len(b.active))
	codes := map[Code]bool{}
	for k, p := range b.active {
		all = append(all, p)
		codes[k.code] = true
	}
	b.mu.Unlock()
	for i := range all {
		d, _ := Lookup(all[i].Code)
		all[i].Hidden = slices.ContainsFunc(d.DependsOn, func(c Code) bool { return codes[c] })
	}
	slices.SortFunc(all, compare)
	return all
}

// Visible returns the problems that have lasted long enough to be shown.
func (b *Board) Visible() []Problem {
	now := b.now()
	return slices.DeleteFunc(b.All(), func(p Problem) bool {
		d, _ := Lookup(p.Code)
		return now.Sub(p.Since) < time.Duration(d.VisibleAfter)
	})
}

func compare(a, b Problem) int {
	rank := map[Severity]int{Fault: 0, Warn: 1, Info: 2}
	if r := rank[a.Severity] - rank[b.Severity]; r != 0 {
		return r
	}
	if c := a.Since.Compare(b.Since); c != 0 {
		return c
	}
	if a.Code != b.Code {
		if a.Code < b.Code {
			return -1
		}
		return 1
	}
	if a.Subject < b.Subject {
		return -1
	}
	return 1
}
