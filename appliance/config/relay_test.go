package config

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func TestRelayDefaultsNeedAnAddressAndEncryption(t *testing.T) {
	_, err := ParseRelay(nil)
	var errs Errors
	if !errors.As(err, &errs) {
		t.Fatalf("an empty file: %v", err)
	}
	for _, key := range []string{"public_url", "listen"} {
		if !errs.mentions(key) {
			t.Errorf("no mistake at %s in %v", key, errs)
		}
	}
}

func TestRelayFilesThatAreRight(t *testing.T) {
	for name, text := range map[string]string{
		"loopback": "listen = \"127.0.0.1:8443\"\npublic_url = \"http://127.0.0.1:8443\"\n",
		"files":    "public_url = \"https://relay.example.com\"\ntls_cert = \"a.pem\"\ntls_key = \"b.pem\"\n",
		"acme":     "public_url = \"https://relay.example.com\"\nacme_domain = \"relay.example.com\"\n",
		"proxy":    "listen = \":8080\"\npublic_url = \"https://relay.example.com\"\ntrusted_proxies = [\"10.0.0.0/8\"]\n",
		"postgres": "listen = \"127.0.0.1:1\"\npublic_url = \"https://r.example.com\"\nstore = \"postgres://relay@db/relay\"\n",
	} {
		if _, err := ParseRelay([]byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRelayMistakesHaveTheirLines(t *testing.T) {
	_, err := ParseRelay([]byte("listen = \"127.0.0.1:8443\"\npublic_url = \"http://relay.example.com\"\nstor = \"x\"\nmax_body = 12\ntls_cert = \"a\"\nstore = \"mysql:x\"\n"))
	var errs Errors
	if !errors.As(err, &errs) {
		t.Fatal(err)
	}
	text := errs.Error()
	for _, want := range []string{"line 2: public_url", "line 3: stor", "did you mean store?", "line 4: max_body", "line 5: tls_cert", "line 6: store"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

func TestRelayFileWrittenIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.toml")
	if err := InitRelay(path); err != nil {
		t.Fatal(err)
	}
	if err := InitRelay(path); !errors.Is(err, ErrExists) {
		t.Errorf("the second time: %v", err)
	}
	_, err := LoadRelay(path) // complete but for the certificate
	var fe *FileError
	if !errors.As(err, &fe) || len(fe.Errors) != 1 || fe.Errors[0].Key != "listen" {
		t.Errorf("the new file: %v", err)
	}
	r := DefaultRelay()
	r.PublicURL, r.ACMEDomain = "https://relay.example.com", "relay.example.com"
	back, err := ParseRelay(r.TOML())
	if err != nil || back.ACMEDomain != r.ACMEDomain || back.KeepUnread != r.KeepUnread {
		t.Errorf("read back %+v, %v", back, err)
	}
}
