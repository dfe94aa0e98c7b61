package provet

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Triggers of the imaging worklist (webhook_triggers.html).
const (
	TriggerWorklistCreated = 6
	TriggerWorklistUpdated = 7
	TriggerWorklistDeleted = 8
)

// Content types of a webhook.
const (
	hookContentForm = "1"
	hookContentJSON = "2"
)

const (
	maxHookPages = 10 // of the list of webhooks
	maxWanted    = 20
)

// WantedHook is a webhook that should exist in Provet Cloud. The URL is a
// secret: it appears in reports for people, never in logs.
type WantedHook struct {
	Trigger int
	URL     string // absolute, http or https, without user name
	// Name is shown in Provet Cloud, and tells our webhooks from others': it must
	// name this clinic's Rayhound, since another one may use the same relay.
	Name   string
	Former []string // URLs that we had before; a webhook with one of them gets the new URL
	// Enable switches a webhook of ours on again that a person switched off.
	Enable bool
}

// CheckWebhooks is EnsureWebhooks that changes nothing: what is not there is
// reported as HookMissing, what has another URL as HookOutdated.
func (c *Client) CheckWebhooks(ctx context.Context, wanted []WantedHook) (HooksReport, error) {
	return c.hooks(ctx, wanted, false)
}

// EnsureWebhooks makes sure that the wanted webhooks exist in Provet Cloud, one
// per trigger: it lists those that are there, creates what is missing, gives
// those of ours with a former URL the new one, and puts a changed trigger back.
// It never touches a webhook that is not ours. Ours is one with our URL, with a
// former URL, or with our name and a URL of the same relay.
//
// A webhook of ours that a person switched off or limited to a department stays
// so and is reported. Where the integration may not do it, or the names of the
// fields cannot be found out, the report says what to enter by hand.
//
// The error is not nil only when Provet Cloud could not be asked; it is an
// *Error then.
func (c *Client) EnsureWebhooks(ctx context.Context, wanted []WantedHook) (HooksReport, error) {
	return c.hooks(ctx, wanted, true)
}

func (c *Client) hooks(ctx context.Context, wanted []WantedHook, change bool) (HooksReport, error) {
	if len(wanted) > maxWanted {
		return HooksReport{}, &Error{Op: opHook, Resource: resWebhook, Class: Permanent, Detail: "too many webhooks are wanted"}
	}
	for _, w := range wanted {
		if w.Trigger <= 0 || !isAddress(w.URL) {
			return HooksReport{}, &Error{Op: opHook, Resource: resWebhook, Class: Permanent, Detail: "a wanted webhook has no trigger or no URL"}
		}
	}
	r := &hookRun{c: c, wanted: wanted, change: change}
	if err := r.list(ctx); err != nil {
		if !degradable(err) {
			return r.rep, r.clean(asOp(err, opHook))
		}
		r.closed(err)
		return r.rep, nil
	}
	if err := r.names(ctx); err != nil {
		return r.rep, r.clean(asOp(err, opHook))
	}
	for _, w := range wanted {
		res, err := r.one(ctx, w)
		if err != nil {
			return r.rep, r.clean(err)
		}
		r.rep.Hooks = append(r.rep.Hooks, res)
	}
	r.rep.Foreign = len(r.found) - r.ours
	r.rep.Queue = c.hookQueue(ctx)
	return r.rep, nil
}

// hookRow is one webhook of Provet Cloud.
type hookRow struct {
	id  string
	row object
}

// hookRun is one pass over the webhooks.
type hookRun struct {
	c      *Client
	wanted []WantedHook
	change bool
	found  []hookRow
	ours   int
	f      hookFields
	rep    HooksReport
}

// list reads all webhooks.
func (r *hookRun) list(ctx context.Context) error {
	for n := 1; n <= maxHookPages; n++ {
		p, err := r.c.pageOf(ctx, resWebhook, n, pageSize, nil)
		if err != nil {
			return err
		}
		for _, row := range p.rows {
			id := relationTo(resWebhook, row["id"]).ID
			if id == "" {
				id = relationTo(resWebhook, map[string]any(row)).ID
			}
			r.found = append(r.found, hookRow{id: id, row: row})
		}
		if !p.more {
			return nil
		}
	}
	r.rep.Notes = append(r.rep.Notes, "there are more webhooks than were read")
	return nil
}

