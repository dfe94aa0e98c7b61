package provetsim_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

// clinic is a tenant behind a real socket, and a client with a token.
type clinic struct {
	t     *testing.T
	sim   *provetsim.Sim
	url   string // of the tenant
	token string
	http  *http.Client
}

func open(t *testing.T, cfg provetsim.Config) *clinic {
	t.Helper()
	sim := provetsim.New(cfg)
	srv := httptest.NewServer(sim)
	t.Cleanup(func() {
		_ = sim.Close()
		srv.Close()
	})
	id := cfg.ProvetID
	if id == "" {
		id = "4321"
	}
	c := &clinic{t: t, sim: sim, url: srv.URL + "/" + id, http: srv.Client()}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.login()
	return c
}

func (c *clinic) login() {
	c.t.Helper()
	resp, err := c.http.PostForm(c.url+"/oauth2/token/", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"rayhound"}, "client_secret": {"secret"},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	var v struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil || v.AccessToken == "" {
		c.t.Fatalf("token: %v, status %d", err, resp.StatusCode)
	}
	c.token = v.AccessToken
}

type reply struct {
	status int
	header http.Header
	body   []byte
	err    error
}

func (c *clinic) do(method, path, contentType, body string) reply {
	c.t.Helper()
	u := path
	if !strings.HasPrefix(path, "http") {
		u = c.url + path
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, u, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, b, err}
}

func (c *clinic) get(path string) reply { c.t.Helper(); return c.do("GET", "/api/0.1/"+path, "", "") }

func (c *clinic) patch(path, body string) reply {
	c.t.Helper()
	return c.do("PATCH", "/api/0.1/"+path, "application/json", body)
}

// object reads the answer, which must have the status.
func (c *clinic) object(r reply, status int) map[string]any {
	c.t.Helper()
	if r.err != nil || r.status != status {
		c.t.Fatalf("got %d (%v), want %d: %s", r.status, r.err, status, r.body)
	}
	var m map[string]any
	dec := json.NewDecoder(bytes.NewReader(r.body))
	dec.UseNumber()
	if err := dec.Decode(&m); err != nil {
		c.t.Fatalf("%v in %s", err, r.body)
	}
	return m
}

func num(v any) string {
	n, _ := v.(json.Number)
	return n.String()
}

func TestOrderIsServed(t *testing.T) {
	c := open(t, provetsim.Config{})
	id := c.sim.CreateOrder(provetsim.NewOrder{
		PatientID: 5002, Modality: "ct", TargetAreas: []string{"Skull", "Whiskers"}, Remarks: "Größe?",
	})
	o := c.object(c.get("diagnosticimaging_worklist/"+itoa(id)+"/"), 200)
	if num(o["id"]) != itoa(id) || num(o["status"]) != "0" {
		t.Errorf("id %v, status %v", o["id"], o["status"])
	}
	if o["patient"] != c.url+"/api/0.1/patient/5002/" || o["client"] != c.url+"/api/0.1/client/102/" {
		t.Errorf("patient %v, client %v", o["patient"], o["client"])
	}
	if o["modality"] != c.url+"/api/0.1/modality/12/" || len(o["target_areas"].([]any)) != 2 {
		t.Errorf("modality %v, target areas %v", o["modality"], o["target_areas"])
	}
	ref := c.object(c.do("GET", o["referral"].(string), "", ""), 200)
	if ref["remarks"] != "Größe?" {
		t.Errorf("remarks %v", ref["remarks"])
	}
	visit := c.object(c.do("GET", ref["consultation"].(string)+"?expose_patients", "", ""), 200)
	p := visit["patients"].([]any)[0].(map[string]any)
	if _, ok := p["id"]; ok || p["name"] != "Mürbchen" || p["url"] != c.url+"/api/0.1/patient/5002/" {
		t.Errorf("exposed patient %v", p)
	}
	client := c.object(c.do("GET", visit["client"].(string), "", ""), 200)
	if client["lastname"] != "Größlinger" {
		t.Errorf("client %v", client["lastname"])
	}
}
