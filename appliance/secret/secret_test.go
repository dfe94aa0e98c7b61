package secret

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
)

const canary = "hunter2-canary"

func TestSecretNeverPrints(t *testing.T) {
	s := New(canary)
	holder := struct {
		Name string
		S    Secret
		P    *Secret
		M    map[string]Secret
	}{"n", s, &s, map[string]Secret{"k": s}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%20s", "%t", "%T %v"} {
		fmt.Fprintf(&out, verb+"\n", s, s)
		fmt.Fprintf(&out, verb+"\n", holder, holder)
	}
	fmt.Fprintln(&out, s, &s, []Secret{s}, fmt.Errorf("with %v", s))
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("m", "s", s, "p", &s, "holder", holder, slog.Group("g", "s", s))
	}
	for _, v := range []any{s, &s, holder} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
	}
	for _, leak := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), fmt.Sprint([]byte(canary))} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("leaks %q:\n%s", leak, out.String())
		}
	}
	if s.Reveal() != canary || s.Empty() || !New("").Empty() {
		t.Error("Reveal or Empty")
	}
}

func open(t *testing.T, cfg Config) *Store {
	t.Helper()
	s, err := NewStore(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wantUnreadable(t *testing.T, err error) {
	t.Helper()
	if p := problem.Of(err); p == nil || p.Code != problem.SecretUnreadable {
		t.Errorf("got %v, want %s", err, problem.SecretUnreadable)
	}
}

func TestStore(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC)
	cfg := Config{Dir: t.TempDir(), InstallationID: "here", Now: func() time.Time { return at }}
	s := open(t, cfg)
	if _, err := s.Open("a"); !errors.Is(err, ErrMissing) {
		t.Errorf("never set: %v", err)
	}
	for name, value := range map[string]string{"provet.client_secret": canary, "b": strings.Repeat("x", MaxLength)} {
		if err := s.Seal(name, New(value)); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []string{"", "A", "a b", "../a", strings.Repeat("a", 65)} {
		if err := s.Seal(bad, New("v")); !errors.Is(err, ErrName) {
			t.Errorf("name %q: %v", bad, err)
		}
	}
	for _, bad := range []string{"", strings.Repeat("x", MaxLength+1)} {
		if err := s.Seal("c", New(bad)); !errors.Is(err, ErrLength) {
			t.Errorf("length %d: %v", len(bad), err)
		}
	}
	s = open(t, cfg) // as after a restart
	if v, err := s.Open("provet.client_secret"); err != nil || v.Reveal() != canary {
		t.Errorf("after a restart: %v", err)
	}
	list := s.List()
	if len(list) != 2 || list[0].Name != "b" || !list[1].Readable || !list[1].SetAt.Equal(at.Truncate(time.Second)) {
		t.Errorf("list: %+v", list)
	}
	if err := s.Delete("b"); err != nil {
		t.Fatal(err)
	}
	if _, ok := open(t, cfg).Info("b"); ok {
		t.Error("b is still there")
	}
	files, err := os.ReadDir(cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(cfg.Dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(canary)) {
			t.Errorf("%s holds the secret", f.Name())
		}
		if info, err := f.Info(); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f.Name(), info.Mode(), err)
		}
		if strings.HasPrefix(f.Name(), ".") {
			t.Errorf("%s stays behind", f.Name())
		}
	}
}

// rewrite changes the file as somebody with an editor would.
func rewrite(t *testing.T, dir string, change func(*file)) {
	t.Helper()
	path := filepath.Join(dir, FileName)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var f file
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	change(&f)
	if b, err = json.Marshal(f); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTampering(t *testing.T) {
	for name, change := range map[string]func(*file){
		"swapped":              func(f *file) { f.Secrets["a"], f.Secrets["b"] = f.Secrets["b"], f.Secrets["a"] },
		"renamed":              func(f *file) { f.Secrets["a"] = f.Secrets["b"] },
		"flipped bit":          func(f *file) { f.Secrets["a"].Sealed[0] ^= 1 },
		"short nonce":          func(f *file) { b := f.Secrets["a"]; b.Nonce = b.Nonce[:3]; f.Secrets["a"] = b },
		"no blob":              func(f *file) { b := f.Secrets["a"]; b.Sealed = nil; f.Secrets["a"] = b },
		"another installation": func(f *file) { f.InstallationID = "there" },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Dir: t.TempDir(), InstallationID: "here"}
			s := open(t, cfg)
			if err := errors.Join(s.Seal("a", New("1")), s.Seal("b", New("2"))); err != nil {
				t.Fatal(err)
			}
			rewrite(t, cfg.Dir, change)
			_, err := open(t, cfg).Open("a")
			wantUnreadable(t, err)
		})
	}
	t.Run("not json", func(t *testing.T) {
		cfg := Config{Dir: t.TempDir()}
		if err := os.WriteFile(filepath.Join(cfg.Dir, FileName), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := NewStore(cfg)
		wantUnreadable(t, err)
	})
}

// A backup that was restored on another computer has the secrets without the
// key: they say so, and can be set again.
func TestAnotherComputer(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there the key is in the file")
	}
	cfg := Config{Dir: t.TempDir()}
	s := open(t, cfg)
	if err := errors.Join(s.Seal("a", New("1")), s.Seal("b", New("2"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(cfg.Dir, KeyFileName)); err != nil {
		t.Fatal(err)
	}
	s = open(t, cfg)
	_, err := s.Open("a")
	wantUnreadable(t, err)
	if err := s.Seal("a", New("3")); err != nil {
		t.Fatal(err)
	}
	s = open(t, cfg)
	if v, err := s.Open("a"); err != nil || v.Reveal() != "3" {
		t.Errorf("set again: %v", err)
	}
	_, err = s.Open("b")
	wantUnreadable(t, err)
	if l := s.List(); !l[0].Readable || l[1].Readable {
		t.Errorf("list: %+v", l)
	}
}

func TestCredentialOfSystemd(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), CredentialsDir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(cfg.CredentialsDir, credentialName), bytes.Repeat([]byte{7}, keySize), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, cfg)
	if err := s.Seal("a", New("1")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(cfg.Dir, KeyFileName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a key file was made besides: %v", err)
	}
	if v, err := open(t, cfg).Open("a"); err != nil || v.Reveal() != "1" {
		t.Errorf("after a restart: %v", err)
	}
	if !strings.Contains(s.Means(), "systemd") {
		t.Error(s.Means())
	}
}

// Probe meets what Seal would meet, and changes no secret.
func TestProbe(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), InstallationID: "here"}
	s := open(t, cfg)
	if err := s.Probe(); err != nil || len(s.List()) != 0 {
		t.Fatalf("%v %+v", err, s.List())
	}
	if err := s.Seal("a", New(canary)); err != nil {
		t.Fatal(err)
	}
	before := s.List()
	if err := s.Probe(); err != nil {
		t.Fatal(err)
	}
	s = open(t, cfg)
	if v, err := s.Open("a"); err != nil || v.Reveal() != canary || !s.List()[0].SetAt.Equal(before[0].SetAt) {
		t.Errorf("%v %+v", err, s.List())
	}
	if err := os.RemoveAll(cfg.Dir); err != nil {
		t.Fatal(err)
	}
	if err := s.Probe(); err == nil {
		t.Error("there is no folder, and no error")
	}
}
