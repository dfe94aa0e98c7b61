package hl7

import (
	"fmt"
	"strings"
	"testing"
	"testing/quick"
	"unicode/utf8"
)

// imageOf returns the image of one leaf.
func imageOf(text string) ([]byte, []string) {
	return appendImage(nil, nil, text, newLeafTable(DefaultDelimiters))
}

// Every Unicode string without separators comes back from its image, and the
// image is printable ASCII.
func TestImageRoundTrip(t *testing.T) {
	check := func(s string) bool {
		s = strings.ToValidUTF8(strings.NewReplacer("|", "", "^", "", "~", "", "&", "").Replace(s), "?")
		image, long := imageOf(s)
		for _, c := range image {
			if c < ' ' || c > 0x7E || c == '\\' {
				return false
			}
		}
		return leafText(image, long) == s
	}
	for _, s := range []string{
		"", "z", "q", "zz00007a", "q00000000", "z0000e4", "ä", "日本", `\F\`, "\x00\r\n\t\x7f", "\U0010FFFF",
		strings.Repeat("z", longLeaf), strings.Repeat("ä", 30), strings.Repeat("q", longLeaf+1),
	} {
		if !check(s) {
			t.Errorf("%q does not come back", s)
		}
	}
	if err := quick.Check(check, &quick.Config{MaxCount: 5000}); err != nil {
		t.Error(err)
	}
}

// plainSplit is the other way to read a message: decoded text, cut by
// strings.Split. It shares no code with the driver but the header check and the
// choice of the character set. Leaves are listed as "SEG/i/field/rep/comp/sub=text".
func plainSplit(text string, d Delimiters, msh2 string) []string {
	var lines []string
	if strings.Contains(text, "\r") {
		text = strings.ReplaceAll(text, "\r\n", "\r")
		lines = strings.Split(text, "\r")
		for i := range lines {
			lines[i] = strings.TrimSuffix(lines[i], "\n")
		}
	} else {
		lines = strings.Split(text, "\n")
	}
	var out []string
	n := 0
	for _, line := range lines {
		if strings.ReplaceAll(line, "\x00", "") == "" {
			continue
		}
		fields := strings.Split(line, string(rune(d.Field)))
		name := fields[0]
		first := 1
		if n == 0 {
			// Behind MSH-2 may come more than its four characters.
			fields = strings.Split(line[4+len(msh2):], string(rune(d.Field)))
			name = "MSH"
			fields[0] = ""
			first = 3
		}
		for i, f := range fields[1:] {
			for r, rep := range strings.Split(f, string(rune(d.Repetition))) {
				for c, comp := range strings.Split(rep, string(rune(d.Component))) {
					for k, sub := range strings.Split(comp, string(rune(d.Subcomponent))) {
						out = append(out, fmt.Sprintf("%s/%d/%d/%d/%d/%d=%s", name, n, first+i, r+1, c+1, k+1, sub))
					}
				}
			}
		}
		n++
	}
	return out
}

// allLeaves lists the leaves of a message in the same form.
func allLeaves(m *Message) []string {
	var out []string
	for _, s := range m.Segments("") {
		for f := 1; f <= s.Fields(); f++ {
			if s.i == 0 && f < 3 {
				continue
			}
			s.leaves(path{field: f}, func(at path, text string) {
				out = append(out, fmt.Sprintf("%s/%d/%d/%d/%d/%d=%s", s.Name(), s.i, at.field, at.repetition, at.component, at.subcomponent, text))
			})
		}
	}
	return out
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		defectHeader + "\rPID|||1~2^A&B||Müller^Bella\r",
		"MSH|^~\\&\rORC\rOBX|1|ED|^PDF||^AP^PDF^Base64^" + strings.Repeat("qz", 100) + "|\\\r",
		"MSH#*+!%#a#b\nPID#1*2+3%4!F!\n",
		"MSH|^|x\rMSHX|^~\\&|y\r", "MSH|^~\\&#|a\r\nNTE|1||x\ny\r\n", "MSH|\"^~`|\"\"|a`b\r",
		"\xEF\xBB\xBFMSH|^~\\&|a||||||||||||||||8859/1\rNTE|\xE4\x00\r", "MSH|^~\\&|z\rz|q\r|||\r\x00\r",
		"MSH|^~\\&|||||||||||||||||ISO IR87\rPID|||||\x1b$B;3ED\x1b(B\r",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := Parse(raw, Options{Limits: Limits{MaxBytes: 1 << 20}})
		if err != nil {
			return
		}
		text, _, _ := Options{}.read(trimJunk(raw))
		text = strings.TrimPrefix(text, "\uFEFF")
		if !utf8.ValidString(text) {
			t.Fatal("the text is not valid UTF-8")
		}
		want, got := plainSplit(text, m.delimiters, m.msh2), allLeaves(m)
		for i := range max(len(want), len(got)) {
			if i >= len(want) || i >= len(got) || want[i] != got[i] {
				t.Fatalf("leaf %d of %d and %d differs\nplain  %q\ndriver %q", i, len(want), len(got), want[min(i, len(want)):min(i+2, len(want))], got[min(i, len(got)):min(i+2, len(got))])
			}
		}
		for _, s := range m.Segments("") {
			for n := range s.Fields() + 1 {
				p := path{field: n, repetition: 1}
				_, _, _, _ = s.get(p), s.textAt(p), s.has(p), s.null(p)
			}
		}
		_, _, _ = m.Groups(), m.Type(), PeekHeader(raw)
		_, _ = ParseAck(raw, Options{})
		if _, _, err := NewAck(m, Ack{Code: AE, Errors: []AckError{{Where: "PID-5"}}}).Bytes(); err != nil {
			t.Fatal(err)
		}
	})
}
