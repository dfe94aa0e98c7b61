package provet

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/rayhound/rayhound/appliance/order"
)

// gathering is the reading of one order. The worklist row names what else to
// read; what it does not name is taken from the referral and its consultation.
type gathering struct {
	c   *Client
	id  string
	row object // worklist

	patientRef, clientRef relation
	referral              object
	consultation          object
	patients              []relation // of the consultation

	mu          sync.Mutex
	content     order.Content
	patientRead bool
	ofPatient   relation // client of the patient's row
}

func newGathering(c *Client, id string, row object) *gathering {
	return &gathering{c: c, id: id, row: row}
}

// run reads everything. It returns the first failure that passes.
func (g *gathering) run(ctx context.Context) error {
	g.flat()
	eg, ectx := errgroup.WithContext(ctx)
	chain := func(f func(context.Context) error) { eg.Go(func() error { return f(ectx) }) }
	chain(g.readReferral)
	if g.patientRef.ID != "" {
		chain(func(ctx context.Context) error { return g.readPatient(ctx, g.patientRef) })
	}
	if g.clientRef.ID != "" {
		chain(func(ctx context.Context) error { return g.readClient(ctx, g.clientRef) })
	}
	for i := range g.content.Modalities {
		chain(func(ctx context.Context) error { return g.name(ctx, resModality, "modality", &g.content.Modalities[i]) })
	}
	for i := range g.content.TargetAreas {
		chain(func(ctx context.Context) error {
			return g.name(ctx, resTargetArea, "target area", &g.content.TargetAreas[i])
		})
	}
	chain(func(ctx context.Context) error {
		return g.readPerson(ctx, g.field("requesting_user"), "requesting user", &g.content.RequestingUser)
	})
	chain(func(ctx context.Context) error {
		return g.readPerson(ctx, g.field("supervising_veterinarian"), "supervising veterinarian", &g.content.Veterinarian)
	})
	if g.content.Department.ID != "" {
		chain(func(ctx context.Context) error {
			return g.name(ctx, resDepartment, "department", &g.content.Department)
		})
	}
	if err := eg.Wait(); err != nil {
		return err
	}
	return g.rest(ctx)
}

func (g *gathering) field(logical string) any { return g.c.fields.value(resWorklist, logical, g.row) }

// flat takes what the worklist row itself says.
func (g *gathering) flat() {
	c := &g.content
	g.patientRef = g.single(resPatient, "patient")
	g.clientRef = g.single(resClient, "client")
	c.Patient.ID, c.Owner.ID = g.patientRef.ID, g.clientRef.ID
	c.Patient.Name = g.patientRef.Name
	if s := line(g.field("patient_name")); s != "" {
		c.Patient.Name = s
	}
	setOwnerName(&c.Owner, g.clientRef.Name)
	if s := line(g.field("client_name")); s != "" {
		setOwnerName(&c.Owner, s)
	}
	c.Modalities = g.refs(resModality, "modality")
	c.TargetAreas = g.refs(resTargetArea, "target_areas")
	if dep := relationTo(resDepartment, g.field("department")); dep.ID != "" || dep.Name != "" {
		c.Department = g.known(resDepartment, dep)
	}
	c.ScheduledAt = instant(g.field("scheduled_at"), g.c.cfg.Zone)
	c.RequestedAt = instant(g.field("created"), g.c.cfg.Zone)
	c.Priority = priority(text(g.field("priority")))
	for _, logical := range neededFields {
		if _, _, ok := g.c.fields.find(resWorklist, logical, g.row); !ok {
			g.note(logical + ": no field is mapped (RH-106)")
		}
	}
}

// single reads a relation of which there must be one.
func (g *gathering) single(res, logical string) relation {
	all := relationsTo(res, g.field(logical))
	if len(all) > 1 {
		g.note(fmt.Sprintf("%s: the order names %d", logical, len(all)))
		return relation{}
	}
	if len(all) == 1 {
		return all[0]
	}
	return relation{}
}

func (g *gathering) refs(res, logical string) []order.Ref {
	var out []order.Ref
	for _, r := range relationsTo(res, g.field(logical)) {
		out = append(out, g.known(res, r))
	}
	return out
}

// known is a relation with the name it brought along.
func (g *gathering) known(res string, r relation) order.Ref {
	ref := order.Ref{ID: r.ID, Name: r.Name}
	if s := line(g.c.fields.value(res, "name", r.Embedded)); s != "" {
		ref.Name = s
	}
	return ref
}

