package provet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"path"
	"strings"

	"github.com/rayhound/rayhound/appliance/problem"
)

// Limits of a credential post.
const (
	maxHookupBody = 64 << 10
	maxClientID   = 255  // bytes
	maxSecretLen  = 1024 // bytes
)

// Failures of ParseHookup. None of them holds anything of the body.
var (
	ErrHookupUnreadable = errors.New("provet: the credential post is neither JSON nor a form")
	ErrHookupIncomplete = errors.New("provet: the credential post has no client id, secret or token URL")
	ErrHookupInvalid    = errors.New("provet: the credential post holds a value that cannot be right")
	ErrHookupGrant      = errors.New("provet: the credentials are not for client_credentials")
)

// Hookup is what Provet Cloud posts when the integration is added to a clinic.
type Hookup struct {
	ProvetID string // organisation; the last part of the path of BaseURL
	ClientID string
	BaseURL  string // taken from token_url; empty when that did not come
	Secret   string // never in logs
}

// String hides the credentials from logs.
func (h Hookup) String() string { return "[credentials]" }

// GoString hides the credentials from logs.
func (h Hookup) GoString() string { return h.String() }

// hookupKeys are the keys we read; values are short scalars.
var hookupKeys = []string{"provet_id", "client_id", "client_secret", "client_type", "authorization_grant_type", "token_url"}

// ParseHookup reads a credential post: one JSON object or a form, ids as numbers
// or text. The token URL must be https (http on loopback only), end in
// /oauth2/token/ and agree with provet_id. Errors are those above.
func ParseHookup(contentType string, body []byte) (Hookup, error) {
	v, err := hookupValues(contentType, body)
	if err != nil {
		return Hookup{}, err
	}
	h := Hookup{ProvetID: v["provet_id"], ClientID: v["client_id"], Secret: v["client_secret"]}
	if g := v["authorization_grant_type"]; g != "" && !strings.EqualFold(strings.ReplaceAll(g, "-", "_"), "client_credentials") {
		return Hookup{}, ErrHookupGrant
	}
	if h.ClientID == "" || h.Secret == "" || h.ProvetID == "" && v["token_url"] == "" {
		return Hookup{}, ErrHookupIncomplete
	}
	if !plainText(h.ClientID, maxClientID) || strings.Contains(h.ClientID, " ") || !plainText(h.Secret, maxSecretLen) {
		return Hookup{}, ErrHookupInvalid
	}
	if h.ProvetID != "" && !validID(h.ProvetID) {
		return Hookup{}, ErrHookupInvalid
	}
	if v["token_url"] == "" {
		return h, nil
	}
	if h.BaseURL, err = baseOfToken(v["token_url"]); err != nil {
		return Hookup{}, err
	}
	last := path.Base(h.BaseURL)
	if h.ProvetID == "" {
		h.ProvetID = last
	}
	if h.ProvetID != last {
		return Hookup{}, ErrHookupInvalid
	}
	return h, nil
}

// baseOfToken turns .../<provet id>/oauth2/token/ into the base URL.
func baseOfToken(raw string) (string, error) {
	raw = strings.TrimRight(strings.TrimSpace(raw), "/")
	raw, ok := strings.CutSuffix(raw, "/oauth2/token")
	if !ok {
		return "", ErrHookupInvalid
	}
	u, err := parseBase(raw)
	if err != nil || u.Path == "" || !validID(path.Base(u.Path)) || u.Port() == "0" {
		return "", ErrHookupInvalid
	}
	return u.String(), nil
}

// hookupValues reads the keys of a body, the first of each.
func hookupValues(contentType string, body []byte) (map[string]string, error) {
	if len(body) > maxHookupBody {
		return nil, ErrHookupUnreadable
	}
	b := bytes.TrimSpace(unmark(body))
	out := map[string]string{}
	if bytes.HasPrefix(b, []byte("{")) {
		o, err := decodeObject(b)
		if err != nil {
			return nil, ErrHookupUnreadable
		}
		for _, k := range hookupKeys {
			switch v := o[k].(type) {
			case string:
				out[k] = strings.TrimSpace(v)
			case json.Number:
				out[k] = number(v)
			}
		}
		return out, nil
	}
	if strings.Contains(contentType, "json") || bytes.ContainsAny(b, "<>\x00") {
		return nil, ErrHookupUnreadable
	}
	n := 0
	for pair := range strings.SplitSeq(string(b), "&") {
		if n++; n > maxWebhookPairs {
			break
		}
		rawKey, rawValue, ok := strings.Cut(pair, "=")
		key, err1 := url.QueryUnescape(rawKey)
		value, err2 := url.QueryUnescape(rawValue)
		if ok && err1 == nil && err2 == nil && out[key] == "" {
			out[key] = strings.TrimSpace(value)
		}
	}
	if len(out) == 0 {
		return nil, ErrHookupUnreadable
	}
	return out, nil
}

// plainText reports whether s is printable ASCII of a bounded length.
func plainText(s string, most int) bool {
	if s == "" || len(s) > most {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// IsProvetHost reports whether a base URL lies on a domain of Provet Cloud:
// provetcloud.com and below. With local also one on this computer does, where
// simulators are.
func IsProvetHost(baseURL string, local bool) bool {
	u, err := parseBase(baseURL)
	if err != nil {
		return false
	}
	host := strings.TrimSuffix(u.Hostname(), ".")
	return host == "provetcloud.com" || strings.HasSuffix(host, ".provetcloud.com") || local && isLoopback(host)
}

// SameBase reports whether two base URLs mean the same tenant.
func SameBase(a, b string) bool {
	x, err1 := parseBase(a)
	y, err2 := parseBase(b)
	return err1 == nil && err2 == nil && x.Scheme == y.Scheme && x.Hostname() == y.Hostname() && port(x) == port(y) && x.Path == y.Path
}

// Login asks for a new access token and forgets it: do the credentials work?
// Errors are *Error; *problem.Error when there is no secret.
func (c *Client) Login(ctx context.Context) error {
	_, err := c.tokens.get(ctx)
	var p *problem.Error
	if e, ok := asError(err); ok && errors.As(e.Err, &p) && p.Code == problem.ProvetUnconfigured {
		return p
	}
	return err
}

// NamesTenant reports whether a base URL is that of an organisation.
func NamesTenant(baseURL, provetID string) bool {
	u, err := parseBase(baseURL)
	return err == nil && provetID != "" && path.Base(u.Path) == provetID
}
