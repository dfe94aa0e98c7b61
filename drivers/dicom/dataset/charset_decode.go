package dataset

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/unicode/norm"
)

// table returns the single-byte set of c, nil when it has none.
func (c code) table() *charmap.Charmap {
	switch c {
	case code100:
		return charmap.ISO8859_1
	case code101:
		return charmap.ISO8859_2
	case code109:
		return charmap.ISO8859_3
	case code110:
		return charmap.ISO8859_4
	case code144:
		return charmap.ISO8859_5
	case code127:
		return charmap.ISO8859_6
	case code126:
		return charmap.ISO8859_7
	case code138:
		return charmap.ISO8859_8
	case code148:
		return charmap.ISO8859_9
	case code203:
		return charmap.ISO8859_15
	case code166:
		return charmap.Windows874
	}
	return nil
}

// wide returns the encoding of a set of several bytes in the form that uses
// bytes above 7F, nil when c has none.
func (c code) wide() encoding.Encoding {
	switch c {
	case code18030:
		return simplifiedchinese.GB18030
	case codeGBK, code58:
		return simplifiedchinese.GBK
	case code87, code159:
		return japanese.EUCJP
	case code149:
		return korean.EUCKR
	}
	return nil
}

// Decode returns the text of a value of the given VR in Unicode, NFC. Bytes that
// the set does not have become U+FFFD. VRs to which (0008,0005) does not apply
// are read as ASCII. Padding is not removed.
func (c Charset) Decode(b []byte, vr VR) string {
	if !vr.isText() {
		return decodeASCII(b)
	}
	if isASCII(b) { // the usual case, in every set
		return string(b)
	}
	return norm.NFC.String(c.decode(b, vr))
}

func (c Charset) decode(b []byte, vr VR) string {
	switch k := c.first(); k {
	case code192:
		if utf8.Valid(b) {
			return string(b)
		}
		return c.decodeFallback(b, vr)
	case code18030, codeGBK:
		return decodeWide(k, b)
	case codeUnknown:
		if utf8.Valid(b) {
			return string(b)
		}
		return c.decodeFallback(b, vr)
	case code6:
		if !c.multiple() && !hasEscape(b) {
			if utf8.Valid(b) {
				return string(b)
			}
			return c.decodeFallback(b, vr)
		}
	}
	return c.decodeISO2022(b, vr)
}

// decodeFallback reads bytes that are not what was declared.
func (c Charset) decodeFallback(b []byte, vr VR) string {
	switch k := c.fallback(); k {
	case codeNone, code192, code6, codeUnknown:
		return decodeTable(charmap.Windows1252, b)
	default:
		return Charset(k).decode(b, vr)
	}
}

// Readings returns the texts that b can reasonably be, best first, for matching
// what a console typed against what we hold: as declared, as UTF-8 although
// something else is declared, and by the fallback. There is always at least one,
// and none twice.
func (c Charset) Readings(b []byte, vr VR) []string {
	out := []string{c.Decode(b, vr)}
	if !vr.isText() || isASCII(b) {
		return out
	}
	add := func(s string) {
		for _, have := range out {
			if have == s {
				return
			}
		}
		out = append(out, s)
	}
	if c.first() != code192 && utf8.Valid(b) {
		add(norm.NFC.String(string(b)))
	}
	if k := c.fallback(); k != codeNone {
		add(Charset(k).Decode(b, vr))
	}
	return out
}

// decodeASCII reads the default repertoire.
func decodeASCII(b []byte) string {
	if isASCIIOrEscape(b) {
		return string(b)
	}
	var s strings.Builder
	s.Grow(len(b) + 16)
	for _, x := range b {
		if x < utf8.RuneSelf {
			s.WriteByte(x)
		} else {
			s.WriteRune(utf8.RuneError)
		}
	}
	return s.String()
}

func decodeTable(m *charmap.Charmap, b []byte) string {
	var s strings.Builder
	s.Grow(len(b) + len(b)/2)
	for _, x := range b {
		s.WriteRune(m.DecodeByte(x))
	}
	return s.String()
}

// decodeWide converts as much as can be; the decoders of x/text replace what is
// broken and do not fail.
func decodeWide(k code, b []byte) string {
	out, err := k.wide().NewDecoder().Bytes(b)
	if err != nil {
		return strings.Repeat(string(utf8.RuneError), len(b))
	}
	return string(out)
}

// isASCII reports whether b reads the same in every set: no byte above 7F and no
// escape.
func isASCII(b []byte) bool {
	for _, x := range b {
		if x >= utf8.RuneSelf || x == esc {
			return false
		}
	}
	return true
}

func isASCIIOrEscape(b []byte) bool {
	for _, x := range b {
		if x >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func hasEscape(b []byte) bool {
	for _, x := range b {
		if x == esc {
			return true
		}
	}
	return false
}