// closed words that the endpoint as a whole is not open to us.
func (r *hookRun) closed(err error) {
	st, why := HookUnknown, "Provet Cloud does not offer its webhooks to us"
	if isClass(err, Permission) {
		st, why = HookForbidden, "the integration may not see webhooks; permission \""+permissionOf(resWebhook)+"\""
		r.rep.Permission = permissionOf(resWebhook)
	}
	for _, w := range r.wanted {
		r.rep.Hooks = append(r.rep.Hooks, HookResult{Trigger: w.Trigger, Name: w.Name, URL: w.URL, State: st, Detail: why})
	}
}

// one brings one webhook to what is wanted.
func (r *hookRun) one(ctx context.Context, w WantedHook) (HookResult, error) {
	res := HookResult{Trigger: w.Trigger, Name: w.Name, URL: w.URL}
	mine := r.minesOf(w)
	r.ours += len(mine)
	if len(mine) == 0 {
		if !r.change {
			res.State = HookMissing
			return res, nil
		}
		return r.create(ctx, w, res)
	}
	best := mine[0]
	res.ID = best.id
	for _, extra := range mine[1:] {
		r.rep.Notes = append(r.rep.Notes, "the webhook for trigger "+strconv.Itoa(w.Trigger)+" is there more than once (number "+extra.id+" too); every event then comes twice, which does no harm")
	}
	return r.mend(ctx, w, res, best)
}

// minesOf returns our webhooks for w, the best first.
func (r *hookRun) minesOf(w WantedHook) []hookRow {
	rank := func(h hookRow) int {
		url := r.f.text(h.row, r.f.url)
		switch {
		case url == w.URL:
			return 1
		case url != "" && slices.Contains(w.Former, url):
			return 2
		case w.Name != "" && r.f.text(h.row, r.f.name) == cleanLine(w.Name) && sameRelay(url, w.URL) && r.f.value(h.row, r.f.trigger) == strconv.Itoa(w.Trigger):
			return 3
		}
		return 0
	}
	var mine []hookRow
	for _, h := range r.found {
		if rank(h) > 0 && h.id != "" {
			mine = append(mine, h)
		}
	}
	slices.SortStableFunc(mine, func(a, b hookRow) int {
		if n := rank(a) - rank(b); n != 0 {
			return n
		}
		if aOff, bOff := r.f.off(a.row), r.f.off(b.row); aOff != bOff {
			if aOff {
				return 1
			}
			return -1
		}
		return 0
	})
	return mine
}

// mend compares a webhook of ours with what is wanted and changes what differs.
func (r *hookRun) mend(ctx context.Context, w WantedHook, res HookResult, h hookRow) (HookResult, error) {
	patch, what := map[string]any{}, []string{}
	if r.f.text(h.row, r.f.url) != w.URL {
		patch[r.f.url], what = w.URL, append(what, "address")
	}
	if v := h.row[r.f.trigger]; r.f.trigger != "" && v != nil && r.f.value(h.row, r.f.trigger) != strconv.Itoa(w.Trigger) {
		patch[r.f.trigger], what = likeRead(v, strconv.Itoa(w.Trigger)), append(what, "trigger")
	}
	off := r.f.off(h.row)
	if off && w.Enable {
		patch[r.f.active], what, off = r.f.yes(h.row[r.f.active]), append(what, "active"), false
	}
	if r.f.limited(h.row) {
		r.rep.Notes = append(r.rep.Notes, "the webhook for trigger "+strconv.Itoa(w.Trigger)+" is limited to a department; changes in others are found by polling")
	}
	switch {
	case len(patch) > 0 && !r.change:
		res.State, res.Detail = HookOutdated, "to change: "+strings.Join(what, ", ")
		return res, nil
	case len(patch) > 0:
		if _, err := r.send(ctx, http.MethodPatch, h.id, patch); err != nil {
			return r.failed(res, err)
		}
		res.State, res.Detail = HookChanged, strings.Join(what, ", ")
	default:
		res.State = HookOK
	}
	if off {
		res.State, res.Detail = HookDisabled, "a person switched it off in Provet Cloud"
	}
	return res, nil
}

