package dataset

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// letters are the Latin letters and signs that do not decompose into a base
// letter and marks, or whose usual replacement is more than the base letter.
var letters = map[rune]string{
	'ä': "ae", 'ö': "oe", 'ü': "ue", 'Ä': "Ae", 'Ö': "Oe", 'Ü': "Ue",
	'ß': "ss", 'ẞ': "SS", 'æ': "ae", 'Æ': "Ae", 'œ': "oe", 'Œ': "Oe",
	'ø': "o", 'Ø': "O", 'å': "a", 'Å': "A",
	'ł': "l", 'Ł': "L", 'đ': "d", 'Đ': "D", 'ð': "d", 'Ð': "D", 'þ': "th", 'Þ': "Th",
	'ħ': "h", 'Ħ': "H", 'ı': "i", 'ŋ': "ng", 'Ŋ': "Ng", 'ŧ': "t", 'Ŧ': "T", 'ĸ': "k",
	'ĳ': "ij", 'Ĳ': "IJ", 'ŀ': "l", 'Ŀ': "L", 'ŉ': "'n", 'ſ': "s", 'ə': "e", 'Ə': "E", 'ƒ': "f",

	'\u00a0': " ", '\u2009': " ", '\u202f': " ", '\u2002': " ", '\u2003': " ",
	'‘': "'", '’': "'", '‚': ",", '‛': "'", '′': "'", 'ʼ': "'", '´': "'", '`': "'",
	'“': `"`, '”': `"`, '„': `"`, '«': `"`, '»': `"`, '‹': "'", '›': "'", '″': `"`,
	'‐': "-", '‑': "-", '‒': "-", '–': "-", '—': "-", '―': "-", '−': "-", '\u00ad': "",
	'…': "...", '•': "*", '·': ".", '€': "EUR", '£': "GBP", '¥': "JPY", '™': "TM", '©': "(c)", '®': "(R)",
	'×': "x", '÷': ":", '±': "+/-", '°': "deg", 'µ': "u", '½': "1/2", '¼': "1/4", '¾': "3/4",
	'²': "2", '³': "3", '¹': "1", 'º': "o", 'ª': "a", '№': "No", '♀': "F", '♂': "M",
	'→': "->", '←': "<-", '≤': "<=", '≥': ">=", '≈': "~", '¿': "?", '¡': "!", '§': "S",
}

// otherScripts writes Cyrillic and Greek letters in Latin ones, so that a name
// does not vanish from a machine that knows Latin letters only. Lower case; an
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

// transliterate returns ASCII for r, "" when there is none, as for emoji.
func transliterate(r rune) string {
	if s, ok := latin(r); ok {
		return s
	}
	// Take the marks off: ő is o, Ǆ is DZ, the ligature ﬁ is fi.
	var buf [2 * utf8.UTFMax]byte
	d := norm.NFKD.AppendString(buf[:0], string(r))
	out := ""
	for _, x := range string(d) {
		switch {
		case x < utf8.RuneSelf:
			if x >= ' ' && x != 0x7F {
				out += string(x)
			}
		case unicode.Is(unicode.M, x):
		default:
			s, _ := latin(x)
			out += s
		}
	}
	return out
}

// latin looks r up in the tables.
func latin(r rune) (string, bool) {
	if s, ok := letters[r]; ok {
		return s, true
	}
	if s, ok := otherScripts[r]; ok {
		return s, true
	}
	lower := unicode.ToLower(r)
	if lower == r {
		return "", false
	}
	s, ok := otherScripts[lower]
	if ok && s != "" {
		s = string(s[0]-'a'+'A') + s[1:]
	}
	return s, ok
}
