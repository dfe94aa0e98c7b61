package hl7

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	lib "github.com/lenaten/hl7"
)

// The defects of the library, D1 to D14: each test shows that the library still
// has the defect, which is why the image exists, and that we have not.

const defectHeader = `MSH|^~\&|RIS|CLINIC|RAYHOUND|CLINIC|20261124||ORM^O01|M1|P|2.3.1`

// library parses as nobody should, with spare bytes so that D5 and D6 stay out.
func library(t *testing.T, text string) *lib.Message {
	t.Helper()
	b := make([]byte, len(text), len(text)+2)
	copy(b, text)
	m := lib.NewMessage(b)
	if err := m.Parse(); err != nil {
		t.Fatal("the library refuses")
	}
	return m
}

func ours(t *testing.T, text string) *Message {
	t.Helper()
	m, err := Parse([]byte(text), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func found(m *lib.Message, loc string) string { s, _ := m.Find(loc); return s }

func want(t *testing.T, m *Message, at, text string) {
	t.Helper()
	if got := m.Get(at); got != text {
		t.Errorf("%s is %q, want %q", at, got, text)
	}
}

func TestD01MultiByteText(t *testing.T) {
	text := defectHeader + "\rPID|||1||Müller^Bella||20200102\rORC|NW\r"
	if found(library(t, text), "PID.5") == "Müller^Bella" {
		t.Error("the library is right now")
	}
	m := ours(t, text)
	want(t, m, "PID-5.1", "Müller")
	want(t, m, "PID-5.2", "Bella")
	want(t, m, "PID-7", "20200102")
	want(t, m, "ORC-1", "NW")
}

func TestD02Latin1Byte(t *testing.T) {
	text := defectHeader + "\rPID|||1||M\xFCller^Bella\r"
	if got := found(library(t, text), "PID.5.0"); got != "M\xFCller" {
		t.Errorf("the library gives %q", got)
	}
	want(t, ours(t, text), "PID-5.1", "Müller")
}

func TestD03EscapeBeforeSeparator(t *testing.T) {
	for _, tc := range []struct{ value, leaf string }{{`A\F\`, "A|"}, {`A\`, `A\`}, {`A\E\`, `A\`}} {
		text := defectHeader + "\rPID|||" + tc.value + "|X\r"
		if found(library(t, text), "PID.4") == "X\r" {
			t.Error("the library is right now")
		}
		m := ours(t, text)
		want(t, m, "PID-3", tc.leaf)
		want(t, m, "PID-4", "X")
	}
}

func TestD04EscapeAtEndOfSegment(t *testing.T) {
	text := defectHeader + "\rNTE|1||a\\\rORC|NW\r"
	if _, err := library(t, text).Segment("ORC"); err == nil {
		t.Error("the library is right now")
	}
	m := ours(t, text)
	want(t, m, "NTE-3", `a\`)
	want(t, m, "ORC-1", "NW")
}

func TestD05ExactCapacity(t *testing.T) {
	for spare := range 2 {
		text := defectHeader + "\r"
		b := make([]byte, len(text), len(text)+spare)
		copy(b, text)
		if lib.NewMessage(b).Parse() == nil {
			t.Error("the library is right now, spare", spare)
		}
		if _, err := Parse(b[:len(text):len(text)+spare], Options{}); err != nil {
			t.Error(err)
		}
	}
}

func TestD06ReadsPastTheEnd(t *testing.T) {
	text := defectHeader + "\rNTE|1||abc"
	b := append([]byte(text), "YZ and more"...)[:len(text)]
	m := lib.NewMessage(b)
	if err := m.Parse(); err != nil || found(m, "NTE.3") != "abcY" {
		t.Error("the library is right now")
	}
	got, err := Parse(b, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, got, "NTE-3", "abc")
}

func TestD07TerminatorKept(t *testing.T) {
	text := defectHeader + "\rORC\rOBR|1\r"
	m := library(t, text)
	if found(m, "MSH.12") != "2.3.1\r" {
		t.Error("the library is right now")
	}
	if _, err := m.Segment("ORC"); err == nil {
		t.Error("the library is right now")
	}
	o := ours(t, text)
	want(t, o, "MSH-12", "2.3.1")
	want(t, o, "OBR-1", "1")
	if !o.Has("ORC") {
		t.Error("ORC is lost")
	}
}

func TestD08EscapesNotDecoded(t *testing.T) {
	text := defectHeader + "\rNTE|1||O\\T\\Neil\r"
	if found(library(t, text), "NTE.3") != "O\\T\\Neil\r" {
		t.Error("the library is right now")
	}
	want(t, ours(t, text), "NTE-3", "O&Neil")
}

func TestD09InvalidAcknowledgement(t *testing.T) {
	ack := lib.Acknowledge(lib.MsgInfo{ControlID: "M1", MessageType: "ORM^O01"}, nil)
	if bytes.HasPrefix(ack.Value, []byte(`MSH|^~\&|`)) && bytes.Count(ack.Value, []byte("MSH|")) == 1 {
		t.Error("the library is right now")
	}
	b, _, err := NewAck(ours(t, defectHeader), Ack{Code: AA, MessageControlID: "A1"}).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	const golden = "MSH|^~\\&|RAYHOUND|CLINIC|RIS|CLINIC|||ACK^O01|A1|P|2.3.1\rMSA|AA|M1\r"
	if string(b) != golden {
		t.Errorf("got %q", b)
	}
}

func TestD10SetBreaksMessages(t *testing.T) {
	m := library(t, defectHeader+"\rPID|||1~2||A\r")
	if err := m.Set(lib.NewLocation("PID.5"), "B|C"); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(m.Value, []byte("1|2")) || !bytes.Contains(m.Value, []byte("B|C")) {
		t.Error("the library is right now")
	}
	b := NewBuilder(BuilderConfig{})
	b.Segment("PID").Set("3", "1").Set("3[2]", "2").Set("5", "B|C")
	b.Segment("OBX").Set("1", "1")
	b.Segment("OBX").Set("1", "2")
	out, _, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	got := ours(t, string(out))
	want(t, got, "PID-3[2]", "2")
	want(t, got, "PID-5", "B|C")
	want(t, got, "OBX(2)-1", "2")
}

func TestD11NULCutsTheMessage(t *testing.T) {
	text := defectHeader + "\rNTE|1||a\x00b\rORC|NW\r"
	if _, err := library(t, text).Segment("ORC"); err == nil {
		t.Error("the library is right now")
	}
	m := ours(t, text)
	want(t, m, "NTE-3", "a\x00b")
	want(t, m, "ORC-1", "NW")
}

func TestD12DecoderReadsOnce(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if _, err := w.WriteString("\x0B" + defectHeader[:20]); err != nil {
		t.Fatal(err)
	}
	got, err := lib.NewDecoder(r).Messages()
	if err != nil || len(got) != 1 {
		t.Errorf("the library is right now: %d messages", len(got))
	}
	// Ours: the framing of package mllp, which waits for the end of a frame.
}

func TestD13ErrorTextHoldsTheMessage(t *testing.T) {
	text := defectHeader + "\rPID|||1||SECRET^Bella\r"
	err := lib.NewMessage([]byte(text)[:len(text):len(text)]).Parse()
	if err == nil || !strings.Contains(err.Error(), "SECRET") {
		t.Error("the library is right now")
	}
	for _, bad := range []string{
		"PID|||1||SECRET", "MSHSECRET^~", "MSH|SECRET", "MSH||SECRET", "MSH",
		text + "MSH|^~\\&|SECRET\r", text + "NTE" + strings.Repeat("|SECRET", 5000) + "\r",
	} {
		m, err := Parse([]byte(bad), Options{})
		if err == nil || m != nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}

func TestD14ShortEncodingCharacters(t *testing.T) {
	text := `MSH|^~\|RIS|CLINIC|||20261124||ORM^O01|M1|P|2.3.1` + "\rPID|||1||A^B&C\r"
	if found(library(t, text), "MSH.3") == "CLINIC" {
		t.Error("the library is right now")
	}
	m := ours(t, text)
	want(t, m, "MSH-2", `^~\`)
	want(t, m, "MSH-3", "RIS")
	want(t, m, "MSH-10", "M1")
	want(t, m, "PID-5.2.2", "C")
}

// Nobody calls what no image can mend, and nobody but one file knows the library.
func TestForbiddenCalls(t *testing.T) {
	files, err := filepath.Glob("../../*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir("../..", func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".go") {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) < 20 {
		t.Fatal(err, len(files))
	}
	forbidden := regexp.MustCompile(`hl7\.(NewDecoder|Decoder|Split|Acknowledge|StartMessage|Marshal|Unmarshal|NewMsgInfo|NewMsgInfoAck)\b|\bSegments\[[^]]*\]\.Set\(|\.Message\{`)
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // a file of another test that is gone
		}
		if strings.HasSuffix(path, "_test.go") || !bytes.Contains(b, []byte(`"github.com/lenaten/hl7"`)) {
			continue
		}
		if base := filepath.Base(path); base != "library.go" && base != "message.go" {
			t.Errorf("%s imports the library; only library.go and message.go may", path)
		}
		if call := forbidden.Find(b); call != nil {
			t.Errorf("%s calls %s", path, call)
		}
	}
}
