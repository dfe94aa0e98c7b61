package provet

import (
	"strings"
	"unicode"

	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"

	"github.com/rayhound/rayhound/appliance/order"
)

// defaultSexes maps Provet's gender codes (0 unknown, 1 male, 2 female, 3
// castrated male, 4 sterilised female) and English labels. Other languages are
// configuration.
var defaultSexes = map[string]SexMeaning{
	"0": {}, "1": {Sex: order.Male}, "2": {Sex: order.Female},
	"3": {order.Male, order.Altered}, "4": {order.Female, order.Altered},

	"unknown": {}, "not known": {}, "undetermined": {}, "other": {Sex: order.SexOther},
	"male": {Sex: order.Male}, "m": {Sex: order.Male}, "female": {Sex: order.Female}, "f": {Sex: order.Female},

	"male intact": {order.Male, order.Unaltered}, "male entire": {order.Male, order.Unaltered},
	"female intact": {order.Female, order.Unaltered}, "female entire": {order.Female, order.Unaltered},

	"male castrated": {order.Male, order.Altered}, "male neutered": {order.Male, order.Altered},
	"male sterilised": {order.Male, order.Altered}, "male altered": {order.Male, order.Altered},
	"gelding":           {order.Male, order.Altered},
	"female sterilised": {order.Female, order.Altered}, "female neutered": {order.Female, order.Altered},
	"female spayed": {order.Female, order.Altered}, "female altered": {order.Female, order.Altered},
	"female castrated": {order.Female, order.Altered},
}

// sexTable returns the defaults with the configured entries over them, by
// folded label.
func sexTable(over map[string]SexMeaning) map[string]SexMeaning {
	t := make(map[string]SexMeaning, len(defaultSexes)+len(over))
	for k, v := range defaultSexes {
		t[foldLabel(k)] = v
	}
	for k, v := range over {
		t[foldLabel(k)] = v
	}
	return t
}

// foldLabel makes labels comparable: lower case, no accents, words sorted so
// that "castrated male" equals "Male (castrated)", British spelling of sterilised.
func foldLabel(s string) string {
	w := words(s)
	for i := range w {
		w[i] = strings.ReplaceAll(w[i], "sterilized", "sterilised")
	}
	// Two words at most matter for sexes; sorting three would do no harm either.
	if len(w) == 2 && w[0] > w[1] {
		w[0], w[1] = w[1], w[0]
	}
	return strings.Join(w, " ")
}

// words folds case and accents and splits at everything that is no letter or digit.
func words(s string) []string {
	folded, _, err := transform.String(transform.Chain(norm.NFD, runes.Remove(runes.In(unicode.Mn)), norm.NFC), s)
	if err != nil {
		folded = s
	}
	return strings.FieldsFunc(strings.ToLower(folded), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// sex finds the meaning of a gender by its code, then by its label. ok is false
// when neither is in the table and there was something to look for.
func (c *Client) sex(code, label string) (m SexMeaning, ok bool) {
	for _, s := range []string{code, label} {
		if s == "" {
			continue
		}
		if m, ok := c.sexes[foldLabel(s)]; ok && (m != SexMeaning{}) {
			return m, true
		} else if ok {
			code, label = "", "" // known to be unknown
		}
	}
	return SexMeaning{}, code == "" && label == ""
}
