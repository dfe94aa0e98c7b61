package localdb

import (
	"context"
	"errors"
	"time"
)

// States of an event of the tunnel.
const (
	InboxNew    = "new"    // stored, not yet understood
	InboxDone   = "done"   // its order is being looked at, or nothing had to be done
	InboxPoison = "poison" // it cannot be used; Reason says why
)

// InboxEvent is an event of the tunnel as it came.
type InboxEvent struct {
	ID          int64
	Clinic      string // the mailbox at the relay
	Epoch       string // of the relay's store
	Seq         int64  // from 1; unique within clinic and epoch
	Kind        string
	ReceivedAt  time.Time // relay's clock, microseconds
	Header      []byte
	Body        []byte
	At          time.Time // when we stored it
	State       string
	Reason      string
	ProvetID    string // the order it is about, once that is known
	ProcessedAt time.Time
}

// An event that comes again changes nothing. Another event under the same
// number, told by its time of receipt, takes the place: a relay that lost its
// newest events may give out numbers again.
const addInbox = `
INSERT INTO inbox(clinic, epoch, seq, kind, received_at, header, body, at, state, reason, provet_id, processed_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
ON CONFLICT(clinic, epoch, seq) DO UPDATE SET
  kind = excluded.kind, received_at = excluded.received_at, header = excluded.header, body = excluded.body, at = excluded.at,
  state = excluded.state, reason = excluded.reason, provet_id = excluded.provet_id, processed_at = excluded.processed_at
WHERE received_at <> excluded.received_at`

// AddInbox stores an event once by clinic, epoch and number. It reports false
// when it was there already. The limits of an event's size are the caller's.
func (tx *Tx) AddInbox(ctx context.Context, e *InboxEvent) (bool, error) {
	header, body := e.Header, e.Body
	if header == nil {
		header = []byte{}
	}
	if body == nil {
		body = []byte{}
	}
	n, err := tx.exec(ctx, addInbox, e.Clinic, e.Epoch, e.Seq, e.Kind, e.ReceivedAt.UnixMicro(), header, body, msNotNull(e.At),
		e.State, e.Reason, e.ProvetID, ms(e.ProcessedAt))
	return n > 0, err
}

const inboxColumns = `id, clinic, epoch, seq, kind, received_at, header, body, at, state, reason, provet_id, processed_at`

func scanInbox(r scanner) (e InboxEvent, err error) {
	var received int64
	err = r.Scan(&e.ID, &e.Clinic, &e.Epoch, &e.Seq, &e.Kind, &received, &e.Header, &e.Body, intoTime{&e.At},
		&e.State, &e.Reason, &e.ProvetID, intoTime{&e.ProcessedAt})
	e.ReceivedAt = time.UnixMicro(received).UTC()
	return e, err
}

const newInbox = `SELECT ` + inboxColumns + ` FROM inbox INDEXED BY inbox_new WHERE state = 'new' AND id > ? ORDER BY id LIMIT ?`

// NewInbox returns up to limit events that were not understood yet, behind the
// one with that id, in the order they came.
func (s *Snapshot) NewInbox(ctx context.Context, after int64, limit int) ([]InboxEvent, error) {
	return all(ctx, s, newInbox, scanInbox, after, limit)
}

const poisonInbox = `SELECT ` + inboxColumns + ` FROM inbox INDEXED BY inbox_poison WHERE state = 'poison' ORDER BY id DESC LIMIT ?`

// PoisonInbox returns up to limit events that cannot be used, newest first.
func (s *Snapshot) PoisonInbox(ctx context.Context, limit int) ([]InboxEvent, error) {
	return all(ctx, s, poisonInbox, scanInbox, limit)
}

// InboxEventBySeq returns one event or ErrNotFound.
func (s *Snapshot) InboxEventBySeq(ctx context.Context, clinic, epoch string, seq int64) (InboxEvent, error) {
	return one(ctx, s, `SELECT `+inboxColumns+` FROM inbox WHERE clinic = ? AND epoch = ? AND seq = ?`, scanInbox, clinic, epoch, seq)
}

