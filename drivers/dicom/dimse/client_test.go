package dimse

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dicomtest"
	"github.com/rayhound/rayhound/drivers/dicom/ul"
	"github.com/rayhound/rayhound/drivers/dicom/ul/pdu"
)

// scripted returns the configuration of a client whose peer is a script that
// runs until it returns.
func scripted(t *testing.T, script func(p *dicomtest.ScriptedPeer)) ClientConfig {
	t.Helper()
	cfg := clientConfig("pipe")
	cfg.Dial = func(context.Context, string) (net.Conn, error) {
		a, b := net.Pipe()
		p := dicomtest.NewPeer(t, b)
		go func() {
			defer b.Close() // a pipe
			script(p)
		}()
		return a, nil
	}
	return cfg
}

// accept answers a request with every context accepted.
func accept(p *dicomtest.ScriptedPeer) {
	_, body, err := p.Receive()
	var rq pdu.AssociateRQ
	if err != nil || rq.Decode(body) != nil {
		return
	}
	ac := &pdu.AssociateAC{ProtocolVersion: 1, Titles: rq.Titles, ApplicationContext: rq.ApplicationContext}
	for _, c := range rq.Contexts {
		ac.Contexts = append(ac.Contexts, pdu.ContextResult{ID: c.ID, TransferSyntax: c.TransferSyntaxes[0]})
	}
	p.Send(ac)
}

func TestDialFailures(t *testing.T) {
	tests := []struct {
		name   string
		script func(p *dicomtest.ScriptedPeer)
		check  func(err error) bool
		after  time.Duration
	}{
		{"rejected", func(p *dicomtest.ScriptedPeer) {
			_, _, _ = p.Receive()
			p.Send(pdu.AssociateRJ{Result: 1, Source: 1, Reason: 7})
		}, func(err error) bool {
			var r *RejectedError
			return errors.As(err, &r) && r.Reject == ul.RejectCalledAETitle &&
				err.Error() == "ul: association rejected: permanent, called AE title not recognized (result 1, source 1, reason 7)"
		}, 0},
		{"aborted", func(p *dicomtest.ScriptedPeer) {
			_, _, _ = p.Receive()
			p.Send(pdu.Abort{Source: 2, Reason: 1})
		}, func(err error) bool {
			var a *AbortedError
			return errors.As(err, &a) && a.ByPeer && a.Step == StepAssociate && a.Source == 2 && a.Reason == 1
		}, 0},
		{"closed", func(p *dicomtest.ScriptedPeer) { _, _, _ = p.Receive() }, func(err error) bool {
			var s *StepError
			return errors.As(err, &s) && s.Step == StepAssociate && errors.Is(err, ul.ErrLost)
		}, 0},
		{"silent", func(p *dicomtest.ScriptedPeer) { p.Drain() }, func(err error) bool {
			var s *StepError
			return errors.As(err, &s) && s.Step == StepAssociate && errors.Is(err, ul.ErrTimeout)
		}, 15 * time.Second},
		{"nonsense", func(p *dicomtest.ScriptedPeer) {
			_, _, _ = p.Receive()
			p.SendBytes([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			p.Drain()
		}, func(err error) bool {
			var a *AbortedError
			return errors.As(err, &a) && !a.ByPeer && a.Source == 2 && a.Reason == 1
		}, 0},
		{"a transfer syntax nobody offered", func(p *dicomtest.ScriptedPeer) {
			_, _, _ = p.Receive()
			p.Send(&pdu.AssociateAC{ProtocolVersion: 1, Contexts: []pdu.ContextResult{{ID: 1, TransferSyntax: "1.2.3"}}})
			p.Drain()
		}, func(err error) bool {
			var a *AbortedError
			return errors.As(err, &a) && a.Reason == pdu.AbortInvalidValue
		}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				_, err := Dial(t.Context(), scripted(t, tt.script))
				if err == nil || !tt.check(err) {
					t.Errorf("%T %v", err, err)
				}
				if d := time.Since(start); d != tt.after {
					t.Error(d)
				}
			})
		})
	}
}

func TestConnectError(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	_, err = Dial(t.Context(), clientConfig(ln.Addr().String()))
	var ce *ConnectError
	if !errors.As(err, &ce) || ce.Address != ln.Addr().String() {
		t.Error(err)
	}
}

func TestResponseTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := Dial(t.Context(), scripted(t, func(p *dicomtest.ScriptedPeer) {
			accept(p)
			p.Drain()
		}))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		err = c.Echo(t.Context())
		var s *StepError
		if !errors.As(err, &s) || s.Step != StepEcho || !errors.Is(err, ul.ErrTimeout) || time.Since(start) != 60*time.Second {
			t.Error(err, time.Since(start))
		}
		if err := c.Echo(t.Context()); !errors.Is(err, ul.ErrEnded) {
			t.Error(err)
		}
	})
}

func TestContextEndsAnOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := Dial(t.Context(), scripted(t, func(p *dicomtest.ScriptedPeer) {
			accept(p)
			p.Drain()
		}))
		if err != nil {
			t.Fatal(err)
		}
		why := errors.New("the user left")
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			time.Sleep(time.Second)
			cancel(why)
		}()
		start := time.Now()
		if err := c.Echo(ctx); !errors.Is(err, why) || time.Since(start) != time.Second {
			t.Error(err, time.Since(start))
		}
	})
}

func TestReleaseTimeoutAndCollision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := Dial(t.Context(), scripted(t, func(p *dicomtest.ScriptedPeer) {
			accept(p)
			p.Drain()
		}))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := c.Release(t.Context()); !errors.Is(err, ul.ErrTimeout) || time.Since(start) != 5*time.Second {
			t.Error(err, time.Since(start))
		}
	})
	// D20: both ask at the same time. We asked for the association, so we answer first (PS3.8 7.2.2).
	synctest.Test(t, func(t *testing.T) {
		done := make(chan struct{})
		c, err := Dial(t.Context(), scripted(t, func(p *dicomtest.ScriptedPeer) {
			defer close(done)
			accept(p)
			p.Expect(pdu.TypeReleaseRQ)
			p.Send(pdu.ReleaseRQ{})
			p.Expect(pdu.TypeReleaseRP)
			p.Send(pdu.ReleaseRP{})
		}))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Release(t.Context()); err != nil {
			t.Error(err)
		}
		<-done
	})
}

func TestBreakSendsCancel(t *testing.T) {
	begun, ended := make(chan struct{}, 1), make(chan error, 1)
	_, addr := startServer(t, ServerConfig{Services: map[string]any{mwlClass: waiting(begun, ended)}})
	c := dial(t, addr)
	for _, err := range c.Find(t.Context(), mwlClass, nil) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	<-begun
	if err := <-ended; !errors.Is(err, ErrCancelled) {
		t.Error(err)
	}
	if err := c.Echo(t.Context()); err != nil {
		t.Error(err)
	}
	release(t, c)
}

func TestUnexpectedResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		aborted := make(chan struct{})
		c, err := Dial(t.Context(), scripted(t, func(p *dicomtest.ScriptedPeer) {
			defer close(aborted)
			accept(p)
			id, _, part := p.ExpectPart()
			var rq Command
			_ = rq.Decode(part)
			rq.MessageID++
			rsp := rq.response(Success)
			p.Send(dicomtest.Message(id, rsp.AppendTo(nil), nil))
			p.ExpectAbort(2, 6)
		}))
		if err != nil {
			t.Fatal(err)
		}
		var a *AbortedError
		if err := c.Echo(t.Context()); !errors.As(err, &a) || a.Step != StepEcho || a.ByPeer {
			t.Error(err)
		}
		<-aborted
	})
}

func TestNotAccepted(t *testing.T) {
	_, addr := startServer(t, ServerConfig{})
	c := dial(t, addr)
	if _, err := c.Create(t.Context(), mppsClass, "", nil); !errors.Is(err, ErrNotAccepted) {
		t.Error(err)
	}
	for _, err := range c.Find(t.Context(), mwlClass, nil) {
		if !errors.Is(err, ErrNotAccepted) {
			t.Error(err)
		}
	}
	if c.TransferSyntax(mwlClass) != "" || c.TransferSyntax(VerificationSOPClassUID) != ImplicitVRLittleEndian {
		t.Error(c.Contexts())
	}
	if p := c.Peer(); p.ImplementationClassUID != ul.ImplementationClassUID || p.ImplementationVersion != ul.ImplementationVersionName {
		t.Error(p)
	}
	if err := c.Abort(); err != nil {
		t.Error(err)
	}
	if err := c.Echo(t.Context()); err == nil {
		t.Error("answered")
	}
}

func TestTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	peers := make(chan Peer, 1)
	s := NewServer(ServerConfig{
		Services: map[string]any{mwlClass: matches(1000)}, OnEnd: func(p Peer, _ AssociationSummary) { peers <- p },
	})
	go func() { done <- s.Serve(ctx, ln) }()
	cfg := clientConfig(ln.Addr().String())
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	cfg.TLS = &tls.Config{RootCAs: pool}
	c, err := Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if n := findAll(t, c); n != 1000 {
		t.Error(n)
	}
	release(t, c)
	if p := <-peers; !p.Addr.Addr().IsLoopback() || p.CallingAETitle != "DR1" {
		t.Error(p)
	}
	cfg.TLS = nil
	cfg.Timeouts.Associate = 5 * time.Second
	if _, err := Dial(t.Context(), cfg); err == nil {
		t.Error("plain text accepted")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestTrace(t *testing.T) {
	var sent, received bytes.Buffer
	_, addr := startServer(t, ServerConfig{})
	cfg := clientConfig(addr)
	cfg.Trace = func(out bool, b []byte) {
		if out {
			sent.Write(b)
		} else {
			received.Write(b)
		}
	}
	c, err := Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	release(t, c)
	if sent.Bytes()[0] != 1 || !bytes.HasSuffix(sent.Bytes(), pdu.ReleaseRQ{}.AppendTo(nil)) || received.Bytes()[0] != 2 {
		t.Errorf("% x", sent.Bytes())
	}
}
