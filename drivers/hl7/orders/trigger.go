package orders

import (
	"errors"
	"fmt"

	"github.com/rayhound/rayhound/appliance/order"
)

// Trigger is why a peer is told about an order.
type Trigger string

// The triggers.
const (
	New           Trigger = "new"
	Change        Trigger = "change"
	Cancel        Trigger = "cancel"
	Discontinue   Trigger = "discontinue"
	Replace       Trigger = "replace"
	PatientUpdate Trigger = "patient_update"
	Merge         Trigger = "merge"
)

// Kind is a message to send: its order control code, or its ADT event.
type Kind string

// The kinds of message.
const (
	NW  Kind = "NW"
	XO  Kind = "XO"
	CA  Kind = "CA"
	DC  Kind = "DC"
	RP  Kind = "RP"  // RP and RO in one message
	A04 Kind = "A04" // register
	A08 Kind = "A08" // update
	A40 Kind = "A40" // merge
)

// Errors of Plan and Build.
var (
	// ErrPerformed: a step that was performed can neither be cancelled nor replaced.
	ErrPerformed = errors.New("orders: the step was performed already")
	// ErrStarted: a step that has begun is not replaced; the peer knows no change.
	ErrStarted = errors.New("orders: the step has begun, and the peer takes no change of an order")
	// ErrNotWanted: the peer does not want this kind of message.
	ErrNotWanted = errors.New("orders: the peer does not want such a message")
	// ErrSelfMerge: both ids of a merge are the same.
	ErrSelfMerge = errors.New("orders: a patient is not merged with itself")
)

// Plan returns the messages that tell the peer about a trigger, in the order of
// sending. A cancel of a step that has begun becomes DC.
func Plan(p *Profile, ev Trigger, o *order.Order, step *order.Step) ([]Kind, error) {
	state := stateOf(o, step)
	switch ev {
	case New:
		if p.RegisterFirst {
			return []Kind{A04, NW}, nil
		}
		return []Kind{NW}, nil
	case Change:
		if p.update() == UpdateXO {
			return []Kind{XO}, nil
		}
		return planReplace(p, state)
	case Replace:
		return planReplace(p, state)
	case Cancel, Discontinue:
		switch {
		case state == order.Completed:
			return nil, ErrPerformed
		case ev == Cancel && state == order.Scheduled:
			return []Kind{CA}, nil
		}
		return []Kind{DC}, nil
	case PatientUpdate, Merge:
		switch {
		case !p.SendADT:
			return nil, ErrNotWanted
		case ev == Merge:
			return []Kind{A40}, nil
		}
		return []Kind{A08}, nil
	}
	return nil, fmt.Errorf("orders: unknown trigger %q", ev)
}

func planReplace(p *Profile, state order.State) ([]Kind, error) {
	switch {
	case state == order.Completed:
		return nil, ErrPerformed
	case state != order.Scheduled:
		return nil, ErrStarted
	case p.update() == UpdateCA:
		return []Kind{CA, NW}, nil
	}
	return []Kind{RP}, nil
}

// stateOf is the state of the step, or of all steps of the order.
func stateOf(o *order.Order, step *order.Step) order.State {
	if step != nil {
		if step.State == "" {
			return order.Scheduled
		}
		return step.State
	}
	return order.Aggregate(o.Steps)
}
