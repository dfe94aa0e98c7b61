package appliance

import (
	"testing"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/mpps"
)

// A walk-in that was imaged becomes its Provet order: one order, the identity of
// the images, Provet's content, and Provet hears that it is done.
func TestLinkOrder(t *testing.T) {
	for name, known := range map[string]bool{"already here": true, "not seen yet": false} {
		t.Run(name, func(t *testing.T) {
			c := newClinic(t)
			walkIn, err := c.Add(t.Context(), newByHand{Patient: order.Patient{Name: "Luna"}, Modality: "X-ray"})
			c.ok(err)
			c.end(c.begin(walkIn, 0), mpps.Completed)
			up := c.request("7", "X-ray")
			if known {
				c.look("7")
			}
			_, err = c.LinkOrder(t.Context(), act{Accession: walkIn.AccessionNumber, Who: "x"}, "7")
			c.ok(err)
			c.drain()
			o := c.wants("7", order.Completed)
			if o.ID != walkIn.ID || o.StudyInstanceUID != walkIn.StudyInstanceUID || o.Content.Patient.ID != "p7" {
				t.Errorf("%+v", o)
			}
			if len(c.shelf) != 0 {
				t.Errorf("%d orders are on the list", len(c.shelf))
			}
			if got := c.raised(problem.OrderPatientDiffers); len(got) != 1 {
				t.Errorf("the images carry another patient id, RH-207 of %v", got)
			}
			c.send()
			if up.Status != "3" {
				t.Errorf("Provet shows %s", up.Status)
			}
			if _, err := c.LinkOrder(t.Context(), act{Accession: walkIn.AccessionNumber}, "7"); err != nil {
				t.Errorf("pressed twice: %v", err)
			}
		})
	}
}

func TestLinkOrderIsRefused(t *testing.T) {
	c := newClinic(t)
	walkIn, err := c.Add(t.Context(), newByHand{Patient: order.Patient{Name: "Luna"}, Modality: "X-ray"})
	c.ok(err)
	c.request("7", "X-ray")
	c.look("7")
	c.request("8", "X-ray")
	c.look("8")
	c.begin(c.order("7"), 0)
	for what, f := range map[string]func() error{
		"imaged already": func() error {
			_, err := c.LinkOrder(t.Context(), act{Accession: walkIn.AccessionNumber}, "7")
			return err
		},
		"not by hand": func() error { _, err := c.LinkOrder(t.Context(), act{Accession: "8"}, "7"); return err },
		"without an id": func() error {
			_, err := c.LinkOrder(t.Context(), act{Accession: walkIn.AccessionNumber}, "")
			return err
		},
		"no such walk-in": func() error { _, err := c.LinkOrder(t.Context(), act{Accession: "nope"}, "8"); return err },
	} {
		if problem.Of(f()) == nil {
			t.Errorf("%s: not refused", what)
		}
	}
	c.wants("7", order.InProgress)
	c.wants("8", order.Scheduled)
	if c.shelf[walkIn.ID] == nil {
		t.Error("the walk-in left the list")
	}
}
