package appliance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/localdb"
)

const (
	upkeepEvery = time.Minute
	// nightly work is done at this local time, or soon after a start that missed it.
	nightHour, nightMinute = 3, 15
	keepAudit              = 365 * 24 * time.Hour
	keepPending            = 90 * 24 * time.Hour
	backupTooOld           = 48 * time.Hour
	skewTooLarge           = 2 * time.Minute
	// firstCheck is how long after the start the database is checked: not at
	// once, because the check reads the whole file and machines wait.
	firstCheck = 30 * time.Second
)

// keyNight remembers the day of the last nightly work.
const keyNight = "upkeep.night"

// upkeep watches disk, clock and backups, and does the nightly work, until ctx
// ends.
func (a *Appliance) upkeep(ctx context.Context) error {
	if err := sleepOr(ctx, firstCheck, nil); err != nil {
		return err
	}
	a.checkDatabase(ctx)
	for {
		a.watchDisk(ctx)
		a.watchClock()
		a.watchBackups()
		if err := a.night(ctx); err != nil && ctx.Err() == nil {
			a.log.LogAttrs(ctx, levelOf(err), "nightly work failed", errAttr(err))
		}
		if err := sleepOr(ctx, upkeepEvery, nil); err != nil {
			return err
		}
	}
}

// checkDatabase runs SQLite's own check; damage is a problem that stays.
func (a *Appliance) checkDatabase(ctx context.Context) {
	err := a.db.QuickCheck(ctx)
	switch {
	case err == nil:
		a.board.Clear(problem.DBDamaged, "")
	case ctx.Err() == nil:
		a.board.Raise(problem.DBDamaged, "", problem.Args{"detail": "the quick check failed"})
		a.log.LogAttrs(ctx, slog.LevelError, "the database did not pass its check", errAttr(err))
	}
}

func (a *Appliance) watchDisk(ctx context.Context) {
	err := a.db.DiskLow(ctx)
	if p := problem.Of(err); p != nil {
		a.board.Raise(p.Code, "", p.Args)
		return
	}
	a.board.Clear(problem.DiskLow, "")
}

func (a *Appliance) watchClock() {
	if a.provet == nil {
		return
	}
	skew := a.provet.ClockSkew()
	if skew.Abs() < skewTooLarge {
		a.board.Clear(problem.ClockSkew, "")
		return
	}
	a.board.Raise(problem.ClockSkew, "", problem.Args{"skew": skew.Round(time.Second).String()})
}

func (a *Appliance) watchBackups() {
	newest := a.newestBackup()
	reference := newest
	if reference.IsZero() {
		reference = a.started // a new installation has two days to make its first
	}
	if a.cfg.Now().Sub(reference) < backupTooOld {
		a.board.Clear(problem.BackupOld, "")
		return
	}
	since := "never"
	if !newest.IsZero() {
		since = newest.In(a.core.zone).Format(time.DateTime)
	}
	a.board.Raise(problem.BackupOld, "", problem.Args{"since": since})
}

func (a *Appliance) newestBackup() (newest time.Time) {
	list, err := localdb.Backups(a.backupDir())
	if err != nil {
		return newest
	}
	for _, b := range list {
		if b.CreatedAt.After(newest) {
			newest = b.CreatedAt
		}
	}
	return newest
}

// night backs up, checks and purges, once a day.
func (a *Appliance) night(ctx context.Context) error {
	now := a.cfg.Now().In(a.core.zone)
	today := now.Format(time.DateOnly)
	var last string
	err := a.db.Read(ctx, func(s *localdb.Snapshot) error {
		var err error
		last, _, err = s.State(ctx, keyNight)
		return err
	})
	if err != nil || last == today || now.Hour() < nightHour || now.Hour() == nightHour && now.Minute() < nightMinute {
		return err
	}
	// The day is noted first: work that fails is told by its problem, and not
	// repeated every minute on a disk that is full.
	if err := a.db.Write(ctx, func(tx *localdb.Tx) error { return tx.SetState(ctx, keyNight, today) }); err != nil {
		return err
	}
	var errs []error
	if _, err := a.db.Backup(ctx); err != nil {
		errs = append(errs, fmt.Errorf("backup: %w", err))
	} else {
		a.metrics.BackedUp(a.cfg.Now())
	}
	a.checkDatabase(ctx)
	if a.core.clockWrong() {
		return errors.Join(errs...) // ages that are not real must not delete anything
	}
	keep := a.cfg.Settings.Retention
	if _, err := a.db.Purge(ctx, localdb.PurgePolicy{
		Orders: keep.Orders.D(), Raw: keep.RawMessages.D(), Audit: keepAudit, Pending: keepPending, Problems: keepPending,
	}); err != nil {
		errs = append(errs, fmt.Errorf("purge: %w", err))
	}
	if err := a.db.Optimize(ctx); err != nil {
		errs = append(errs, fmt.Errorf("optimize: %w", err))
	}
	return errors.Join(errs...)
}

