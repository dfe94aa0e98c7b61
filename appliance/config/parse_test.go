package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const sample = `version = 1

[clinic]
name = "Riverside Veterinary Clinic"
time_zone = "Europe/Helsinki"

[provet]
base_url = "https://provetcloud.com/4321"
client_id = "abc"
departments = [3, "7"]

[provet.status]
scheduled = 1
completed = "done"
withdrawn = [9, "cancelled"]

[provet.fields.worklist]
status = "state"
referral = ["referral", "diagnosticimaging_referral"]

[provet.sexes]
"3" = "M altered"

[[modality]]
name = "X-ray room 1"
ae_title = "DR1"
addresses = ["192.168.1.40", "10.0.0.0/8"]
serves = "X-ray"
idle_after = "2d"
text_limits = { accession = 12, name = 32 }
fixed_keys = { InstitutionName = "Riverside" }

[[modality]]
name = "CT"
ae_title = "CT1"
code = "CT"
serves = ["CT"]
max_answers = 0
days_back = 0
sees = ["x-ray room 1"]

[[ris]]
name = "clinic-ris"
address = "192.168.1.20:2575"

[[species]]
name = "Dog"
dicom = { value = "448771007", scheme = "SCT", meaning = "Dog" }
`

func TestParse(t *testing.T) {
	f, err := Parse([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Clinic.Location().String(); got != "Europe/Helsinki" {
		t.Errorf("zone %s", got)
	}
	if !reflect.DeepEqual(f.Provet.Departments, Names{"3", "7"}) {
		t.Errorf("departments %q", f.Provet.Departments)
	}
	if f.Provet.Status.Scheduled != "1" || f.Provet.Status.Completed != "done" || f.Provet.Status.Withdrawn[0] != "9" {
		t.Errorf("status %+v", f.Provet.Status)
	}
	if got := f.Provet.Fields["worklist"]["status"]; !reflect.DeepEqual(got, Names{"state"}) {
		t.Errorf("status field %q", got)
	}
	if len(f.Modalities) != 2 {
		t.Fatalf("%d machines", len(f.Modalities))
	}
	dr, ct := f.Modalities[0], f.Modalities[1]
	if dr.IdleAfter.D() != 48*time.Hour || dr.MaxAnswers != 10000 || dr.DaysBack != Unlimited || dr.TextLimits.Accession != 12 ||
		dr.Charset != "auto" || dr.Code != "DX" || len(dr.DoneWhen) != 3 || dr.FixedKeys["InstitutionName"] != "Riverside" {
		t.Errorf("machine 1: %+v", dr)
	}
	if ct.MaxAnswers != 0 || ct.DaysBack != 0 || ct.IdleAfter.D() != 24*time.Hour {
		t.Errorf("machine 2: what the file sets to zero must stay zero: %+v", ct)
	}
	if f.RIS[0].Version != "2.3.1" || len(f.RIS[0].CompletedWhen) != 2 {
		t.Errorf("ris %+v", f.RIS[0])
	}
}

func TestMistakesComeTogether(t *testing.T) {
	_, err := Parse([]byte(`version = 1
[clinik]
name = "a"
[clinic]
time_zone = "Mars/Olympus"
name = 4
[provet]
base_url = "http://provetcloud.com/1"
poll_intervall = "1m"
sweep_interval = "1ms"
proxy_url = "http://me:pass@proxy:1"
[dicom]
ae_title = "A\\B"
accept_unknown = "yes"
max_associations = 100000
listen = ["11112"]
[[modality]]
name = "one"
ae_title = "DR1"
[[modality]]
name = "two"
ae_title = "dr1"
chraset = "auto"
charset = "UTF-8"
done_when = ["mpp"]
text_limits = { acession = 1 }
[page]
listen = ["0.0.0.0:18470"]
[retention]
orders = 90
`))
	var errs Errors
	if !errors.As(err, &errs) {
		t.Fatalf("got %v", err)
	}
	want := map[string]int{
		"clinik": 2, "clinic.time_zone": 5, "clinic.name": 6, "provet.base_url": 8, "provet.poll_intervall": 9,
		"provet.sweep_interval": 10, "provet.proxy_url": 11, "dicom.ae_title": 13, "dicom.accept_unknown": 14, "dicom.max_associations": 15,
		"dicom.listen[1]": 16, "modality[2].ae_title": 22, "modality[2].chraset": 23, "modality[2].charset": 24,
		"modality[2].done_when[1]": 25, "modality[2].text_limits.acession": 26, "page.listen[1]": 28, "retention.orders": 30,
	}
	for _, e := range errs {
		line, ok := want[e.Key]
		if !ok {
			t.Errorf("unexpected: %v", e)
			continue
		}
		if line != e.Line {
			t.Errorf("%s: line %d, want %d", e.Key, e.Line, line)
		}
		delete(want, e.Key)
	}
	for k := range want {
		t.Errorf("no mistake for %s", k)
	}
	text := err.Error()
	for _, s := range []string{
		"did you mean clinic?", "did you mean poll_interval?", "did you mean charset?", "did you mean mpps?", "did you mean accession?",
	} {
		if !strings.Contains(text, s) {
			t.Errorf("no hint %q in\n%s", s, text)
		}
	}
	if strings.Contains(text, "pass@") {
		t.Error("a password of an address is repeated")
	}
	if d := errs.Detail(); !strings.Contains(d, "and 17 more mistakes") {
		t.Errorf("detail: %s", d)
	}
}

func TestSyntaxMistakes(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		line int
	}{
		"unclosed text": {"[clinic]\nname = \"a\n", 2},
		"twice":         {"[clinic]\nname = \"a\"\nname = \"b\"\n", 3},
		"newer":         {"\n\nversion = 9\n", 3},
		"older":         {"version = 0\n", 1},
		"version text":  {"version = \"1\"\n", 1},
		"not utf-8":     {"[clinic]\nname = \"\xff\"\n", 2},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(tc.in))
			var errs Errors
			if !errors.As(err, &errs) || len(errs) != 1 || errs[0].Line != tc.line {
				t.Fatalf("got %v (%#v)", err, errs)
			}
		})
	}
}

