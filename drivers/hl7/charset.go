package hl7

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
)

// charset is one row of the table of character sets.
type charset struct {
	// name is the value of MSH-18, HL7 table 0211; "" when the table has none.
	name string
	// enc is nil for ASCII and UTF-8.
	enc  encoding.Encoding
	utf8 bool
}

// Character sets by name. The names are compared without blanks, hyphens and
// case, so that "8859/1", "ISO-8859-1" and "ISO IR100" are one.
var (
	charsetASCII  = charset{name: "ASCII"}
	charsetUTF8   = charset{name: "UNICODE UTF-8", utf8: true}
	charsetCP1252 = charset{enc: charmap.Windows1252}
	charsetLatin1 = charset{name: "8859/1", enc: charmap.ISO8859_1}
	charsetUTF16  = charset{name: "UNICODE UTF-16", enc: unicode.UTF16(unicode.BigEndian, unicode.UseBOM)}
)

// charsets is the table. The pairs of MSH-18 and DICOM (0008,0005) are those of
// the dcm4chee HL7 conformance document; the others are everyday spellings.
var charsets = map[string]charset{
	"ASCII": charsetASCII, "USASCII": charsetASCII, "ISOIR6": charsetASCII,
	"UNICODEUTF8": charsetUTF8, "UTF8": charsetUTF8, "UNICODE": charsetUTF8, "ISOIR192": charsetUTF8,
	"UNICODEUTF16": charsetUTF16, "UTF16": charsetUTF16,
	"WINDOWS1252": charsetCP1252, "CP1252": charsetCP1252, "ANSI": charsetCP1252,
	"WINDOWS1250": {enc: charmap.Windows1250}, "CP1250": {enc: charmap.Windows1250},
	"WINDOWS1251": {enc: charmap.Windows1251}, "CP1251": {enc: charmap.Windows1251},
	"8859/1": charsetLatin1, "ISOIR100": charsetLatin1, "LATIN1": charsetLatin1,
	"8859/2": {name: "8859/2", enc: charmap.ISO8859_2}, "ISOIR101": {name: "8859/2", enc: charmap.ISO8859_2},
	"8859/3": {name: "8859/3", enc: charmap.ISO8859_3}, "ISOIR109": {name: "8859/3", enc: charmap.ISO8859_3},
	"8859/4": {name: "8859/4", enc: charmap.ISO8859_4}, "ISOIR110": {name: "8859/4", enc: charmap.ISO8859_4},
	"8859/5": {name: "8859/5", enc: charmap.ISO8859_5}, "ISOIR144": {name: "8859/5", enc: charmap.ISO8859_5},
	"8859/6": {name: "8859/6", enc: charmap.ISO8859_6}, "ISOIR127": {name: "8859/6", enc: charmap.ISO8859_6},
	"8859/7": {name: "8859/7", enc: charmap.ISO8859_7}, "ISOIR126": {name: "8859/7", enc: charmap.ISO8859_7},
	"8859/8": {name: "8859/8", enc: charmap.ISO8859_8}, "ISOIR138": {name: "8859/8", enc: charmap.ISO8859_8},
	"8859/9": {name: "8859/9", enc: charmap.ISO8859_9}, "ISOIR148": {name: "8859/9", enc: charmap.ISO8859_9},
	"8859/15": {name: "8859/15", enc: charmap.ISO8859_15}, "ISOIR203": {name: "8859/15", enc: charmap.ISO8859_15},
	"ISOIR14":     {name: "ISO IR14", enc: japanese.ShiftJIS},
	"ISOIR13":     {name: "ISO IR14", enc: japanese.ShiftJIS},
	"SHIFTJIS":    {enc: japanese.ShiftJIS},
	"ISOIR87":     {name: "ISO IR87", enc: japanese.ISO2022JP},
	"ISO2022JP":   {name: "ISO IR87", enc: japanese.ISO2022JP},
	"ISOIR159":    {name: "ISO IR159", enc: japanese.ISO2022JP},
	"EUCJP":       {enc: japanese.EUCJP},
	"KSX1001":     {name: "KS X 1001", enc: korean.EUCKR},
	"ISOIR149":    {name: "KS X 1001", enc: korean.EUCKR},
	"EUCKR":       {name: "KS X 1001", enc: korean.EUCKR},
	"GB180302000": {name: "GB 18030-2000", enc: simplifiedchinese.GB18030},
	"GB18030":     {name: "GB 18030-2000", enc: simplifiedchinese.GB18030},
	"BIG5":        {name: "BIG-5", enc: traditionalchinese.Big5},
	"WINDOWS31J":  {enc: japanese.ShiftJIS},
	"WINDOWS949":  {enc: korean.EUCKR},
	"WINDOWS1253": {enc: charmap.Windows1253},
	"WINDOWS1254": {enc: charmap.Windows1254},
	"WINDOWS1257": {enc: charmap.Windows1257},
}

