package ui

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
)

const token = "0123456789012345678901234567890123456789012"

// start serves a on loopback and returns its address and port.
func start(t *testing.T, a Appliance) (addr, port string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "# metrics\n") })
	s := New(Config{Appliance: a, Token: secret.New(token), Metrics: metrics})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	_, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return l.Addr().String(), port
}

// request sends one request. Headers with the name Host set the host.
func request(t *testing.T, method, url, body string, headers ...string) (status int, answer string, h http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

// allRoutes reads the one block of routes.
func allRoutes(t *testing.T) map[string]bool {
	t.Helper()
	b, err := os.ReadFile("routes.go")
	if err != nil {
		t.Fatal(err)
	}
	routes := map[string]bool{} // pattern -> needs the token
	for _, m := range regexp.MustCompile(`(?m)^\t(api|mux\.HandleFunc)\("([A-Z]+ [^"]+)"`).FindAllStringSubmatch(string(b), -1) {
		routes[m[2]] = m[1] == "api"
	}
	if len(routes) < 25 {
		t.Fatalf("only %d routes found", len(routes))
	}
	return routes
}

func TestGuardIsInFrontOfEveryRoute(t *testing.T) {
	addr, port := start(t, &fake{})
	auth := []string{"Authorization", "Bearer " + token}
	for pattern, needsToken := range allRoutes(t) {
		method, path, _ := strings.Cut(pattern, " ")
		path = strings.NewReplacer("{accession}", "1", "{action}", "resend", "{id}", "1", "{destination}", "provet", "{name}", "a").Replace(path)
		url := "http://" + addr + path
		for _, tc := range []struct {
			layer   string
			headers []string
			status  int
		}{
			{"another name", append([]string{"Host", "clinic.example.com:" + port}, auth...), 403},
			{"a name that begins like ours", append([]string{"Host", "localhost.example.com:" + port}, auth...), 403},
			{"another port", append([]string{"Host", "localhost:1"}, auth...), 403},
			{"no port", append([]string{"Host", "localhost"}, auth...), 403},
			{"behind a proxy", append([]string{"X-Forwarded-For", "10.0.0.1"}, auth...), 403},
			{"behind another proxy", append([]string{"Forwarded", "for=10.0.0.1"}, auth...), 403},
			{"another site", append([]string{"Sec-Fetch-Site", "cross-site"}, auth...), 403},
			{"another port of this computer", append([]string{"Sec-Fetch-Site", "same-site"}, auth...), 403},
		} {
			if status, body, _ := request(t, method, url, "", tc.headers...); status != tc.status {
				t.Errorf("%s: %s: %d %s", pattern, tc.layer, status, body)
			}
		}
		if method != "GET" {
			if status, _, _ := request(t, method, url, "", append([]string{"Origin", "http://evil.example"}, auth...)...); status != 403 {
				t.Errorf("%s: cross-origin: %d", pattern, status)
			}
		}
		status, _, h := request(t, "OPTIONS", url, "", "Origin", "http://"+addr)
		if status != 405 || h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: OPTIONS: %d %v", pattern, status, h)
		}
		if status, _, _ := request(t, "DELETE", url, "", auth...); status != 405 {
			t.Errorf("%s: DELETE: %d", pattern, status)
		}
		if h.Get("Content-Security-Policy") == "" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", pattern, h)
		}
		if !needsToken {
			continue
		}
		for _, wrong := range [][]string{
			nil,
			{"Authorization", "Bearer "},
			{"Authorization", "Bearer x"},
			{"Authorization", "bearer " + token},
			{"Authorization", "Basic " + token},
			{"Authorization", "Bearer " + token + " "},
			{"Cookie", "token=" + token},
		} {
			status, body, _ := request(t, method, url, "", wrong...)
			if wrong != nil && wrong[1] == "Bearer "+token+" " {
				continue // the HTTP library trims it
			}
			if status != 401 || !strings.Contains(body, string(problem.ServiceDenied)) {
				t.Errorf("%s: with %v: %d %s", pattern, wrong, status, body)
			}
		}
		if status, _, _ := request(t, method, url, "", append([]string{"Sec-Fetch-Site", "same-origin"}, auth...)...); status != 403 {
			t.Errorf("%s: a browser with the token: %d", pattern, status)
		}
		if status, _, _ := request(t, method, url, "", append([]string{"Origin", "http://" + addr}, auth...)...); status != 403 {
			t.Errorf("%s: our own origin with the token: %d", pattern, status)
		}
	}
}

func TestNamesWeAnswerTo(t *testing.T) {
	addr, port := start(t, &fake{})
	for _, host := range []string{"rayhound.localhost", "localhost", "127.0.0.1", "[::1]"} {
		if status, _, _ := request(t, "GET", "http://"+addr+"/healthz", "", "Host", host+":"+port); status != 200 {
			t.Errorf("%s: %d", host, status)
		}
	}
	if status, _, _ := request(t, "GET", "http://"+addr+"/", ""); status != 404 {
		t.Errorf("/: %d", status)
	}
}

func TestOnlyLoopback(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := New(Config{Appliance: &fake{}}).Serve(t.Context(), l); err == nil {
		t.Error("served everybody")
	}
	if _, err := l.Accept(); err == nil {
		t.Error("the listener is still open")
	}
}

func TestBodyLimit(t *testing.T) {
	addr, _ := start(t, &fake{})
	status, body, _ := request(t, "POST", "http://"+addr+"/api/v1/orders", strings.Repeat(" ", maxBody+1),
		"Authorization", "Bearer "+token, "Content-Type", "application/json")
	if status != 400 || !strings.Contains(body, "larger than allowed") {
		t.Errorf("%d %s", status, body)
	}
}
