package provetsim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

// receiver takes webhooks and answers with the next status of its list, and 200 after that.
type receiver struct {
	url string

	mu      sync.Mutex
	answers []int
	got     []string // path, content type, body
}

func receive(t *testing.T, answers ...int) *receiver {
	t.Helper()
	r := &receiver{answers: answers}
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	r.url = srv.URL
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, req.URL.Path+" "+req.Header.Get("Content-Type")+" "+string(body))
	status := 200
	if len(r.answers) > 0 {
		status, r.answers = r.answers[0], r.answers[1:]
	}
	w.WriteHeader(status)
}

func (r *receiver) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func settle(t *testing.T, sim *provetsim.Sim) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := sim.WaitWebhooks(ctx); err != nil {
		t.Fatal(err)
	}
}

var quick = provetsim.Delivery{Interval: time.Millisecond, Concurrency: 1}

func hooked(t *testing.T, cfg provetsim.Config, to string) *clinic {
	t.Helper()
	for trigger, path := range map[int]string{6: "/created", 7: "/updated", 8: "/deleted"} {
		cfg.Webhooks = append(cfg.Webhooks, provetsim.Webhook{Trigger: trigger, URL: to + path})
	}
	slices.SortFunc(cfg.Webhooks, func(a, b provetsim.Webhook) int { return a.Trigger - b.Trigger })
	if cfg.Delivery == (provetsim.Delivery{}) {
		cfg.Delivery = quick
	}
	return open(t, cfg)
}

func TestWebhooksOfALife(t *testing.T) {
	to := receive(t)
	c := hooked(t, provetsim.Config{}, to.url)
	id := c.sim.CreateOrder(provetsim.NewOrder{})
	c.sim.SetStatus(id, "in_progress")
	c.object(c.patch(order1, `{"status": 3}`), 200)
	c.sim.RenamePatient(5001, "silent")
	c.sim.DeleteOrder(id)
	c.sim.CreateOrder(provetsim.NewOrder{Quiet: true})
	settle(t, c.sim)
	payload := "application/x-www-form-urlencoded diagnosticimagingworklist_id=70001&provet_id=4321&provet_url=" + url.QueryEscape(c.url)
	want := []string{"/created " + payload, "/updated " + payload, "/updated " + payload, "/updated " + payload, "/deleted " + payload}
	if got := to.all(); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestNoEcho(t *testing.T) {
	to := receive(t)
	c := hooked(t, provetsim.Config{NoEcho: true}, to.url)
	c.sim.CreateOrder(provetsim.NewOrder{Quiet: true})
	c.object(c.patch(order1, `{"status": 3}`), 200)
	settle(t, c.sim)
	if got := to.all(); len(got) != 0 {
		t.Error(got)
	}
}

func TestWebhookJSON(t *testing.T) {
	for _, numbers := range []bool{false, true} {
		to := receive(t)
		d := quick
		d.JSONNumbers, d.ProvetURL = numbers, "https://provetcloud.com/4321/"
		c := open(t, provetsim.Config{Delivery: d, Webhooks: []provetsim.Webhook{{Trigger: 6, URL: to.url, ContentType: 2}}})
		c.sim.CreateOrder(provetsim.NewOrder{})
		settle(t, c.sim)
		want := `/ application/json {"diagnosticimagingworklist_id":"70001","provet_id":"4321","provet_url":"https://provetcloud.com/4321/"}`
		if numbers {
			want = `/ application/json {"diagnosticimagingworklist_id":70001,"provet_id":4321,"provet_url":"https://provetcloud.com/4321/"}`
		}
		if got := to.all(); len(got) != 1 || got[0] != want {
			t.Errorf("%v", got)
		}
	}
}

func TestWebhookRetries(t *testing.T) {
	to := receive(t, 500, 204, 302, 201)
	c := open(t, provetsim.Config{Delivery: quick, Webhooks: []provetsim.Webhook{{Trigger: 6, URL: to.url}}})
	c.sim.CreateOrder(provetsim.NewOrder{})
	settle(t, c.sim)
	if got := to.all(); len(got) != 5 {
		t.Errorf("%d attempts", len(got))
	}
	q := c.object(c.get("hook/queue/1/"), 200)
	if num(q["status"]) != "1" || num(q["attempts"]) != "5" || num(q["response_status"]) != "200" || num(q["trigger"]) != "6" {
		t.Errorf("%v", q)
	}
}

func TestWebhookGivesUp(t *testing.T) {
	to := receive(t, slices.Repeat([]int{500}, 50)...)
	c := open(t, provetsim.Config{Delivery: quick, Webhooks: []provetsim.Webhook{{Trigger: 8, URL: to.url}, {Trigger: 8, URL: "::no url"}}})
	id := c.sim.CreateOrder(provetsim.NewOrder{})
	c.sim.DeleteOrder(id)
	settle(t, c.sim)
	if got := to.all(); len(got) != 11 {
		t.Errorf("%d attempts, want the first and ten more", len(got))
	}
	for _, d := range c.sim.Deliveries() {
		if d.Status != 2 || d.Attempts != 11 {
			t.Errorf("%+v", d)
		}
	}
}

func TestWebhookTimeout(t *testing.T) {
	stop := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}))
	defer srv.Close()
	defer close(stop)
	c := open(t, provetsim.Config{
		Delivery: provetsim.Delivery{Timeout: 5 * time.Millisecond, Interval: time.Millisecond, Retries: 1},
		Webhooks: []provetsim.Webhook{{Trigger: 6, URL: srv.URL}},
	})
	c.sim.CreateOrder(provetsim.NewOrder{})
	settle(t, c.sim)
	if d := c.sim.Deliveries(); len(d) != 1 || d[0].Status != 2 || d[0].Attempts != 2 || d[0].Response != 0 {
		t.Errorf("%+v", d)
	}
}