const (
	// reportStuck is how long a report may wait before a person hears of it.
	reportStuck = 15 * time.Minute
	// outboxDeep is how many may wait for one destination before a person does,
	// however young they are.
	outboxDeep = 200
)

// gaugesEvery is how often the gauges are read; counting is cheap, but not free.
const gaugesEvery = 15 * time.Second

// gauges keeps the numbers of /metrics, and the problems that come from numbers.
func (a *Appliance) gauges(ctx context.Context) error {
	for {
		if err := a.gaugesOnce(ctx); err != nil && ctx.Err() == nil {
			a.log.LogAttrs(ctx, levelOf(err), "reading the gauges failed", errAttr(err))
		}
		if err := sleepOr(ctx, gaugesEvery, nil); err != nil {
			return err
		}
	}
}

func (a *Appliance) gaugesOnce(ctx context.Context) error {
	now := a.cfg.Now()
	err := a.db.Read(ctx, func(s *localdb.Snapshot) error {
		open, err := s.CountOrders(ctx)
		if err != nil {
			return err
		}
		a.metrics.SetOrders(stateNames(open))
		out, err := s.OutboxStats(ctx)
		if err != nil {
			return err
		}
		a.outboxProblems(out, now)
		n, _, err := s.OpenArrivals(ctx)
		a.metrics.SetUnmatched(n)
		return err
	})
	if err == nil {
		err = a.core.overdueAcks(ctx)
	}
	a.metrics.SetWorklist(a.list.Len())
	a.metrics.SetAssociations(a.dicom.server.Stats().Open)
	byCode := map[string]int{}
	for _, p := range a.board.All() {
		byCode[string(p.Code)]++
	}
	a.metrics.SetProblems(byCode)
	return err
}

// outboxProblems shows what the queues say: pauses, parked reports, old ones.
func (a *Appliance) outboxProblems(stats []localdb.OutboxStats, now time.Time) {
	for _, d := range stats {
		age := time.Duration(0)
		if !d.OldestAt.IsZero() {
			age = now.Sub(d.OldestAt)
		}
		a.metrics.SetOutbox(d.Dest, d.Ready, d.Leased, d.Parked, age)
		if waiting := d.Ready + d.Leased + d.Parked; waiting >= outboxDeep {
			a.board.Raise(problem.OutboxDeep, d.Dest, problem.Args{"dest": d.Dest, "count": fmt.Sprint(waiting)})
		} else {
			a.board.Clear(problem.OutboxDeep, d.Dest)
		}
		if strings.HasPrefix(d.Dest, risPrefix) {
			a.risProblems(d, age)
			continue
		}
		if !d.PausedAt.IsZero() {
			a.showPaused(d.Dest, d.PauseReason, d.PausedAt)
		}
		if waiting := d.Ready + d.Leased; waiting > 0 && age > reportStuck {
			a.board.RaiseSince(problem.ReportStuck, d.Dest, problem.Args{
				"count": fmt.Sprint(waiting), "since": d.OldestAt.In(a.core.zone).Format(time.DateTime),
			}, d.OldestAt)
		} else {
			a.board.Clear(problem.ReportStuck, d.Dest)
		}
	}
}

func stateNames(counts map[order.State]int) map[string]int {
	out := map[string]int{}
	for _, s := range order.States() {
		out[string(s)] = counts[s]
	}
	return out
}
