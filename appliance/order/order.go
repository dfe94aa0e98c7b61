package order

import (
	"log/slog"
	"slices"
	"time"
)

// Order is an imaging order as Rayhound keeps it: what Provet Cloud said
// (Content), the identity we gave it once and for life, and where it stands.
type Order struct {
	ID int64 // database id; 0 before it is stored

	// Identity, minted once and never changed (design §3).
	ProvetID             string // id of the Provet worklist order; empty for an order entered by hand
	AccessionNumber      string // SH, at most 16 characters
	StudyInstanceUID     string // 2.25.<128 random bits>
	RequestedProcedureID string // SH, at most 16 characters

	State    State
	Steps    []Step // at least one
	Holds    []Hold // why it is held; empty in every other state
	Revision int    // 1 for the first content, plus one for each change of content

	Content     Content
	ContentHash string // Content.Hash of the revision
	ByHand      bool   // entered by a person, not read from Provet

	Notices        []Notice // what a person should look at, until somebody does
	UpstreamStatus string   // the status Provet Cloud showed when it was last read, as text
	ClosedBy       Source   // who closed it; empty while open. Upstream when Provet Cloud withdrew it
	ClosedText     string   // why it is closed, in one line: "closed by images: 2 series, 12 images, 14:03"

	CreatedAt time.Time // when we first knew it
	ChangedAt time.Time // last change of content or state
	ClosedAt  time.Time // zero while open
}

// Step is one scheduled procedure step: one modality of the order.
type Step struct {
	ScheduledProcedureStepID string   // SH, at most 16 characters
	Modality                 Ref      // Provet's modality row
	Stations                 []string // names of the machines that may do it
	State                    State    // Scheduled, InProgress, Completed or Discontinued
	StartedAt                time.Time
	EndedAt                  time.Time
	ForeignStudyUID          string // set when a console used a study UID of its own (PS3.4 F.7.2.1.2)
}

// Hold says why an order cannot be scheduled.
type Hold struct {
	Code   string // problem code, such as RH-201
	Field  string // what is missing: a field ("patient_id") or a mapping ("modality")
	Detail string // the value that could not be mapped, such as "Dental X-ray"; no personal data
}

// Notice is something about an order that a person should look at: a problem
// code with its arguments. It is shown until the person acts, and remembered
// afterwards so that the same fact does not raise it again.
type Notice struct {
	Code string
	Args map[string]string
	At   time.Time
	Done bool // somebody acted
}

// Ref is a row of a practice system's table: a modality, a department, a user.
type Ref struct {
	ID   string
	Name string
}

// Stations returns the names of all machines that may do a step of o, sorted,
// each once.
func (o *Order) Stations() []string {
	var all []string
	for _, s := range o.Steps {
		all = append(all, s.Stations...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Step returns the step with that ScheduledProcedureStepID, or nil.
func (o *Order) Step(spsID string) *Step {
	for i := range o.Steps {
		if o.Steps[i].ScheduledProcedureStepID == spsID {
			return &o.Steps[i]
		}
	}
	return nil
}

// Aggregate returns the state that the steps of an order add up to: in progress
// as soon as one has begun and not all have ended, completed when all have
// ended and at least one was completed. An order without steps is Scheduled.
func Aggregate(steps []Step) State {
	var begun, ended, completed int
	for _, s := range steps {
		switch s.State {
		case InProgress:
			begun++
		case Completed:
			completed++
			ended++
		case Discontinued, Cancelled:
			ended++
		case Received, Held, Scheduled:
		}
	}
	switch {
	case len(steps) > 0 && ended == len(steps) && completed > 0:
		return Completed
	case len(steps) > 0 && ended == len(steps):
		return Discontinued
	case begun > 0 || ended > 0:
		return InProgress
	}
	return Scheduled
}

// Clone returns a deep copy.
func (o *Order) Clone() *Order {
	c := *o
	c.Holds = slices.Clone(o.Holds)
	c.Notices = slices.Clone(o.Notices)
	c.Steps = slices.Clone(o.Steps)
	for i := range c.Steps {
		c.Steps[i].Stations = slices.Clone(c.Steps[i].Stations)
	}
	c.Content = o.Content.Clone()
	return &c
}

// LogValue keeps personal data out of logs.
func (o *Order) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("accession_number", o.AccessionNumber),
		slog.String("state", string(o.State)),
		slog.Int("revision", o.Revision))
}
