package ui

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
)

// fake answers everything with next to nothing and remembers what was asked.
type fake struct {
	ready   []problem.Code
	err     error
	filter  OrderFilter
	action  Action
	added   NewOrder
	value   secret.Secret
	hinted  string
	support func(io.Writer) error
}

func (f *fake) HL7Messages(context.Context, HL7Filter) ([]HL7Message, error) { return nil, f.err }
func (f *fake) HL7Bytes(context.Context, int64) ([]byte, error)              { return []byte("MSH|"), f.err }

func (f *fake) Report(_ context.Context, a string) (Report, error) {
	return Report{AccessionNumber: a, Documents: []Document{{ID: 7, Kind: "text", Text: "All is well"}}}, f.err
}

func (f *fake) Document(_ context.Context, _ string, id int64) (Document, error) {
	return Document{ID: id, Kind: "pdf", MIME: "application/pdf", Bytes: 5}, f.err
}

func (f *fake) CopyDocument(_ context.Context, _ string, _ int64, w io.Writer) error {
	_, err := io.WriteString(w, "%PDF-")
	return err
}

func (f *fake) Ready(context.Context) []problem.Code                      { return f.ready }
func (f *fake) Status(context.Context) (Status, error)                    { return Status{Version: "1.2.3"}, f.err }
func (f *fake) Problems(context.Context, bool) ([]problem.Problem, error) { return nil, f.err }
func (f *fake) Orders(_ context.Context, o OrderFilter) ([]Order, error) {
	f.filter = o
	return nil, f.err
}

func (f *fake) Order(_ context.Context, a string) (OrderDetail, error) {
	return OrderDetail{Order: Order{AccessionNumber: a}}, f.err
}

func (f *fake) AddOrder(_ context.Context, n NewOrder) (Order, error) {
	f.added = n
	return Order{}, f.err
}

func (f *fake) ActOnOrder(_ context.Context, _ string, a Action) (Order, error) {
	f.action = a
	return Order{}, f.err
}

func (f *fake) Hint(_ context.Context, id string) error {
	f.hinted = id
	return f.err
}
func (f *fake) Outbox(context.Context, OutboxFilter) ([]Message, error) { return nil, f.err }
func (f *fake) RetryMessage(context.Context, int64) error               { return f.err }
func (f *fake) RetryOutbox(context.Context, string) (int, error)        { return 3, f.err }
func (f *fake) PauseDestination(context.Context, string, string) error  { return f.err }
func (f *fake) ResumeDestination(context.Context, string) error         { return f.err }
func (f *fake) Arrivals(context.Context, bool) ([]Arrival, error)       { return nil, f.err }
func (f *fake) LinkArrival(context.Context, int64, string, string) (Order, error) {
	return Order{}, f.err
}
func (f *fake) Machines(context.Context) ([]Machine, error)               { return nil, f.err }
func (f *fake) PendingMachines(context.Context) ([]PendingMachine, error) { return nil, f.err }
func (f *fake) Queries(context.Context, QueryFilter) ([]Query, error)     { return nil, f.err }
func (f *fake) Secrets(context.Context) ([]secret.Info, error)            { return nil, f.err }
func (f *fake) SetSecret(_ context.Context, _ string, v secret.Secret) error {
	f.value = v
	return f.err
}

func (f *fake) Pair(_ context.Context, relayURL, code string) (Pairing, error) {
	return Pairing{RelayURL: relayURL, ClinicID: code}, f.err
}
func (f *fake) Backups(context.Context) ([]Backup, error)    { return nil, f.err }
func (f *fake) CreateBackup(context.Context) (Backup, error) { return Backup{}, f.err }
func (f *fake) Doctor(context.Context) ([]Check, error)      { return nil, f.err }
func (f *fake) ProbeProvet(context.Context) (Probe, error)   { return Probe{}, f.err }
func (f *fake) SupportFile(_ context.Context, w io.Writer) error {
	if f.support != nil {
		return f.support(w)
	}
	return f.err
}

func call(t *testing.T, addr, method, path, body string) (int, string) {
	t.Helper()
	status, answer, _ := request(t, method, "http://"+addr+path, body, "Authorization", "Bearer "+token, "Content-Type", "application/json")
	return status, answer
}

