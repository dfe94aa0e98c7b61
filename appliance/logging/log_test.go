package logging

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/secret"
)

const canary = "CANARY7f3a"

func TestNothingLeaks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	var console bytes.Buffer
	l, err := Open(Config{Dir: dir, Console: &console, Level: "debug"})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse("https://me:" + canary + "@provetcloud.com/1/?access_token=" + canary + "&page=2")
	if err != nil {
		t.Fatal(err)
	}
	o := &order.Order{AccessionNumber: "123", Content: order.Content{
		Patient: order.Patient{ID: "7", Name: canary}, Owner: order.Owner{LastName: canary, Phone: canary},
	}}
	l.Info("request to https://x:"+canary+"@host/ failed",
		"client_secret", canary, "Authorization", "Bearer "+canary, "access_token", []byte(canary), "password", errors.New(canary),
		"secret", secret.New(canary), "value", secret.New(canary), "pointer", o, "order", *o, "content", o.Content,
		"patient", o.Content.Patient, "owner", o.Content.Owner, "list", []order.Patient{o.Content.Patient},
		"wrapped", struct{ P order.Patient }{o.Content.Patient}, "url", u, "url_text", u.String(), "patient_name", canary,
		"header", http.Header{"Authorization": {canary}}, "body", []byte(canary), "map", map[string]string{"a": canary},
		"err", fmt.Errorf("get %s: header Authorization: Basic %s", u, canary),
		"form", "grant_type=client_credentials&client_secret="+canary, "json", `{"access_token": "`+canary+`"}`,
		slog.Group("token", "a", canary), slog.Group("g", "secret_key", canary),
	)
	l.With("refresh_token", canary).WithGroup("x").Error("again", "owner_name", canary)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string]string{"console": console.String(), "file": string(b)} {
		for _, leak := range []string{canary, "Q0FOQVJZ", "434e4152"} { // plain, base64, hexadecimal
			if strings.Contains(text, leak) {
				t.Errorf("%s leaks %s:\n%s", where, leak, text)
			}
		}
		if !strings.Contains(text, "provetcloud.com") || strings.Count(text, "\n") != 2 {
			t.Errorf("%s is not what it should be:\n%s", where, text)
		}
	}
	info, err := os.Stat(filepath.Join(dir, FileName))
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestFactsStay(t *testing.T) {
	var out bytes.Buffer
	l, err := Open(Config{Console: &out})
	if err != nil {
		t.Fatal(err)
	}
	l.Info("association ended", "order_id", 7, "accession", "A-12", "peer", netip.MustParseAddrPort("10.0.0.1:104"),
		"addr", &net.TCPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 1}, "took", 3*time.Millisecond, "token_expires_in", 5*time.Minute,
		"err", errors.New("ratio 3:4"), "codes", []string{"RH-101"}, "states", map[string]int{"held": 2})
	for _, want := range []string{
		"order_id=7", "accession=A-12", "peer=10.0.0.1:104", "addr=10.0.0.2:1", "took=3ms", "token_expires_in=5m0s", `"ratio 3:4"`, "RH-101", "held:2",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in %s", want, out.String())
		}
	}
}

func TestLevel(t *testing.T) {
	var out bytes.Buffer
	l, err := Open(Config{Console: &out, Level: "warn", JSON: true})
	if err != nil {
		t.Fatal(err)
	}
	l.Info("not this")
	if err := l.SetLevel("debug"); err != nil {
		t.Fatal(err)
	}
	l.Debug("but this")
	if s := out.String(); strings.Contains(s, "not this") || !strings.Contains(s, `"msg":"but this"`) {
		t.Error(s)
	}
	if l.SetLevel("loud") == nil {
		t.Error("a level that does not exist")
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	if b, err := Tail(path, 10); err != nil || b != nil {
		t.Errorf("%q, %v", b, err)
	}
	if err := os.WriteFile(path, []byte("first line\nsecond\nthird\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for limit, want := range map[int64]string{100: "first line\nsecond\nthird\n", 15: "second\nthird\n", 3: ""} {
		if b, err := Tail(path, limit); err != nil || string(b) != want {
			t.Errorf("%d: %q, %v", limit, b, err)
		}
	}
}
