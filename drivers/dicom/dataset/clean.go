package dataset

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean returns s without what a single value of this VR may not contain.
// Control characters become one space; in LT, ST and UT tabs and line ends stay,
// as CR LF. A backslash, which separates values, becomes a slash except in LT,
// ST and UT. Spaces around the text are removed. It does not shorten s and does
// not change its characters otherwise.
//
// In PN "^" and "=" are kept as delimiters: [PersonName.String] cleans
// components.
func Clean(s string, vr VR) string {
	if !needsCleaning(s) {
		return strings.Trim(s, " ")
	}
	lines := vr == LT || vr == ST || vr == UT
	var b strings.Builder
	b.Grow(len(s))
	space := false // a control character is waiting to become a space
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		bad := r == utf8.RuneError && n <= 1
		switch {
		case lines && (r == '\r' || r == '\n'):
			b.WriteString("\r\n")
			if r == '\r' && strings.HasPrefix(s[i+1:], "\n") {
				n = 2
			}
			space = false
		case lines && r == '\t':
			b.WriteByte('\t')
		case hidden(r):
		case bad, r == utf8.RuneError, unicode.IsControl(r), r == '\u2028', r == '\u2029':
			space = true
		default:
			if space {
				space = false
				if b.Len() > 0 && r != ' ' {
					b.WriteByte(' ')
				}
			}
			if r == '\\' && !lines {
				r = '/'
			}
			b.WriteRune(r)
		}
		i += n
	}
	if lines {
		return strings.TrimRight(strings.TrimLeft(b.String(), " "), " \r\n\t")
	}
	return strings.Trim(b.String(), " ")
}

func needsCleaning(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7F || c == '\\' {
			return true
		}
	}
	return false
}

// hidden reports whether r only changes how its neighbours are shown: directions
// and zero widths, which a console cannot show and which can disguise a name.
func hidden(r rune) bool {
	switch {
	case r == '\u200b', r == '\u200e', r == '\u200f', r == '\u2060', r == '\ufeff', r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
		return true
	}
	return false
}

// cleanComponent cleans one component of a person name.
func cleanComponent(s string) string {
	s = Clean(s, PN)
	if strings.ContainsAny(s, "^=") {
		s = strings.Trim(strings.Map(func(r rune) rune {
			if r == '^' || r == '=' {
				return ' '
			}
			return r
		}, s), " ")
	}
	return s
}

// cut returns the first n characters of s, without spaces at the end.
func cut(s string, n int) (string, bool) {
	if n == 0 || len(s) <= n {
		return s, false
	}
	i := 0
	for at := range s {
		if i == n {
			return strings.TrimRight(s[:at], " "), true
		}
		i++
	}
	return s, false
}
