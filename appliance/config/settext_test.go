package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSetText(t *testing.T) {
	const url = "wss://relay.example.com"
	for _, c := range []struct {
		name, in, want string
		err            error
	}{
		{
			"in its place, comments stay", "version = 1\n# ours\n[tunnel] # the relay\nrelay_url = \"\"   # wss://...\nproxy_url = \"\"\n[clinic]\nname = \"A\"\n",
			"version = 1\n# ours\n[tunnel] # the relay\nrelay_url = \"wss://relay.example.com\"   # wss://...\nproxy_url = \"\"\n[clinic]\nname = \"A\"\n", nil,
		},
		{"Windows", "version = 1\r\n[tunnel]\r\nrelay_url = 'wss://old.example'\r\n", "version = 1\r\n[tunnel]\r\nrelay_url = \"wss://relay.example.com\"\r\n", nil},
		{"no line", "version = 1\n[tunnel]\nproxy_url = \"\"\n", "version = 1\n[tunnel]\nrelay_url = \"wss://relay.example.com\"\nproxy_url = \"\"\n", nil},
		{"no table", "version = 1\n[clinic]\nname = \"A\"", "version = 1\n[clinic]\nname = \"A\"\n\n[tunnel]\nrelay_url = \"wss://relay.example.com\"\n", nil},
		{"header at the end", "version = 1\n[tunnel]", "version = 1\n[tunnel]\nrelay_url = \"wss://relay.example.com\"\n", nil},
		{"there already", "version = 1\n[tunnel]\nrelay_url = 'wss://relay.example.com'", "version = 1\n[tunnel]\nrelay_url = 'wss://relay.example.com'", nil},
		{"dotted", "version = 1\ntunnel.relay_url = \"wss://old.example\"\n", "", ErrByHand},
		{"inline", "version = 1\ntunnel = { relay_url = \"wss://old.example\" }\n", "", ErrByHand},
		{"many lines", "version = 1\n[tunnel]\nrelay_url = \"\"\"wss://old.example\"\"\"\n", "", ErrByHand},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "rayhound.toml")
			if err := os.WriteFile(path, []byte(c.in), 0o600); err != nil {
				t.Fatal(err)
			}
			err := SetText(path, "tunnel", "relay_url", url)
			if !errors.Is(err, c.err) {
				t.Fatalf("got %v, want %v", err, c.err)
			}
			got, rerr := os.ReadFile(path)
			if rerr != nil {
				t.Fatal(rerr)
			}
			want := c.want
			if c.err != nil {
				want = c.in
			}
			if string(got) != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if c.err == nil && c.in != c.want {
				if kept, err := os.ReadFile(path + ".1"); err != nil || string(kept) != c.in {
					t.Errorf("the former version: %q %v", kept, err)
				}
			}
		})
	}
}

func TestSetTextRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rayhound.toml")
	if err := Init(path); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][3]string{
		{"tunnel", "relay_url", "http://relay.example.com"},
		{"tunnel", "no_such", "x"},
		{"no_such", "relay_url", "x"},
		{"provet", "poll_interval", "x"},
	} {
		if err := SetText(path, c[0], c[1], c[2]); err == nil {
			t.Errorf("%v was taken", c)
		}
	}
	if err := SetText(path+".not", "tunnel", "relay_url", "x"); err == nil {
		t.Error("a file that is not there was changed")
	}
	if err := SetText(path, "tunnel", "relay_url", "wss://relay.example.com:8443"); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	a, b := strings.Split(string(before), "\n"), strings.Split(string(after), "\n")
	if len(a) != len(b) {
		t.Fatalf("%d lines became %d", len(a), len(b))
	}
	n := 0
	for i := range a {
		if a[i] != b[i] {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d lines changed", n)
	}
}
