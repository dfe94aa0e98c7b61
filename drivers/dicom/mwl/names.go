package mwl

import (
	"strings"
	"unicode/utf8"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// patientName is Patient's Name by a rule (CP-643: the responsible party's
// family name or organisation, a caret, the animal's name). With a limit above
// 0 the components are shortened so that both are still there.
func patientName(rule PatientNameRule, o *order.Order, limit int) string {
	owner, pet := o.Content.Owner.FamilyName(), o.Content.Patient.Name
	var first, second string
	switch rule {
	case PatientOnly:
		first = pet
	case PatientOwner:
		first, second = pet, owner
	case OwnerPatient:
		first, second = owner, pet
	default:
		first, second = owner, pet
	}
	if limit > 0 {
		first, second = shorten(first, second, limit)
	}
	return joinName(first, second)
}

// shorten cuts two components so that they and the caret fit: the longer one
// first.
func shorten(first, second string, limit int) (string, string) {
	if second == "" {
		return cut(first, limit), ""
	}
	room := limit - 1
	a, b := utf8.RuneCountInString(first), utf8.RuneCountInString(second)
	if a+b <= room {
		return first, second
	}
	half := room / 2
	switch {
	case b <= half:
		a = room - b
	case a <= half:
		b = room - a
	default:
		a, b = room-half, half
	}
	return strings.TrimSpace(cut(first, a)), strings.TrimSpace(cut(second, b))
}

// cut returns the first n characters of s.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

func joinName(family, given string) string {
	return dataset.PersonName{Family: family, Given: given}.String()
}

func personName(p order.Person) string { return joinName(p.LastName, p.FirstName) }
