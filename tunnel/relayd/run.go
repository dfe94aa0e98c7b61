package relayd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rayhound/rayhound/tunnel/relay"
)

// Config says what to host.
type Config struct {
	// Relay is the node's own configuration. Store, Registry, Log and DrainSpread
	// are filled in here.
	Relay relay.Config

	Listen        string // of webhooks and tunnels
	MetricsListen string // empty: none
	Store         string // sqlite:FILE or postgres://…
	// NoNotify is for engines and poolers without LISTEN and NOTIFY: every node
	// asks for what others took, twice a second.
	NoNotify bool
	DataDir  string

	TLSCert, TLSKey string
	ACMEDomain      string
	ACMEDirectory   string
	ACMEClient      *http.Client // for tests

	Log    *slog.Logger
	Getenv func(string) string // LISTEN_FDS; nil: the process's own

	// Started hears the addresses once both ports are open.
	Started func(public, metrics net.Addr)
}

const (
	// drainSpread is over how long a node of many sends its agents to the others.
	drainSpread = 120 * time.Second
	// stopWithin bounds the end: the spread, the last acks, and closing the database.
	stopWithin = drainSpread + 20*time.Second
	// askEvery is how often a node asks for events that nobody tells it of.
	askEvery = 500 * time.Millisecond
	// headerTimeout and headerBytes bound what a caller can cost before it is known.
	headerTimeout = 10 * time.Second
	headerBytes   = 16 << 10
	idleTimeout   = 2 * time.Minute
)

// Run hosts a relay until ctx ends. Then agents are asked to move on, what is
// under way ends, and the database is closed: with other nodes beside it this
// takes up to two minutes.
func Run(ctx context.Context, c Config) (err error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Getenv == nil {
		c.Getenv = os.Getenv
	}
	store, err := openStore(ctx, c.Store, c.DataDir, c.NoNotify, c.Log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	rc := c.Relay
	rc.Store, rc.Registry, rc.Log = store, store, c.Log
	if several(c.Store) && rc.DrainSpread == 0 {
		rc.DrainSpread = drainSpread
	}
	if several(c.Store) && c.NoNotify && rc.PendingEvery == 0 {
		rc.PendingEvery = askEvery
	}
	rc.TrustedProxies = c.proxies()
	node, err := relay.New(rc)
	if err != nil {
		return err
	}
	defer node.Close()
	if c.Getenv("GOGC") == "" {
		go spareMemory(ctx, node.Agents)
	}

	set, cert, err := c.tls()
	if err != nil {
		return err
	}
	public, err := listen(ctx, c.Listen, c.Getenv)
	if err != nil {
		return err
	}
	handler := node.Handler()
	if set == nil {
		handler = plainOnly(handler, rc.TrustedProxies)
	}
	servers := []hosted{{server(handler, set, c.Log), public}}
	if c.MetricsListen != "" {
		var lc net.ListenConfig
		ln, err := lc.Listen(ctx, "tcp", c.MetricsListen)
		if err != nil {
			return errors.Join(fmt.Errorf("relayd: %w", err), public.Close())
		}
		servers = append(servers, hosted{server(node.MetricsHandler(), nil, c.Log), ln})
	}
	if c.Started != nil {
		var metrics net.Addr
		if len(servers) > 1 {
			metrics = servers[1].ln.Addr()
		}
		c.Started(public.Addr(), metrics)
	}
	c.Log.LogAttrs(ctx, slog.LevelInfo, "relay started", slog.String("version", rc.Version), slog.String("address", public.Addr().String()), slog.Bool("tls", set != nil))
	return serve(ctx, node, servers, cert, c.Log)
}

// hosted is a server with its port.
type hosted struct {
	*http.Server
	ln net.Listener
}

// serve runs the node and its ports until ctx ends, and then ends them in order:
// agents first, then the ports, then the node.
func serve(ctx context.Context, node *relay.Relay, servers []hosted, cert *certificate, log *slog.Logger) error {
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g, inner := errgroup.WithContext(inner)
	for _, s := range servers {
		g.Go(func() error {
			var err error
			if s.TLSConfig != nil {
				err = s.ServeTLS(s.ln, "", "")
			} else {
				err = s.Serve(s.ln)
			}
			if errors.Is(err, http.ErrServerClosed) {
				return nil
			}
			return fmt.Errorf("relayd: %w", err)
		})
	}
	g.Go(func() error {
		if err := node.Run(inner); inner.Err() == nil {
			return err
		}
		return nil
	})
	if cert != nil {
		g.Go(func() error { cert.watch(inner); return nil })
	}
	g.Go(func() error {
		select {
		case <-inner.Done(): // one of the others failed
		case <-ctx.Done():
			log.LogAttrs(inner, slog.LevelInfo, "relay is stopping")
		}
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
		defer cancel()
		if inner.Err() == nil {
			if err := node.Drain(last); err != nil {
				log.LogAttrs(last, slog.LevelWarn, "not every clinic moved on in time", slog.String("error", err.Error()))
			}
		}
		for _, s := range servers {
			end, cancel := context.WithTimeout(last, 5*time.Second)
			if err := s.Shutdown(end); err != nil {
				_ = s.Close() // somebody hangs; the process ends anyway
			}
			cancel()
		}
		stop()
		return nil
	})
	err := g.Wait()
	log.LogAttrs(ctx, slog.LevelInfo, "relay stopped")
	return err
}

// server is an HTTP server with our limits. There is no ReadTimeout and no
// WriteTimeout: a long poll waits, and the relay bounds each body itself.
func server(h http.Handler, set *tls.Config, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, TLSConfig: set, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytes,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), // handshakes that strangers break off
	}
}

// proxies are those in front that say who a caller is. Without TLS of our own one on this computer is always among them:
// nobody else speaks plain HTTP from here, and if all callers had its address, one that guesses tokens or codes would lock
// all clinics out.
func (c Config) proxies() []netip.Prefix {
	list := c.Relay.TrustedProxies
	if c.TLSCert == "" && c.ACMEDomain == "" {
		list = append(slices.Clone(list), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	}
	return list
}

// tls returns the settings of the public port; nil means plain HTTP.
func (c Config) tls() (*tls.Config, *certificate, error) {
	switch {
	case c.ACMEDomain != "":
		return acmeConfig(c.ACMEDomain, c.ACMEDirectory, c.DataDir, c.ACMEClient), nil, nil
	case c.TLSCert != "":
		cert, err := openCertificate(c.TLSCert, c.TLSKey, c.Log)
		if err != nil {
			return nil, nil, err
		}
		return cert.config(), cert, nil
	}
	return nil, nil, nil
}

// plainOnly lets plain HTTP through from this computer and from the proxies in
// front, which did the TLS. Anybody else would send a secret in the clear.
func plainOnly(next http.Handler, proxies []netip.Prefix) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		from, err := netip.ParseAddrPort(q.RemoteAddr)
		if err == nil {
			a := from.Addr().Unmap()
			if a.IsLoopback() {
				next.ServeHTTP(w, q)
				return
			}
			for _, p := range proxies {
				if p.Contains(a) {
					next.ServeHTTP(w, q)
					return
				}
			}
		}
		http.Error(w, "use https", http.StatusForbidden)
	})
}
