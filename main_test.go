package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rayhound/rayhound/appliance/problem"
)

// scripts are the folders of stories from a clinic's day.
const scripts = "appliance/testdata/script/*"

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"rayhound": func() { os.Exit(main1()) },
		"ask":      func() { os.Exit(ask(os.Args[1:])) },
	})
}

func TestScripts(t *testing.T) {
	folders, err := filepath.Glob(scripts)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "*.txtar"))
		if err != nil {
			t.Fatal(err)
		}
		found += len(files)
		if len(files) == 0 {
			continue
		}
		t.Run(filepath.Base(folder), func(t *testing.T) {
			testscript.Run(t, testscript.Params{
				Dir: folder, RequireExplicitExec: true, RequireUniqueNames: true, Deadline: deadline(t),
				Setup: func(e *testscript.Env) error {
					e.Setenv("RAYHOUND_CONFIG", filepath.Join(e.WorkDir, "rayhound.toml"))
					e.Setenv("RAYHOUND_DATA", filepath.Join(e.WorkDir, "data"))
					e.Setenv("GORACE", "atexit_sleep_ms=0") // a race detector's second at the end of each program
					for _, name := range []string{"PAGE", "DICOM", "PROVET", "RELAY", "METRICS", "HL7", "RIS"} {
						addr, err := freeAddress(t.Context())
						if err != nil {
							return err
						}
						e.Setenv(name, addr)
					}
					return nil
				},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"exits": exits, "eventually": eventually, "expand": expand, "remember": remember,
				},
			})
		})
	}
	if found == 0 {
		t.Fatalf("no story in %s", scripts)
	}
}

// freeAddress returns an address on loopback that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// deadline leaves time to say where a script hangs.
func deadline(t *testing.T) time.Time {
	if d, ok := t.Deadline(); ok {
		return d.Add(-10 * time.Second)
	}
	return time.Time{}
}

// exits checks the exit code: exits 3 rayhound orders list.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGUMENT...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var ee *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &ee):
		got = ee.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// eventually repeats a command until it succeeds and prints what a pattern
// finds: eventually 'completed' rayhound orders show 12. With ! before it, until
// it fails and prints that. It gives up after 20 seconds.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: eventually PATTERN PROGRAM [ARGUMENT...]")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	limit := time.Now().Add(20 * time.Second)
	for {
		err := ts.Exec(args[1], args[2:]...)
		out := ts.ReadFile("stdout")
		if (err != nil) == neg && pattern.MatchString(out) {
			return
		}
		if time.Now().After(limit) {
			ts.Fatalf("never: %v\n%s", err, out)
		}
		time.Sleep(100 * time.Millisecond) // between two tries; the limit decides
	}
}

// expand replaces $NAME in a file by the variables of the script.
func expand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: expand FILE")
	}
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// remember puts what a pattern finds in the last standard output into a
// variable: remember NAME 'accession_number": "([^"]+)'.
func remember(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: remember NAME PATTERN")
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	found := pattern.FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) != 2 {
		ts.Fatalf("%q finds %q", args[1], found)
	}
	ts.Setenv(args[0], found[1])
}

