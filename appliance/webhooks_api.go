package appliance

import (
	"context"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/ui"
)

// Webhooks answers ui.Connections.
func (a api) Webhooks(ctx context.Context) (ui.Webhooks, error) {
	wanted, err := a.wantedWebhooks(false, false)
	if err != nil || len(wanted) == 0 {
		return a.noWebhooks(), err
	}
	rep, err := a.provet.CheckWebhooks(ctx, wanted)
	if err != nil {
		return ui.Webhooks{}, shownError(err)
	}
	a.showWebhooks(&rep)
	return webhooksView(&rep, a.cfg.Now()), nil
}

// RegisterWebhooks answers ui.Connections.
func (a api) RegisterWebhooks(ctx context.Context) (ui.Webhooks, error) {
	rep, ok, err := a.registerWebhooks(ctx, true)
	if err != nil {
		return ui.Webhooks{}, shownError(err)
	}
	if !ok {
		return a.noWebhooks(), nil
	}
	return webhooksView(&rep, a.cfg.Now()), nil
}

// noWebhooks says why there is nothing to set up.
func (a *Appliance) noWebhooks() ui.Webhooks {
	text := "This computer is not paired with a relay, so there is no address that Provet Cloud could tell about orders. They are found by polling.\n"
	if a.provet == nil {
		text = "Provet Cloud is not set up yet (RH-110), so there is nothing to register.\n"
	}
	return ui.Webhooks{Hooks: []ui.Webhook{}, Notes: []string{}, Text: text}
}

func webhooksView(rep *provet.HooksReport, at time.Time) ui.Webhooks {
	v := ui.Webhooks{
		Paired: true, OK: rep.OK(), Hooks: []ui.Webhook{}, Notes: append([]string{}, rep.Notes...), Instructions: rep.Instructions(),
		Text: rep.Text(), CheckedAt: at,
	}
	for _, h := range rep.Hooks {
		v.Hooks = append(v.Hooks, ui.Webhook{Trigger: h.Trigger, Name: h.Name, State: string(h.State), ID: h.ID, Detail: h.Detail})
	}
	return v
}

// shownError is a failure of Provet Cloud as a problem for people.
func shownError(err error) error {
	if p := practiceProblem(err); p != nil {
		return p
	}
	return err
}

// checkWebhooks is the doctor's look at our webhooks; nothing while there are no
// addresses for them.
func (a api) checkWebhooks(ctx context.Context) []ui.Check {
	wanted, err := a.wantedWebhooks(false, false)
	if err == nil && len(wanted) == 0 {
		return nil
	}
	return []ui.Check{check("provet", "webhooks", func() (string, error) {
		if err != nil {
			return "", err
		}
		rep, err := a.provet.CheckWebhooks(ctx, wanted)
		if err != nil {
			return "", err
		}
		switch missing, off := rep.Manual(), rep.Disabled(); {
		case len(missing) > 0:
			return "", problem.New(problem.WebhooksMissing, problem.Args{"reason": count(len(missing), "webhook is", "webhooks are") + " missing"}, nil)
		case len(off) > 0:
			return "", problem.New(problem.WebhooksDisabled, problem.Args{"count": count(len(off), "webhook", "webhooks")}, nil)
		}
		return "all of them are there", nil
	})}
}

// OfferedCredentials answers ui.Connections.
func (a api) OfferedCredentials(context.Context) (ui.OfferedCredentials, error) {
	o, ok, err := openJSON[offer](a.secrets, secretOffer)
	if err != nil || !ok {
		return ui.OfferedCredentials{}, err
	}
	set := a.cfg.Settings.Provet
	return ui.OfferedCredentials{
		ID: o.ID, ProvetID: o.ProvetID, BaseURL: o.BaseURL, ClientID: o.ClientID, Reason: o.Reason, ReceivedAt: o.At,
		BaseURLNow: set.BaseURL, ClientIDNow: set.ClientID,
	}, nil
}

// DecideCredentials answers ui.Connections. The settings file is its owner's:
// credentials for another address or client are not taken while it names one.
func (a api) DecideCredentials(ctx context.Context, id string, accept bool) error {
	a.hookup.mu.Lock()
	defer a.hookup.mu.Unlock()
	o, ok, err := openJSON[offer](a.secrets, secretOffer)
	if err != nil {
		return err
	}
	if !ok || o.ID != id {
		return problem.New(problem.Usage, problem.Args{"reason": "There are no such credentials waiting; rayhound provet accept-credentials shows them"}, nil)
	}
	if !accept {
		return a.dropOffer(ctx, o.ID, console, "credentials dropped", o)
	}
	file := a.hookup.file
	if file.ClientID != "" && file.ClientID != o.ClientID || file.BaseURL != "" && !provet.SameBase(file.BaseURL, o.BaseURL) {
		return problem.New(problem.Usage, problem.Args{
			"reason": "The settings file names another base_url or client_id in [provet]. Empty both there, restart the service, and accept the credentials again",
		}, nil)
	}
	if err := a.login(ctx, o.hookup()); err != nil {
		return shownError(err)
	}
	return a.useCredentials(ctx, o, console)
}