func TestEveryListIsAnArray(t *testing.T) {
	addr, _ := start(t, &fake{})
	for _, path := range []string{
		"problems", "orders", "outbox", "arrivals", "machines", "machines/pending", "queries", "secrets", "backups", "hl7",
	} {
		if status, body := call(t, addr, "GET", "/api/v1/"+path, ""); status != 200 || strings.TrimSpace(body) != "[]" {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

func TestReady(t *testing.T) {
	f := &fake{}
	addr, _ := start(t, f)
	if status, body := call(t, addr, "GET", "/readyz", ""); status != 200 || !strings.Contains(body, `"ready":true`) {
		t.Errorf("%d %s", status, body)
	}
	f.ready = []problem.Code{problem.DICOMPort}
	if status, body := call(t, addr, "GET", "/readyz", ""); status != 503 || !strings.Contains(body, "RH-304") {
		t.Errorf("%d %s", status, body)
	}
}

func TestOrderRequests(t *testing.T) {
	f := &fake{}
	addr, _ := start(t, f)
	if status, body := call(t, addr, "GET", "/api/v1/orders?state=scheduled,held&state=completed&limit=5&open=true&since=2026-01-02T03:04:05Z", ""); status != 200 {
		t.Fatal(status, body)
	}
	if len(f.filter.States) != 3 || f.filter.Limit != 5 || !f.filter.Open || f.filter.Since.Year() != 2026 {
		t.Errorf("%+v", f.filter)
	}
	for _, bad := range []string{"state=done", "limit=-1", "limit=1001", "limit=x", "since=yesterday", "offset=x"} {
		if status, body := call(t, addr, "GET", "/api/v1/orders?"+bad, ""); status != 400 || !strings.Contains(body, "RH-514") {
			t.Errorf("%s: %d %s", bad, status, body)
		}
	}
	if status, body := call(t, addr, "GET", "/api/v1/orders/A%2FB%201", ""); status != 200 || !strings.Contains(body, `"accession_number":"A/B 1"`) {
		t.Error(status, body)
	}
	if status, _ := call(t, addr, "POST", "/api/v1/orders/1/complete", `{"reason":" paper images "}`); status != 200 || f.action != (Action{Kind: Complete, Reason: "paper images"}) {
		t.Errorf("%d %+v", status, f.action)
	}
	if status, _ := call(t, addr, "POST", "/api/v1/orders/1/resend", ""); status != 200 || f.action.Kind != Resend {
		t.Errorf("%d %+v", status, f.action)
	}
	for path, in := range map[string]string{
		"orders/1/complete": "", "orders/1/hold": `{"reason":" "}`, "orders/1/delete": `{"reason":"x"}`, "orders/1/cancel": `{"why":"x"}`,
		"orders": `{"patient_id":"1"}`, "hints": `{}`, "arrivals/x/link": `{"accession_number":"1"}`, "arrivals/1/link": `{}`, "outbox/0/retry": "",
		"orders/1/reopen": `{"reason":"x"} {}`, "orders/1/release": `[]`,
	} {
		if status, body := call(t, addr, "POST", "/api/v1/"+path, in); status != 400 || !strings.Contains(body, "RH-514") {
			t.Errorf("%s %s: %d %s", path, in, status, body)
		}
	}
	in := `{"patient_id":"7","patient_name":"Bella","modality":"X-ray","birth_date":"2020-02-03","sex":"F"}`
	if status, body := call(t, addr, "POST", "/api/v1/orders", in); status != 200 || f.added.PatientName != "Bella" {
		t.Error(status, body)
	}
	if status, _, _ := request(t, "POST", "http://"+addr+"/api/v1/orders", in, "Authorization", "Bearer "+token, "Content-Type", "text/plain"); status != 400 {
		t.Errorf("a form of another site could send this: %d", status)
	}
	if status, _ := call(t, addr, "POST", "/api/v1/hints", `{"provet_id":"12"}`); status != 200 || f.hinted != "12" {
		t.Error(status, f.hinted)
	}
}

func TestErrorsAreProblems(t *testing.T) {
	f := &fake{}
	addr, _ := start(t, f)
	for _, tc := range []struct {
		err    error
		status int
		code   string
	}{
		{problem.New(problem.OrderUnknown, problem.Args{"accession": "9"}, errors.New("sql: no rows")), 404, "RH-209"},
		{problem.New(problem.OrderState, problem.Args{"accession": "9", "state": "completed", "event": "cancel"}, nil), 409, "RH-210"},
		{problem.New(problem.DBDamaged, nil, nil), 500, "RH-503"},
		{errors.New("disk I/O error in /var/lib/rayhound"), 500, "RH-501"},
	} {
		f.err = tc.err
		status, body := call(t, addr, "GET", "/api/v1/orders/9", "")
		var e Error
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Fatal(err)
		}
		if status != tc.status || e.Code != tc.code || e.Title == "" || e.Text == "" || e.Help == "" {
			t.Errorf("%d %+v", status, e)
		}
		if strings.Contains(body, "sql") || strings.Contains(body, "/var/lib") {
			t.Errorf("shows the inside: %s", body)
		}
	}
}

func TestSecretIsWriteOnly(t *testing.T) {
	f := &fake{}
	addr, _ := start(t, f)
	status, body := call(t, addr, "PUT", "/api/v1/secrets/provet.client_secret", `{"value":"canary"}`)
	if status != 200 || f.value.Reveal() != "canary" || strings.Contains(body, "canary") {
		t.Error(status, body)
	}
	f.err = secret.ErrName
	if status, body := call(t, addr, "PUT", "/api/v1/secrets/X", `{"value":"canary"}`); status != 400 || strings.Contains(body, "canary") {
		t.Error(status, body)
	}
}

func TestSupportFile(t *testing.T) {
	f := &fake{support: func(w io.Writer) error {
		_, err := io.WriteString(w, "PK...")
		return err
	}}
	addr, _ := start(t, f)
	if status, body := call(t, addr, "POST", "/api/v1/support-file", ""); status != 200 || body != "PK..." {
		t.Error(status, body)
	}
	f.support, f.err = nil, errors.New("no")
	if status, _ := call(t, addr, "POST", "/api/v1/support-file", ""); status != 500 {
		t.Error(status)
	}
}

func TestViewOrder(t *testing.T) {
	o := &order.Order{
		AccessionNumber: "12", State: order.Held, Revision: 2, CreatedAt: time.Unix(1, 0),
		Content: order.Content{
			Patient: order.Patient{ID: "7", Name: "Bella"}, Owner: order.Owner{LastName: "Miller", FirstName: "Ann"},
			Modalities: []order.Ref{{ID: "1", Name: "X-ray"}, {ID: "2"}},
		},
		Holds:   []order.Hold{{Code: "RH-201", Field: "modality", Detail: "X-ray"}},
		Notices: []order.Notice{{Code: "RH-207"}, {Code: "RH-208", Done: true}},
	}
	v := ViewOrder(o, []order.Evidence{{Source: order.MPPS}}, []order.Entry{{Kind: "received"}})
	if v.Modality != "X-ray, 2" || v.Owner != "Miller Ann" || v.Why != "held: modality (X-ray)" || len(v.Notices) != 1 || len(v.Evidence) != 1 {
		t.Errorf("%+v", v)
	}
	b, err := json.Marshal(ViewOrder(&order.Order{}, nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "null") || strings.Contains(string(b), "closed_at") {
		t.Errorf("%s", b)
	}
	for _, key := range []string{
		"accession_number", "provet_id", "state", "patient_id", "patient_name", "study_instance_uid", "modality", "stations", "revision", "evidence", "timeline",
	} {
		if !strings.Contains(string(b), `"`+key+`":`) {
			t.Errorf("no %s", key)
		}
	}
}

// A file is sent to be saved, never to be shown.
func TestReports(t *testing.T) {
	f := &fake{}
	addr, _ := start(t, f)
	if status, body := call(t, addr, "GET", "/api/v1/orders/A1/report", ""); status != 200 || !strings.Contains(body, `"text":"All is well"`) {
		t.Error(status, body)
	}
	status, body, head := request(t, "GET", "http://"+addr+"/api/v1/orders/A1/documents/7", "", "Authorization", "Bearer "+token)
	if status != 200 || body != "%PDF-" || head.Get("Content-Type") != "application/octet-stream" ||
		!strings.Contains(head.Get("Content-Disposition"), "report-7.pdf") {
		t.Error(status, head, body)
	}
	if status, body := call(t, addr, "GET", "/api/v1/orders/A1/documents/x", ""); status != 400 {
		t.Error(status, body)
	}
	f.err = problem.New(problem.OrderUnknown, problem.Args{"accession": "A1"}, nil)
	if status, body := call(t, addr, "GET", "/api/v1/orders/A1/documents/7", ""); status != 404 || !strings.Contains(body, "RH-209") {
		t.Error(status, body)
	}
	for mime, want := range map[string]string{"application/pdf": ".pdf", "text/plain; charset=utf-8": ".txt", "../../x": ".bin", "": ".bin"} {
		if got := (Document{ID: 7, MIME: mime}).FileName(); got != "report-7"+want {
			t.Errorf("%q: %q", mime, got)
		}
	}
}
