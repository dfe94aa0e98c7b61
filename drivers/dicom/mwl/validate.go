package mwl

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// Mistake is one thing that is wrong in a machine's profile.
type Mistake struct {
	Machine string // its name; when that is empty, its AE title
	Field   string // as in the settings file: "ae_title", "charset" ...
	Detail  string // a half sentence for people
}

func (m Mistake) String() string { return m.Machine + ": " + m.Field + ": " + m.Detail }

// Validate reports every mistake in the profiles, in the order of the machines.
// A list with mistakes works: what is unusable is ignored where it is used.
func Validate(machines []Machine) []Mistake {
	var all []Mistake
	names, titles := map[string]bool{}, map[string]string{}
	for i := range machines {
		m := &machines[i]
		who := m.Name
		if who == "" {
			who = m.AETitle
		}
		add := func(field, format string, args ...any) {
			all = append(all, Mistake{Machine: who, Field: field, Detail: fmt.Sprintf(format, args...)})
		}
		if trim(m.Name) == "" {
			add("name", "is empty")
		} else if names[m.Name] {
			add("name", "is used twice")
		}
		names[m.Name] = true
		validateTitles(m, titles, add)
		validateCodes(m, add)
		validateScope(m, machines, add)
		validateText(m, add)
	}
	return all
}

func validateTitles(m *Machine, seen map[string]string, add func(string, string, ...any)) {
	for i, t := range m.titles() {
		field := "ae_title"
		if i > 0 {
			field = "ae_aliases"
		}
		if !ValidAETitle(t) {
			add(field, "%q is not an AE title: 1 to 16 printable ASCII characters without backslash", t)
			continue
		}
		k := strings.ToUpper(t)
		if other, ok := seen[k]; ok {
			add(field, "%q is also a title of %q", t, other)
		}
		seen[k] = m.Name
	}
	for _, t := range m.CalledAliases {
		if !ValidAETitle(t) {
			add("called_aliases", "%q is not an AE title", t)
		}
	}
	for _, p := range m.Addresses {
		if !p.IsValid() {
			add("addresses", "holds an address that cannot be read")
		}
	}
}

func validateCodes(m *Machine, add func(string, string, ...any)) {
	if !validCode(m.Code) {
		add("code", "%q is not a modality code such as DX", m.Code)
	}
	for _, c := range m.CodeAliases {
		if !validCode(c) {
			add("code_aliases", "%q is not a modality code", c)
		}
	}
}

func validateScope(m *Machine, machines []Machine, add func(string, string, ...any)) {
	for _, s := range m.Sees {
		if !slices.ContainsFunc(machines, func(o Machine) bool { return o.Name == s }) {
			add("sees", "there is no machine %q", s)
		}
	}
	switch m.StationKey {
	case "", StationMatch, StationIgnore:
	default:
		add("station_key", "%q is neither match nor ignore", m.StationKey)
	}
	for _, s := range m.Show {
		if s != order.Scheduled && s != order.InProgress {
			add("show", "%q is never on a worklist; scheduled and in_progress are", s)
		}
	}
	if m.DaysBack != nil && *m.DaysBack < 0 {
		add("days_back", "is negative")
	}
	if m.DaysAhead != nil && *m.DaysAhead < 0 {
		add("days_ahead", "is negative")
	}
	switch m.TransferSyntax {
	case "", "auto", "implicit":
	default:
		add("transfer_syntax", "%q is neither auto nor implicit", m.TransferSyntax)
	}
}

func validateText(m *Machine, add func(string, string, ...any)) {
	if _, note, ok := charsetOf(m.Charset); !ok {
		add("charset", "%q: %s", m.Charset, note)
	}
	switch m.PatientName {
	case "", OwnerPatient, PatientOwner, PatientOnly:
	default:
		add("patient_name", "%q is none of owner^patient, patient^owner, patient", m.PatientName)
	}
	for f, n := range m.TextLimits {
		if !slices.Contains(TextFields(), f) {
			add("text_limits", "there is no field %q", f)
		} else if n < 1 {
			add("text_limits", "%s: %d is not a length", f, n)
		}
	}
	for _, f := range m.SpeciesIn {
		if f != SpeciesInComments && f != SpeciesInProcedure && f != SpeciesInStep {
			add("species_in", "%q is none of patient_comments, procedure, step", f)
		}
	}
	for _, t := range m.DropKeys {
		if t == dataset.ScheduledProcedureStepSequence || t == dataset.SpecificCharacterSet {
			add("drop_keys", "%s cannot be dropped", t)
		}
	}
	for t, v := range m.FixedKeys {
		switch vr := dataset.VROf(t); {
		case !fixable(t, vr):
			add("fixed_keys", "%s cannot have a fixed value", t)
		case dataset.Clean(v, vr) != v:
			add("fixed_keys", "the value of %s has characters that are not allowed there", t)
		}
	}
}

// fixable reports whether a key may have a fixed value: text of the standard,
// and not what identifies an order.
func fixable(t dataset.Tag, vr dataset.VR) bool {
	switch t {
	case dataset.SpecificCharacterSet, dataset.StudyInstanceUID, dataset.AccessionNumber, dataset.PatientID,
		dataset.ScheduledProcedureStepID, dataset.RequestedProcedureID:
		return false
	}
	return t.Group()%2 == 0 && t.Element() != 0 && vr != dataset.SQ && !isBinary(vr)
}

// ValidAETitle reports whether s can be an AE title (PS3.5 6.2): 1 to 16
// characters of the default repertoire without backslash and control
// characters, not only spaces.
func ValidAETitle(s string) bool {
	if len(s) > 16 || strings.TrimSpace(s) == "" {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '\\' {
			return false
		}
	}
	return true
}

// validCode reports whether s can be a single value of a CS attribute.
func validCode(s string) bool {
	if s == "" || len(s) > 16 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != ' ' {
			return false
		}
	}
	return strings.TrimSpace(s) != ""
}

// ParseTag reads a tag of drop_keys or fixed_keys: a keyword
// ("PatientComments"), "(0010,4000)", "0010,4000" or "00104000".
func ParseTag(s string) (dataset.Tag, error) {
	if t, ok := dataset.TagByKeyword(strings.TrimSpace(s)); ok {
		return t, nil
	}
	hex := strings.NewReplacer("(", "", ")", "", ",", "", " ", "").Replace(s)
	n, err := strconv.ParseUint(hex, 16, 32)
	if err != nil || len(hex) != 8 {
		return 0, fmt.Errorf("mwl: %q is neither a DICOM keyword nor a tag", s)
	}
	return dataset.Tag(n), nil
}
