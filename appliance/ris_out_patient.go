package appliance

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/hl7/orders"
	"github.com/rayhound/rayhound/localdb"
)

// tellPatient tells a RIS that wants it of a changed animal, and of two that
// became one.
func (b *batch) tellPatient(p *risPeer, o *order.Order, known map[string]localdb.Told) error {
	if !p.profile.SendADT || o.Content.Patient.ID == "" {
		return nil
	}
	var was localdb.Told // what it knows of the order
	for _, t := range known {
		if t.State == localdb.ToldOpen {
			was = t
		}
	}
	patient := o.Content.Patient
	hash, err := hashOf(struct {
		order.Patient
		order.Owner
	}{patient, o.Content.Owner})
	if err != nil {
		return err
	}
	had, err := b.tx.ToldPatient(b.ctx, p.Name, patient.ID)
	if err != nil {
		return err
	}
	into := o.Content.UpstreamPatient
	switch {
	case into != "" && into != patient.ID && was.State != "" && had != "merged:"+into: // Provet merged it
		hash = "merged:" + into
		merged := o.Clone()
		merged.Content.Patient.ID = into
		err = b.enqueueADT(p, o, merged, orders.Merge, patient.ID)
	case strings.HasPrefix(had, "merged:"):
		return nil
	case was.State != "" && was.PatientID == o.AccessionNumber && patient.ID != o.AccessionNumber && had == "":
		// Entered by hand as its own patient, and found in Provet.
		err = b.enqueueADT(p, o, o, orders.Merge, was.PatientID)
	case had == hash:
		return nil
	case was.State == "" && !p.hearsOf(o):
		return nil // it is not told of the order either
	case had != "" && (o.ProvetID == "" || o.ProvetID != b.readNow):
		return nil // another order told it what is newer
	case had != "":
		err = b.enqueueADT(p, o, o, orders.PatientUpdate, "")
	}
	if err != nil {
		return err
	}
	return b.tx.SetToldPatient(b.ctx, p.Name, patient.ID, hash, b.now)
}

// hearsOf reports whether the RIS is to have a step of an order.
func (p *risPeer) hearsOf(o *order.Order) bool {
	return slices.ContainsFunc(o.Steps, func(s order.Step) bool { return p.serves(s.Modality) && wishOf(o, &s) == wishHave })
}

func (b *batch) enqueueADT(p *risPeer, o, as *order.Order, trigger orders.Trigger, previous string) error {
	if _, err := b.tx.DropUnsent(b.ctx, o.ID, p.dest(), "overtaken by a later change", b.now, string(orders.A08)); err != nil {
		return err
	}
	out, err := b.build(p, as, nil, trigger, orders.Meta{At: b.now, Clinic: p.clinic, PreviousPatientID: previous})
	if err != nil {
		return b.notTold(p, o, err)
	}
	for _, m := range out {
		if err := b.enqueueMessage(p, o, unitPatient, m, localdb.Told{}); err != nil {
			return err
		}
	}
	return nil
}

func hashOf(v any) (string, error) {
	text, err := json.Marshal(v)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), err
}
