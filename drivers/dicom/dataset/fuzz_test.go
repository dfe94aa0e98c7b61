package dataset

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// rewritten: what was accepted can be written again and reads back equal.
func rewritten(t *testing.T, s Syntax, b []byte) {
	lim := Limits{MaxBytes: 1 << 20, MaxElements: 10_000}
	set, err := Parse(b, s, lim)
	if err != nil {
		return
	}
	lim = Limits{MaxBytes: 8 << 20, MaxElements: 10_000}
	first := AppendSet(nil, s, set)
	again, err := Parse(first, s, lim)
	if err != nil {
		t.Fatalf("cannot read what we wrote: %v", err)
	}
	if set.Stats.OddLengths == 0 && set.Stats.Padding == 0 && !Equal(set, again) {
		t.Fatalf("%x became %x", b, first)
	}
	if second := AppendSet(nil, s, again); !bytes.Equal(first, second) {
		t.Fatalf("%x became %x", first, second)
	}
	if again.Stats.OddLengths != 0 || again.Stats.Delimiters != 0 || again.Stats.Elements != set.Stats.Elements || again.Stats.Items != set.Stats.Items {
		t.Fatalf("%+v became %+v", *set.Stats, *again.Stats)
	}
	cs := set.Charset()
	for _, e := range set.Elements {
		set.Texts(e.Tag, cs)
		set.Strings(e.Tag)
	}
}

func addSets(f *testing.F, s Syntax) {
	f.Add([]byte{})
	f.Add(sampleAnswer(f, s))
	f.Add(unhex(f, "40000001 FFFFFFFF FEFF00E0 FFFFFFFF 08006000 02000000 4458 FEFF0DE0 00000000 FEFFDDE0 00000000"))
	f.Add(unhex(f, "40000001 554E0000 FFFFFFFF FEFF00E0 0A000000 08006000 02000000 4458 FEFFDDE0 00000000"))
	f.Add(unhex(f, "E07F1000 4F420000 FFFFFFFF FEFF00E0 00000000 FEFF00E0 02000000 0102 FEFFDDE0 00000000"))
	f.Add(unhex(f, "10002000 01000000 41 FCFFFCFF 04000000 00000000"))
	f.Add(unhex(f, "10002000 5A5A0000 03000000 414243 09001000 4C4F0200 4142"))
}

func FuzzParseImplicit(f *testing.F) {
	addSets(f, ImplicitLE)
	f.Fuzz(func(t *testing.T, b []byte) { rewritten(t, ImplicitLE, b) })
}

func FuzzParseExplicit(f *testing.F) {
	addSets(f, ExplicitLE)
	f.Fuzz(func(t *testing.T, b []byte) { rewritten(t, ExplicitLE, b) })
}

