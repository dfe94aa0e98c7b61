package hl7

import (
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

// declared makes a message with a name and MSH-18.
func declared(msh18, name string) string {
	return defectHeader + "||||||" + msh18 + "\rPID|||1||" + name + "^Bella||20200102\r"
}

func encoded(t *testing.T, e encoding.Encoding, s string) []byte {
	t.Helper()
	b, err := e.NewEncoder().Bytes([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCharsetPrecedence(t *testing.T) {
	latin2 := string(encoded(t, charmap.ISO8859_2, "Łódź"))
	for _, tc := range []struct {
		about, raw string
		o          Options
		name, set  string
		notes      int
	}{
		{"no MSH-18, UTF-8", declared("", "Müller"), Options{}, "Müller", "UNICODE UTF-8", 0},
		{"no MSH-18, windows-1252", declared("", "M\xFCller\x80"), Options{}, "Müller€", "windows-1252", 0},
		{"MSH-18", declared("8859/2", latin2), Options{}, "Łódź", "8859/2", 0},
		{"override wins", declared("8859/1", latin2), Options{Charset: "8859/2"}, "Łódź", "8859/2", 0},
		{"default of the peer", declared("", latin2), Options{Default: "ISO-8859-2"}, "Łódź", "8859/2", 0},
		{"MSH-18 before the default", declared("8859/1", "M\xFCller"), Options{Default: "8859/2"}, "Müller", "8859/1", 0},
		{"MSH-18 lies: UTF-8", declared("UNICODE UTF-8", "M\xFCller"), Options{}, "Müller", "windows-1252", 1},
		{"MSH-18 lies: ASCII", declared("ASCII", "Müller"), Options{}, "Müller", "UNICODE UTF-8", 1},
		{"MSH-18 unknown", declared("CNS 11643-1992", "Müller"), Options{}, "Müller", "UNICODE UTF-8", 1},
		{"8859/1 with letters of windows-1252", declared("8859/1", "M\xFCller \x84x\x93"), Options{}, "Müller „x“", "windows-1252", 1},
		{"lower case and spelling", declared("utf8", "Müller"), Options{}, "Müller", "UNICODE UTF-8", 0},
		{"ASCII", declared("", "Mueller"), Options{}, "Mueller", "ASCII", 0},
		{"repetition", declared("ASCII~ISO IR87", string(encoded(t, japanese.ISO2022JP, "山田"))), Options{}, "山田", "ISO IR87", 0},
		{"Korean", declared("KS X 1001", string(encoded(t, korean.EUCKR, "김희중"))), Options{}, "김희중", "KS X 1001", 0},
	} {
		m, err := Parse([]byte(tc.raw), tc.o)
		if err != nil {
			t.Fatal(tc.about, err)
		}
		if m.Get("PID-5.1") != tc.name || m.Charset() != tc.set || len(m.Notes()) != tc.notes || m.Get("PID-5.2") != "Bella" {
			t.Errorf("%s: %q in %q, notes %q", tc.about, m.Text("PID-5"), m.Charset(), m.Notes())
		}
	}
}

// A trailing byte of these sets can equal a separator: they are decoded first.
func TestDecodeBeforeSplitting(t *testing.T) {
	for set, e := range map[string]encoding.Encoding{
		"GB 18030-2000": simplifiedchinese.GB18030, "ISO IR14": japanese.ShiftJIS, "ISO IR87": japanese.ISO2022JP,
	} {
		for _, name := range []string{"表示ソ", "ポチ"} {
			raw := encoded(t, e, declared(set, name))
			m, err := Parse(raw, Options{})
			if err != nil {
				t.Fatal(set, err)
			}
			if m.Get("PID-5.1") != name || m.Get("PID-7") != "20200102" {
				t.Errorf("%s: %q", set, m.Text("PID-5"))
			}
		}
	}
	raw := encoded(t, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), declared("", "日本"))
	m, err := Parse(raw, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, m, "PID-5.1", "日本")
}

// Names reach a peer in its character set, and what was replaced is told.
func TestEncodingForAPeer(t *testing.T) {
	const name = "Jäger ß ł Я 日本 |&"
	for _, tc := range []struct {
		charset, msh18, reads string
		notes                 int
	}{
		{"", "UNICODE UTF-8", name, 0},
		{"UTF-8", "UNICODE UTF-8", name, 0},
		{"8859/1", "8859/1", "Jäger ß l Ia ?? |&", 4},
		{"8859/2", "8859/2", "Jäger ß ł Ia ?? |&", 3},
		{"8859/5", "", "Jaeger ss l Я ?? |&", 5},
		{"windows-1252", "", "Jäger ß l Ia ?? |&", 4},
		{"ASCII", "", "Jaeger ss l Ia ?? |&", 6},
		{"GB18030", "GB 18030-2000", name, 0},
		{"ISO IR87", "ISO IR87", "Jaeger ss l Я 日本 |&", 3},
	} {
		b := NewBuilder(BuilderConfig{Charset: tc.charset})
		b.MSH().Set("10", "M1")
		b.Segment("PID").Set("5.1", name).Set("5.2", "Bella")
		raw, notes, err := b.Bytes()
		if err != nil {
			t.Fatal(tc.charset, err)
		}
		m, err := Parse(raw, Options{Default: tc.charset})
		if err != nil {
			t.Fatal(tc.charset, err)
		}
		if m.Get("PID-5.1") != tc.reads || m.Get("PID-5.2") != "Bella" || len(notes) != tc.notes {
			t.Errorf("%s: %q, notes %v", tc.charset, m.Get("PID-5.1"), notes)
		}
		if tc.msh18 != "" && m.Get("MSH-18") != tc.msh18 {
			t.Errorf("%s: MSH-18 is %q", tc.charset, m.Get("MSH-18"))
		}
		for _, n := range notes {
			if n.Where != "PID-5" && n.Where != "PID-5.1" {
				t.Errorf("%s: note at %s", tc.charset, n.Where)
			}
		}
	}
	// MSH-18 only when the message needs it.
	b := NewBuilder(BuilderConfig{Charset: "8859/1"})
	b.Segment("PID").Set("5", "Mueller e\u0301")
	raw, notes, _ := b.Bytes()
	if !strings.Contains(string(raw), "8859/1") || len(notes) != 0 || !strings.Contains(string(raw), "\xE9") {
		t.Errorf("a combining accent is composed: %q", raw)
	}
	b = NewBuilder(BuilderConfig{Charset: "8859/1"})
	b.Segment("PID").Set("5", "Mueller")
	if raw, _, _ := b.Bytes(); strings.Contains(string(raw), "8859") {
		t.Errorf("MSH-18 without need: %q", raw)
	}
}
