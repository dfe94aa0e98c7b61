package dataset

import (
	"strings"
	"unicode/utf8"
)

// maxKey is the length of a matching key in characters above which it matches
// nothing. No attribute that is matched by wildcard is as long.
const maxKey = 1024

// IsUniversal reports whether a key matches everything: it is empty or consists
// of spaces, NULs and "*" (PS3.4 C.2.2.2.3).
func IsUniversal(key string) bool { return strings.Trim(key, " \x00*") == "" }

// HasWildcard reports whether key contains "*" or "?".
func HasWildcard(key string) bool { return strings.ContainsAny(key, "*?") }

// Wildcards reports whether "*" and "?" have a meaning in keys of this VR (PS3.4
// C.2.2.2.4).
func Wildcards(v VR) bool {
	switch v {
	case AE, CS, LO, LT, PN, SH, ST, UC, UR, UT:
		return true
	}
	return false
}

// MatchWildcard reports whether value matches key, in which "*" stands for any
// characters and "?" for one. Spaces and NULs around both are ignored. It takes
// at most len(key) times len(value) steps and does not recurse; a key of more
// than 1,024 characters matches nothing. caseInsensitive compares both as
// [Fold] does, without regard to accents either.
func MatchWildcard(key, value string, caseInsensitive bool) bool {
	key, value = strings.Trim(key, " \x00"), strings.Trim(value, " \x00")
	if tooLong(key) {
		return false
	}
	if caseInsensitive {
		key, value = Fold(key), Fold(value)
	}
	return wildcard(key, value)
}

func tooLong(key string) bool {
	return len(key) > maxKey && utf8.RuneCountInString(key) > maxKey
}

// wildcard is the usual matcher with one point to go back to: the last "*".
func wildcard(key, value string) bool {
	k, v := 0, 0
	star, mark := -1, 0
	for v < len(value) {
		if k < len(key) {
			switch c := key[k]; c {
			case '*':
				for k < len(key) && key[k] == '*' { // runs are one
					k++
				}
				if k == len(key) {
					return true
				}
				star, mark = k, v
				continue
			case '?':
				k, v = k+1, v+width(value[v:])
				continue
			default:
				if c == value[v] {
					k, v = k+1, v+1
					continue
				}
			}
		}
		if star < 0 {
			return false
		}
		mark += width(value[mark:])
		k, v = star, mark
	}
	for k < len(key) && key[k] == '*' {
		k++
	}
	return k == len(key)
}

// width returns the length of the first character of s in bytes.
func width(s string) int {
	if s[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRuneInString(s)
	return n
}

// MatchPN reports whether the person name value matches key, without regard to
// case and accents. "^" at the end of either is ignored. A key of one component
// group is compared with every group of the value, and one without "^" with the
// whole group and with each of its components, because staff type the animal's
// name alone. A universal key matches everything.
func MatchPN(key, value string) bool {
	if tooLong(key) {
		return false
	}
	return NewPNKey(key).Match(value)
}

// PNKey is a person-name key prepared for many comparisons.
type PNKey struct {
	groups    []string // folded, trimmed; nil is universal
	never     bool
	component bool // one group without "^": compared with components too
}

// NewPNKey prepares key.
func NewPNKey(key string) PNKey {
	if tooLong(key) {
		return PNKey{never: true}
	}
	if strings.Trim(key, " \x00*^=") == "" {
		return PNKey{}
	}
	groups := strings.Split(Fold(strings.TrimRight(strings.Trim(key, " \x00"), "=")), "=")
	for i := range groups {
		groups[i] = trimGroup(groups[i])
	}
	return PNKey{groups: groups, component: len(groups) == 1 && !strings.Contains(groups[0], "^")}
}

// Universal reports whether the key matches every name.
func (k PNKey) Universal() bool { return !k.never && k.groups == nil }

// Match is [MatchPN].
func (k PNKey) Match(value string) bool { return k.MatchFolded(Fold(value)) }

// MatchFolded is Match for a value that has gone through [Fold].
func (k PNKey) MatchFolded(value string) bool {
	if k.never {
		return false
	}
	if k.groups == nil {
		return true
	}
	if len(k.groups) > 1 { // group by group
		for _, g := range k.groups {
			var have string
			have, value, _ = strings.Cut(value, "=")
			if !IsUniversal(g) && !wildcard(g, trimGroup(have)) {
				return false
			}
		}
		return true
	}
	key := k.groups[0]
	for more := true; more; {
		var group string
		group, value, more = strings.Cut(value, "=")
		group = trimGroup(group)
		if wildcard(key, group) {
			return true
		}
		for next := k.component; next; {
			var component string
			component, group, next = strings.Cut(group, "^")
			if wildcard(key, strings.Trim(component, " \x00")) {
				return true
			}
		}
	}
	return false
}

// trimGroup removes padding and the delimiters behind the last component.
func trimGroup(g string) string {
	return strings.TrimLeft(strings.TrimRight(g, " \x00^"), " \x00")
}
