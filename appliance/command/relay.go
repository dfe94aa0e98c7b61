package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/logging"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relayd"
)

type relayCmd struct {
	Run      relayRunCmd      `cmd:"" help:"Run the public relay in the foreground."`
	Init     relayInitCmd     `cmd:"" help:"Write a commented relay.toml."`
	Check    relayCheckCmd    `cmd:"" help:"Check relay.toml."`
	Doctor   relayDoctorCmd   `cmd:"" help:"Check database, disk, certificate and address."`
	Clinic   relayClinicCmd   `cmd:"" help:"Add, list, pair and revoke clinics."`
	Backup   relayBackupCmd   `cmd:"" help:"Copy the database of a running relay (SQLite)."`
	Restored relayRestoredCmd `cmd:"" help:"After the database was restored or a copy promoted: let every clinic compare."`
	Bench    relayBenchCmd    `cmd:"" hidden:"" help:"Measure a relay."`
}

// relayPlaces decides where relay.toml and the relay's data are. The options
// are those of every command, the defaults are the relay's own, so that both
// can run on one computer.
func (e *env) relayPlaces() (settings, data string) {
	settings, data = "/etc/rayhound/relay.toml", "/var/lib/rayhound-relay"
	if runtime.GOOS == "windows" {
		root := filepath.Join(first(e.Getenv("ProgramData"), `C:\ProgramData`), "Rayhound")
		settings, data = filepath.Join(root, "relay.toml"), filepath.Join(root, "relay")
	}
	return first(e.configFlag, e.Getenv("RAYHOUND_RELAY_CONFIG"), settings), first(e.dataFlag, e.Getenv("RAYHOUND_RELAY_DATA"), data)
}

// relaySettings reads relay.toml. RAYHOUND_RELAY_STORE overrides its store.
func (e *env) relaySettings() (set *config.Relay, dataDir string, err error) {
	path, dataDir := e.relayPlaces()
	set, err = config.LoadRelay(path)
	var fe *config.FileError
	switch {
	case errors.As(err, &fe):
		return nil, "", err
	case errors.Is(err, fs.ErrNotExist):
		return nil, "", problem.New(problem.FileUnusable, problem.Args{
			"path": path, "reason": "there is no such file; rayhound relay init writes one",
		}, err)
	case err != nil:
		return nil, "", unusable(path, err)
	}
	if s := e.Getenv("RAYHOUND_RELAY_STORE"); s != "" {
		set.Store = s
		if err := set.Validate(); err != nil {
			return nil, "", usage("RAYHOUND_RELAY_STORE: " + err.Error())
		}
	}
	if err := os.MkdirAll(dataDir, 0o750); err != nil {
		return nil, "", unusable(dataDir, err)
	}
	return set, dataDir, nil
}

