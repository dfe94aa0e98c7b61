package provet_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

const relayURL = "https://relay.invalid/in/"

// wanted are the three webhooks of a clinic, with secrets that end in a suffix.
func wanted(suffix string) []provet.WantedHook {
	var out []provet.WantedHook
	for _, n := range []int{provet.TriggerWorklistCreated, provet.TriggerWorklistUpdated, provet.TriggerWorklistDeleted} {
		out = append(out, provet.WantedHook{Trigger: n, URL: fmt.Sprintf("%ssecret%d%s", relayURL, n, suffix), Name: fmt.Sprintf("Rayhound c1 %d", n)})
	}
	return out
}

// hookFields maps the names of a tenant's webhooks; blank keeps the defaults.
func hookFields(c *provet.Config, sim *provetsim.Sim) {
	c.Fields["webhook"] = map[string][]string{}
	for logical, name := range sim.RenamedFields()["webhook"] {
		c.Fields["webhook"][logical] = []string{name}
	}
}

func states(r provet.HooksReport) string {
	var out []string
	for _, h := range r.Hooks {
		out = append(out, string(h.State))
	}
	return strings.Join(out, " ")
}

// ensure brings the webhooks of a tenant to w and wants the given states.
func ensure(t *testing.T, c *tenant, w []provet.WantedHook, want string) provet.HooksReport {
	t.Helper()
	r, err := c.EnsureWebhooks(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	if got := states(r); got != want {
		t.Fatalf("got %q, want %q\n%s\n%+v", got, want, r.Text(), r.Fields)
	}
	return r
}

// shown are the webhooks of a tenant as trigger, URL, content type, active.
func shown(c *tenant) []string {
	var out []string
	for _, h := range c.sim.Webhooks() {
		out = append(out, fmt.Sprint(h.Trigger, " ", h.URL, " ", h.ContentType, " ", !h.Inactive))
	}
	return out
}

func TestEnsureWebhooks(t *testing.T) {
	base := provetsim.Config{NoLimits: true, Seed: 3}
	quiet := base
	quiet.Options = provetsim.OptionsNoActions
	refusing := base
	refusing.Options = provetsim.OptionsForbidden
	withLink := quiet
	withLink.Names = map[string]map[string]string{"webhook": {"url": "callback_url", "self": "url"}}
	alike := base
	alike.Names = map[string]map[string]string{"webhook": {"url": "notify_url", "self": "url", "active": "is_enabled"}}
	told := quiet
	told.Names = map[string]map[string]string{"webhook": {"url": "notify_url", "self": "url"}}
	for name, sc := range map[string]provetsim.Config{
		"default names": base, "no metadata": quiet, "metadata refused": refusing, "url is the link itself": withLink,
		"a name like it": alike, "learned from the refusal": told,
		"renamed 1": provetsim.Renamed(base, 1), "renamed 2": provetsim.Renamed(base, 2), "renamed, no metadata": provetsim.Renamed(quiet, 3),
	} {
		t.Run(name, func(t *testing.T) {
			sc.Webhooks = []provetsim.Webhook{{Trigger: 6, URL: "https://relay.invalid/in/another-clinic", Name: "Rayhound c2 6"}, {Trigger: 1, URL: "https://other.invalid/"}}
			c := openTenant(t, sc, nil)
			if strings.HasPrefix(name, "renamed") {
				c = openTenant(t, sc, func(cfg *provet.Config) { hookFields(cfg, provetsim.New(sc)) })
			}
			if r, err := c.CheckWebhooks(t.Context(), wanted("")); err != nil || states(r) != "missing missing missing" || len(c.sim.Webhooks()) != 2 {
				t.Fatalf("%v, %s", err, states(r))
			}
			r := ensure(t, c, wanted(""), "created created created")
			if !r.OK() || r.Instructions() != "" || r.Foreign != 2 {
				t.Errorf("%+v", r)
			}
			want := []string{
				"6 https://relay.invalid/in/another-clinic 1 true", "1 https://other.invalid/ 1 true",
				"6 https://relay.invalid/in/secret6 2 true", "7 https://relay.invalid/in/secret7 2 true", "8 https://relay.invalid/in/secret8 2 true",
			}
			if got := shown(c); !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			ensure(t, c, wanted(""), "ok ok ok")
			next := wanted("-new") // rotation
			for i := range next {
				next[i].Former, next[i].Name = []string{wanted("")[i].URL}, ""
			}
			if r, err := c.CheckWebhooks(t.Context(), next); err != nil || states(r) != "outdated outdated outdated" {
				t.Errorf("%v, %s", err, states(r))
			}
			ensure(t, c, next, "changed changed changed")
			ensure(t, c, next, "ok ok ok")
			if got := shown(c); len(got) != 5 || got[2] != "6 https://relay.invalid/in/secret6-new 2 true" || got[0] != want[0] {
				t.Errorf("got %q", got)
			}
			if len(c.sim.Violations()) != 0 {
				t.Error(c.sim.Violations())
			}
		})
	}
}

func TestEnsureWebhooksAfterAPerson(t *testing.T) {
	c := openTenant(t, provetsim.Config{NoLimits: true}, nil)
	r := ensure(t, c, wanted(""), "created created created")
	number := func(i int) int { n, _ := strconv.Atoi(r.Hooks[i].ID); return n }
	c.sim.UpdateWebhook(number(0), func(w *provetsim.Webhook) { w.Inactive = true })
	c.sim.UpdateWebhook(number(1), func(w *provetsim.Webhook) { w.Trigger = 16 })
	c.sim.Delete("webhook", number(2))
	c.sim.RegisterWebhook(provetsim.Webhook{Trigger: 7, URL: wanted("")[1].URL})
	r = ensure(t, c, wanted(""), "disabled changed created")
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "more than once") || !strings.Contains(r.Text(), "--register") {
		t.Errorf("%q\n%s", r.Notes, r.Text())
	}
	enable := wanted("")
	enable[0].Enable = true
	ensure(t, c, enable, "changed ok ok")
	c.sim.UpdateWebhook(number(0), func(w *provetsim.Webhook) { w.URL += "-by-hand" }) // known by its name
	ensure(t, c, wanted(""), "changed ok ok")
	c.sim.UpdateWebhook(number(0), func(w *provetsim.Webhook) { w.Department = 1 })
	if r = ensure(t, c, wanted(""), "ok ok ok"); len(r.Notes) != 2 {
		t.Errorf("%q", r.Notes)
	}
	c.sim.UpdateWebhook(number(0), func(w *provetsim.Webhook) { w.URL = "https://another.invalid/"; w.Department = 0 })
	ensure(t, c, wanted(""), "created ok ok") // no longer ours
}

