package dimse

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/ul"
	"github.com/rayhound/rayhound/drivers/dicom/ul/pdu"
)

// ProposedContext is an abstract syntax a client wants to use.
type ProposedContext struct {
	AbstractSyntax string
	// TransferSyntaxes in order of preference; empty: Explicit, then Implicit
	// VR Little Endian.
	TransferSyntaxes []string
}

// Transfer syntaxes (PS3.5 10).
const (
	ImplicitVRLittleEndian = "1.2.840.10008.1.2"
	ExplicitVRLittleEndian = "1.2.840.10008.1.2.1"
)

// Timeouts of a client; zero fields mean the default.
type Timeouts struct {
	Connect   time.Duration // TCP and TLS; 5 s
	Associate time.Duration // the answer to A-ASSOCIATE-RQ; 15 s
	Response  time.Duration // each response; 60 s
	Release   time.Duration // the answer to A-RELEASE-RQ; 5 s
}

func (t Timeouts) withDefaults() Timeouts {
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{
		{&t.Connect, 5 * time.Second},
		{&t.Associate, 15 * time.Second},
		{&t.Response, 60 * time.Second},
		{&t.Release, 5 * time.Second},
	} {
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	return t
}

// ClientConfig says whom to call, and as whom.
type ClientConfig struct {
	Address                       string // host:port
	CallingAETitle, CalledAETitle string // 1 to 16 characters
	Contexts                      []ProposedContext
	MaxPDU                        int // longest P-DATA-TF body we accept and send, bytes; 0: 65,536
	Timeouts                      Timeouts
	TLS                           *tls.Config // nil: plain TCP
	MaxDataSet                    int         // longest data set we take, bytes; 0: 8 MiB
	// Dial replaces the TCP connection, if set.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// Trace is called with every run of bytes received or sent, if set; it must not keep b.
	Trace func(sent bool, b []byte)
}

// Dial connects and associates. The error is *ConnectError, *RejectedError,
// *AbortedError or *StepError.
func Dial(ctx context.Context, cfg ClientConfig) (*Client, error) {
	cfg.Timeouts = cfg.Timeouts.withDefaults()
	if cfg.MaxDataSet == 0 {
		cfg.MaxDataSet = 8 << 20
	}
	contexts, err := cfg.contexts()
	if err != nil {
		return nil, &StepError{StepAssociate, err}
	}
	conn, err := cfg.connect(ctx)
	if err != nil {
		return nil, &ConnectError{cfg.Address, err}
	}
	q := ul.Requestor{
		CallingAETitle: cfg.CallingAETitle, CalledAETitle: cfg.CalledAETitle, Contexts: contexts,
		Limits: ul.Limits{MaxPDU: cfg.MaxPDU}, Trace: cfg.Trace,
	}
	var stop func() bool
	a, err := q.Request(conn, earlier(ctx, cfg.Timeouts.Associate), func(a *ul.Association) { stop = watch(ctx, a) })
	stop()
	if err != nil {
		return nil, stepError(StepAssociate, err)
	}
	return &Client{cfg: cfg, assoc: a}, nil
}

// watch interrupts the association when ctx ends.
func watch(ctx context.Context, a *ul.Association) (stop func() bool) {
	if ctx.Done() == nil {
		return func() bool { return true }
	}
	return context.AfterFunc(ctx, func() { a.Interrupt(context.Cause(ctx)) })
}

// earlier returns the end of limit, or of ctx if that comes first.
func earlier(ctx context.Context, limit time.Duration) time.Time {
	t := time.Now().Add(limit)
	if d, ok := ctx.Deadline(); ok && d.Before(t) {
		return d
	}
	return t
}

func (cfg *ClientConfig) contexts() ([]pdu.ProposedContext, error) {
	if len(cfg.Contexts) == 0 || len(cfg.Contexts) > pdu.MaxContexts {
		return nil, fmt.Errorf("dimse: %d presentation contexts", len(cfg.Contexts))
	}
	for _, title := range []string{cfg.CallingAETitle, cfg.CalledAETitle} {
		if title == "" || len(title) > 16 {
			return nil, errors.New("dimse: an AE title must have 1 to 16 characters")
		}
	}
	contexts := make([]pdu.ProposedContext, len(cfg.Contexts))
	for i, c := range cfg.Contexts {
		contexts[i] = pdu.ProposedContext{AbstractSyntax: c.AbstractSyntax, TransferSyntaxes: c.TransferSyntaxes}
		if len(c.TransferSyntaxes) == 0 {
			contexts[i].TransferSyntaxes = []string{ExplicitVRLittleEndian, ImplicitVRLittleEndian}
		}
	}
	return contexts, nil
}

func (cfg *ClientConfig) connect(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeouts.Connect)
	defer cancel()
	dial := cfg.Dial
	if dial == nil {
		d := net.Dialer{KeepAlive: -1} // our own time limits are shorter
		dial = func(ctx context.Context, address string) (net.Conn, error) { return d.DialContext(ctx, "tcp", address) }
	}
	conn, err := dial(ctx, cfg.Address)
	if err != nil || cfg.TLS == nil {
		return conn, err
	}
	tc := cfg.TLS
	if tc.ServerName == "" && !tc.InsecureSkipVerify {
		host, _, _ := net.SplitHostPort(cfg.Address)
		tc = tc.Clone()
		tc.ServerName = host
	}
	secure := tls.Client(conn, tc)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return secure, nil
}