// create makes a webhook and looks whether Provet Cloud shows it as meant.
func (r *hookRun) create(ctx context.Context, w WantedHook, res HookResult) (HookResult, error) {
	if len(r.f.urls) == 0 || r.f.trigger == "" {
		res.State, res.Detail = HookUnknown, "the names of the fields of a webhook are not known"
		return res, nil
	}
	made, err := r.send(ctx, http.MethodPost, "", r.f.body(w))
	if e, ok := asError(err); ok && e.HTTPStatus == http.StatusBadRequest {
		if body, ok := r.f.learn(w, e.fields); ok { // it said which field it wants
			made, err = r.send(ctx, http.MethodPost, "", body)
		}
	}
	if e, ok := asError(err); ok && e.Unknown {
		made, err = r.lookFor(ctx, w, err)
	}
	if err != nil {
		return r.failed(res, err)
	}
	res.ID = relationTo(resWebhook, made["id"]).ID
	if res.ID == "" {
		res.ID = relationTo(resWebhook, map[string]any(made)).ID
	}
	if !r.f.found(made, w.URL) {
		if full, gerr := r.c.get(ctx, resWebhook, res.ID, ""); gerr == nil {
			made = full
		}
	}
	if !r.f.found(made, w.URL) { // it was made without our address: take it away again
		if _, derr := r.send(ctx, http.MethodDelete, res.ID, nil); derr != nil && res.ID != "" {
			r.rep.Notes = append(r.rep.Notes, "remove webhook number "+res.ID+" in Provet Cloud: it was made without an address")
		}
		res.ID, res.State, res.Detail = "", HookUnknown, "the name of the address field of a webhook is not known"
		return res, nil
	}
	r.ours++
	r.found = append(r.found, hookRow{id: res.ID, row: made})
	if r.f.active == "" {
		r.f.active = firstIn(made, r.f.actives)
	}
	if r.f.off(made) {
		if _, err := r.send(ctx, http.MethodPatch, res.ID, map[string]any{r.f.active: r.f.yes(made[r.f.active])}); err != nil {
			return r.failed(res, err)
		}
	}
	res.State = HookCreated
	return res, nil
}

// lookFor reads the list again after a creation whose outcome is unknown.
func (r *hookRun) lookFor(ctx context.Context, w WantedHook, cause error) (object, error) {
	again := &hookRun{c: r.c, wanted: r.wanted}
	if err := again.list(ctx); err != nil {
		return nil, cause
	}
	for _, h := range again.found {
		if r.f.found(h.row, w.URL) {
			return h.row, nil
		}
	}
	return nil, cause
}

func (r *hookRun) send(ctx context.Context, method, id string, body map[string]any) (object, error) {
	k := &call{op: opHook, res: resWebhook, method: method, id: id}
	if body != nil {
		k.body = encode(body)
	}
	v, err := r.c.do(ctx, k)
	o, _ := asObject(v)
	return o, err
}

// failed words a refused change. Failures that pass end the whole run.
func (r *hookRun) failed(res HookResult, err error) (HookResult, error) {
	if !degradable(err) {
		return res, err
	}
	res.State, res.Detail = HookRefused, "Provet Cloud refused it"
	if isClass(err, Permission) {
		res.State, res.Detail = HookForbidden, "the integration may not change webhooks; permission \""+permissionOf(resWebhook)+"\""
		r.rep.Permission = permissionOf(resWebhook)
	} else if e, ok := asError(err); ok && e.Detail != "" {
		res.Detail += ": " + r.hide(e.Detail)
	}
	return res, nil
}

// clean takes our addresses out of an error.
func (r *hookRun) clean(err error) error {
	e, ok := asError(err)
	if !ok || e.Detail == "" {
		return err
	}
	other := *e
	other.Detail = r.hide(e.Detail)
	return &other
}

// hide takes our addresses, which are secrets, out of a text of Provet Cloud's.
func (r *hookRun) hide(s string) string {
	for _, w := range r.wanted {
		for _, u := range append(slices.Clone(w.Former), w.URL) {
			s = strings.ReplaceAll(s, u, "[address]")
			if i := strings.LastIndexByte(strings.TrimRight(u, "/"), '/'); i >= 0 && len(u)-i > 8 {
				s = strings.ReplaceAll(s, strings.Trim(u[i:], "/"), "[secret]")
			}
		}
	}
	return s
}

// hookQueue looks at the newest entries of the delivery queue; nil when it is not
// open to us.
func (c *Client) hookQueue(ctx context.Context) *HookQueue {
	p, err := c.pageOf(ctx, resWebhookQueue, 1, pageSize, nil)
	if err != nil {
		return nil
	}
	q := &HookQueue{Count: p.count, Looked: len(p.rows), ByStatus: map[string]int{}}
	for _, row := range p.rows {
		value, label := scalar(c.fields.value(resWebhookQueue, "status", row))
		if label != "" {
			value = label
		}
		if value != "" && (len(q.ByStatus) < 20 || q.ByStatus[value] > 0) {
			q.ByStatus[value]++
		}
	}
	return q
}
