package provet_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

func byName(checks []provet.Check) map[string]provet.Check {
	m := map[string]provet.Check{}
	for _, ch := range checks {
		m[ch.Name] = ch
	}
	return m
}

func TestCheck(t *testing.T) {
	c := openTenant(t, provetsim.Config{NoLimits: true}, nil)
	c.sim.CreateOrder(provetsim.NewOrder{})
	for _, ch := range c.Check(t.Context()) {
		if !ch.OK || ch.Skipped || ch.Problem != nil {
			t.Errorf("%+v", ch)
		}
	}
	c.sim.Forbid("client", "user")
	got := byName(c.Check(t.Context()))
	if p := got["permission client"].Problem; p == nil || p.Code != problem.ProvetPermission || !got["read"].OK {
		t.Errorf("%+v", got)
	}
	if len(c.Permissions()) != 2 {
		t.Errorf("%+v", c.Permissions())
	}
}

func TestCheckWrongSecret(t *testing.T) {
	c := openTenant(t, provetsim.Config{}, func(c *provet.Config) { c.Secret = secret("wrong") })
	got := byName(c.Check(t.Context()))
	if p := got["token"].Problem; p == nil || p.Code != problem.ProvetAuth || !got["tcp"].OK || !got["read"].Skipped {
		t.Errorf("%+v", got)
	}
}

func TestCheckWrongAddress(t *testing.T) {
	c := openTenant(t, provetsim.Config{}, func(c *provet.Config) { c.BaseURL += "1" })
	got := byName(c.Check(t.Context()))
	if p := got["token"].Problem; p == nil || p.Code != problem.ProvetBaseURL {
		t.Errorf("%+v", got)
	}
}

func TestCheckUnmappedField(t *testing.T) {
	c := openTenant(t, provetsim.Renamed(provetsim.Config{NoLimits: true}, 1), func(c *provet.Config) { c.Fields = nil })
	c.sim.CreateOrder(provetsim.NewOrder{})
	if p := byName(c.Check(t.Context()))["read"].Problem; p == nil || p.Code != problem.ProvetField {
		t.Errorf("%+v", p)
	}
}

func TestClockSkew(t *testing.T) {
	now := time.Now().Add(-25 * time.Hour) // this computer is a day behind
	c := openTenant(t, provetsim.Config{NoLimits: true}, func(c *provet.Config) { c.Now = func() time.Time { return now } })
	got := byName(c.Check(t.Context()))
	if p := got["clock"].Problem; p == nil || p.Code != problem.ClockSkew {
		t.Errorf("%+v", got["clock"])
	}
	if d := c.ClockSkew() - 25*time.Hour; d.Abs() > 5*time.Second {
		t.Error(c.ClockSkew())
	}
}

// Asking who signed a certificate sends no token.
func TestCheckSendsNoTokenToStrangers(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Error("asked for", r.URL) }))
	defer srv.Close()
	c, err := provet.New(provet.Config{BaseURL: srv.URL + "/1", ClientID: "x", Secret: secret("s")})
	if err != nil {
		t.Fatal(err)
	}
	c.Check(t.Context())
}

func TestProbeDegrades(t *testing.T) {
	for style, choices := range map[provetsim.OptionsStyle]int{
		provetsim.OptionsFull: 6, provetsim.OptionsNoChoices: 0, provetsim.OptionsNoActions: 0, provetsim.OptionsForbidden: 0,
	} {
		c := openTenant(t, provetsim.Config{NoLimits: true, Options: style}, nil)
		c.sim.CreateOrder(provetsim.NewOrder{})
		rep, err := c.Probe(t.Context())
		if err != nil || len(rep.Needed()) != 0 || len(rep.Status.Choices) != choices {
			t.Errorf("style %d: %+v, %v", style, rep, err)
		}
	}
	empty := openTenant(t, provetsim.Config{NoLimits: true}, nil)
	if rep, err := empty.Probe(t.Context()); err != nil || len(rep.Needed()) != 0 {
		t.Errorf("without an order: %+v, %v", rep, err)
	}
}
