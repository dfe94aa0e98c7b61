package provetsim

import (
	"math/rand/v2"
	"strings"
	"time"
)

// NewOrder is an imaging order as a veterinarian would make it. The zero value
// of a field means: what is usual in the clinic.
type NewOrder struct {
	ID            int       `json:"id,omitempty"`         // of the worklist row; zero: the next
	PatientID     int       `json:"patient_id,omitempty"` // zero: the first patient; one that does not exist is kept as it is
	ClientID      int       `json:"client_id,omitempty"`  // zero: the patient's owner
	ModalityID    int       `json:"modality_id,omitempty"`
	Modality      string    `json:"modality,omitempty"`     // name, made when the clinic has none like it; empty: X-ray
	TargetAreas   []string  `json:"target_areas,omitempty"` // names, made likewise
	Remarks       string    `json:"remarks,omitempty"`
	InternalNotes string    `json:"internal_notes,omitempty"`
	DepartmentID  int       `json:"department_id,omitempty"`            // zero: the first
	VetID         int       `json:"supervising_veterinarian,omitempty"` // zero: the first; negative: none
	RequestedByID int       `json:"requesting_user,omitempty"`          // zero: the first; negative: none
	Status        string    `json:"status,omitempty"`                   // logical key; empty: the first choice
	AppointmentAt time.Time `json:"appointment_at,omitzero"`            // makes an appointment
	ScheduledAt   time.Time `json:"scheduled_at,omitzero"`              // served when the field is named
	Created       time.Time `json:"created,omitzero"`                   // back-dates created and modified
	NoReferral    bool      `json:"no_referral,omitempty"`              // without referral and consultation
	NoClient      bool      `json:"no_client,omitempty"`                // the order names no client
	Quiet         bool      `json:"quiet,omitempty"`                    // no webhooks, for history
}

// Order is an imaging order as the clinic sees it.
type Order struct {
	ID             int       `json:"id"`
	Status         string    `json:"status"` // logical key
	PatientID      int       `json:"patient_id"`
	ClientID       int       `json:"client_id"`
	ModalityID     int       `json:"modality_id"`
	Modality       string    `json:"modality"`
	TargetAreas    []string  `json:"target_areas"`
	Remarks        string    `json:"remarks"`
	InternalNotes  string    `json:"internal_notes"`
	DepartmentID   int       `json:"department_id"`
	VetID          int       `json:"supervising_veterinarian"`
	RequestedByID  int       `json:"requesting_user"`
	ReferralID     int       `json:"referral_id"`
	ConsultationID int       `json:"consultation_id"`
	AppointmentID  int       `json:"appointment_id"`
	ScheduledAt    time.Time `json:"scheduled_at,omitzero"`
	Created        time.Time `json:"created"`
	Modified       time.Time `json:"modified"`
}

// CreateOrder makes an order with its referral and consultation, and fires the
// webhooks 6 and 7. It returns the id of the worklist row.
func (s *Sim) CreateOrder(o NewOrder) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if !o.Created.IsZero() {
		now = o.Created.Truncate(time.Microsecond)
	}
	patient := o.PatientID
	if patient == 0 {
		patient = s.tables["patient"].res.firstID
	}
	client := o.ClientID
	if p := s.tables["patient"].rows[patient]; client == 0 && p != nil {
		client = p.int(s.tables["patient"].res.col("client"))
	}
	rec := record{
		"status": s.statusOr(o.Status, s.cfg.StatusChoices[0].Key), "patient": patient, "created": now, "modified": now,
		"department":               usual(o.DepartmentID, s.tables["department"].res.firstID),
		"supervising_veterinarian": usual(o.VetID, s.tables["user"].res.firstID),
		"requesting_user":          usual(o.RequestedByID, s.tables["user"].res.firstID),
	}
	modality := o.ModalityID
	if modality == 0 {
		name := o.Modality
		setDefault(&name, "X-ray")
		modality = s.named("modality", name)
	}
	rec["modality"] = modality
	areas := make([]int, 0, len(o.TargetAreas))
	for _, name := range o.TargetAreas {
		areas = append(areas, s.named("targetarea", name))
	}
	rec["target_areas"] = areas
	if !o.ScheduledAt.IsZero() {
		rec["scheduled_at"] = o.ScheduledAt.Truncate(time.Microsecond)
	}
	if !o.NoClient && client != 0 {
		rec["client"] = client
	}
	if !o.NoReferral {
		rec["referral"] = s.newReferral(o, rec, client, now)
	}
	return s.putOrder(o.ID, now, rec, o.Quiet)
}

// CreateOrders makes n random orders and returns their ids.
func (s *Sim) CreateOrders(n int) []int {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = s.CreateOrder(s.RandomOrder(nil))
	}
	return ids
}

func usual(v, def int) any {
	switch {
	case v < 0:
		return nil
	case v == 0:
		return def
	}
	return v
}

// statusOr returns the key of the choice that key names, or def.
func (s *Sim) statusOr(key, def string) string {
	if c, ok := s.choice(key); ok {
		return c.Key
	}
	return def
}

