package provetsim_test

import (
	"bytes"
	"encoding/base64"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

func TestToken(t *testing.T) {
	c := open(t, provetsim.Config{})
	const form = "application/x-www-form-urlencoded"
	good := url.Values{"grant_type": {"client_credentials"}, "client_id": {"rayhound"}, "client_secret": {"secret"}}
	with := func(key, value string) string {
		v := url.Values{}
		for k := range good {
			v.Set(k, good.Get(k))
		}
		v.Set(key, value)
		return v.Encode()
	}
	for _, tc := range []struct {
		name, method, kind, body string
		status                   int
		want                     string
	}{
		{"in the body", "POST", form, good.Encode(), 200, `"token_type": "Bearer"`},
		{"lifetime", "POST", form, good.Encode(), 200, `"expires_in": 36000`},
		{"scope", "POST", form, with("scope", "restapi"), 200, `"scope": "restapi"`},
		{"wrong secret", "POST", form, with("client_secret", "guess"), 401, "invalid_client"},
		{"wrong id", "POST", form, with("client_id", "guess"), 401, "invalid_client"},
		{"wrong grant", "POST", form, with("grant_type", "password"), 400, "unsupported_grant_type"},
		{"no grant", "POST", form, with("grant_type", ""), 400, "invalid_request"},
		{"wrong scope", "POST", form, with("scope", "openid"), 400, "invalid_scope"},
		{"JSON", "POST", "application/json", `{"grant_type":"client_credentials"}`, 400, "invalid_request"},
		{"GET", "GET", "", "", 405, ""},
	} {
		r := c.do(tc.method, "/oauth2/token/", tc.kind, tc.body)
		if r.status != tc.status || !strings.Contains(string(r.body), tc.want) || strings.Contains(string(r.body), "refresh") {
			t.Errorf("%s: %d %s", tc.name, r.status, r.body)
		}
	}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for k := range good {
		if err := w.WriteField(k, good.Get(k)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if r := c.do("POST", "/oauth2/token/", w.FormDataContentType(), b.String()); r.status != 200 {
		t.Errorf("multipart: %d %s", r.status, r.body)
	}
	if r := c.do("POST", "/oauth2/token", form, good.Encode()); r.status != 301 {
		t.Errorf("without the slash: %d", r.status)
	}
}

func TestTokenByBasic(t *testing.T) {
	sim := provetsim.New(provetsim.Config{ClientSecret: "s:e c/r+e%t"})
	for _, tc := range []struct {
		user string
		want int
	}{
		{"rayhound:" + url.QueryEscape("s:e c/r+e%t"), 200},
		{"rayhound:wrong", 401},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/4321/oauth2/token/", strings.NewReader("grant_type=client_credentials"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(tc.user)))
		w := &recorder{header: http.Header{}}
		sim.ServeHTTP(w, req)
		if w.status != tc.want {
			t.Errorf("%s: %d %s", tc.user, w.status, w.body.String())
		}
	}
}

type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }

func TestTokensEnd(t *testing.T) {
	var offset atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	c := open(t, provetsim.Config{Now: now, TokenLifetime: time.Hour})
	if r := c.get("patient/5001/"); r.status != 200 {
		t.Fatal(r.status)
	}
	offset.Store(int64(time.Hour + time.Second))
	if r := c.get("patient/5001/"); r.status != 401 || !strings.Contains(string(r.body), `{"detail":`) {
		t.Errorf("after its lifetime: %d %s", r.status, r.body)
	}
	c.login()
	c.sim.ExpireTokens()
	if r := c.get("patient/5001/"); r.status != 401 {
		t.Errorf("after ExpireTokens: %d", r.status)
	}
	c.login()
	if r := c.do("POST", "/oauth2/revoke_token/", "application/x-www-form-urlencoded",
		url.Values{"token": {c.token}, "client_id": {"rayhound"}, "client_secret": {"secret"}}.Encode()); r.status != 200 {
		t.Errorf("revoke: %d", r.status)
	}
	if r := c.get("patient/5001/"); r.status != 401 {
		t.Errorf("after its revocation: %d", r.status)
	}
	if got := c.sim.TokensIssued(); got != 3 {
		t.Errorf("%d tokens issued", got)
	}
	c.token = ""
	if r := c.get("patient/5001/"); r.status != 401 || r.header.Get("WWW-Authenticate") == "" {
		t.Errorf("without a token: %d", r.status)
	}
}

func TestRoutes(t *testing.T) {
	c := open(t, provetsim.Config{})
	c.sim.CreateOrder(provetsim.NewOrder{AppointmentAt: time.Now()})
	for _, path := range []string{
		"", "diagnosticimaging_worklist/", "diagnosticimaging_referral/", "consultation/", "client/", "patient/", "user/",
		"userdetails/", "department/", "modality/", "targetarea/", "appointment/", "phonenumber/", "hook/webhook/",
		"hook/queue/", "user/current/active_permissions/", "diagnosticimaging_worklist/70001/", "diagnosticimaging_referral/40001/",
		"consultation/20001/", "client/101/", "patient/5001/", "user/901/", "userdetails/951/", "department/1/", "modality/11/",
		"targetarea/301/", "appointment/60001/", "phonenumber/3001/",
	} {
		r := c.get(path)
		c.object(r, 200)
		if r.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %s", path, r.header.Get("Content-Type"))
		}
	}
	for _, tc := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/api/0.1/diagnosticimaging_referral/40001", 301},
		{"GET", "/api/0.1/patient?name__is=Bello", 301},
		{"PATCH", "/api/0.1/diagnosticimaging_worklist/70001", 301},
		{"GET", "/api/0.1/nothing/", 404},
		{"GET", "/api/0.1/patient/x/", 404},
		{"GET", "/api/0.1/patient/-1/", 404},
		{"GET", "/api/0.1/patient/99999999999999999999/", 404},
		{"GET", "/api/0.1/patient/1/", 404},
		{"GET", "/", 404},
		{"DELETE", "/api/0.1/patient/5001/", 405},
		{"POST", "/api/0.1/modality/", 405},
		{"PATCH", "/api/0.1/modality/11/", 405},
		{"PATCH", "/api/0.1/diagnosticimaging_worklist/", 405},
		{"HEAD", "/api/0.1/patient/5001/", 200},
		{"BREW", "/api/0.1/patient/5001/", 405},
		{"POST", "/_sim/orders", 404},
	} {
		r := c.do(tc.method, tc.path, "", "")
		if r.status != tc.status {
			t.Errorf("%s %s: %d, want %d", tc.method, tc.path, r.status, tc.status)
		}
		if tc.status == 301 && !strings.Contains(r.header.Get("Location"), strings.Split(tc.path, "?")[0]+"/") {
			t.Errorf("%s: to %s", tc.path, r.header.Get("Location"))
		}
	}
	r := c.do("DELETE", "/api/0.1/patient/5001/", "", "")
	if string(r.body) != `{"detail":"Method \"DELETE\" not allowed."}` || r.header.Get("Allow") != "GET, PUT, PATCH, HEAD, OPTIONS" {
		t.Errorf("%s, Allow %s", r.body, r.header.Get("Allow"))
	}
	if c.sim.Requests()["PATCH worklist/{id} (no slash)"] != 1 {
		t.Errorf("%v", c.sim.Requests())
	}
}

