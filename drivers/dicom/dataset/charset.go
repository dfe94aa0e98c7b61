package dataset

import "strings"

// Charset is a value of Specific Character Set (0008,0005): one character set,
// or several that are switched by ISO 2022 escapes. It is comparable and costs
// nothing to copy. The zero value is [DefaultCharset].
//
// The low seven bytes hold the codes of up to seven values, the first in the
// lowest byte; the highest byte holds the code of the fallback.
type Charset uint64

// Character sets with names of their own. All others come from [ParseCharset].
const (
	// DefaultCharset is the default repertoire, ASCII: no (0008,0005), or ISO_IR 6.
	// Bytes above 7F are read as UTF-8 when they are that, else by the fallback.
	DefaultCharset Charset = 0
	// Latin1 is ISO_IR 100, ISO 8859-1.
	Latin1 = Charset(code100)
	// UTF8 is ISO_IR 192.
	UTF8 = Charset(code192)
)

// code identifies one character set within a Charset.
type code uint8

const (
	codeNone    code = iota
	code6            // ASCII
	code100          // ISO 8859-1
	code101          // ISO 8859-2
	code109          // ISO 8859-3
	code110          // ISO 8859-4
	code144          // ISO 8859-5, Cyrillic
	code127          // ISO 8859-6, Arabic
	code126          // ISO 8859-7, Greek
	code138          // ISO 8859-8, Hebrew
	code148          // ISO 8859-9
	code203          // ISO 8859-15
	code13           // JIS X 0201
	code166          // TIS 620, Thai
	code192          // UTF-8
	code18030        // GB18030
	codeGBK          // GBK
	code87           // JIS X 0208, only with escapes
	code159          // JIS X 0212, only with escapes
	code149          // KS X 1001, only with escapes
	code58           // GB 2312, only with escapes
	codeUnknown      // a term we do not know
	codeCount
)

// maxCharsets is how many values of (0008,0005) a Charset can hold.
const maxCharsets = 7

// term is the part of the defined term that counts: "100", "GB18030".
func (c code) term() string {
	switch c {
	case code6:
		return "6"
	case code100:
		return "100"
	case code101:
		return "101"
	case code109:
		return "109"
	case code110:
		return "110"
	case code144:
		return "144"
	case code127:
		return "127"
	case code126:
		return "126"
	case code138:
		return "138"
	case code148:
		return "148"
	case code203:
		return "203"
	case code13:
		return "13"
	case code166:
		return "166"
	case code192:
		return "192"
	case code18030:
		return "GB18030"
	case codeGBK:
		return "GBK"
	case code87:
		return "87"
	case code159:
		return "159"
	case code149:
		return "149"
	case code58:
		return "58"
	}
	return ""
}

// alone reports whether c may not be combined with others (PS3.3 C.12.1.1.2).
func (c code) alone() bool { return c == code192 || c == code18030 || c == codeGBK }

// escapedOnly reports whether c exists only as "ISO 2022 IR ...".
func (c code) escapedOnly() bool { return c >= code87 && c <= code58 }

func (c Charset) at(i int) code { return code(c >> (8 * i)) }

func (c Charset) fallback() code { return code(c >> 56) }

// first returns the set in which text starts.
func (c Charset) first() code {
	if k := c.at(0); k != codeNone {
		return k
	}
	return code6
}

// multiple reports whether there is more than one value.
func (c Charset) multiple() bool { return c.at(1) != codeNone }

// WithFallback returns c with the set that reads bytes which c cannot be: text
// above 7F in the default repertoire or under an unknown term, and broken UTF-8.
// Only the first set of the fallback counts. Without fallback such bytes are
// read as windows-1252.
func (c Charset) WithFallback(fallback Charset) Charset {
	k := fallback.first()
	if k == code6 || k == codeUnknown {
		k = codeNone
	}
	return c&(1<<56-1) | Charset(k)<<56
}

