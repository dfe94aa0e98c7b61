package order

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Content is what the practice system says about an order, normalised: text is
// Unicode (NFC) without surrounding spaces, times carry a zone, ids are text.
// Everything that leaves Rayhound is derived from it.
type Content struct {
	Patient Patient
	Owner   Owner

	Modalities  []Ref // at least one to be scheduled; each becomes a step
	TargetAreas []Ref

	Department      Ref
	RequestingUser  Person
	Veterinarian    Person // supervising veterinarian
	ConsultationID  string
	AppointmentID   string
	Ward            string
	Complaint       string    // of the consultation
	Remarks         string    // of the referral
	InternalNotes   string    // of the referral; never leaves the appliance
	ScheduledAt     time.Time // zero: no time was set, the order floats
	RequestedAt     time.Time // when it was made upstream; zero when unknown
	Priority        string    // ROUTINE, STAT ...; empty when unknown
	Missing         []string  // what could not be read and why, such as "client: 403"; no personal data
	UpstreamPatient string    // set when the patient was merged upstream: the id it was merged into
}

// Patient is the animal.
type Patient struct {
	ID          string // Provet's patient id, unchanged; DICOM PatientID, PID-3
	Name        string
	Species     string // text as shown to people
	SpeciesCode string
	Breed       string
	BreedCode   string
	Sex         Sex
	Neutered    Neutered
	BirthDate   string  // YYYY-MM-DD, or empty
	WeightKG    float64 // 0 when unknown or its unit is not confirmed
	Microchip   string
	Alerts      string // critical notes
	Deceased    bool
	Archived    bool
}

// Sex as in DICOM (0010,0040).
type Sex string

// The sexes; the zero value is unknown.
const (
	SexUnknown Sex = ""
	Male       Sex = "M"
	Female     Sex = "F"
	SexOther   Sex = "O"
)

// Neutered as in DICOM (0010,2203).
type Neutered string

// Whether an animal is neutered; the zero value is unknown.
const (
	NeuteredUnknown Neutered = ""
	Altered         Neutered = "ALTERED"
	Unaltered       Neutered = "UNALTERED"
)

// Owner is the responsible person or organisation (DICOM (0010,2297), (0010,2299)).
type Owner struct {
	ID           string
	FirstName    string
	LastName     string
	Organization string
	Phone        string
}

// Person is a user of the practice system.
type Person struct {
	ID        string
	FirstName string
	LastName  string
	Title     string
}

// Hash identifies the content: two contents with the same hash are the same
// order to everyone downstream. It is the SHA-256 of the canonical JSON, in
// hexadecimal. Missing is not part of it, and neither is the time zone of a
// time.
func (c Content) Hash() string {
	h := c.Clone()
	h.Missing = nil
	h.ScheduledAt = h.ScheduledAt.UTC()
	h.RequestedAt = h.RequestedAt.UTC()
	b, err := json.Marshal(h)
	if err != nil { // no field of Content can fail to marshal but a NaN weight
		b = []byte(err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Clone returns a deep copy.
func (c Content) Clone() Content {
	c.Modalities = slices.Clone(c.Modalities)
	c.TargetAreas = slices.Clone(c.TargetAreas)
	c.Missing = slices.Clone(c.Missing)
	return c
}

// LogValue keeps personal data out of logs.
func (Content) LogValue() slog.Value { return slog.StringValue("[order content]") }

// LogValue keeps personal data out of logs.
func (p Patient) LogValue() slog.Value { return slog.StringValue("[patient]") }

// LogValue keeps personal data out of logs.
func (Owner) LogValue() slog.Value { return slog.StringValue("[owner]") }

// LogValue keeps personal data out of logs.
func (Person) LogValue() slog.Value { return slog.StringValue("[person]") }

// FamilyName returns what stands first in a veterinary patient name: the
// owner's last name, or the organisation's name.
func (o Owner) FamilyName() string {
	if o.LastName != "" {
		return o.LastName
	}
	return o.Organization
}

// DisplayName returns the name for people, "Last First" or the organisation.
func (o Owner) DisplayName() string {
	n := strings.TrimSpace(o.LastName + " " + o.FirstName)
	if n == "" {
		return o.Organization
	}
	return n
}
