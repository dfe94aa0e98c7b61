package provetsim

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const maxTokens = 4096

// tokens are the access tokens in circulation.
type tokens struct {
	mu    sync.Mutex
	live  map[string]grant
	count int // issued in all
}

type grant struct {
	user    string
	expires time.Time
}

// ExpireTokens ends every access token at once. Clients have to ask for a new one.
func (s *Sim) ExpireTokens() {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	clear(s.tokens.live)
}

// TokensIssued returns how many access tokens were given out.
func (s *Sim) TokensIssued() int {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	return s.tokens.count
}

func oauthError(status int, code string) answer {
	return jsonAnswer(status, map[string]string{"error": code})
}

// issueToken answers the token endpoint: grant client_credentials (RFC 6749 4.4).
func (s *Sim) issueToken(w http.ResponseWriter, r *http.Request) answer {
	if r.Method != http.MethodPost {
		return answer{status: http.StatusMethodNotAllowed, header: map[string]string{"Allow": "OPTIONS, POST"}}
	}
	form, err := formBody(w, r)
	if err != nil {
		return oauthError(http.StatusBadRequest, "invalid_request")
	}
	if !s.knows(r, form) {
		return oauthError(http.StatusUnauthorized, "invalid_client").with("WWW-Authenticate", `Bearer error="invalid_client"`)
	}
	switch form.Get("grant_type") {
	case "client_credentials":
	case "":
		return oauthError(http.StatusBadRequest, "invalid_request")
	default:
		return oauthError(http.StatusBadRequest, "unsupported_grant_type")
	}
	scope := form.Get("scope")
	if scope != "" && scope != "restapi" {
		return oauthError(http.StatusBadRequest, "invalid_scope")
	}
	token := rand.Text() + rand.Text()
	s.tokens.add(token, grant{user: s.cfg.ClientID, expires: s.cfg.Now().Add(s.cfg.TokenLifetime)}, s.cfg.Now())
	body := fmt.Sprintf(`{"access_token": %q, "expires_in": %d, "token_type": "Bearer", "scope": "restapi"}`,
		token, int(s.cfg.TokenLifetime/time.Second))
	return answer{status: http.StatusOK, body: []byte(body)}.with("Cache-Control", "no-store")
}

func (s *Sim) revokeToken(w http.ResponseWriter, r *http.Request) answer {
	if r.Method != http.MethodPost {
		return answer{status: http.StatusMethodNotAllowed, header: map[string]string{"Allow": "OPTIONS, POST"}}
	}
	form, err := formBody(w, r)
	if err != nil {
		return oauthError(http.StatusBadRequest, "invalid_request")
	}
	if !s.knows(r, form) {
		return oauthError(http.StatusUnauthorized, "invalid_client")
	}
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	delete(s.tokens.live, form.Get("token"))
	return answer{status: http.StatusOK}
}

func (t *tokens) add(token string, g grant, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.live == nil {
		t.live = map[string]grant{}
	}
	if len(t.live) >= maxTokens {
		for k, old := range t.live {
			if !now.Before(old.expires) {
				delete(t.live, k)
			}
		}
		if len(t.live) >= maxTokens {
			clear(t.live)
		}
	}
	t.live[token] = g
	t.count++
}

// knows checks the credentials: HTTP Basic, or in the body.
func (s *Sim) knows(r *http.Request, form url.Values) bool {
	id, secret, basic := r.BasicAuth()
	if basic {
		// RFC 6749 2.3.1: both are form-encoded before they are put into the header.
		if v, err := url.QueryUnescape(id); err == nil {
			id = v
		}
		if v, err := url.QueryUnescape(secret); err == nil {
			secret = v
		}
	} else {
		id, secret = form.Get("client_id"), form.Get("client_secret")
	}
	sameID := subtle.ConstantTimeCompare([]byte(id), []byte(s.cfg.ClientID))
	sameSecret := subtle.ConstantTimeCompare([]byte(secret), []byte(s.cfg.ClientSecret))
	return sameID&sameSecret == 1
}

var errBody = errors.New("provetsim: unreadable body")

// formBody reads a form, urlencoded or multipart.
func formBody(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, errBody
	}
	switch kind {
	case "application/x-www-form-urlencoded":
		err = r.ParseForm()
	case "multipart/form-data":
		err = r.ParseMultipartForm(maxBody)
	default:
		err = errBody
	}
	return r.PostForm, err
}

// authenticate returns the API user, or the refusal.
func (s *Sim) authenticate(r *http.Request) (string, answer) {
	const missing = "Authentication credentials were not provided."
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return "", detail(http.StatusUnauthorized, missing).with("WWW-Authenticate", `Bearer realm="api"`)
	}
	s.tokens.mu.Lock()
	g, known := s.tokens.live[token]
	s.tokens.mu.Unlock()
	if !known || !s.cfg.Now().Before(g.expires) {
		return "", unauthorized()
	}
	return g.user, answer{}
}

func unauthorized() answer {
	return detail(http.StatusUnauthorized, "Authentication credentials were not provided.").
		with("WWW-Authenticate", `Bearer realm="api",error="invalid_token",error_description="The access token has expired."`)
}
