package appliance

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// Why an event of the tunnel cannot be used, as it is stored.
const (
	spoilHeader      = "header"
	spoilKind        = "kind"
	spoilKey         = "key"
	spoilSeal        = "seal"
	spoilBody        = "body"
	spoilNoOrder     = "no_order"
	spoilTenant      = "tenant"
	spoilPanic       = "panic"
	spoilCredentials = "credentials"
)

// spoilTexts say it to people.
var spoilTexts = map[string]string{
	spoilHeader:      "it is damaged",
	spoilKind:        "it is of a kind that this version does not know",
	spoilKey:         "it was sealed for a computer that was paired before",
	spoilSeal:        "it was changed on its way",
	spoilBody:        "its content is neither a form nor JSON",
	spoilNoOrder:     "it names no order",
	spoilTenant:      "it comes from another organisation of Provet Cloud",
	spoilPanic:       "reading it failed",
	spoilCredentials: "the credentials in it could not be used",
}

// hintReasons are the reasons of the hints that events become.
var hintReasons = map[string]string{wire.KindCreated: "create", wire.KindUpdated: "update", wire.KindDeleted: "delete"}

// verdict is what an event turned out to be.
type verdict struct {
	kind   string
	state  string   // of the inbox
	reason string   // of poison
	orders []string // to look at
}

// reader understands events. It is safe for use by several goroutines; it never
// changes after it was made.
type reader struct {
	clinic wire.ClinicID
	keys   map[string][]byte // private sealing keys by id
	fields provet.Fields
	tenant func(provetID, provetURL string) bool // nil: Provet Cloud is not set up
	log    *slog.Logger
}

// understand opens and reads one event. Whatever is wrong with it is poison,
// never an error: it must not keep what follows from coming.
func (r *reader) understand(e wire.Event) (v verdict) {
	defer func() {
		if p := recover(); p != nil {
			r.log.Error("an event of the tunnel could not be read", panicAttr(p))
			v.state, v.reason, v.orders = localdb.InboxPoison, spoilPanic, nil
		}
	}()
	h, err := wire.ParseHeader(e.Header)
	if err != nil {
		return verdict{state: localdb.InboxPoison, reason: spoilHeader}
	}
	v.kind = clipKind(h.Kind)
	req, err := r.open(h, e)
	if err != nil {
		return v.spoil(openReason(err))
	}
	switch h.Kind {
	case wire.KindCreated, wire.KindUpdated, wire.KindDeleted:
		return r.worklist(v, req)
	case wire.KindTest:
		v.state = localdb.InboxDone // that it came through was the test
		return v
	case wire.KindCredentials:
		v.state = localdb.InboxNew // not in the middle of a transaction
		return v
	}
	return v.spoil(spoilKind)
}

func (v verdict) spoil(reason string) verdict {
	v.state, v.reason = localdb.InboxPoison, reason
	return v
}

// open returns the request of an event.
func (r *reader) open(h wire.EventHeader, e wire.Event) (wire.Request, error) {
	key, ok := r.keys[h.KeyID]
	if h.Seal != 0 && !ok {
		return wire.Request{}, wire.ErrUnknownKey
	}
	return wire.Open(key, h.KeyID, r.clinic, e)
}

func openReason(err error) string {
	switch {
	case errors.Is(err, wire.ErrUnknownKey):
		return spoilKey
	case errors.Is(err, wire.ErrSeal):
		return spoilSeal
	}
	return spoilHeader
}

// worklist reads a webhook of the imaging worklist. What it says is a request to
// look, never data.
func (r *reader) worklist(v verdict, req wire.Request) verdict {
	hook, err := r.fields.ParseWebhook(req.Header["content-type"], req.Body)
	// Another organisation's webhook is named as such even when it has no order.
	foreign := (err == nil || errors.Is(err, provet.ErrWebhookNoOrder)) && r.tenant != nil && !r.tenant(hook.ProvetID, hook.ProvetURL)
	switch {
	case foreign:
		return v.spoil(spoilTenant)
	case errors.Is(err, provet.ErrWebhookNoOrder):
		return v.spoil(spoilNoOrder)
	case err != nil:
		return v.spoil(spoilBody)
	case r.tenant == nil:
		v.state = localdb.InboxNew // until we know whose it must be
		return v
	}
	v.state, v.orders = localdb.InboxDone, append([]string{hook.OrderID}, hook.More...)
	return v
}

