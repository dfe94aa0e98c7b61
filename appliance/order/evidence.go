package order

import "time"

// Source is who says that imaging began or ended.
type Source string

// The sources of evidence. MPPS, HL7 and Images are the words of done_when.
const (
	MPPS   Source = "mpps"   // the machine's performed procedure step
	HL7    Source = "hl7"    // status or report from the RIS
	Images Source = "images" // the study seen in the PACS, and quiet
	ByHand Source = "person" // a person
	Idle   Source = "idle"   // the idle rule of the machine

	Upstream Source = "provet" // Provet Cloud itself: withdrawn there, or finished there by a person
)

// Evidence is one fact in the ledger of an order.
type Evidence struct {
	ID                       int64
	OrderID                  int64
	ScheduledProcedureStepID string // empty: concerns the whole order
	At                       time.Time
	Source                   Source
	Event                    Event  // what it says: StepStarted, StepCompleted, StepDiscontinued, WrongEntry ...
	Station                  string // name of the machine, when one is known
	Ref                      string // SOP instance UID of the MPPS, message control id ...
	Series                   int
	Instances                int
	Reason                   string // discontinuation reason, or what the person wrote
	Decided                  bool   // this evidence closed the step or the order
}

// Entry is one line of an order's timeline: everything that happened, in the
// order it happened, for people.
type Entry struct {
	ID      int64
	OrderID int64
	At      time.Time
	Kind    string // stable word: "received", "scheduled", "seen", "started", "sent" ...
	Source  string // who: "provet", "mpps", "person", "outbox", "system" ...
	Code    string // problem code, when something is wrong
	Text    string // one sentence; no personal data beyond the animal's name
}

// Hint is a durable request to look at one order (design §2). Hints for the
// same order coalesce.
type Hint struct {
	ProvetID string
	Reason   string // create, update, delete, poll, sweep, person, echo
	At       time.Time
	Seq      int64 // changes with every signal; a hint is done only if it did not change meanwhile
	Attempts int   // failed looks so far
}
