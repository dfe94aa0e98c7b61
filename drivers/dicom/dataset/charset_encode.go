package dataset

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Encode converts text for a value of the given VR. A character that the set
// does not have is transliterated (ä to ae, ł to l), one that cannot be is
// dropped; replaced lists both, in the order of the text. VRs to which
// (0008,0005) does not apply are written in ASCII. Neither length nor padding
// is looked at: [Builder] does that.
func (c Charset) Encode(s string, vr VR) (b []byte, replaced []rune) {
	if !vr.isText() {
		c = DefaultCharset
	}
	s, replaced = c.convert(s)
	return c.appendEncoded(nil, s, vr), replaced
}

// Fits reports whether the set holds every character of s.
func (c Charset) Fits(s string) bool {
	if plain(s) {
		return true
	}
	for _, r := range norm.NFC.String(s) {
		if !c.has(r) {
			return false
		}
	}
	return true
}

// convert returns s with nothing in it that the set does not have.
func (c Charset) convert(s string) (out string, replaced []rune) {
	if plain(s) {
		return s, nil
	}
	s = norm.NFC.String(s)
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		if c.has(r) {
			b.WriteRune(r)
			continue
		}
		replaced = append(replaced, r)
		for _, t := range transliterate(r) {
			if c.has(t) {
				b.WriteRune(t)
			}
		}
	}
	return b.String(), replaced
}

// plain reports whether s is ASCII without escapes, which every set holds.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf || s[i] == esc {
			return false
		}
	}
	return true
}

// has reports whether r can be written in one of the sets of c and reads back
// as r.
func (c Charset) has(r rune) bool {
	if r == esc || r == utf8.RuneError {
		return false
	}
	if r < utf8.RuneSelf {
		return true
	}
	for i := range maxCharsets {
		k := c.at(i)
		if k == codeNone {
			return false
		}
		if k.has(r) {
			return true
		}
	}
	return false
}

// has reports whether the set holds r, which is not ASCII.
func (k code) has(r rune) bool {
	_, ok := k.encodeRune(nil, r)
	return ok
}

// encodeRune appends r, which is not ASCII, in the set k.
func (k code) encodeRune(b []byte, r rune) ([]byte, bool) {
	switch {
	case k == code192:
		return utf8.AppendRune(b, r), utf8.ValidRune(r)
	case k == code13:
		if r < 0xFF61 || r > 0xFF9F {
			return b, false
		}
		return append(b, byte(r-0xFF61)+0xA1), true
	case k.table() != nil:
		x, ok := k.table().EncodeRune(r)
		if !ok || x < utf8.RuneSelf || k == code166 && x < 0xA1 {
			return b, false
		}
		return append(b, x), true
	case k.wide() != nil:
		x, err := k.wide().NewEncoder().Bytes(utf8.AppendRune(nil, r))
		if err != nil || !k.owns(x) {
			return b, false
		}
		return append(b, x...), decodeWide(k, x) == string(r)
	}
	return b, false
}

// owns reports whether the bytes that the encoder of x/text wrote are in the
// part of its repertoire that is k.
func (k code) owns(x []byte) bool {
	switch k {
	case code87:
		return len(x) == 2 && x[0] >= 0xA1 && x[1] >= 0xA1
	case code159:
		return len(x) == 3 && x[0] == 0x8F
	case code149, code58: // 94 x 94 characters: both bytes in A1..FE
		return len(x) == 2 && x[0] >= 0xA1 && x[1] >= 0xA1
	}
	return len(x) > 0
}

// appendEncoded appends s, all of whose characters the set has.
func (c Charset) appendEncoded(b []byte, s string, vr VR) []byte {
	if plain(s) || c.first() == code192 {
		return append(b, s...)
	}
	if k := c.first(); k.alone() || !c.multiple() {
		for _, r := range s {
			if r < utf8.RuneSelf {
				b = append(b, byte(r))
			} else {
				b, _ = k.encodeRune(b, r)
			}
		}
		return b
	}
	return c.appendISO2022(b, s, vr)
}
