package appliance_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance"
)

// relayReasons are the last elements of the hook addresses.
var relayReasons = []string{"create", "update", "delete"}

// relay stands in for the public relay: it hands the ids of webhooks to the
// appliance, and answers 200 only after the appliance has committed them.
type relay struct {
	app *atomic.Pointer[appliance.Appliance]
}

func (r relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	const key = "diagnosticimagingworklist_id"
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, 64<<10))
	id := ""
	if strings.HasPrefix(req.Header.Get("Content-Type"), "application/json") {
		var v map[string]any
		if json.Unmarshal(body, &v) == nil {
			id = fmt.Sprint(v[key])
		}
	} else if form, err := url.ParseQuery(string(body)); err == nil {
		id = form.Get(key)
	}
	app := r.app.Load()
	if err != nil || id == "" || app == nil || app.Signal(req.Context(), id, strings.TrimPrefix(req.URL.Path, "/in/")) != nil {
		http.Error(w, "not stored, send it again", http.StatusServiceUnavailable)
	}
}

// server is an HTTP server that can be taken off the network and put back.
type server struct {
	t       *testing.T
	address string
	handler http.Handler
	srv     *http.Server
	done    chan struct{}
}

func serve(t *testing.T, h http.Handler) *server {
	t.Helper()
	s := &server{t: t, address: "127.0.0.1:0", handler: h}
	s.up()
	t.Cleanup(s.down)
	return s
}

// up opens the port, the same one each time.
func (s *server) up() {
	s.t.Helper()
	var lc net.ListenConfig
	deadline := time.Now().Add(patience)
	for {
		ln, err := lc.Listen(s.t.Context(), "tcp", s.address)
		if err == nil {
			s.address = ln.Addr().String()
			s.srv, s.done = &http.Server{Handler: s.handler, ReadHeaderTimeout: patience}, make(chan struct{})
			go func() {
				defer close(s.done)
				_ = s.srv.Serve(ln) // always an error: it was closed
			}()
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// down closes the port and every connection.
func (s *server) down() {
	s.srv.Close()
	<-s.done
}
