package ui

import (
	"context"
	"strings"
	"testing"
)

func (f *fake) Webhooks(context.Context) (Webhooks, error) {
	return Webhooks{Paired: true, Hooks: []Webhook{{Trigger: 6, State: "missing"}}, Notes: []string{}}, f.err
}

func (f *fake) RegisterWebhooks(context.Context) (Webhooks, error) {
	return Webhooks{Paired: true, OK: true, Hooks: []Webhook{}, Notes: []string{}}, f.err
}

func (f *fake) OfferedCredentials(context.Context) (OfferedCredentials, error) {
	return OfferedCredentials{ID: "ab12", ClientID: "c"}, f.err
}

func (f *fake) DecideCredentials(_ context.Context, id string, accept bool) error {
	f.hinted = id
	if accept {
		f.hinted += " accepted"
	}
	return f.err
}

func TestProvetConnection(t *testing.T) {
	f := &fake{}
	addr, _ := start(t, f)
	for _, tt := range []struct{ method, path, want string }{
		{"GET", "provet/webhooks", `"state":"missing"`}, {"POST", "provet/webhooks", `"ok":true`}, {"GET", "provet/credentials", `"id":"ab12"`},
	} {
		if status, body := call(t, addr, tt.method, "/api/v1/"+tt.path, ""); status != 200 || !strings.Contains(strings.ReplaceAll(body, " ", ""), tt.want) {
			t.Errorf("%s %s: %d %s", tt.method, tt.path, status, body)
		}
	}
	for action, want := range map[string]string{"accept": "ab12 accepted", "drop": "ab12"} {
		if status, _ := call(t, addr, "POST", "/api/v1/provet/credentials/ab12/"+action, ""); status != 200 || f.hinted != want {
			t.Errorf("%s: %d, %s", action, status, f.hinted)
		}
	}
	if status, _ := call(t, addr, "POST", "/api/v1/provet/credentials/ab12/steal", ""); status != 400 {
		t.Errorf("%d", status)
	}
}
