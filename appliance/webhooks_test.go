package appliance

import (
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/drivers/provet"
)

func TestJudgeCredentials(t *testing.T) {
	const base = "https://provetcloud.com/4321"
	sent := provet.Hookup{ProvetID: "4321", ClientID: "c1", BaseURL: base, Secret: "s1"}
	with := func(change func(*provet.Hookup)) provet.Hookup {
		h := sent
		change(&h)
		return h
	}
	full := config.Provet{BaseURL: base + "/", ClientID: "c1"}
	for name, tt := range map[string]struct {
		sent  provet.Hookup
		set   config.Provet
		known string
		want  credentialsVerdict
	}{
		"nothing is set up":                  {sent, config.Provet{}, "", credentialsTake},
		"nothing but a secret":               {sent, config.Provet{}, "s1", credentialsTake},
		"the address is set":                 {sent, config.Provet{BaseURL: base}, "", credentialsTake},
		"all is set but the secret":          {sent, full, "", credentialsTake},
		"the same again":                     {sent, full, "s1", credentialsKnown},
		"a new secret of the same client":    {with(func(h *provet.Hookup) { h.Secret = "s2" }), full, "s1", credentialsTake},
		"another client":                     {with(func(h *provet.Hookup) { h.ClientID = "c2" }), full, "s1", credentialsAsk},
		"another client, same secret":        {with(func(h *provet.Hookup) { h.ClientID = "c2" }), full, "s1", credentialsAsk},
		"another organisation":               {with(func(h *provet.Hookup) { h.BaseURL = "https://provetcloud.com/1" }), full, "s1", credentialsAsk},
		"another host":                       {with(func(h *provet.Hookup) { h.BaseURL = "https://us.provetcloud.com/4321" }), full, "s1", credentialsAsk},
		"another host, no secret yet":        {with(func(h *provet.Hookup) { h.BaseURL = "https://evil.invalid/4321" }), full, "", credentialsAsk},
		"a stranger's host, nothing set up":  {with(func(h *provet.Hookup) { h.BaseURL = "https://evil.invalid/4321" }), config.Provet{}, "", credentialsAsk},
		"this computer, nothing set up":      {with(func(h *provet.Hookup) { h.BaseURL = "http://127.0.0.1:80/4321" }), config.Provet{}, "", credentialsAsk},
		"a client id without an address":     {sent, config.Provet{ClientID: "c1"}, "", credentialsTake},
		"a client id of another, no address": {sent, config.Provet{ClientID: "c9"}, "", credentialsAsk},
	} {
		t.Run(name, func(t *testing.T) {
			got, reason := judge(tt.sent, tt.set, tt.known, false)
			if got != tt.want || (reason != "") != (got == credentialsAsk) {
				t.Errorf("got %d, %q", got, reason)
			}
		})
	}
}

var judgedAt = time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)

func TestOfferID(t *testing.T) {
	a := provet.Hookup{ProvetID: "1", ClientID: "c", BaseURL: "https://provetcloud.com/1", Secret: "s"}
	b := a
	b.Secret = "t"
	if offerOf(a, "", judgedAt).ID != offerOf(a, "x", judgedAt.Add(1)).ID || offerOf(a, "", judgedAt).ID == offerOf(b, "", judgedAt).ID {
		t.Error("the id names the credentials")
	}
}
