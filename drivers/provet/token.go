package provet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// Token is an access token as a TokenStore keeps it. It is a secret.
type Token struct {
	AccessToken string    `json:"access_token"`
	Expiry      time.Time `json:"expiry"`
	Lifetime    int64     `json:"lifetime"` // seconds, when it was issued
	Issuer      string    `json:"issuer"`   // token URL and client id it belongs to
}

// String hides the token from logs.
func (Token) String() string { return "[token]" }

// LogValue hides the token from logs.
func (Token) LogValue() slog.Value { return slog.StringValue("[token]") }

// TokenStore keeps the access token, sealed, over restarts.
//
// Load returns the zero Token when there is none. Save is called after every
// new token, and with the zero Token when it was refused. Errors are logged and
// otherwise ignored: a token can always be asked for again.
type TokenStore interface {
	Load(context.Context) (Token, error)
	Save(context.Context, Token) error
}

const (
	defaultLifetime = time.Hour        // when expires_in is absent
	renewMargin     = 5 * time.Minute  // or a tenth of the lifetime, whichever is less
	refusalHold     = 15 * time.Second // how long refused credentials are not tried again
)

// tokenKeeper gets, keeps and renews the access token. Concurrent callers share
// one request.
type tokenKeeper struct {
	c      *Client
	http   *http.Client
	url    string
	issuer string

	mu       sync.Mutex
	loaded   bool
	token    Token
	flight   *tokenFlight
	inParams bool // credentials in the body worked where Basic did not

	refused       error // of refusedSecret, until refusedUntil
	refusedSecret string
	refusedUntil  time.Time
}

type tokenFlight struct {
	done  chan struct{}
	token Token
	err   error
}

