package provet_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

// memoryStore keeps the token in memory.
type memoryStore struct {
	mu    sync.Mutex
	token provet.Token
	saves int
}

func (m *memoryStore) Load(context.Context) (provet.Token, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.token, nil
}

func (m *memoryStore) Save(_ context.Context, t provet.Token) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.token = t
	m.saves++
	return nil
}

func secret(s string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return s, nil }
}

// tenant is a simulated clinic with a client configured for its names.
type tenant struct {
	*provet.Client
	sim *provetsim.Sim
	cfg provet.Config
}

// openTenant starts a simulated clinic. change may alter the client's settings.
func openTenant(t testing.TB, sc provetsim.Config, change func(*provet.Config)) *tenant {
	t.Helper()
	sim := provetsim.New(sc)
	srv := httptest.NewServer(sim)
	t.Cleanup(func() { srv.Close(); sim.Close() })
	cfg := provet.Config{
		BaseURL: srv.URL + "/4321", ClientID: "rayhound", Secret: secret("secret"),
		Fields: provet.Fields{}, NoBudget: true, WeightUnit: "kg",
		Status: map[order.State]string{
			order.Scheduled: sim.StatusValue("scheduled"), order.InProgress: sim.StatusValue("in_progress"),
			order.Completed: sim.StatusValue("done"), order.Discontinued: sim.StatusValue("discontinued"),
		},
		Withdrawn: []string{sim.StatusValue("cancelled")},
		Zone:      time.UTC,
	}
	for _, res := range []string{"worklist", "referral", "modality", "targetarea"} {
		cfg.Fields[res] = map[string][]string{}
		for logical, name := range sim.FieldNames()[res] {
			if logical != "id" && logical != "url" {
				cfg.Fields[res][logical] = []string{name}
			}
		}
	}
	if change != nil {
		change(&cfg)
	}
	c, err := provet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &tenant{Client: c, sim: sim, cfg: cfg}
}

// scripted starts a server of our own with a token endpoint, and a client for it.
func scripted(t testing.TB, api http.HandlerFunc, change func(*provet.Config)) (*provet.Client, *httptest.Server) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /4321/oauth2/token/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"access_token":"good","token_type":"Bearer","expires_in":36000}`))
	})
	mux.HandleFunc("/4321/api/0.1/", api)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	cfg := provet.Config{BaseURL: srv.URL + "/4321", ClientID: "rayhound", Secret: secret("s"), NoBudget: true}
	if change != nil {
		change(&cfg)
	}
	c, err := provet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c, srv
}

// answers serves fixed bodies by path below the API root; everything else is a
// DRF 404.
func answers(bodies map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		b, ok := bodies[r.URL.Path[len("/4321/api/0.1/"):]]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			b = `{"detail": "Not found."}`
		}
		_, _ = w.Write([]byte(b))
	}
}