// named returns the id of the object of that name, made when there is none.
func (s *Sim) named(resource, name string) int {
	t := s.tables[resource]
	col := t.res.col("name")
	for _, r := range t.byID {
		if strings.EqualFold(r.text(col), name) {
			return r.id
		}
	}
	r := t.build(0, s.now(), record{"name": name})
	t.put(r)
	return r.id
}

// newReferral makes the referral, its consultation and its appointment.
func (s *Sim) newReferral(o NewOrder, order record, client int, now time.Time) int {
	patient := order["patient"]
	consult := s.tables["consultation"]
	visit := consult.build(0, now, record{
		"client": client, "patients": []int{patient.(int)}, "complaint": o.Remarks, "status": 8, "type": 1,
		"supervising_veterinarian": order["supervising_veterinarian"], "department": order["department"],
		"started": now, "created": now, "modified": now,
	})
	rec := record{"remarks": o.Remarks, "internal_notes": o.InternalNotes, "consultation": visit.id}
	if !o.AppointmentAt.IsZero() {
		at := o.AppointmentAt.Truncate(time.Second)
		a := s.tables["appointment"].build(0, now, record{
			"start": at, "end": at.Add(30 * time.Minute), "title": "Imaging", "user": order["supervising_veterinarian"],
			"client": client, "patients": []int{patient.(int)}, "consultation": visit.id, "duration": 30, "active": 1, "type": 1,
			"department": order["department"], "created": now, "modified": now,
		})
		s.tables["appointment"].put(a)
		rec["appointment"] = a.id
		visit.vals[consult.res.col("appointment")] = a.id
	}
	consult.put(visit)
	id := 0
	if s.cfg.ReferralSameID {
		id = o.ID
		if id == 0 {
			id = s.tables["worklist"].last + 1
		}
	}
	r := s.tables["referral"].build(id, now, rec)
	s.tables["referral"].put(r)
	return r.id
}

// createFromRecord makes an order from a POST. The caller holds mu.
func (s *Sim) createFromRecord(rec record) int {
	now := s.now()
	setMissing(rec, "status", s.cfg.StatusChoices[0].Key)
	setMissing(rec, "department", s.tables["department"].res.firstID)
	if _, ok := rec["referral"]; !ok {
		client, _ := rec["client"].(int)
		rec["referral"] = s.newReferral(NewOrder{}, rec, client, now)
	}
	return s.putOrder(0, now, rec, false)
}

func (s *Sim) putOrder(id int, now time.Time, rec record, quiet bool) int {
	t := s.tables["worklist"]
	r := t.build(id, now, rec)
	t.put(r)
	if !quiet {
		s.fireOrder(TriggerOrderCreated, r)
		s.fireOrder(TriggerOrderUpdated, r)
	}
	s.journal.wake()
	return r.id
}

// order reads a row. The caller holds mu.
func (s *Sim) order(r *row) Order {
	t := s.tables["worklist"]
	col := t.res.col
	o := Order{
		ID: r.id, Status: r.text(col("status")), PatientID: r.int(col("patient")), ClientID: r.int(col("client")),
		ModalityID: r.int(col("modality")), DepartmentID: r.int(col("department")), ReferralID: r.int(col("referral")),
		VetID: r.int(col("supervising_veterinarian")), RequestedByID: r.int(col("requesting_user")),
		ScheduledAt: r.time(col("scheduled_at")), Created: r.time(col("created")), Modified: r.modified,
	}
	o.Modality = displayName(s.tables["modality"], s.tables["modality"].rows[o.ModalityID])
	for _, id := range r.ints(col("target_areas")) {
		o.TargetAreas = append(o.TargetAreas, displayName(s.tables["targetarea"], s.tables["targetarea"].rows[id]))
	}
	if ref := s.tables["referral"]; ref.rows[o.ReferralID] != nil {
		rr := ref.rows[o.ReferralID]
		o.Remarks, o.InternalNotes = rr.text(ref.res.col("remarks")), rr.text(ref.res.col("internal_notes"))
		o.ConsultationID, o.AppointmentID = rr.int(ref.res.col("consultation")), rr.int(ref.res.col("appointment"))
	}
	return o
}

// Orders returns all orders by id.
func (s *Sim) Orders() []Order {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.tables["worklist"]
	out := make([]Order, len(t.byID))
	for i, r := range t.byID {
		out[i] = s.order(r)
	}
	return out
}

// Order returns one order.
func (s *Sim) Order(id int) (Order, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r := s.tables["worklist"].rows[id]
	if r == nil {
		return Order{}, false
	}
	return s.order(r), true
}

// Status returns the logical status of an order, or "" when it does not exist.
func (s *Sim) Status(id int) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.tables["worklist"]
	if r := t.rows[id]; r != nil {
		return r.text(t.res.col("status"))
	}
	return ""
}

