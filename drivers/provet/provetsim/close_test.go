package provetsim_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"go.uber.org/goleak"

	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

func TestCloseLeavesNothingBehind(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	stop := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stop }))
	sim := provetsim.New(provetsim.Config{Webhooks: []provetsim.Webhook{{Trigger: 6, URL: srv.URL}, {Trigger: 7, URL: "http://127.0.0.1:1"}}})
	sim.CreateOrders(20)
	for range 2 {
		if err := sim.Close(); err != nil {
			t.Fatal(err)
		}
	}
	sim.CreateOrders(1) // after Close: no webhook, no goroutine
	close(stop)
	srv.Close()
	goleak.VerifyNone(t, ignore)
}
