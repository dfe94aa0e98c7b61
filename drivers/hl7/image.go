package hl7

import (
	"strings"
	"unicode/utf8"
)

// The library that splits fields counts characters and cuts bytes, skips
// whatever follows an escape character, ends at NUL and takes line ends for
// text. It is right for printable ASCII without escape characters. So it is
// given an image of each segment that is nothing else:
//
//   - the four separators of the message stay, the text between two of them is
//     a leaf;
//   - in a leaf, every character that is not printable ASCII, the escape
//     character and the two introducers become a token of the introducer z and
//     six hexadecimal digits, the number of the character;
//   - a leaf longer than longLeaf becomes one token of the introducer q and
//     eight digits, its number in the list of long leaves: a PDF of 20 MB costs
//     the library nine bytes.
//
// The introducers are lower-case letters and occur in an image only as such, so
// that reading it back needs no guess.
const (
	introducer     = 'z'
	longIntroducer = 'q'
	tokenLen       = 1 + 6
	longTokenLen   = 1 + 8
	longLeaf       = 48
)

const lowerHex = "0123456789abcdef"

// appendNumber appends digits hexadecimal digits of n.
func appendNumber(b []byte, n uint32, digits int) []byte {
	for i := digits - 1; i >= 0; i-- {
		b = append(b, lowerHex[n>>(4*i)&15])
	}
	return b
}

// number reads hexadecimal digits; ok is false when one is none.
func number(b []byte) (n uint32, ok bool) {
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | uint32(c-'0')
		case c >= 'a' && c <= 'f':
			n = n<<4 | uint32(c-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}

// leafTable says of each byte whether an image may hold it as it is (plain) or
// whether it ends a leaf (separator).
type leafTable [256]uint8

const (
	tokenByte uint8 = iota
	plainByte
	separatorByte
)

func newLeafTable(d Delimiters) *leafTable {
	var t leafTable
	for c := byte(' '); c < 0x7F; c++ {
		t[c] = plainByte
	}
	t[introducer], t[longIntroducer], t[d.Escape] = tokenByte, tokenByte, tokenByte
	for _, c := range []byte{d.Field, d.Component, d.Repetition, d.Subcomponent} {
		t[c] = separatorByte
	}
	return &t
}

// appendImage appends the image of text to b and the long leaves to long.
func appendImage(b []byte, long []string, text string, t *leafTable) ([]byte, []string) {
	for len(text) > 0 {
		end, plain := 0, true
		for end < len(text) {
			k := t[text[end]]
			if k == separatorByte {
				break
			}
			plain = plain && k == plainByte
			end++
		}
		leaf := text[:end]
		switch {
		case end > longLeaf:
			b = appendNumber(append(b, longIntroducer), uint32(len(long)), longTokenLen-1) //nolint:gosec // fewer than the bytes of a frame
			long = append(long, leaf)
		case plain:
			b = append(b, leaf...)
		default:
			b = appendTokens(b, leaf, t)
		}
		if end == len(text) {
			break
		}
		b = append(b, text[end])
		text = text[end+1:]
	}
	return b, long
}

// appendTokens appends the image of a short leaf. leaf is valid UTF-8.
func appendTokens(b []byte, leaf string, t *leafTable) []byte {
	for _, r := range leaf {
		if r < utf8.RuneSelf && t[r] == plainByte {
			b = append(b, byte(r))
			continue
		}
		b = appendNumber(append(b, introducer), uint32(r), tokenLen-1) //nolint:gosec // a rune is never negative
	}
	return b
}

// leafText turns the image of a leaf back into its text.
func leafText(image []byte, long []string) string {
	if len(image) == longTokenLen && image[0] == longIntroducer {
		if n, ok := number(image[1:]); ok && int(n) < len(long) {
			return long[n]
		}
	}
	tokens := false
	for _, c := range image {
		if c == introducer {
			tokens = true
			break
		}
	}
	if !tokens {
		return string(image)
	}
	var s strings.Builder
	s.Grow(len(image))
	for i := 0; i < len(image); i++ {
		if image[i] == introducer && i+tokenLen <= len(image) {
			if n, ok := number(image[i+1 : i+tokenLen]); ok {
				s.WriteRune(rune(n)) //nolint:gosec // six digits
				i += tokenLen - 1
				continue
			}
		}
		s.WriteByte(image[i])
	}
	return s.String()
}
