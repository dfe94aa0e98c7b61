package config

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// checkAETitle checks an application entity title: 1 to 16 characters of the
// default repertoire without backslash and control characters, not only
// spaces, none of them leading or trailing (PS3.5 table 6.2-1).
func checkAETitle(at, title string, errs *Errors) {
	switch {
	case strings.TrimSpace(title) == "":
		errs.add(at, "", "an AE title is needed")
	case len(title) > 16:
		errs.add(at, "", "%q is longer than 16 characters", clip(title))
	case strings.ContainsFunc(title, func(r rune) bool { return r < ' ' || r > '~' || r == '\\' }):
		errs.add(at, "", "%q: only plain letters, digits and signs without \\", clip(title))
	case strings.TrimSpace(title) != title:
		errs.add(at, "", "%q begins or ends with a space", title)
	}
}

// checkModalities checks the machines one by one and against each other.
func (f *File) checkModalities(errs *Errors) {
	titles := map[string]string{} // upper case -> machine
	names := map[string]string{}
	for i := range f.Modalities {
		m := &f.Modalities[i]
		at := item("modality", i)
		m.check(at, errs)
		if other, ok := names[strings.ToLower(m.Name)]; ok && m.Name != "" {
			errs.add(at+".name", "", "%q is the name of two machines (%s)", clip(m.Name), other)
		}
		names[strings.ToLower(m.Name)] = at
		for j, t := range append(Names{m.AETitle}, m.AEAliases...) {
			key := at + ".ae_title"
			if j > 0 {
				key = item(at+".ae_aliases", j-1)
			}
			up := strings.ToUpper(t)
			if other, ok := titles[up]; ok && t != "" {
				errs.add(key, "", "%q is used by %s already; two titles must differ in more than capitals", clip(t), other)
			}
			titles[up] = at
			if t != "" && strings.EqualFold(t, f.DICOM.AETitle) {
				errs.add(key, "", "%q is our own AE title", clip(t))
			}
		}
	}
	for i := range f.Modalities {
		for j, other := range f.Modalities[i].Sees {
			if _, ok := names[strings.ToLower(other)]; !ok {
				var known []string
				for n := range names {
					known = append(known, n)
				}
				slices.Sort(known)
				hint := ""
				if n := nearest(other, known); n != "" {
					hint = "did you mean " + n + "?"
				}
				errs.add(item(item("modality", i)+".sees", j), hint, "there is no machine named %q", clip(other))
			}
		}
	}
}

func (m *Modality) check(at string, errs *Errors) {
	if strings.TrimSpace(m.Name) == "" {
		errs.add(at+".name", "", "a name is needed")
	} else if utf8.RuneCountInString(m.Name) > 64 {
		errs.add(at+".name", "", "at most 64 characters")
	}
	checkAETitle(at+".ae_title", m.AETitle, errs)
	for i, t := range m.AEAliases {
		checkAETitle(item(at+".ae_aliases", i), t, errs)
	}
	for i, t := range m.CalledAliases {
		checkAETitle(item(at+".called_aliases", i), t, errs)
	}
	for i, a := range m.Addresses {
		checkSource(item(at+".addresses", i), a, errs)
	}
	if !isCodeString(m.Code) {
		errs.add(at+".code", "such as DX, CR, CT, MR, US or IO", "%q is not a DICOM modality", clip(m.Code))
	}
	for i, c := range m.CodeAliases {
		if !isCodeString(c) {
			errs.add(item(at+".code_aliases", i), "", "%q is not a DICOM modality", clip(c))
		}
	}
	for i, s := range m.Serves {
		if strings.TrimSpace(s) == "" {
			errs.add(item(at+".serves", i), "", "an empty name serves nothing")
		}
	}
	if !isCharset(m.Charset) {
		errs.add(at+".charset", "auto, ISO_IR 100 (western Europe) or ISO_IR 192 (UTF-8)", "%q is not a DICOM character set", clip(m.Charset))
	}
	words(at+".done_when", m.DoneWhen, []string{"mpps", "images", "hl7"}, errs)
	words(at+".show", m.Show, []string{"scheduled", "in_progress"}, errs)
	words(at+".species_in", m.SpeciesIn, []string{"patient_comments", "procedure", "step"}, errs)
	for i, k := range m.DropKeys {
		if !isKey(k) {
			errs.add(item(at+".drop_keys", i), "such as PatientComments or (0010,4000)", "%q is not a DICOM attribute", clip(k))
		}
	}
	for k := range m.FixedKeys {
		if !isKey(k) {
			errs.add(at+".fixed_keys."+k, "such as InstitutionName or (0008,0080)", "%q is not a DICOM attribute", clip(k))
		}
	}
}

// words checks that every entry of a list is a known word, and there once.
func words(at string, list Names, known []string, errs *Errors) {
	for i, w := range list {
		if !slices.Contains(known, w) {
			hint := "known: " + strings.Join(known, ", ")
			if n := nearest(w, known); n != "" {
				hint = "did you mean " + n + "?"
			}
			errs.add(item(at, i), hint, "%q is not known here", clip(w))
		} else if slices.Contains(list[:i], w) {
			errs.add(item(at, i), "", "%q is listed twice", w)
		}
	}
}

// charsets are the defined terms that a machine may be set to (PS3.3
// C.12.1.1.2), and auto.
var charsets = []string{
	"auto", "ISO_IR 6", "ISO_IR 100", "ISO_IR 101", "ISO_IR 109", "ISO_IR 110", "ISO_IR 126", "ISO_IR 127",
	"ISO_IR 138", "ISO_IR 144", "ISO_IR 148", "ISO_IR 166", "ISO_IR 192", "ISO_IR 203", "GB18030",
}

func isCharset(s string) bool { return slices.Contains(charsets, s) }

// isCodeString reports whether s is a non-empty CS (PS3.5 table 6.2-1).
func isCodeString(s string) bool {
	return s != "" && len(s) <= 16 && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != ' ' && r != '_'
	})
}

// isKey reports whether s looks like a DICOM keyword or (gggg,eeee).
func isKey(s string) bool {
	if len(s) == 11 && s[0] == '(' && s[5] == ',' && s[10] == ')' {
		return isHex(s[1:5]) && isHex(s[6:10])
	}
	if s == "" || len(s) > 64 || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}

func isHex(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF", r) })
}
