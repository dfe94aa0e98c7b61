package appliance

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/tunnel/wire"
)

const (
	hooksEvery = 24 * time.Hour   // the daily look
	hooksSoon  = 6 * time.Hour    // when something is missing still
	hooksRetry = 10 * time.Minute // when Provet Cloud could not be asked
	// formerKept is how many earlier addresses of a kind are remembered.
	formerKept = 5
	// hooksOf is the subject of the problems of webhooks.
	hooksOf = "webhooks"
)

// triggers are the kinds of addresses that become webhooks, with the trigger of
// Provet Cloud and the word in their name.
var triggers = []struct {
	kind    string
	trigger int
	word    string
}{
	{wire.KindCreated, provet.TriggerWorklistCreated, "order created"},
	{wire.KindUpdated, provet.TriggerWorklistUpdated, "order changed"},
	{wire.KindDeleted, provet.TriggerWorklistDeleted, "order deleted"},
}

// webhooks watches our webhooks in Provet Cloud.
type webhooks struct {
	wake chan struct{} // size 1: the addresses may have changed

	mu     sync.Mutex
	clinic wire.ClinicID
	urls   []wire.InboundURL // none while no relay is paired
	last   *provet.HooksReport
	at     time.Time // of last

	run sync.Mutex // one pass at a time
}

// webhookAddresses hears of the addresses at the relay, after every pairing and
// at the start.
func (a *Appliance) webhookAddresses(clinic wire.ClinicID, urls []wire.InboundURL) {
	a.webhooks.mu.Lock()
	a.webhooks.clinic, a.webhooks.urls = clinic, slices.Clone(urls)
	a.webhooks.mu.Unlock()
	signal(a.webhooks.wake)
}

// watchWebhooks sets our webhooks up after pairing and looks after them daily,
// until ctx ends.
func (a *Appliance) watchWebhooks(ctx context.Context) error {
	for {
		wait := hooksEvery
		rep, ok, err := a.registerWebhooks(ctx, false)
		switch {
		case err != nil:
			if ctx.Err() != nil {
				return ctx.Err()
			}
			a.log.LogAttrs(ctx, levelOf(err), "the webhooks could not be looked at", errAttr(err))
			wait = hooksRetry
		case ok && !rep.OK():
			wait = hooksSoon
		}
		if err := sleepOr(ctx, wait, a.webhooks.wake); err != nil {
			return err
		}
	}
}

// registerWebhooks makes sure that our webhooks are there and shows what is
// missing. enable switches on again what a person switched off. ok is false when
// there is nothing to register.
func (a *Appliance) registerWebhooks(ctx context.Context, enable bool) (rep provet.HooksReport, ok bool, err error) {
	a.webhooks.run.Lock()
	defer a.webhooks.run.Unlock()
	wanted, err := a.wantedWebhooks(enable, true)
	if err != nil || len(wanted) == 0 {
		if err == nil {
			a.clearWebhooks()
		}
		return rep, false, err
	}
	if rep, err = a.provet.EnsureWebhooks(ctx, wanted); err != nil {
		return rep, false, err
	}
	a.core.showPermissions()
	a.showWebhooks(&rep)
	a.webhooks.mu.Lock()
	a.webhooks.last, a.webhooks.at = &rep, a.cfg.Now()
	a.webhooks.mu.Unlock()
	return rep, true, a.noteWebhooks(ctx, &rep)
}

// wantedWebhooks returns the webhooks that should exist; none while no relay is
// paired or Provet Cloud is not set up. remember seals their addresses first, so
// that ours are known as ours after the next change of addresses.
func (a *Appliance) wantedWebhooks(enable, remember bool) ([]provet.WantedHook, error) {
	a.webhooks.mu.Lock()
	clinic, urls := a.webhooks.clinic, a.webhooks.urls
	a.webhooks.mu.Unlock()
	if a.provet == nil || len(urls) == 0 {
		return nil, nil
	}
	known, _, err := openJSON[map[string][]string](a.secrets, secretWebhooks)
	if err != nil {
		a.log.LogAttrs(context.Background(), slog.LevelWarn, "the former webhook addresses cannot be read", errAttr(err))
	}
	if known == nil {
		known = map[string][]string{}
	}
	var wanted []provet.WantedHook
	changed := false
	for _, t := range triggers {
		i := slices.IndexFunc(urls, func(u wire.InboundURL) bool { return u.Kind == t.kind })
		if i < 0 {
			continue
		}
		now := urls[i].URL
		if list := known[t.kind]; len(list) == 0 || list[0] != now {
			list = slices.DeleteFunc(slices.Clone(list), func(u string) bool { return u == now })
			list = slices.Insert(list, 0, now)
			known[t.kind], changed = list[:min(len(list), formerKept+1)], true
		}
		wanted = append(wanted, provet.WantedHook{
			Trigger: t.trigger, URL: now, Name: fmt.Sprintf("Rayhound %s %s", shortClinic(clinic), t.word), Former: known[t.kind][1:], Enable: enable,
		})
	}
	if changed && remember {
		return wanted, sealJSON(a.secrets, secretWebhooks, known)
	}
	return wanted, nil
}

// shortClinic is enough of a clinic's id to tell its webhooks from another's.
func shortClinic(c wire.ClinicID) string {
	s := printable(string(c))
	return s[:min(len(s), 12)]
}

// showWebhooks puts on the board what is missing, without addresses: those are
// secrets.
func (a *Appliance) showWebhooks(rep *provet.HooksReport) {
	if missing := rep.Manual(); len(missing) > 0 {
		reason := fmt.Sprintf("%d of %d webhooks are missing", len(missing), len(rep.Hooks))
		if d := missing[0].Detail; d != "" {
			reason += ", " + printable(d)
		}
		a.board.Raise(problem.WebhooksMissing, hooksOf, problem.Args{"reason": reason})
	} else {
		a.board.Clear(problem.WebhooksMissing, hooksOf)
	}
	if off := rep.Disabled(); len(off) > 0 {
		a.board.Raise(problem.WebhooksDisabled, hooksOf, problem.Args{"count": fmt.Sprint(len(off))})
	} else {
		a.board.Clear(problem.WebhooksDisabled, hooksOf)
	}
}

func (a *Appliance) clearWebhooks() {
	a.board.Clear(problem.WebhooksMissing, hooksOf)
	a.board.Clear(problem.WebhooksDisabled, hooksOf)
}

// noteWebhooks writes what was changed in Provet Cloud into the audit.
func (a *Appliance) noteWebhooks(ctx context.Context, rep *provet.HooksReport) error {
	var lines []localdb.Audit
	for _, h := range rep.Hooks {
		if h.State == provet.HookCreated || h.State == provet.HookChanged {
			lines = append(lines, localdb.Audit{
				At: a.cfg.Now(), Who: "rayhound", What: "webhook " + string(h.State), Detail: fmt.Sprintf("trigger %d, number %s", h.Trigger, printable(h.ID)),
			})
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return a.db.Write(ctx, func(tx *localdb.Tx) error {
		for _, l := range lines {
			if err := tx.AddAudit(ctx, l); err != nil {
				return err
			}
		}
		return nil
	})
}
