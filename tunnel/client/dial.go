package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// dialer makes connections to the relay, step by step.
type dialer struct {
	proxy     *proxy
	roots     *x509.CertPool
	userAgent string
	now       func() time.Time
	step      time.Duration // the time each step has
	dial      func(ctx context.Context, network, address string) (net.Conn, error)
	// done hears of every step that worked; may be nil.
	done func(step StepName, detail string)
}

func newDialer(cfg *Config, t target) (*dialer, error) {
	p, err := findProxy(cfg, t)
	if err != nil {
		return nil, err
	}
	roots := cfg.RootCAs
	if len(cfg.ExtraRoots) > 0 {
		if roots == nil {
			if roots, err = x509.SystemCertPool(); err != nil {
				roots = x509.NewCertPool()
			}
		} else {
			roots = roots.Clone()
		}
		if !roots.AppendCertsFromPEM(cfg.ExtraRoots) {
			return nil, errors.New("client: the file of further roots holds no certificate")
		}
	}
	d := &dialer{proxy: p, roots: roots, userAgent: userAgent(cfg.Version), now: cfg.Now, step: wire.HandshakeTimeout, dial: cfg.Dial}
	if d.now == nil {
		d.now = time.Now
	}
	if d.dial == nil {
		d.dial = (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext
	}
	return d, nil
}

func userAgent(version string) string {
	if wire.ValidID(version) {
		return "Rayhound/" + version
	}
	return "Rayhound"
}

// hearing is d with another hearer of its steps.
func (d *dialer) hearing(done func(StepName, string)) *dialer {
	e := *d
	e.done = done
	return &e
}

func (d *dialer) did(step StepName, detail string) {
	if d.done != nil {
		d.done(step, detail)
	}
}

// open connects to t and returns a connection that speaks HTTP: through the proxy and
// behind TLS where there is one.
func (d *dialer) open(ctx context.Context, t target) (net.Conn, error) {
	var conn net.Conn
	var err error
	if d.proxy != nil {
		conn, err = d.viaProxy(ctx, d.proxy, t.address())
	} else {
		conn, err = d.tcp(ctx, t.host, t.port)
	}
	if err != nil || !t.tls {
		return conn, err
	}
	tc := tls.Client(conn, &tls.Config{RootCAs: d.roots, ServerName: t.host, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, Time: d.now})
	if err := handshake(ctx, tc, d.step); err != nil {
		conn.Close()
		return nil, d.tlsFailed(t.host, err)
	}
	detail := tls.VersionName(tc.ConnectionState().Version)
	if certs := tc.ConnectionState().PeerCertificates; len(certs) > 0 {
		detail += ", certificate until " + certs[0].NotAfter.UTC().Format(time.DateOnly)
	}
	d.did(StepTLS, detail)
	return tc, nil
}

// tcp connects to host and port.
func (d *dialer) tcp(ctx context.Context, host, port string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.step)
	defer cancel()
	conn, err := d.dial(ctx, "tcp", net.JoinHostPort(host, port))
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return nil, failed(StepLookup, fmt.Errorf("the name %s cannot be found: %w", host, err))
	case err != nil:
		d.did(StepLookup, host)
		return nil, failed(StepTCP, fmt.Errorf("%s does not answer: %w", net.JoinHostPort(host, port), err))
	}
	d.did(StepLookup, host)
	d.did(StepTCP, conn.RemoteAddr().String())
	return conn, nil
}

// guarded does f under a deadline on conn that ctx can bring forward.
func guarded[T any](ctx context.Context, conn net.Conn, limit time.Duration, f func() (T, error)) (T, error) {
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		var zero T
		return zero, fmt.Errorf("client: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	v, err := f()
	if !stop() && err == nil {
		return v, fmt.Errorf("client: %w", context.Cause(ctx))
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	return v, err
}

func handshake(ctx context.Context, tc *tls.Conn, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return tc.HandshakeContext(ctx)
}

// tlsFailed says in words why TLS with host failed. What may be the clock's fault
// says so first.
func (d *dialer) tlsFailed(host string, err error) *Error {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		now := d.now()
		if now.Before(invalid.Cert.NotBefore) {
			return clock(host, "at least "+invalid.Cert.NotBefore.Sub(now).Round(time.Second).String(),
				fmt.Errorf("check the clock of this computer: it shows %s, and the certificate of %s is not yet valid: %w",
					now.UTC().Format(time.RFC3339), host, err))
		}
		return clock(host, "perhaps "+now.Sub(invalid.Cert.NotAfter).Round(time.Second).String(),
			fmt.Errorf("check the clock of this computer: it shows %s, and the certificate of %s has expired: %w",
				now.UTC().Format(time.RFC3339), host, err))
	case errors.As(err, &unknown):
		return failed(StepTLS, fmt.Errorf("the certificate of %s comes from nobody this computer trusts; when a proxy inspects connections, add its root: %w", host, err))
	case errors.As(err, &name):
		return failed(StepTLS, fmt.Errorf("the certificate is not for %s; a login portal or a wrong address: %w", host, err))
	case errors.As(err, &record):
		return failed(StepTLS, fmt.Errorf("%s does not speak TLS; a login portal or a wrong port: %w", host, err))
	case errors.Is(err, context.DeadlineExceeded):
		return failed(StepTLS, fmt.Errorf("%s does not finish TLS: %w", host, err))
	default:
		return failed(StepTLS, fmt.Errorf("TLS with %s: %w", host, err))
	}
}
