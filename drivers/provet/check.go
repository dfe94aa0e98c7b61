package provet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
)

// Check is one step of a connection test.
type Check struct {
	Name    string // stable: "dns", "tcp", "tls", "token", "permission worklist" ..., "read", "clock"
	OK      bool
	Skipped bool   // an earlier step failed, or there is nothing to test
	Detail  string // for people; no personal data
	Problem *problem.Error
	Took    time.Duration
}

// maxSkew is how far the clocks may differ.
const maxSkew = 2 * time.Minute

// tokenNeeded lists the resources whose permission Check tests, the essential first.
var tokenNeeded = []string{
	resWorklist, resReferral, resConsultation, resClient, resPatient,
	resModality, resTargetArea, resUser, resDepartment, resAppointment,
}

// Check tests the connection step by step: name, connection, TLS, token, each
// permission, one real read, clock. When a step that the rest needs fails, the
// rest is marked Skipped; the first failing step is the one to act on.
func (c *Client) Check(ctx context.Context) []Check {
	r := &checkRun{c: c}
	host, through := c.firstHop()
	r.step("dns", true, func() (string, error) { return c.checkDNS(ctx, host, through) })
	r.step("tcp", true, func() (string, error) { return c.checkTCP(ctx, host, through) })
	r.step("tls", true, func() (string, error) { return c.checkTLS(ctx, through) })
	r.step("token", true, func() (string, error) {
		_, err := c.tokens.get(ctx)
		return "the client id and secret are accepted", err
	})
	for _, res := range tokenNeeded {
		r.step("permission "+res, res == resWorklist, func() (string, error) {
			_, err := c.pageOf(ctx, res, 1, 1, nil)
			return permissionOf(res), err
		})
	}
	r.writePermission(ctx)
	r.step("read", false, func() (string, error) { return c.checkRead(ctx) })
	r.step("clock", false, c.checkClock)
	return r.out
}

type checkRun struct {
	c    *Client
	out  []Check
	stop bool
}

// step runs a test. A failure of one that is essential skips all that follow.
func (r *checkRun) step(name string, essential bool, f func() (string, error)) {
	if r.stop {
		r.out = append(r.out, Check{Name: name, Skipped: true})
		return
	}
	start := time.Now()
	detail, err := f()
	ch := Check{Name: name, OK: err == nil, Detail: detail, Took: time.Since(start)}
	if err != nil {
		ch.Problem = problemOf(err)
		ch.Detail = ch.Problem.Sentence()
		r.stop = essential
	}
	r.out = append(r.out, ch)
}

// writePermission tells from the metadata of an order whether its status may be
// written; Django REST Framework shows actions only to those who may act.
func (r *checkRun) writePermission(ctx context.Context) {
	const name = "permission worklist write"
	if r.stop {
		r.out = append(r.out, Check{Name: name, Skipped: true})
		return
	}
	start := time.Now()
	ch := Check{Name: name, Skipped: true, Detail: "the metadata does not tell; the first status written will"}
	p, err := r.c.page(ctx, 1, 1, nil)
	if err == nil && len(p.rows) > 0 {
		if row, ok := r.c.row(p.rows[0]); ok {
			var rep Report
			if seen, err := r.c.metadata(ctx, resWorklist, row.ID, &rep); err == nil && len(seen) > 0 {
				ch.OK, ch.Skipped, ch.Detail = true, false, permissionOf(resWorklist)
			}
		}
	}
	ch.Took = time.Since(start)
	r.out = append(r.out, ch)
}

// problemOf returns the problem of any error of this package.
func problemOf(err error) *problem.Error {
	if p := problem.Of(err); p != nil {
		return p
	}
	if e, ok := asError(err); ok {
		return e.Problem()
	}
	return problem.New(problem.ProvetUnreachable, problem.Args{"reason": "the check was ended"}, err)
}

// firstHop returns host:port of what is dialled: the proxy if there is one, else
// Provet Cloud.
func (c *Client) firstHop() (hostPort, through string) {
	if t, ok := c.transport.next.(*http.Transport); ok && t.Proxy != nil {
		if p, err := t.Proxy(&http.Request{URL: c.api}); err == nil && p != nil {
			return net.JoinHostPort(p.Hostname(), proxyPort(p)), "proxy "
		}
	}
	return net.JoinHostPort(c.api.Hostname(), port(c.api)), ""
}

func proxyPort(p *url.URL) string {
	if s := p.Port(); s != "" {
		return s
	}
	switch p.Scheme {
	case "https":
		return "443"
	case "socks5":
		return "1080"
	}
	return "80"
}

