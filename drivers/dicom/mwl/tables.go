package mwl

import (
	"strings"

	"github.com/rayhound/rayhound/appliance/order"
)

// Code is a coded concept (PS3.3 8). It is sent only when value, scheme
// designator and meaning are all there.
type Code struct {
	Value   string // (0008,0100), at most 16 characters
	Scheme  string // (0008,0102), such as SCT
	Version string // (0008,0103), only where the scheme needs one
	Meaning string // (0008,0104), at most 64 characters
}

// complete reports whether the code may be sent.
func (c Code) complete() bool {
	return c.Value != "" && c.Scheme != "" && c.Meaning != "" && len([]rune(c.Value)) <= 16 && len([]rune(c.Scheme)) <= 16
}

// The values of Anatomical Orientation Type (0010,2210).
const (
	Biped     = "BIPED"
	Quadruped = "QUADRUPED"
)

// Species is one row of the species table.
type Species struct {
	Orientation string // Biped, Quadruped or empty
	Code        Code
}

// Tables are the clinic's own mappings. All are optional; without a row the
// attribute is empty. Keys are compared without regard to case: the practice
// system's id, its code or its text, whichever the clinic wrote.
type Tables struct {
	Species    map[string]Species // by species code or text
	Breeds     map[string]Code    // by breed code or text
	BodyParts  map[string]string  // target area -> (0018,0015), such as ABDOMEN
	Procedures map[string]Code    // modality -> requested procedure code
	Protocols  map[string]Code    // target area, else modality -> scheduled protocol code
}

// normalised returns the tables with folded keys, so that a look-up is one map
// access.
func (t Tables) normalised() Tables {
	return Tables{
		Species: foldKeys(t.Species), Breeds: foldKeys(t.Breeds), BodyParts: foldKeys(t.BodyParts),
		Procedures: foldKeys(t.Procedures), Protocols: foldKeys(t.Protocols),
	}
}

func foldKeys[V any](m map[string]V) map[string]V {
	out := make(map[string]V, len(m))
	for k, v := range m {
		out[tableKey(k)] = v
	}
	return out
}

func tableKey(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// row looks a value up under the first of its names that has a row.
func row[V any](m map[string]V, names ...string) (v V, ok bool) {
	for _, n := range names {
		if n == "" {
			continue
		}
		if v, ok = m[tableKey(n)]; ok {
			return v, true
		}
	}
	return v, false
}

func (t Tables) species(p *order.Patient) Species {
	s, _ := row(t.Species, p.SpeciesCode, p.Species)
	return s
}

func (t Tables) breed(p *order.Patient) Code {
	c, _ := row(t.Breeds, p.BreedCode, p.Breed)
	return c
}

func (t Tables) bodyPart(areas []order.Ref) string {
	for _, a := range areas {
		if v, ok := row(t.BodyParts, a.ID, a.Name); ok {
			return v
		}
	}
	return ""
}

func (t Tables) procedure(modality order.Ref) Code {
	c, _ := row(t.Procedures, modality.ID, modality.Name)
	return c
}

func (t Tables) protocol(modality order.Ref, areas []order.Ref) Code {
	for _, a := range areas {
		if c, ok := row(t.Protocols, a.ID, a.Name); ok {
			return c
		}
	}
	c, _ := row(t.Protocols, modality.ID, modality.Name)
	return c
}
