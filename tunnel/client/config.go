package client

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// Cursor is what the inbox holds last.
type Cursor struct {
	Epoch      wire.StoreEpoch // empty: never connected
	Seq        wire.Seq        // 0: nothing yet
	ReceivedAt time.Time       // of the event Seq; zero after a gap
	Window     time.Duration   // W, kept by [Inbox.KeepWindow]
}

// Inbox is where events go. The methods are called by one connection at a time,
// though not always from the same goroutine.
type Inbox interface {
	// Cursor returns what was committed last.
	Cursor(ctx context.Context) (Cursor, error)
	// Commit makes events durable, once each by (epoch, seq), and moves the cursor in
	// the same transaction. Only then does the client acknowledge. Events at or below
	// the cursor come again after a replay, a restore or a change of connections; the
	// cursor never moves back within an epoch. Events are sealed as they came; they
	// must be copied when they are kept after the call. When Commit fails it is
	// called again with the same events after a while.
	Commit(ctx context.Context, epoch wire.StoreEpoch, events []wire.Event) error
	// Gap records a hole, moves the cursor to g.To in g.StoreEpoch, without a time of
	// receipt, and asks for a full sweep, in one transaction. After a store_rollback
	// the cursor may move back.
	Gap(ctx context.Context, g wire.Gap) error
	// KeepWindow keeps the relay's reconnect window with the cursor.
	KeepWindow(ctx context.Context, w time.Duration) error
}

// Credentials are what a pairing gives. All but the ids are secret.
type Credentials struct {
	ClinicID   wire.ClinicID
	Token      string
	Identity   ed25519.PrivateKey
	InstanceID wire.InstanceID
	// SealingKeys are the private sealing keys by key id; SealingKeyID is the newest
	// one, which the relay is to seal to. Empty: as the relay has it.
	SealingKeys  map[string][]byte
	SealingKeyID string
}

// Config configures a [Client]. RelayURL, Credentials and Inbox must be set.
type Config struct {
	// RelayURL is wss://host[:port] or https://; ws:// and http:// on loopback only.
	RelayURL    string
	Credentials Credentials
	Inbox       Inbox

	// ProxyURL is http://[user@]host:port or https://; "none" for no proxy. Empty:
	// what HTTPS_PROXY and NO_PROXY of the environment say.
	ProxyURL string
	// ProxyUser and ProxyPassword are for Basic; ProxyUser wins over the URL's.
	ProxyUser, ProxyPassword string

	// RootCAs are the roots to trust; nil means the operating system's. ExtraRoots are
	// further ones in PEM, for inspecting proxies.
	RootCAs    *x509.CertPool
	ExtraRoots []byte

	// SaveToken makes a rotated token durable. Nil: rotations are not confirmed.
	SaveToken func(ctx context.Context, token string) error
	// TestURL is the inbound URL of the kind "test", for [Client.Check].
	TestURL string
	// OnChange hears of every change of the state. It must not block.
	OnChange func(Status)
	// OnNotice hears of texts of the relay for the IT partner. It must not block.
	OnNotice func(text string)

	Version string // of the appliance
	Log     *slog.Logger
	Now     func() time.Time // the wall clock, for what is shown and for the skew
	// Dial replaces the dialing of TCP, to the relay and to proxies.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// target is where a connection goes.
type target struct {
	tls  bool
	host string // small letters, without port
	port string
}

func (t target) address() string { return net.JoinHostPort(t.host, t.port) }

// hostPort is the address as it stands in URLs: without the default port.
func (t target) hostPort() string {
	if t.tls && t.port == "443" || !t.tls && t.port == "80" {
		if strings.Contains(t.host, ":") {
			return "[" + t.host + "]"
		}
		return t.host
	}
	return t.address()
}

func (t target) url(scheme, path string) string {
	if t.tls {
		scheme += "s"
	}
	return scheme + "://" + t.hostPort() + path
}

// ErrInsecure means that the relay's address would send secrets in the clear.
var ErrInsecure = errors.New("client: the relay's address must begin with wss://")

func parseTarget(rawURL string) (target, error) {
	u, err := url.Parse(strings.TrimSpace(rawURL))
	if err != nil {
		return target{}, fmt.Errorf("client: the relay's address: %w", err)
	}
	host, err := wire.HostName(rawURL)
	if err != nil {
		return target{}, err
	}
	t := target{host: host, port: u.Port()}
	switch u.Scheme {
	case "wss", "https":
		t.tls = true
	case "ws", "http":
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return target{}, ErrInsecure
		}
	default:
		return target{}, fmt.Errorf("%w, not with %q", ErrInsecure, u.Scheme+"://")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return target{}, fmt.Errorf("client: the relay's address %q must be no more than wss://host:port", u.Redacted())
	}
	if t.port == "" {
		t.port = "80"
		if t.tls {
			t.port = "443"
		}
	}
	return t, nil
}

// elsewhere is where a drain sends the agent: host or host:port, by the same scheme.
func (t target) elsewhere(host string) target {
	if host == "" {
		return t
	}
	if h, p, err := net.SplitHostPort(host); err == nil {
		t.host, t.port = h, p
	} else {
		t.host = strings.Trim(host, "[]")
	}
	t.host = strings.ToLower(strings.TrimSuffix(t.host, "."))
	return t
}

func (c *Credentials) check() error {
	switch {
	case !wire.ValidID(c.ClinicID), !wire.ValidID(c.InstanceID):
		return errors.New("client: credentials without clinic or instance")
	case len(c.Identity) != ed25519.PrivateKeySize:
		return errors.New("client: credentials without an identity")
	case c.SealingKeyID != "" && c.SealingKeys[c.SealingKeyID] == nil:
		return errors.New("client: the newest sealing key is missing")
	}
	if _, _, err := wire.SplitToken(c.Token); err != nil {
		return fmt.Errorf("client: credentials: %w", err)
	}
	return nil
}