func (c *Client) checkDNS(ctx context.Context, hostPort, through string) (string, error) {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		return "", c.reach("the address is not readable", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return "", c.reach(fmt.Sprintf("the name %s%s cannot be resolved", through, host), err)
	}
	return fmt.Sprintf("%s%s is %s", through, host, addrs[0]), nil
}

func (c *Client) checkTCP(ctx context.Context, hostPort, through string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", hostPort)
	if err != nil {
		return "", c.reach(fmt.Sprintf("no connection to %s%s", through, hostPort), err)
	}
	_ = conn.Close()
	return fmt.Sprintf("%s%s accepts connections", through, hostPort), nil
}

// checkTLS names the issuer of the certificate, which tells an inspecting proxy
// from the real thing.
func (c *Client) checkTLS(ctx context.Context, through string) (string, error) {
	if c.base.Scheme == "http" {
		return "plain http on this computer", nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, c.base.String()+"/", nil)
	if err != nil {
		return "", c.reach("the address is not readable", scrub(err))
	}
	resp, err := c.transport.next.RoundTrip(req) // without a token
	if err != nil {
		_, reason := classifyNetwork(err, false)
		if issuer := issuerOf(ctx, c, through); issuer != "" {
			reason += " (issued by " + issuer + ")"
		}
		return "", c.reach(reason, scrub(err))
	}
	_ = resp.Body.Close()
	c.noteDate(resp.Header, c.cfg.Now())
	if resp.TLS == nil || len(resp.TLS.PeerCertificates) == 0 {
		return "the connection is encrypted", nil
	}
	cert := resp.TLS.PeerCertificates[0]
	days := int(cert.NotAfter.Sub(c.cfg.Now()).Hours() / 24)
	return fmt.Sprintf("%s, issued by %s, %d days left", tls.VersionName(resp.TLS.Version), issuerName(cert), days), nil
}

// issuerOf connects once more, without verification and without sending
// anything, only to name who signed a certificate that was not accepted.
func issuerOf(ctx context.Context, c *Client, through string) string {
	if through != "" {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	d := &tls.Dialer{Config: &tls.Config{
		ServerName: c.api.Hostname(), MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, //nolint:gosec // to name the issuer; nothing is sent
	}}
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(c.api.Hostname(), port(c.api)))
	if err != nil {
		return ""
	}
	defer conn.Close()
	tc, ok := conn.(*tls.Conn)
	if !ok || len(tc.ConnectionState().PeerCertificates) == 0 {
		return ""
	}
	return issuerName(tc.ConnectionState().PeerCertificates[0])
}

func issuerName(cert *x509.Certificate) string {
	name := cert.Issuer.CommonName
	if len(cert.Issuer.Organization) > 0 {
		name = cert.Issuer.Organization[0] + " " + name
	}
	return fmt.Sprintf("%.120s", cleanLine(name))
}

// checkRead reads one order whole, as far as one exists.
func (c *Client) checkRead(ctx context.Context) (string, error) {
	p, err := c.page(ctx, 1, 1, nil)
	if err != nil {
		return "", err
	}
	if len(p.rows) == 0 {
		return "there is no imaging order yet", nil
	}
	r, ok := c.row(p.rows[0])
	if !ok {
		return "", &Error{Op: opRead, Resource: resWorklist, Class: Protocol, Detail: "an order has no id"}
	}
	for _, need := range neededFields {
		if _, _, ok := c.fields.find(resWorklist, need, p.rows[0]); !ok {
			return "", &Error{Op: opRead, Resource: resWorklist, Class: Permanent, Err: c.fields.fieldError(resWorklist, need, p.rows[0])}
		}
	}
	up, err := c.Order(ctx, r.ID)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("order %s was read, %d details are missing", r.ID, len(up.Content.Missing)), nil
}

func (c *Client) checkClock() (string, error) {
	if !c.skewSet.Load() {
		return "Provet Cloud states no time", nil
	}
	skew := c.ClockSkew()
	if skew.Abs() > maxSkew {
		return "", problem.New(problem.ClockSkew, problem.Args{"skew": skew.Abs().Round(time.Second).String()}, nil)
	}
	return "within " + max(skew.Abs().Round(time.Second), time.Second).String() + " of Provet Cloud's", nil
}

// reach is RH-102 with a reason.
func (c *Client) reach(reason string, err error) error {
	return &Error{Op: "check", Resource: "connection", Class: Destination, Detail: reason, Err: err}
}
