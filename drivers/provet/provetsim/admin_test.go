package provetsim_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

func TestAdmin(t *testing.T) {
	c := open(t, provetsim.Config{Admin: true})
	origin := strings.TrimSuffix(c.url, "/4321")
	for _, tc := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"POST", "orders", "", 201, `"id": 70001`},
		{"POST", "orders", "{}", 201, `"id": 70002`},
		{"POST", "orders", `{"patient_id": 5007, "modality": "CT", "target_areas": ["Tail"], "remarks": "swish"}`, 201, `"remarks": "swish"`},
		{"POST", "orders", `{"count": 3}`, 201, `70006`},
		{"POST", "orders", `{"count": -1}`, 400, `count`},
		{"POST", "orders", `{`, 400, `error`},
		{"GET", "orders", "", 200, `"status": "new"`},
		{"GET", "orders/70003", "", 200, `"modality": "CT"`},
		{"PATCH", "orders/70003", `{"status": "cancelled", "remarks": "never mind"}`, 200, `never mind`},
		{"PATCH", "orders/70003", `{"status": "nonsense"}`, 400, `unknown status`},
		{"PATCH", "orders/70003", `{`, 400, `JSON`},
		{"PATCH", "orders/70003", `{"status": 5}`, 400, `cannot unmarshal`},
		{"PATCH", "orders/1", `{}`, 404, `no such object`},
		{"GET", "orders?status=cancelled", "", 200, `"id": 70003`},
		{"DELETE", "orders/70003", "", 200, `70003`},
		{"DELETE", "orders/70003", "", 404, `no such object`},
		{"GET", "orders/70003", "", 404, `no such object`},
		{"GET", "patients", "", 200, `Thunderbolt`},
		{"GET", "patients/5002", "", 200, `Mürbchen`},
		{"PATCH", "patients/5002", `{"name": "Stollen"}`, 200, `Stollen`},
		{"PATCH", "patients/5018", `{"merged_into": 5001}`, 200, `"merged_into": 5001`},
		{"PATCH", "patients/1", `{}`, 404, ``},
		{"GET", "clients", "", 200, `Größlinger`},
		{"PATCH", "clients/102", `{"lastname": "Klein"}`, 200, `102`},
		{"PATCH", "clients/1", `{}`, 400, `no such object`},
		{"GET", "modalities", "", 200, `Dental X-ray`},
		{"DELETE", "modalities/14", "", 200, `14`},
		{"DELETE", "consultation/20001", "", 200, `20001`},
		{"DELETE", "consultations/20002", "", 200, `20002`},
		{"GET", "targetareas", "", 200, `Tail`},
		{"GET", "departments", "", 200, `Riverside Equine`},
		{"POST", "faults", `{"kind": "slow", "delay": "1ms", "resource": "patient"}`, 201, `"delay": "1ms"`},
		{"POST", "faults", `{"kind": "status", "status": 503, "count": 3}`, 201, `503`},
		{"POST", "faults", `{"kind": "flood"}`, 400, `unknown kind`},
		{"POST", "faults", `{"kind": "status", "status": 200}`, 400, `out of range`},
		{"POST", "faults", `{"sort": "slow"}`, 400, `unknown field`},
		{"DELETE", "faults/2", "", 200, `2`},
		{"GET", "faults", "", 200, `"kind": "slow"`},
		{"PUT", "faults/webhooks", `{"drop": 0.5, "reorder": "1s"}`, 200, `"reorder": "1s"`},
		{"DELETE", "faults", "", 200, `[]`},
		{"POST", "forbid", `{"resource": "client", "forbidden": true}`, 200, `client`},
		{"POST", "clock", `{"skew": "25h"}`, 200, `25h0m0s`},
		{"POST", "clock", `{"skew": "late"}`, 400, `invalid duration`},
		{"POST", "limits", `{"on": false}`, 200, `false`},
		{"POST", "webhooks", `{"url": "http://127.0.0.1:1/in"}`, 201, `803`},
		{"POST", "webhooks", `{"url": "http://127.0.0.1:1/in", "trigger": 7, "content_type": 2}`, 201, `804`},
		{"POST", "webhooks", `{"url": "in"}`, 400, `absolute`},
		{"POST", "tokens/expire", "", 200, `1`},
		{"GET", "patches", "", 200, `[]`},
		{"GET", "violations", "", 200, `[]`},
		{"GET", "requests", "", 200, `POST token`},
		{"GET", "deliveries", "", 200, `[]`},
		{"GET", "mapping", "", 200, `"in_progress": "2"`},
		{"GET", "", "", 200, `"tokens_issued": 1`},
		{"GET", "nothing", "", 404, `/_sim/`},
		{"GET", "nothing/7", "", 404, `/_sim/`},
	} {
		r := c.do(tc.method, origin+"/_sim/"+tc.path, "application/json", tc.body)
		if r.status != tc.status || !strings.Contains(string(r.body), tc.want) {
			t.Errorf("%s %s %s: %d %s", tc.method, tc.path, tc.body, r.status, r.body)
		}
	}
	if f := c.sim.WebhookFaults(); f != (provetsim.WebhookFaults{}) {
		t.Errorf("faults left: %+v", f)
	}
	if r := c.get("patient/5002/"); r.status != 401 {
		t.Errorf("the token still works: %d", r.status)
	}
	c.login()
	if p := c.object(c.get("patient/5002/"), 200); p["name"] != "Stollen" {
		t.Errorf("%v", p["name"])
	}
}

func TestAdminRefusesPages(t *testing.T) {
	c := open(t, provetsim.Config{Admin: true})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, strings.TrimSuffix(c.url, "4321")+"_sim/orders", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "http://evil.example")
	resp, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden || len(c.sim.Orders()) != 0 {
		t.Errorf("%d", resp.StatusCode)
	}
}

func TestServe(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sim := provetsim.New(provetsim.Config{Admin: true})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- sim.Serve(ctx, ln) }()
	resp, err := http.Get("http://" + ln.Addr().String() + "/_sim/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || sim.URL() != "http://"+ln.Addr().String()+"/4321" {
		t.Errorf("%d, %s", resp.StatusCode, sim.URL())
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestServeReportsAClosedListener(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if err := provetsim.New(provetsim.Config{}).Serve(t.Context(), ln); err == nil {
		t.Error("no error")
	}
}
