package provetsim_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

func TestFailNext(t *testing.T) {
	c := open(t, provetsim.Config{})
	c.sim.FailNext(2, 503, "patient")
	c.sim.FailNext(1, 500)
	for i, want := range []int{503, 503, 500, 200} { // the oldest fault first
		if r := c.get("patient/5001/"); r.status != want {
			t.Errorf("request %d: %d, want %d", i, r.status, want)
		}
	}
	if len(c.sim.Faults()) != 0 {
		t.Errorf("left: %v", c.sim.Faults())
	}
	c.sim.FailNext(1, 503, "token")
	if r := c.do("POST", "/oauth2/token/", "application/x-www-form-urlencoded", ""); r.status != 503 {
		t.Errorf("token: %d", r.status)
	}
}

func TestFailRate(t *testing.T) {
	c := open(t, provetsim.Config{NoLimits: true})
	c.sim.FailRate(0.5, 502, "diagnosticimaging_worklist")
	c.sim.CreateOrder(provetsim.NewOrder{})
	count := map[int]int{}
	for range 200 {
		count[c.get(order1).status]++
	}
	if count[502] < 60 || count[200] < 60 {
		t.Errorf("%v", count)
	}
	if r := c.get("patient/5001/"); r.status != 200 {
		t.Errorf("patient: %d", r.status)
	}
	c.sim.ClearFaults()
	if r := c.get(order1); r.status != 200 || len(c.sim.Faults()) != 0 {
		t.Errorf("after ClearFaults: %d", r.status)
	}
}

func TestResets(t *testing.T) {
	c := open(t, provetsim.Config{})
	id := c.sim.CreateOrder(provetsim.NewOrder{})
	c.sim.Inject(provetsim.Fault{Kind: provetsim.FaultReset, Method: "PATCH", Count: 1})
	if r := c.patch(order1, `{"status": 3}`); r.err == nil || c.sim.Status(id) != "new" {
		t.Errorf("reset: %d, status %s", r.status, c.sim.Status(id))
	}
	c.sim.Inject(provetsim.Fault{Kind: provetsim.FaultResetAfter, Method: "PATCH", Count: 1})
	if r := c.patch(order1, `{"status": 3}`); r.err == nil || c.sim.Status(id) != "done" {
		t.Errorf("reset after: %d, status %s", r.status, c.sim.Status(id))
	}
	c.sim.WrongJSON(provetsim.FaultCut, 1)
	if r := c.get(order1); r.err == nil {
		t.Errorf("cut: %d %s", r.status, r.body)
	}
	c.sim.ResetNext(0, "worklist") // until cleared; GETs are tried again by net/http
	if r := c.get(order1); r.err == nil {
		t.Errorf("reset: %d", r.status)
	}
}

func TestWrongJSON(t *testing.T) {
	c := open(t, provetsim.Config{})
	c.sim.CreateOrder(provetsim.NewOrder{})
	for kind, check := range map[provetsim.FaultKind]func(reply) bool{
		provetsim.FaultTruncated: func(r reply) bool { return !json.Valid(r.body) && len(r.body) > 10 },
		provetsim.FaultHTML:      func(r reply) bool { return strings.HasPrefix(string(r.body), "<!doctype html>") },
		provetsim.FaultEmpty:     func(r reply) bool { return len(r.body) == 0 },
	} {
		c.sim.WrongJSON(kind, 1)
		if r := c.get(order1); r.err != nil || r.status != 200 || !check(r) {
			t.Errorf("%s: %d %v %s", kind, r.status, r.err, r.body)
		}
		c.object(c.get(order1), 200)
	}
}

func TestRefusals(t *testing.T) {
	c := open(t, provetsim.Config{})
	id := c.sim.CreateOrder(provetsim.NewOrder{})
	c.sim.Unauthorized(1, "worklist")
	if r := c.get(order1); r.status != 401 {
		t.Errorf("unauthorized: %d", r.status)
	}
	c.sim.Retry429(1, 1500*time.Millisecond)
	if r := c.get(order1); r.status != 429 || r.header.Get("Retry-After") != "2" {
		t.Errorf("throttled: %d %s", r.status, r.header.Get("Retry-After"))
	}
	c.sim.RefusePatch(1)
	if r := c.patch(order1, `{"status": 3}`); r.status != 400 || !strings.HasPrefix(string(r.body), `{"status":[`) {
		t.Errorf("refused: %d %s", r.status, r.body)
	}
	c.object(c.patch(order1, `{"status": 3}`), 200)
	if got := c.sim.Answers()[400]; got != 1 || c.sim.Status(id) != "done" {
		t.Errorf("%v", c.sim.Answers())
	}
}

func TestHangEndsWithTheClient(t *testing.T) {
	c := open(t, provetsim.Config{})
	c.sim.Hang(2)
	for _, method := range []string{"GET", "PATCH"} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		req, err := http.NewRequestWithContext(ctx, method, c.url+"/api/0.1/"+order1, strings.NewReader(`{"status": 3}`))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.http.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", method, err)
		}
		cancel()
	}
}

func TestHangEndsWithTheTenant(t *testing.T) {
	c := open(t, provetsim.Config{})
	c.sim.Hang(1)
	done := make(chan reply, 1)
	go func() { done <- c.get("patient/5001/") }()
	if err := c.sim.Close(); err != nil {
		t.Fatal(err)
	}
	if r := <-done; r.err == nil && r.status != 200 {
		t.Errorf("%d", r.status)
	}
}

func TestSlow(t *testing.T) {
	c := open(t, provetsim.Config{Latency: time.Millisecond})
	c.sim.Slow(30*time.Millisecond, "patient")
	start := time.Now()
	c.object(c.get("patient/5001/"), 200)
	if took := time.Since(start); took < 30*time.Millisecond {
		t.Errorf("took %v", took)
	}
}

func TestClockSkew(t *testing.T) {
	c := open(t, provetsim.Config{Zone: time.UTC})
	c.sim.ClockSkew(-25 * time.Hour)
	id := c.sim.CreateOrder(provetsim.NewOrder{})
	r := c.get(order1)
	date, err := http.ParseTime(r.header.Get("Date"))
	if err != nil {
		t.Fatal(err)
	}
	if d := time.Since(date); d < 24*time.Hour || d > 26*time.Hour {
		t.Errorf("Date is %v old", d)
	}
	o, _ := c.sim.Order(id)
	if d := time.Since(o.Modified); d < 24*time.Hour {
		t.Errorf("modified is %v old", d)
	}
}
