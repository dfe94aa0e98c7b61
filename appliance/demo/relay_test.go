package demo

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRelay(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	for name, row := range map[string]struct {
		method, path, kind, body string
		fail                     error
		want                     int
		id                       string
	}{
		"form":           {"POST", "/in/create", form, "diagnosticimagingworklist_id=17&x=1", nil, 200, "17"},
		"json number":    {"POST", "/in/update", "application/json; charset=utf-8", `{"diagnosticimagingworklist_id": 17}`, nil, 200, "17"},
		"json text":      {"POST", "/in/delete", "application/json", `{"diagnosticimagingworklist_id": "17"}`, nil, 200, "17"},
		"large number":   {"POST", "/in/delete", "application/json", `{"diagnosticimagingworklist_id": 9007199254740993}`, nil, 200, "9007199254740993"},
		"not stored":     {"POST", "/in/create", form, "diagnosticimagingworklist_id=17", errors.New("disk"), 503, "17"},
		"no id":          {"POST", "/in/create", form, "x=1", nil, 400, ""},
		"null":           {"POST", "/in/create", "application/json", `{"diagnosticimagingworklist_id": null}`, nil, 400, ""},
		"bad json":       {"POST", "/in/create", "application/json", `{`, nil, 400, ""},
		"bad form":       {"POST", "/in/create", form, "%zz", nil, 400, ""},
		"other trigger":  {"POST", "/in/other", form, "diagnosticimagingworklist_id=17", nil, 404, ""},
		"other method":   {"GET", "/in/create", form, "", nil, 404, ""},
		"body too large": {"POST", "/in/create", form, "diagnosticimagingworklist_id=" + strings.Repeat("1", maxHook), nil, 413, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			r := relay{func(_ context.Context, id, _ string) error { got = id; return row.fail }}
			w := httptest.NewRecorder()
			req := httptest.NewRequestWithContext(t.Context(), row.method, row.path, strings.NewReader(row.body))
			req.Header.Set("Content-Type", row.kind)
			r.ServeHTTP(w, req)
			if w.Code != row.want || got != row.id {
				t.Errorf("%d, %q; want %d, %q", w.Code, got, row.want, row.id)
			}
		})
	}
	var _ http.Handler = relay{}
}