// FinishInbox says that a new event was dealt with. provetID is the order it was
// about, if any; wipe removes its content, for what must not stay.
func (tx *Tx) FinishInbox(ctx context.Context, id int64, provetID string, wipe bool, at time.Time) error {
	return tx.settleInbox(ctx, id, InboxDone, "", provetID, wipe, at)
}

// SpoilInbox says that a new event cannot be used, and why.
func (tx *Tx) SpoilInbox(ctx context.Context, id int64, reason string, wipe bool, at time.Time) error {
	return tx.settleInbox(ctx, id, InboxPoison, reason, "", wipe, at)
}

func (tx *Tx) settleInbox(ctx context.Context, id int64, state, reason, provetID string, wipe bool, at time.Time) error {
	text := `UPDATE inbox SET state = ?, reason = ?, provet_id = ?, processed_at = ? WHERE id = ? AND state = 'new'`
	if wipe {
		text = `UPDATE inbox SET state = ?, reason = ?, provet_id = ?, processed_at = ?, header = x'', body = x'' WHERE id = ? AND state = 'new'`
	}
	_, err := tx.exec(ctx, text, state, reason, provetID, msNotNull(at), id)
	return err
}

// InboxStats counts the inbox.
type InboxStats struct {
	New    int
	Poison int // kept for their retention
}

// InboxStats returns how many events wait and how many cannot be used.
func (s *Snapshot) InboxStats(ctx context.Context) (st InboxStats, err error) {
	n, err := one(ctx, s, `SELECT count(*) FROM inbox INDEXED BY inbox_new WHERE state = 'new'`, scanInt)
	if err != nil {
		return st, err
	}
	p, err := one(ctx, s, `SELECT count(*) FROM inbox INDEXED BY inbox_poison WHERE state = 'poison'`, scanInt)
	return InboxStats{New: int(n), Poison: int(p)}, err
}

const trimInbox = `DELETE FROM inbox WHERE id IN (SELECT id FROM inbox WHERE id <= (SELECT max(id) FROM inbox) - ? ORDER BY id LIMIT ?)`

// TrimInbox removes up to batch events that lie more than keep events back,
// oldest first: a flood must not fill the disk before the nightly Purge.
func (tx *Tx) TrimInbox(ctx context.Context, keep, batch int) (int, error) {
	n, err := tx.exec(ctx, trimInbox, keep, batch)
	return int(n), err
}

// TunnelCursor is how far the tunnel has come.
type TunnelCursor struct {
	Clinic     string        // the mailbox it belongs to
	Epoch      string        // of the relay's store; empty: never connected
	Seq        int64         // the last event in the inbox, or in a gap
	ReceivedAt time.Time     // of that event; zero: a gap was last
	Window     time.Duration // spread of a reconnect, as the relay asks for
	Gaps       int64         // holes ever announced
	ChangedAt  time.Time
}

// TunnelCursor returns the cursor; before the first event its Epoch is empty.
func (s *Snapshot) TunnelCursor(ctx context.Context) (TunnelCursor, error) {
	return one(ctx, s, `SELECT clinic, epoch, seq, received_at, window_ms, gaps, changed_at FROM tunnel WHERE id = 1`, func(r scanner) (c TunnelCursor, err error) {
		var received, window int64
		err = r.Scan(&c.Clinic, &c.Epoch, &c.Seq, &received, &window, &c.Gaps, intoTime{&c.ChangedAt})
		if received != 0 {
			c.ReceivedAt = time.UnixMicro(received).UTC()
		}
		c.Window = time.Duration(window) * time.Millisecond
		return c, err
	})
}

// BindTunnel ties the cursor to a mailbox. Another one than before begins
// without a cursor; it reports true then.
func (tx *Tx) BindTunnel(ctx context.Context, clinic string, at time.Time) (bool, error) {
	n, err := tx.exec(ctx, `UPDATE tunnel SET clinic = ?1, epoch = '', seq = 0, received_at = 0, window_ms = 0, gaps = 0, changed_at = ?2
		WHERE id = 1 AND clinic <> ?1`, clinic, msNotNull(at))
	return n > 0, err
}

// Within an epoch the cursor only rises; the time belongs to the number.
const moveTunnel = `
UPDATE tunnel SET epoch = ?1, seq = ?2, received_at = ?3, changed_at = ?4 WHERE id = 1 AND (epoch <> ?1 OR seq < ?2)`

