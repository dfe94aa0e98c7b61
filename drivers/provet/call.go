package provet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	readAttempts = 3 // tries of a read inside one call, by default
	firstBackoff = 200 * time.Millisecond
	maxShortWait = 2 * time.Second // a Retry-After up to this is waited for inside a read
	defaultRetry = 10 * time.Second
)

// call is one request to the API.
type call struct {
	op     string
	res    string
	method string
	id     string // of one object; empty: the collection
	sub    string // below the object, such as "ward/3"
	query  url.Values
	flag   string // valueless query flag, such as expose_patients
	body   []byte
	weight int // of the budget; 0: 1
}

// writes reports whether the call changes something, and so is never repeated.
func (k *call) writes() bool {
	return k.method == http.MethodPatch || k.method == http.MethodPost || k.method == http.MethodDelete
}

func (k *call) kind() string {
	switch {
	case k.writes():
		return callWrite
	case k.id == "":
		return callList
	}
	return callGet
}

// url builds the address below the API root, always with a trailing slash.
func (c *Client) url(k *call) *url.URL {
	p := resources[k.res].path
	if k.id != "" {
		p += "/" + k.id
	}
	if k.sub != "" {
		p += "/" + k.sub
	}
	u := c.api.JoinPath(p + "/")
	u.RawQuery = k.query.Encode()
	if k.flag != "" {
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += k.flag
	}
	return u
}

// do makes a call. Reads are repeated a few times on 408, 5xx, broken
// connections and unreadable answers; writes never are, except once after a 401,
// which means that nothing was done.
func (c *Client) do(ctx context.Context, k *call) (any, error) {
	if k.id != "" && !validID(k.id) {
		return nil, &Error{Op: k.op, Resource: k.res, Class: Permanent, Detail: "the id is not one of Provet Cloud"}
	}
	attempts := c.cfg.Attempts
	if k.writes() {
		attempts = 1
	}
	backoff := firstBackoff
	for try := 1; ; try++ {
		v, err := c.authorized(ctx, k)
		var e *Error
		if err == nil || !errors.As(err, &e) || try >= attempts || ctx.Err() != nil {
			return v, err
		}
		wait := backoff/2 + rand.N(backoff)
		switch {
		case e.Op == opToken:
			return nil, err
		case errors.Is(e.Err, errTooLarge) || errors.Is(e.Err, errTooDeep) || errors.Is(e.Err, errTooMany):
			return nil, err // the next answer would be as bad
		case e.Class == Transient || e.Class == Protocol:
			wait = max(wait, min(e.RetryAfter, maxShortWait))
		case e.Class == RateLimited && e.HTTPStatus != 0 && e.RetryAfter <= maxShortWait:
			wait = max(wait, e.RetryAfter)
		default:
			return nil, err
		}
		if sleep(ctx, wait) != nil {
			return nil, err
		}
		backoff *= 4
	}
}

// authorized makes a call with a token, and once more with a new one after 401.
func (c *Client) authorized(ctx context.Context, k *call) (any, error) {
	for first := true; ; first = false {
		delay, err := c.budgets.wait(ctx, k.res, k.kind(), max(k.weight, 1))
		if err != nil {
			return nil, &Error{Op: k.op, Resource: k.res, Class: Transient, Err: err}
		}
		if delay > 0 {
			return nil, &Error{Op: k.op, Resource: k.res, Class: RateLimited, RetryAfter: delay, Detail: "our budget of calls is used up"}
		}
		token, err := c.tokens.get(ctx)
		if err != nil {
			return nil, err
		}
		v, err := c.once(ctx, k, token)
		var e *Error
		if errors.As(err, &e) && e.HTTPStatus == http.StatusUnauthorized {
			c.tokens.drop(ctx, token)
			if first {
				continue
			}
		}
		return v, err
	}
}

// once sends one request and reads its answer.
func (c *Client) once(ctx context.Context, k *call, token string) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	traced, connected := traceConnected(context.WithValue(ctx, tokenKey{}, token))
	var body io.Reader
	if k.body != nil {
		body = bytes.NewReader(k.body)
	}
	req, err := http.NewRequestWithContext(traced, k.method, c.url(k).String(), body)
	if err != nil {
		return nil, &Error{Op: k.op, Resource: k.res, Class: Permanent, Err: scrub(err)}
	}
	if k.body != nil {
		req.Header.Set("Content-Type", "application/json")
		req.GetBody = nil // nothing may send it a second time
	}
	sent := c.cfg.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.networkError(k, err, connected())
	}
	defer resp.Body.Close()
	c.noteDate(resp.Header, sent)
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, c.networkError(k, err, true)
	}
	return c.answer(k, resp, b)
}

func (c *Client) networkError(k *call, err error, connected bool) *Error {
	e := &Error{Op: k.op, Resource: k.res, Err: scrub(err)}
	var red *redirectError
	switch {
	case errors.As(err, &red):
		e.Class, e.WrongBase, e.Detail, e.Err = Destination, true, red.Error(), nil
	case errors.Is(err, errOutside):
		e.Class, e.WrongBase, e.Detail = Destination, true, errOutside.Error()
	case errors.Is(err, context.Canceled):
		e.Class, e.Detail = Transient, "cancelled"
		e.Unknown = connected && k.writes()
	default:
		e.Class, e.Detail = classifyNetwork(err, connected)
		e.Unknown = e.Class == Transient && k.writes()
	}
	return e
}

