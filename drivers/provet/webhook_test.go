package provet_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rayhound/rayhound/drivers/provet"
)

const (
	hookForm = "application/x-www-form-urlencoded"
	hookJSON = "application/json"
)

func TestParseWebhook(t *testing.T) {
	full := provet.Webhook{OrderID: "123", ProvetID: "4321", ProvetURL: "https://provetcloud.com/4321"}
	only := provet.Webhook{OrderID: "123"}
	form := "diagnosticimagingworklist_id=123&provet_id=4321&provet_url=https%3A%2F%2Fprovetcloud.com%2F4321"
	js := `{"diagnosticimagingworklist_id": 123, "provet_id": 4321, "provet_url": "https://provetcloud.com/4321"}`
	for name, tt := range map[string]struct {
		kind, body string
		want       provet.Webhook
	}{
		"form":                       {hookForm, form, full},
		"form without a type":        {"", form, full},
		"form that says JSON":        {hookJSON, form, full},
		"form with a charset":        {hookForm + "; charset=UTF-8", form, full},
		"form with a mark":           {hookForm, "\xef\xbb\xbf" + form, full},
		"form with line ends":        {hookForm, "\r\n" + form + "\r\n", full},
		"form with a broken pair":    {hookForm, "a=%zz&" + form + "&&=x&b", full},
		"form twice the same":        {hookForm, form + "&" + form, full},
		"form with a list key":       {hookForm, "diagnosticimagingworklist_id[]=123", only},
		"form that holds JSON":       {hookForm, "payload=%7B%22diagnosticimagingworklist_id%22%3A%22123%22%7D", only},
		"form of a URL":              {hookForm, "diagnosticimagingworklist_id=https%3A%2F%2Fx%2F1%2Fapi%2F0.1%2Fdiagnosticimaging_worklist%2F123%2F", only},
		"form with zeros in front":   {hookForm, "diagnosticimagingworklist_id=00123", only},
		"multipart":                  {"multipart/form-data; boundary=xx", "--xx\r\nContent-Disposition: form-data; name=\"diagnosticimagingworklist_id\"\r\n\r\n123\r\n--xx--\r\n", only},
		"multipart without a type":   {"", "--xx\r\nContent-Disposition: form-data; name=\"diagnosticimagingworklist_id\"\r\n\r\n123\r\n--xx--\r\n", only},
		"JSON":                       {hookJSON, js, full},
		"JSON that says form":        {hookForm, js, full},
		"JSON with a charset":        {"application/json; charset=\"utf-8\"", js, full},
		"JSON of a broken type":      {"application/json; charset", js, full},
		"JSON of no type":            {"///;;", js, full},
		"JSON with a mark":           {hookJSON, "\xef\xbb\xbf" + js, full},
		"JSON in UTF-16":             {hookJSON, "\xff\xfe" + wide(js), full},
		"JSON with text ids":         {hookJSON, strings.ReplaceAll(strings.ReplaceAll(js, " 123", `"123"`), " 4321", `"4321"`), full},
		"JSON with a float":          {hookJSON, `{"diagnosticimagingworklist_id": 123.0}`, only},
		"JSON below data":            {hookJSON, `{"data":{"diagnosticimagingworklist_id":123},"provet_id":null}`, only},
		"JSON in a list":             {hookJSON, `[{"diagnosticimagingworklist_id":123}]`, only},
		"JSON in text":               {hookJSON, `"{\"diagnosticimagingworklist_id\":123}"`, only},
		"JSON text below a key":      {hookJSON, `{"payload":"{\"diagnosticimagingworklist_id\":123}"}`, only},
		"JSON key twice, first null": {hookJSON, `{"diagnosticimagingworklist_id":null,"diagnosticimagingworklist_id":123}`, only},
		"JSON object":                {hookJSON, `{"diagnosticimagingworklist_id":{"id":123}}`, only},
		"JSON list of ids":           {hookJSON, `{"diagnosticimagingworklist_id":[123,"123"]}`, only},
		"another case":               {hookJSON, `{"DiagnosticImaging-Worklist-ID":123}`, only},
		"several orders": {
			hookForm, "diagnosticimagingworklist_id=7&diagnosticimagingworklist_id=8&diagnosticimagingworklist_id=9",
			provet.Webhook{OrderID: "7", More: []string{"8", "9"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := provet.ParseWebhook(tt.kind, []byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if got.OrderID != tt.want.OrderID || got.ProvetID != tt.want.ProvetID || got.ProvetURL != tt.want.ProvetURL || !slices.Equal(got.More, tt.want.More) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if len(got.Keys) == 0 {
				t.Error("no keys")
			}
		})
	}
}

func wide(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		b.Write([]byte{c, 0})
	}
	return b.String()
}

func TestParseWebhookRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		want error
	}{
		"nothing":          {"", provet.ErrWebhookUnreadable},
		"spaces":           {" \n", provet.ErrWebhookUnreadable},
		"a page":           {"<html><body>a=b</body></html>", provet.ErrWebhookUnreadable},
		"binary":           {"\x00\x01\x02=\xff", provet.ErrWebhookUnreadable},
		"half of JSON":     {`{"diagnosticimagingworklist_id": 1`, provet.ErrWebhookUnreadable},
		"two JSON values":  {`{"diagnosticimagingworklist_id": 1}{}`, provet.ErrWebhookUnreadable},
		"plain text":       {"secret-body", provet.ErrWebhookUnreadable},
		"deep JSON":        {strings.Repeat("[", 2000) + strings.Repeat("]", 2000), provet.ErrWebhookUnreadable},
		"too large":        {strings.Repeat("a", provet.MaxWebhookBody+1), provet.ErrWebhookTooLarge},
		"another hook":     {"client_id=12&provet_id=4321", provet.ErrWebhookNoOrder},
		"no id":            {"diagnosticimagingworklist_id=", provet.ErrWebhookNoOrder},
		"zero":             {`{"diagnosticimagingworklist_id": 0}`, provet.ErrWebhookNoOrder},
		"negative":         {`{"diagnosticimagingworklist_id": -4}`, provet.ErrWebhookNoOrder},
		"fraction":         {`{"diagnosticimagingworklist_id": 1.5}`, provet.ErrWebhookNoOrder},
		"a path":           {"diagnosticimagingworklist_id=../client/3", provet.ErrWebhookNoOrder},
		"another resource": {"diagnosticimagingworklist_id=https://x/1/api/0.1/client/3/", provet.ErrWebhookNoOrder},
		"words":            {"diagnosticimagingworklist_id=secret-body", provet.ErrWebhookNoOrder},
		"a long number":    {"diagnosticimagingworklist_id=" + strings.Repeat("9", 65), provet.ErrWebhookNoOrder},
		"an empty list":    {"[]", provet.ErrWebhookNoOrder},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := provet.ParseWebhook(hookJSON, []byte(tt.body))
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %+v, %v, want %v", w, err, tt.want)
			}
			if strings.Contains(err.Error(), "secret-body") {
				t.Errorf("the error quotes the body: %v", err)
			}
		})
	}
}

