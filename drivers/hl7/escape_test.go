package hl7

import (
	"testing"
	"testing/quick"
)

func TestEscapesOnRead(t *testing.T) {
	for _, tc := range []struct{ raw, text string }{
		{`O\T\Neil`, "O&Neil"},
		{`\F\\S\\T\\R\\E\`, `|^&~\`},
		{`a\.br\b\.BR\c`, "a\nb\nc"},
		{`a\X0D\b`, "a\rb"},
		{`a\X0D0A\b`, "a\r\nb"},
		{`a\X000d\b`, "a\rb"},
		{`a\X00D\b`, "a\rb"},
		{`\X00\`, "\x00"},
		{`\XC3A4\`, "ä"},
		{`\E\X0D\E\`, `\X0D\`}, // decoded once, not twice
		{`C:\temp`, `C:\temp`},
		{`\`, `\`},
		{`\\`, `\\`},
		{`a\`, `a\`},
		{`\F`, `\F`},
		{`\H\bold\N\`, `\H\bold\N\`},
		{`\Z99\`, `\Z99\`},
		{`\XZZ\`, `\XZZ\`},
		{`\X\`, `\X\`},
		{`\XD800D\`, "\U000D800D"},
		{`\X0FFFFFFFF\`, `\X0FFFFFFFF\`},
		{`100 \ 2 \F\ 3`, `100 \ 2 | 3`}, // the bare one opens nothing
		{`\C2842\`, `\C2842\`},
	} {
		m := ours(t, defectHeader+"\rNTE|1||"+tc.raw+"|next\r")
		want(t, m, "NTE-3", tc.text)
		want(t, m, "NTE-4", "next")
	}
}

// What the builder writes is read back, leaf by leaf, whatever it is.
func TestBuilderRoundTrip(t *testing.T) {
	for _, d := range []Delimiters{DefaultDelimiters, {'#', '*', '+', '!', '%'}, {'"', '\'', '`', '$', '@'}} {
		check := func(family, given, other, long string) bool {
			b := NewBuilder(BuilderConfig{Delimiters: d})
			b.Segment("PID").Set("3[2].4.2", other).Set("5.2", given).Set("5.1", family)
			b.Segment("OBX").Set("5", long+long+long)
			b.Segment("OBX").Set("5", given).Set("11", "F")
			raw, notes, err := b.Bytes()
			if err != nil {
				return false
			}
			m, err := Parse(raw, Options{})
			if err != nil {
				return false
			}
			cs := charsetUTF8
			norm := func(s string) string { s, _ = cs.writable(s, "", nil); return s }
			_ = notes
			return m.Get("PID-5.1") == norm(family) && m.Get("PID-5.2") == norm(given) && m.Get("PID-3[2].4.2") == norm(other) &&
				m.Get("OBX-5") == norm(long+long+long) && m.Get("OBX(2)-5") == norm(given) && m.Get("OBX(2)-11") == "F" && len(m.Segments("")) == 4
		}
		for _, s := range []string{`""`, `"`, `\`, `|^~\&`, "\r", "\n", "\r\nMSH|x", "\x0b\x1c\r", "\x00", "Müller", "日本", "\u2028", "#*+!%", `\F\`, `\.br\`} {
			if !check(s, s+"x", "x"+s, s) {
				t.Errorf("%q does not come back with %c", s, d.Field)
			}
		}
		if err := quick.Check(check, &quick.Config{MaxCount: 500}); err != nil {
			t.Error(err)
		}
	}
}

func TestNull(t *testing.T) {
	m := ours(t, defectHeader+"\rPID|\"\"||x~\"\"|\"\"^a||\"\"\r")
	for at, null := range map[string]bool{
		"PID-1": true, "PID-2": false, "PID-3": false, "PID-3[2]": true, "PID-4": false, "PID-4.1": true, "PID-5": false, "PID-6": true, "PID-7": false, "ZZZ-1": false,
	} {
		if m.Null(at) != null {
			t.Errorf("Null(%s) is %v", at, !null)
		}
	}
	if m.Get("PID-1") != "" || !m.Has("PID-1") || m.Has("PID-2") {
		t.Error("null and absent are not told apart")
	}
	b := NewBuilder(BuilderConfig{})
	b.Segment("PID").Null("5").Set("6", `""`)
	raw, _, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	m = ours(t, string(raw))
	if !m.Null("PID-5") || m.Null("PID-6") || m.Get("PID-6") != `""` {
		t.Errorf("got %q", raw)
	}
}