// findCharset looks a name up, as it stands in MSH-18 or in a profile.
func findCharset(name string) (charset, bool) {
	key := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '/':
			return r
		}
		return -1
	}, name)
	if rest, ok := strings.CutPrefix(key, "ISO8859"); ok {
		key = "8859/" + strings.TrimPrefix(rest, "/")
	}
	if rest, ok := strings.CutPrefix(key, "ISO2022IR"); ok {
		key = "ISOIR" + rest
	}
	cs, ok := charsets[key]
	return cs, ok
}

// KnownCharset reports whether name is a character set this package reads and
// writes: a value of MSH-18 (HL7 table 0211) or an everyday name such as
// "windows-1252" or "ISO-8859-1".
func KnownCharset(name string) bool {
	_, ok := findCharset(name)
	return ok
}

// String returns the name for people.
func (c charset) String() string {
	switch {
	case c.name != "":
		return c.name
	case c.enc == charmap.Windows1252:
		return "windows-1252"
	}
	for _, n := range []string{"WINDOWS1250", "WINDOWS1251", "WINDOWS1253", "WINDOWS1254", "WINDOWS1257"} {
		if charsets[n].enc == c.enc {
			return "windows-" + n[len("WINDOWS"):]
		}
	}
	return "other"
}

// ascii reports whether b holds nothing but 7-bit characters and no escape that
// would switch the character set.
func ascii(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf || c == 0x1B {
			return false
		}
	}
	return true
}

// decode turns raw into text, which is always valid UTF-8.
func (c charset) decode(raw []byte) string {
	if ascii(raw) && c.enc != charsetUTF16.enc {
		return string(raw)
	}
	if c.enc == nil {
		if utf8.Valid(raw) {
			return string(raw)
		}
		return decodeSingle(charmap.Windows1252, raw)
	}
	if single, ok := c.enc.(*charmap.Charmap); ok {
		return decodeSingle(single, raw)
	}
	b, err := c.enc.NewDecoder().Bytes(raw)
	if err != nil || !utf8.Valid(b) {
		return decodeSingle(charmap.Windows1252, raw)
	}
	return string(b)
}

// decodeLeaf decodes the bytes of a hexadecimal escape. In ISO 8859-1 and
// without a declaration control characters stay what they are.
func (c charset) decodeLeaf(raw []byte) string { return c.decode(raw) }

// decodeSingle decodes one byte per character with one allocation.
func decodeSingle(m *charmap.Charmap, raw []byte) string {
	size := len(raw)
	for _, x := range raw {
		if x >= utf8.RuneSelf {
			size += utf8.RuneLen(m.DecodeByte(x)) - 1
		}
	}
	var b strings.Builder
	b.Grow(size)
	start := 0
	for i, x := range raw {
		if x >= utf8.RuneSelf {
			b.Write(raw[start:i])
			b.WriteRune(m.DecodeByte(x))
			start = i + 1
		}
	}
	b.Write(raw[start:])
	return b.String()
}

// read chooses the character set of a message and decodes it: the override of
// the peer, else MSH-18, else the default of the peer, else UTF-8 when the bytes
// are that and windows-1252 when they are not. What is declared but cannot be
// true gives way to the next, with a note.
func (o Options) read(raw []byte) (text string, cs charset, notes []string) {
	if hasUTF16Mark(raw) {
		return charsetUTF16.decode(raw), charsetUTF16, nil
	}
	candidates := []struct{ source, name string }{
		{"the profile", o.Charset}, {"MSH-18", declaredCharset(raw)}, {"the default of the profile", o.Default},
	}
	plain := ascii(raw)
	for _, c := range candidates {
		if c.name == "" {
			continue
		}
		cs, ok := findCharset(c.name)
		switch {
		case !ok:
			notes = append(notes, "the character set named by "+c.source+" is not known")
		case plain && cs.enc != charsetUTF16.enc:
			return string(raw), cs, notes
		case cs.utf8 && !utf8.Valid(raw):
			notes = append(notes, c.source+" says UTF-8, but the text is not")
		case cs.enc == nil && !cs.utf8:
			notes = append(notes, c.source+" says ASCII, but the text is not")
		case cs.enc == charmap.ISO8859_1 && hasC1(raw):
			notes = append(notes, c.source+" says 8859/1, but the text is windows-1252")
			return charsetCP1252.decode(raw), charsetCP1252, notes
		default:
			return cs.decode(raw), cs, notes
		}
	}
	switch {
	case plain:
		return string(raw), charsetASCII, notes
	case utf8.Valid(raw):
		return string(raw), charsetUTF8, notes
	}
	return charsetCP1252.decode(raw), charsetCP1252, notes
}

// hasC1 reports bytes that are controls in ISO 8859-1 and letters or quotation
// marks in windows-1252: nobody sends those controls.
func hasC1(raw []byte) bool {
	for _, c := range raw {
		if c >= 0x80 && c < 0xA0 {
			return true
		}
	}
	return false
}

func hasUTF16Mark(raw []byte) bool {
	return len(raw) > 2 && (raw[0] == 0xFE && raw[1] == 0xFF || raw[0] == 0xFF && raw[1] == 0xFE)
}