// withRelay opens the relay's database for administration. It works beside a
// running relay.
func (e *env) withRelay(do func(a *relay.Admin) error) (err error) {
	set, dataDir, err := e.relaySettings()
	if err != nil {
		return err
	}
	store, err := relayd.OpenStore(e.ctx, set.Store, dataDir, slog.New(slog.DiscardHandler))
	if err != nil {
		return problem.New(problem.RelayStore, problem.Args{"reason": err.Error()}, err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return do(&relay.Admin{Store: store, Registry: store, PublicURL: set.PublicURL})
}

type relayRunCmd struct {
	LogJSON bool `name:"log-json" help:"Log JSON on standard error instead of text."`
}

// Help shows an example.
func (relayRunCmd) Help() string {
	return "Takes Provet Cloud's webhooks for clinics, keeps them durably, and hands them to the appliances, which connect from inside. " +
		"--config is relay.toml here; rayhound relay init writes one. The operator's guide is tunnel/OPERATING.md.\n\n" +
		"Example:\n\n  rayhound relay run --config /etc/rayhound/relay.toml --data /var/lib/rayhound-relay"
}

// Run hosts the relay until it is interrupted.
func (c relayRunCmd) Run(e *env) (err error) {
	set, dataDir, err := e.relaySettings()
	if err != nil {
		return err
	}
	log, err := logging.Open(logging.Config{Dir: filepath.Join(dataDir, "logs"), Console: e.Stderr, JSON: c.LogJSON, Level: set.LogLevel})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	err = relayd.Run(e.ctx, relayOf(set, dataDir, e.Version, log.Logger))
	if err != nil && !errors.Is(err, context.Canceled) {
		return problem.New(problem.RelayStart, problem.Args{"reason": err.Error()}, err)
	}
	return nil
}

// relayOf turns the settings into what a relay wants.
func relayOf(set *config.Relay, dataDir, version string, log *slog.Logger) relayd.Config {
	c := relayd.Config{
		Relay: relay.Config{
			Node: relay.NodeID(set.Node), PublicURL: set.PublicURL, Version: version,
			Limits:  relay.Limits{Unacked: set.KeepUnread.D(), Acked: set.KeepRead.D()},
			MaxBody: set.MaxBody, RatePerClinic: float64(set.RatePerClinic), AcceptRate: float64(set.AcceptRate),
			SealAtIngest: set.Seal == "on", NotifyURL: set.NotifyURL,
		},
		Listen: set.Listen, MetricsListen: set.MetricsListen, Store: set.Store, NoNotify: set.Wake == "poll", DataDir: dataDir,
		TLSCert: set.TLSCert, TLSKey: set.TLSKey, ACMEDomain: set.ACMEDomain, ACMEDirectory: set.ACMEDirectory,
		Log: log,
	}
	for _, s := range set.TrustedProxies {
		if p, err := netip.ParsePrefix(s); err == nil {
			c.Relay.TrustedProxies = append(c.Relay.TrustedProxies, p)
		} else if a, err := netip.ParseAddr(s); err == nil {
			c.Relay.TrustedProxies = append(c.Relay.TrustedProxies, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	if host, _, err := net.SplitHostPort(set.MetricsListen); err == nil {
		a, err := netip.ParseAddr(host)
		c.Relay.StatusAnywhere = err != nil || !a.IsLoopback() // whoever opens it to the network wants it seen there
	}
	return c
}

type relayInitCmd struct{}

// Help shows an example.
func (relayInitCmd) Help() string {
	return "Never overwrites a file.\n\nExample:\n\n  rayhound relay init --config /etc/rayhound/relay.toml"
}

// Run writes the file.
func (relayInitCmd) Run(e *env) error {
	path, _ := e.relayPlaces()
	err := config.InitRelay(path)
	if errors.Is(err, config.ErrExists) {
		return problem.New(problem.FileUnusable, problem.Args{"path": path, "reason": "the file exists already"}, err)
	}
	if err != nil {
		return unusable(path, err)
	}
	e.printf("%s is written. Set public_url and a certificate, then: rayhound relay check\n", path)
	return nil
}

type relayCheckCmd struct{}

// Help shows an example.
func (relayCheckCmd) Help() string {
	return "Prints every mistake with its line.\n\nExample:\n\n  rayhound relay check --config ./relay.toml"
}

// Run reads the file.
func (relayCheckCmd) Run(e *env) error {
	set, _, err := e.relaySettings()
	if err != nil {
		return err
	}
	path, _ := e.relayPlaces()
	e.printf("%s is good: %s, store %s.\n", path, set.PublicURL, storeKind(set.Store))
	return nil
}

// storeKind names a store without its address, which may hold a password.
func storeKind(store string) string {
	if len(store) > 6 && store[:6] == "sqlite" {
		return store
	}
	return "PostgreSQL"
}

type relayBackupCmd struct {
	Out string `name:"out" required:"" help:"File to write; it must not exist." placeholder:"FILE"`
}

// Help shows an example.
func (relayBackupCmd) Help() string {
	return "The copy is of one moment; the relay goes on meanwhile. PostgreSQL is backed up with its own means.\n\n" +
		"Example:\n\n  rayhound relay backup --out relay-20261124.db"
}

// Run writes the copy.
func (c relayBackupCmd) Run(e *env) error {
	return e.withRelay(func(a *relay.Admin) error {
		s, ok := a.Store.(interface {
			Backup(ctx context.Context, to string) error
		})
		if !ok {
			return usage("This store is PostgreSQL: use its own backup")
		}
		if err := s.Backup(e.ctx, c.Out); err != nil {
			return unusable(c.Out, err)
		}
		e.printf("%s is written. To use it: stop the relay, put it in place of the database, rayhound relay restored, start.\n", c.Out)
		return nil
	})
}

type relayRestoredCmd struct{}

// Help shows an example.
func (relayRestoredCmd) Help() string {
	return "Gives every mailbox a new epoch. Each clinic then announces a gap to itself and looks at all its orders again, instead of " +
		"trusting numbers that were given out twice.\n\nExample:\n\n  rayhound relay restored"
}

// Run gives out new epochs.
func (relayRestoredCmd) Run(e *env) error {
	return e.withRelay(func(a *relay.Admin) error {
		if err := a.NewStoreEpochs(e.ctx); err != nil {
			return problem.New(problem.RelayStore, problem.Args{"reason": err.Error()}, err)
		}
		e.printf("Every clinic compares with what it has when it connects next.\n")
		return nil
	})
}

// relayProblem says for people what an administration could not do.
func relayProblem(clinic string, err error) error {
	reason := ""
	switch {
	case err == nil:
		return nil
	case errors.Is(err, relay.ErrUnknownClinic):
		reason = "there is no such clinic, or it is revoked"
	case errors.Is(err, relay.ErrNameTaken):
		reason = "another clinic has this name"
	case errors.Is(err, relay.ErrNotPaired):
		reason = "no computer has been paired with it yet"
	case errors.Is(err, relay.ErrName):
		reason = "a name has 1 to 200 bytes, and no control characters or outer spaces"
	default:
		return problem.New(problem.RelayStore, problem.Args{"reason": err.Error()}, err)
	}
	return problem.New(problem.RelayClinic, problem.Args{"clinic": fmt.Sprintf("%q", clinic), "reason": reason}, err)
}
