package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Relay is relay.toml, the settings of the public relay. DefaultRelay returns
// one with every default set.
type Relay struct {
	Listen         string   `toml:"listen" default:":443" comment:"address of the webhooks and the tunnels"`
	PublicURL      string   `toml:"public_url" comment:"https://relay.example.com, as Provet Cloud and the clinics see it"`
	Store          string   `toml:"store" default:"sqlite:relay.db" comment:"sqlite:FILE in the data folder, or postgres://...; RAYHOUND_RELAY_STORE overrides it, so that no password need stand here"`
	TLSCert        string   `toml:"tls_cert" comment:"files, reread when they change; both empty: plain HTTP, allowed on loopback or behind a proxy only"`
	TLSKey         string   `toml:"tls_key"`
	ACMEDomain     string   `toml:"acme_domain" comment:"a public name: certificates are fetched and renewed by themselves (ACME)"`
	ACMEDirectory  string   `toml:"acme_directory" comment:"of another certificate authority than Let's Encrypt; empty: that one"`
	NotifyURL      string   `toml:"notify_url" comment:"receives JSON when a clinic is offline for long, a takeover or a gap"`
	MetricsListen  string   `toml:"metrics_listen" default:"127.0.0.1:9090" comment:"/metrics, /healthz, /readyz and the status page; empty: off"`
	TrustedProxies Names    `toml:"trusted_proxies" comment:"addresses or networks of the proxy in front; only they may say who a caller is, and only they may speak plain HTTP to us from another computer"`
	MaxBody        int      `toml:"max_body" default:"65536" min:"1024" max:"1048576" comment:"bytes of one webhook"`
	RatePerClinic  int      `toml:"rate_per_clinic" default:"20" min:"1" max:"10000" comment:"webhooks a second, for each clinic and node"`
	AcceptRate     int      `toml:"accept_rate" default:"0" min:"0" max:"100000" comment:"new tunnels a second; 0: 500 for each core"`
	KeepUnread     Duration `toml:"keep_unread" default:"14d" min:"1h" max:"90d" comment:"events that a clinic has not fetched"`
	KeepRead       Duration `toml:"keep_read" default:"72h" min:"1m" max:"30d" comment:"events that a clinic has; they help after a restore"`
	Node           string   `toml:"node" comment:"name of this node among several, different for each; empty: a new random one at each start"`
	Wake           string   `toml:"wake" default:"notify" oneof:"notify|poll" comment:"how nodes on PostgreSQL hear of each other's events; poll: for engines and poolers without LISTEN and NOTIFY"`
	Seal           string   `toml:"seal" default:"on" oneof:"on|off" comment:"on: events are encrypted to the clinic's key before they are stored"`
	LogLevel       string   `toml:"log_level" default:"info" oneof:"debug|info|warn|error" comment:"the least that is written"`
}

// relayHeading stands at the top of relay.toml.
const relayHeading = `# Settings of a Rayhound relay. Check the file after a change: rayhound relay check

`

// DefaultRelay returns the settings of an empty relay.toml.
func DefaultRelay() *Relay {
	r := &Relay{}
	applyDefaults(r)
	return r
}

// ParseRelay reads relay.toml as strictly as Parse reads rayhound.toml. Its
// error is Errors.
func ParseRelay(b []byte) (*Relay, error) {
	if len(b) > maxFile {
		return nil, Errors{{Message: fmt.Sprintf("the file is larger than %d bytes", maxFile)}}
	}
	clean := bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	var tree map[string]any
	if err := toml.Unmarshal(clean, &tree); err != nil {
		return nil, syntaxErrors(err)
	}
	r := DefaultRelay()
	d := &decoder{}
	d.table("", tree, reflect.ValueOf(r).Elem())
	errs := d.errs
	for _, e := range r.check() {
		if !errs.mentions(e.Key) {
			errs = append(errs, e)
		}
	}
	if len(errs) > 0 {
		return nil, located(errs, clean)
	}
	return r, nil
}

