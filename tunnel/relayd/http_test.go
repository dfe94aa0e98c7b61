package relayd_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relayd"
	"github.com/rayhound/rayhound/tunnel/tunneltest"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// certificateFiles writes what an authority issues for 127.0.0.1.
func certificateFiles(t *testing.T, a *tunneltest.Authority, dir string) (cert, key string) {
	t.Helper()
	pair := a.Issue(t, "127.0.0.1", time.Now().Add(-time.Hour), time.Now().Add(time.Hour)).Certificates[0]
	private, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, b := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// Whatever a sender posts to a live address over TLS, it gets 200 and nothing else, and the appliance gets the same bytes, path and query,
// by HTTP/1.1 and HTTP/2, sealed by the relay and opened by the appliance.
func TestBytesReachTheApplianceAsTheyCame(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	authority := tunneltest.NewAuthority(t)
	cert, key := certificateFiles(t, authority, dir)
	n := runNode(t, relayd.Config{Relay: quick(), Store: "sqlite:relay.db", DataDir: dir, TLSCert: cert, TLSKey: key})
	var a *tunneltest.Clinic
	admin(t, "sqlite:relay.db", dir, func(ad *relay.Admin, _ relayd.Store) {
		if _, err := ad.AddClinic(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		code, _, err := ad.PairingCode(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		a = tunneltest.Pair(t, n.url, code, authority.Pool)
	})
	a.Start(t)
	live := through(n.url, a.URLs[wire.KindUpdated])
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	const form, json = "application/x-www-form-urlencoded", "application/json"
	limit := strings.Repeat("\x00\xff", wire.DefaultMaxBody/2)
	type sent struct{ suffix, query, kind, body string }
	var want []sent
	for major, tr := range map[int]*http.Transport{
		1: {TLSClientConfig: &tls.Config{RootCAs: authority.Pool}, TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}},
		2: {TLSClientConfig: &tls.Config{RootCAs: authority.Pool}, ForceAttemptHTTP2: true},
	} {
		t.Cleanup(tr.CloseIdleConnections)
		hc := &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		ask := func(method, address, kind, body string) *http.Response {
			t.Helper()
			q, err := http.NewRequestWithContext(t.Context(), method, address, bytes.NewReader([]byte(body)))
			if err != nil {
				t.Fatal(err)
			}
			q.Header.Set("Content-Type", kind)
			q.Header.Set("Cookie", "secret")
			x, err := hc.Do(q)
			if err != nil {
				t.Fatal(err)
			}
			if x.ProtoMajor != major {
				t.Fatalf("HTTP/%d", x.ProtoMajor)
			}
			return x
		}
		status := func(method, address, body string) int {
			t.Helper()
			x := ask(method, address, json, body)
			defer x.Body.Close()
			if x.StatusCode >= 300 && x.StatusCode < 400 || x.Header.Get("Location") != "" {
				t.Errorf("%s %.80s: a redirect to %q", method, address, x.Header.Get("Location"))
			}
			return x.StatusCode
		}
		for _, suffix := range []string{"", "/", "//", "///x", "/x/../y", "/..", "/./x", "/%2e%2e/x", "/x%2Fy", "/%00", "/%C3%28", "/;p", "/" + strings.Repeat("long/", 1500)} {
			for _, body := range []struct{ kind, body string }{
				{form, "a=1&b=%20&a=+&c"},
				{json, "{\"a\":\"\\u00e4\", \"a\" : 1}\n"},
				{json, string(all)},
				{"", ""},
			} {
				query := "x=1;y=<>&&z=%zz"
				x := ask(http.MethodPost, live+suffix+"?"+query, body.kind, body.body)
				b, err := io.ReadAll(x.Body)
				x.Body.Close()
				if err != nil || x.StatusCode != http.StatusOK || len(b) != 0 {
					t.Fatalf("HTTP/%d %.80q: %d %q %v", major, suffix, x.StatusCode, b, err)
				}
				want = append(want, sent{suffix, query, body.kind, body.body})
			}
		}
		if code := status(http.MethodPost, live, limit); code != http.StatusOK {
			t.Fatalf("the largest body: %d", code)
		}
		want = append(want, sent{"", "", json, limit})
		if code := status(http.MethodPost, live, limit+"x"); code != http.StatusRequestEntityTooLarge {
			t.Errorf("a byte too many: %d", code)
		}
		secret := live[strings.LastIndexByte(live, '/')+1:]
		for _, path := range []string{"/in//" + secret, "//in/" + secret, "/in/../in/" + secret, "/in/./" + secret, "/in/%2e%2e/in/" + secret, "/in/" + secret + "%00", "/IN/" + secret} {
			if code := status(http.MethodPost, n.url+path, "x"); code != http.StatusNotFound {
				t.Errorf("%s: %d", strings.ReplaceAll(path, secret, "SECRET"), code)
			}
		}
		for method, code := range map[string]int{http.MethodGet: 200, http.MethodHead: 200, http.MethodPut: 405, http.MethodDelete: 405, http.MethodOptions: 405} {
			if got := status(method, live, ""); got != code {
				t.Errorf("%s: %d", method, got)
			}
		}
	}
	eventually(t, "the appliance holds all", func() bool { return len(a.Memory.Seqs()) == len(want) })
	cr := a.Credentials
	for i, e := range a.Memory.Events("") {
		r, err := wire.Open(cr.SealingKeys[cr.SealingKeyID], cr.SealingKeyID, cr.ClinicID, e)
		if err != nil {
			t.Fatal(err)
		}
		got := sent{r.Path, r.Query, r.Header["content-type"], string(r.Body)}
		if got != want[i] {
			t.Errorf("event %d: %s, want %s", e.Seq, short(got), short(want[i]))
		}
		if r.Header["cookie"] != "" || r.Label != wire.KindUpdated || r.RemoteAddr != "127.0.0.1" {
			t.Errorf("event %d: %q %q %v", e.Seq, r.Label, r.RemoteAddr, r.Header)
		}
	}
}

func short(v any) string { return fmt.Sprintf("%.200q", v) }
