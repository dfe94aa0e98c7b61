package localdb

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The states of an outbox entry.
const (
	Ready   = "ready"   // waits for NextAt
	Leased  = "leased"  // is being sent
	Done    = "done"    // accepted
	Parked  = "parked"  // needs a person
	Dropped = "dropped" // given up by a person, or made pointless by a later event
)

// unsent is the condition of the partial index outbox_open, to the letter.
const unsent = `state IN ('ready','leased','parked')`

// OutboxEntry is something we owe a destination. Entries of one order to one
// destination leave in the order of their ids and never overtake each other; a
// parked one holds up the later ones.
type OutboxEntry struct {
	ID       int64
	OrderID  int64
	Dest     string // provet, ris:NAME
	Kind     string
	Payload  []byte // what to send, message id included; empty after its retention
	IdemKey  string // a second entry with the same key is not added
	State    string
	Attempts int

	NextAt    time.Time
	GiveUpAt  time.Time
	CreatedAt time.Time
	DoneAt    time.Time // done or dropped

	LastCode   string
	LastText   string
	LeaseToken string // set by Lease; proof for Finish, Retry, Park and Abandon
	LeaseUntil time.Time
	Accession  string // of the order; read only

	Unit   string // what of the order it is about; see Told
	Before string // what was told before it, as its maker wrote it
	Unsure bool   // the peer may have taken it, although no answer said so; read only
}

// Attempt is one try to send an entry.
type Attempt struct {
	ID       int64
	EntryID  int64
	At       time.Time
	Duration time.Duration
	Outcome  string // stable word: accepted, transient, destination, permanent ...
	Code     string // problem code, or the peer's answer
	Text     string // for people; no personal data
}

// Enqueue adds an entry and reports whether it did: an entry with the same
// IdemKey is there already otherwise. A zero NextAt is CreatedAt.
func (tx *Tx) Enqueue(ctx context.Context, e OutboxEntry) (bool, error) {
	if e.NextAt.IsZero() {
		e.NextAt = e.CreatedAt
	}
	if e.Payload == nil {
		e.Payload = []byte{}
	}
	n, err := tx.exec(ctx, `
		INSERT INTO outbox(order_id, dest, kind, payload, idem_key, next_at, give_up_at, created_at, unit, before) VALUES (?,?,?,?,?,?,?,?,?,?)
		ON CONFLICT(idem_key) DO NOTHING`,
		e.OrderID, e.Dest, e.Kind, e.Payload, e.IdemKey, msNotNull(e.NextAt), msNotNull(e.GiveUpAt), msNotNull(e.CreatedAt),
		e.Unit, e.Before)
	return n > 0, err
}

const lease = `
UPDATE outbox SET state='leased', lease_until=?1, lease_token=?2, attempts=attempts+1
 WHERE id = (
   SELECT o.id FROM outbox o INDEXED BY outbox_due
    WHERE o.dest=?3 AND o.state='ready' AND o.next_at<=?4
      AND NOT EXISTS (SELECT 1 FROM outbox p INDEXED BY outbox_open
                       WHERE p.dest=o.dest AND p.order_id=o.order_id AND p.id<o.id
                         AND p.state IN ('ready','leased','parked'))
    ORDER BY o.next_at, o.id LIMIT 1)
RETURNING id`

