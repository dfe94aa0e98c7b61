package relay_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

func pairJSON(t *testing.T, req wire.PairRequest) []byte {
	t.Helper()
	b, err := json.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Drain gives each agent a slot, takes webhooks all the while, and lets nobody in.
func TestDrain(t *testing.T) {
	mem := newMemory()
	one := newWorld(t, mem, func(c *relay.Config) { c.DrainSpread = 5 * time.Second })
	two := newWorld(t, mem, func(c *relay.Config) { c.PublicURL = one.relayURL() })
	a := one.pair("c")
	l := a.mustConnect()
	done := make(chan error, 1)
	go func() { done <- one.relay.Drain(context.Background()) }()
	f, err := l.next()
	if err != nil {
		t.Fatal(err)
	}
	if d, ok := f.Control.(*wire.Drain); !ok || d.ReconnectInMS < 0 || d.ReconnectInMS > 5000 {
		t.Fatalf("%+v", f.Control)
	}
	if got := one.do(http.MethodGet, one.server.URL+"/readyz", nil); got.status != 503 {
		t.Errorf("readyz: %d", got.status)
	}
	a.post("while draining")
	_, _, resp, err := a.upgrade()
	if err == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("let in: %v", err)
	}
	resp.Body.Close()
	b := *a
	b.w = two
	young := b.mustConnect() // the new one before the old one
	if got := young.body(); got != "while draining" {
		t.Errorf("%q", got)
	}
	l.c.Close()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("Drain does not end")
	}
}

// A relay that is alone closes with 1012 at once, after what was sent is acked.
func TestDrainAlone(t *testing.T) {
	w := newWorld(t, nil, nil)
	a := w.pair("c")
	l := a.mustConnect()
	a.post("x")
	l.event()
	done := make(chan error, 1)
	go func() { done <- w.relay.Drain(context.Background()) }()
	l.ack(1)
	if code := l.closed(); code != wire.CloseRestart {
		t.Errorf("%d", code)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	w.stop()
	if n := w.mem.acked(a.id); n != 1 {
		t.Errorf("acked to %d", n)
	}
}

func TestDiskFull(t *testing.T) {
	w := newWorld(t, nil, nil)
	a := w.pair("c")
	set := func(h relay.Health) {
		w.mem.mu.Lock()
		w.mem.health = h
		w.mem.mu.Unlock()
		if err := w.relay.Watch(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ready := func() int { return w.do(http.MethodGet, w.server.URL+"/readyz", nil).status }
	if ready() != 200 {
		t.Error("not ready")
	}
	set(relay.Health{DiskUsed: 0.91})
	if ready() != 503 {
		t.Error("ready with a nearly full disk")
	}
	a.post("still taken")
	set(relay.Health{DiskUsed: 1, Full: true})
	if got := w.do(http.MethodPost, a.urls[wire.KindCreated], nil); got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("%d", got.status)
	}
	l := a.mustConnect() // what is stored still goes out and is acked
	l.event()
	l.ack(1)
	eventually(t, "acked", func() bool { return w.mem.acked(a.id) == 1 })
	set(relay.Health{DiskUsed: 0.5})
	a.post("again")
	if got := w.do(http.MethodGet, w.server.URL+"/healthz", nil); got.status != 200 {
		t.Errorf("%d", got.status)
	}
}

// A silence is told at 1 h, 24 h and 7 d, once each, tried again when the receiver fails, and its end is told too.
func TestOfflineNotices(t *testing.T) {
	told := newReceiver(t)
	w := newWorld(t, nil, func(c *relay.Config) { c.NotifyURL = told.url })
	a := w.pair("Dr. Hound")
	l := a.mustConnect()
	if err := w.relay.FlushNotes(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.c.Close()
	step := func(d time.Duration, want string) {
		t.Helper()
		w.clock.move(d)
		for range 2 {
			if err := w.relay.Look(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := w.relay.TellDue(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := told.kinds(); got != want {
			t.Fatalf("told %q, want %q", got, want)
		}
	}
	step(20*time.Minute, "")
	step(41*time.Minute, "offline")
	step(time.Hour, "offline")
	told.break_(true)
	step(24*time.Hour, "offline")
	told.break_(false)
	step(time.Hour, "offline offline")
	step(6*24*time.Hour, "offline offline offline")
	a.mustConnect()
	eventually(t, "the recovery is told", func() bool {
		if err := w.relay.TellDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		return told.kinds() == "offline offline offline recovery"
	})
	told.mu.Lock()
	defer told.mu.Unlock()
	if told.got[1]["detail"] != "24h" || told.got[1]["clinic"] != "Dr. Hound" || told.got[1]["clinic_id"] != string(a.id) {
		t.Errorf("%v", told.got[1])
	}
}

func TestMetricsAndStatusPage(t *testing.T) {
	w := newWorld(t, nil, nil)
	a := w.pair("<b>Paws</b>")
	a.mustConnect()
	a.post("x")
	h := w.relay.MetricsHandler()
	get := func(path, from, host string) (*http.Response, string) {
		q := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+path, nil)
		q.RemoteAddr = from
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, q)
		b, _ := io.ReadAll(rec.Result().Body)
		return rec.Result(), string(b)
	}
	resp, body := get("/metrics", "192.0.2.1:1", "relay")
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, `rayhound_relay_ingest_total{result="ok"} 1`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if strings.Contains(body, string(a.id)) || strings.Contains(body, "Paws") {
		t.Error("the metrics name a clinic")
	}
	resp, body = get("/", "127.0.0.1:1", "127.0.0.1:9090")
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, "&lt;b&gt;Paws") || strings.Contains(body, "<b>Paws") ||
		!strings.Contains(resp.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%d %s %v", resp.StatusCode, body, resp.Header)
	}
	for _, tt := range [][2]string{{"192.0.2.1:1", "127.0.0.1"}, {"127.0.0.1:1", "evil.example.com"}} {
		if resp, _ := get("/", tt[0], tt[1]); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%v: %d", tt, resp.StatusCode)
		}
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/x": 404} {
		if resp, _ := get(path, "192.0.2.1:1", "relay"); resp.StatusCode != want {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

func TestAdmin(t *testing.T) {
	w := newWorld(t, nil, nil)
	for _, bad := range []string{"", " x", "x\n", strings.Repeat("x", 201), "\xff"} {
		if _, err := w.admin.AddClinic(t.Context(), bad); !errors.Is(err, relay.ErrName) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := w.admin.AddClinic(t.Context(), "Paws"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.admin.AddClinic(t.Context(), "paws"); !errors.Is(err, relay.ErrNameTaken) {
		t.Errorf("%v", err)
	}
	for what, err := range map[string]error{
		"revoke": w.admin.Revoke(t.Context(), "nobody"),
		"rotate": w.admin.Rotate(t.Context(), "nobody"),
	} {
		if !errors.Is(err, relay.ErrUnknownClinic) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, _, err := w.admin.OpenHookup(t.Context(), "Paws", 25*time.Hour); err == nil {
		t.Error("open for more than a day")
	}
	if err := w.admin.NewStoreEpochs(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	mem := newMemory()
	for _, c := range []relay.Config{
		{},
		{PublicURL: "https://x"},
		{Store: mem, Registry: mem, PublicURL: "relay.example.com"},
		{Store: mem, Registry: mem, PublicURL: "https://x", MaxBody: 2 << 20},
	} {
		if _, err := relay.New(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}
