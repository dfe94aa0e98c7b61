package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/secret"
	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relayd"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// checkPost compares what was answered 200 with what the relay keeps and with
// the program's inbox.
func (t *trial) checkPost(ctx context.Context, db *localdb.DB) error {
	clinic, keys, err := t.sealingKeys()
	if err != nil {
		return err
	}
	events, mailbox, err := t.post.events(ctx, clinic)
	if err != nil {
		return err
	}
	return db.Read(ctx, func(s *localdb.Snapshot) error {
		x := &postCheck{t: t, s: s, clinic: clinic, epoch: mailbox.StoreEpoch, keys: keys, relayed: events, removed: mailbox.RemovedTo, seen: map[int]wire.Seq{}}
		return x.run(ctx, mailbox)
	})
}

// postCheck is the comparison.
type postCheck struct {
	t       *trial
	s       *localdb.Snapshot
	clinic  wire.ClinicID
	epoch   wire.StoreEpoch
	keys    map[string][]byte
	relayed map[wire.Seq]relay.Event
	removed wire.Seq         // what the relay does not hold any more
	seen    map[int]wire.Seq // posting -> its number at the relay
}

func (x *postCheck) run(ctx context.Context, m relay.Claim) error {
	gaps, err := x.s.TunnelGaps(ctx, 10)
	if err != nil {
		return err
	}
	for _, g := range gaps {
		x.t.book.violate("gap: %d to %d: %s", g.From, g.To, g.Reason)
	}
	cursor, err := x.s.TunnelCursor(ctx)
	if err != nil {
		return err
	}
	if cursor.Seq != int64(m.Head) || cursor.Epoch != string(m.StoreEpoch) {
		x.t.book.violate("webhook lost: the program has %d events (%s), the relay %d (%s)", cursor.Seq, cursor.Epoch, m.Head, m.StoreEpoch)
	}
	posted := x.t.post.postings()
	for seq := wire.Seq(1); seq <= max(m.Head, wire.Seq(cursor.Seq))+100; seq++ {
		if err := x.event(ctx, seq, posted); err != nil {
			return err
		}
	}
	f := &x.t.figures
	f.tries = len(posted)
	for n, p := range posted {
		_, there := x.seen[n]
		switch {
		case p.stored && !there:
			x.t.book.violate("webhook lost: %d, about order %s, was answered 200 and is not in the inbox", n, p.orderID)
		case p.stored:
			f.stored++
		case there:
			f.early++
		}
	}
	return nil
}

// event looks at one number of the mailbox on both sides.
func (x *postCheck) event(ctx context.Context, seq wire.Seq, posted []posting) error {
	at, there := x.relayed[seq]
	e, err := x.s.InboxEventBySeq(ctx, string(x.clinic), string(x.epoch), int64(seq))
	switch {
	case errors.Is(err, localdb.ErrNotFound):
		if there {
			x.t.book.violate("webhook lost: event %d of the relay is not in the inbox", seq)
		}
		return nil
	case err != nil:
		return err
	case !there && seq <= x.removed:
	case !there:
		x.t.book.violate("webhook doubled: event %d of the inbox is not at the relay", seq)
	case !bytes.Equal(at.Header, e.Header) || !bytes.Equal(at.Body, e.Body) || !at.ReceivedAt.Equal(e.ReceivedAt):
		x.t.book.violate("webhook: event %d of the inbox is another one than at the relay", seq)
	}
	x.t.figures.events++
	n, err := x.posting(e)
	if err != nil {
		x.t.book.violate("webhook: event %d: %v", seq, err)
		return nil
	}
	if before, again := x.seen[n]; again {
		x.t.book.violate("webhook doubled: %d is event %d and %d", n, before, seq)
	}
	x.seen[n] = seq
	switch {
	case n < 0 || n >= len(posted):
		x.t.book.violate("webhook doubled: event %d was never posted", seq)
	case e.State != localdb.InboxDone || e.ProvetID != posted[n].orderID || e.ProcessedAt.IsZero():
		x.t.book.violate("webhook: event %d is not about order %s: %s %s %s", seq, posted[n].orderID, e.State, e.Reason, e.ProvetID)
	default:
		if at, ok := x.t.looks.Load(e.ProvetID); !ok || at.(time.Time).Before(e.At) {
			x.t.book.violate("webhook: event %d made nobody look at order %s", seq, e.ProvetID)
		}
	}
	return nil
}