// MoveTunnel moves the cursor to an event, or to the end of a gap (received
// zero). Within an epoch it never goes back.
func (tx *Tx) MoveTunnel(ctx context.Context, epoch string, seq int64, received, at time.Time) error {
	var us int64
	if !received.IsZero() {
		us = received.UnixMicro()
	}
	_, err := tx.exec(ctx, moveTunnel, epoch, seq, us, msNotNull(at))
	return err
}

// SetTunnelWindow keeps the spread of a reconnect that the relay asks for.
func (tx *Tx) SetTunnelWindow(ctx context.Context, w time.Duration) error {
	_, err := tx.exec(ctx, `UPDATE tunnel SET window_ms = ?1 WHERE id = 1 AND window_ms <> ?1`, w.Milliseconds())
	return err
}

// TunnelGap is a hole in what came through the tunnel.
type TunnelGap struct {
	ID       int64
	Clinic   string
	Epoch    string
	From, To int64 // both included
	Reason   string
	At       time.Time
}

// AddTunnelGap records a hole and counts it. The same hole a second time changes
// nothing; it reports false then.
func (tx *Tx) AddTunnelGap(ctx context.Context, g TunnelGap) (bool, error) {
	_, err := one(ctx, tx.Snapshot, `SELECT id FROM tunnel_gap WHERE clinic = ? AND epoch = ? AND from_seq = ? AND to_seq = ? AND reason = ?`,
		scanInt, g.Clinic, g.Epoch, g.From, g.To, g.Reason)
	if !errors.Is(err, ErrNotFound) {
		return false, err
	}
	if _, err := tx.exec(ctx, `INSERT INTO tunnel_gap(clinic, epoch, from_seq, to_seq, reason, at) VALUES (?,?,?,?,?,?)`,
		g.Clinic, g.Epoch, g.From, g.To, g.Reason, msNotNull(g.At)); err != nil {
		return false, err
	}
	_, err = tx.exec(ctx, `UPDATE tunnel SET gaps = gaps + 1 WHERE id = 1`)
	return err == nil, err
}

// TunnelGaps returns up to limit holes, newest first.
func (s *Snapshot) TunnelGaps(ctx context.Context, limit int) ([]TunnelGap, error) {
	return all(ctx, s, `SELECT id, clinic, epoch, from_seq, to_seq, reason, at FROM tunnel_gap ORDER BY id DESC LIMIT ?`, func(r scanner) (g TunnelGap, err error) {
		err = r.Scan(&g.ID, &g.Clinic, &g.Epoch, &g.From, &g.To, &g.Reason, intoTime{&g.At})
		return g, err
	}, limit)
}

const lastInbox = `SELECT processed_at FROM inbox INDEXED BY inbox_done WHERE processed_at IS NOT NULL AND state = 'done' AND provet_id <> ''
ORDER BY processed_at DESC LIMIT 1`

// LastInboxOrder returns when the newest event about an order was dealt with;
// zero when there is none.
func (s *Snapshot) LastInboxOrder(ctx context.Context) (time.Time, error) {
	v, err := one(ctx, s, lastInbox, scanInt)
	if errors.Is(err, ErrNotFound) {
		return time.Time{}, nil
	}
	return fromMS(v), err
}

const poisonSince = `SELECT reason, processed_at FROM inbox INDEXED BY inbox_poison WHERE state = 'poison' AND processed_at >= ? ORDER BY id DESC LIMIT ?`

// Poison counts the events that cannot be used by their reason.
type Poison struct {
	Count map[string]int
	Last  map[string]time.Time // by reason
}

// PoisonSince counts the newest of them, up to limit, that were found since.
func (s *Snapshot) PoisonSince(ctx context.Context, since time.Time, limit int) (Poison, error) {
	p := Poison{Count: map[string]int{}, Last: map[string]time.Time{}}
	_, err := all(ctx, s, poisonSince, func(r scanner) (struct{}, error) {
		var reason string
		var at time.Time
		err := r.Scan(&reason, intoTime{&at})
		p.Count[reason]++
		if at.After(p.Last[reason]) {
			p.Last[reason] = at
		}
		return struct{}{}, err
	}, since.UnixMilli(), limit)
	return p, err
}
