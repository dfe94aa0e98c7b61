//go:build peers

package hl7

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Independent parsers read what we build and must find the same leaves. A parser
// that is missing is a failure.

// leavesOf lists our leaves in the form of the scripts.
func leavesOf(m *Message) map[string]string {
	out := map[string]string{}
	for _, s := range m.Segments("") {
		for f := 1; f <= s.Fields(); f++ {
			if s.i == 0 && f < 3 {
				continue
			}
			s.leaves(path{field: f}, func(at path, text string) {
				if text != "" {
					out[fmt.Sprint(s.Name(), s.i, at.field, at.repetition, at.component, at.subcomponent)] = unescape(text, m.delimiters, m.charset)
				}
			})
		}
	}
	return out
}

func readBy(t *testing.T, env []string, program, script, file string) map[string]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, filepath.Join("testdata", "peers", script), file)
	cmd.Env = append(os.Environ(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, &stderr)
	}
	var rows [][7]any
	if err := json.Unmarshal(b, &rows); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, r := range rows {
		out[fmt.Sprint(r[0], r[1], r[2], r[3], r[4], r[5])] = fmt.Sprint(r[6])
	}
	return out
}

func TestPeersReadTheSameLeaves(t *testing.T) {
	nodePath := os.Getenv("RAYHOUND_NODE_PATH")
	if nodePath == "" {
		dir := t.TempDir()
		if out, err := exec.CommandContext(t.Context(), "npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", dir, "hl7v2@1.8.0").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		nodePath = filepath.Join(dir, "node_modules")
	}
	raw, err := orderOMI()
	if err != nil {
		t.Fatal(err)
	}
	m := ours(t, string(raw))
	file := filepath.Join(t.TempDir(), "m.hl7")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	want := leavesOf(m)
	for name, got := range map[string]map[string]string{
		"python3-hl7": readBy(t, nil, "/usr/bin/python3", "python_read.py", file),
		"hl7v2":       readBy(t, []string{"NODE_PATH=" + nodePath}, "node", "hl7v2_read.js", file),
	} {
		if len(got) < len(want)*9/10 {
			t.Errorf("%s reads %d leaves of %d", name, len(got), len(want))
		}
		for at, text := range got {
			// python3-hl7 turns \.br\ into CR, hl7v2 1.8.0 leaves it as it is.
			if strings.NewReplacer("\r", "\n", `\.br\`, "\n").Replace(text) != want[at] && !(name == "hl7v2" && sameTime(text, want[at])) {
				t.Errorf("%s: %s is %q, want %q", name, at, text, want[at])
			}
		}
		if name == "python3-hl7" && len(got) != len(want) {
			t.Errorf("%s reads %d leaves, want %d", name, len(got), len(want))
		}
	}
}

// sameTime compares what hl7v2 makes of a time: it leaves out zero seconds.
func sameTime(a, b string) bool {
	return len(b) == 14 && len(a) >= 12 && strings.TrimRight(a, "0") == strings.TrimRight(b, "0")
}
