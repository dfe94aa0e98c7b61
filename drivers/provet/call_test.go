package provet_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

func provetError(t *testing.T, err error) *provet.Error {
	t.Helper()
	var e *provet.Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %T %v, want *provet.Error", err, err)
	}
	return e
}

// Each answer has one class and one code (localdb.md §10.4).
func TestAnswerClasses(t *testing.T) {
	for _, tc := range []struct {
		name        string
		status      int
		contentType string
		header      http.Header
		body        string
		class       provet.Class
		code        problem.Code
	}{
		{"bad request", 400, "application/json", nil, `{"status":["nope"]}`, provet.Permanent, problem.ProvetAnswer},
		{"forbidden", 403, "application/json", nil, `{"detail":"no"}`, provet.Permission, problem.ProvetPermission},
		{"wrong address", 404, "text/html", nil, `<html>Not Found</html>`, provet.Destination, problem.ProvetBaseURL},
		{"timeout", 408, "application/json", nil, `{}`, provet.Transient, problem.ProvetUnreachable},
		{"too many", 429, "application/json", http.Header{"Retry-After": {"30"}}, `{}`, provet.RateLimited, problem.ProvetLimit},
		{"server error", 500, "text/html", nil, `<h1>Server Error</h1>`, provet.Transient, problem.ProvetUnreachable},
		{"unavailable", 503, "text/html", nil, ``, provet.Transient, problem.ProvetUnreachable},
		{"page", 200, "text/html", nil, `<html>Log in</html>`, provet.Destination, problem.ProvetBaseURL},
		{"half JSON", 200, "application/json", nil, `{"id": 1, "st`, provet.Protocol, problem.ProvetAnswer},
		{"empty", 200, "application/json", nil, ``, provet.Protocol, problem.ProvetAnswer},
		{"list", 200, "application/json", nil, `[]`, provet.Protocol, problem.ProvetAnswer},
		{"deep", 200, "application/json", nil, strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100), provet.Protocol, problem.ProvetAnswer},
		{"many", 200, "application/json", nil, `{"a":[` + strings.Repeat("1,", 300000) + `1]}`, provet.Protocol, problem.ProvetAnswer},
		{"huge", 200, "application/json", nil, `{"a":"` + strings.Repeat("x", 9<<20) + `"}`, provet.Protocol, problem.ProvetAnswer},
		{"unauthorized", 401, "application/json", nil, `{"detail":"bad token"}`, provet.Auth, problem.ProvetAuth},
		{"see other", 302, "text/html", http.Header{"Location": {"/accounts/login/"}}, ``, provet.Destination, problem.ProvetBaseURL},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, _ := scripted(t, func(w http.ResponseWriter, r *http.Request) {
				for k, v := range tc.header {
					w.Header()[k] = v
				}
				w.Header().Set("Content-Type", tc.contentType)
				w.WriteHeader(tc.status)
				_, _ = w.Write([]byte(tc.body))
			}, nil)
			_, err := c.Order(t.Context(), "7")
			e := provetError(t, err)
			if e.Class != tc.class || e.Problem().Code != tc.code {
				t.Errorf("class %v, code %v: %v", e.Class, e.Problem().Code, e)
			}
			if tc.status == 429 && e.RetryAfter != 30*time.Second {
				t.Errorf("retry after %v", e.RetryAfter)
			}
		})
	}
}

// After a 429 with a long wait nothing is sent until the wait is over.
func TestTooManyKeepsAway(t *testing.T) {
	var calls atomic.Int32
	c, _ := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		w.Header().Set("Retry-After", time.Now().Add(90*time.Second).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusTooManyRequests)
	}, nil)
	for range 3 {
		_, err := c.Order(t.Context(), "7")
		if e := provetError(t, err); e.Class != provet.RateLimited || e.RetryAfter < 80*time.Second || e.RetryAfter > 95*time.Second {
			t.Error(e)
		}
	}
	if calls.Load() != 1 {
		t.Errorf("%d calls", calls.Load())
	}
}

