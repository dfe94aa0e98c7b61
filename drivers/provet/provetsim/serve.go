package provetsim

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Serve answers on ln until ctx ends, then stops, closes the tenant and returns
// nil. When no base URL is known, the listener's address becomes it.
func (s *Sim) Serve(ctx context.Context, ln net.Listener) error {
	addr := ln.Addr().String()
	if tcp, ok := ln.Addr().(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
	}
	s.mu.Lock()
	if s.base == "" {
		s.base = tenantURL("http://"+addr, s.cfg.ProvetID)
	}
	s.mu.Unlock()
	srv := &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			_ = srv.Close() // the rest is cut off
		}
		err = <-done
	}
	if closeErr := s.Close(); closeErr != nil {
		return closeErr
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
