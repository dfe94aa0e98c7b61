package dataset

import (
	"strings"
	"unicode/utf8"
)

// esc starts an ISO 2022 escape sequence (PS3.5 6.1.2.5.3).
const esc = 0x1B

// escape is one designation of PS3.3 Tables C.12-3 and C.12-4.
type escape struct {
	seq  string // without ESC
	set  code
	high bool // designates G1, the bytes above 7F; else G0
}

// escapes lists the longer sequences first.
var escapes = [...]escape{
	{"$)C", code149, true},
	{"$)A", code58, true},
	{"$(D", code159, false},
	{"$B", code87, false},
	{"$@", code87, false}, // JIS C 6226-1978, predecessor of JIS X 0208
	{"(B", code6, false},
	{"(J", code13, false},
	{")I", code13, true},
	{"-A", code100, true},
	{"-B", code101, true},
	{"-C", code109, true},
	{"-D", code110, true},
	{"-L", code144, true},
	{"-G", code127, true},
	{"-F", code126, true},
	{"-H", code138, true},
	{"-M", code148, true},
	{"-b", code203, true},
	{"-T", code166, true},
}

// designation finds the escape at the start of b, which follows ESC.
func designation(b []byte) (escape, bool) {
	for _, e := range escapes {
		if len(b) >= len(e.seq) && string(b[:len(e.seq)]) == e.seq {
			return e, true
		}
	}
	return escape{}, false
}

// start returns the sets that are active at the beginning of a value and after
// each reset.
func (c Charset) start() (g0, g1 code) {
	switch k := c.first(); {
	case k == code13:
		return code13, code13
	case k.table() != nil:
		return code6, k
	case !c.multiple() && c.fallback() != codeNone:
		return code6, c.fallback()
	default:
		return code6, codeNone
	}
}

// resets reports whether x, in a single-byte set, brings back the initial sets:
// line ends, form feed, tab, the backslash of values and in names ^ and = (PS3.5
// 6.1.2.5.3).
func resets(x byte, vr VR) bool {
	switch x {
	case '\t', '\n', '\f', '\r':
		return true
	case '\\':
		return !vr.singleText()
	case '^', '=':
		return vr == PN
	}
	return false
}

// decodeISO2022 splits b at its escapes and decodes each run with the sets that
// are active in it.
func (c Charset) decodeISO2022(b []byte, vr VR) string {
	var out strings.Builder
	out.Grow(2 * len(b))
	g0, g1 := c.start()
	for i := 0; i < len(b); {
		x := b[i]
		switch {
		case x == esc:
			e, ok := designation(b[i+1:])
			if !ok {
				out.WriteRune(utf8.RuneError)
				i++
				continue
			}
			if e.high {
				g1 = e.set
			} else {
				g0 = e.set
			}
			i += 1 + len(e.seq)
		case x < utf8.RuneSelf && (g0 == code87 || g0 == code159):
			n := runOf(b[i:], func(x byte) bool { return x > 0x20 && x < 0x7F })
			if n == 0 { // a control character ends the line and the set
				if resets(x, vr) {
					g0, g1 = c.start()
				}
				out.WriteByte(x)
				i++
				continue
			}
			out.WriteString(decodeJIS(g0, b[i:i+n]))
			i += n
		case x < utf8.RuneSelf:
			if resets(x, vr) {
				g0, g1 = c.start()
			}
			out.WriteByte(x)
			i++
		default:
			n := runOf(b[i:], func(x byte) bool { return x >= utf8.RuneSelf })
			out.WriteString(decodeHigh(g1, b[i:i+n]))
			i += n
		}
	}
	return out.String()
}

// runOf returns how many bytes at the start of b satisfy in.
func runOf(b []byte, in func(byte) bool) int {
	for i, x := range b {
		if !in(x) {
			return i
		}
	}
	return len(b)
}

// decodeHigh decodes bytes above 7F with the set in G1.
func decodeHigh(g1 code, b []byte) string {
	switch m := g1.table(); {
	case m != nil:
		return decodeTable(m, b)
	case g1 == code13:
		return decodeKatakana(b)
	case g1.wide() != nil:
		return decodeWide(g1, b)
	default:
		return strings.Repeat(string(utf8.RuneError), len(b))
	}
}

// decodeKatakana decodes the upper half of JIS X 0201.
func decodeKatakana(b []byte) string {
	var s strings.Builder
	for _, x := range b {
		if x >= 0xA1 && x <= 0xDF {
			s.WriteRune(0xFF61 + rune(x-0xA1))
		} else {
			s.WriteRune(utf8.RuneError)
		}
	}
	return s.String()
}

// decodeJIS decodes pairs of 7-bit bytes of JIS X 0208 or 0212 by way of EUC-JP,
// which is the same with the high bits set.
func decodeJIS(g0 code, b []byte) string {
	euc := make([]byte, 0, len(b)+len(b)/2)
	for ; len(b) >= 2; b = b[2:] {
		if g0 == code159 {
			euc = append(euc, 0x8F)
		}
		euc = append(euc, b[0]|0x80, b[1]|0x80)
	}
	s := decodeWide(g0, euc)
	if len(b) == 1 {
		s += string(utf8.RuneError)
	}
	return s
}

// sequence returns the escape that designates k, "" when it has none.
func (k code) sequence() (seq string, high bool) {
	for _, e := range escapes {
		if e.set == k && (k != code13 || e.high) {
			return e.seq, e.high
		}
	}
	return "", false
}

// appendISO2022 appends s and switches sets where needed. At each reset, and at
// the end, the initial sets are restored (PS3.5 6.1.2.5.3).
func (c Charset) appendISO2022(b []byte, s string, vr VR) []byte {
	start0, start1 := c.start()
	g0, g1 := start0, start1
	restore := func() {
		if g0 != start0 {
			b = append(b, esc, '(')
			if start0 == code13 {
				b = append(b, 'J')
			} else {
				b = append(b, 'B')
			}
			g0 = start0
		}
	}
	for _, r := range s {
		if r < utf8.RuneSelf {
			restore()
			if resets(byte(r), vr) {
				g1 = start1
			}
			b = append(b, byte(r))
			continue
		}
		k := c.holder(r, g0, g1)
		x, ok := k.encodeRune(nil, r)
		if !ok {
			continue
		}
		seq, high := k.sequence()
		if high {
			if k != g1 {
				b = append(append(b, esc), seq...)
				g1 = k
			}
		} else {
			if k != g0 {
				b = append(append(b, esc), seq...)
				g0 = k
			}
			x = x[len(x)-2:]
			x[0], x[1] = x[0]&0x7F, x[1]&0x7F
		}
		b = append(b, x...)
	}
	restore()
	return b
}

// holder returns the set that shall write r: one that is active if possible.
func (c Charset) holder(r rune, g0, g1 code) code {
	for _, k := range [2]code{g1, g0} {
		if k != codeNone && k.has(r) {
			return k
		}
	}
	for i := range maxCharsets {
		if k := c.at(i); k != codeNone && k.has(r) {
			return k
		}
	}
	return codeNone
}