// A read survives failures that pass, and a short Retry-After.
func TestReadIsRepeated(t *testing.T) {
	for name, first := range map[string]http.HandlerFunc{
		"500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"429": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		},
		"reset":     func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"half JSON": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"id"`)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			ok := answers(map[string]string{"diagnosticimaging_worklist/7/": `{"id":7,"status":1,"referral":null}`})
			c, _ := scripted(t, func(w http.ResponseWriter, r *http.Request) {
				if calls.Add(1) == 1 {
					first(w, r)
					return
				}
				ok(w, r)
			}, nil)
			up, err := c.Order(t.Context(), "7")
			if err != nil || up.Status != "1" || calls.Load() != 2 {
				t.Errorf("%+v, %v, %d calls", up, err, calls.Load())
			}
		})
	}
}

// The token of a wrong or malicious answer's address never leaves.
func TestTokenStaysInside(t *testing.T) {
	var seen atomic.Int32
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the other server saw a token")
		}
		seen.Add(1)
		_, _ = w.Write([]byte(`{"id":7,"status":1}`))
	}))
	defer evil.Close()
	for _, to := range []string{
		evil.URL + "/4321/api/0.1/diagnosticimaging_worklist/7/", "/4321/oauth2/other/", "/9999/api/0.1/x/",
		"/4321/api/0.1/../../9999/", "//" + strings.TrimPrefix(evil.URL, "http://") + "/4321/api/0.1/",
	} {
		for _, code := range []int{301, 302, 303, 307, 308} {
			c, _ := scripted(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", to)
				w.WriteHeader(code)
			}, nil)
			_, err := c.Order(t.Context(), "7")
			if e := provetError(t, err); e.Class != provet.Destination || e.Problem().Code != problem.ProvetBaseURL {
				t.Error(to, code, e)
			}
			if _, err := c.Probe(t.Context()); err == nil {
				t.Error("probe followed", to)
			}
		}
	}
	// Relations and "next" that point elsewhere.
	body := fmt.Sprintf(`{"id":7,"url":%[1]q,"status":1,"patient":%[1]q,"client":{"url":%[1]q},"modality":[%[1]q],"referral":%[1]q}`, evil.URL+"/api/0.1/x/7/")
	c, _ := scripted(t, answers(map[string]string{
		"diagnosticimaging_worklist/7/": body,
		"diagnosticimaging_worklist/":   fmt.Sprintf(`{"count":2,"next":%q,"results":[%s]}`, evil.URL+"/?page=2", body),
	}), nil)
	if _, err := c.Order(t.Context(), "7"); err != nil {
		t.Error(err)
	}
	if err := c.Changed(t.Context(), time.Time{}, func(provet.Row) error { return nil }); err != nil {
		t.Error(err)
	}
	if seen.Load() != 0 {
		t.Errorf("the other server was called %d times", seen.Load())
	}
}

// A redirect inside of the API is followed for reads, with the token, never for writes.
func TestRedirectInside(t *testing.T) {
	var patched atomic.Int32
	c, _ := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/moved/"):
			patched.Add(1)
		case r.Method == http.MethodPatch:
			http.Redirect(w, r, "/4321/api/0.1/moved/", http.StatusPermanentRedirect)
		case strings.HasSuffix(r.URL.Path, "/7/"):
			http.Redirect(w, r, "/4321/api/0.1/moved/", http.StatusMovedPermanently)
		case r.Header.Get("Authorization") != "Bearer good":
			w.WriteHeader(http.StatusUnauthorized)
		default:
			_, _ = w.Write([]byte(`{"id":7,"status":1,"referral":null}`))
		}
	}, func(c *provet.Config) { c.Status = map[order.State]string{order.Completed: "3"} })
	if up, err := c.Order(t.Context(), "7"); err != nil || up.Status != "1" {
		t.Error(up, err)
	}
	_, err := c.SetStatus(t.Context(), "7", order.Completed)
	if e := provetError(t, err); e.Class != provet.Destination || patched.Load() != 0 {
		t.Error(e, patched.Load())
	}
}

func TestTokenRenewedOnceAfter401(t *testing.T) {
	store := &memoryStore{}
	c := openTenant(t, provetsim.Config{NoLimits: true}, func(c *provet.Config) { c.Tokens = store })
	id := fmt.Sprint(c.sim.CreateOrder(provetsim.NewOrder{}))
	if _, err := c.Client.Order(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	c.sim.ExpireTokens()
	if _, err := c.SetStatus(t.Context(), id, order.Completed); err != nil {
		t.Fatal(err)
	}
	if store.token.AccessToken == "" || store.saves < 2 {
		t.Errorf("token %q saved %d times", store.token.AccessToken, store.saves)
	}
	// A new client starts with the stored token and asks for none.
	before := c.sim.Requests()
	cfg := c.cfg
	again, err := provet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Order(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	for route, n := range c.sim.Requests() {
		if strings.Contains(route, "oauth2") && n != before[route] {
			t.Errorf("%s: %d, before %d", route, n, before[route])
		}
	}
}

// The stored token of another address or client is not used.
func TestStoredTokenBelongsToItsTenant(t *testing.T) {
	store := &memoryStore{token: provet.Token{
		AccessToken: "stolen", Issuer: "https://elsewhere/oauth2/token/ rayhound", Lifetime: 36000, Expiry: time.Now().Add(9 * time.Hour),
	}}
	c, _ := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer good" {
			t.Error("the token of another tenant was sent")
		}
		_, _ = w.Write([]byte(`{"id":7,"referral":null}`))
	}, func(c *provet.Config) { c.Tokens = store })
	if _, err := c.Order(t.Context(), "7"); err != nil {
		t.Fatal(err)
	}
}

// tokenServer counts token requests and answers as told.
func tokenServer(t *testing.T, token http.HandlerFunc, change func(*provet.Config)) (*provet.Client, *atomic.Int32) {
	t.Helper()
	var n atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("/4321/oauth2/token/", func(w http.ResponseWriter, r *http.Request) { n.Add(1); token(w, r) })
	mux.HandleFunc("/4321/api/0.1/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"id":7,"referral":null}`))
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	cfg := provet.Config{BaseURL: srv.URL + "/4321/", ClientID: "id", Secret: secret("s"), NoBudget: true}
	if change != nil {
		change(&cfg)
	}
	c, err := provet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c, &n
}

