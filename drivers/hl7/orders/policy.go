package orders

import (
	"fmt"
	"strings"

	"github.com/rayhound/rayhound/appliance/order"
)

// Meaning is what a status says, in one word that does not change.
type Meaning string

// The meanings.
const (
	Scheduled      Meaning = "scheduled"       // the peer has scheduled the order
	OnHold         Meaning = "hold"            // the peer holds it
	Started        Meaning = "started"         // imaging began
	Acquired       Meaning = "acquired"        // the images are made
	Reported       Meaning = "reported"        // the report is final
	Cancelled      Meaning = "cancelled"       // the peer cancelled it; for a person, never by itself told upstream
	Discontinued   Meaning = "discontinued"    // the peer gave it up; likewise
	ImagesRejected Meaning = "images_rejected" // quality review rejected images; for a person
	Failed         Meaning = "error"           // ORC-5 = ER; for a person
	Changed        Meaning = "changed"         // the peer changed the order; for a person
	Confirmed      Meaning = "confirmed"       // the peer did what we asked for
	Refused        Meaning = "refused"         // the peer does not do it; for a person
	Numbered       Meaning = "numbered"        // the peer told its number
	Partial        Meaning = "partial"         // some results, nothing final
)

// condition is one entry of Profile.CompletedWhen.
type condition struct{ field, value string }

func parseCondition(s string) (condition, error) {
	field, value, ok := strings.Cut(s, "=")
	c := condition{strings.ToUpper(strings.TrimSpace(field)), strings.ToUpper(strings.TrimSpace(value))}
	switch c.field {
	case "ORC-1", "ORC-5", "OBR-25", "OBX-11":
		if ok && c.value != "" {
			return c, nil
		}
	}
	return c, fmt.Errorf("%w: completed_when %q is not like ORC-5=CM (ORC-1, ORC-5, OBR-25 or OBX-11)", ErrProfile, s)
}

// status is what of a message speaks of the state of an order.
type status struct {
	control string   // ORC-1
	orc5    string   // ORC-5
	obr25   string   // OBR-25
	obx11   []string // OBX-11 of all results
}

func (s status) has(c condition) bool {
	switch c.field {
	case "ORC-1":
		return s.control == c.value
	case "ORC-5":
		return s.orc5 == c.value
	case "OBR-25":
		// A correction corrects something final.
		return s.obr25 == c.value || c.value == "F" && s.obr25 == "C"
	case "OBX-11":
		for _, v := range s.obx11 {
			if v == c.value || c.value == "F" && v == "C" {
				return true
			}
		}
	}
	return false
}

// verdict is what a status means for the order.
type verdict struct {
	event   order.Event // "" when nothing follows by itself
	meaning Meaning
}

// judge applies the completion policy. ORC-5 comes first: dcm4chee sends OBR-25 =
// R with every message of a performed step, the first among them. A status that
// says the imaging goes on, or has ended otherwise, is never overruled by OBR-25.
func (p *Profile) judge(s status) verdict {
	switch s.orc5 {
	case "IP":
		return verdict{order.StepStarted, Started}
	case "CA":
		if s.control == "CR" {
			return verdict{"", Confirmed}
		}
		return verdict{order.Withdrawn, Cancelled}
	case "DC":
		return verdict{order.StepDiscontinued, Discontinued}
	case "SC":
		return verdict{"", Scheduled}
	case "HD":
		return verdict{"", OnHold}
	case "ER":
		return verdict{"", Failed}
	case "RP":
		return verdict{"", Changed}
	}
	switch {
	case p.ImageManager && (s.obr25 == "A" || s.obr25 == "X"), s.orc5 == "CM" && s.obr25 == "X":
		return verdict{"", ImagesRejected}
	case s.obr25 == "X" && s.orc5 == "":
		return verdict{order.Withdrawn, Cancelled}
	case p.completes(s):
		if s.obr25 == "F" || s.obr25 == "C" {
			return verdict{order.StepCompleted, Reported}
		}
		return verdict{order.StepCompleted, Acquired}
	}
	return p.judgeOpen(s)
}

// judgeOpen judges what completes nothing.
func (p *Profile) judgeOpen(s status) verdict {
	switch {
	case s.obr25 == "F" || s.obr25 == "C":
		return verdict{"", Reported}
	case s.orc5 == "CM":
		return verdict{"", Acquired}
	case s.obr25 == "S" || s.obr25 == "O":
		return verdict{"", Scheduled}
	case s.obr25 != "" || s.orc5 != "":
		return verdict{"", Partial}
	}
	return verdict{}
}

// completes reports whether the status is done by the peer's conditions, or by the
// default ones.
func (p *Profile) completes(s status) bool {
	if s.orc5 != "" && s.orc5 != "A" && s.orc5 != "CM" && !p.names(s.orc5) {
		return false
	}
	if len(p.CompletedWhen) > 0 {
		for _, text := range p.CompletedWhen {
			if c, err := parseCondition(text); err == nil && s.has(c) {
				return true
			}
		}
		return false
	}
	switch s.obr25 {
	case "R", "P", "A", "F", "C":
		return true
	}
	return s.orc5 == "CM"
}

// names reports whether the conditions name a value of ORC-5 of the peer's own.
func (p *Profile) names(orc5 string) bool {
	for _, text := range p.CompletedWhen {
		if c, err := parseCondition(text); err == nil && c.field == "ORC-5" && c.value == orc5 {
			return true
		}
	}
	return false
}

// judgeControl judges the codes of ORC-1 that speak for themselves; ok is false
// for the others, whose status counts.
func judgeControl(control string) (k ReportKind, v verdict, ok bool) {
	switch control {
	case "UA", "UC", "UX", "UD", "UN", "UM", "UH", "UR":
		return KindRefusal, verdict{"", Refused}, true
	case "SN", "NA":
		return KindNumber, verdict{"", Numbered}, true
	case "OK", "CR", "XR", "DR", "RQ":
		return KindStatus, verdict{"", Confirmed}, true
	case "OC":
		return KindStatus, verdict{order.Withdrawn, Cancelled}, true
	case "OD":
		return KindStatus, verdict{order.StepDiscontinued, Discontinued}, true
	case "XX", "XO", "RU", "RO", "RP":
		return KindStatus, verdict{"", Changed}, true
	}
	return KindStatus, verdict{}, false
}
