package relayd

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// certificateEvery is how often the files of a certificate are looked at.
const certificateEvery = time.Minute

// certificate is a certificate read from files, and again when they change.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	current           atomic.Pointer[tls.Certificate]
	changed           [2]time.Time
}

// openCertificate reads the files; an error is a mistake for the operator.
func openCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	if _, err := c.reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// reload reads the files when one of them changed. A pair that does not fit
// together, as in the middle of a renewal, leaves the old one in use.
func (c *certificate) reload() (changed bool, err error) {
	var times [2]time.Time
	for i, file := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(file)
		if err != nil {
			return false, fmt.Errorf("relayd: certificate: %w", err)
		}
		times[i] = info.ModTime()
	}
	if times == c.changed {
		return false, nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return false, fmt.Errorf("relayd: certificate: %w", err)
	}
	c.changed = times
	c.current.Store(&pair)
	return true, nil
}

// watch looks for new files until ctx ends.
func (c *certificate) watch(ctx context.Context) {
	tick := time.NewTicker(certificateEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		switch changed, err := c.reload(); {
		case err != nil:
			c.log.LogAttrs(ctx, slog.LevelWarn, "the new certificate cannot be used, the old one stays", slog.String("error", err.Error()))
		case changed:
			c.log.LogAttrs(ctx, slog.LevelInfo, "certificate read again", slog.Time("not_after", c.notAfter()))
		}
	}
}

// notAfter returns when the certificate ends.
func (c *certificate) notAfter() time.Time {
	if p := c.current.Load(); p != nil && p.Leaf != nil {
		return p.Leaf.NotAfter
	}
	return time.Time{}
}

// config returns the settings of a TLS listener. Agents need TLS 1.2 at least.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current.Load(), nil
		},
	}
}

// acmeConfig fetches and renews certificates for a name by itself; the caller
// answers TLS-ALPN challenges on port 443 with it.
func acmeConfig(domain, directory, dataDir string, client *http.Client) *tls.Config {
	m := &autocert.Manager{
		Prompt: autocert.AcceptTOS, HostPolicy: autocert.HostWhitelist(domain),
		Cache: autocert.DirCache(filepath.Join(dataDir, "acme")),
	}
	if directory != "" || client != nil {
		m.Client = &acme.Client{DirectoryURL: directory, HTTPClient: client}
	}
	c := m.TLSConfig()
	c.MinVersion = tls.VersionTLS12
	return c
}

// listen opens an address, or takes the socket that systemd opened for us, which
// survives a restart (sd_listen_fds(3)).
func listen(ctx context.Context, address string, getenv func(string) string) (net.Listener, error) {
	if getenv("LISTEN_FDS") == "1" && getenv("LISTEN_PID") == fmt.Sprint(os.Getpid()) {
		f := os.NewFile(3, "systemd-socket")
		defer f.Close()
		ln, err := net.FileListener(f)
		if err != nil {
			return nil, fmt.Errorf("relayd: the socket of systemd: %w", err)
		}
		return ln, nil
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("relayd: %w", err)
	}
	return ln, nil
}