func goodToken(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"access_token":"good","token_type":"Bearer","expires_in":36000}`))
}

func TestTokenFailures(t *testing.T) {
	jsonAnswer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	for _, tc := range []struct {
		name   string
		answer http.HandlerFunc
		code   problem.Code
		class  provet.Class
	}{
		{"invalid client", jsonAnswer(401, `{"error":"invalid_client"}`), problem.ProvetAuth, provet.Auth},
		{"bad request", jsonAnswer(400, `{"error":"unauthorized_client"}`), problem.ProvetAuth, provet.Auth},
		{"detail", jsonAnswer(401, `{"detail":"no"}`), problem.ProvetAuth, provet.Auth},
		{"not found", func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, problem.ProvetBaseURL, provet.Destination},
		{"page", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<html>Welcome</html>"))
		}, problem.ProvetBaseURL, provet.Destination},
		{"login", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login/", http.StatusFound) }, problem.ProvetBaseURL, provet.Destination},
		{"down", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, problem.ProvetUnreachable, provet.Transient},
		{"limit", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "9")
			w.WriteHeader(http.StatusTooManyRequests)
		}, problem.ProvetLimit, provet.RateLimited},
		{"no token", jsonAnswer(200, `{"token_type":"Bearer"}`), problem.ProvetAnswer, provet.Protocol},
		{"header injection", jsonAnswer(200, `{"access_token":"a\r\nX: y","expires_in":5}`), problem.ProvetAnswer, provet.Protocol},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, _ := tokenServer(t, tc.answer, nil)
			_, err := c.Order(t.Context(), "7")
			if e := provetError(t, err); e.Class != tc.class || e.Problem().Code != tc.code {
				t.Errorf("%v, code %v", e, e.Problem().Code)
			}
			if strings.Contains(err.Error(), "secret") && strings.Contains(err.Error(), "=s") {
				t.Error(err)
			}
		})
	}
}

// Credentials in the body are tried when Basic is refused, and remembered.
func TestTokenCredentialsInBody(t *testing.T) {
	c, n := tokenServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("client_secret") != "s" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		goodToken(w, r)
	}, nil)
	if _, err := c.Order(t.Context(), "7"); err != nil || n.Load() != 2 {
		t.Error(err, n.Load())
	}
}

// Many callers share one token request; one that gives up does not spoil it.
func TestTokenIsShared(t *testing.T) {
	release := make(chan struct{})
	c, n := tokenServer(t, func(w http.ResponseWriter, r *http.Request) { <-release; goodToken(w, r) }, nil)
	gaveUp, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := c.Order(gaveUp, "7"); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	for range 20 {
		wg.Go(func() {
			if _, err := c.Order(t.Context(), "7"); err != nil {
				t.Error(err)
			}
		})
	}
	cancel()
	close(release)
	wg.Wait()
	if n.Load() != 1 && n.Load() != 2 { // two only when the first ended before the rest began
		t.Errorf("%d token requests", n.Load())
	}
}

// The token is renewed before it ends, and the old one serves while that fails.
func TestTokenRenewal(t *testing.T) {
	var clock atomic.Int64
	start := time.Now()
	var down atomic.Bool
	c, n := tokenServer(t, func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		goodToken(w, r)
	}, func(c *provet.Config) {
		c.Now = func() time.Time { return start.Add(time.Duration(clock.Load())) }
	})
	read := func(at time.Duration, wantRequests int32) {
		t.Helper()
		clock.Store(int64(at))
		if _, err := c.Order(t.Context(), "7"); err != nil {
			t.Error(at, err)
		}
		if n.Load() != wantRequests {
			t.Errorf("at %v: %d token requests, want %d", at, n.Load(), wantRequests)
		}
	}
	read(0, 1)
	read(9*time.Hour, 1)
	read(9*time.Hour+56*time.Minute, 2)
	down.Store(true)
	read(19*time.Hour+53*time.Minute, 3) // within five minutes of the end, and refused
	clock.Store(int64(21 * time.Hour))
	if _, err := c.Order(t.Context(), "7"); provetError(t, err).Class != provet.Transient {
		t.Error(err)
	}
}

func TestUnreachable(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	url := srv.URL
	srv.Close()
	c, err := provet.New(provet.Config{BaseURL: url + "/1", ClientID: "x", Secret: secret("s")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Order(t.Context(), "1")
	if e := provetError(t, err); e.Class != provet.Destination || e.Problem().Code != problem.ProvetUnreachable {
		t.Error(e)
	}
	checks := c.Check(t.Context())
	if checks[0].Name != "dns" || !checks[0].OK || checks[1].Name != "tcp" || checks[1].OK || !checks[2].Skipped {
		t.Errorf("%+v", checks)
	}
}

func TestTLSIsVerified(t *testing.T) {
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	c, err := provet.New(provet.Config{BaseURL: srv.URL + "/1", ClientID: "x", Secret: secret("s")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Order(t.Context(), "1")
	if e := provetError(t, err); e.Class != provet.Destination || !strings.Contains(e.Detail, "authority") {
		t.Error(e)
	}
	for _, ch := range c.Check(t.Context()) {
		if ch.Name == "tls" && (ch.OK || !strings.Contains(ch.Detail, "Acme")) {
			t.Errorf("%+v", ch)
		}
	}
}
