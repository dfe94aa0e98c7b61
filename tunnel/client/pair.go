package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// PairConfig configures [Pair]. RelayURL and Code must be set.
type PairConfig struct {
	RelayURL string
	Code     string // as printed or typed
	// InstanceID is this installation's; empty: a new one is made.
	InstanceID wire.InstanceID
	Version    string

	// As in [Config].
	ProxyURL, ProxyUser, ProxyPassword string
	RootCAs                            *x509.CertPool
	ExtraRoots                         []byte
	Now                                func() time.Time
	Dial                               func(ctx context.Context, network, address string) (net.Conn, error)
}

// Pair joins this installation to a relay: it makes new keys, hands in their public
// halves with the code, and returns what must be stored sealed. A code works once; when
// the answer is lost, another one is needed. Errors carry a problem.
func Pair(ctx context.Context, cfg PairConfig) (Credentials, []wire.InboundURL, error) {
	code, err := wire.NormalizeCode(cfg.Code)
	if err != nil {
		return Credentials{}, nil, pairingFailed(cfg.RelayURL, "a code has twelve letters, like BCDF-GHJK-LMNP", err)
	}
	t, err := parseTarget(cfg.RelayURL)
	if err != nil {
		return Credentials{}, nil, problem.New(problem.RelayUnreachable, problem.Args{"relay": cfg.RelayURL, "reason": err.Error()}, err)
	}
	identity, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return Credentials{}, nil, fmt.Errorf("client: %w", err)
	}
	priv, pub, keyID, err := wire.NewSealingKey()
	if err != nil {
		return Credentials{}, nil, err
	}
	if cfg.InstanceID == "" {
		cfg.InstanceID = wire.InstanceID(wire.NewID())
	}
	body, err := json.Marshal(wire.PairRequest{Code: code, Identity: identity, Sealing: pub, InstanceID: cfg.InstanceID, Version: cfg.Version})
	if err != nil {
		return Credentials{}, nil, fmt.Errorf("client: %w", err)
	}
	a, err := postPairing(ctx, &cfg, t, body)
	if err != nil {
		return Credentials{}, nil, err
	}
	if a.MinProtocol > wire.MaxVersion || a.MaxProtocol < wire.MinVersion {
		return Credentials{}, nil, problem.New(problem.TunnelVersion, problem.Args{"relay": t.host}, nil)
	}
	cr := Credentials{
		ClinicID: a.ClinicID, Token: a.Token, Identity: private, InstanceID: cfg.InstanceID,
		SealingKeys: map[string][]byte{keyID: priv}, SealingKeyID: keyID,
	}
	return cr, a.URLs, nil
}

func postPairing(ctx context.Context, cfg *PairConfig, t target, body []byte) (wire.PairAnswer, error) {
	unreachable := func(err error) error {
		if p := problem.Of(err); p != nil {
			return p
		}
		return problem.New(problem.RelayUnreachable, problem.Args{"relay": t.host, "reason": err.Error()}, err)
	}
	d, err := newDialer(&Config{
		ProxyURL: cfg.ProxyURL, ProxyUser: cfg.ProxyUser, ProxyPassword: cfg.ProxyPassword,
		RootCAs: cfg.RootCAs, ExtraRoots: cfg.ExtraRoots, Version: cfg.Version, Now: cfg.Now, Dial: cfg.Dial,
	}, t)
	if err != nil {
		return wire.PairAnswer{}, unreachable(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 4*wire.HandshakeTimeout)
	defer cancel()
	resp, err := d.request(ctx, t, http.MethodPost, wire.PairPath, body, wire.MaxPair)
	if err != nil {
		return wire.PairAnswer{}, unreachable(err)
	}
	if resp.header.Get(wire.HeaderRelay) == "" {
		return wire.PairAnswer{}, unreachable(refusal(StepUpgrade, t.host, resp))
	}
	switch resp.status {
	case http.StatusOK:
		a, err := wire.DecodePairAnswer(resp.body)
		if err != nil {
			return wire.PairAnswer{}, unreachable(err)
		}
		return a, nil
	case http.StatusNotFound:
		return wire.PairAnswer{}, pairingFailed(t.host, "it is wrong, used or no longer valid", nil)
	case http.StatusTooManyRequests:
		return wire.PairAnswer{}, pairingFailed(t.host, "there were too many tries; wait an hour", nil)
	case http.StatusUpgradeRequired:
		return wire.PairAnswer{}, problem.New(problem.TunnelVersion, problem.Args{"relay": t.host}, nil)
	default:
		return wire.PairAnswer{}, pairingFailed(t.host, fmt.Sprintf("it answered with status %d", resp.status), nil)
	}
}

func pairingFailed(relay, reason string, err error) error {
	return problem.New(problem.TunnelPairing, problem.Args{"relay": relay, "reason": reason}, err)
}

// request makes one HTTP request to t on a connection of its own.
func (d *dialer) request(ctx context.Context, t target, method, path string, body []byte, maxAnswer int64) (answer, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return d.open(ctx, t) }
	hc := &http.Client{
		Transport: &http.Transport{
			DialContext: dial, DialTLSContext: dial, MaxResponseHeaderBytes: maxUpgrade,
			DisableKeepAlives: true, DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, method, t.url("http", path), bytes.NewReader(body))
	if err != nil {
		return answer{}, fmt.Errorf("client: %w", err)
	}
	req.Header.Set("User-Agent", d.userAgent)
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := hc.Do(req)
	if err != nil {
		var e *Error
		if errors.As(err, &e) {
			return answer{}, e
		}
		return answer{}, failed(StepUpgrade, fmt.Errorf("%s does not answer: %w", t.host, withoutURL(err)))
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{}, failed(StepUpgrade, fmt.Errorf("the answer of %s breaks off: %w", t.host, err))
	}
	return answer{resp.StatusCode, resp.Header, b}, nil
}

// withoutURL returns what net/http found without the address it quotes: that of a
// webhook is a secret.
func withoutURL(err error) error {
	var quoted *url.Error
	if errors.As(err, &quoted) {
		return quoted.Err
	}
	return err
}
