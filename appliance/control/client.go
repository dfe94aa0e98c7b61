package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
	"github.com/rayhound/rayhound/ui"
)

// maxAnswer bounds an answer of the service.
const maxAnswer = 64 << 20

// Client talks to the running service.
type Client struct {
	address string
	token   secret.Secret
	command string
	http    *http.Client
}

// Dial returns a client for the service that listens on address (the first of
// page.listen) and keeps its token in dir. It does not connect yet. command
// names the command for the service's audit line.
func Dial(address, dir, command string) (*Client, error) {
	token, err := ReadToken(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, problem.New(problem.ServiceStopped, problem.Args{"address": address}, err)
	}
	if err != nil {
		return nil, err
	}
	return NewClient(address, token, command), nil
}

// NewClient is Dial with a token that is known already.
func NewClient(address string, token secret.Secret, command string) *Client {
	transport := &http.Transport{ // no proxy: it is this computer
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		ResponseHeaderTimeout: 11 * time.Minute,
		DisableKeepAlives:     true,
	}
	return &Client{
		address: address, token: token, command: command,
		http: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// do sends a request and returns the answer's body, which the caller closes.
// Refusals are *problem.Error.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, in any) (io.ReadCloser, error) {
	var payload io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("control: %w", err)
		}
		payload = bytes.NewReader(b)
	}
	u := url.URL{Scheme: "http", Host: c.address, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), payload)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	req.URL.Path, req.URL.RawPath = unescaped(path), path
	req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	req.Header.Set(ui.CommandHeader, c.command)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("control: %w", ctx.Err())
		}
		return nil, problem.New(problem.ServiceStopped, problem.Args{"address": c.address}, errors.Unwrap(err))
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	return nil, c.refusal(resp)
}

// refusal turns an answer into the problem that the service names.
func (c *Client) refusal(resp *http.Response) error {
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		return problem.New(problem.ServiceDenied, problem.Args{"what": "The control token of the service"},
			fmt.Errorf("control: the service answered %d", resp.StatusCode))
	}
	var e ui.Error
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil || json.Unmarshal(b, &e) != nil || e.Code == "" {
		return problem.New(problem.ServiceStopped, problem.Args{"address": c.address},
			fmt.Errorf("control: another program answers there (%d)", resp.StatusCode))
	}
	return &Refusal{Body: e}
}

// Refusal is a problem as the service worded it.
type Refusal struct{ Body ui.Error }

// Error returns the sentence.
func (r *Refusal) Error() string { return r.Body.Text }

// call sends a request and reads the JSON answer into out, nil for none.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	body, err := c.do(ctx, method, path, query, in)
	if err != nil {
		return err
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, maxAnswer))
	if err != nil {
		return problem.New(problem.ServiceStopped, problem.Args{"address": c.address}, err)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return problem.New(problem.ServiceStopped, problem.Args{"address": c.address}, fmt.Errorf("control: answer: %w", err))
	}
	return nil
}

func get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	var out T
	err := c.call(ctx, http.MethodGet, path, query, nil, &out)
	return out, err
}

func post[T any](ctx context.Context, c *Client, path string, in any) (T, error) {
	var out T
	if in == nil {
		in = struct{}{}
	}
	err := c.call(ctx, http.MethodPost, path, nil, in, &out)
	return out, err
}

// nothing is an answer without content.
type nothing struct{}

// unescaped returns the path that an escaped one stands for.
func unescaped(path string) string {
	if s, err := url.PathUnescape(path); err == nil {
		return s
	}
	return path
}
