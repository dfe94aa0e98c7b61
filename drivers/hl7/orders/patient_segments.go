package orders

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/hl7"
)

// ErrNoPatient refuses a message without a patient id.
var ErrNoPatient = errors.New("orders: the order has no patient id")

// adt writes ADT^A04, A08 or A40.
func (w *writer) adt(k Kind) error {
	if k == A40 && w.meta.PreviousPatientID == w.c.Patient.ID {
		return ErrSelfMerge
	}
	if k == A40 && w.meta.PreviousPatientID == "" {
		return ErrNoPatient
	}
	structure := "ADT_A01"
	if k == A40 {
		structure = "ADT_A39"
	}
	w.header("ADT^"+string(k), structure)
	evn := w.b.Segment("EVN").Set("2", w.p.time(w.meta.At))
	if w.p.version() != "2.5.1" {
		evn.Set("1", string(k))
	}
	if err := w.pid(); err != nil {
		return err
	}
	if k == A40 {
		w.b.Segment("MRG").SetAll("1", w.meta.PreviousPatientID, "", "", w.p.PatientAuthority, "PI")
		return nil
	}
	w.nk1()
	w.pv1()
	w.weight()
	return nil
}

// pid writes PID. PID-2 and PID-4 stay empty: dcm4chee reads microchip and tattoo
// there.
func (w *writer) pid() error {
	p := &w.c.Patient
	if strings.TrimSpace(p.ID) == "" {
		return ErrNoPatient
	}
	s := w.b.Segment("PID").Set("1", "1").SetAll("3", p.ID, "", "", w.p.PatientAuthority, "PI")
	if w.p.MicrochipAuthority != "" && p.Microchip != "" {
		s.SetAll("3[2]", p.Microchip, "", "", w.p.MicrochipAuthority)
	}
	// The owner's family name and the animal's name (PS3.3 C.7.1.1, veterinary).
	s.SetAll("5", w.c.Owner.FamilyName(), p.Name)
	if t, err := time.Parse(time.DateOnly, p.BirthDate); err == nil {
		s.Set("7", t.Format("20060102"))
	}
	switch p.Sex {
	case order.Male, order.Female, order.SexOther:
		s.Set("8", string(p.Sex))
	case order.SexUnknown:
		s.Set("8", "U")
	}
	switch p.Neutered {
	case order.Altered:
		s.Set("8.2", "Y")
	case order.Unaltered:
		s.Set("8.2", "N")
	case order.NeuteredUnknown:
	}
	s.SetAll("9", w.c.Owner.FamilyName(), ownerFirst(w.c.Owner))
	if p.Deceased {
		s.Set("30", "Y")
	}
	if w.p.version() != "2.3.1" || w.p.PID35In231 {
		coded(s, "35", p.SpeciesCode, p.Species, w.p.SpeciesScheme)
		coded(s, "36", p.BreedCode, p.Breed, w.p.BreedScheme)
	}
	return nil
}

// coded writes a CE. A code goes with its coding scheme or not at all.
func coded(s *hl7.SegmentBuilder, at, code, text, scheme string) {
	if code == "" || scheme == "" {
		code, scheme = "", ""
	}
	s.SetAll(at, code, text, scheme)
}

// person writes an XCN.
func person(s *hl7.SegmentBuilder, at string, p order.Person) {
	if p.LastName == "" && p.FirstName == "" {
		return
	}
	s.SetAll(at, p.ID, p.LastName, p.FirstName, "", "", p.Title)
}

// ownerFirst is the first name of an owner who is a person.
func ownerFirst(o order.Owner) string {
	if o.LastName == "" {
		return ""
	}
	return o.FirstName
}

// nk1 writes the owner for peers that do not look at PID-9.
func (w *writer) nk1() {
	o := w.c.Owner
	if o.FamilyName() == "" {
		return
	}
	s := w.b.Segment("NK1").Set("1", "1").SetAll("2", o.FamilyName(), ownerFirst(o)).SetAll("3", "OWN", "Owner", "99RAYHOUND")
	if o.LastName != "" && o.Organization != "" {
		s.Set("13", o.Organization)
	}
}

func (w *writer) pv1() {
	s := w.b.Segment("PV1").Set("1", "1").Set("2", "O").Set("3", w.c.Ward)
	if w.c.Ward != "" {
		s.Set("2", "I")
	}
	person(s, "8", firstPerson(w.c.Veterinarian, w.c.RequestingUser))
	s.Set("19", w.c.ConsultationID)
}

// weight writes the body weight in kg as dcm4chee reads it.
func (w *writer) weight() {
	kg := w.c.Patient.WeightKG
	if !(kg > 0) || math.IsInf(kg, 1) { // NaN is not greater than 0
		return
	}
	v := strconv.FormatFloat(math.Round(kg*1000)/1000, 'f', -1, 64)
	if len(v) > 16 || v == "0" {
		return
	}
	w.b.Segment("OBX").Set("1", "1").Set("2", "NM").Set("3.2", "Body Weight").
		Set("5", v).SetAll("6", "kg", "kilogram", "UCUM").Set("11", "F")
}

func firstPerson(all ...order.Person) order.Person {
	for _, p := range all {
		if p.LastName != "" || p.FirstName != "" {
			return p
		}
	}
	return order.Person{}
}
