package provetsim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"time"
)

// PostCredentials sends the credentials of the integration to a hookup URL, as
// Provet Cloud does when the integration is added to a clinic: JSON with
// provet_id as a number, client_id, client_secret, client_type,
// authorization_grant_type, algorithm and token_url. It is retried like a
// webhook, and WaitWebhooks waits for it. change replaces keys; nil takes one away.
func (s *Sim) PostCredentials(to string, change map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	base := s.base
	if base == "" {
		base = "https://provetcloud.com/" + s.cfg.ProvetID
	}
	post := map[string]any{
		"provet_id": s.cfg.ProvetID, "client_id": s.cfg.ClientID, "client_secret": s.cfg.ClientSecret,
		"client_type": "confidential", "authorization_grant_type": "client_credentials", "algorithm": "RS256",
		"token_url": base + "/oauth2/token/",
	}
	if n, err := strconv.Atoi(s.cfg.ProvetID); err == nil {
		post["provet_id"] = n
	}
	for k, v := range change {
		post[k] = v
	}
	maps.DeleteFunc(post, func(_ string, v any) bool { return v == nil })
	body, err := json.Marshal(post)
	if err != nil {
		return // change holds what JSON cannot say
	}
	s.hooks.push(&delivery{url: to, json: true, body: body, due: time.Now()})
}

// checkHook refuses a webhook that Provet Cloud would not take. The caller holds mu.
func (s *Sim) checkHook(t *table, rec record, errs fieldErrors) {
	if t.res.name != "webhook" {
		return
	}
	name := func(f string) string { return t.view.names[t.res.col(f)] }
	if v, ok := rec["url"].(string); ok {
		if u, err := url.Parse(v); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			errs[name("url")] = []string{"Enter a valid URL."}
		}
	}
	if n, ok := rec["trigger"].(int); ok && (n < 1 || n > lastTrigger) {
		errs[name("trigger")] = []string{fmt.Sprintf("\"%d\" is not a valid choice.", n)}
	}
	if n, ok := rec["content_type"].(int); ok && n != contentTypeForm && n != contentTypeJSON {
		errs[name("content_type")] = []string{fmt.Sprintf("\"%d\" is not a valid choice.", n)}
	}
}

// lastTrigger is the highest documented number.
const lastTrigger = 68
