package relayd

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
)

// writeCertificate makes a self-signed certificate with a serial number.
func writeCertificate(t *testing.T, dir string, serial int64, at time.Time) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	kb, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for path, b := range map[string][]byte{cert: certPEM, key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: kb})} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(certPEM)
	return cert, key, roots
}

func TestRunServesUntilItIsStopped(t *testing.T) {
	dir := t.TempDir()
	cert, key, roots := writeCertificate(t, dir, 1, time.Now())
	ctx, stop := context.WithCancel(t.Context())
	addrs, ended := make(chan [2]string, 1), make(chan error, 1)
	go func() {
		ended <- Run(ctx, Config{
			Relay:  relay.Config{PublicURL: "https://localhost", SealAtIngest: true},
			Listen: "127.0.0.1:0", MetricsListen: "127.0.0.1:0", Store: "sqlite:relay.db", DataDir: dir, TLSCert: cert, TLSKey: key,
			Getenv:  func(string) string { return "" },
			Started: func(p, m net.Addr) { addrs <- [2]string{p.String(), m.String()} },
		})
	}()
	var at [2]string
	select {
	case at = <-addrs:
	case err := <-ended:
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer client.CloseIdleConnections()
	get := func(address string) (int, string) {
		a, err := client.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		b, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		return a.StatusCode, string(b)
	}
	if code, text := get("https://" + at[0] + "/readyz"); code != 200 {
		t.Errorf("ready: %d %s", code, text)
	}
	if code, _ := get("https://" + at[0] + "/in/" + strings.Repeat("a", 32)); code != 404 {
		t.Errorf("an address nobody has: %d", code)
	}
	if code, text := get("http://" + at[1] + "/metrics"); code != 200 || !strings.Contains(text, "rayhound_relay") {
		t.Errorf("metrics: %d %.200s", code, text)
	}
	client.CloseIdleConnections()
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
}

func TestACertificateIsReadAgain(t *testing.T) {
	dir, began := t.TempDir(), time.Now().Add(-time.Hour)
	cert, key, _ := writeCertificate(t, dir, 1, began)
	c, err := openCertificate(cert, key, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	serial := func() int64 {
		p, err := c.config().GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return p.Leaf.SerialNumber.Int64()
	}
	if changed, err := c.reload(); err != nil || changed {
		t.Errorf("nothing changed: %v, %v", changed, err)
	}
	old, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	writeCertificate(t, dir, 2, began.Add(time.Minute))
	fresh, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, old, 0o600); err != nil { // half a renewal: the key is the old one
		t.Fatal(err)
	}
	if _, err := c.reload(); err == nil || serial() != 1 {
		t.Errorf("half a renewal: error %v, certificate %d", err, serial())
	}
	if err := os.WriteFile(key, fresh, 0o600); err != nil {
		t.Fatal(err)
	}
	if changed, err := c.reload(); err != nil || !changed || serial() != 2 {
		t.Errorf("the whole renewal: %v, %v, certificate %d", changed, err, serial())
	}
}

func TestPlainHTTPOnlyFromHereAndTheProxy(t *testing.T) {
	h := plainOnly(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }),
		[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	for from, want := range map[string]int{
		"127.0.0.1:1": 200, "[::1]:1": 200, "10.1.2.3:1": 200, "[::ffff:10.1.2.3]:1": 200,
		"192.0.2.1:1": 403, "[2001:db8::1]:1": 403, "": 403, "@": 403,
	} {
		w := httptest.NewRecorder()
		q := httptest.NewRequest(http.MethodPost, "/in/x", nil)
		q.RemoteAddr = from
		h.ServeHTTP(w, q)
		if w.Code != want {
			t.Errorf("from %q: %d, want %d", from, w.Code, want)
		}
	}
}

func TestOpenStoreRefusesOtherNames(t *testing.T) {
	for _, name := range []string{"", "mysql://x", "relay.db"} {
		if s, err := OpenStore(t.Context(), name, t.TempDir(), nil); err == nil || s != nil {
			t.Errorf("%q: %v, %v", name, s, err)
		}
	}
}

func TestCheckFindsWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	defer srv.Close()
	c := Config{Relay: relay.Config{PublicURL: srv.URL}, Store: "sqlite:relay.db", DataDir: dir, TLSCert: filepath.Join(dir, "no.pem"), TLSKey: "no"}
	got := map[string]string{}
	for _, f := range Check(t.Context(), c) {
		got[f.Name] = f.Result
		if f.Result != "ok" && f.Help == "" {
			t.Errorf("%s says not what to do", f.Name)
		}
	}
	if got["database"] != "ok" || got["disk"] == "" || got["certificate"] != "fail" || got["public address"] != "fail" {
		t.Errorf("found %v", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), bytes.Repeat([]byte("x"), 10), 0o600); err != nil {
		t.Fatal(err)
	}
	c.DataDir = filepath.Join(dir, "file")
	for _, f := range Check(t.Context(), c) {
		if (f.Name == "database" || f.Name == "disk") && f.Result != "fail" {
			t.Errorf("%s in a folder that is a file: %s", f.Name, f.Result)
		}
	}
}
