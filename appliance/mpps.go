package appliance

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/mpps"
	"github.com/rayhound/rayhound/localdb"
)

// wrongEntry is the code "incorrect worklist entry selected" (PS3.16, DCM).
const wrongEntry = "110514"

// steps answers mpps.Store: what a machine reports becomes evidence, or an
// arrival that waits for a person. Every method returns after the commit.
type steps struct{ c *core }

// Create stores a new performed procedure step.
func (s steps) Create(ctx context.Context, r *mpps.Report) error {
	if err := s.room(ctx); err != nil {
		return err
	}
	return s.commit(ctx, func(b *batch) error {
		if err := b.raw("mpps-create", r, ""); err != nil {
			return err
		}
		p := performed(r, b.now)
		found, err := b.findReferences(r.References)
		if err != nil {
			return err
		}
		if len(found.targets) == 0 {
			if p.ArrivalID, err = b.arrival(r, found.reason, found.code); err != nil {
				return err
			}
		}
		for _, t := range found.targets {
			p.OrderRefs = append(p.OrderRefs, localdb.StepRef{OrderID: t.order.ID, ScheduledProcedureStepID: t.spsID})
		}
		if err := b.tx.InsertPerformedStep(b.ctx, p); err != nil {
			if errors.Is(err, localdb.ErrExists) {
				return mpps.ErrDuplicate
			}
			return err
		}
		for _, t := range found.targets {
			if err := b.reported(t, r, p); err != nil {
				return err
			}
		}
		return nil
	})
}

