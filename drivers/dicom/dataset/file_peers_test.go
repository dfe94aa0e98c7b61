//go:build peers

package dataset

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// peer runs a program of the operating system. A missing one fails the test:
// whoever sets the tag wants the comparison.
func peer(t *testing.T, name string, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", name, err, out, stderr.Bytes())
	}
	return string(out) + stderr.String()
}

// writePeerFile writes the animal and returns the path.
func writePeerFile(t *testing.T, s Syntax, cs Charset) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.dcm")
	info := FileInfo{TransferSyntaxUID: s.UID(), ImplementationClassUID: testImplementation, ImplementationVersionName: "RAYHOUND_0_1"}
	if err := WriteFile(path, animal(t, s, cs), info); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFilePeers: a file of ours means the same to DCMTK, pydicom and us.
func TestFilePeers(t *testing.T) {
	cyrillic, _ := ParseCharset([]string{"ISO_IR 101"})
	for _, s := range []Syntax{ImplicitLE, ExplicitLE} {
		for _, cs := range []Charset{Latin1, UTF8, cyrillic} {
			t.Run(s.String()+" "+cs.String(), func(t *testing.T) {
				path := writePeerFile(t, s, cs)
				b, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				f, err := ParseFile(b)
				if err != nil {
					t.Fatal(err)
				}
				dumped := peer(t, "dcmdump", "+U8", path)
				for _, want := range []string{"[Müller^Bella]", "[Müller^Eva]", "[4711]", "[2.25.2]", "[448771007]", "[QUADRUPED]"} {
					if !strings.Contains(dumped, want) {
						t.Errorf("dcmdump does not show %s", want)
					}
				}
				if strings.Contains(dumped, "W:") || strings.Contains(dumped, "E:") {
					t.Errorf("dcmdump complains:\n%s", dumped)
				}
				ours := flatten(f.Set, f.Set.Charset())
				theirs := pydicomTexts(t, path)
				if len(ours) < 30 {
					t.Fatalf("%d texts", len(ours))
				}
				for tag, text := range ours {
					if theirs[tag] != text {
						t.Errorf("%s: pydicom reads %q, we %q", tag, theirs[tag], text)
					}
				}
			})
		}
	}
}

