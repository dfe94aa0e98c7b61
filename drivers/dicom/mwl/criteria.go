package mwl

import (
	"slices"
	"strings"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// manner is how a key is matched.
type manner uint8

const (
	byText        manner = iota // exact or wildcard, case-sensitive
	byCode                      // the same for CS, without regard to case
	byName                      // person names
	byDate                      // a date or a range
	byUID                       // any of a list
	byStation                   // (0040,0001), decided per station
	byModality                  // (0008,0060), decided per station
	byStationName               // (0040,0010), decided per station
	byStart                     // (0040,0002) and (0040,0003), decided together
)

// matched returns how a key is matched. All other keys are return keys: a value
// in them is answered, but never a reason for an empty list.
func matched(t dataset.Tag) (manner, bool) {
	switch t {
	case dataset.ScheduledStationAETitle:
		return byStation, true
	case dataset.Modality:
		return byModality, true
	case dataset.ScheduledStationName:
		return byStationName, true
	case dataset.ScheduledProcedureStepStartDate, dataset.ScheduledProcedureStepStartTime:
		return byStart, true
	case dataset.StudyInstanceUID:
		return byUID, true
	case dataset.PatientBirthDate:
		return byDate, true
	case dataset.PatientName, dataset.ReferringPhysicianName, dataset.RequestingPhysician,
		dataset.ScheduledPerformingPhysicianName, dataset.ResponsiblePerson:
		return byName, true
	case dataset.PatientSex, dataset.ScheduledProcedureStepStatus:
		return byCode, true
	case dataset.AccessionNumber, dataset.PatientID, dataset.RequestedProcedureID, dataset.ScheduledProcedureStepID,
		dataset.AdmissionID, dataset.PlacerOrderNumberImagingServiceRequest,
		dataset.FillerOrderNumberImagingServiceRequest, dataset.PatientSpeciesDescription,
		dataset.PatientBreedDescription, dataset.ScheduledProcedureStepDescription,
		dataset.ScheduledProcedureStepLocation, dataset.RequestedProcedurePriority:
		return byText, true
	}
	return 0, false
}

// test is a compiled criterion over the values of an item.
type test struct {
	tag   dataset.Tag
	value func(*item) string
	match func(string) bool
	asked string // for people
}

// newTest compiles a criterion that is decided per item.
func newTest(c *criterion, how manner, p *profile, f *form, set *settings) test {
	t := test{tag: c.tag, asked: cut(strings.Join(c.values, `\`), 64)}
	if v, ok := p.FixedKeys[c.tag]; ok && fixable(c.tag, c.vr) {
		t.value = func(*item) string { return v }
	} else {
		t.value = valueOf(c.tag, p, f, set)
	}
	switch how {
	case byName:
		t.value, t.match = foldedValue(c.tag, t.value, p), nameMatcher(c.values)
	case byDate:
		t.match = dateMatcher(c.values)
	case byUID:
		t.match = func(v string) bool { return slices.Contains(c.values, v) }
	case byCode:
		t.match = textMatcher(upper(c.values), c.vr)
	case byText, byStation, byModality, byStationName, byStart:
		t.match = textMatcher(c.values, c.vr)
	}
	return t
}

// valueOf returns how to read an attribute from an item. What is asked for most
// costs nothing.
func valueOf(t dataset.Tag, _ *profile, f *form, set *settings) func(*item) string {
	switch t {
	case dataset.AccessionNumber:
		return func(it *item) string { return it.order.AccessionNumber }
	case dataset.PatientID:
		return func(it *item) string { return it.order.Content.Patient.ID }
	case dataset.RequestedProcedureID:
		return func(it *item) string { return it.order.RequestedProcedureID }
	case dataset.ScheduledProcedureStepID:
		return func(it *item) string { return it.step.ScheduledProcedureStepID }
	case dataset.StudyInstanceUID:
		return func(it *item) string { return it.order.StudyInstanceUID }
	}
	s, ok := slotOf(t)
	if !ok {
		return func(*item) string { return "" }
	}
	return func(it *item) string {
		return (&source{item: it, set: set, form: f}).value(s)
	}
}

// foldedValue prepares a name for comparison. Patient's Name is folded once per
// revision.
func foldedValue(t dataset.Tag, value func(*item) string, p *profile) func(*item) string {
	if _, fixed := p.FixedKeys[t]; t == dataset.PatientName && !fixed {
		return func(it *item) string { return it.foldedName(p.PatientName) }
	}
	return func(it *item) string { return dataset.Fold(value(it)) }
}

func nameMatcher(values []string) func(string) bool {
	keys := make([]dataset.PNKey, 0, len(values))
	for _, v := range values {
		if v != "" {
			keys = append(keys, dataset.NewPNKey(v))
		}
	}
	return func(v string) bool {
		return slices.ContainsFunc(keys, func(k dataset.PNKey) bool { return k.MatchFolded(v) })
	}
}

func dateMatcher(values []string) func(string) bool {
	var keys []dataset.DateKey
	for _, v := range values {
		if k, err := dataset.ParseDateKey(v); err == nil && v != "" {
			keys = append(keys, k)
		}
	}
	return func(v string) bool {
		return slices.ContainsFunc(keys, func(k dataset.DateKey) bool { return k.Match(v) })
	}
}

// textMatcher matches any of the values, with wildcards where the VR has them.
// Values too long to match anything are left out here, so that they cost
// nothing per item.
func textMatcher(values []string, vr dataset.VR) func(string) bool {
	literal := map[string]bool{}
	type wild struct {
		key   string
		least int // bytes that a value must have
	}
	var wilds []wild
	for _, v := range values {
		switch v = trim(v); {
		case v == "" || len([]rune(v)) > 1024:
		case dataset.Wildcards(vr) && dataset.HasWildcard(v):
			wilds = append(wilds, wild{v, len(v) - strings.Count(v, "*")})
		default:
			literal[v] = true
		}
	}
	return func(v string) bool {
		v = trim(v)
		if literal[v] {
			return true
		}
		for i := range wilds {
			if len(v) >= wilds[i].least && dataset.MatchWildcard(wilds[i].key, v, false) {
				return true
			}
		}
		return false
	}
}

func upper(values []string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = strings.ToUpper(v)
	}
	return out
}

// literals returns the values of a criterion when all of them can be looked up
// in an index.
func (c *criterion) literals() ([]string, bool) {
	out := make([]string, 0, len(c.values))
	for _, v := range c.values {
		v = trim(v)
		if v == "" {
			continue
		}
		if dataset.Wildcards(c.vr) && dataset.HasWildcard(v) {
			return nil, false
		}
		out = append(out, v)
	}
	return out, true
}
