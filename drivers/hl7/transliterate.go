package hl7

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/unicode/norm"
)

// Note says that a character of a value was written in other letters, because
// the character set of the peer lacks it.
type Note struct {
	// Where is the leaf, "PID-5.1".
	Where string
	// Lost is the character, With what was written in its place, "?" when there
	// is no way to write it.
	Lost rune
	With string
}

// substitutes are the Latin letters and signs that do not decompose into a base
// letter and marks, or whose usual replacement is more than the base letter.
var substitutes = map[rune]string{
	'ä': "ae", 'ö': "oe", 'ü': "ue", 'Ä': "Ae", 'Ö': "Oe", 'Ü': "Ue",
	'ß': "ss", 'ẞ': "SS", 'æ': "ae", 'Æ': "Ae", 'œ': "oe", 'Œ': "Oe",
	'ø': "o", 'Ø': "O", 'å': "a", 'Å': "A",
	'ł': "l", 'Ł': "L", 'đ': "d", 'Đ': "D", 'ð': "d", 'Ð': "D", 'þ': "th", 'Þ': "Th",
	'ħ': "h", 'Ħ': "H", 'ı': "i", 'ŋ': "ng", 'Ŋ': "Ng", 'ŧ': "t", 'Ŧ': "T", 'ĸ': "k",
	'ĳ': "ij", 'Ĳ': "IJ", 'ŀ': "l", 'Ŀ': "L", 'ŉ': "'n", 'ſ': "s", 'ə': "e", 'Ə': "E", 'ƒ': "f",

	'\u00a0': " ", '\u2009': " ", '\u202f': " ", '\u2002': " ", '\u2003': " ", '\u200b': "", '\ufeff': "",
	'‘': "'", '’': "'", '‚': ",", '‛': "'", '′': "'", 'ʼ': "'", '´': "'",
	'“': `"`, '”': `"`, '„': `"`, '«': `"`, '»': `"`, '‹': "'", '›': "'", '″': `"`,
	'‐': "-", '‑': "-", '‒': "-", '–': "-", '—': "-", '―': "-", '−': "-", '\u00ad': "",
	'…': "...", '•': "*", '·': ".", '€': "EUR", '£': "GBP", '¥': "JPY", '™': "TM", '©': "(c)", '®': "(R)",
	'×': "x", '÷': ":", '±': "+/-", '°': "deg", 'µ': "u", '½': "1/2", '¼': "1/4", '¾': "3/4",
	'²': "2", '³': "3", '¹': "1", 'º': "o", 'ª': "a", '№': "No", '♀': "F", '♂': "M",
	'→': "->", '←': "<-", '≤': "<=", '≥': ">=", '≈': "ca.", '¿': "?", '¡': "!", '§': "S",
}

// otherScripts writes Cyrillic and Greek letters in Latin ones. Lower case; an
// upper-case letter is derived.
var otherScripts = map[rune]string{
	'а': "a", 'б': "b", 'в': "v", 'г': "g", 'д': "d", 'е': "e", 'ё': "e", 'ж': "zh", 'з': "z", 'и': "i",
	'й': "i", 'к': "k", 'л': "l", 'м': "m", 'н': "n", 'о': "o", 'п': "p", 'р': "r", 'с': "s", 'т': "t",
	'у': "u", 'ф': "f", 'х': "kh", 'ц': "ts", 'ч': "ch", 'ш': "sh", 'щ': "shch", 'ъ': "", 'ы': "y", 'ь': "",
	'э': "e", 'ю': "iu", 'я': "ia", 'і': "i", 'ї': "i", 'є': "ie", 'ґ': "g", 'ў': "u", 'ј': "j", 'љ': "lj",
	'њ': "nj", 'ћ': "c", 'ђ': "dj", 'џ': "dz", 'ѓ': "gj", 'ќ': "kj", 'ѕ': "dz",
	'α': "a", 'β': "v", 'γ': "g", 'δ': "d", 'ε': "e", 'ζ': "z", 'η': "i", 'θ': "th", 'ι': "i", 'κ': "k",
	'λ': "l", 'μ': "m", 'ν': "n", 'ξ': "x", 'ο': "o", 'π': "p", 'ρ': "r", 'σ': "s", 'ς': "s", 'τ': "t",
	'υ': "y", 'φ': "f", 'χ': "ch", 'ψ': "ps", 'ω': "o",
}

// transliterate returns ASCII for r, "?" when there is none.
func transliterate(r rune) string {
	if s, ok := latin(r); ok {
		return s
	}
	var buf [2 * utf8.UTFMax]byte
	out, found := "", false
	for _, x := range string(norm.NFKD.AppendString(buf[:0], string(r))) {
		switch {
		case x < utf8.RuneSelf:
			if x >= ' ' && x != 0x7F {
				out, found = out+string(x), true
			}
		case unicode.Is(unicode.M, x):
			found = true // a mark alone vanishes
		default:
			if s, ok := latin(x); ok {
				out, found = out+s, true
			}
		}
	}
	if !found {
		return "?"
	}
	return out
}

func latin(r rune) (string, bool) {
	if s, ok := substitutes[r]; ok {
		return s, true
	}
	lower := unicode.ToLower(r)
	s, ok := otherScripts[lower]
	if ok && s != "" && lower != r {
		s = string(s[0]-'a'+'A') + s[1:]
	}
	return s, ok
}

// fits reports whether the character set can write r.
func (c charset) fits(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return true
	case r == utf8.RuneError:
		return false
	case c.utf8:
		return true
	case c.enc == nil:
		return false
	}
	if m, ok := c.enc.(*charmap.Charmap); ok {
		_, ok := m.EncodeRune(r)
		return ok
	}
	_, err := c.enc.NewEncoder().String(string(r))
	return err == nil
}

// writable returns s in characters the set can write, composed first, because
// e and a combining accent are one letter in ISO 8859-1.
func (c charset) writable(s, where string, notes []Note) (string, []Note) {
	if isASCII(s) {
		return s, notes
	}
	s = norm.NFC.String(s)
	if c.utf8 && utf8.ValidString(s) {
		return s, notes
	}
	out := make([]byte, 0, len(s))
	for _, r := range s {
		if c.fits(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		with := transliterate(r)
		out = append(out, with...)
		notes = append(notes, Note{Where: where, Lost: r, With: with})
	}
	return string(out), notes
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// appendEncoded appends s, all of it writable.
func (c charset) appendEncoded(b []byte, s string) ([]byte, error) {
	if c.enc == nil || isASCII(s) && c.enc != charsetUTF16.enc {
		return append(b, s...), nil
	}
	if m, ok := c.enc.(*charmap.Charmap); ok {
		for _, r := range s {
			x, _ := m.EncodeRune(r)
			b = append(b, x)
		}
		return b, nil
	}
	x, err := c.enc.NewEncoder().String(s)
	return append(b, x...), err
}
