package command

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/ui"
)

type backupCmd struct {
	Create  backupCreateCmd  `cmd:"" help:"Make a copy now."`
	List    backupListCmd    `cmd:"" help:"List the copies."`
	Restore backupRestoreCmd `cmd:"" help:"Put a copy in the place of the database; the service must be stopped."`
}

type backupCreateCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (backupCreateCmd) Help() string { return "Example:\n\n  rayhound backup create" }

// Run makes a backup.
func (c backupCreateCmd) Run(e *env) error {
	client, err := e.client()
	if err != nil {
		return err
	}
	b, err := client.CreateBackup(e.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return e.json(b)
	}
	e.printf("Wrote %s (%s).\n", first(b.Path, b.Name), bytesText(b.Bytes))
	return nil
}

type backupListCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (backupListCmd) Help() string { return "Example:\n\n  rayhound backup list" }

// Run lists the backups: the service's own list, or that of the folder when no
// service is running.
func (c backupListCmd) Run(e *env) error {
	all, err := e.backups()
	if err != nil {
		return err
	}
	if c.JSON {
		return e.json(all)
	}
	if len(all) == 0 {
		e.printf("There is no backup yet. Make one: rayhound backup create\n")
		return nil
	}
	rows := make([][]string, len(all))
	for i, b := range all {
		state := "good"
		if !b.Good {
			state = strings.TrimSpace("damaged " + b.Reason)
		}
		rows[i] = []string{first(b.Path, b.Name), moment(b.CreatedAt), bytesText(b.Bytes), state}
	}
	e.table([]string{"FILE", "MADE", "SIZE", "STATE"}, rows)
	return nil
}

type backupRestoreCmd struct {
	File string `arg:"" help:"Of rayhound backup list."`
}

// Help shows an example.
func (backupRestoreCmd) Help() string {
	return "The present database is kept in a folder beside. Every open order is read again from Provet Cloud afterwards; " +
		"old unsent reports are parked for review. On another computer the secrets must be set again (RH-507).\n\n" +
		"Example:\n\n  rayhound backup restore /var/lib/rayhound/backups/rayhound-20260131.db"
}

// Run restores a backup.
func (c backupRestoreCmd) Run(e *env) error {
	if _, err := os.Stat(c.File); err != nil {
		return unusable(c.File, err)
	}
	r, err := localdb.Restore(e.ctx, localdb.RestoreConfig{
		File: c.File, Path: filepath.Join(e.dataDir, "rayhound.db"), Who: e.command,
	})
	if err != nil {
		return err
	}
	e.printf("Restored the copy of %s.\n", moment(r.Backup.CreatedAt))
	if r.Aside != "" {
		e.printf("What was there before is in %s.\n", r.Aside)
	}
	if r.Parked > 0 {
		e.printf("%s may have been delivered after the copy was made and wait for your decision: rayhound outbox list --state parked\n", count(r.Parked, "report"))
	}
	e.printf("Start the service; it reads every open order again.\n")
	return nil
}

// backups asks the service, or reads the folder when none is running.
func (e *env) backups() ([]ui.Backup, error) {
	client, err := e.client()
	if err == nil {
		var all []ui.Backup
		if all, err = client.Backups(e.ctx); err == nil {
			return all, nil
		}
	}
	if p := problem.Of(err); p == nil || p.Code != problem.ServiceStopped {
		return nil, err
	}
	folder := filepath.Join(e.dataDir, "backups")
	infos, err := localdb.Backups(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, unusable(folder, err)
	}
	all := make([]ui.Backup, 0, len(infos))
	for _, b := range infos {
		all = append(all, ui.Backup{Name: filepath.Base(b.Path), Path: b.Path, CreatedAt: b.CreatedAt, Bytes: b.Size, Good: true})
	}
	return all, nil
}
