package provetsim_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

func TestPostCredentials(t *testing.T) {
	to := receive(t, http.StatusServiceUnavailable, http.StatusNoContent)
	c := open(t, provetsim.Config{Delivery: quick})
	c.sim.PostCredentials(to.url+"/in", map[string]any{"algorithm": nil, "note": "x"})
	settle(t, c.sim)
	got := to.all()
	if len(got) != 3 || got[0] != got[2] {
		t.Fatalf("%d posts: %q", len(got), got)
	}
	body, ok := strings.CutPrefix(got[2], "/in application/json ")
	var post map[string]any
	if err := json.Unmarshal([]byte(body), &post); err != nil || !ok {
		t.Fatalf("%q: %v", got[2], err)
	}
	if post["provet_id"] != 4321.0 || post["client_secret"] != "secret" || post["client_id"] != "rayhound" || post["note"] != "x" || post["algorithm"] != nil ||
		!strings.HasSuffix(post["token_url"].(string), "/4321/oauth2/token/") {
		t.Errorf("got %v", post)
	}
}

func TestHeldInReverse(t *testing.T) {
	to := receive(t)
	c := hooked(t, provetsim.Config{}, to.url)
	c.sim.SetWebhookFaults(provetsim.WebhookFaults{Hold: true, Copies: 3})
	id := c.sim.CreateOrder(provetsim.NewOrder{})
	c.sim.DeleteOrder(id)
	c.sim.SetWebhookFaults(provetsim.WebhookFaults{Reverse: true})
	settle(t, c.sim)
	var paths []string
	for _, g := range to.all() {
		path, _, _ := strings.Cut(g, " ")
		paths = append(paths, path)
	}
	if len(paths) != 9 || paths[0] != "/deleted" || paths[8] != "/created" || !slices.Equal(slices.Compact(paths), []string{"/deleted", "/updated", "/created"}) {
		t.Errorf("got %q", paths)
	}
}

func TestWebhookIsChecked(t *testing.T) {
	c := open(t, provetsim.Config{Options: provetsim.OptionsFull})
	for body, want := range map[string]string{
		`{"trigger": 6}`: `{"url":["This field is required."]}`, `{"trigger": 69, "url": "https://x/"}`: `"69\" is not a valid choice."`,
		`{"trigger": 6, "url": "in"}`: "Enter a valid URL.", `{"trigger": 6, "url": "https://x/", "content_type": 3}`: "not a valid choice",
	} {
		r := c.do("POST", "/api/0.1/hook/webhook/", "application/json", body)
		if got := string(r.body); r.status != 400 || !strings.Contains(strings.ReplaceAll(got, `\\"`, `\"`), want) {
			t.Errorf("%s: %d %s", body, r.status, got)
		}
	}
	if n := len(c.sim.Webhooks()); n != 0 {
		t.Errorf("%d webhooks", n)
	}
}
