package problem

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestCatalogue(t *testing.T) {
	b, err := os.ReadFile("problems.json")
	if err != nil {
		t.Fatal(err)
	}
	var defs []Definition
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&defs); err != nil {
		t.Fatal(err)
	}
	if len(defs) != len(All()) || len(defs) < 40 {
		t.Fatalf("%d definitions, %d in the catalogue", len(defs), len(All()))
	}
	codeRE, keyRE, placeRE := regexp.MustCompile(`^RH-[1-9]\d\d$`), regexp.MustCompile(`^[a-z]+(\.[a-z_]+)?$`), regexp.MustCompile(`\{[^}]*\}?`)
	seen := map[string]Code{}
	last := Code("")
	for _, d := range defs {
		if !codeRE.MatchString(string(d.Code)) || !keyRE.MatchString(d.Key) {
			t.Errorf("%s %q", d.Code, d.Key)
		}
		if d.Code <= last {
			t.Errorf("%s does not come after %s", d.Code, last)
		}
		last = d.Code
		for what, text := range map[string]string{"key": d.Key, "title": d.Title, "text": d.Text, "help": d.Help} {
			if other, ok := seen[what+text]; ok {
				t.Errorf("%s has the %s of %s", d.Code, what, other)
			}
			seen[what+text] = d.Code
			if strings.TrimSpace(text) != text || text == "" {
				t.Errorf("%s: %s %q", d.Code, what, text)
			}
			for _, p := range placeRE.FindAllString(text, -1) {
				if !regexp.MustCompile(`^\{[a-z_]+\}$`).MatchString(p) {
					t.Errorf("%s: %s has the place %q", d.Code, what, p)
				}
			}
		}
		if strings.HasSuffix(d.Title, ".") || len(d.Title) > 60 {
			t.Errorf("%s: title %q", d.Code, d.Title)
		}
		if !slices.Contains([]Severity{Info, Warn, Fault}, d.Severity) || !slices.Contains([]Audience{Staff, IT}, d.Audience) {
			t.Errorf("%s: %s for %s", d.Code, d.Severity, d.Audience)
		}
		for _, on := range d.DependsOn {
			if _, ok := Lookup(on); !ok || on == d.Code {
				t.Errorf("%s depends on %s", d.Code, on)
			}
		}
	}
}

// Nothing depends on itself over others: both would be hidden from staff.
func TestDependenciesHaveNoCircle(t *testing.T) {
	var visit func(c Code, path []Code)
	visit = func(c Code, path []Code) {
		if slices.Contains(path, c) {
			t.Fatalf("a circle: %v %s", path, c)
		}
		d, _ := Lookup(c)
		for _, on := range d.DependsOn {
			visit(on, append(slices.Clone(path), c))
		}
	}
	for _, d := range All() {
		visit(d.Code, nil)
	}
}

// zcodes.go is what gen.go makes of problems.json.
func TestConstantsAreGenerated(t *testing.T) {
	b, err := os.ReadFile("zcodes.go")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^\t\w+\s+Code = "(RH-\d+)" // (.*)$`).FindAllStringSubmatch(string(b), -1)
	if len(lines) != len(All()) {
		t.Fatalf("%d constants for %d problems: go generate ./appliance/problem", len(lines), len(All()))
	}
	for i, d := range All() {
		if lines[i][1] != string(d.Code) || lines[i][2] != d.Title {
			t.Errorf("%s %q: go generate ./appliance/problem", lines[i][1], lines[i][2])
		}
	}
}

func TestFill(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"plain", "plain"},
		{"{a} and {b}", "1 and 2"},
		{"{missing}", "…"},
		{"{empty}!", "…!"},
		{"open {a", "open {a"},
		{"{a}{a}", "11"},
		{"{inject}", "{a}"}, // a value is not filled again
		{"", ""},
	} {
		if got := fill(tc.text, Args{"a": "1", "b": "2", "empty": "", "inject": "{a}"}); got != tc.want {
			t.Errorf("%q became %q, want %q", tc.text, got, tc.want)
		}
	}
}
