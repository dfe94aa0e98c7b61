package provet_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/provet"
)

// bodies is a transport that answers from memory.
type bodies map[string][]byte

func (b bodies) RoundTrip(r *http.Request) (*http.Response, error) {
	rest, _ := strings.CutPrefix(r.URL.Path, "/1/api/0.1/")
	resource, _, _ := strings.Cut(rest, "/")
	body, ok := b[resource]
	status := http.StatusOK
	switch {
	case strings.HasSuffix(r.URL.Path, "/oauth2/token/"):
		body = []byte(`{"access_token":"t","expires_in":36000}`)
	case !ok:
		body, status = []byte(`{"detail":"Not found."}`), http.StatusNotFound
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}

func FuzzOrder(f *testing.F) {
	f.Add([]byte(`{"id":7,"status":1,"patient":50,"client":51,"modality":12,"referral":9}`), []byte(`{"remarks":"r","consultation":3}`),
		[]byte(`{"patients":[50],"complaint":"c"}`), []byte(`{"lastname":"Virtanen"}`), []byte(`{"name":"Bella","weight":4.2,"gender":"Male"}`))
	f.Add([]byte(`{"status":{"value":1},"patient":"/patient/1/","client":{"url":"/client/2/"},"modality":[[],{},"x",null]}`), []byte(`[]`),
		[]byte(`{"patients":[{"url":"/patient/1/"},{"id":1e400}]}`), []byte(`{"phone_numbers":[{"number":7},"",[[]]]}`), []byte(`{"weight":"1e309","species":{"code":[]}}`))
	f.Add([]byte(`{"id":-1,"status":-0.0,"modified":"9999-99-99","patient":{"id":{"id":1}}}`), []byte(`null`), []byte(`"`), []byte("\xff\xfe"), []byte(`{"name":"\ud800"}`))
	f.Fuzz(func(t *testing.T, worklist, referral, consultation, client, patient []byte) {
		c, err := provet.New(provet.Config{
			BaseURL: "https://provet.invalid/1", ClientID: "x", Secret: secret("s"), NoBudget: true, Attempts: 1, WeightUnit: "kg",
			Status: map[order.State]string{order.Completed: "3"},
			Transport: bodies{
				"diagnosticimaging_worklist": worklist, "diagnosticimaging_referral": referral,
				"consultation": consultation, "client": client, "patient": patient,
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		up, err := c.Order(ctx, "7")
		if err == nil {
			up.Content.Hash()
			for _, id := range []string{up.Content.Patient.ID, up.Content.Owner.ID, up.Content.UpstreamPatient} {
				if strings.ContainsAny(id, "/\\.%?# \n") || len(id) > 64 {
					t.Errorf("id %q", id)
				}
			}
			if w := up.Content.Patient.WeightKG; w < 0 || w > 50000 || w != w {
				t.Errorf("weight %v", w)
			}
		}
		_, _ = c.SetStatus(ctx, "7", order.Completed)
		_ = c.Changed(ctx, time.Time{}, func(provet.Row) error { return nil })
		rep, _ := c.Probe(ctx)
		_, _ = rep.Text(), rep.TOML()
	})
}

func FuzzImportSchema(f *testing.F) {
	b, err := os.ReadFile("testdata/openapi.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"components":{"schemas":{"Modality":{"$ref":"#/components/schemas/Modality"}}}}`))
	f.Add([]byte(`{"paths":{"/modality/{id}/":{"get":7}},"components":{"schemas":{"modality":{"properties":{"name":{"enum":[null,{},1]}}}}}}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		rep, err := provet.DefaultFields().ImportSchema(bytes.NewReader(doc))
		if err == nil {
			_, _, _ = rep.Text(), rep.TOML(), rep.Needed()
		}
	})
}
