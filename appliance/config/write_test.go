package config

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestTemplateIsTheDefaults(t *testing.T) {
	f, err := Parse(Template())
	if err != nil {
		t.Fatalf("%v\n%s", err, Template())
	}
	if !Equal(f, Default()) {
		t.Error("the template changes a default")
	}
	// With every out-commented line switched on it is still a file.
	var on []string
	for line := range strings.SplitSeq(string(Template()), "\n") {
		rest, ok := strings.CutPrefix(line, "# ")
		if ok && (strings.HasPrefix(rest, "[[") || regexp.MustCompile(`^[a-z_]+ = `).MatchString(rest)) {
			line = rest
		}
		on = append(on, line)
	}
	f, err = Parse([]byte(strings.Join(on, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Modalities) != 1 || f.Modalities[0].AETitle != "DR1" || len(f.Species) != 1 {
		t.Errorf("examples: %+v %+v", f.Modalities, f.Species)
	}
}

// A setting exists once, with a comment, and none is made for a secret.
func TestEverySetting(t *testing.T) {
	suspicious := regexp.MustCompile(`(?i)secret|password|passwd|token|credential|api_?key|private`)
	var walk func(path string, typ reflect.Type)
	walk = func(path string, typ reflect.Type) {
		for i := range typ.NumField() {
			sf := typ.Field(i)
			if !sf.IsExported() {
				continue
			}
			name := sf.Tag.Get("toml")
			if name == "" {
				t.Errorf("%s.%s has no name in the file", path, sf.Name)
				continue
			}
			at := join(path, name)
			if suspicious.MatchString(name) || suspicious.MatchString(sf.Name) {
				t.Errorf("%s looks like a secret", at)
			}
			ft := sf.Type
			if ft.Kind() == reflect.Slice && ft != namesType {
				ft = ft.Elem()
			}
			if ft.Kind() == reflect.Struct {
				walk(at, ft)
			}
		}
	}
	walk("", reflect.TypeFor[File]())
}

func TestShowAsJSON(t *testing.T) {
	f, err := Parse([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Clinic   struct{ Name string }
		Modality []struct {
			AETitle   string `json:"ae_title"`
			IdleAfter string `json:"idle_after"`
			Serves    []string
		}
	}
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	if m.Clinic.Name != "Riverside Veterinary Clinic" || m.Modality[0].AETitle != "DR1" || m.Modality[0].IdleAfter != "2d" {
		t.Errorf("%s", b)
	}
}

func TestSave(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rayhound.toml")
	if err := Init(path); err != nil {
		t.Fatal(err)
	}
	if err := Init(path); !errors.Is(err, ErrExists) {
		t.Fatalf("second Init: %v", err)
	}
	f, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range keptVersions + 2 {
		f.Clinic.Name = "clinic \"" + strings.Repeat("ä", i) + `\`
		if err := Save(path, f, f.Origin()); err != nil {
			t.Fatal(err)
		}
	}
	back, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if !Equal(back, f) || back.Origin() != f.Origin() {
		t.Error("not the same after saving")
	}
	files, err := filepath.Glob(path + ".*")
	if err != nil || len(files) != keptVersions {
		t.Errorf("former versions: %v, %v", files, err)
	}
	if former, err := Load(path + ".1"); err != nil || former.Clinic.Name != "clinic \""+strings.Repeat("ä", keptVersions)+`\` {
		t.Errorf("newest former version: %v, %v", former, err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".rayhound*"))
	if err != nil || len(left) > 0 {
		t.Errorf("temporary files stay: %v, %v", left, err)
	}

	if err := os.WriteFile(path, []byte("# by hand\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Save(path, f, f.Origin()); !errors.Is(err, ErrChanged) {
		t.Errorf("changed by hand meanwhile: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := Save(path, f, f.Origin()); !errors.Is(err, ErrChanged) {
		t.Errorf("removed meanwhile: %v", err)
	}
	f.DICOM.AETitle = strings.Repeat("x", 17)
	var errs Errors
	if err := Save(path, f, ""); !errors.As(err, &errs) || errs[0].Key != "dicom.ae_title" {
		t.Errorf("an invalid title was saved: %v", err)
	}
}

func TestDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "5m": 5 * time.Minute, "24h": day, "90d": 90 * day, "1d12h": 36 * time.Hour, "1h30m": 90 * time.Minute,
		"0s": 0, "1.5s": 1500 * time.Millisecond, "0d": 0,
	} {
		d, err := ParseDuration(in)
		if err != nil || d.D() != want {
			t.Errorf("%s: %v, %v", in, d, err)
		}
		if back, err := ParseDuration(d.String()); err != nil || back != d {
			t.Errorf("%s became %s: %v, %v", in, d, back, err)
		}
	}
	for _, in := range []string{"", "5", "d", "-5m", "1d-5m", "5 m", "1y", "999999999d", "106752d", "1dd", "1d24"} {
		if d, err := ParseDuration(in); err == nil {
			t.Errorf("%q was accepted as %s", in, d)
		}
	}
	if d, err := ParseDuration("106751d23h59m59s"); err == nil && d < 0 {
		t.Error("a duration overflows")
	}
}

func TestAddressesAndTitles(t *testing.T) {
	for _, tc := range []struct {
		what  string
		check func(*Errors)
		ok    bool
	}{
		{"any card", func(e *Errors) { checkListen("a", ":11112", false, e) }, true},
		{"ipv6", func(e *Errors) { checkListen("a", "[::]:104", false, e) }, true},
		{"a name", func(e *Errors) { checkListen("a", "clinic:104", false, e) }, false},
		{"port 70000", func(e *Errors) { checkListen("a", ":70000", false, e) }, false},
		{"page on 127.0.0.1", func(e *Errors) { checkListen("a", "127.0.0.1:18470", true, e) }, true},
		{"page on ::1", func(e *Errors) { checkListen("a", "[::1]:18470", true, e) }, true},
		{"page everywhere", func(e *Errors) { checkListen("a", ":18470", true, e) }, false},
		{"page in the network", func(e *Errors) { checkListen("a", "192.168.1.2:18470", true, e) }, false},
		{"page on a name", func(e *Errors) { checkListen("a", "localhost:18470", true, e) }, false},
		{"peer by name", func(e *Errors) { checkPeer("a", "pacs.clinic.local:104", e) }, true},
		{"peer without port", func(e *Errors) { checkPeer("a", "pacs", e) }, false},
		{"peer port 0", func(e *Errors) { checkPeer("a", "pacs:0", e) }, false},
		{"https", func(e *Errors) { checkWebURL("a", "https://provetcloud.com/1", "https", "http", e) }, true},
		{"http on loopback", func(e *Errors) { checkWebURL("a", "http://127.0.0.1:8080/1", "https", "http", e) }, true},
		{"http", func(e *Errors) { checkWebURL("a", "http://provetcloud.com/1", "https", "http", e) }, false},
		{"http on a lookalike", func(e *Errors) { checkWebURL("a", "http://127.0.0.1.example.com/1", "https", "http", e) }, false},
		{"with password", func(e *Errors) { checkWebURL("a", "https://a:b@provetcloud.com/1", "https", "http", e) }, false},
		{"16 characters", func(e *Errors) { checkAETitle("a", "ABCDEFGHIJKLMNOP", e) }, true},
		{"17 characters", func(e *Errors) { checkAETitle("a", "ABCDEFGHIJKLMNOPQ", e) }, false},
		{"inner space", func(e *Errors) { checkAETitle("a", "DR 1", e) }, true},
		{"backslash", func(e *Errors) { checkAETitle("a", `DR\1`, e) }, false},
		{"umlaut", func(e *Errors) { checkAETitle("a", "RÖ1", e) }, false},
		{"only spaces", func(e *Errors) { checkAETitle("a", "   ", e) }, false},
	} {
		var errs Errors
		tc.check(&errs)
		if (len(errs) == 0) != tc.ok {
			t.Errorf("%s: %v", tc.what, errs)
		}
	}
}
