package localdb

import (
	"context"
	"fmt"
	"time"
)

// PerformedStep is a modality performed procedure step as a machine reported it.
type PerformedStep struct {
	SOPInstanceUID string
	Machine        string // name; empty: unknown
	CallingAETitle string
	Address        string
	Status         string // IN PROGRESS, COMPLETED, DISCONTINUED
	Final          bool   // no further N-SET is accepted
	OrderRefs      []StepRef
	ArrivalID      int64 // the arrival that stands for it; 0: matched

	PatientID            string
	PatientName          string
	Modality             string
	PPSID                string
	Station              string
	Description          string
	StudyUIDs            []string
	StartedAt            time.Time
	EndedAt              time.Time
	DiscontinuationCode  string
	DiscontinuationText  string
	Series               int
	Instances            int
	CreatedAt, ChangedAt time.Time
}

// StepRef is a scheduled step that a performed step answers.
type StepRef struct {
	OrderID                  int64 // 0: no order of ours, or purged
	ScheduledProcedureStepID string
}

func performedArgs(p *PerformedStep) ([]any, error) {
	uids, err := toJSON(p.StudyUIDs)
	if err != nil {
		return nil, err
	}
	return []any{
		p.Machine, p.CallingAETitle, p.Address, p.Status, p.Final, idOrNull(p.ArrivalID), p.PatientID, p.PatientName, p.Modality,
		p.PPSID, p.Station, p.Description, uids, ms(p.StartedAt), ms(p.EndedAt), p.DiscontinuationCode, p.DiscontinuationText,
		p.Series, p.Instances, msNotNull(p.CreatedAt), msNotNull(p.ChangedAt), p.SOPInstanceUID,
	}, nil
}

const insertPerformed = `
INSERT INTO performed_step(machine, calling_ae_title, address, status, final, arrival_id, patient_id, patient_name, modality,
  pps_id, station, description, study_uids, started_at, ended_at, discontinuation_code, discontinuation_text,
  series, instances, created_at, changed_at, sop_instance_uid)
VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`

const updatePerformed = `
UPDATE performed_step SET machine=?, calling_ae_title=?, address=?, status=?, final=?, arrival_id=?, patient_id=?, patient_name=?,
  modality=?, pps_id=?, station=?, description=?, study_uids=?, started_at=?, ended_at=?, discontinuation_code=?,
  discontinuation_text=?, series=?, instances=?, created_at=?, changed_at=?
WHERE sop_instance_uid=?`

// InsertPerformedStep stores a new performed step. When the SOP Instance UID is
// known, the error wraps ErrExists.
func (tx *Tx) InsertPerformedStep(ctx context.Context, p *PerformedStep) error {
	args, err := performedArgs(p)
	if err != nil {
		return err
	}
	id, err := tx.insert(ctx, insertPerformed, args...)
	if err != nil {
		return fmt.Errorf("store performed step: %w", err)
	}
	return tx.insertRefs(ctx, id, p.OrderRefs)
}

// UpdatePerformedStep stores everything about a known performed step; one that
// is not known is ErrNotFound.
func (tx *Tx) UpdatePerformedStep(ctx context.Context, p *PerformedStep) error {
	args, err := performedArgs(p)
	if err != nil {
		return err
	}
	n, err := tx.exec(ctx, updatePerformed, args...)
	if err != nil {
		return err
	}
	if n == 0 {
		return ErrNotFound
	}
	id, err := one(ctx, tx.Snapshot, `SELECT id FROM performed_step WHERE sop_instance_uid = ?`, scanInt, p.SOPInstanceUID)
	if err != nil {
		return err
	}
	if _, err := tx.exec(ctx, `DELETE FROM performed_ref WHERE performed_step_id = ?`, id); err != nil {
		return err
	}
	return tx.insertRefs(ctx, id, p.OrderRefs)
}

func (tx *Tx) insertRefs(ctx context.Context, id int64, refs []StepRef) error {
	for n, r := range refs {
		if _, err := tx.exec(ctx, `INSERT INTO performed_ref(performed_step_id, n, order_id, sps_id) VALUES (?,?,?,?)`,
			id, n, idOrNull(r.OrderID), r.ScheduledProcedureStepID); err != nil {
			return err
		}
	}
	return nil
}

const performedColumns = `p.id, p.sop_instance_uid, p.machine, p.calling_ae_title, p.address, p.status, p.final, p.arrival_id, p.patient_id,
  p.patient_name, p.modality, p.pps_id, p.station, p.description, p.study_uids, p.started_at, p.ended_at, p.discontinuation_code,
  p.discontinuation_text, p.series, p.instances, p.created_at, p.changed_at`

type performedRow struct {
	id int64
	PerformedStep
}

func scanPerformed(r scanner) (p performedRow, err error) {
	err = r.Scan(&p.id, &p.SOPInstanceUID, &p.Machine, &p.CallingAETitle, &p.Address, &p.Status, &p.Final, intoNum{&p.ArrivalID},
		&p.PatientID, &p.PatientName, &p.Modality, &p.PPSID, &p.Station, &p.Description, intoJSON{&p.StudyUIDs},
		intoTime{&p.StartedAt}, intoTime{&p.EndedAt}, &p.DiscontinuationCode, &p.DiscontinuationText, &p.Series, &p.Instances,
		intoTime{&p.CreatedAt}, intoTime{&p.ChangedAt})
	return p, err
}

func (s *Snapshot) withRefs(ctx context.Context, p performedRow) (*PerformedStep, error) {
	refs, err := all(ctx, s, `SELECT order_id, sps_id FROM performed_ref WHERE performed_step_id = ? ORDER BY n`,
		func(r scanner) (v StepRef, err error) {
			err = r.Scan(intoNum{&v.OrderID}, &v.ScheduledProcedureStepID)
			return v, err
		}, p.id)
	p.OrderRefs = refs
	return &p.PerformedStep, err
}

// PerformedStep returns a performed step by its SOP Instance UID, or ErrNotFound.
func (s *Snapshot) PerformedStep(ctx context.Context, uid string) (*PerformedStep, error) {
	p, err := one(ctx, s, `SELECT `+performedColumns+` FROM performed_step p WHERE p.sop_instance_uid = ?`, scanPerformed, uid)
	if err != nil {
		return nil, err
	}
	return s.withRefs(ctx, p)
}

// PerformedStepsOf returns the performed steps that refer to an order, oldest
// first.
func (s *Snapshot) PerformedStepsOf(ctx context.Context, orderID int64) ([]*PerformedStep, error) {
	rows, err := all(ctx, s, `SELECT `+performedColumns+` FROM performed_step p WHERE p.id IN
		(SELECT performed_step_id FROM performed_ref WHERE order_id = ?) ORDER BY p.id`, scanPerformed, orderID)
	if err != nil {
		return nil, err
	}
	out := make([]*PerformedStep, 0, len(rows))
	for _, r := range rows {
		p, err := s.withRefs(ctx, r)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}
