package provet

import (
	"context"
	"fmt"
	"math"

	"github.com/rayhound/rayhound/appliance/order"
)

// readPatient reads the animal. When that is refused, what came embedded in the
// order or its consultation is used.
func (g *gathering) readPatient(ctx context.Context, rel relation) error {
	row, err := g.c.get(ctx, resPatient, rel.ID, "")
	if err != nil {
		if !degradable(err) {
			return err
		}
		g.note(missingEntry("patient", err))
		row = rel.Embedded
	}
	if row == nil {
		return nil // rest fills it from the consultation
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fillPatient(row, rel.ID)
	return nil
}

// fillPatient maps a patient row. g.mu is held.
func (g *gathering) fillPatient(row object, id string) {
	v := func(logical string) any { return g.c.fields.value(resPatient, logical, row) }
	g.patientRead = true
	p := &g.content.Patient
	p.ID = id
	if s := line(v("name")); s != "" {
		p.Name = s
	}
	p.Species, p.SpeciesCode = coded(v("species"), v("species_code"))
	p.Breed, p.BreedCode = coded(v("breed"), v("breed_code"))
	g.fillSex(v("gender"), v("gender_code"))
	p.BirthDate = date(v("date_of_birth"))
	p.WeightKG = g.c.weightKG(v("weight"))
	p.Microchip = line(v("microchip"))
	p.Alerts = text(v("critical_notes"))
	p.Deceased = truth(v("deceased"), true)
	p.Archived = truth(v("archived"), true)
	g.content.UpstreamPatient = ""
	if m := relationTo(resPatient, v("merge_patient")); m.ID != "" && m.ID != id {
		g.content.UpstreamPatient = m.ID
	}
	g.ofPatient = relationTo(resClient, v("client"))
}

// coded reads text and code of a species or breed; the text field may hold the
// code, or both in an object.
func coded(textValue, codeValue any) (name, code string) {
	code, _ = scalar(codeValue)
	name = line(textValue)
	if m, ok := asObject(textValue); ok {
		if name = embeddedName(m); code == "" {
			code, _ = scalar(textValue)
		}
	}
	if code == "" && isDigits(name) {
		return "", name
	}
	return name, code
}

// fillSex maps a gender. g.mu is held.
func (g *gathering) fillSex(gender, genderCode any) {
	code, codeLabel := scalar(genderCode)
	label := line(gender)
	if m, ok := asObject(gender); ok {
		value, name := scalar(m)
		label = name
		if code == "" {
			code = value
		}
	}
	if label == "" {
		label = codeLabel
	}
	if code == "" && isDigits(label) {
		code, label = label, ""
	}
	m, ok := g.c.sex(code, label)
	g.content.Patient.Sex, g.content.Patient.Neutered = m.Sex, m.Neutered
	if !ok {
		shown := label
		if shown == "" {
			shown = code
		}
		g.content.Missing = append(g.content.Missing, fmt.Sprintf("sex: %.60q is not in the table of sexes", shown))
	}
}

// weightKG converts a weight whose unit the clinic has confirmed; 0 otherwise.
func (c *Client) weightKG(v any) float64 {
	w, ok := decimal(v)
	if !ok || w <= 0 {
		return 0
	}
	switch c.cfg.WeightUnit {
	case "kg":
	case "lb":
		w *= 0.45359237
	case "g":
		w /= 1000
	default:
		return 0
	}
	if w > 50000 {
		return 0
	}
	return math.Round(w*1000) / 1000
}

// readClient reads the owner.
func (g *gathering) readClient(ctx context.Context, rel relation) error {
	row := rel.Embedded
	if rel.ID != "" {
		full, err := g.c.get(ctx, resClient, rel.ID, "")
		if err != nil {
			if !degradable(err) {
				return err
			}
			g.note(missingEntry("client", err))
		} else {
			row = full
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	o := &g.content.Owner
	o.ID = rel.ID
	if row == nil {
		return nil
	}
	v := func(logical string) any { return g.c.fields.value(resClient, logical, row) }
	first, last, org := line(v("first_name")), line(v("last_name")), line(v("organization"))
	if first != "" || last != "" || org != "" {
		o.FirstName, o.LastName, o.Organization = first, last, org
	}
	o.Phone = phone(v("phones"))
	return nil
}

// setOwnerName takes a flattened name as the last name: how it divides is not
// known.
func setOwnerName(o *order.Owner, name string) {
	if name != "" {
		o.LastName = name
	}
}

// phone returns the first number of a list of phone objects or texts.
func phone(v any) string {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for i, e := range list {
		if i == maxRefs {
			break
		}
		if m, ok := asObject(e); ok {
			for _, k := range []string{"number", "phone_number", "phone", "value"} {
				if s := line(m[k]); s != "" {
					return s
				}
			}
			continue
		}
		// A short number or a URL refers to a row of /phonenumber/.
		s := line(e)
		if s != "" && (relationTo("phonenumber", e).ID == "" || (isDigits(s) && len(s) > 6)) {
			return s
		}
	}
	return ""
}
