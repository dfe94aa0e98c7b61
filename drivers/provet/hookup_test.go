package provet_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

func TestParseHookup(t *testing.T) {
	const token = `"token_url":"https://provetcloud.com/4321/oauth2/token/"`
	want := provet.Hookup{ProvetID: "4321", ClientID: "abc", BaseURL: "https://provetcloud.com/4321", Secret: "s3 =+"}
	for name, tt := range map[string]struct {
		body string
		want provet.Hookup
		err  error
	}{
		"JSON":            {`{"provet_id":4321,"client_id":"abc","client_secret":"s3 =+","client_type":"confidential","authorization_grant_type":"client_credentials","algorithm":"RS256",` + token + `}`, want, nil},
		"text id":         {`{"provet_id":"4321","client_id":"abc","client_secret":"s3 =+",` + token + `}`, want, nil},
		"mark":            {"\xef\xbb\xbf" + `{"provet_id":"4321","client_id":"abc","client_secret":"s3 =+",` + token + `}`, want, nil},
		"grant as words":  {`{"client_id":"abc","client_secret":"s3 =+","authorization_grant_type":"client-credentials",` + token + `}`, want, nil},
		"form":            {"provet_id=4321&client_id=abc&client_secret=s3+%3D%2B&token_url=https%3A%2F%2Fprovetcloud.com%2F4321%2Foauth2%2Ftoken", want, nil},
		"no token URL":    {`{"provet_id":4321,"client_id":"abc","client_secret":"s3 =+"}`, provet.Hookup{ProvetID: "4321", ClientID: "abc", Secret: "s3 =+"}, nil},
		"no secret":       {`{"client_id":"abc",` + token + `}`, provet.Hookup{}, provet.ErrHookupIncomplete},
		"no address":      {`{"client_id":"abc","client_secret":"x"}`, provet.Hookup{}, provet.ErrHookupIncomplete},
		"another grant":   {`{"client_id":"abc","client_secret":"x","authorization_grant_type":"authorization-code",` + token + `}`, provet.Hookup{}, provet.ErrHookupGrant},
		"another tenant":  {`{"provet_id":1,"client_id":"abc","client_secret":"x",` + token + `}`, provet.Hookup{}, provet.ErrHookupInvalid},
		"plain http":      {`{"client_id":"abc","client_secret":"x","token_url":"http://provetcloud.com/1/oauth2/token/"}`, provet.Hookup{}, provet.ErrHookupInvalid},
		"user name":       {`{"client_id":"abc","client_secret":"x","token_url":"https://a:b@provetcloud.com/1/oauth2/token/"}`, provet.Hookup{}, provet.ErrHookupInvalid},
		"dots":            {`{"client_id":"abc","client_secret":"x","token_url":"https://provetcloud.com/../1/oauth2/token/"}`, provet.Hookup{}, provet.ErrHookupInvalid},
		"no organisation": {`{"client_id":"abc","client_secret":"x","token_url":"https://provetcloud.com/oauth2/token/"}`, provet.Hookup{}, provet.ErrHookupInvalid},
		"another path":    {`{"client_id":"abc","client_secret":"x","token_url":"https://provetcloud.com/1/token/"}`, provet.Hookup{}, provet.ErrHookupInvalid},
		"control":         {`{"client_id":"a\nbc","client_secret":"x",` + token + `}`, provet.Hookup{}, provet.ErrHookupInvalid},
		"long":            {`{"client_id":"abc","client_secret":"` + strings.Repeat("x", 2000) + `",` + token + `}`, provet.Hookup{}, provet.ErrHookupInvalid},
		"objects":         {`{"client_id":{},"client_secret":[],` + token + `}`, provet.Hookup{}, provet.ErrHookupIncomplete},
		"a list":          {`[]`, provet.Hookup{}, provet.ErrHookupUnreadable},
		"nothing":         {``, provet.Hookup{}, provet.ErrHookupUnreadable},
		"a page":          {`<html a=b>`, provet.Hookup{}, provet.ErrHookupUnreadable},
		"large":           {strings.Repeat("a=b&", 20000), provet.Hookup{}, provet.ErrHookupUnreadable},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := provet.ParseHookup("", []byte(tt.body))
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %q %q %q, %v", got.ProvetID, got.ClientID, got.BaseURL, err)
			}
			if s := fmt.Sprintf("%v %+v %#v %v", got, got, got, err); strings.Contains(s, "s3") || strings.Contains(s, "abc") {
				t.Errorf("it prints as %s", s)
			}
		})
	}
}

func TestProvetHosts(t *testing.T) {
	for base, want := range map[string]bool{
		"https://provetcloud.com/1": true, "https://us.provetcloud.com/1": true, "https://ENTERPRISE.provetcloud.com:443/1": true, "http://127.0.0.1:80/1": false, "https://localhost/1": false,
		"https://provetcloud.com.evil.invalid/1": false, "https://notprovetcloud.com/1": false, "http://provetcloud.com/1": false, "https://evil.invalid/provetcloud.com": false,
	} {
		if got := provet.IsProvetHost(base, false); got != want {
			t.Errorf("%s: %v", base, got)
		}
	}
	if !provet.IsProvetHost("http://127.0.0.1:80/1", true) || provet.IsProvetHost("https://evil.invalid/1", true) {
		t.Error("local")
	}
	if !provet.SameBase("https://provetcloud.com/1/", "https://PROVETCLOUD.com:443/1/api/0.1/") || provet.SameBase("https://provetcloud.com/1", "https://provetcloud.com/2") {
		t.Error("SameBase")
	}
}

func TestLogin(t *testing.T) {
	c := openTenant(t, provetsim.Config{NoLimits: true}, nil)
	if err := c.Login(t.Context()); err != nil {
		t.Error(err)
	}
	c = openTenant(t, provetsim.Config{NoLimits: true}, func(cfg *provet.Config) { cfg.Secret = secret("wrong") })
	var e *provet.Error
	if err := c.Login(t.Context()); !errors.As(err, &e) || e.Class != provet.Auth {
		t.Errorf("got %v", err)
	}
}

func FuzzParseHookup(f *testing.F) {
	f.Add([]byte(`{"provet_id":1,"client_id":"a","client_secret":"b","token_url":"https://provetcloud.com/1/oauth2/token/"}`))
	f.Add([]byte(`provet_id=1&client_id=a&client_secret=b&token_url=https://provetcloud.com/1/oauth2/token/`))
	f.Fuzz(func(t *testing.T, body []byte) {
		h, err := provet.ParseHookup("", body)
		if err != nil && h != (provet.Hookup{}) {
			t.Error("an error with values")
		}
		if err == nil && (h.ClientID == "" || h.Secret == "" || h.BaseURL != "" && !strings.HasSuffix(h.BaseURL, "/"+h.ProvetID)) {
			t.Errorf("%q %q", h.ClientID, h.BaseURL)
		}
	})
}
