package appliance_test

import (
	"errors"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

// A clinic is paired before Provet Cloud is set up. Then the integration is added
// in Provet Cloud: the credentials come through the relay, the appliance starts
// again with them, sets its webhooks up, and the next order is on the list.
func TestE2EHookup(t *testing.T) {
	t.Parallel()
	post := openPost(t)
	p := &tunnelled{relay: post, urls: map[string]string{}}
	p.practice = open(t, func(c provetsim.Config) provetsim.Config { return c }, setup{
		settings: func(f *config.File) { f.Provet.BaseURL, f.Provet.ClientID = "", "" },
		before: func(s *provetsim.Sim) {
			for id := range 2000 {
				s.UpdateWebhook(id, func(w *provetsim.Webhook) { w.Inactive = true })
			}
		},
	})
	p.settings.Tunnel.RelayURL = "ws://" + post.server.address
	if _, err := p.api.Pair(t.Context(), p.settings.Tunnel.RelayURL, post.code()); err != nil {
		t.Fatal(err)
	}
	p.connected()
	address, _, err := post.relay.Admin().OpenHookup(t.Context(), mailboxName, 10*time.Minute)
	p.ok(err)
	p.sim.PostCredentials(address, nil)
	p.until("the appliance should end, to start again", func() error {
		if _, err := p.api.Status(t.Context()); err == nil {
			return errors.New("it runs")
		}
		return nil
	})
	p.restart()
	p.connected()
	p.until("the webhooks should be in Provet Cloud", func() error {
		n := 0
		for _, w := range p.sim.Webhooks() {
			if !w.Inactive && w.ContentType == 2 {
				n++
			}
		}
		if n != 3 {
			return errors.New("not yet")
		}
		return nil
	})
	p.listed(xray, p.request("X-ray"))
	o, err := p.api.OfferedCredentials(t.Context())
	p.ok(err)
	if o.ID != "" {
		t.Errorf("credentials wait: %+v", o)
	}
}