// DefinedTerm returns the value of (0008,0005) that describes what
// [Charset.Encode] writes. ISO_IR 6 is no defined term for a single value, and
// some machines decode nothing without (0008,0005); the default repertoire is
// therefore sent as ISO_IR 100, of which it is a part.
func (c Charset) DefinedTerm() string {
	if !c.multiple() {
		switch k := c.first(); {
		case k == code6, k == codeUnknown:
			return "ISO_IR 100"
		case k.alone() && k != code192:
			return k.term()
		case k.escapedOnly():
			return "ISO 2022 IR 6\\ISO 2022 IR " + k.term()
		default:
			return "ISO_IR " + k.term()
		}
	}
	var b strings.Builder
	for i := range maxCharsets {
		k := c.at(i)
		if k == codeNone {
			break
		}
		if i > 0 {
			b.WriteByte('\\')
		}
		b.WriteString("ISO 2022 IR ")
		b.WriteString(k.term())
	}
	return b.String()
}

// String returns the defined term.
func (c Charset) String() string { return c.DefinedTerm() }

// ParseCharset reads the values of (0008,0005) or the character set of a
// setting. Besides the defined terms it takes their usual misspellings:
// "ISO-IR 100", "ISO IR 192", "ISO_IR100", "UTF-8", "latin1", lower case. note
// is a fixed English phrase about what was unusual, "" when nothing was.
//
// No value, or only empty ones, gives [DefaultCharset].
func ParseCharset(values []string) (cs Charset, note string) {
	n := 0
	for i, v := range values {
		k, spelled := parseTerm(v)
		if k == codeNone && i == 0 && len(values) > 1 {
			k = code6 // an empty first value is the default repertoire
		}
		switch {
		case k == codeNone:
			continue
		case k == codeUnknown:
			note = "unknown character set"
			if len(values) > 1 { // the others remain, beside ASCII
				if i > 0 {
					continue
				}
				k = code6
			}
		case spelled && note == "":
			note = "unusual spelling of the character set"
		}
		if n == maxCharsets {
			return cs, "too many character sets"
		}
		cs |= Charset(k) << (8 * n)
		n++
	}
	if n > 1 {
		for i := range n {
			if cs.at(i).alone() { // never combined; the first one that stands alone wins
				return Charset(cs.at(i)), "character set that cannot be combined with others"
			}
		}
	}
	if n == 1 && cs.first().escapedOnly() { // "ISO 2022 IR 87" alone: ASCII first
		cs = Charset(code6) | cs<<8
	}
	if cs == Charset(code6) {
		cs = DefaultCharset
	}
	return cs, note
}

// parseTerm reads one value. spelled reports that it was not the defined term.
func parseTerm(v string) (k code, spelled bool) {
	v = strings.Trim(v, " \x00")
	if v == "" {
		return codeNone, false
	}
	if len(v) > 32 {
		return codeUnknown, true
	}
	for k := code6; k < codeUnknown; k++ {
		term := k.term()
		switch v {
		case "ISO_IR " + term:
			return k, k == code18030 || k == codeGBK || k.escapedOnly()
		case "ISO 2022 IR " + term:
			return k, k.alone()
		case term:
			return k, k != code18030 && k != codeGBK
		}
	}
	s := strings.ToUpper(v)
	s = strings.NewReplacer(" ", "", "_", "", "-", "").Replace(s)
	s = strings.TrimPrefix(strings.TrimPrefix(s, "ISO2022"), "ISO")
	s = strings.TrimPrefix(s, "IR")
	for k := code6; k < codeUnknown; k++ {
		if s == k.term() {
			return k, true
		}
	}
	switch s {
	case "UTF8", "UNICODE", "10646":
		return code192, true
	case "LATIN1", "88591", "WINDOWS1252", "CP1252":
		return code100, true
	case "LATIN2", "88592":
		return code101, true
	case "88593":
		return code109, true
	case "88594":
		return code110, true
	case "88595":
		return code144, true
	case "88596":
		return code127, true
	case "88597":
		return code126, true
	case "88598":
		return code138, true
	case "88599", "LATIN5":
		return code148, true
	case "885915", "LATIN9":
		return code203, true
	case "ASCII", "USASCII", "646":
		return code6, true
	}
	return codeUnknown, true
}

// Choose returns the character set for a setting: the one that term names, or
// for "auto" and "" ISO_IR 100 when it can hold all texts, else ISO_IR 192.
func Choose(term string, texts ...string) Charset {
	if term = strings.TrimSpace(term); term != "" && !strings.EqualFold(term, "auto") {
		cs, _ := ParseCharset(strings.Split(term, `\`))
		return cs
	}
	for _, s := range texts {
		if !Latin1.Fits(s) {
			return UTF8
		}
	}
	return Latin1
}