// UpdateOrder lets change edit an order the way a person would in Provet, and
// fires webhook 7. A changed ModalityID wins over a changed Modality; the ids of
// the order and of what belongs to it, Created, Modified and an unknown Status
// are kept as they were. It reports whether the order exists. The
// function must not call the Sim.
func (s *Sim) UpdateOrder(id int, change func(*Order)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables["worklist"]
	r := t.rows[id]
	if r == nil {
		return false
	}
	was := s.order(r)
	o := was
	o.TargetAreas = append([]string(nil), was.TargetAreas...)
	change(&o)
	now := s.now()
	if o.ModalityID == was.ModalityID && o.Modality != was.Modality {
		o.ModalityID = s.named("modality", o.Modality)
	}
	areas := make([]int, 0, len(o.TargetAreas))
	for _, name := range o.TargetAreas {
		areas = append(areas, s.named("targetarea", name))
	}
	rec := record{
		"status": s.statusOr(o.Status, was.Status), "patient": o.PatientID, "client": o.ClientID, "modality": o.ModalityID,
		"department": o.DepartmentID, "supervising_veterinarian": o.VetID, "requesting_user": o.RequestedByID,
		"target_areas": areas, "scheduled_at": o.ScheduledAt,
	}
	ref := s.tables["referral"]
	onlyReferral := false
	if rr := ref.rows[was.ReferralID]; rr != nil && (o.Remarks != was.Remarks || o.InternalNotes != was.InternalNotes) {
		ref.put(ref.changed(rr, now, record{"remarks": o.Remarks, "internal_notes": o.InternalNotes}))
		same := o
		same.Remarks, same.InternalNotes = was.Remarks, was.InternalNotes
		onlyReferral = sameOrder(same, was)
	}
	if onlyReferral && s.cfg.StaleReferral {
		s.fireOrder(TriggerOrderUpdated, r)
	} else {
		next := t.changed(r, now, rec)
		t.put(next)
		s.fireOrder(TriggerOrderUpdated, next)
	}
	s.journal.wake()
	return true
}

func sameOrder(a, b Order) bool {
	if strings.Join(a.TargetAreas, "\n") != strings.Join(b.TargetAreas, "\n") {
		return false
	}
	return a.Status == b.Status && a.PatientID == b.PatientID && a.ClientID == b.ClientID && a.ModalityID == b.ModalityID &&
		a.DepartmentID == b.DepartmentID && a.VetID == b.VetID && a.RequestedByID == b.RequestedByID &&
		a.ScheduledAt.Equal(b.ScheduledAt)
}

// SetStatus changes the status of an order as a person would in Provet. It
// reports whether both the order and the status exist.
func (s *Sim) SetStatus(id int, key string) bool {
	if _, ok := s.choice(key); !ok {
		return false
	}
	return s.UpdateOrder(id, func(o *Order) { o.Status = key })
}

// DeleteOrder deletes an order as a person would, and fires webhook 8. Its
// referral goes too; the consultation stays.
func (s *Sim) DeleteOrder(id int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables["worklist"]
	r := t.remove(id)
	if r == nil {
		return false
	}
	s.tables["referral"].remove(r.int(t.res.col("referral")))
	s.fireOrder(TriggerOrderDeleted, r)
	s.journal.wake()
	return true
}

var complaints = []string{
	"Lame on the left hind leg since Tuesday", "Swallowed a sock (striped)", "Coughing at night",
	"Check of the plate after 6 weeks", "Fell from the bookshelf, landed on the piano",
	"Pregnancy check, counting please", "Weight loss despite excellent appetite", "Broken tooth 108 after a stone",
	"Does not want to jump any more", "Suspected bladder stones",
}

// RandomOrder returns a plausible order for a patient of the clinic. With a nil
// rng the tenant's own is used, repeatable by Config.Seed.
func (s *Sim) RandomOrder(rng *rand.Rand) NewOrder {
	s.mu.RLock()
	defer s.mu.RUnlock()
	pick := func(n int) int {
		if rng != nil {
			return rng.IntN(n)
		}
		return int(s.chance() * float64(n))
	}
	patients, users := s.tables["patient"].byID, s.tables["user"].byID
	modalities, areas, deps := s.tables["modality"], s.tables["targetarea"], s.tables["department"].byID
	p := patients[pick(len(patients))]
	for range 20 { // no orders for the archived and the merged
		if !p.archived && p.int(s.tables["patient"].res.col("merge_patient")) == 0 {
			break
		}
		p = patients[pick(len(patients))]
	}
	o := NewOrder{
		PatientID: p.id, ModalityID: modalities.byID[pick(len(modalities.byID))].id,
		Remarks: complaints[pick(len(complaints))], VetID: users[pick(len(users))].id, RequestedByID: users[pick(len(users))].id,
		DepartmentID: deps[pick(len(deps))].id,
	}
	for range 1 + pick(3) {
		name := displayName(areas, areas.byID[pick(len(areas.byID))])
		o.TargetAreas = append(o.TargetAreas, name)
	}
	return o
}
