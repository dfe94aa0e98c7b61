package dataset

import (
	"crypto/rand"
	"math/big"
)

// NewUID makes a unique identifier: "2.25." and 128 random bits as a decimal
// number (PS3.5 B.2). It has at most 44 characters.
func NewUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return "2.25." + new(big.Int).SetBytes(b[:]).String()
}

// ValidUID reports whether s is a UID (PS3.5 9.1): at most 64 characters,
// numbers separated by dots, none with a leading zero, at least two of them.
func ValidUID(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	parts, digits := 1, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			if digits == 0 {
				return false
			}
			parts, digits = parts+1, 0
		case c < '0' || c > '9':
			return false
		case digits == 1 && s[i-1] == '0':
			return false
		default:
			digits++
		}
	}
	return digits > 0 && parts >= 2
}