func TestParseWebhookMapped(t *testing.T) {
	f := provet.DefaultFields().With(provet.Fields{"webhook_body": {"order": {"study_request"}, "provet_id": {"tenant"}}})
	w, err := f.ParseWebhook("", []byte("study_request=9&tenant=7&diagnosticimagingworklist_id=8"))
	if err != nil || w.OrderID != "9" || w.ProvetID != "7" || len(w.More) != 0 {
		t.Errorf("got %+v, %v", w, err)
	}
}

func FuzzParseWebhook(f *testing.F) {
	for _, kind := range []string{hookForm, hookJSON, "", "multipart/form-data; boundary=b"} {
		f.Add(kind, []byte("diagnosticimagingworklist_id=12&provet_id=3&provet_url=x"))
		f.Add(kind, []byte(`{"diagnosticimagingworklist_id":12,"a":[{"b":"{\"diagnosticimagingworklist_id\":1}"}]}`))
		f.Add(kind, []byte(`"\"{\\\"diagnosticimagingworklist_id\\\":[1,{},\\\"2\\\"]}\""`))
		f.Add(kind, []byte("--b\r\nContent-Disposition: form-data; name=\"diagnosticimagingworklist_id\"\r\n\r\n1\r\n--b--"))
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		was := bytes.Clone(body)
		w, err := provet.ParseWebhook(kind, body)
		if !bytes.Equal(was, body) {
			t.Error("the body was changed")
		}
		if err == nil && w.OrderID == "" || err != nil && w.OrderID != "" {
			t.Errorf("%+v with %v", w, err)
		}
		for _, id := range append(w.More, w.OrderID) {
			if strings.Trim(id, "0123456789") != "" || strings.HasPrefix(id, "0") || len(id) > 64 {
				t.Errorf("id %q", id)
			}
		}
		if len(w.More) > 20 || len(w.Keys) > 30 || len(w.ProvetID) > 500 || len(w.ProvetURL) > 500 {
			t.Errorf("too much was kept: %+v", w)
		}
	})
}

func BenchmarkParseWebhook(b *testing.B) {
	for kind, body := range map[string]string{
		hookForm: "diagnosticimagingworklist_id=70001&provet_id=4321&provet_url=https%3A%2F%2Fprovetcloud.com%2F4321",
		hookJSON: `{"diagnosticimagingworklist_id":70001,"provet_id":4321,"provet_url":"https://provetcloud.com/4321"}`,
	} {
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			f := provet.DefaultFields()
			for b.Loop() {
				if _, err := f.ParseWebhook(kind, []byte(body)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A hostile body is bounded in time: nesting is looked at a few times, not per level.
func BenchmarkParseWebhookHostile(b *testing.B) {
	body := []byte(`{"a":` + strings.Repeat(`{"a":`, 25) + `"` + strings.Repeat(`x`, 60000) + `"` + strings.Repeat("}", 26))
	for b.Loop() {
		_, _ = provet.ParseWebhook(hookJSON, body)
	}
}
