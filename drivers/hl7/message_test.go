package hl7

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestPaths(t *testing.T) {
	m := ours(t, defectHeader+"\rPID|1||A^^^X&1.2&ISO~B^^^Y||Owner^Pet\rOBX|1|TX|a||one\rOBX|2|TX|b||two~deux^x&y\rZZ1|zed\rORC\r")
	for at, text := range map[string]string{
		"PID-3": "A", "PID-3.4": "X", "PID-3.4.2": "1.2", "PID-3[1].4.3": "ISO", "PID-3[2]": "B", "PID-3[2].4": "Y",
		"PID-5.2": "Pet", "OBX-5": "one", "OBX(2)-5": "two", "OBX(2)-5[2].2.2": "y", "OBX(3)-5": "", "ZZ1-1": "zed",
		"MSH-1": "|", "MSH-2": `^~\&`, "MSH-3": "RIS", "MSH-9.2": "O01", "PID-3[3]": "", "PID-99": "",
		"": "", "PID": "", "PID5": "", "PID-": "", "PID-0": "", "PID-5.": "", "PID-5.x": "", "PID-5.1.1.1": "", "PID(0)-5": "",
		"PID-3[": "", "PID-3[1": "", "OBX(2": "", "PID-99999999999999999999": "",
	} {
		if got := m.Get(at); got != text {
			t.Errorf("%s is %q, want %q", at, got, text)
		}
	}
	if got := m.Text("OBX(2)-5"); got != "two~deux^x&y" {
		t.Errorf("Text gives %q", got)
	}
	if m.Count("OBX") != 2 || m.Count("PID-3") != 2 || m.Count("PID-4") != 0 || m.Count("ABC") != 0 || m.Segments("OBX")[1].Get("1") != "2" {
		t.Error("counts are wrong")
	}
	if m.Type() != "ORM^O01" || m.ControlID() != "M1" || m.Version() != "2.3.1" || !m.Has("ORC") || m.Has("ORC-1") {
		t.Error("the header is wrong")
	}
	var none Segment
	if none.Get("1") != "" || none.Name() != "" || none.Has("1") || none.Count(1) != 0 || none.Fields() != 0 || none.Exists() {
		t.Error("the absent segment is not empty")
	}
}

func TestTerminators(t *testing.T) {
	for _, end := range []string{"\r", "\n", "\r\n", "\r\r", "\n\n", "\r\n\r\n"} {
		for _, last := range []string{end, ""} {
			m := ours(t, defectHeader+end+"PID|1||7"+end+"ORC|NW"+last)
			if len(m.Segments("")) != 3 || m.Get("MSH-12") != "2.3.1" || m.Get("PID-3") != "7" || m.Get("ORC-1") != "NW" {
				t.Errorf("terminator %q: %d segments", end, len(m.Segments("")))
			}
		}
	}
	m := ours(t, defectHeader+"\rNTE|1||line\nline\r")
	want(t, m, "NTE-3", "line\nline")
	want(t, ours(t, "\xEF\xBB\xBF\r\n\x00\x0b"+defectHeader), "MSH-10", "M1")
}