func newTokenKeeper(c *Client, next http.RoundTripper) *tokenKeeper {
	u := c.base.JoinPath("oauth2", "token/").String()
	return &tokenKeeper{
		c: c, url: u, issuer: u + " " + c.cfg.ClientID,
		http: &http.Client{
			Transport:     &tokenTransport{next: next, c: c},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// get returns a token that is good for now, asking for one when needed.
func (k *tokenKeeper) get(ctx context.Context) (string, error) {
	k.mu.Lock()
	if !k.loaded {
		k.loaded = true
		k.load(ctx)
	}
	now := k.c.cfg.Now()
	if k.fresh(now) {
		t := k.token.AccessToken
		k.mu.Unlock()
		return t, nil
	}
	f := k.flight
	if f == nil {
		f = &tokenFlight{done: make(chan struct{})}
		k.flight = f
		go k.fetch(context.WithoutCancel(ctx), f)
	}
	k.mu.Unlock()
	select {
	case <-f.done:
	case <-ctx.Done():
		return "", &Error{Op: opToken, Resource: opToken, Class: Transient, Err: context.Cause(ctx)}
	}
	if old := k.stillGood(f.err); old != "" {
		return old, nil
	}
	return f.token.AccessToken, f.err
}

// stillGood returns the old token when renewing it failed in a way that passes
// and it has not ended yet: that is no reason to stop.
func (k *tokenKeeper) stillGood(err error) string {
	if err == nil || isClass(err, Auth) {
		return ""
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.c.cfg.Now().Before(k.token.Expiry) {
		return ""
	}
	return k.token.AccessToken
}

// fresh reports whether the token need not be renewed yet. k.mu is held.
func (k *tokenKeeper) fresh(now time.Time) bool {
	if k.token.AccessToken == "" {
		return false
	}
	margin := min(renewMargin, time.Duration(k.token.Lifetime)*time.Second/10)
	return now.Before(k.token.Expiry.Add(-margin))
}

// load takes over a stored token of this tenant and client. k.mu is held.
func (k *tokenKeeper) load(ctx context.Context) {
	if k.c.cfg.Tokens == nil {
		return
	}
	t, err := k.c.cfg.Tokens.Load(ctx)
	if err != nil {
		k.c.cfg.Log.Warn("provet token could not be loaded", "error", err)
		return
	}
	// Expiry later than the lifetime allows means the clock was wrong then or is now.
	if t.Issuer == k.issuer && t.Lifetime > 0 &&
		!t.Expiry.After(k.c.cfg.Now().Add(time.Duration(t.Lifetime)*time.Second)) {
		k.token = t
	}
}

// drop forgets a token that was refused, unless it was replaced meanwhile.
func (k *tokenKeeper) drop(ctx context.Context, used string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.token.AccessToken != used {
		return
	}
	k.token = Token{}
	k.save(ctx, Token{})
}

func (k *tokenKeeper) save(ctx context.Context, t Token) {
	if k.c.cfg.Tokens == nil {
		return
	}
	if err := k.c.cfg.Tokens.Save(ctx, t); err != nil {
		k.c.cfg.Log.Warn("provet token could not be saved", "error", err)
	}
}

// fetch asks for a token and ends the flight. It outlives a caller that gives
// up, and is bounded by the request timeout.
func (k *tokenKeeper) fetch(ctx context.Context, f *tokenFlight) {
	ctx, cancel := context.WithTimeout(ctx, k.c.cfg.Timeout)
	defer cancel()
	t, err := k.request(ctx)
	k.mu.Lock()
	if err == nil {
		k.token = t
		k.save(ctx, t)
	}
	f.token, f.err = t, err
	k.flight = nil
	k.mu.Unlock()
	close(f.done)
}

// request asks the token endpoint: Basic first, then once with the credentials
// in the body if Basic was refused.
func (k *tokenKeeper) request(ctx context.Context) (Token, error) {
	secret, err := k.c.cfg.Secret(ctx)
	if err != nil {
		return Token{}, &Error{Op: opToken, Resource: opToken, Class: Auth, Detail: "the client secret could not be read", Err: err}
	}
	if secret == "" {
		return Token{}, &Error{Op: opToken, Resource: opToken, Class: Auth, Detail: "no client secret is set"}
	}
	k.mu.Lock()
	inParams := k.inParams
	if k.refused != nil && k.refusedSecret == secret && k.c.cfg.Now().Before(k.refusedUntil) {
		err := k.refused
		k.mu.Unlock()
		return Token{}, err
	}
	k.mu.Unlock()

	t, err := k.ask(ctx, secret, inParams)
	if isClass(err, Auth) {
		if t2, err2 := k.ask(ctx, secret, !inParams); err2 == nil {
			t, err, inParams = t2, nil, !inParams
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refused = nil
	switch {
	case err == nil:
		k.inParams = inParams
	case isClass(err, Auth):
		k.refused, k.refusedSecret, k.refusedUntil = err, secret, k.c.cfg.Now().Add(refusalHold)
	}
	return t, err
}

// ask makes one token request (RFC 6749 section 4.4).
func (k *tokenKeeper) ask(ctx context.Context, secret string, inParams bool) (Token, error) {
	cc := clientcredentials.Config{
		ClientID: k.c.cfg.ClientID, ClientSecret: secret, TokenURL: k.url,
		Scopes: []string{"restapi"}, AuthStyle: oauth2.AuthStyleInHeader,
	}
	if inParams {
		cc.AuthStyle = oauth2.AuthStyleInParams
	}
	seen := &tokenAnswer{}
	ctx = context.WithValue(ctx, tokenAnswerKey{}, seen)
	asked := k.c.cfg.Now()
	tok, err := cc.Token(context.WithValue(ctx, oauth2.HTTPClient, k.http))
	if err != nil {
		return Token{}, tokenError(ctx, err, seen)
	}
	if strings.ContainsFunc(tok.AccessToken, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return Token{}, &Error{Op: opToken, Resource: opToken, Class: Protocol, Detail: "the token holds characters that no token has"}
	}
	life := defaultLifetime
	if tok.ExpiresIn > 0 {
		life = time.Duration(tok.ExpiresIn) * time.Second
	} else if !tok.Expiry.IsZero() {
		life = max(time.Until(tok.Expiry), time.Second)
	}
	return Token{AccessToken: tok.AccessToken, Expiry: asked.Add(life), Lifetime: int64(life / time.Second), Issuer: k.issuer}, nil
}

// tokenAnswer is what the transport saw of the token endpoint's answer.
type tokenAnswer struct {
	status      int
	contentType string
	location    string
	retryAfter  time.Duration
	connected   bool
}

type tokenAnswerKey struct{}

// tokenTransport records the answer of the token endpoint and our clock skew.
type tokenTransport struct {
	next http.RoundTripper
	c    *Client
}

func (t *tokenTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	seen, _ := r.Context().Value(tokenAnswerKey{}).(*tokenAnswer)
	if seen == nil {
		seen = &tokenAnswer{}
	}
	ctx, got := traceConnected(r.Context())
	r = r.Clone(ctx)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", t.c.cfg.UserAgent)
	sent := t.c.cfg.Now()
	resp, err := t.next.RoundTrip(r)
	seen.connected = got()
	if err != nil {
		return nil, err
	}
	t.c.noteDate(resp.Header, sent)
	seen.status = resp.StatusCode
	seen.contentType = resp.Header.Get("Content-Type")
	seen.location = resp.Header.Get("Location")
	seen.retryAfter = retryAfter(resp.Header, t.c.cfg.Now())
	return resp, nil
}

// tokenError classifies a failed token request. The cause of an answer is not
// kept: it would quote the body.
func tokenError(ctx context.Context, err error, seen *tokenAnswer) *Error {
	e := &Error{Op: opToken, Resource: opToken, HTTPStatus: seen.status}
	if seen.status == 0 {
		e.Class, e.Detail = classifyNetwork(err, seen.connected)
		e.Err = scrub(err)
		if ctx.Err() != nil {
			e.Err = errors.Join(e.Err, ctx.Err())
		}
		return e
	}
	code := ""
	var re *oauth2.RetrieveError
	if errors.As(err, &re) {
		code = cleanLine(re.ErrorCode)
	}
	json := strings.Contains(seen.contentType, "json")
	switch s := seen.status; {
	case s == http.StatusTooManyRequests:
		e.Class, e.RetryAfter = RateLimited, seen.retryAfter
	case s == http.StatusRequestTimeout || s >= 500:
		e.Class = Transient
	case s >= 300 && s < 400:
		e.Class, e.WrongBase = Destination, true
		e.Detail = "the token address redirects elsewhere"
	case s == http.StatusUnauthorized || code != "" || (s == http.StatusBadRequest && json):
		e.Class, e.Detail = Auth, "the client id or secret was refused"
		if code != "" {
			e.Detail += fmt.Sprintf(" (%.40s)", code)
		}
	case s == http.StatusForbidden:
		e.Class, e.Detail = Auth, "access was refused; the clinic may allow certain IP addresses only"
	case s >= 200 && s < 300 && json:
		e.Class, e.Detail = Protocol, "the token answer cannot be read"
	default:
		e.Class, e.WrongBase = Destination, true
		e.Detail = fmt.Sprintf("the token address answers HTTP %d", s)
		if strings.Contains(seen.contentType, "html") {
			e.Detail += " with a web page"
		}
	}
	return e
}

// isClass reports whether err is an Error of a class.
func isClass(err error, c Class) bool {
	var e *Error
	return errors.As(err, &e) && e.Class == c
}