func TestWebhookFaults(t *testing.T) {
	to := receive(t)
	c := open(t, provetsim.Config{Delivery: quick, Webhooks: []provetsim.Webhook{{Trigger: 6, URL: to.url}}})
	c.sim.DropWebhooks(1)
	c.sim.CreateOrder(provetsim.NewOrder{})
	settle(t, c.sim)
	if got := to.all(); len(got) != 0 {
		t.Errorf("dropped: %v", got)
	}
	c.sim.SetWebhookFaults(provetsim.WebhookFaults{})
	c.sim.DoubleWebhooks(1)
	c.sim.CreateOrder(provetsim.NewOrder{})
	settle(t, c.sim)
	if got := to.all(); len(got) != 2 || got[0] != got[1] {
		t.Errorf("doubled: %v", got)
	}
	c.sim.ClearFaults()
	c.sim.ReorderWebhooks(30 * time.Millisecond)
	c.sim.CreateOrders(30)
	settle(t, c.sim)
	got := to.all()[2:]
	if len(got) != 30 || slices.IsSorted(got) {
		t.Errorf("reordered: %d, sorted %v", len(got), slices.IsSorted(got))
	}
	c.sim.ClearFaults()
	c.sim.DelayWebhooks(20 * time.Millisecond)
	start := time.Now()
	c.sim.CreateOrder(provetsim.NewOrder{})
	settle(t, c.sim)
	if took := time.Since(start); took < 20*time.Millisecond || c.sim.WebhookFaults().Delay == 0 {
		t.Errorf("delayed by %v", took)
	}
}

func TestWebhookRegistration(t *testing.T) {
	to := receive(t)
	c := open(t, provetsim.Config{Delivery: quick})
	r := c.do("POST", "/api/0.1/hook/webhook/", "application/json", `{"trigger": 6}`)
	if r.status != 400 || string(r.body) != `{"url":["This field is required."]}` {
		t.Errorf("%d %s", r.status, r.body)
	}
	h := c.object(c.do("POST", "/api/0.1/hook/webhook/", "application/json",
		`{"trigger": 6, "url": "`+to.url+`/api", "name": "rayhound"}`), 201)
	if num(h["content_type"]) != "1" || h["active"] != true || num(h["id"]) != "801" {
		t.Errorf("%v", h)
	}
	c.sim.CreateOrder(provetsim.NewOrder{})
	c.object(c.patch("hook/webhook/801/", `{"content_type": 2, "department": 2}`), 200)
	c.sim.CreateOrder(provetsim.NewOrder{DepartmentID: 1})
	c.sim.CreateOrder(provetsim.NewOrder{DepartmentID: 2})
	c.object(c.patch("hook/webhook/801/", `{"active": false}`), 200)
	c.sim.CreateOrder(provetsim.NewOrder{DepartmentID: 2})
	m := c.object(c.get("hook/webhook/?trigger__is=6"), 200)
	if num(m["count"]) != "1" {
		t.Errorf("%v", m)
	}
	if r := c.do("DELETE", "/api/0.1/hook/webhook/801/", "", ""); r.status != 204 {
		t.Errorf("%d", r.status)
	}
	settle(t, c.sim)
	got := to.all()
	if len(got) != 2 || !strings.Contains(got[0], "70001") || !strings.Contains(got[1], `"70003"`) || len(c.sim.Violations()) != 0 {
		t.Errorf("%v, violations %v", got, c.sim.Violations())
	}
}

func TestNeighbourWebhooks(t *testing.T) {
	to := receive(t)
	c := open(t, provetsim.Config{Delivery: quick, Webhooks: []provetsim.Webhook{{Trigger: 1, URL: to.url}, {Trigger: 2, URL: to.url, ContentType: 2}}})
	c.sim.RenameClient(101, "A")
	c.sim.RenamePatient(5001, "B")
	settle(t, c.sim)
	got := to.all()
	if len(got) != 2 || !strings.Contains(got[0], " client_id=101&provet_id=4321&") {
		t.Fatal(got)
	}
	var p map[string]string
	if err := json.Unmarshal([]byte(got[1][strings.Index(got[1], "{"):]), &p); err != nil || p["patient_id"] != "5001" {
		t.Errorf("%v %v", p, err)
	}
}

func TestWebhooksConcurrently(t *testing.T) {
	to := receive(t)
	c := hooked(t, provetsim.Config{NoLimits: true, Delivery: provetsim.Delivery{Interval: time.Millisecond, Concurrency: 8}}, to.url)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 50 {
				id := c.sim.CreateOrder(c.sim.RandomOrder(nil))
				c.get(fmt.Sprintf("diagnosticimaging_worklist/%d/?expose_patient", id))
				c.get("diagnosticimaging_worklist/?ordering=-modified&modified__gte=2020-01-01T00:00:00")
				c.patch(fmt.Sprintf("diagnosticimaging_worklist/%d/", id), `{"status": 3}`)
				if i%2 == w%2 {
					c.sim.DeleteOrder(id)
				}
			}
		})
	}
	wg.Wait()
	settle(t, c.sim)
	if got := len(to.all()); got != 4*(50*3+25) {
		t.Errorf("%d webhooks", got)
	}
	if got := len(c.sim.Orders()); got != 100 {
		t.Errorf("%d orders", got)
	}
}
