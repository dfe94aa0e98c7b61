package dataset

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// PersonName is one component group of a PN value (PS3.5 6.2.1). For an animal
// Family is the owner's family name or organisation and Given the animal's name
// (CP-643).
type PersonName struct {
	Family, Given, Middle, Prefix, Suffix string
}

// ParsePN reads the first component group that has content: the alphabetic one,
// else the ideographic, else the phonetic one. Components after the fifth are
// ignored.
func ParsePN(s string) PersonName {
	for group := range strings.SplitSeq(s, "=") {
		if n := parseGroup(group); n != (PersonName{}) {
			return n
		}
	}
	return PersonName{}
}

// ParseGroups reads the alphabetic, ideographic and phonetic group.
func ParseGroups(s string) [3]PersonName {
	var out [3]PersonName
	i := 0
	for group := range strings.SplitSeq(s, "=") {
		if i == len(out) {
			break
		}
		out[i] = parseGroup(group)
		i++
	}
	return out
}

func parseGroup(group string) PersonName {
	var c [5]string
	i := 0
	for part := range strings.SplitSeq(group, "^") {
		if i == len(c) {
			break
		}
		c[i] = strings.Trim(part, " \x00")
		i++
	}
	return PersonName{Family: c[0], Given: c[1], Middle: c[2], Prefix: c[3], Suffix: c[4]}
}

// String returns the component group, components cleaned of control characters
// and of "^", "=" and "\", without delimiters behind the last component.
// "^Bella" is a name without family name.
func (n PersonName) String() string {
	c := [5]string{n.Family, n.Given, n.Middle, n.Prefix, n.Suffix}
	last := -1
	for i := range c {
		if c[i] = cleanComponent(c[i]); c[i] != "" {
			last = i
		}
	}
	return strings.Join(c[:last+1], "^")
}

// Fold returns the form of s in which names are compared (PS3.4 C.2.2.2.4 leaves
// it to us): decomposed, without marks, in upper case; ß is SS, æ AE, œ OE, ø O,
// ł L, đ and ð D, þ TH.
func Fold(s string) string {
	i := 0
	for ; i < len(s); i++ {
		if c := s[i]; c >= utf8.RuneSelf || 'a' <= c && c <= 'z' {
			break
		}
	}
	if i == len(s) {
		return s
	}
	b := make([]byte, i, len(s)+8)
	copy(b, s)
	for j := i; j < len(s); j++ {
		c := s[j]
		if c >= utf8.RuneSelf {
			return string(foldRunes(b, s[j:]))
		}
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		b = append(b, c)
	}
	return string(b)
}

// foldRunes appends the folded form of s.
func foldRunes(b []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, string(utf8.RuneError))
	}
	for _, r := range norm.NFD.String(s) {
		if r >= utf8.RuneSelf {
			if unicode.Is(unicode.Mn, r) {
				continue
			}
			if t, ok := folded(r); ok {
				b = append(b, t...)
				continue
			}
		}
		b = utf8.AppendRune(b, unicode.ToUpper(r))
	}
	return b
}

// folded returns the letters that stand for one that does not decompose.
func folded(r rune) (string, bool) {
	switch r {
	case 'ß', 'ẞ':
		return "SS", true
	case 'æ', 'Æ':
		return "AE", true
	case 'œ', 'Œ':
		return "OE", true
	case 'ø', 'Ø':
		return "O", true
	case 'ł', 'Ł':
		return "L", true
	case 'đ', 'Đ', 'ð', 'Ð':
		return "D", true
	case 'þ', 'Þ':
		return "TH", true
	case 'ı':
		return "I", true
	case 'ħ', 'Ħ':
		return "H", true
	case 'ŧ', 'Ŧ':
		return "T", true
	case 'ς':
		return "Σ", true
	case '‘', '’', 'ʼ', '´':
		return "'", true
	case '‐', '‑', '–':
		return "-", true
	}
	return "", false
}
