package appliance

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
)

// portAgain is how long a port that is in use is left alone.
const portAgain = 10 * time.Second

// dicomServer keeps the DICOM ports open. A port that is taken is a problem on
// the page and tried again; the rest of the appliance goes on.
type dicomServer struct {
	a      *Appliance
	server *dimse.Server
	again  time.Duration // see portAgain

	mu     sync.Mutex
	open   []string
	failed map[string]bool
	ready  chan struct{} // closed when every port was tried and at least one is open
}

func newDICOMServer(a *Appliance, cfg dimse.ServerConfig) *dicomServer {
	cfg.OnEnd = func(p dimse.Peer, s dimse.AssociationSummary) {
		outcome := "released"
		if s.Err != nil {
			outcome = "broken"
		}
		a.metrics.Association(outcome)
		a.log.LogAttrs(context.Background(), slog.LevelDebug, "association ended", slog.String("ae_title", printable(p.CallingAETitle)),
			slog.String("peer", p.Addr.String()), slog.String("outcome", outcome), slog.Int("operations", s.Operations), slog.Duration("took", s.Duration))
	}
	cfg.OnRefused = func(in dimse.AssociateInfo, r dimse.Reject) {
		a.metrics.Association("rejected")
		a.log.LogAttrs(context.Background(), slog.LevelWarn, "association rejected", slog.String("ae_title", printable(in.CallingAETitle)),
			slog.String("peer", in.Addr.String()), slog.String("reason", r.String()))
	}
	cfg.OnPanic = func(p dimse.Peer, value any, stack []byte) {
		a.metrics.Association("panicked")
		a.log.LogAttrs(context.Background(), slog.LevelError, "a DICOM service panicked", slog.String("peer", p.Addr.String()),
			slog.String("panic", fmt.Sprintf("%T", value)), slog.String("stack", string(stack)))
	}
	return &dicomServer{a: a, server: dimse.NewServer(cfg), again: portAgain, failed: map[string]bool{}, ready: make(chan struct{})}
}

// port is one address to listen on.
type port struct {
	address string
	tls     *tls.Config
}

func (d *dicomServer) run(ctx context.Context) error {
	ports, err := d.ports()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, len(ports))
	for _, p := range ports {
		go func() {
			var err error
			defer func() {
				if r := recover(); r != nil {
					err = fmt.Errorf("panic: %T", r)
				}
				ended <- err
			}()
			err = d.serve(ctx, p)
		}()
	}
	var first error
	for range ports {
		if err := <-ended; err != nil && first == nil {
			first = err
			cancel()
		}
	}
	return first
}

func (d *dicomServer) ports() ([]port, error) {
	set := d.a.cfg.Settings.DICOM
	var list []port
	for _, addr := range set.Listen {
		list = append(list, port{address: addr})
	}
	if len(set.TLSListen) == 0 {
		return list, nil
	}
	cert, err := tls.LoadX509KeyPair(set.TLSCert, set.TLSKey)
	if err != nil {
		return nil, problem.New(problem.FileUnusable, problem.Args{"path": set.TLSCert, "reason": "no certificate and key could be read"}, err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if set.TLSClientCA != "" {
		pem, err := os.ReadFile(set.TLSClientCA)
		c.ClientCAs = x509.NewCertPool()
		if err != nil || !c.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, problem.New(problem.FileUnusable, problem.Args{"path": set.TLSClientCA, "reason": "it holds no certificate"}, err)
		}
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	for _, addr := range set.TLSListen {
		list = append(list, port{addr, c})
	}
	return list, nil
}

// serve opens one port and answers on it; while it is taken it tries again.
func (d *dicomServer) serve(ctx context.Context, p port) error {
	var lc net.ListenConfig
	for {
		ln, err := lc.Listen(ctx, "tcp", p.address)
		if err == nil {
			d.opened(p.address, ln.Addr().String())
			if p.tls != nil {
				ln = tls.NewListener(ln, p.tls)
			}
			return d.server.Serve(ctx, ln)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		d.taken(p.address, err)
		if err := sleepOr(ctx, d.again, nil); err != nil {
			return err
		}
	}
}

func (d *dicomServer) opened(configured, actual string) {
	d.mu.Lock()
	delete(d.failed, configured)
	d.open = append(d.open, actual)
	select {
	case <-d.ready:
	default:
		close(d.ready)
	}
	d.mu.Unlock()
	d.a.board.Clear(problem.DICOMPort, configured)
}

func (d *dicomServer) taken(address string, err error) {
	d.mu.Lock()
	first := !d.failed[address]
	d.failed[address] = true
	d.mu.Unlock()
	d.a.board.Raise(problem.DICOMPort, address, problem.Args{"address": address, "reason": listenReason(err)})
	if first {
		d.a.log.LogAttrs(context.Background(), slog.LevelError, "a DICOM port could not be opened", slog.String("address", address), errAttr(err))
	}
}

// addrs waits for the first port.
func (d *dicomServer) addrs(ctx context.Context) ([]string, error) {
	select {
	case <-d.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return d.listening(), nil
}

func (d *dicomServer) listening() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string{}, d.open...)
}

// healthy reports whether no port is missing.
func (d *dicomServer) healthy() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.failed) == 0 && len(d.open) > 0
}

func addressInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }

// listenReason says in words why a port could not be opened.
func listenReason(err error) string {
	switch {
	case addressInUse(err):
		return "another program uses it"
	case errors.Is(err, syscall.EACCES):
		return "this account may not open it"
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err.Error()
	}
	return err.Error()
}
