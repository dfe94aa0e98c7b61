package command

import (
	"context"
	"os"
	"testing"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
	"github.com/rayhound/rayhound/ui"
)

// Webhooks are missing.
func (c *clinic) Webhooks(context.Context) (ui.Webhooks, error) {
	c.asked = append(c.asked, "webhooks")
	return ui.Webhooks{Paired: true, Hooks: []ui.Webhook{}, Notes: []string{}, Text: "missing   Diagnostic imaging worklist (trigger 6)\n"}, nil
}

// RegisterWebhooks makes them.
func (c *clinic) RegisterWebhooks(context.Context) (ui.Webhooks, error) {
	c.asked = append(c.asked, "register")
	return ui.Webhooks{Paired: true, OK: true, Hooks: []ui.Webhook{}, Notes: []string{}, Text: "created   Diagnostic imaging worklist (trigger 6)\n"}, nil
}

// OfferedCredentials wait.
func (c *clinic) OfferedCredentials(context.Context) (ui.OfferedCredentials, error) {
	if len(c.asked) > 4 {
		return ui.OfferedCredentials{}, nil
	}
	return ui.OfferedCredentials{
		ID: "4f1c22ab09de", ProvetID: "4321", BaseURL: "https://provetcloud.com/4321", ClientID: "new\x1b[31m", Reason: "another client id is in use",
		ReceivedAt: at, BaseURLNow: "https://provetcloud.com/4321", ClientIDNow: "old",
	}, nil
}

// DecideCredentials takes one id.
func (c *clinic) DecideCredentials(_ context.Context, id string, accept bool) error {
	c.asked = append(c.asked, "decide")
	if id != "4f1c22ab09de" {
		return problem.New(problem.Usage, problem.Args{"reason": "There are no such credentials"}, nil)
	}
	return nil
}

func TestProvetConnection(t *testing.T) {
	d, c := newDesk(t), &clinic{}
	d.want(t, 3, []string{"RH-509"}, "provet", "webhooks")
	d.serve(t, c)
	d.want(t, 0, []string{"missing"}, "provet", "webhooks")
	d.want(t, 0, []string{"created"}, "provet", "webhooks", "--register")
	d.want(t, 0, []string{`"paired": true`}, "provet", "webhooks", "--json")
	d.want(t, 0, []string{"4f1c22ab09de", "another client id", "client id     new", "In use now", "client id     old", "--drop"}, "provet", "accept-credentials")
	d.want(t, 0, []string{"Accepted"}, "provet", "accept-credentials", "4f1c22ab09de")
	d.want(t, 0, []string{"Dropped"}, "provet", "accept-credentials", "4f1c22ab09de", "--drop")
	d.want(t, 2, []string{"no such credentials"}, "provet", "accept-credentials", "1")
	d.want(t, 0, []string{"No credentials wait"}, "provet", "accept-credentials")
}

// config show says what Provet Cloud sent.
func TestConfigShowsConnection(t *testing.T) {
	d := newDesk(t)
	if err := os.Mkdir(d.data, 0o700); err != nil {
		t.Fatal(err)
	}
	d.want(t, 0, nil, "config", "init")
	d.want(t, 0, []string{"base_url = \"\""}, "config", "show")
	store, err := secret.NewStore(secret.Config{Dir: d.data})
	if err == nil {
		err = store.Seal(config.ConnectionSecret, secret.New(`{"base_url":"https://provetcloud.com/4321","client_id":"abc","provet_id":"4321"}`))
	}
	if err != nil {
		t.Fatal(err)
	}
	d.want(t, 0, []string{"Provet Cloud sent them", "base_url = \"https://provetcloud.com/4321\"", "client_id = \"abc\""}, "config", "show")
}