// ask is a program of the stories, the person at Provet Cloud: it sends one
// request and prints the answer. ask METHOD URL [BODY].
func ask(args []string) int {
	fail := func(err error) int {
		_, _ = fmt.Fprintln(os.Stderr, "ask:", err) // nowhere to report it
		return 1
	}
	if len(args) != 2 && len(args) != 3 {
		return fail(errors.New("usage: ask METHOD URL [BODY]"))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	body := strings.NewReader(strings.Join(args[2:], ""))
	req, err := http.NewRequestWithContext(ctx, args[0], args[1], body)
	if err != nil {
		return fail(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fail(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(os.Stdout, res.Body); err != nil {
		return fail(err)
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return fail(errors.New(res.Status))
	}
	return 0
}

// goList runs go list, which needs no network.
func goList(t *testing.T, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", append([]string{"list"}, args...)...)
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOPROXY=off")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The shipped program contains no test helper.
func TestShippedProgramHasNoTestCode(t *testing.T) {
	for pkg := range strings.Lines(string(goList(t, "-deps", "."))) {
		pkg = strings.TrimSpace(pkg)
		ours := strings.HasPrefix(pkg, "github.com/rayhound/rayhound/")
		if pkg == "testing" || ours && strings.HasSuffix(path.Base(pkg), "test") {
			t.Errorf("main depends on %s", pkg)
		}
	}
}

// licences are those of the modules in the binary, read once by a person.
// Allowed are MIT, BSD, Zlib, ISC and Apache-2.0.
var licences = map[string]string{
	"github.com/DeRuina/timberjack":       "MIT",
	"github.com/alecthomas/kong":          "MIT",
	"github.com/beorn7/perks":             "MIT",
	"github.com/cenkalti/backoff/v5":      "MIT",
	"github.com/cespare/xxhash/v2":        "MIT",
	"github.com/dustin/go-humanize":       "MIT",
	"github.com/google/uuid":              "BSD-3-Clause",
	"github.com/gorilla/websocket":        "BSD-2-Clause",
	"github.com/jackc/pgpassfile":         "MIT",
	"github.com/jackc/pgservicefile":      "MIT",
	"github.com/jackc/pgx/v5":             "MIT",
	"github.com/jackc/puddle/v2":          "MIT",
	"github.com/klauspost/compress":       "BSD-3-Clause",
	"github.com/lenaten/hl7":              "MIT",
	"github.com/mattn/go-isatty":          "MIT",
	"github.com/mfridman/interpolate":     "MIT",
	"github.com/munnerz/goautoneg":        "BSD-3-Clause",
	"github.com/ncruces/go-strftime":      "MIT",
	"github.com/pelletier/go-toml/v2":     "MIT",
	"github.com/pressly/goose/v3":         "MIT",
	"github.com/prometheus/client_golang": "Apache-2.0",
	"github.com/prometheus/client_model":  "Apache-2.0",
	"github.com/prometheus/common":        "Apache-2.0",
	"github.com/prometheus/procfs":        "Apache-2.0",
	"github.com/remyoudompheng/bigfft":    "BSD-3-Clause",
	"github.com/sethvargo/go-retry":       "Apache-2.0",
	"github.com/suyashkumar/dicom":        "MIT",
	"github.com/thejerf/suture/v4":        "MIT",
	"go.uber.org/multierr":                "MIT",
	"golang.org/x/crypto":                 "BSD-3-Clause",
	"golang.org/x/exp":                    "BSD-3-Clause",
	"golang.org/x/net":                    "BSD-3-Clause",
	"golang.org/x/oauth2":                 "BSD-3-Clause",
	"golang.org/x/sync":                   "BSD-3-Clause",
	"golang.org/x/sys":                    "BSD-3-Clause",
	"golang.org/x/text":                   "BSD-3-Clause",
	"golang.org/x/time":                   "BSD-3-Clause",
	"google.golang.org/protobuf":          "BSD-3-Clause",
	"modernc.org/libc":                    "BSD-3-Clause",
	"modernc.org/mathutil":                "BSD-3-Clause",
	"modernc.org/memory":                  "BSD-3-Clause",
	"modernc.org/sqlite":                  "BSD-3-Clause",
}

// marks are words that stand in the text of a licence and in no other.
var marks = map[string]string{
	"MIT":          "Permission is hereby granted, free of charge",
	"BSD-2-Clause": "Redistributions in binary form must reproduce",
	"BSD-3-Clause": "Redistributions in binary form must reproduce",
	"Apache-2.0":   "Apache License",
}

func TestLicences(t *testing.T) {
	type module struct{ Path, Dir string }
	seen := map[string]bool{}
	dec := json.NewDecoder(strings.NewReader(string(goList(t, "-deps", "-json=Module", "."))))
	for dec.More() {
		var pkg struct{ Module *module }
		if err := dec.Decode(&pkg); err != nil {
			t.Fatal(err)
		}
		m := pkg.Module
		if m == nil || m.Path == "github.com/rayhound/rayhound" || seen[m.Path] {
			continue
		}
		seen[m.Path] = true
		licence, ok := licences[m.Path]
		if !ok {
			t.Errorf("%s has no entry: read its licence first", m.Path)
			continue
		}
		if !hasMark(t, m.Dir, marks[licence]) {
			t.Errorf("%s does not look like %s any more", m.Path, licence)
		}
	}
	if len(seen) < 10 {
		t.Errorf("only %d modules found", len(seen))
	}
}

func hasMark(t *testing.T, dir, mark string) bool {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := strings.ToUpper(e.Name())
		if !strings.HasPrefix(name, "LICENSE") && !strings.HasPrefix(name, "LICENCE") && !strings.HasPrefix(name, "COPYING") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(strings.Join(strings.Fields(string(b)), " "), mark) {
			return true
		}
	}
	return false
}

// Every package says what it is.
func TestPackageComments(t *testing.T) {
	documented := map[string]bool{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || file != "." && strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if strings.HasPrefix(string(b), "//go:build ignore") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, b, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		dir := filepath.Dir(file)
		prefix := "Package " + f.Name.Name + " "
		if f.Name.Name == "main" {
			prefix = ""
		}
		documented[dir] = documented[dir] || f.Doc != nil && strings.HasPrefix(f.Doc.Text(), prefix)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s has no package comment", dir)
		}
	}
}

// Codes are read over the telephone.
func TestProblemCodesAreUnique(t *testing.T) {
	var codes []problem.Code
	for _, d := range problem.All() {
		if slices.Contains(codes, d.Code) {
			t.Errorf("%s is there twice", d.Code)
		}
		codes = append(codes, d.Code)
	}
}