func TestLimits(t *testing.T) {
	for what, text := range map[string]string{
		"bytes":               defectHeader + strings.Repeat("x", 32<<20),
		"segments":            defectHeader + strings.Repeat("\rA", 50_001),
		"fields of a segment": defectHeader + "\rOBX" + strings.Repeat("|", 4097),
		"elements":            defectHeader + strings.Repeat("\rOBX|"+strings.Repeat("^", 10_000), 101),
	} {
		_, err := Parse([]byte(text), Options{})
		var limit *LimitError
		if !errors.As(err, &limit) || limit.What != what {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := Parse([]byte(defectHeader+"|||"), Options{Limits: Limits{MaxFields: 5}}); err == nil {
		t.Error("a limit of the caller does not count")
	}
}

func TestHeaderRefusals(t *testing.T) {
	for text, code := range map[string]string{
		"": "100", "PID|1": "100", "msh|^~\\&|": "100", "MSH": "101", "MSH|": "101", "MSH||x": "101", "MSH|\r": "101",
		"MSHA^~\\&A": "102", "MSH|^^\\&|": "102", "MSH||^~\\&|": "101", "MSH|^~\\||": "", "MSH|ab|": "102", "MSH ^~\\& ": "102", "MSH|^~\\|&|x": "",
		"FHS|^~\\&|": "100",
	} {
		_, err := Parse([]byte(text), Options{})
		var parse *ParseError
		switch {
		case code == "" && err != nil:
			t.Errorf("%q: %v", text, err)
		case code != "" && (!errors.As(err, &parse) || parse.Code != code):
			t.Errorf("%q: %v, want %s", text, err, code)
		}
	}
}

func TestGroups(t *testing.T) {
	m := ours(t, defectHeader+"\rPID|1\rNTE|1||patient\rORC|RE|A1\rOBR|1\rNTE|1||order\rZDS|1.2.3\rOBX|1\rNTE|1||first\rOBX|2\rOBR|2\rOBX|1\rORC|SC|A3\rORC|SC|A4\rOBR|1\r")
	g := m.Groups()
	if len(g) != 4 {
		t.Fatalf("%d groups", len(g))
	}
	if g[0].ORC.Get("2") != "A1" || g[0].First("ZDS").Get("1") != "1.2.3" || len(g[0].Observations) != 2 ||
		g[0].Notes[0].Get("3") != "order" || g[0].Observations[0].Notes[0].Get("3") != "first" {
		t.Error("the first group is wrong")
	}
	if g[1].ORC.Exists() || g[1].OBR.Get("1") != "2" || g[2].OBR.Exists() || g[3].ORC.Get("2") != "A4" || g[3].First("ZDS").Exists() {
		t.Error("the later groups are wrong")
	}
	if g := ours(t, defectHeader+"\rOBX|1\rOBX|2\r").Groups(); len(g) != 1 || len(g[0].Observations) != 2 {
		t.Error("OBX without OBR is lost")
	}
}

func TestBuilderRefuses(t *testing.T) {
	for name, build := range map[string]func(*Builder){
		"segment name": func(b *Builder) { b.Segment("pid") },
		"second MSH":   func(b *Builder) { b.Segment("MSH") },
		"path":         func(b *Builder) { b.Segment("PID").Set("x", "1") },
		"far":          func(b *Builder) { b.Segment("PID").Set("5000", "1") },
		"MSH-2":        func(b *Builder) { b.MSH().Set("2", "x") },
		"SetAll":       func(b *Builder) { b.Segment("PID").SetAll("5.1", "x") },
	} {
		b := NewBuilder(BuilderConfig{})
		build(b)
		if _, _, err := b.Bytes(); err == nil {
			t.Error(name, "is taken")
		}
	}
	for _, c := range []BuilderConfig{{Charset: "klingon"}, {Delimiters: Delimiters{'|', '|', '~', '\\', '&'}}} {
		if _, _, err := NewBuilder(c).Bytes(); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

func TestBuilderOrderAndRepeats(t *testing.T) {
	build := func() []byte {
		b := NewBuilder(BuilderConfig{Version: "2.3.1"})
		b.MSH().Set("10", "M1").Set("3", "A").Set("9.2", "O01").Set("9.1", "ORM")
		b.Segment("PID").Set("5.2", "B").Set("3[3]", "c").Set("5.1", "x").Set("5.1", "A").Set("3", "a").Set("30", "").Set("8", "F")
		b.Segment("OBX").Set("5.1.2", "s")
		b.Segment("OBX")
		raw, _, err := b.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		again, _, _ := b.Bytes()
		if string(again) != string(raw) {
			t.Error("a second call gives other bytes")
		}
		return raw
	}
	const golden = "MSH|^~\\&|A||||||ORM^O01|M1||2.3.1\rPID|||a~~c||A^B|||F\rOBX|||||&s\rOBX\r"
	for range 3 {
		if got := build(); string(got) != golden {
			t.Fatalf("got  %q\nwant %q", got, golden)
		}
	}
}

func TestAckRoundTrip(t *testing.T) {
	at := time.Date(2026, 11, 24, 1, 2, 3, 0, time.FixedZone("", 3600))
	for version, golden := range map[string]string{
		"2.3.1": "MSH|^~\\&|US|HERE|RIS|CLINIC|20261124010203+0100||ACK^O01|A1|P|2.3.1\rMSA|AE|M1|unknown accession\rERR|PID^1^5^101&unknown accession\r",
		"2.5.1": "MSH|^~\\&|US|HERE|RIS|CLINIC|20261124010203+0100||ACK^O01^ACK|A1|P|2.5.1\rMSA|AE|M1|unknown accession\rERR||PID^1^5^^2|101^Required field missing^HL70357|E||||unknown accession\r",
	} {
		m := ours(t, strings.Replace(defectHeader, "2.3.1", version, 1))
		raw, _, err := NewAck(m, Ack{
			Code: AE, MessageControlID: "A1", At: at, SendingApplication: "US", SendingFacility: "HERE",
			Errors: []AckError{{Code: CodeRequiredFieldMissing, Where: "PID-5.2", Text: "unknown accession"}},
		}).Bytes()
		if err != nil || string(raw) != golden {
			t.Errorf("%v\ngot  %q\nwant %q", err, raw, golden)
		}
		a, err := ParseAck(raw, Options{})
		if err != nil || a.Code != AE || a.ControlID != "M1" || a.Text != "unknown accession" || len(a.Errors) != 1 ||
			a.Errors[0].Code != "101" || !strings.HasPrefix(a.Errors[0].Where, "PID-5") || a.Errors[0].Text != "unknown accession" {
			t.Errorf("%v: %+v", err, a)
		}
	}
}

// Answers as peers send them.
func TestParseAck(t *testing.T) {
	for _, tc := range []struct {
		about, raw string
		code       AckCode
		id, errs   string
		err        error
	}{
		{"LF", "MSH|^~\\&|||||||ACK|1|P|2.3\nMSA|AA|M1\n", AA, "M1", "", nil},
		{"extra CR", "MSH|^~\\&|||||||ACK|1|P|2.3\r\rMSA|AA|M1\r\r", AA, "M1", "", nil},
		{"ORR", "MSH|^~\\&|||||||ORR^O02|1|P|2.3\rMSA|AA|M1\rORC|OK|A1\r", AA, "M1", "", nil},
		{"MCF", "MSH|^~\\&|||||||MCF|1|P|2.3\rMSA|CA|M1\r", CA, "M1", "", nil},
		{"AA with ERR", "MSH|^~\\&|||||||ACK|1|P|2.5\rMSA|AA|M1\rERR||ORC^1^1|101^x^y|E||||bad pair\r", AA, "M1", "101", nil},
		{"MSA-6", "MSH|^~\\&|||||||ACK|1|P|2.3\rMSA|AE|M1|no|||207^internal\r", AE, "M1", "207", nil},
		{"empty MSA-2", "MSH|^~\\&|||||||ACK|1|P|2.3\rMSA|AA\r", AA, "", "", nil},
		{"no MSA", "MSH|^~\\&|||||||ACK|1|P|2.3\r", "", "", "", ErrNoMSA},
		{"lower case", "MSH|^~\\&|||||||ACK|1|P|2.3\rMSA|aa| M1 \r", AA, "M1", "", nil},
	} {
		a, err := ParseAck([]byte(tc.raw), Options{})
		code := ""
		if len(a.Errors) > 0 {
			code = a.Errors[0].Code
		}
		if !errors.Is(err, tc.err) || a.Code != tc.code || a.ControlID != tc.id || code != tc.errs {
			t.Errorf("%s: %v %+v", tc.about, err, a)
		}
	}
}

// A message without MSH-9, and one that is none, still get an answer.
func TestAnswerToTheUnreadable(t *testing.T) {
	for raw, golden := range map[string]string{
		"MSH|^~\\&|RIS|CLINIC|||2026||||P|2.4|":    "MSH|^~\\&|||RIS|CLINIC|||ACK|A1|P|2.4\rMSA|AR||no type\rERR|^^^200&no type\r",
		"garbage":                                  "MSH|^~\\&|||||||ACK|A1|P|2.5.1\rMSA|AR||no type\rERR|||200^Unsupported message type^HL70357|E||||no type\r",
		"MSH|^^^^|RIS||||||ORU^R01^X|M7|T^x|2.5^a": "MSH|^~\\&|||RIS||||ACK^R01^ACK|A1|T|2.5\rMSA|AR|M7|no type\rERR|||200^Unsupported message type^HL70357|E||||no type\r",
	} {
		b, _, err := NewAckTo(PeekHeader([]byte(raw)), Ack{
			Code: AR, MessageControlID: "A1", Errors: []AckError{{Code: CodeUnsupportedMessageType, Text: "no type"}},
		}).Bytes()
		if err != nil || string(b) != golden {
			t.Errorf("%v\ngot  %q\nwant %q", err, b, golden)
		}
	}
}
