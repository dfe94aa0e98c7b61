package appliance

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/hl7/orders"
	"github.com/rayhound/rayhound/localdb"
)

// arrivalHL7 is the kind of arrivals that came by HL7.
const arrivalHL7 = "hl7"

// arrivalRef names what belongs together: all that one RIS says with the same
// numbers about the same patient.
func arrivalRef(s said, rep *orders.Report) string {
	parts := []string{rep.AccessionNumber, rep.PlacerOrderNumber, rep.StudyInstanceUID, rep.FillerOrderNumber}
	if strings.Join(parts, "") == "" {
		parts = []string{"message", s.controlID, strconv.FormatInt(s.inID, 10)}
	}
	for i := range parts {
		parts[i] = clipped(parts[i], 100)
	}
	return s.ris + "|" + strings.Join(parts, "|") + "|" + clipped(rep.PatientID, 100)
}

// linkedBefore returns the order that a person linked such news to, or nil.
func (b *batch) linkedBefore(s said, rep *orders.Report) (*order.Order, error) {
	a, err := b.tx.ArrivalByRef(b.ctx, arrivalHL7, arrivalRef(s, rep))
	if errors.Is(err, localdb.ErrNotFound) || err == nil && (a.State != localdb.ArrivalLinked || a.LinkedOrderID == 0) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if o, ok := b.touched[a.LinkedOrderID]; ok {
		return o, nil
	}
	o, err := b.tx.OrderByID(b.ctx, a.LinkedOrderID)
	if errors.Is(err, localdb.ErrNotFound) {
		return nil, nil
	}
	return o, err
}

// risArrival keeps news that belong to no order for a person. When a person said
// before which order such news mean, they are applied to it.
func (b *batch) risArrival(s said, rep *orders.Report, why reportedIn) error {
	linked, err := b.linkedBefore(s, rep)
	if err != nil {
		return err
	}
	if linked != nil && why.code == problem.ArrivalUnmatched {
		s.byPerson = true
		spsID, err := b.reportedStep(s.ris, linked, rep)
		if err != nil {
			return err
		}
		return b.risSaid(s, target{linked, spsID}, rep)
	}
	a, err := b.arrivalOf(s, rep, why.reason)
	if err != nil {
		return err
	}
	body, err := json.Marshal(heldReport(rep))
	if err != nil {
		return err
	}
	h := &localdb.HL7Held{InID: s.inID, RIS: s.ris, ControlID: s.controlID, ArrivalID: a.ID, Body: string(body)}
	if err := b.tx.AddHL7Held(b.ctx, h); err != nil {
		return err
	}
	docs, bytes := reportParts(s, rep)
	for i := range docs {
		d := &docs[i]
		d.HeldID = h.ID
		if d.At.IsZero() {
			d.At = b.now
		}
		if err := b.tx.AddDocument(b.ctx, d, bytes[i]); err != nil && !errors.Is(err, localdb.ErrTooLarge) {
			return err
		}
	}
	if a.State != localdb.ArrivalOpen { // set aside by a person
		return nil
	}
	b.raiseArrival(a, why.code)
	if o := why.differs; o != nil {
		id := strconv.FormatInt(a.ID, 10)
		b.notice(o, problem.RISPatientDiffers, problem.Args{"ris": s.ris, "accession": o.AccessionNumber, "arrival": id})
		if err := b.save(o); err != nil {
			return err
		}
		return b.say(o, "patient_differs", order.HL7, problem.RISPatientDiffers,
			fmt.Sprintf("%s sent news of it with another patient id; not applied (arrival %s)", s.ris, id))
	}
	return nil
}

// arrivalOf finds or makes the arrival that a report belongs to.
func (b *batch) arrivalOf(s said, rep *orders.Report, reason string) (*localdb.Arrival, error) {
	a := &localdb.Arrival{
		Kind: arrivalHL7, Ref: arrivalRef(s, rep), Machine: s.ris, At: b.now, PatientID: rep.PatientID, StudyInstanceUID: rep.StudyInstanceUID,
		AccessionNumber: first(rep.AccessionNumber, rep.PlacerOrderNumber), Status: string(rep.Meaning), Reason: reason, State: localdb.ArrivalOpen,
	}
	if m := s.message; m != nil {
		family, given := strings.TrimSpace(m.Text("PID-5.1")), strings.TrimSpace(m.Text("PID-5.2"))
		a.PatientName = clipped(strings.TrimSpace(strings.Join([]string{family, given}, " ")), 200)
		a.Modality = clipped(strings.TrimSpace(m.Get("OBR-24")), 20)
	}
	known, err := b.tx.ArrivalByRef(b.ctx, a.Kind, a.Ref)
	switch {
	case errors.Is(err, localdb.ErrNotFound), err == nil && known.State == localdb.ArrivalLinked:
		err = b.tx.InsertArrival(b.ctx, a)
	case err == nil:
		known.Status = a.Status
		a = known
		err = b.tx.UpdateArrival(b.ctx, a)
	}
	return a, err
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// adoptReports applies to o what an arrival waited to say: a person said that it
// is about o.
func (b *batch) adoptReports(o *order.Order, a *localdb.Arrival) error {
	held, err := b.tx.HL7HeldOfArrival(b.ctx, a.ID)
	if err != nil {
		return err
	}
	for _, h := range held {
		var rep orders.Report
		if err := json.Unmarshal([]byte(h.Body), &rep); err != nil {
			return err
		}
		s := said{ris: h.RIS, controlID: h.ControlID, inID: h.InID, byPerson: true}
		if err := b.adoptDocuments(s, o, h.ID); err != nil {
			return err
		}
		if err := b.tx.DeleteHL7Held(b.ctx, h.ID); err != nil {
			return err
		}
		spsID, err := b.reportedStep(s.ris, o, &rep)
		if err != nil {
			return err
		}
		if err := b.risSaid(s, target{o, spsID}, &rep); err != nil {
			return err
		}
	}
	unnotice(o, problem.RISPatientDiffers)
	return b.save(o)
}

// adoptDocuments gives the documents of what was held to o.
func (b *batch) adoptDocuments(s said, o *order.Order, heldID int64) error {
	docs, err := b.tx.DocumentsHeld(b.ctx, heldID)
	if err != nil || len(docs) == 0 {
		return err
	}
	before, err := b.tx.DocumentsOf(b.ctx, o.ID)
	if err != nil {
		return err
	}
	for i := range docs {
		d := &docs[i]
		d.OrderID, d.HeldID, d.CorrectionOf = o.ID, 0, corrected(before, d)
		if err := b.tx.AdoptDocument(b.ctx, d); err != nil {
			return err
		}
	}
	broken := 0
	for _, d := range docs {
		if d.Broken {
			broken++
		}
	}
	if broken > 0 {
		b.notice(o, problem.RISDocument, problem.Args{"ris": s.ris, "accession": o.AccessionNumber})
	}
	return b.say(o, "report", order.HL7, "", reportLine(s.ris, docs, broken))
}
