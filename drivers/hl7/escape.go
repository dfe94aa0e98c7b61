package hl7

import (
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"
)

// unescape decodes the escape sequences of one leaf, once: \F\ \S\ \T\ \R\ \E\
// stand for the delimiters, \.br\ for a line feed, \Xhh…\ for characters in
// hexadecimal. Any other sequence, and an escape character that opens none,
// stays as it is (HL7 v2.5.1 chapter 2.7).
func unescape(s string, d Delimiters, cs charset) string {
	i := strings.IndexByte(s, d.Escape)
	if i < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i >= 0 {
		b.WriteString(s[:i])
		s = s[i:]
		end := strings.IndexByte(s[1:], d.Escape)
		if end < 0 {
			break
		}
		if text, ok := sequence(s[1:1+end], d, cs); ok {
			b.WriteString(text)
			s = s[end+2:]
		} else {
			// The second escape character may open the next sequence.
			b.WriteString(s[:1+end])
			s = s[1+end:]
		}
		i = strings.IndexByte(s, d.Escape)
	}
	b.WriteString(s)
	return b.String()
}

// sequence returns what the text between two escape characters stands for.
func sequence(s string, d Delimiters, cs charset) (string, bool) {
	switch s {
	case "F":
		return string(rune(d.Field)), true
	case "S":
		return string(rune(d.Component)), true
	case "T":
		return string(rune(d.Subcomponent)), true
	case "R":
		return string(rune(d.Repetition)), true
	case "E":
		return string(rune(d.Escape)), true
	}
	if strings.EqualFold(s, ".br") {
		return "\n", true
	}
	if len(s) >= 3 && (s[0] == 'X' || s[0] == 'x') {
		return hexadecimal(s[1:], cs)
	}
	return "", false
}

// hexadecimal decodes the digits of \Xhh…\. Pairs are bytes in the character set
// of the message. Some senders write one character in three or four digits,
// \X00D\ and \X000d\ (HL7-dotnetcore issue 53): leading zero bytes fall away.
func hexadecimal(digits string, cs charset) (string, bool) {
	if len(digits)%2 != 0 {
		if len(digits) > 8 {
			return "", false
		}
		n, err := strconv.ParseUint(digits, 16, 32)
		if err != nil || n > utf8.MaxRune || n >= 0xD800 && n < 0xE000 {
			return "", false
		}
		return string(rune(n)), true
	}
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return "", false
	}
	for len(raw) > 1 && raw[0] == 0 {
		raw = raw[1:]
	}
	return cs.decodeLeaf(raw), true
}

// appendEscaped appends the text of one leaf to b so that it can be read back:
// delimiters and control characters never go out raw. A text of exactly two
// double quotes is written so that nobody takes it for the HL7 null.
func appendEscaped(b []byte, s string, d Delimiters) []byte {
	if s == `""` {
		return append(append(append(b, d.Escape), "X2222"...), d.Escape)
	}
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		var code string
		switch {
		case c == d.Field:
			code = "F"
		case c == d.Component:
			code = "S"
		case c == d.Subcomponent:
			code = "T"
		case c == d.Repetition:
			code = "R"
		case c == d.Escape:
			code = "E"
		case c == '\n':
			code = ".br"
		case c < ' ' || c == 0x7F:
			code = string([]byte{'X', upperHex[c>>4], upperHex[c&15]})
		default:
			continue
		}
		b = append(b, s[start:i]...)
		b = append(append(append(b, d.Escape), code...), d.Escape)
		start = i + 1
	}
	return append(b, s[start:]...)
}

const upperHex = "0123456789ABCDEF"
