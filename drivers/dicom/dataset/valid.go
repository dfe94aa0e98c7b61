package dataset

import (
	"strconv"
	"strings"
	"time"
)

// unfit returns the reason why s is no value of a VR in the default repertoire,
// "" when it is one. Matching keys are values too.
func unfit(s string, vr VR) string {
	n := MaxLen(vr)
	switch vr {
	case DA, TM, DT: // ranges are longer
		n = 2*n + 2
	}
	if n > 0 && len(s) > n {
		return ReasonTooLong
	}
	if !valid(s, vr) {
		return ReasonInvalid
	}
	return ""
}

// valid reports whether the characters and the form of s are those of vr (PS3.5
// Table 6.2-1).
func valid(s string, vr VR) bool {
	switch vr {
	case AE:
		return printable(s) && !strings.Contains(s, `\`)
	case UR:
		return printable(s) && !strings.Contains(s, " ")
	case AS:
		return len(s) == 4 && only(s[:3], "0123456789") && only(s[3:], "DWMY")
	case CS:
		return validCS(s)
	case DA:
		k, err := ParseDateKey(s)
		return err == nil && !k.Reversed() && only(s, "0123456789-") // the old form is read, not written
	case TM:
		_, err := ParseTimeKey(s)
		return err == nil && only(s, "0123456789.-")
	case DT:
		return validDT(s)
	case DS:
		return validDS(s)
	case IS:
		_, err := strconv.ParseInt(s, 10, 32)
		return err == nil
	case UI:
		return ValidUID(s)
	}
	return printable(s)
}

// validCS allows the wildcards of matching keys too.
func validCS(s string) bool { return only(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _*?") }

// validDT checks a date time or a range of them. A "-" may begin an offset or
// separate the ends, so both readings are tried.
func validDT(s string) bool {
	if s == "-" {
		return true
	}
	one := func(s string) bool {
		_, err := ParseDateTime(s, time.UTC)
		return err == nil
	}
	if one(s) {
		return true
	}
	for i := range len(s) {
		if s[i] == '-' && (i == 0 || one(s[:i])) && (i == len(s)-1 || one(s[i+1:])) {
			return true
		}
	}
	return false
}

// validDS checks a fixed or floating point number: "-12.5E3".
func validDS(s string) bool {
	mantissa, exponent, has := strings.Cut(strings.Replace(s, "e", "E", 1), "E")
	if has && !valid(exponent, IS) {
		return false
	}
	if mantissa != "" && (mantissa[0] == '+' || mantissa[0] == '-') {
		mantissa = mantissa[1:]
	}
	whole, part, _ := strings.Cut(mantissa, ".")
	return whole+part != "" && only(whole+part, "0123456789")
}

// only reports whether all characters of s are in set.
func only(s, set string) bool { return strings.TrimLeft(s, set) == "" }

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
