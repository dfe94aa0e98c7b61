package ui

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/rayhound/rayhound/appliance/secret"
)

const (
	readTimeout  = 30 * time.Second
	writeTimeout = 30 * time.Second
	longTimeout  = 10 * time.Minute // doctor, probe, backup, support file
	shutdownTime = 5 * time.Second
)

// Config is what a Server needs.
type Config struct {
	Appliance Appliance     // must be set
	Token     secret.Secret // control token; empty: the API lets nobody in
	Metrics   http.Handler  // answers /metrics; nil: 404
	Log       *slog.Logger  // nil: no log
}

// Server is the HTTP server on loopback.
type Server struct {
	cfg   Config
	ports atomic.Pointer[[]string]
	h     http.Handler
}

// New returns a server that is not listening yet.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg}
	s.ports.Store(&[]string{})
	s.h = newGuard(s.knowsHost, cfg.Log, s.routes())
	return s
}

// Handler returns everything behind the guard. Requests pass only for the ports
// that Serve was given.
func (s *Server) Handler() http.Handler { return s.h }

// Serve answers on all listeners until ctx ends, then lets requests finish for
// five seconds. It closes the listeners. A listener that is not on loopback is
// an error.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	var ports []string
	for _, l := range listeners {
		a, err := netip.ParseAddrPort(l.Addr().String())
		if err != nil || !a.Addr().IsLoopback() {
			return errors.Join(fmt.Errorf("ui: %s is not a loopback address", l.Addr()), closeAll(listeners))
		}
		ports = append(ports, strconv.Itoa(int(a.Port())))
	}
	s.ports.Store(&ports)
	srv := &http.Server{
		Handler: s.h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: 60 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog:    slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	ended := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { ended <- srv.Serve(l) }()
	}
	var err error
	running := len(listeners)
	select {
	case <-ctx.Done():
	case err = <-ended:
		running--
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if stop := srv.Shutdown(grace); stop != nil {
		_ = srv.Close() // what is left after five seconds is cut
	}
	for range running {
		if late := <-ended; err == nil {
			err = late
		}
	}
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("ui: %w", err)
	}
	return nil
}

func closeAll(listeners []net.Listener) error {
	var errs []error
	for _, l := range listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// knowsHost is the exact list of names under which we answer: a page of another
// name that resolves to this computer is refused.
func (s *Server) knowsHost(host string) bool {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		return false
	}
	if !slices.Contains(*s.ports.Load(), port) {
		return false
	}
	switch name {
	case "rayhound.localhost", "localhost", "127.0.0.1", "::1":
		return true
	}
	return false
}