// maxKind bounds the kind that is stored of an event.
const maxKind = 64

func clipKind(s string) string { return printable(s[:min(len(s), maxKind)]) }

// understandRest reads what was stored and not understood at once, until ctx
// ends: credentials, and what came while Provet Cloud was not set up.
func (t *tunnel) understandRest(ctx context.Context) error {
	for {
		if err := t.understandNew(ctx); err != nil && ctx.Err() == nil {
			t.log.LogAttrs(ctx, levelOf(err), "an event of the tunnel has to wait", errAttr(err))
		}
		if err := sleepOr(ctx, restEvery, t.wakeEvents); err != nil {
			return err
		}
	}
}

const (
	// restEvery is how often what could not be understood is looked at again.
	restEvery = 5 * time.Minute
	// restPage is how many events are read at once.
	restPage = 100
)

// understandNew goes once over the events that wait.
func (t *tunnel) understandNew(ctx context.Context) error {
	after := int64(0)
	var errs []error
	for {
		var page []localdb.InboxEvent
		if err := t.core.db.Read(ctx, func(s *localdb.Snapshot) (err error) {
			page, err = s.NewInbox(ctx, after, restPage)
			return err
		}); err != nil {
			return err
		}
		for i := range page {
			after = page[i].ID
			if err := t.understandOne(ctx, &page[i]); err != nil {
				errs = append(errs, err)
			}
		}
		if len(page) < restPage || len(errs) > 3 {
			return errors.Join(errs...)
		}
	}
}

// understandOne finishes one event, or leaves it for another time.
func (t *tunnel) understandOne(ctx context.Context, row *localdb.InboxEvent) error {
	r := t.reader()
	if row.Clinic != string(r.clinic) {
		return t.settle(ctx, row, verdict{kind: row.Kind, state: localdb.InboxPoison, reason: spoilKey}, false)
	}
	e := wire.Event{Seq: wire.Seq(row.Seq), ReceivedAt: row.ReceivedAt, Header: row.Header, Body: row.Body}
	v := r.understand(e)
	if v.state != localdb.InboxNew {
		return t.settle(ctx, row, v, false)
	}
	if v.kind != wire.KindCredentials || t.credentials == nil {
		return nil // for another time
	}
	h, err := wire.ParseHeader(e.Header)
	if err != nil {
		return err // understand has read it just now
	}
	req, err := r.open(h, e)
	if err != nil {
		return err
	}
	err = t.credentials(ctx, req)
	switch {
	case errors.Is(err, errCredentialsUnusable):
		v = v.spoil(spoilCredentials)
	case err != nil:
		return err // tried again
	default:
		v.state = localdb.InboxDone
	}
	return t.settle(ctx, row, v, true)
}

// errCredentialsUnusable means that trying the same credentials again is in vain.
var errCredentialsUnusable = errors.New("appliance: the credentials cannot be used")

// settle stores what an event turned out to be, with its hints. wipe removes its
// content.
func (t *tunnel) settle(ctx context.Context, row *localdb.InboxEvent, v verdict, wipe bool) error {
	err := t.core.commit(ctx, func(b *batch) error {
		if v.state == localdb.InboxPoison {
			return b.tx.SpoilInbox(b.ctx, row.ID, v.reason, wipe, b.now)
		}
		if err := b.hintOrders(&v); err != nil {
			return err
		}
		id := ""
		if len(v.orders) > 0 {
			id = v.orders[0]
		}
		return b.tx.FinishInbox(b.ctx, row.ID, id, wipe, b.now)
	})
	if err == nil {
		t.took([]verdict{v})
	}
	return err
}
