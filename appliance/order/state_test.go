package order

import (
	"errors"
	"testing"
)

// The table of appliance/DESIGN.md, written down a second time. Rows are
// states, columns the events in the order of Events(); "-" is refused.
var wantTransitions = map[State][]State{
	//            accepted   held_back withdrawn  restored  started     completed  discontinued  wrong_entry closed     cancel        reopened
	Received:     {Scheduled, Held, Cancelled, "-", "-", "-", "-", "-", "-", "-", "-"},
	Held:         {Scheduled, Held, Cancelled, "-", InProgress, Completed, Discontinued, "-", Completed, Cancelled, "-"},
	Scheduled:    {Scheduled, Held, Cancelled, "-", InProgress, Completed, Discontinued, Scheduled, Completed, Cancelled, "-"},
	InProgress:   {InProgress, "-", "-", "-", InProgress, Completed, Discontinued, Scheduled, Completed, Discontinued, Scheduled},
	Completed:    {"-", "-", "-", "-", "-", Completed, "-", "-", "-", "-", Scheduled},
	Discontinued: {"-", "-", "-", "-", InProgress, Completed, Discontinued, "-", Completed, "-", Scheduled},
	Cancelled:    {"-", "-", Cancelled, Scheduled, InProgress, Completed, "-", "-", "-", "-", Scheduled},
}

func TestNextDecidesEveryStateAndEvent(t *testing.T) {
	if len(wantTransitions) != len(States()) {
		t.Fatalf("the table has %d states, the package %d", len(wantTransitions), len(States()))
	}
	for _, from := range States() {
		row := wantTransitions[from]
		if len(row) != len(Events()) {
			t.Fatalf("%s: %d columns for %d events", from, len(row), len(Events()))
		}
		for i, ev := range Events() {
			got, err := Next(from, ev)
			switch {
			case row[i] == "-" && (!errors.Is(err, ErrRefused) || got != from):
				t.Errorf("%s + %s = %s, %v; want it refused", from, ev, got, err)
			case row[i] != "-" && (err != nil || got != row[i]):
				t.Errorf("%s + %s = %s, %v; want %s", from, ev, got, err, row[i])
			}
		}
	}
}

func TestNextRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, c := range []struct {
		s  State
		ev Event
	}{{"nonsense", Accepted}, {Scheduled, "nonsense"}, {"", ""}} {
		if got, err := Next(c.s, c.ev); !errors.Is(err, ErrRefused) || got != c.s {
			t.Errorf("Next(%q, %q) = %q, %v", c.s, c.ev, got, err)
		}
	}
}

func TestValidAndOpen(t *testing.T) {
	open := map[State]bool{Received: true, Held: true, Scheduled: true, InProgress: true}
	for _, s := range States() {
		if !s.Valid() {
			t.Errorf("%s is not valid", s)
		}
		if s.Open() != open[s] {
			t.Errorf("%s.Open() = %v", s, s.Open())
		}
	}
	if State("nonsense").Valid() || State("nonsense").Open() {
		t.Error("an unknown state is neither valid nor open")
	}
}

func TestAggregate(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []State
		want  State
	}{
		{"no steps", nil, Scheduled},
		{"one scheduled", []State{Scheduled}, Scheduled},
		{"one begun", []State{InProgress, Scheduled}, InProgress},
		{"one done, one waits", []State{Completed, Scheduled}, InProgress},
		{"one given up, one waits", []State{Discontinued, Scheduled}, InProgress},
		{"all done", []State{Completed, Completed}, Completed},
		{"done and given up", []State{Completed, Discontinued}, Completed},
		{"all given up", []State{Discontinued, Discontinued}, Discontinued},
	} {
		t.Run(c.name, func(t *testing.T) {
			var steps []Step
			for _, s := range c.steps {
				steps = append(steps, Step{State: s})
			}
			if got := Aggregate(steps); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