// FuzzCharset: decoded text is valid Unicode, and encodes to bytes that decode to
// the same, as far as the set holds it.
func FuzzCharset(f *testing.F) {
	f.Add("ISO_IR 100", []byte("M\xfcller^Bella"), true)
	f.Add(`ISO 2022 IR 13\ISO 2022 IR 87`, []byte("\xd4\xcf=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J"), true)
	f.Add(`\ISO 2022 IR 149`, []byte("=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce"), true)
	f.Add(`\ISO 2022 IR 58\ISO 2022 IR 159`, []byte("\x1b$)A\xd5\xc5\x1b$(D0!\x1b(B\\"), false)
	f.Add("GB18030", []byte("\xcd\xf5\x81\x30\x81\x30"), false)
	f.Add("utf-8", []byte("M\xfcller \xf0\x9f\x90\x95"), false)
	f.Fuzz(func(t *testing.T, term string, b []byte, name bool) {
		vr := LO
		if name {
			vr = PN
		}
		cs, _ := ParseCharset(strings.Split(term, `\`))
		again, _ := ParseCharset(strings.Split(cs.DefinedTerm(), `\`))
		if again.DefinedTerm() != cs.DefinedTerm() {
			t.Fatalf("%q became %q", cs.DefinedTerm(), again.DefinedTerm())
		}
		text := cs.Decode(b, vr)
		if !utf8.ValidString(text) {
			t.Fatalf("%q is not valid", text)
		}
		encoded, replaced := cs.Encode(text, vr)
		back := cs.Decode(encoded, vr)
		if len(replaced) == 0 && back != text {
			t.Fatalf("%q became %q by %q", text, back, encoded)
		}
		if _, replaced := cs.Encode(back, vr); len(replaced) > 0 {
			t.Fatalf("%q does not fit its own set", back)
		}
		for _, r := range cs.WithFallback(Latin1).Readings(b, vr) {
			if !utf8.ValidString(r) {
				t.Fatalf("%q is not valid", r)
			}
		}
	})
}

func FuzzPersonName(f *testing.F) {
	for _, s := range []string{"Müller^Bella", "^Bella", "a^b^c^d^e^f", "Yamada^Tarou=山田^太郎", "a\\b\r\n=^", "ẞ\u0308\u0345"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n := ParsePN(s)
		out := n.String()
		if again := ParsePN(out).String(); again != out {
			t.Fatalf("%q became %q", out, again)
		}
		if len(strings.Split(out, "^")) > 5 || strings.ContainsAny(out, "=\\") {
			t.Fatalf("%q is no component group", out)
		}
		folded := Fold(s)
		if !strings.ContainsAny(folded, "*?") && len(folded) <= maxKey && len(s) <= maxKey && !MatchPN(s, s) {
			t.Fatalf("%q does not match itself", s)
		}
		for _, cs := range []Charset{DefaultCharset, Latin1, UTF8} {
			raw, err := NewBuilder(ExplicitLE, cs).Text(PatientName, s).Bytes()
			if err != nil {
				t.Fatal(err)
			}
			set, err := Parse(raw, ExplicitLE, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			for group := range strings.SplitSeq(set.Text(PatientName, cs), "=") {
				if utf8.RuneCountInString(group) > 64 {
					t.Fatalf("%d characters", utf8.RuneCountInString(group))
				}
			}
		}
	})
}

func FuzzDateKey(f *testing.F) {
	for _, s := range []string{"20261122", "20261122-", "-2026.11.22", "09:00-1730", "235960.5", "-", "17-09"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if k, err := ParseDateKey(s); err == nil {
			again, err := ParseDateKey(k.String())
			if err != nil || again != k {
				t.Fatalf("%q became %q", s, k.String())
			}
			from, to := k.Bounds()
			if k.Reversed() == (from != "" && k.Match(from) || to != "" && k.Match(to)) && !k.Universal() {
				t.Fatalf("%q does not include its ends", s)
			}
		}
		if k, err := ParseTimeKey(s); err == nil && !k.Universal() && k.Match("") {
			t.Fatalf("%q matches nothing", s)
		}
		if at, err := ParseDateTime(s, time.UTC); err == nil && at.Year() > 0 {
			back, err := ParseDateTime(FormatDateTime(at), time.UTC)
			if err != nil || !back.Equal(at.Truncate(time.Second)) {
				t.Fatalf("%q: %v became %v, %v", s, at, back, err)
			}
		}
		if d, err := ParseTime(s); err == nil && (d < 0 || d >= 24*time.Hour) {
			t.Fatalf("%q is %v", s, d)
		}
	})
}

// FuzzWildcard compares the matcher with the definition, on short input.
func FuzzWildcard(f *testing.F) {
	f.Add("a*b?c", "aXXbYc")
	f.Add("**?", "ö")
	f.Add("*a*a*b", "aaaaaaaa")
	f.Fuzz(func(t *testing.T, key, value string) {
		if len(key) > maxKey || len(value) > maxKey {
			return
		}
		got := wildcard(key, value)
		if len(key) > 8 || len(value) > 8 || !utf8.ValidString(key) || !utf8.ValidString(value) {
			return
		}
		if want := defined([]rune(key), []rune(value)); got != want {
			t.Fatalf("%q, %q: %v", key, value, got)
		}
	})
}

// defined is the meaning of a wildcard key, without regard to time.
func defined(key, value []rune) bool {
	switch {
	case len(key) == 0:
		return len(value) == 0
	case key[0] == '*':
		return defined(key[1:], value) || len(value) > 0 && defined(key, value[1:])
	case len(value) == 0:
		return false
	default:
		return (key[0] == '?' || key[0] == value[0]) && defined(key[1:], value[1:])
	}
}

// FuzzFile: a file reads the same at once and in steps, and its data set can be
// written again. Meta information and data set are apart, so that the fuzzer gets
// past the preamble.
func FuzzFile(f *testing.F) {
	f.Add(metaFor(explicitLEUID), sampleAnswer(f, ExplicitLE))
	f.Add(metaFor(implicitLEUID), sampleAnswer(f, ImplicitLE))
	f.Add(metaFor("1.2.840.10008.1.2.4.70"), unhex(f, "E07F1000 4F420000 FFFFFFFF"))
	f.Fuzz(func(t *testing.T, meta, body []byte) {
		b := fileBytes(meta, body)
		one, err1 := ParseFile(b)
		two, err2 := ReadFile(bytes.NewReader(b))
		if (err1 == nil) != (err2 == nil) || err1 == nil && !Equal(one.Set, two.Set) {
			t.Fatalf("%v, %v", err1, err2)
		}
		if err1 != nil {
			return
		}
		again, err := ParseFile(fileBytes(metaFor(explicitLEUID), AppendSet(nil, ExplicitLE, one.Set)))
		if err != nil || again.Set.Stats.Elements != one.Set.Stats.Elements {
			t.Fatalf("cannot read what we wrote: %v", err)
		}
	})
}

// FuzzBuilder: whatever text is given for whatever attribute, the result is
// flawless, within the length of its VR, and building it again changes nothing.
func FuzzBuilder(f *testing.F) {
	f.Add(uint16(40), "Müller^Bella=a^b^c^d^e^f", uint8(0))
	f.Add(uint16(60), "2026-11-22\r\n\\", uint8(1))
	f.Add(uint16(90), strings.Repeat("ä 🐕", 40), uint8(2))
	f.Fuzz(func(t *testing.T, which uint16, text string, set uint8) {
		tag := named[int(which)%len(named)].tag
		vr := VROf(tag)
		if tag.Group() == 0x0002 || tag == DataSetTrailingPadding || !vr.isText() && !vr.isASCII() {
			return
		}
		cs, _ := ParseCharset(strings.Split(supported[int(set)%len(supported)], `\`))
		raw, err := NewBuilder(ExplicitLE, cs).Text(tag, text).Bytes()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(raw, ExplicitLE, Limits{})
		if err != nil || len(got.Stats.Notes()) > 0 || len(got.Elements) != 1 || got.Elements[0].VR != vr && len(raw) < maxShort {
			t.Fatalf("%v, %+v", err, got)
		}
		values := got.Texts(tag, cs)
		for _, v := range values {
			if n := MaxLen(vr); n > 0 && vr != PN && vr != DA && vr != TM && vr != DT && utf8.RuneCountInString(v) > n {
				t.Fatalf("%d characters of %s", utf8.RuneCountInString(v), vr)
			}
		}
		b := NewBuilder(ExplicitLE, cs).Text(tag, strings.Join(values, `\`))
		again, err := b.Bytes()
		if err != nil || len(b.Notes()) > 0 {
			t.Fatalf("%v, %v for %q", err, b.Notes(), values)
		}
		second, err := Parse(again, ExplicitLE, Limits{})
		if err != nil || strings.Join(second.Texts(tag, cs), `\`) != strings.Join(values, `\`) {
			t.Fatalf("%q became %q", values, second.Texts(tag, cs))
		}
	})
}
