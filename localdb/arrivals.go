package localdb

import (
	"context"
	"errors"
	"time"
)

// The states of an arrival.
const (
	ArrivalOpen    = "open"
	ArrivalLinked  = "linked"
	ArrivalIgnored = "ignored"
)

// Arrival is imaging that belongs to no order we know: a study or a performed
// step, until a person links it or sets it aside.
type Arrival struct {
	ID               int64
	Kind             string // mpps, study, hl7
	Ref              string // SOP Instance UID, Study Instance UID, message control id
	Machine          string
	CallingAETitle   string
	Address          string
	At               time.Time
	PatientID        string
	PatientName      string
	Modality         string
	StudyInstanceUID string
	AccessionNumber  string
	Started          time.Time
	Ended            time.Time
	Status           string
	Reason           string // why it matched nothing
	Series           int
	Instances        int

	State         string // ArrivalOpen, ArrivalLinked, ArrivalIgnored; empty is stored as open
	LinkedOrderID int64
	LinkedAt      time.Time
	LinkedBy      string
}

func arrivalArgs(a *Arrival) []any {
	if a.State == "" {
		a.State = ArrivalOpen
	}
	return []any{
		a.Kind, a.Ref, a.Machine, a.CallingAETitle, a.Address, msNotNull(a.At), a.PatientID, a.PatientName, a.Modality,
		a.StudyInstanceUID, a.AccessionNumber, ms(a.Started), ms(a.Ended), a.Status, a.Reason, a.Series, a.Instances,
		a.State, idOrNull(a.LinkedOrderID), ms(a.LinkedAt), a.LinkedBy,
	}
}

// InsertArrival stores a new arrival and sets a.ID.
func (tx *Tx) InsertArrival(ctx context.Context, a *Arrival) error {
	id, err := tx.insert(ctx, `
		INSERT INTO arrival(kind, ref, machine, calling_ae_title, address, at, patient_id, patient_name, modality, study_instance_uid,
		  accession_number, started_at, ended_at, status, reason, series, instances, state, linked_order_id, linked_at, linked_by)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`, arrivalArgs(a)...)
	if err != nil {
		return err
	}
	a.ID = id
	return nil
}

// UpdateArrival stores everything about a known arrival; one that is not known
// is ErrNotFound.
func (tx *Tx) UpdateArrival(ctx context.Context, a *Arrival) error {
	n, err := tx.exec(ctx, `
		UPDATE arrival SET kind=?, ref=?, machine=?, calling_ae_title=?, address=?, at=?, patient_id=?, patient_name=?, modality=?,
		  study_instance_uid=?, accession_number=?, started_at=?, ended_at=?, status=?, reason=?, series=?, instances=?, state=?,
		  linked_order_id=?, linked_at=?, linked_by=?
		WHERE id=?`, append(arrivalArgs(a), a.ID)...)
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

const arrivalColumns = `id, kind, ref, machine, calling_ae_title, address, at, patient_id, patient_name, modality, study_instance_uid,
  accession_number, started_at, ended_at, status, reason, series, instances, state, linked_order_id, linked_at, linked_by`

func scanArrival(r scanner) (Arrival, error) {
	var a Arrival
	err := r.Scan(&a.ID, &a.Kind, &a.Ref, &a.Machine, &a.CallingAETitle, &a.Address, intoTime{&a.At}, &a.PatientID, &a.PatientName,
		&a.Modality, &a.StudyInstanceUID, &a.AccessionNumber, intoTime{&a.Started}, intoTime{&a.Ended}, &a.Status, &a.Reason,
		&a.Series, &a.Instances, &a.State, intoNum{&a.LinkedOrderID}, intoTime{&a.LinkedAt}, &a.LinkedBy)
	return a, err
}

// Arrival returns an arrival or ErrNotFound.
func (s *Snapshot) Arrival(ctx context.Context, id int64) (*Arrival, error) {
	a, err := one(ctx, s, `SELECT `+arrivalColumns+` FROM arrival WHERE id = ?`, scanArrival, id)
	if err != nil {
		return nil, err
	}
	return &a, nil
}

// ArrivalByRef returns the newest arrival of a kind with that reference, or
// ErrNotFound.
func (s *Snapshot) ArrivalByRef(ctx context.Context, kind, ref string) (*Arrival, error) {
	a, err := one(ctx, s, `SELECT `+arrivalColumns+` FROM arrival WHERE kind = ? AND ref = ? ORDER BY id DESC LIMIT 1`, scanArrival, kind, ref)
	if err != nil {
		return nil, err
	}
	return &a, nil
}

// ArrivalByStudyUID returns the newest arrival of a study, or ErrNotFound.
func (s *Snapshot) ArrivalByStudyUID(ctx context.Context, uid string) (*Arrival, error) {
	if uid == "" {
		return nil, ErrNotFound
	}
	a, err := one(ctx, s, `SELECT `+arrivalColumns+` FROM arrival WHERE study_instance_uid = ? AND study_instance_uid <> ''
		ORDER BY id DESC LIMIT 1`, scanArrival, uid)
	if err != nil {
		return nil, err
	}
	return &a, nil
}

// ListArrivals returns arrivals, newest first: the open ones, or all.
func (s *Snapshot) ListArrivals(ctx context.Context, openOnly bool, limit int) ([]Arrival, error) {
	where := ``
	if openOnly {
		where = ` WHERE state = 'open'`
	}
	return all(ctx, s, `SELECT `+arrivalColumns+` FROM arrival`+where+` ORDER BY id DESC LIMIT ?`, scanArrival, limit)
}

// ArrivalsOf returns the arrivals that were linked to an order.
func (s *Snapshot) ArrivalsOf(ctx context.Context, orderID int64) ([]Arrival, error) {
	return all(ctx, s, `SELECT `+arrivalColumns+` FROM arrival WHERE linked_order_id = ? ORDER BY id`, scanArrival, orderID)
}

// OpenArrivals returns how many arrivals wait for a person, and since when the
// oldest does.
func (s *Snapshot) OpenArrivals(ctx context.Context) (n int, oldest time.Time, err error) {
	_, err = one(ctx, s, `SELECT count(*), (SELECT at FROM arrival WHERE state = 'open' ORDER BY id LIMIT 1) FROM arrival WHERE state = 'open'`,
		func(r scanner) (struct{}, error) { return struct{}{}, r.Scan(&n, intoTime{&oldest}) })
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return n, oldest, err
}