func TestEnsureWebhooksTrigger(t *testing.T) {
	c := openTenant(t, provetsim.Config{NoLimits: true}, nil)
	r := ensure(t, c, wanted(""), "created created created")
	n, _ := strconv.Atoi(r.Hooks[1].ID)
	c.sim.UpdateWebhook(n, func(w *provetsim.Webhook) { w.Trigger, w.ContentType = 16, 1 })
	ensure(t, c, wanted(""), "ok changed ok")
	if got := shown(c)[1]; got != "7 https://relay.invalid/in/secret7 1 true" {
		t.Errorf("got %s", got)
	}
}

func TestEnsureWebhooksForbidden(t *testing.T) {
	for name, forbid := range map[string]func(*provetsim.Sim){
		"all": func(s *provetsim.Sim) { s.Forbid("webhook", "queue") },
		"write": func(s *provetsim.Sim) {
			s.Inject(provetsim.Fault{Kind: provetsim.FaultStatus, Status: 403, Resource: "webhook", Method: "POST"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := openTenant(t, provetsim.Config{NoLimits: true}, nil)
			forbid(c.sim)
			r := ensure(t, c, wanted(""), "forbidden forbidden forbidden")
			text := r.Text()
			for _, w := range wanted("") {
				if !strings.Contains(text, w.URL) {
					t.Errorf("no %s in\n%s", w.URL, text)
				}
			}
			if r.OK() || !strings.Contains(text, "Settings > General > Integrations > Webhooks") || !strings.Contains(text, "Settings: Integration settings") {
				t.Error(text)
			}
			if m := c.Permissions(); len(m) != 1 || m[0].Resource != "webhook" {
				t.Errorf("%+v", m)
			}
		})
	}
}

func TestEnsureWebhooksTrouble(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		c := openTenant(t, provetsim.Config{NoLimits: true}, nil)
		c.sim.Inject(provetsim.Fault{Kind: provetsim.FaultStatus, Status: 400, Resource: "webhook", Method: "POST"})
		r := ensure(t, c, wanted(""), "refused refused refused")
		if len(r.Manual()) != 3 {
			t.Error(r.Text())
		}
	})
	t.Run("unknown name", func(t *testing.T) {
		sc := provetsim.Config{NoLimits: true, Options: provetsim.OptionsNoActions, Names: map[string]map[string]string{"webhook": {"url": "zz"}}}
		c := openTenant(t, sc, nil)
		r := ensure(t, c, wanted(""), "refused refused refused") // "zz: This field is required."
		if len(c.sim.Webhooks()) != 0 || !strings.Contains(r.Hooks[0].Detail, "zz") {
			t.Error(r.Text())
		}
	})
	t.Run("made without an address", func(t *testing.T) {
		sc := provetsim.Config{NoLimits: true, Names: map[string]map[string]string{"webhook": {"url": "-", "self": "url"}}}
		c := openTenant(t, sc, nil)
		ensure(t, c, wanted(""), "unknown unknown unknown")
		if len(c.sim.Webhooks()) != 0 {
			t.Errorf("left: %q", shown(c))
		}
	})
	t.Run("answer lost", func(t *testing.T) {
		c := openTenant(t, provetsim.Config{NoLimits: true}, nil)
		c.sim.Inject(provetsim.Fault{Kind: provetsim.FaultCut, Resource: "webhook", Method: "POST", Count: 1})
		ensure(t, c, wanted(""), "created created created")
		if n := len(c.sim.Webhooks()); n != 3 {
			t.Errorf("%d webhooks", n)
		}
	})
	t.Run("down", func(t *testing.T) {
		c := openTenant(t, provetsim.Config{NoLimits: true}, func(cfg *provet.Config) { cfg.Attempts = 1 })
		c.sim.Inject(provetsim.Fault{Kind: provetsim.FaultStatus, Status: 503, Resource: "webhook"})
		if _, err := c.EnsureWebhooks(t.Context(), wanted("")); err == nil || strings.Contains(err.Error(), "secret6") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("many webhooks", func(t *testing.T) {
		c := openTenant(t, provetsim.Config{NoLimits: true}, nil)
		for i := range 130 {
			c.sim.RegisterWebhook(provetsim.Webhook{Trigger: 1 + i%5, URL: "https://other.invalid/" + strconv.Itoa(i)})
		}
		ensure(t, c, wanted(""), "created created created")
		if r := ensure(t, c, wanted(""), "ok ok ok"); r.Foreign != 130 {
			t.Errorf("%d of others", r.Foreign)
		}
	})
	t.Run("senseless wishes", func(t *testing.T) {
		c := openTenant(t, provetsim.Config{NoLimits: true}, nil)
		for _, w := range []provet.WantedHook{{Trigger: 6, URL: "relay/in"}, {URL: relayURL}, {Trigger: 6, URL: "ftp://x/y"}, {Trigger: 6, URL: "https://u:p@x/y"}} {
			if _, err := c.EnsureWebhooks(t.Context(), []provet.WantedHook{w}); err == nil {
				t.Errorf("%+v was taken", w)
			}
		}
	})
}

// A look costs a handful of calls, far below the limit of 100 lists a minute.
func TestEnsureWebhooksCalls(t *testing.T) {
	c := openTenant(t, provetsim.Config{}, func(cfg *provet.Config) { cfg.NoBudget = false })
	ensure(t, c, wanted(""), "created created created")
	before := c.sim.Requests()
	ensure(t, c, wanted(""), "ok ok ok")
	total := int64(0)
	for route, n := range c.sim.Requests() {
		total += n - before[route]
	}
	if total != 3 { // list, metadata, queue
		t.Errorf("%d calls: %v, before %v", total, c.sim.Requests(), before)
	}
}

// FuzzEnsureWebhooks lets a tenant answer with anything.
func FuzzEnsureWebhooks(f *testing.F) {
	f.Add([]byte(`{"results":[{"id":1,"url":"https://relay.invalid/in/secret6","trigger":6,"active":0}],"next":null}`))
	f.Add([]byte(`[{"id":{"id":3},"target_url":["x"],"trigger":{"value":6},"department":[1]},{}]`))
	f.Add([]byte(`{"actions":{"POST":{"url":{"type":"url","read_only":true},"uri":{"type":"url"}}},"results":[]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := provet.New(provet.Config{
			BaseURL: "https://provet.invalid/1", ClientID: "x", Secret: secret("s"), NoBudget: true, Attempts: 1,
			Transport: bodies{"hook": body},
		})
		if err != nil {
			t.Fatal(err)
		}
		r, _ := c.EnsureWebhooks(t.Context(), wanted(""))
		if len(r.Hooks) > 3 {
			t.Errorf("%d results", len(r.Hooks))
		}
		_ = r.Text()
	})
}