// Lease takes the entry of a destination that has been due longest, or returns
// nil: nothing is due, or the destination is paused or held. Until the entry is
// finished, retried, parked or abandoned with its LeaseToken nobody else gets
// it, and nobody gets a later one of the same order. until must be later than
// the longest send.
func (tx *Tx) Lease(ctx context.Context, dest string, now, until time.Time) (*OutboxEntry, error) {
	list, err := tx.LeaseSome(ctx, dest, now, until, 1)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

// LeaseSome is Lease for up to most entries, each of another order. While a
// destination fails it gives out one at a time.
func (tx *Tx) LeaseSome(ctx context.Context, dest string, now, until time.Time, most int) ([]*OutboxEntry, error) {
	d, err := tx.Destination(ctx, dest)
	if err != nil || !d.PausedAt.IsZero() || d.HoldUntil.After(now) {
		return nil, err
	}
	if d.Failures > 0 {
		most = 1
	}
	var list []*OutboxEntry
	for range most {
		e, err := tx.leaseOne(ctx, dest, now, until)
		if err != nil || e == nil {
			return list, err
		}
		list = append(list, e)
	}
	return list, nil
}

func (tx *Tx) leaseOne(ctx context.Context, dest string, now, until time.Time) (*OutboxEntry, error) {
	token := make([]byte, 16)
	if _, err := rand.Read(token); err != nil {
		return nil, fmt.Errorf("localdb: %w", err)
	}
	id, err := one(ctx, tx.Snapshot, lease, scanInt, msNotNull(until), hex.EncodeToString(token), dest, msNotNull(now))
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return tx.OutboxEntry(ctx, id)
}

// settle moves a leased entry on and writes down the attempt. It reports false
// when the lease was lost: the result is to be thrown away.
func (tx *Tx) settle(ctx context.Context, id int64, token string, a Attempt, set string, args ...any) (bool, error) {
	args = append(args, orNull(a.Code), orNull(a.Text), id, token)
	n, err := tx.exec(ctx, `UPDATE outbox SET `+set+`, last_code=?, last_text=?, lease_until=NULL, lease_token=NULL
		WHERE id=? AND lease_token=? AND state='leased'`, args...)
	if err != nil || n == 0 {
		return false, err
	}
	_, err = tx.exec(ctx, `INSERT INTO attempt(outbox_id, at, ms, outcome, code, text) VALUES (?,?,?,?,?,?)`,
		id, msNotNull(a.At), a.Duration.Milliseconds(), a.Outcome, orNull(a.Code), orNull(a.Text))
	return true, err
}

// Finish records that a leased entry was accepted. It reports false when the
// lease was lost.
func (tx *Tx) Finish(ctx context.Context, id int64, token string, a Attempt, doneAt time.Time) (bool, error) {
	return tx.settle(ctx, id, token, a, `state='done', done_at=?`, msNotNull(doneAt))
}

// Retry puts a leased entry back until nextAt. It reports false when the lease
// was lost.
func (tx *Tx) Retry(ctx context.Context, id int64, token string, a Attempt, nextAt time.Time) (bool, error) {
	return tx.settle(ctx, id, token, a, `state='ready', next_at=?`, msNotNull(nextAt))
}

// Park sets a leased entry aside for a person. It reports false when the lease
// was lost.
func (tx *Tx) Park(ctx context.Context, id int64, token string, a Attempt) (bool, error) {
	return tx.settle(ctx, id, token, a, `state='parked'`)
}

// Abandon drops a leased entry that turned out to be pointless. It reports
// false when the lease was lost.
func (tx *Tx) Abandon(ctx context.Context, id int64, token string, a Attempt, at time.Time) (bool, error) {
	return tx.settle(ctx, id, token, a, `state='dropped', done_at=?`, msNotNull(at))
}

// Unlease puts a leased entry back that was not tried after all. It reports
// false when the lease was lost.
func (tx *Tx) Unlease(ctx context.Context, id int64, token string) (bool, error) {
	n, err := tx.exec(ctx, `UPDATE outbox SET state='ready', attempts=attempts-1, lease_until=NULL, lease_token=NULL
		WHERE id=? AND lease_token=? AND state='leased'`, id, token)
	return n > 0, err
}

// MarkUnsure notes that the peer may have taken an entry although no answer
// said so. It stays noted.
func (tx *Tx) MarkUnsure(ctx context.Context, id int64) error {
	_, err := tx.exec(ctx, `UPDATE outbox SET unsure=1 WHERE id=?`, id)
	return err
}

// Drop gives up an entry that waits or is parked. It reports false for any
// other: one that is being sent has an unknown outcome.
func (tx *Tx) Drop(ctx context.Context, id int64, reason string, at time.Time) (bool, error) {
	n, err := tx.exec(ctx, `UPDATE outbox SET state='dropped', done_at=?, last_text=? WHERE id=? AND state IN ('ready','parked')`,
		msNotNull(at), reason, id)
	return n > 0, err
}

// DropUnsent drops what an order still owes a destination and is not being sent
// just now, of these kinds or, without any, of all. It returns how many.
func (tx *Tx) DropUnsent(ctx context.Context, orderID int64, dest, reason string, at time.Time, kinds ...string) (int, error) {
	q := `UPDATE outbox SET state='dropped', done_at=?, last_text=? WHERE dest=? AND order_id=? AND state IN ('ready','parked')`
	args := []any{msNotNull(at), reason, dest, orderID}
	if len(kinds) > 0 {
		q += ` AND kind IN (?` + strings.Repeat(`,?`, len(kinds)-1) + `)`
		for _, k := range kinds {
			args = append(args, k)
		}
	}
	n, err := tx.exec(ctx, q, args...)
	return int(n), err
}

const releaseLeases = `
UPDATE outbox INDEXED BY outbox_leased SET state='ready', lease_until=NULL, lease_token=NULL, unsure=1 WHERE state='leased'`

// ReleaseLeases makes every leased entry ready again. It is called once at
// start: what was in flight has an unknown outcome and is sent again, same
// bytes, same id.
func (tx *Tx) ReleaseLeases(ctx context.Context) (int, error) {
	n, err := tx.exec(ctx, releaseLeases)
	return int(n), err
}

// ReleaseLeasesOf is ReleaseLeases for one destination.
func (tx *Tx) ReleaseLeasesOf(ctx context.Context, dest string) (int, error) {
	n, err := tx.exec(ctx, releaseLeases+` AND dest = ?`, dest)
	return int(n), err
}

// ExpireLeases makes entries ready again whose lease has run out.
func (tx *Tx) ExpireLeases(ctx context.Context, now time.Time) (int, error) {
	n, err := tx.exec(ctx, releaseLeases+` AND lease_until <= ?`, msNotNull(now))
	return int(n), err
}

// RetryNow makes an entry due: a parked one gets a new time to give up at, a
// waiting one keeps its own. The back-off of the destination ends. It reports
// false when the entry is neither.
func (tx *Tx) RetryNow(ctx context.Context, id int64, now, giveUpAt time.Time) (bool, error) {
	n, err := tx.exec(ctx, `UPDATE outbox SET give_up_at=CASE state WHEN 'parked' THEN ?2 ELSE give_up_at END, state='ready', next_at=?1
		WHERE id=?3 AND state IN ('ready','parked')`, msNotNull(now), msNotNull(giveUpAt), id)
	if err != nil || n == 0 {
		return false, err
	}
	_, err = tx.exec(ctx, `UPDATE destination SET hold_until=0 WHERE dest=(SELECT dest FROM outbox WHERE id=?)`, id)
	return true, err
}

const retryDest = `
UPDATE outbox INDEXED BY outbox_open SET give_up_at=CASE state WHEN 'parked' THEN ?2 ELSE give_up_at END, state='ready', next_at=?1
WHERE dest=?3 AND ` + unsent + ` AND state<>'leased'`

// RetryDest is RetryNow for everything a destination is owed. It returns how
// many entries are due now.
func (tx *Tx) RetryDest(ctx context.Context, dest string, now, giveUpAt time.Time) (int, error) {
	n, err := tx.exec(ctx, retryDest, msNotNull(now), msNotNull(giveUpAt), dest)
	if err != nil {
		return 0, err
	}
	_, err = tx.exec(ctx, `UPDATE destination SET hold_until=0 WHERE dest=?`, dest)
	return int(n), err
}

const destDue = `
UPDATE outbox INDEXED BY outbox_due SET next_at=?1 WHERE dest=?2 AND state='ready' AND attempts>0 AND next_at>?1`

// DestDue ends the back-off of a destination that works again: what failed for
// now is due. Parked entries stay parked. It returns how many became due.
func (tx *Tx) DestDue(ctx context.Context, dest string, now time.Time) (int, error) {
	n, err := tx.exec(ctx, destDue, msNotNull(now), dest)
	if err != nil {
		return 0, err
	}
	_, err = tx.exec(ctx, `UPDATE destination SET hold_until=0, failures=0 WHERE dest=? AND (hold_until<>0 OR failures<>0)`, dest)
	return int(n), err
}