// checkAcks asks, after a kill, whether the relay was told of more than the
// program has. The relay writes what it was told within a second.
func (t *trial) checkAcks(ctx context.Context) {
	db, err := localdb.Open(ctx, localdb.Config{Path: filepath.Join(t.dataDir, "rayhound.db"), Version: "killtest"})
	if err != nil {
		t.book.violate("database: it does not open: %v", err)
		return
	}
	var cursor localdb.TunnelCursor
	err = db.Read(ctx, func(s *localdb.Snapshot) (err error) {
		cursor, err = s.TunnelCursor(ctx)
		return err
	})
	_ = db.Close()     // it was only read
	t.calm.Store(true) // what people do meanwhile waits for the next start
	pause(ctx, 1200*time.Millisecond)
	t.calm.Store(false)
	if ctx.Err() != nil {
		return
	}
	store, serr := relayd.OpenStore(ctx, relayStore, t.post.dataDir, quietly)
	if err := errors.Join(err, serr); err != nil {
		t.book.violate("post: %v", err)
		return
	}
	defer func() { _ = store.Close() }() // it was only read
	m, err := store.Mailbox(ctx, wire.ClinicID(cursor.Clinic))
	switch {
	case err != nil:
		t.book.violate("post: %v", err)
	case int64(m.Acked) > cursor.Seq:
		t.book.violate("webhook lost: event %d was acknowledged, the inbox ends with %d", m.Acked, cursor.Seq)
	}
	t.figures.ackChecks++
}

// posting opens an event and returns the number that its webhook had.
func (x *postCheck) posting(e localdb.InboxEvent) (int, error) {
	h, err := wire.ParseHeader(e.Header)
	if err != nil {
		return 0, err
	}
	r, err := wire.Open(x.keys[h.KeyID], h.KeyID, x.clinic, wire.Event{Seq: wire.Seq(e.Seq), ReceivedAt: e.ReceivedAt, Header: e.Header, Body: e.Body})
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(r.Header[strings.ToLower(postHeader)])
}

// events reads the clinic's mailbox at the relay.
func (p *post) events(ctx context.Context, clinic wire.ClinicID) (map[wire.Seq]relay.Event, relay.Claim, error) {
	store, err := relayd.OpenStore(ctx, relayStore, p.dataDir, quietly)
	if err != nil {
		return nil, relay.Claim{}, err
	}
	defer func() { _ = store.Close() }() // it was only read
	m, err := store.Mailbox(ctx, clinic)
	if err != nil {
		return nil, m, err
	}
	all := map[wire.Seq]relay.Event{}
	for last := m.RemovedTo; ; {
		list, err := store.After(ctx, clinic, last, 1000, 8<<20)
		if err != nil {
			return nil, m, err
		}
		if len(list) == 0 {
			return all, m, nil
		}
		for _, e := range list {
			all[e.Seq], last = e, e.Seq
		}
	}
}

// sealingKeys returns the clinic's number at the relay and the keys that open
// its events, by id.
func (t *trial) sealingKeys() (wire.ClinicID, map[string][]byte, error) {
	s, err := secret.NewStore(secret.Config{Dir: t.dataDir})
	if err != nil {
		return "", nil, err
	}
	v, err := s.Open("tunnel.credentials")
	if err != nil {
		return "", nil, err
	}
	var p struct {
		ClinicID wire.ClinicID `json:"clinic_id"`
		Sealing  map[string]struct {
			Private []byte `json:"private"`
		} `json:"sealing"`
	}
	if err := json.Unmarshal([]byte(v.Reveal()), &p); err != nil {
		return "", nil, fmt.Errorf("the pairing: %w", err)
	}
	keys := map[string][]byte{}
	for id, k := range p.Sealing {
		keys[id] = k.Private
	}
	return p.ClinicID, keys, nil
}
