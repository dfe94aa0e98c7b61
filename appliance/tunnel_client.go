package appliance

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/tunnel/client"
	"github.com/rayhound/rayhound/tunnel/wire"
	"github.com/rayhound/rayhound/ui"
)

// clientAgent is tunnel/client as an agent.
type clientAgent struct{ *client.Client }

// openAgent makes the connection of a pairing.
func openAgent(t *tunnel, p *pairing) (agent, error) {
	out, err := t.wayOut()
	if err != nil {
		return nil, err
	}
	test := ""
	for _, u := range p.URLs {
		if u.Kind == wire.KindTest {
			test = u.URL
		}
	}
	c, err := client.New(client.Config{
		RelayURL: t.relayURL(), Inbox: t.receive,
		Credentials: client.Credentials{
			ClinicID: p.ClinicID, Token: p.Token, Identity: p.Identity, InstanceID: p.InstanceID,
			SealingKeys: p.keys(), SealingKeyID: p.SealingKeyID,
		},
		ProxyURL: out.proxy, ProxyUser: out.user, ProxyPassword: out.password, ExtraRoots: out.roots,
		SaveToken: t.saveToken(p), TestURL: test,
		OnChange: func(client.Status) { signal(t.changed) },
		OnNotice: func(text string) {
			t.log.LogAttrs(context.Background(), slog.LevelInfo, "the relay says", slog.String("text", printable(text)))
		},
		Version: t.version, Log: t.log, Now: t.now,
	})
	if err != nil {
		return nil, err
	}
	return clientAgent{c}, nil
}

// inbox is where the client puts events.
func (t *tunnel) inbox() *inbox {
	return &inbox{
		c: t.core, read: t.reader, took: t.took, wake: t.wakeEvents, sweep: t.wakeSweep,
		gapped: func() {
			t.sweeping.Store(true)
			t.inboxMoved.Store(true)
			t.core.metrics.TunnelGap()
			signal(t.changed)
		},
	}
}

func (t *tunnel) relayURL() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.relay
}

// wayOut is how to get out of the clinic's network.
type wayOut struct {
	proxy, user, password string
	roots                 []byte
}

// wayOut reads the proxy's secrets and the further roots.
func (t *tunnel) wayOut() (w wayOut, err error) {
	w.proxy = t.settings.proxyURL
	if w.user, err = optionalSecret(t.secrets, secretProxyUser); err != nil {
		return w, err
	}
	if w.password, err = optionalSecret(t.secrets, secretProxyPassword); err != nil {
		return w, err
	}
	if t.settings.caFile != "" {
		if w.roots, err = os.ReadFile(t.settings.caFile); err != nil {
			return w, problem.New(problem.FileUnusable, problem.Args{"path": t.settings.caFile, "reason": "it cannot be read"}, err)
		}
	}
	return w, nil
}

// joinRelay joins a relay with a one-time code.
func joinRelay(ctx context.Context, t *tunnel, relay, code string) (*pairing, error) {
	out, err := t.wayOut()
	if err != nil {
		return nil, err
	}
	cr, urls, err := client.Pair(ctx, client.PairConfig{
		RelayURL: relay, Code: code, Version: t.version,
		ProxyURL: out.proxy, ProxyUser: out.user, ProxyPassword: out.password, ExtraRoots: out.roots, Now: t.now,
	})
	if err != nil {
		return nil, err
	}
	p := &pairing{
		RelayURL: relay, ClinicID: cr.ClinicID, InstanceID: cr.InstanceID, Token: cr.Token, Identity: cr.Identity, URLs: urls,
		Sealing: map[string]sealingKey{}, SealingKeyID: cr.SealingKeyID,
	}
	for id, key := range cr.SealingKeys {
		p.Sealing[id] = sealingKey{Private: key}
	}
	return p, nil
}

// Link answers agent.
func (a clientAgent) Link() link {
	s := a.Status()
	l := link{
		State: string(s.State), Up: s.State == client.Connected, Transport: string(s.Transport), Proxy: s.Proxy, Since: s.ConnectedSince,
		Heard: s.LastHeard, NextTry: s.NextTry, Head: s.Head, Skew: s.Skew, Problem: s.Problem,
	}
	switch {
	case s.LastClose != wire.CloseUnknownCode:
		l.Close = fmt.Sprintf("%d %s", int(s.LastClose), s.LastClose.Text())
	case s.Problem != nil:
		l.Close = s.Problem.Sentence()
	}
	return l
}

// Check answers agent.
func (a clientAgent) Check(ctx context.Context) []ui.Check {
	var list []ui.Check
	for _, s := range a.Client.Check(ctx) {
		c := ui.Check{Area: "tunnel", Name: stepNames[s.Name], Result: "ok", Detail: s.Detail, DurationSeconds: s.Took.Seconds()}
		if c.Name == "" {
			c.Name = string(s.Name)
		}
		switch {
		case s.Skipped:
			c.Result = "skipped"
		case !s.OK:
			c.Result = "fail"
		}
		if s.Problem != nil {
			c.Code, c.Detail, c.Help = string(s.Problem.Code), s.Problem.Sentence(), s.Problem.Help()
		} else if !s.OK && s.Err != nil && c.Detail == "" {
			c.Detail = s.Err.Error()
		}
		list = append(list, c)
	}
	return list
}

// stepNames say the steps of a connection test to people.
var stepNames = map[client.StepName]string{
	client.StepLookup: "name of the relay", client.StepTCP: "connection", client.StepProxy: "proxy", client.StepTLS: "certificate",
	client.StepUpgrade: "websocket", client.StepChallenge: "relay answers", client.StepWelcome: "relay knows us",
	client.StepEvent: "event there and back",
}

// checkTunnel says how the tunnel is and tries it, with an event through the
// public address and back.
func (a api) checkTunnel(ctx context.Context) []ui.Check {
	v, err := a.tunnel.status(ctx)
	if err == nil && v == nil {
		return []ui.Check{{Area: "tunnel", Name: "relay", Result: "skipped", Detail: "no relay is set; changed orders are found by polling"}}
	}
	first := check("tunnel", "relay", func() (string, error) {
		switch {
		case err != nil:
			return "", err
		case !v.Paired:
			return "", problem.New(problem.TunnelUnpaired, problem.Args{"relay": v.RelayURL}, nil)
		}
		return fmt.Sprintf("%s; event %d of %d, %d gaps, polling every %s", v.Text, v.Cursor, v.Head, v.Gaps,
			time.Duration(v.PollSeconds*float64(time.Second))), nil
	})
	a.tunnel.mu.Lock()
	agent := a.tunnel.agent
	a.tunnel.mu.Unlock()
	if agent == nil || first.Result != "ok" {
		return []ui.Check{first}
	}
	list := append([]ui.Check{first}, agent.Check(ctx)...)
	if v.LastOrderAt.IsZero() {
		list = append(list, ui.Check{
			Area: "tunnel", Name: "webhooks of Provet Cloud", Result: "warn", Detail: "none has come yet",
			Help: "Enter the addresses in Provet Cloud's webhooks, or create an order there to see it arrive.",
		})
	}
	return list
}