// answer classifies an answer and decodes a good one.
func (c *Client) answer(k *call, resp *http.Response, b []byte) (any, error) {
	e := &Error{Op: k.op, Resource: k.res, HTTPStatus: resp.StatusCode}
	write := k.writes()
	page := looksLikePage(resp.Header, b)
	switch s := resp.StatusCode; {
	case s == http.StatusNoContent:
		return nil, nil
	case s >= 200 && s < 300:
		if k.method != http.MethodOptions {
			c.notePermission(k.res, write, false)
		}
		return c.good(k, e, b, page)
	case s >= 300 && s < 400:
		e.Class, e.WrongBase, e.Detail = Destination, true, fmt.Sprintf("it redirects (HTTP %d)", s)
	case s == http.StatusUnauthorized:
		e.Class, e.Detail = Auth, "the access token was refused"
	case s == http.StatusForbidden:
		e.Class, e.Detail = Permission, detail(b)
		if page {
			e.Detail = "refused with a web page; the clinic may allow certain IP addresses only"
		}
		c.notePermission(k.res, write, k.method != http.MethodOptions)
	case s == http.StatusTooManyRequests:
		e.Class, e.RetryAfter = RateLimited, retryAfter(resp.Header, c.cfg.Now())
		if e.RetryAfter <= 0 {
			e.RetryAfter = defaultRetry
		}
		c.budgets.block(k.res, k.kind(), e.RetryAfter)
	case s == http.StatusRequestTimeout || s >= 500:
		e.Class, e.RetryAfter = Transient, retryAfter(resp.Header, c.cfg.Now())
		e.Unknown = write
	case (s == http.StatusNotFound || s == http.StatusGone) && !isObject(b):
		e.Class, e.WrongBase, e.Detail = Destination, true, fmt.Sprintf("it answers HTTP %d without the words of the API", s)
	default:
		e.Class, e.Detail = Permanent, detail(b)
		if s == http.StatusBadRequest {
			e.fields = fieldNames(b)
		}
	}
	return nil, e
}

// fieldNames returns the keys of a DRF error about fields.
func fieldNames(b []byte) []string {
	o, err := decodeObject(b)
	if err != nil || len(o) > maxRefs {
		return nil
	}
	return slices.Sorted(maps.Keys(o))
}

// good decodes the body of a 2xx answer.
func (c *Client) good(k *call, e *Error, b []byte, page bool) (any, error) {
	if page {
		e.Class, e.WrongBase, e.Detail = Destination, true, "it answers with a web page"
		return nil, e
	}
	if len(b) > maxBody {
		e.Class, e.Detail, e.Err = Protocol, errTooLarge.Error(), errTooLarge
		return nil, e
	}
	v, err := decode(b)
	if err != nil {
		e.Class, e.Detail, e.Err = Protocol, err.Error(), err
		e.Unknown = k.writes()
		return nil, e
	}
	return v, nil
}

// looksLikePage reports whether an answer is a web page and not JSON.
func looksLikePage(h http.Header, b []byte) bool {
	if strings.Contains(h.Get("Content-Type"), "json") {
		return false
	}
	return strings.Contains(h.Get("Content-Type"), "html") || bytes.HasPrefix(bytes.TrimSpace(b), []byte("<"))
}

func isObject(b []byte) bool {
	_, err := decodeObject(b)
	return err == nil
}

// detail takes the sentence of a DRF error, {"detail": ...} or field errors,
// without quoting anything else of the answer.
func detail(b []byte) string {
	const most = 200
	o, err := decodeObject(b)
	if err != nil {
		return ""
	}
	s, ok := o["detail"].(string)
	if !ok {
		var parts []string
		for k, v := range o {
			parts = append(parts, cleanLine(k)+": "+line(v))
			if len(parts) == 5 {
				break
			}
		}
		s = strings.Join(parts, "; ")
	}
	if s = cleanLine(s); len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}

// retryAfter reads Retry-After: seconds, or an HTTP date, which is compared
// with the Date of the same answer so that a wrong clock here does no harm.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if n, err := strconv.ParseFloat(v, 64); err == nil {
		if !(n > 0) {
			return 0
		}
		return time.Duration(min(n, maxRetryAfter.Seconds()) * float64(time.Second))
	}
	t, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	if d, err := http.ParseTime(h.Get("Date")); err == nil {
		now = d
	}
	return min(max(t.Sub(now), 0), maxRetryAfter)
}

// noteDate keeps the difference between Provet's clock and ours.
func (c *Client) noteDate(h http.Header, sent time.Time) {
	d, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	now := c.cfg.Now()
	mid := sent.Add(now.Sub(sent) / 2)
	// The header has whole seconds, cut off: on average it is half a second late.
	c.skew.Store(int64(d.Add(500 * time.Millisecond).Sub(mid)))
	c.skewSet.Store(true)
}

// ClockSkew returns how far Provet's clock is ahead of ours, from the Date
// header of the last answer; accurate to about a second. Zero before the first.
func (c *Client) ClockSkew() time.Duration { return time.Duration(c.skew.Load()) }

// get reads one object.
func (c *Client) get(ctx context.Context, res, id, flag string) (object, error) {
	return c.object(ctx, &call{op: opRead, res: res, method: http.MethodGet, id: id, flag: flag})
}

// object makes a call whose answer must be an object.
func (c *Client) object(ctx context.Context, k *call) (object, error) {
	v, err := c.do(ctx, k)
	if err != nil {
		return nil, err
	}
	o, ok := asObject(v)
	if !ok {
		return nil, &Error{Op: k.op, Resource: k.res, Class: Protocol, HTTPStatus: http.StatusOK, Detail: errNotObject.Error(), Err: errNotObject}
	}
	return o, nil
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return nil // maps of text and numbers always marshal
	}
	return b
}