func TestByteOrderMark(t *testing.T) {
	if _, err := Parse([]byte("\xef\xbb\xbfversion = 1\r\n[clinic]\r\nname = \"a\"\r\n")); err != nil {
		t.Fatal(err)
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rayhound.toml")
	if _, err := Load(path); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte("[clinic]\nnam = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var fe *FileError
	if _, err := Load(path); !errors.As(err, &fe) || fe.Path != path || len(fe.Errors) != 1 {
		t.Fatalf("got %v", err)
	}
}

// The settings of contract.md's example are accepted as written there.
func TestContractExample(t *testing.T) {
	b, err := os.ReadFile("testdata/contract.toml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(b); err != nil {
		t.Fatal(err)
	}
}

func TestCheckFields(t *testing.T) {
	f, err := Parse([]byte("[provet.fields.worklist]\nstatus = \"a\"\nstatsu = \"b\"\n[provet.fields.worklst]\nx = \"y\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	errs := f.CheckFields(map[string][]string{"worklist": {"status", "patient"}, "patient": {"name"}})
	if len(errs) != 2 || errs[0].Line != 3 || errs[0].Hint != "did you mean status?" || errs[1].Line != 4 || errs[1].Hint != "did you mean worklist?" {
		t.Errorf("%v", errs)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add(Template())
	f.Add([]byte("[[modality]]\n[modality.text_limits]\nname=1\n"))
	f.Add([]byte("modality=[{name='a',fixed_keys={A='b'}}]\nprovet.fields.a.b=['c']\n"))
	f.Add([]byte("[a.b]\n[[a.b.c]]\nx={y=[{z=1}]}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Parse(b)
		if err != nil {
			var errs Errors
			if !errors.As(err, &errs) || len(errs) == 0 {
				t.Fatalf("an error of another type: %v", err)
			}
			return
		}
		// What was accepted can be written and read again.
		back, err := Parse(got.TOML())
		if err != nil {
			t.Fatalf("%v\n%s", err, got.TOML())
		}
		if !Equal(got, back) {
			t.Fatalf("not the same after writing:\n%s", got.TOML())
		}
	})
}
