package appliance

import (
	"testing"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
)

// What a person may do in which state; everything else is RH-210.
func TestActsOfAPerson(t *testing.T) {
	reach := map[order.State]func(*clinic){
		order.Scheduled:  func(*clinic) {},
		order.Held:       func(c *clinic) { _, err := c.Hold(c.t.Context(), act{Accession: "1"}); c.ok(err) },
		order.InProgress: func(c *clinic) { c.begin(c.order("1"), 0) },
		order.Completed:  func(c *clinic) { _, err := c.Complete(c.t.Context(), act{Accession: "1"}); c.ok(err) },
		order.Cancelled:  func(c *clinic) { _, err := c.Cancel(c.t.Context(), act{Accession: "1"}); c.ok(err) },
	}
	want := map[order.State]map[string]order.State{
		order.Scheduled:  {"complete": order.Completed, "cancel": order.Cancelled, "hold": order.Held},
		order.Held:       {"complete": order.Completed, "cancel": order.Cancelled, "hold": order.Held, "release": order.Scheduled},
		order.InProgress: {"complete": order.Completed, "cancel": order.Discontinued, "reopen": order.Scheduled},
		order.Completed:  {"complete": order.Completed, "reopen": order.Scheduled},
		order.Cancelled:  {"reopen": order.Scheduled},
	}
	for from, prepare := range reach {
		for _, name := range []string{"complete", "cancel", "hold", "release", "reopen"} {
			t.Run(string(from)+" "+name, func(t *testing.T) {
				c := newClinic(t)
				c.request("1", "X-ray")
				c.look("1")
				prepare(c)
				do := map[string]func() (*order.Order, error){
					"complete": func() (*order.Order, error) { return c.Complete(t.Context(), act{"1", "anna", "why"}) },
					"cancel":   func() (*order.Order, error) { return c.Cancel(t.Context(), act{"1", "anna", "why"}) },
					"hold":     func() (*order.Order, error) { return c.Hold(t.Context(), act{"1", "anna", "why"}) },
					"release":  func() (*order.Order, error) { return c.Release(t.Context(), act{"1", "anna", "why"}) },
					"reopen":   func() (*order.Order, error) { return c.Reopen(t.Context(), act{"1", "anna", "why"}) },
				}[name]
				_, err := do()
				to, allowed := want[from][name]
				if !allowed {
					to = from
					if p := problem.Of(err); p == nil || p.Code != problem.OrderState {
						t.Errorf("got %v, want RH-210", err)
					}
				} else {
					c.ok(err)
					if o := c.order("1"); !c.told(o, "why") {
						t.Errorf("the reason is not in %q", c.story(o))
					}
				}
				c.wants("1", to)
			})
		}
	}
	c := newClinic(t)
	if _, err := c.Cancel(t.Context(), act{Accession: "nope"}); problem.Of(err) == nil || problem.Of(err).Code != problem.OrderUnknown {
		t.Errorf("unknown order: %v", err)
	}
}

func TestAddByHand(t *testing.T) {
	c := newClinic(t)
	o, err := c.Add(t.Context(), newByHand{Who: "x", Patient: order.Patient{Name: "Luna"}, Modality: "X-ray"})
	c.ok(err)
	if o.State != order.Scheduled || c.shelf[o.ID] == nil || !o.ByHand || o.Content.Patient.ID != o.AccessionNumber {
		t.Errorf("%+v", o)
	}
	for what, n := range map[problem.Code]newByHand{
		problem.OrderUnmapped: {Patient: order.Patient{Name: "Luna"}, Modality: "PET"},
		problem.OrderInvalid:  {Modality: "X-ray"},
	} {
		if _, err := c.Add(t.Context(), n); problem.Of(err) == nil || problem.Of(err).Code != what {
			t.Errorf("%s: %v", what, err)
		}
	}
	if len(c.unsent()) != 0 {
		t.Error("Provet is owed a report about an order that it does not have")
	}
}
