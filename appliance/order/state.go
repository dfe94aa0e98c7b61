package order

import (
	"errors"
	"fmt"
)

// State is where an order, or one of its steps, stands. The values are stored
// and sent; they never change.
type State string

// The states of an order (design §3). A step of an order is only ever in
// Scheduled, InProgress, Completed or Discontinued.
const (
	Received     State = "received"     // known, not yet judged
	Held         State = "held"         // cannot be scheduled yet; Order.Holds says why
	Scheduled    State = "scheduled"    // offered on the worklist
	InProgress   State = "in_progress"  // a machine has begun
	Completed    State = "completed"    // done, by evidence
	Discontinued State = "discontinued" // begun or planned, given up at the machine or by a person
	Cancelled    State = "cancelled"    // withdrawn before imaging
)

// States lists every state, in the order of an order's life.
func States() []State {
	return []State{Received, Held, Scheduled, InProgress, Completed, Discontinued, Cancelled}
}

// Open reports whether an order in this state still waits for something to
// happen: it is swept, watched by the idle rule and kept whatever its age.
func (s State) Open() bool {
	switch s {
	case Received, Held, Scheduled, InProgress:
		return true
	case Completed, Discontinued, Cancelled:
		return false
	}
	return false
}

// Valid reports whether s is one of the states of this package.
func (s State) Valid() bool {
	_, ok := transitions[s]
	return ok
}

// Event is something that happened to an order.
type Event string

// The events of an order's life.
const (
	Accepted         Event = "accepted"          // everything needed to schedule it is known
	HeldBack         Event = "held_back"         // a mapping or a field is missing, or a person holds it
	Withdrawn        Event = "withdrawn"         // Provet Cloud shows it deleted or cancelled
	Restored         Event = "restored"          // withdrawn before imaging, and there again
	StepStarted      Event = "step_started"      // a machine began (MPPS IN PROGRESS, HL7 IP)
	StepCompleted    Event = "step_completed"    // evidence that completes it here
	StepDiscontinued Event = "step_discontinued" // a machine gave up
	WrongEntry       Event = "wrong_entry"       // discontinued with "incorrect worklist entry selected" (DCM 110514)
	ClosedByPerson   Event = "closed_by_person"  // a person says it is done, with a reason
	CancelByPerson   Event = "cancel_by_person"  // a person takes it off the list, with a reason
	ReopenedByPerson Event = "reopened_by_person"
)

// Events lists every event.
func Events() []Event {
	return []Event{
		Accepted, HeldBack, Withdrawn, Restored, StepStarted, StepCompleted, StepDiscontinued,
		WrongEntry, ClosedByPerson, CancelByPerson, ReopenedByPerson,
	}
}

// transitions is the whole lifecycle. What is not listed is refused.
//
// The same table serves an order and each of its steps. Events that arrive a
// second time keep the state (StepStarted in InProgress); late evidence is not
// listed where it would move a state backwards.
var transitions = map[State]map[Event]State{
	Received: {
		Accepted: Scheduled, HeldBack: Held, Withdrawn: Cancelled,
	},
	Held: {
		Accepted: Scheduled, HeldBack: Held, Withdrawn: Cancelled,
		StepStarted: InProgress, StepCompleted: Completed, StepDiscontinued: Discontinued,
		ClosedByPerson: Completed, CancelByPerson: Cancelled,
	},
	Scheduled: {
		Accepted: Scheduled, HeldBack: Held, Withdrawn: Cancelled,
		StepStarted: InProgress, StepCompleted: Completed, StepDiscontinued: Discontinued, WrongEntry: Scheduled,
		ClosedByPerson: Completed, CancelByPerson: Cancelled,
	},
	InProgress: {
		Accepted: InProgress, StepStarted: InProgress,
		StepCompleted: Completed, StepDiscontinued: Discontinued, WrongEntry: Scheduled,
		ClosedByPerson: Completed, CancelByPerson: Discontinued, ReopenedByPerson: Scheduled,
	},
	Completed: {
		StepCompleted: Completed, ReopenedByPerson: Scheduled,
	},
	Discontinued: {
		StepStarted: InProgress, StepCompleted: Completed, StepDiscontinued: Discontinued,
		ClosedByPerson: Completed, ReopenedByPerson: Scheduled,
	},
	Cancelled: {
		StepStarted: InProgress, StepCompleted: Completed, Withdrawn: Cancelled,
		Restored: Scheduled, ReopenedByPerson: Scheduled,
	},
}

// ErrRefused is wrapped by every error of Next.
var ErrRefused = errors.New("order: transition refused")

// Next returns the state that follows from when ev happens. It has no effect
// besides: the caller stores the result and acts on it. An event that the table
// does not list returns from unchanged and an error that wraps ErrRefused.
func Next(from State, ev Event) (State, error) {
	to, ok := transitions[from][ev]
	if !ok {
		return from, fmt.Errorf("%w: %s in state %s", ErrRefused, ev, from)
	}
	return to, nil
}
