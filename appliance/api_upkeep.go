package appliance

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
	"github.com/rayhound/rayhound/appliance/support"
	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/ui"
)

// Ready answers ui.Health.
func (a api) Ready(ctx context.Context) []problem.Code {
	codes := []problem.Code{}
	if !a.dicom.healthy() {
		codes = append(codes, problem.DICOMPort)
	}
	if a.hl7 != nil && !a.hl7.healthy() {
		codes = append(codes, problem.RISPort)
	}
	err := a.db.Read(ctx, func(s *localdb.Snapshot) error {
		_, _, err := s.State(ctx, keyCursor)
		return err
	})
	if err != nil {
		codes = append(codes, problem.DBRead)
	}
	if a.db.DiskLow(ctx) != nil {
		codes = append(codes, problem.DiskLow)
	}
	return codes
}

// Problems answers ui.Health.
func (a api) Problems(_ context.Context, all bool) ([]problem.Problem, error) {
	if all {
		return a.board.All(), nil
	}
	return a.board.Visible(), nil
}

// Status answers ui.Health.
func (a api) Status(ctx context.Context) (ui.Status, error) {
	st := ui.Status{
		Version: a.cfg.Version, Clinic: a.cfg.Settings.Clinic.Name, StartedAt: a.started, Ready: len(a.Ready(ctx)) == 0, Worst: "ok",
		Codes: []string{}, Worklist: a.list.Len(), DICOM: a.dicom.listening(), AETitle: a.cfg.Settings.DICOM.AETitle,
		SecretFromEnv: !a.cfg.ClientSecret.Empty(), InstallationID: a.secrets.InstallationID(), LastBackupAt: a.newestBackup(),
		Destinations: []ui.Destination{}, LastPollAt: a.core.lastPoll(), LastSweepAt: a.core.lastSweep(),
	}
	for _, p := range a.board.Visible() {
		if st.Worst == "ok" {
			st.Worst = string(p.Severity) // the worst comes first
		}
		st.Codes = append(st.Codes, string(p.Code))
	}
	if a.provet != nil {
		st.ClockSkew = a.provet.ClockSkew().Round(time.Second).String()
	}
	stats, err := a.db.Stats(ctx)
	if err != nil {
		return st, problem.New(problem.DBRead, problem.Args{"reason": "counting failed"}, err)
	}
	st.OrdersByState, st.Hints, st.Unmatched = stateNames(stats.Orders), stats.Hints, stats.OpenArrivals
	st.DatabaseBytes, st.FreeDiskBytes = stats.FileBytes, int64(min(stats.DiskFree, 1<<62))
	for _, d := range stats.Outbox {
		st.Destinations = append(st.Destinations, ui.Destination{
			Name: d.Dest, Paused: !d.PausedAt.IsZero(), Reason: d.PauseReason, Ready: d.Ready, Leased: d.Leased, Parked: d.Parked, OldestAt: d.OldestAt,
		})
	}
	if st.Tunnel, err = a.tunnel.status(ctx); err != nil {
		return st, problem.New(problem.DBRead, problem.Args{"reason": "the inbox cannot be read"}, err)
	}
	if err := a.hl7Status(ctx, &st); err != nil {
		return st, problem.New(problem.DBRead, problem.Args{"reason": "the messages of the RIS cannot be read"}, err)
	}
	a.sentTo(st.RIS, stats.Outbox)
	pending, err := a.PendingMachines(ctx)
	st.Pending = len(pending)
	return st, err
}

// Secrets answers ui.Upkeep.
func (a api) Secrets(context.Context) ([]secret.Info, error) { return a.secrets.List(), nil }

// SetSecret answers ui.Upkeep. A new client secret is used at once.
func (a api) SetSecret(ctx context.Context, name string, value secret.Secret) error {
	if err := a.secrets.Seal(name, value); err != nil {
		return err
	}
	if name == secretProvet && a.provet != nil { // else the address is missing still
		a.board.Clear(problem.ProvetUnconfigured, destProvet)
		signal(a.pollNow)
	}
	if name == secretProxyUser || name == secretProxyPassword {
		signal(a.tunnel.again)
	}
	return a.db.Write(ctx, func(tx *localdb.Tx) error {
		return tx.AddAudit(ctx, localdb.Audit{At: a.cfg.Now(), Who: console, What: "secret set", Detail: name})
	})
}

func (a *Appliance) backupDir() string { return filepath.Join(a.cfg.DataDir, "backups") }

// Backups answers ui.Upkeep.
func (a api) Backups(context.Context) ([]ui.Backup, error) {
	list := []ui.Backup{}
	rows, err := localdb.Backups(a.backupDir())
	for _, b := range rows {
		list = append(list, backupView(b))
	}
	return list, err
}

// CreateBackup answers ui.Upkeep.
func (a api) CreateBackup(ctx context.Context) (ui.Backup, error) {
	b, err := a.db.Backup(ctx)
	if err != nil {
		return ui.Backup{}, err
	}
	a.metrics.BackedUp(a.cfg.Now())
	a.watchBackups()
	return backupView(b), a.db.Write(ctx, func(tx *localdb.Tx) error {
		return tx.AddAudit(ctx, localdb.Audit{At: a.cfg.Now(), Who: console, What: "backup", Detail: filepath.Base(b.Path)})
	})
}

// backupView shows a backup; every listed one passed its check when it was made.
func backupView(b localdb.Info) ui.Backup {
	return ui.Backup{Name: filepath.Base(b.Path), Path: b.Path, CreatedAt: b.CreatedAt, Bytes: b.Size, Good: true, Reason: b.Kind}
}

// ProbeProvet answers ui.Upkeep.
func (a api) ProbeProvet(ctx context.Context) (ui.Probe, error) {
	if a.provet == nil {
		return ui.Probe{}, problem.New(problem.ProvetUnconfigured, problem.Args{"what": "base_url or client_id"}, nil)
	}
	r, err := a.provet.Probe(ctx)
	if err != nil {
		if p := practiceProblem(err); p != nil {
			return ui.Probe{}, p
		}
		return ui.Probe{}, err
	}
	return ui.Probe{Text: r.Text(), TOML: r.TOML()}, nil
}

// SupportFile answers ui.Upkeep.
func (a api) SupportFile(ctx context.Context, w io.Writer) error {
	checks, err := a.Doctor(ctx)
	if err != nil {
		return err
	}
	return support.Write(ctx, w, support.Config{
		Source: a, Version: a.cfg.Version, Settings: a.cfg.Settings, LogPath: a.cfg.LogFile, DataDir: a.cfg.DataDir, Checks: checks,
		DBCheck: func(ctx context.Context) (string, error) {
			if err := a.db.QuickCheck(ctx); err != nil {
				return "", err
			}
			st, err := a.db.Stats(ctx)
			return fmt.Sprintf("quick_check ok\nschema version %d\nfile %d bytes, log %d bytes\n", st.SchemaVersion, st.FileBytes, st.WALBytes), err
		},
		Now: a.cfg.Now,
	})
}