// Set stores what changed in a performed procedure step.
func (s steps) Set(ctx context.Context, r *mpps.Report) error {
	if err := s.room(ctx); err != nil {
		return err
	}
	var answer error
	err := s.commit(ctx, func(b *batch) error {
		answer = nil
		p, err := b.tx.PerformedStep(b.ctx, r.SOPInstanceUID)
		if errors.Is(err, localdb.ErrNotFound) {
			answer = mpps.ErrUnknown
			if err := b.raw("mpps-set", r, "unknown instance"); err != nil {
				return err
			}
			_, err := b.arrival(r, "the machine reported a step that it never announced", problem.ArrivalUnmatched)
			return err
		}
		if err != nil {
			return err
		}
		if p.Final {
			answer = mpps.ErrFinal
			return b.raw("mpps-set", r, "after the final state")
		}
		if err := b.raw("mpps-set", r, ""); err != nil {
			return err
		}
		merge(p, r, b.now)
		if err := b.tx.UpdatePerformedStep(b.ctx, p); err != nil {
			return err
		}
		if p.ArrivalID != 0 {
			if err := b.refreshArrival(p); err != nil {
				return err
			}
		}
		for _, ref := range p.OrderRefs {
			o, err := b.tx.OrderByID(b.ctx, ref.OrderID)
			if errors.Is(err, localdb.ErrNotFound) {
				continue // purged meanwhile: what the machine says is kept with the step
			}
			if err != nil {
				return err
			}
			if t, ok := b.touched[o.ID]; ok {
				o = t // several steps of one order: go on from the state just made
			}
			if err := b.reported(target{o, ref.ScheduledProcedureStepID}, r, p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return answer
}

// Refused keeps a message that was answered with a failure, and shows it.
func (s steps) Refused(ctx context.Context, r *mpps.Report, reason string) error {
	return s.commit(ctx, func(b *batch) error {
		if err := b.raw("mpps-refused", r, reason); err != nil {
			return err
		}
		_, err := b.arrival(r, "refused: "+reason, problem.ArrivalUnmatched)
		return err
	})
}

// commit is core.commit that tells the machine when the disk is full.
func (s steps) commit(ctx context.Context, fn func(*batch) error) error {
	err := s.c.commit(ctx, fn)
	if p := problem.Of(err); p != nil && p.Code == problem.DiskLow {
		return errors.Join(mpps.ErrNoSpace, err)
	}
	return err
}

// room refuses while the disk has no room to keep what is acknowledged.
func (s steps) room(ctx context.Context) error {
	if err := s.c.db.DiskLow(ctx); err != nil {
		return errors.Join(mpps.ErrNoSpace, err)
	}
	return nil
}

func (b *batch) raw(kind string, r *mpps.Report, note string) error {
	return b.tx.AddRaw(b.ctx, localdb.Raw{
		Kind: kind, Ref: r.SOPInstanceUID, Peer: r.CallingAETitle + " " + r.Address, At: b.now, Bytes: r.Raw, Note: note,
	})
}

// performed is the row of a step that was just announced.
func performed(r *mpps.Report, now time.Time) *localdb.PerformedStep {
	p := &localdb.PerformedStep{
		SOPInstanceUID: r.SOPInstanceUID, Machine: r.Machine, CallingAETitle: r.CallingAETitle, Address: r.Address,
		PatientID: r.PatientID, PatientName: r.PatientName, Modality: r.Modality, PPSID: r.PerformedProcedureStepID,
		Station: r.StationAETitle, Description: r.Description, CreatedAt: now,
	}
	for _, ref := range r.References {
		if ref.StudyInstanceUID != "" && !slices.Contains(p.StudyUIDs, ref.StudyInstanceUID) {
			p.StudyUIDs = append(p.StudyUIDs, ref.StudyInstanceUID)
		}
	}
	merge(p, r, now)
	return p
}

// merge takes over what a message says. Sequences replace the stored ones as a
// whole (PS3.4 F.7.2.2.2).
func merge(p *localdb.PerformedStep, r *mpps.Report, now time.Time) {
	p.ChangedAt = now
	if r.Status != "" {
		p.Status = r.Status
	}
	p.Final = p.Status == mpps.Completed || p.Status == mpps.Discontinued
	if !r.StartedAt.IsZero() {
		p.StartedAt = r.StartedAt
	}
	if !r.EndedAt.IsZero() {
		p.EndedAt = r.EndedAt
	}
	if r.Description != "" {
		p.Description = r.Description
	}
	if r.Discontinuation.Value != "" || r.Discontinuation.Meaning != "" {
		p.DiscontinuationCode, p.DiscontinuationText = r.Discontinuation.Value, r.Discontinuation.Meaning
		if s := r.Discontinuation.Scheme; s != "" && s != "DCM" { // another scheme's numbers mean other things
			p.DiscontinuationCode = s + ":" + p.DiscontinuationCode
		}
	}
	if r.Series != nil {
		p.Series, p.Instances = len(r.Series), 0
		for _, s := range r.Series {
			p.Instances += s.Instances
		}
	}
}

// reported enters one message about one step into its order's ledger.
func (b *batch) reported(t target, r *mpps.Report, p *localdb.PerformedStep) error {
	e := order.Evidence{
		ScheduledProcedureStepID: t.spsID, Source: order.MPPS, Station: r.Machine, Ref: p.SOPInstanceUID,
		Series: p.Series, Instances: p.Instances,
	}
	switch p.Status {
	case mpps.Completed:
		e.Event = order.StepCompleted
	case mpps.Discontinued:
		e.Event = order.StepDiscontinued
		e.Reason = p.DiscontinuationText
		if p.DiscontinuationCode == wrongEntry {
			e.Event = order.WrongEntry
		}
	default:
		e.Event = order.StepStarted
	}
	o := t.order
	if p.PatientID != "" && o.Content.Patient.ID != "" && p.PatientID != o.Content.Patient.ID && !noticed(o, problem.OrderPatientDiffers) {
		b.notice(o, problem.OrderPatientDiffers, problem.Args{"accession": o.AccessionNumber, "station": r.Machine})
		if err := b.say(o, "patient_differs", order.MPPS, problem.OrderPatientDiffers, r.Machine+" reported it with another patient id"); err != nil {
			return err
		}
		if err := b.save(o); err != nil {
			return err
		}
	}
	if foreign := foreignStudy(o, p); foreign != "" {
		if s := o.Step(t.spsID); s != nil && s.ForeignStudyUID != foreign {
			s.ForeignStudyUID = foreign
			if err := b.save(o); err != nil {
				return err
			}
		}
	}
	return b.observe(o, e)
}

// foreignStudy returns the study UID a console used instead of ours.
func foreignStudy(o *order.Order, p *localdb.PerformedStep) string {
	if len(p.StudyUIDs) != 1 || p.StudyUIDs[0] == o.StudyInstanceUID {
		return ""
	}
	return p.StudyUIDs[0]
}

// arrival keeps imaging that belongs to no order, for a person.
func (b *batch) arrival(r *mpps.Report, reason string, code problem.Code) (int64, error) {
	a := &localdb.Arrival{
		Kind: "mpps", Ref: r.SOPInstanceUID, Machine: r.Machine, CallingAETitle: r.CallingAETitle, Address: r.Address, At: b.now,
		PatientID: r.PatientID, PatientName: r.PatientName, Modality: r.Modality,
		Started: r.StartedAt, Ended: r.EndedAt, Status: r.Status, Reason: reason, Series: len(r.Series), State: localdb.ArrivalOpen,
	}
	for _, s := range r.Series {
		a.Instances += s.Instances
	}
	if len(r.References) > 0 {
		a.StudyInstanceUID, a.AccessionNumber = r.References[0].StudyInstanceUID, r.References[0].AccessionNumber
	}
	known, err := b.tx.ArrivalByRef(b.ctx, a.Kind, a.Ref)
	switch {
	case err == nil: // the machine says it again
		a.ID, a.At, a.State = known.ID, known.At, known.State
		a.LinkedOrderID, a.LinkedAt, a.LinkedBy = known.LinkedOrderID, known.LinkedAt, known.LinkedBy
		err = b.tx.UpdateArrival(b.ctx, a)
	case errors.Is(err, localdb.ErrNotFound):
		err = b.tx.InsertArrival(b.ctx, a)
	}
	if err != nil {
		return 0, err
	}
	if a.State == localdb.ArrivalOpen { // one that a person dealt with stays so
		b.raiseArrival(a, code)
	}
	return a.ID, nil
}

func (b *batch) raiseArrival(a *localdb.Arrival, code problem.Code) {
	id, station := strconv.FormatInt(a.ID, 10), stationText(a)
	b.after = append(b.after, func() {
		b.c.board.RaiseSince(code, id, problem.Args{"station": station, "arrival": id}, a.At)
	})
}

// stationText names the machine of an arrival.
func stationText(a *localdb.Arrival) string {
	if a.Machine != "" {
		return a.Machine
	}
	return a.CallingAETitle
}

// refreshArrival brings an arrival up to date with its performed step.
func (b *batch) refreshArrival(p *localdb.PerformedStep) error {
	a, err := b.tx.Arrival(b.ctx, p.ArrivalID)
	if err != nil {
		return err
	}
	a.Status, a.Started, a.Ended, a.Series, a.Instances = p.Status, p.StartedAt, p.EndedAt, p.Series, p.Instances
	return b.tx.UpdateArrival(b.ctx, a)
}

// reportOf is the report that a stored step stands for, when a person links it.
func reportOf(p *localdb.PerformedStep) *mpps.Report {
	return &mpps.Report{SOPInstanceUID: p.SOPInstanceUID, Machine: p.Machine, CallingAETitle: p.CallingAETitle, Address: p.Address, Status: p.Status}
}
