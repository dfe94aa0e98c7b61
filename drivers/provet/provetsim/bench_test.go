package provetsim_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

// direct calls the handler without a network.
type direct struct {
	sim   *provetsim.Sim
	token string
}

func newDirect(tb testing.TB, orders int) *direct {
	tb.Helper()
	sim := provetsim.New(provetsim.Config{NoLimits: true, BaseURL: "http://127.0.0.1:8080"})
	start := time.Now().Add(-time.Duration(orders) * time.Minute)
	for i := range orders {
		o := sim.RandomOrder(nil)
		o.Created, o.Quiet = start.Add(time.Duration(i)*time.Minute), true
		sim.CreateOrder(o)
	}
	d := &direct{sim: sim}
	w := d.do("POST", "/4321/oauth2/token/", "application/x-www-form-urlencoded",
		"grant_type=client_credentials&client_id=rayhound&client_secret=secret")
	_, rest, _ := strings.Cut(w.body.String(), `"access_token": "`)
	d.token, _, _ = strings.Cut(rest, `"`)
	return d
}

func (d *direct) do(method, path, kind, body string) *recorder {
	req, err := http.NewRequestWithContext(context.Background(), method, path, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Authorization", "Bearer "+d.token)
	req.Header.Set("Content-Type", kind)
	w := &recorder{header: http.Header{}}
	d.sim.ServeHTTP(w, req)
	return w
}

func BenchmarkRequests(b *testing.B) {
	d := newDirect(b, 50_000)
	recent := url.QueryEscape(time.Now().Add(-10 * time.Minute).Format(time.RFC3339))
	for _, bm := range []struct{ name, method, path, body string }{
		{"order", "GET", "diagnosticimaging_worklist/90001/", ""},
		{"exposed", "GET", "consultation/40001/?expose_patients", ""},
		{"changed", "GET", "diagnosticimaging_worklist/?ordering=-modified&modified__gte=" + recent, ""},
		{"page", "GET", "diagnosticimaging_worklist/?ordering=-modified", ""},
		{"page of 1000", "GET", "diagnosticimaging_worklist/?page_size=1000", ""},
		{"filtered by status", "GET", "diagnosticimaging_worklist/?status__is=0", ""},
		{"patch", "PATCH", "diagnosticimaging_worklist/90001/", `{"status": 3}`},
	} {
		b.Run(bm.name, func(b *testing.B) {
			for b.Loop() {
				if w := d.do(bm.method, "/4321/api/0.1/"+bm.path, "application/json", bm.body); w.status != 200 {
					b.Fatal(w.status, w.body.String())
				}
			}
		})
	}
	b.Run("create", func(b *testing.B) {
		for b.Loop() {
			d.sim.CreateOrder(provetsim.NewOrder{})
		}
	})
}

func FuzzQuery(f *testing.F) {
	d := newDirect(f, 20)
	for _, q := range []string{
		"modified__gte=2026-03-01T12:00:00&ordering=-modified,id", "id__range=1,2&page=2&page_size=3", "patient.name__icontains=b",
		"status__in=0,x&filter_type=or", "target_areas__not_in=301&expose_patient", "id__is_null=true", "a__=1&__is=2&.__is=3", "patient.__is=1",
	} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, q string) {
		u := url.URL{Path: "/4321/api/0.1/diagnosticimaging_worklist/", RawQuery: q}
		if _, err := url.Parse(u.String()); err != nil {
			return
		}
		if w := d.do("GET", u.String(), "", ""); w.status != 200 && w.status != 400 && w.status != 404 {
			t.Fatal(w.status, w.body.String())
		}
	})
}

func FuzzWrite(f *testing.F) {
	d := newDirect(f, 3)
	for _, b := range []string{
		`{"status": 3}`, `{"patient": "/4321/api/0.1/patient/5001/"}`, `{"target_areas": [301, "302", null, {}]}`, `[]`, `{"status": 1e9}`,
		`{"modality": 11, "patient": 5001}`, `{"modality": 11, "patient": ""}`, `{"modality": 11, "patient": 5001, "client": "", "referral": null}`,
		`{"scheduled_at": "2026-01-01T00:00:00Z", "referral": ""}`, `{"client": "x/1"}`,
	} {
		f.Add("PATCH", b)
		f.Add("POST", b)
	}
	f.Fuzz(func(t *testing.T, method, body string) {
		path := "/4321/api/0.1/diagnosticimaging_worklist/"
		if method != "POST" {
			method = "PATCH"
			path += "70001/"
		}
		if w := d.do(method, path, "application/json", body); w.status >= 500 || w.status == 0 {
			t.Fatal(w.status, w.body.String())
		}
		if w := d.do("GET", "/4321/api/0.1/diagnosticimaging_worklist/70001/", "", ""); w.status != 200 {
			t.Fatal(w.status)
		}
	})
}