// note adds a line to Missing.
func (g *gathering) note(s string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.content.Missing = append(g.content.Missing, s)
}

// degrade keeps err as a line of Missing when the order can do without, and
// returns it otherwise.
func (g *gathering) degrade(what string, err error) error {
	if err == nil || !degradable(err) {
		return err
	}
	g.note(missingEntry(what, err))
	return nil
}

// name fills in the name of a reference that has only an id.
func (g *gathering) name(ctx context.Context, res, what string, r *order.Ref) error {
	if r.Name != "" || r.ID == "" {
		return nil
	}
	row, err := g.c.lookup(ctx, res, r.ID)
	if err != nil {
		return g.degrade(what, err)
	}
	r.Name = line(g.c.fields.value(res, "name", row))
	return nil
}

func (g *gathering) readPerson(ctx context.Context, v any, what string, into *order.Person) error {
	p, err := g.c.person(ctx, relationTo(resUser, v))
	*into = p
	return g.degrade(what, err)
}

// readReferral reads the referral and then its consultation and appointment.
func (g *gathering) readReferral(ctx context.Context) error {
	_, v, linked := g.c.fields.find(resWorklist, "referral", g.row)
	rel := relationTo(resReferral, v)
	if linked && rel.ID == "" && rel.Embedded == nil {
		return nil // the order says it has none
	}
	guessed := !linked
	if guessed {
		rel.ID = g.id // without a link, the referral is taken to have the order's id
	}
	row := rel.Embedded
	if rel.ID != "" {
		full, err := g.c.get(ctx, resReferral, rel.ID, "")
		switch {
		case err == nil:
			row = full
		case row == nil:
			return g.degrade("referral", err)
		case !degradable(err):
			return err
		}
	}
	// The appointment the referral names is read beside the consultation, unless
	// the referral itself is still in doubt.
	var early errgroup.Group
	booked := relationTo(resAppointment, g.c.fields.value(resReferral, "appointment", row))
	beside := !guessed && (booked.ID != "" || booked.Embedded != nil)
	if beside {
		early.Go(func() error { return g.readAppointment(ctx, booked) })
	}
	con, patients, err := g.readConsultation(ctx, row)
	if early := early.Wait(); err == nil {
		err = early
	}
	if err != nil {
		return err
	}
	if guessed && g.foreign(row, patients) {
		g.note("referral: the one with the order's id belongs to another patient or order")
		return nil
	}
	g.mu.Lock()
	g.referral, g.consultation, g.patients = row, con, patients
	g.mu.Unlock()
	if beside {
		return nil
	}
	if booked.ID == "" && booked.Embedded == nil {
		booked = relationTo(resAppointment, g.c.fields.value(resConsultation, "appointment", con))
	}
	return g.readAppointment(ctx, booked)
}

// foreign reports whether a referral found by a guessed id belongs to another
// order.
func (g *gathering) foreign(referral object, patients []relation) bool {
	f := g.c.fields
	if back := relationTo(resWorklist, f.value(resReferral, "worklist", referral)); back.ID != "" {
		return back.ID != g.id
	}
	if g.patientRef.ID == "" {
		return true // nothing to check the guess against
	}
	if p := relationTo(resPatient, f.value(resReferral, "patient", referral)); p.ID != "" {
		return p.ID != g.patientRef.ID
	}
	return len(patients) > 0 && !slices.ContainsFunc(patients, func(r relation) bool { return r.ID == g.patientRef.ID })
}

func (g *gathering) readConsultation(ctx context.Context, referral object) (object, []relation, error) {
	rel := relationTo(resConsultation, g.c.fields.value(resReferral, "consultation", referral))
	row := rel.Embedded
	if rel.ID != "" {
		g.mu.Lock()
		g.content.ConsultationID = rel.ID
		g.mu.Unlock()
		full, err := g.c.get(ctx, resConsultation, rel.ID, "expose_patients")
		switch {
		case err == nil:
			row = full
		case row == nil:
			return nil, nil, g.degrade("consultation", err)
		case !degradable(err):
			return nil, nil, err
		}
	}
	return row, relationsTo(resPatient, g.c.fields.value(resConsultation, "patients", row)), nil
}