// LoadRelay reads relay.toml at path. Its error is a *FileError for mistakes in
// the file and a *fs.PathError when it cannot be read.
func LoadRelay(path string) (*Relay, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	r, err := ParseRelay(b)
	var errs Errors
	if errors.As(err, &errs) {
		return nil, &FileError{Path: path, Errors: errs}
	}
	return r, err
}

// InitRelay writes a commented relay.toml with the defaults. It never
// overwrites: its error is ErrExists then.
func InitRelay(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%w: %s", ErrExists, path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	r := DefaultRelay()
	r.PublicURL = "https://relay.example.com"
	return writeFile(path, r.TOML())
}

// TOML returns the settings as a file with comments.
func (r *Relay) TOML() []byte {
	w := &writer{comments: true}
	w.buf.WriteString(relayHeading)
	w.table("", reflect.ValueOf(r).Elem())
	return w.buf.Bytes()
}

// Validate checks settings that were made in memory. Its error is Errors,
// without lines.
func (r *Relay) Validate() error { return r.check().err() }

// check returns every mistake of r.
func (r *Relay) check() Errors {
	var errs Errors
	checkRanges("", reflect.ValueOf(r).Elem(), &errs)
	checkTexts("", reflect.ValueOf(r).Elem(), &errs)
	checkListen("listen", r.Listen, false, &errs)
	if r.MetricsListen != "" {
		checkListen("metrics_listen", r.MetricsListen, false, &errs)
	}
	if r.PublicURL == "" {
		errs.add("public_url", "such as https://relay.example.com", "Provet Cloud and the clinics need an address to call")
	}
	checkWebURL("public_url", r.PublicURL, "https", "http", &errs)
	checkWebURL("notify_url", r.NotifyURL, "https", "http", &errs)
	checkWebURL("acme_directory", r.ACMEDirectory, "https", "http", &errs)
	r.checkStore(&errs)
	r.checkTLS(&errs)
	for i, a := range r.TrustedProxies {
		checkSource(item("trusted_proxies", i), a, &errs)
	}
	slices.SortStableFunc(errs, func(a, b Error) int { return cmp.Compare(a.Line, b.Line) })
	return errs
}

func (r *Relay) checkStore(errs *Errors) {
	kind, rest, _ := strings.Cut(r.Store, ":")
	switch {
	case kind == "sqlite" && rest != "":
	case (kind == "postgres" || kind == "postgresql") && strings.HasPrefix(rest, "//"):
	default:
		errs.add("store", "", "write sqlite:FILE or postgres://user@host/database")
	}
}

func (r *Relay) checkTLS(errs *Errors) {
	if (r.TLSCert == "") != (r.TLSKey == "") {
		errs.add("tls_cert", "", "tls_cert and tls_key belong together")
	}
	if r.ACMEDomain != "" && r.TLSCert != "" {
		errs.add("acme_domain", "", "either acme_domain or tls_cert, not both")
	}
	if r.ACMEDomain != "" && strings.ContainsAny(r.ACMEDomain, "/: ") {
		errs.add("acme_domain", "", "%q is not a name such as relay.example.com", clip(r.ACMEDomain))
	}
	if !r.Encrypts() && len(r.TrustedProxies) == 0 && !r.loopback() {
		errs.add("listen", "set tls_cert and tls_key, or acme_domain; behind a proxy, name it in trusted_proxies",
			"plain HTTP is allowed on this computer's loopback address only")
	}
}

// Encrypts reports whether the relay speaks TLS itself.
func (r *Relay) Encrypts() bool { return r.TLSCert != "" || r.ACMEDomain != "" }

// loopback reports whether only this computer can reach the relay.
func (r *Relay) loopback() bool {
	host, _, err := net.SplitHostPort(r.Listen)
	return err == nil && isLoopbackHost(host)
}
