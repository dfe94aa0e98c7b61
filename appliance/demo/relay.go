package demo

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// maxHook bounds the body of a webhook.
const maxHook = 64 << 10

// relay stands in for the public relay: it takes the webhooks of the simulated
// Provet Cloud and hands the order's id to the appliance. It answers 200 only
// after the appliance has committed the hint.
type relay struct {
	signal func(ctx context.Context, provetID, reason string) error
}

// reasons are the last elements of the hook addresses, one for each trigger.
var reasons = map[string]bool{"create": true, "update": true, "delete": true}

// ServeHTTP takes one webhook.
func (r relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	reason := strings.TrimPrefix(req.URL.Path, "/in/")
	if req.Method != http.MethodPost || !reasons[reason] {
		http.NotFound(w, req)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxHook))
	if err != nil {
		http.Error(w, "the body is too large", http.StatusRequestEntityTooLarge)
		return
	}
	id := orderID(req.Header.Get("Content-Type"), body)
	if id == "" {
		http.Error(w, "no order id", http.StatusBadRequest)
		return
	}
	if err := r.signal(req.Context(), id, reason); err != nil {
		http.Error(w, "not stored, send it again", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// orderID reads diagnosticimagingworklist_id from a form or from JSON, where it
// may be a number or text (Provet's webhook page).
func orderID(contentType string, body []byte) string {
	const key = "diagnosticimagingworklist_id"
	if strings.HasPrefix(contentType, "application/json") {
		var v map[string]any
		d := json.NewDecoder(strings.NewReader(string(body)))
		d.UseNumber()
		if d.Decode(&v) != nil {
			return ""
		}
		switch id := v[key].(type) {
		case string:
			return id
		case json.Number:
			return id.String()
		}
		return ""
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return ""
	}
	return form.Get(key)
}
