package mwl

import (
	"maps"
	"slices"
	"strings"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// roster is the configured machines, compiled. It never changes.
type roster struct {
	machines []Machine
	profiles []*profile
	forms    []form
	gone     bool // replaced by another; guarded by the cache
}

// profile is one machine, ready to answer queries.
type profile struct {
	*Machine
	form    int        // number of its form
	showAll bool       // every state that can be on a worklist
	vias    []*profile // whose orders it lists: its own, then those of Sees
}

// form is what the bytes of an answer depend on, besides the transfer syntax.
// Machines with the same form share encoded answers.
type form struct {
	auto    bool // ISO_IR 100 when every character fits, else ISO_IR 192
	charset dataset.Charset
	name    PatientNameRule
	limits  [9]int // as TextFields; 0 is the VR's
	species [3]bool
}

func newRoster(machines []Machine) *roster {
	r := &roster{machines: cloneMachines(machines)}
	byName := map[string]*profile{}
	for i := range r.machines {
		m := &r.machines[i]
		if m.PatientName == "" {
			m.PatientName = OwnerPatient
		}
		p := &profile{Machine: m, showAll: m.shows(order.Scheduled) && m.shows(order.InProgress)}
		r.profiles = append(r.profiles, p)
		if _, ok := byName[m.Name]; !ok {
			byName[m.Name] = p
		}
	}
	for _, p := range r.profiles {
		p.vias = append(p.vias, p)
		for _, name := range p.Sees {
			if o := byName[name]; o != nil && !slices.Contains(p.vias, o) {
				p.vias = append(p.vias, o)
			}
		}
		f := newForm(p)
		if p.form = slices.Index(r.forms, f); p.form < 0 {
			p.form = len(r.forms)
			r.forms = append(r.forms, f)
		}
	}
	return r
}

func cloneMachines(machines []Machine) []Machine {
	out := slices.Clone(machines)
	for i := range out {
		m := &out[i]
		m.Aliases, m.CalledAliases = slices.Clone(m.Aliases), slices.Clone(m.CalledAliases)
		m.Addresses, m.CodeAliases = slices.Clone(m.Addresses), slices.Clone(m.CodeAliases)
		m.Sees, m.Show, m.SpeciesIn = slices.Clone(m.Sees), slices.Clone(m.Show), slices.Clone(m.SpeciesIn)
		m.TextLimits, m.DropKeys, m.FixedKeys = maps.Clone(m.TextLimits), slices.Clone(m.DropKeys), maps.Clone(m.FixedKeys)
	}
	return out
}

func newForm(p *profile) form {
	f := form{name: p.PatientName}
	cs, _, ok := charsetOf(p.Charset)
	if f.auto = !ok || isAuto(p.Charset); f.auto {
		// Station names and fixed values are encoded once per query, not per
		// order: if they need Unicode, all answers use it.
		if !dataset.Latin1.Fits(p.constants()) {
			f.auto, cs = false, dataset.UTF8
		}
	}
	if !f.auto {
		f.charset = cs
	}
	for i, t := range TextFields() {
		f.limits[i] = max(p.TextLimits[t], 0)
	}
	for _, s := range p.SpeciesIn {
		switch s {
		case SpeciesInComments:
			f.species[0] = true
		case SpeciesInProcedure:
			f.species[1] = true
		case SpeciesInStep:
			f.species[2] = true
		}
	}
	return f
}

// constants returns the text of an answer that does not come from an order.
func (p *profile) constants() string {
	var b strings.Builder
	for _, v := range p.vias {
		b.WriteString(v.Name)
	}
	for _, v := range p.FixedKeys {
		b.WriteString(v)
	}
	return b.String()
}

// limit returns how many characters a field may have.
func (f *form) limit(field TextField, vr int) int {
	if n := f.limits[slices.Index(TextFields(), field)]; n > 0 && n < vr {
		return n
	}
	return vr
}

// byName returns the profile of a machine, nil when there is none.
func (r *roster) byName(name string) *profile {
	for _, p := range r.profiles {
		if p.Name == name {
			return p
		}
	}
	return nil
}

func isAuto(charset string) bool {
	return charset == "" || strings.EqualFold(charset, "auto")
}

// charsetOf reads the charset of a profile. "ISO_IR 6" is no defined term for a
// single value: plain ASCII goes out under ISO_IR 100. Unusual spellings are
// understood; an unknown term is not ok and counts as auto.
func charsetOf(term string) (cs dataset.Charset, note string, ok bool) {
	if isAuto(term) {
		return dataset.Latin1, "", true
	}
	cs, note = dataset.ParseCharset(strings.Split(term, `\`))
	return cs, note, !strings.HasPrefix(note, "unknown")
}