// flatten lists the texts of a set, items included, by tag.
func flatten(s *Set, cs Charset) map[string]string {
	out := map[string]string{}
	for _, e := range s.Elements {
		switch {
		case e.VR == SQ:
			for _, item := range e.Items {
				for k, v := range flatten(item, item.CharsetWithin(cs)) {
					out[k] = v
				}
			}
		case e.Tag == SpecificCharacterSet:
		case e.VR.isText() || e.VR.isASCII():
			out[e.Tag.String()] = strings.Join(s.Texts(e.Tag, cs), `\`)
		}
	}
	return out
}

// pydicomTexts reads the same with pydicom.
func pydicomTexts(t *testing.T, path string) map[string]string {
	t.Helper()
	const script = `
import json, sys, pydicom
out = {}
def walk(ds):
    for e in ds:
        if e.VR == 'SQ':
            for item in e.value: walk(item)
        elif e.VR in ('AE','AS','CS','DA','DS','DT','IS','TM','UI','UR','LO','LT','PN','SH','ST','UC','UT'):
            v = e.value
            if v is None: v = ''
            vs = list(v) if e.VM > 1 else [v]
            out['(%04X,%04X)' % (e.tag.group, e.tag.element)] = '\\'.join(str(x) for x in vs)
walk(pydicom.dcmread(sys.argv[1]))
json.dump(out, sys.stdout)
`
	var got map[string]string
	if err := json.Unmarshal([]byte(peer(t, "/usr/bin/python3", "-c", script, path)), &got); err != nil {
		t.Fatal(err)
	}
	return got
}

// TestPeersReadText: pydicom decodes every single set as we do.
func TestPeersReadText(t *testing.T) {
	for _, c := range []struct{ term, text string }{
		{"ISO_IR 101", "Łódź"},
		{"ISO_IR 144", "Люк"},
		{"ISO_IR 126", "Διονυσιος"},
		{"ISO_IR 138", "שרון"},
		{"ISO_IR 127", "قباني"},
		{"ISO_IR 148", "Çavuşoğlu"},
		{"ISO_IR 166", "นามสกุล"},
		{"GB18030", "王"},
		{"GBK", "王"},
		{"ISO_IR 192", "Łódź 王"},
		{"ISO_IR 13", "ﾔﾏﾀﾞ"},
		{`ISO 2022 IR 6\ISO 2022 IR 87`, "山田"},
		{`ISO 2022 IR 6\ISO 2022 IR 149`, "洪"},
		{`ISO 2022 IR 6\ISO 2022 IR 58`, "张"},
		{`ISO 2022 IR 100\ISO 2022 IR 144`, "Müller Люк"},
	} {
		cs, _ := ParseCharset(strings.Split(c.term, `\`))
		raw, err := NewBuilder(ExplicitLE, cs).Charset().Text(SOPClassUID, "1.2.840.10008.5.1.4.1.1.7").Text(SOPInstanceUID, "2.25.1").
			Text(PatientName, c.text).Bytes()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "text.dcm")
		if err := WriteFile(path, mustParse(t, ExplicitLE, raw), FileInfo{ImplementationClassUID: testImplementation}); err != nil {
			t.Fatal(err)
		}
		got := pydicomTexts(t, path)[PatientName.String()]
		if strings.HasSuffix(c.term, "IR 58") { // pydicom 2.3.1 leaves this escape in the text
			got = strings.TrimPrefix(got, "\x1b$)A")
		}
		if got != c.text {
			t.Errorf("%s: pydicom reads %q, we wrote %q", c.term, got, c.text)
		}
		if strings.HasSuffix(c.term, "IR 13") || strings.HasPrefix(c.term, "ISO 2022 IR 6") { // DCMTK may lack these
			continue
		}
		if out := peer(t, "dcmdump", "+U8", path); !strings.Contains(out, c.text) {
			t.Errorf("%s: dcmdump shows\n%s", c.term, out)
		}
	}
}

// TestPeersValidate: dciodvfy finds nothing wrong with a veterinary object.
func TestPeersValidate(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "dciodvfy", writePeerFile(t, ExplicitLE, Latin1)).CombinedOutput()
	if err != nil {
		t.Errorf("dciodvfy: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "Error") {
			t.Errorf("dciodvfy: %s", line)
		}
	}
	if !strings.Contains(string(out), "SCImage") {
		t.Errorf("dciodvfy did not recognise the object:\n%s", out)
	}
}

// TestPeersFilesAreRead: files of DCMTK in all its ways of writing lengths and
// VRs read the same.
func TestPeersFilesAreRead(t *testing.T) {
	dir := t.TempDir()
	dump := filepath.Join(dir, "item.dump")
	const text = `(0008,0005) CS [ISO_IR 192]
(0008,0050) SH [1001]
(0010,0010) PN [Müller^Bella]
(0010,2201) LO [Dog]
(0010,21c0) US
(0040,0100) SQ
(fffe,e000)
(0008,0060) CS [DX]
(0040,0002) DA [20261122]
(0040,0008) SQ
(fffe,e000)
(0008,0100) SH [ELB]
(fffe,e00d)
(fffe,e0dd)
(fffe,e00d)
(fffe,e0dd)
(0040,1001) SH [1001]
`
	if err := os.WriteFile(dump, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, options := range [][]string{{"+te", "+e"}, {"+te", "-e"}, {"+ti", "+e"}, {"+ti", "-e"}, {"+te", "+g=", "-e"}} {
		path := filepath.Join(dir, "item.dcm")
		peer(t, "dump2dcm", append(options, "-q", dump, path)...)
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		file, err := ReadFile(f)
		if e := f.Close(); e != nil || err != nil || file.Second != nil {
			t.Fatal(options, err, e, file)
		}
		cs, step := file.Set.Charset(), file.Set.Item(ScheduledProcedureStepSequence)
		if file.Set.Text(PatientName, cs) != "Müller^Bella" || file.Set.String(AccessionNumber) != "1001" || step.String(Modality) != "DX" ||
			step.Item(ScheduledProtocolCodeSequence).String(CodeValue) != "ELB" || !file.Set.Has(PregnancyStatus) {
			t.Errorf("%v: read wrongly", options)
		}
	}
}