func TestForbidden(t *testing.T) {
	c := open(t, provetsim.Config{})
	c.sim.Forbid("client", "diagnosticimaging_referral")
	for path, want := range map[string]int{"client/101/": 403, "client/": 403, "diagnosticimaging_referral/": 403, "patient/5001/": 200} {
		if r := c.get(path); r.status != want {
			t.Errorf("%s: %d", path, r.status)
		}
	}
	c.sim.Allow("client")
	if r := c.get("client/101/"); r.status != 200 {
		t.Errorf("allowed again: %d", r.status)
	}
}

func TestLimits(t *testing.T) {
	var offset atomic.Int64
	start := time.Now()
	now := func() time.Time { return start.Add(time.Duration(offset.Load())) }
	c := open(t, provetsim.Config{Now: now, Rates: map[string]provetsim.Rates{"worklist": {List: 25, Get: 3, Write: 1}}})
	c.sim.CreateOrder(provetsim.NewOrder{})
	const one = "diagnosticimaging_worklist/70001/"
	for range 3 {
		c.object(c.get(one), 200)
	}
	offset.Store(int64(10 * time.Second))
	r := c.get(one)
	if r.status != 429 || r.header.Get("Retry-After") != "50" || !strings.Contains(string(r.body), "Request was throttled.") {
		t.Errorf("%d, Retry-After %s, %s", r.status, r.header.Get("Retry-After"), r.body)
	}
	c.object(c.get("diagnosticimaging_worklist/?page_size=1000"), 200) // weighs 20
	c.object(c.get("diagnosticimaging_worklist/?page_size=250"), 200)  // weighs 5
	if r := c.get("diagnosticimaging_worklist/"); r.status != 429 || r.header.Get("Retry-After") != "60" {
		t.Errorf("list: %d, %s", r.status, r.header.Get("Retry-After"))
	}
	c.object(c.patch(one, `{"status": 1}`), 200)
	if r := c.patch(one, `{"status": 2}`); r.status != 429 {
		t.Errorf("write: %d", r.status)
	}
	offset.Store(int64(60 * time.Second))
	c.object(c.get(one), 200)
	c.sim.SetLimits(false)
	for range 10 {
		c.object(c.get(one), 200)
	}
}

func TestOptions(t *testing.T) {
	c := open(t, provetsim.Config{})
	c.sim.CreateOrder(provetsim.NewOrder{})
	m := c.object(c.do("OPTIONS", "/api/0.1/diagnosticimaging_worklist/70001/", "", ""), 200)
	put := m["actions"].(map[string]any)["PUT"].(map[string]any)
	status := put["status"].(map[string]any)
	if status["type"] != "choice" || status["read_only"] != false || len(status["choices"].([]any)) != 6 {
		t.Errorf("status %v", status)
	}
	first := status["choices"].([]any)[3].(map[string]any)
	if num(first["value"]) != "3" || first["display_name"] != "Completed" {
		t.Errorf("choice %v", first)
	}
	if p := put["patient"].(map[string]any); p["type"] != "field" || p["required"] != true || p["label"] != "Patient" {
		t.Errorf("patient %v", p)
	}
	m = c.object(c.do("OPTIONS", "/api/0.1/diagnosticimaging_worklist/", "", ""), 200)
	if m["actions"].(map[string]any)["POST"] == nil {
		t.Error("no POST")
	}
	m = c.object(c.do("OPTIONS", "/api/0.1/modality/", "", ""), 200)
	if m["actions"] != nil {
		t.Error("actions of a read-only resource")
	}
	for style, want := range map[provetsim.OptionsStyle]int{
		provetsim.OptionsNoChoices: 200, provetsim.OptionsNoActions: 200, provetsim.OptionsForbidden: 403,
	} {
		c := open(t, provetsim.Config{Options: style})
		r := c.do("OPTIONS", "/api/0.1/diagnosticimaging_worklist/", "", "")
		if r.status != want || strings.Contains(string(r.body), `"choices"`) ||
			strings.Contains(string(r.body), `"actions"`) != (style == provetsim.OptionsNoChoices) {
			t.Errorf("style %d: %d %s", style, r.status, r.body)
		}
	}
}