// readAppointment takes the scheduled time from the connected appointment when
// the order itself has none.
func (g *gathering) readAppointment(ctx context.Context, rel relation) error {
	g.mu.Lock()
	g.content.AppointmentID = rel.ID
	set := !g.content.ScheduledAt.IsZero()
	g.mu.Unlock()
	if set || (rel.ID == "" && rel.Embedded == nil) {
		return nil
	}
	row := rel.Embedded
	if rel.ID != "" && instant(g.c.fields.value(resAppointment, "start", row), g.c.cfg.Zone).IsZero() {
		full, err := g.c.get(ctx, resAppointment, rel.ID, "")
		if err != nil {
			return g.degrade("appointment", err)
		}
		row = full
	}
	if _, v, ok := g.c.fields.find(resAppointment, "active", row); ok && v != nil && !truth(v, true) {
		return nil // called off
	}
	g.mu.Lock()
	g.content.ScheduledAt = instant(g.c.fields.value(resAppointment, "start", row), g.c.cfg.Zone)
	g.mu.Unlock()
	return nil
}

// rest takes from the referral and consultation what the order itself did not
// say, and reads patient and client if they are known only now.
func (g *gathering) rest(ctx context.Context) error {
	f, c := g.c.fields, &g.content
	c.Remarks = text(f.value(resReferral, "remarks", g.referral))
	c.InternalNotes = text(f.value(resReferral, "internal_notes", g.referral))
	c.Complaint = text(f.value(resConsultation, "complaint", g.consultation))
	c.Ward = line(g.wardName(f.value(resConsultation, "ward", g.consultation)))
	if c.Department.ID == "" && c.Department.Name == "" {
		c.Department = g.known(resDepartment, relationTo(resDepartment, f.value(resConsultation, "department", g.consultation)))
		if err := g.name(ctx, resDepartment, "department", &c.Department); err != nil {
			return err
		}
	}
	if c.Veterinarian == (order.Person{}) {
		v := f.value(resConsultation, "supervising_veterinarian", g.consultation)
		if err := g.readPerson(ctx, v, "supervising veterinarian", &c.Veterinarian); err != nil {
			return err
		}
	}
	if c.Patient.ID == "" {
		if err := g.patientElsewhere(ctx); err != nil {
			return err
		}
	}
	if !g.patientRead {
		g.patientEmbedded()
	}
	if c.Owner.ID != "" {
		return nil
	}
	rel := g.clientRef
	if rel.ID == "" && rel.Embedded == nil {
		rel = g.ofPatient
	}
	if rel.ID == "" && rel.Embedded == nil {
		rel = relationTo(resClient, f.value(resConsultation, "client", g.consultation))
	}
	if rel.ID == "" && rel.Embedded == nil {
		return nil
	}
	return g.readClient(ctx, rel)
}

// wardName shows a ward that came with its name; the id alone says nothing.
func (g *gathering) wardName(v any) string {
	r := relationTo(resWard, v)
	if r.Embedded != nil {
		return line(g.c.fields.value(resWard, "name", r.Embedded))
	}
	return r.Name
}

// patientElsewhere finds the patient of an order that names none: the
// referral's, else the consultation's if it has exactly one.
func (g *gathering) patientElsewhere(ctx context.Context) error {
	rel := relationTo(resPatient, g.c.fields.value(resReferral, "patient", g.referral))
	if rel.ID == "" {
		switch len(g.patients) {
		case 0:
			return nil
		case 1:
			rel = g.patients[0]
		default:
			g.note(fmt.Sprintf("patient: the order names none and its consultation has %d", len(g.patients)))
			return nil
		}
	}
	if rel.ID == "" {
		return nil
	}
	g.content.Patient.ID = rel.ID
	return g.readPatient(ctx, rel)
}

// patientEmbedded takes the patient from what the consultation exposed, when it
// could not be read itself.
func (g *gathering) patientEmbedded() {
	for _, r := range g.patients {
		if r.ID != "" && r.ID == g.content.Patient.ID && r.Embedded != nil {
			g.mu.Lock()
			g.fillPatient(r.Embedded, r.ID)
			g.mu.Unlock()
			return
		}
	}
}

// priority reads the usual words as DICOM (0040,1003) has them.
func priority(s string) string {
	switch strings.Join(words(s), " ") {
	case "stat", "emergency", "acute", "critical":
		return "STAT"
	case "high", "urgent", "asap":
		return "HIGH"
	case "routine", "normal", "elective":
		return "ROUTINE"
	case "medium":
		return "MEDIUM"
	case "low":
		return "LOW"
	}
	return ""
}
