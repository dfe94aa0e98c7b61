package mwl

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// source is what the attributes of an answer are drawn from.
type source struct {
	*item
	set  *settings
	form *form
}

// settings are what the clinic's answers have in common.
type settings struct {
	clinic string
	issuer string
	zone   *time.Location
	tables Tables
}

func (s *source) content() *order.Content { return &s.order.Content }

func (s *source) accession() string            { return s.order.AccessionNumber }
func (s *source) institution() string          { return s.set.clinic }
func (s *source) issuer() string               { return s.set.issuer }
func (s *source) department() string           { return s.content().Department.Name }
func (s *source) patientID() string            { return s.content().Patient.ID }
func (s *source) neutered() string             { return string(s.content().Patient.Neutered) }
func (s *source) complaint() string            { return s.content().Complaint }
func (s *source) species() string              { return s.content().Patient.Species }
func (s *source) breed() string                { return s.content().Patient.Breed }
func (s *source) organization() string         { return s.content().Owner.Organization }
func (s *source) studyUID() string             { return s.order.StudyInstanceUID }
func (s *source) requestedProcedureID() string { return s.order.RequestedProcedureID }
func (s *source) requesting() string           { return personName(s.content().RequestingUser) }
func (s *source) admission() string            { return s.content().ConsultationID }
func (s *source) ward() string                 { return s.content().Ward }
func (s *source) remarks() string              { return s.content().Remarks }
func (s *source) placer() string               { return s.order.ProvetID }
func (s *source) stepID() string               { return s.step.ScheduledProcedureStepID }
func (s *source) alerts() string               { return s.content().Patient.Alerts }

// startDate and startTime are those of the item; for floating items the query
// decides whether they are still true.
func (s *source) startDate() string { return s.date }
func (s *source) startTime() string { return s.clock }

// studyStart is the earliest start that a machine has reported.
func (s *source) studyStart() (t time.Time) {
	for i := range s.order.Steps {
		if at := s.order.Steps[i].StartedAt; !at.IsZero() && (t.IsZero() || at.Before(t)) {
			t = at
		}
	}
	return t
}

func (s *source) studyDate() string {
	if t := s.studyStart(); !t.IsZero() {
		return string(appendDate(nil, dayOf(t.In(s.set.zone))))
	}
	return ""
}

func (s *source) studyTime() string {
	if t := s.studyStart(); !t.IsZero() {
		return string(appendTime(nil, momentOf(t.In(s.set.zone)).ms))
	}
	return ""
}

func (s *source) referring() string {
	if n := personName(s.content().Veterinarian); n != "" {
		return n
	}
	return s.requesting()
}

func (s *source) patientName() string {
	return patientName(s.form.name, s.order, s.form.limit(LimitName, dataset.MaxLen(dataset.PN)))
}

func (s *source) birthDate() string {
	t, ok := birthDate(s.content().Patient.BirthDate)
	if !ok {
		return ""
	}
	return t.Format("20060102")
}

func birthDate(v string) (time.Time, bool) {
	t, err := time.Parse(time.DateOnly, v)
	return t, err == nil && t.Year() > 0
}

func (s *source) sex() string {
	switch v := s.content().Patient.Sex; v {
	case order.Male, order.Female, order.SexOther:
		return string(v)
	case order.SexUnknown:
	}
	return ""
}

// weight is in kg. The content holds 0 while the unit is not confirmed.
func (s *source) weight() string {
	w := s.content().Patient.WeightKG
	if !(w > 0) || math.IsInf(w, 1) { // NaN is not greater than 0
		return ""
	}
	v := strconv.FormatFloat(math.Round(w*1000)/1000, 'f', -1, 64)
	if len(v) > dataset.MaxLen(dataset.DS) || v == "0" {
		return ""
	}
	return v
}

func (s *source) owner() string {
	o := &s.content().Owner
	return joinName(o.LastName, o.FirstName)
}

func (s *source) ownerRole() string {
	if s.owner() == "" {
		return ""
	}
	return "OWNER"
}

// animal is species and breed in one text, for consoles that do not ask for
// them.
func (s *source) animal() string {
	return strings.Join(texts(s.species(), s.breed()), ", ")
}

func (s *source) patientComments() string {
	if s.form.species[0] {
		return s.animal()
	}
	return ""
}

// procedure is the modality's name and the target areas, never empty.
func (s *source) procedure() string {
	v := strings.Join(texts(s.step.Modality.Name, s.areas()), ": ")
	if v == "" {
		v = "Imaging"
	}
	return s.withAnimal(v, s.form.species[1])
}

// stepDescription is the target areas, else the modality's name, never empty.
func (s *source) stepDescription() string {
	v := s.areas()
	if v == "" {
		v = strings.TrimSpace(s.step.Modality.Name)
	}
	if v == "" {
		v = "Imaging"
	}
	return s.withAnimal(v, s.form.species[2])
}

func (s *source) withAnimal(v string, wanted bool) string {
	if a := s.animal(); wanted && a != "" {
		return v + " (" + a + ")"
	}
	return v
}

func (s *source) areas() string {
	names := make([]string, 0, len(s.content().TargetAreas))
	for _, a := range s.content().TargetAreas {
		names = append(names, a.Name)
	}
	return strings.Join(texts(names...), ", ")
}

// texts returns what is not blank.
func texts(all ...string) []string {
	return slices.DeleteFunc(all, func(s string) bool { return strings.TrimSpace(s) == "" })
}

func (s *source) reason() string {
	if v := s.content().Remarks; strings.TrimSpace(v) != "" {
		return v
	}
	return s.content().Complaint
}

func (s *source) priority() string {
	if v := s.content().Priority; v != "" {
		return v
	}
	return "ROUTINE"
}

func (s *source) orientation() string {
	switch v := s.set.tables.species(&s.content().Patient).Orientation; v {
	case Biped, Quadruped:
		return v
	}
	return ""
}

func (s *source) bodyPart() string { return s.set.tables.bodyPart(s.content().TargetAreas) }

func (s *source) stepStatus() string {
	if s.step.State == order.InProgress {
		return "STARTED"
	}
	return "SCHEDULED"
}

func (s *source) speciesCode() Code   { return s.set.tables.species(&s.content().Patient).Code }
func (s *source) breedCode() Code     { return s.set.tables.breed(&s.content().Patient) }
func (s *source) procedureCode() Code { return s.set.tables.procedure(s.step.Modality) }
func (s *source) protocolCode() Code {
	return s.set.tables.protocol(s.step.Modality, s.content().TargetAreas)
}

// age returns Patient's Age (AS) on a day, if the birth date is known.
func (it *item) age(today int32) (as [4]byte, ok bool) {
	t, ok := birthDate(it.order.Content.Patient.BirthDate)
	if !ok {
		return as, false
	}
	born, now := dayOf(t), moment{day: today}.date()
	days := int(today - born)
	months := (now.Year()-t.Year())*12 + int(now.Month()) - int(t.Month())
	if now.Day() < t.Day() {
		months--
	}
	var n int
	var unit byte
	switch {
	case days < 0:
		return as, false
	case days < 28:
		n, unit = days, 'D'
	case months < 3:
		n, unit = days/7, 'W'
	case months < 24:
		n, unit = months, 'M'
	case months/12 <= 999:
		n, unit = months/12, 'Y'
	default:
		return as, false
	}
	return [4]byte{'0' + byte(n/100), '0' + byte(n/10%10), '0' + byte(n%10), unit}, true
}
