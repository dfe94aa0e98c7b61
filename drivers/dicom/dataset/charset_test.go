package dataset

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

// supported are all sets that a machine can be given, single and combined.
var supported = []string{
	"", "ISO_IR 6", "ISO_IR 100", "ISO_IR 101", "ISO_IR 109", "ISO_IR 110", "ISO_IR 126", "ISO_IR 127", "ISO_IR 138", "ISO_IR 144",
	"ISO_IR 148", "ISO_IR 166", "ISO_IR 203", "ISO_IR 13", "ISO_IR 192", "GB18030", "GBK",
	`ISO 2022 IR 6\ISO 2022 IR 100`, `ISO 2022 IR 100\ISO 2022 IR 144`, `ISO 2022 IR 6\ISO 2022 IR 87`, `\ISO 2022 IR 149`,
	`ISO 2022 IR 13\ISO 2022 IR 87\ISO 2022 IR 159`, `\ISO 2022 IR 58`, `ISO 2022 IR 101\ISO 2022 IR 126\ISO 2022 IR 166`,
}

func TestCharsetTerms(t *testing.T) {
	for _, c := range []struct {
		in, want string
		noted    bool
	}{
		{"", "ISO_IR 100", false},
		{"ISO_IR 6", "ISO_IR 100", false},
		{"ISO_IR 100", "ISO_IR 100", false},
		{"ISO_IR 192", "ISO_IR 192", false},
		{"GB18030", "GB18030", false},
		{"GBK", "GBK", false},
		{"ISO_IR 203", "ISO_IR 203", false},
		{"ISO-IR 100", "ISO_IR 100", true},
		{"ISO IR 192", "ISO_IR 192", true},
		{"ISO_IR100", "ISO_IR 100", true},
		{"UTF-8", "ISO_IR 192", true},
		{"latin1", "ISO_IR 100", true},
		{"iso_ir 192", "ISO_IR 192", true},
		{"utf8", "ISO_IR 192", true},
		{"ISO-8859-15", "ISO_IR 203", true},
		{"192", "ISO_IR 192", true},
		{"ISO 2022 IR 100", "ISO_IR 100", false},
		{"ISO 2022 IR 87", `ISO 2022 IR 6\ISO 2022 IR 87`, false},
		{`\ISO 2022 IR 87`, `ISO 2022 IR 6\ISO 2022 IR 87`, false},
		{`ISO_IR 192\ISO 2022 IR 87`, "ISO_IR 192", true},
		{"KLINGON", "ISO_IR 100", true},
		{strings.Repeat("x", 100), "ISO_IR 100", true},
		{strings.TrimSuffix(strings.Repeat(`ISO 2022 IR 100\`, 9), `\`), strings.TrimSuffix(strings.Repeat(`ISO 2022 IR 100\`, 7), `\`), true},
	} {
		cs, note := ParseCharset(strings.Split(c.in, `\`))
		if got := cs.DefinedTerm(); got != c.want || (note != "") != c.noted {
			t.Errorf("%q: %q, note %q", c.in, got, note)
		}
		again, note := ParseCharset(strings.Split(cs.DefinedTerm(), `\`))
		if again.DefinedTerm() != cs.DefinedTerm() || note != "" && !strings.HasPrefix(note, "too many") {
			t.Errorf("%q: its own term reads back as %q, %q", c.in, again.DefinedTerm(), note)
		}
	}
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		name, term, bytes string
		vr                VR
		want              string
	}{
		{"Latin-1", "ISO_IR 100", "M\xfcller", PN, "Müller"},
		{"Latin-1 has no windows-1252", "ISO_IR 100", "\x80", LO, "\u0080"},
		{"UTF-8", "ISO_IR 192", "Müller", PN, "Müller"},
		{"UTF-8 decomposed", "ISO_IR 192", "Mu\u0308ller", PN, "Müller"},
		{"UTF-8 declared, Latin-1 sent", "ISO_IR 192", "M\xfcller", PN, "Müller"},
		{"nothing declared, UTF-8 sent", "", "Müller", PN, "Müller"},
		{"nothing declared, Latin-1 sent", "", "M\xfcller", PN, "Müller"},
		{"unknown declared, UTF-8 sent", "KLINGON", "Müller", PN, "Müller"},
		{"L12 ISO_IR 203", "ISO_IR 203", "\xa4", LO, "€"},
		{"L8 Thai", "ISO_IR 166", "\xb9\xd2", LO, "นา"},
		{"L8 Thai with escapes", "ISO 2022 IR 166", "\x1b-T\xb9\xd2", LO, "นา"},
		{"Cyrillic", "ISO_IR 144", "\xbb\xee\xdah\xd5\xdc", LO, "Люкhем"},
		{"Greek", "ISO_IR 126", "\xc4\xe9\xef", LO, "Διο"},
		{"L13 Korean", `\ISO 2022 IR 149`, "Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7", PN, "Hong^Gildong=洪^吉洞"},
		{"L13 Chinese", `\ISO 2022 IR 58`, "Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab", PN, "Zhang^XiaoDong=张^小东"},
		{"Japanese", `\ISO 2022 IR 87`, "Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B", PN, "Yamada^Tarou=山田^太郎=やまだ^たろう"},
		{"Japanese, JIS X 0201", `ISO 2022 IR 13\ISO 2022 IR 87`, "\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J", PN, "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎"},
		{"L14 Latin-1 and Cyrillic", `ISO 2022 IR 100\ISO 2022 IR 144`, "M\xfcller \x1b-L\xbb\xee\xda", LO, "Müller Люк"},
		{"reset at a backslash", `ISO 2022 IR 100\ISO 2022 IR 144`, "\x1b-L\xbb\\\xfc", LO, `Л\ü`},
		{"no reset at a backslash in long text", `ISO 2022 IR 100\ISO 2022 IR 144`, "\x1b-L\xbb\\\xbb", LT, `Л\Л`},
		{"reset at a caret in a name", `ISO 2022 IR 100\ISO 2022 IR 144`, "\x1b-L\xbb^\xfc", PN, `Л^ü`},
		{"no reset at a caret elsewhere", `ISO 2022 IR 100\ISO 2022 IR 144`, "\x1b-L\xbb^\xbb", LO, `Л^Л`},
		{"reset at a line end", `ISO 2022 IR 100\ISO 2022 IR 144`, "\x1b-L\xbb\r\n\xfc", LT, "Л\r\nü"},
		{"reset of G0 at a line end", `\ISO 2022 IR 87`, "\x1b$B;3\r\nab", LT, "山\r\nab"},
		{"unknown escape", `\ISO 2022 IR 87`, "a\x1bZb", LO, "a\ufffdZb"},
		{"escape at the end", `\ISO 2022 IR 87`, "a\x1b", LO, "a\ufffd"},
		{"odd number of bytes", `\ISO 2022 IR 87`, "\x1b$B;3E\x1b(B", LO, "山\ufffd"},
		{"GB18030", "GB18030", "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", PN, "Wang^XiaoDong=王^小东"},
		{"never in a code string", "ISO_IR 100", "\xfc", CS, "\ufffd"},
	} {
		cs, _ := ParseCharset(strings.Split(c.term, `\`))
		if got := cs.Decode([]byte(c.bytes), c.vr); got != norm.NFC.String(c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestFallback(t *testing.T) {
	cyrillic, _ := ParseCharset([]string{"ISO_IR 144"})
	for _, cs := range []Charset{DefaultCharset, UTF8} {
		if got := cs.WithFallback(cyrillic).Decode([]byte("\xbb\xee\xda"), LO); got != "Люк" {
			t.Errorf("%v: %q", cs, got)
		}
	}
	if got := Latin1.Readings([]byte("Müller"), PN); !slices.Equal(got, []string{"MÃ¼ller", "Müller"}) {
		t.Errorf("readings %q", got)
	}
	if got := UTF8.Readings([]byte("Bella"), PN); !slices.Equal(got, []string{"Bella"}) {
		t.Errorf("readings %q", got)
	}
}

func TestItemsOwnCharset(t *testing.T) { // L15
	item := NewBuilder(ImplicitLE, UTF8).Charset().Text(ScheduledProcedureStepDescription, "Łokieć")
	plain := NewBuilder(ImplicitLE, Latin1).Text(ScheduledProcedureStepDescription, "Größe")
	raw, err := NewBuilder(ImplicitLE, Latin1).Charset().Seq(ScheduledProcedureStepSequence, item, plain).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	set := mustParse(t, ImplicitLE, raw)
	cs := set.Charset()
	for i, want := range []string{"Łokieć", "Größe"} {
		item := set.Items(ScheduledProcedureStepSequence)[i]
		if got := item.Text(ScheduledProcedureStepDescription, item.CharsetWithin(cs)); got != want {
			t.Errorf("item %d: %q", i, got)
		}
	}
}

func TestEncode(t *testing.T) {
	for _, c := range []struct{ term, in, want, replaced string }{
		{"ISO_IR 100", "Müller", "M\xfcller", ""},
		{"ISO_IR 6", "Müller & Søn, Łódź, Straße", "Mueller & Son, Lodz, Strasse", "üøŁóźß"},
		{"ISO_IR 100", "Łódź – “Bella”…", "L\xf3dz - \"Bella\"...", "Łź–“”…"},
		{"ISO_IR 100", "Dog 🐕!", "Dog !", "🐕"},
		{"ISO_IR 100", "Юлия Щукина", "Iuliia Shchukina", "ЮлияЩукина"},
		{"ISO_IR 144", "Юлия", "\xce\xdb\xd8\xef", ""},
		{"ISO_IR 101", "Łódź", "\xa3\xf3d\xbc", ""},
		{"ISO_IR 192", "Łódź 🐕", "Łódź 🐕", ""},
		{"ISO_IR 100", "Mu\u0308ller", "M\xfcller", ""},
		{"ISO_IR 100", "ﬁx ½ Ǆ", "fix \xbd DZ", "ﬁǄ"},
		{`\ISO 2022 IR 87`, "Yamada=山田^太郎", "Yamada=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", ""},
		{`\ISO 2022 IR 149`, "=洪^吉洞", "=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7", ""},
	} {
		cs, _ := ParseCharset(strings.Split(c.term, `\`))
		b, replaced := cs.Encode(c.in, PN)
		if string(b) != c.want || string(replaced) != c.replaced {
			t.Errorf("%s, %q: %q, %q", c.term, c.in, b, string(replaced))
		}
	}
}

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		term  string
		texts []string
		want  Charset
	}{
		{"auto", nil, Latin1},
		{"", []string{"Müller", "Bella"}, Latin1},
		{"auto", []string{"Müller", "Łódź"}, UTF8},
		{"AUTO", []string{"€"}, UTF8},
		{"ISO_IR 192", nil, UTF8},
		{"ISO_IR 100", []string{"Łódź"}, Latin1},
	} {
		if got := Choose(c.term, c.texts...); got != c.want {
			t.Errorf("%q %q: %v", c.term, c.texts, got)
		}
	}
}

// TestCharsetRoundTrip: decode(encode(x)) = x for everything that a set holds, and
// what it does not hold becomes something that it does.
func TestCharsetRoundTrip(t *testing.T) {
	for _, term := range supported {
		cs, _ := ParseCharset(strings.Split(term, `\`))
		repertoire := holds(cs)
		if len(repertoire) < 90 {
			t.Fatalf("%q holds %d characters", term, len(repertoire))
		}
		t.Run(strings.ReplaceAll(term, `\`, "+"), func(t *testing.T) {
			for _, r := range repertoire { // each character once
				roundTrip(t, cs, string(r), LO)
			}
			rapid.Check(t, func(t *rapid.T) {
				vr := rapid.SampledFrom([]VR{LO, PN, LT, SH, UT}).Draw(t, "vr")
				s := norm.NFC.String(rapid.StringOf(rapid.SampledFrom(repertoire)).Draw(t, "text"))
				if cs.Fits(s) { // NFC may have left the set
					roundTrip(t, cs, s, vr)
				}
				any := rapid.String().Draw(t, "any text")
				b, _ := cs.Encode(any, vr)
				text := cs.Decode(b, vr)
				if again, replaced := cs.Encode(text, vr); len(replaced) > 0 || cs.Decode(again, vr) != text {
					t.Fatalf("%q became %q, then %q", any, text, cs.Decode(again, vr))
				}
			})
		})
	}
}

type failer interface{ Fatalf(string, ...any) }

func roundTrip(t failer, cs Charset, s string, vr VR) {
	b, replaced := cs.Encode(s, vr)
	if got := cs.Decode(b, vr); got != s || len(replaced) > 0 {
		t.Fatalf("%v: %q became %q by %q, replaced %q", cs, s, got, b, string(replaced))
	}
}

// holds lists the characters of the set below U+FFFF that are their own NFC.
func holds(cs Charset) []rune {
	var out []rune
	for r := rune(' '); r < 0xFFFE; r++ {
		if utf8.ValidRune(r) && cs.has(r) && norm.NFC.IsNormalString(string(r)) {
			out = append(out, r)
		}
	}
	return out
}
