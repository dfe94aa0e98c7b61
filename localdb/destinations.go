package localdb

import (
	"context"
	"errors"
	"time"
)

// Destination is where outbox entries go, with what holds them up.
type Destination struct {
	Dest        string
	PausedBy    string
	PausedAt    time.Time // zero: not paused
	PauseReason string
	HoldUntil   time.Time // back-off of the whole destination
	Failures    int       // in a row
}

// Pause stops sending to a destination until Resume. Entries collect.
func (tx *Tx) Pause(ctx context.Context, dest, by, reason string, at time.Time) error {
	_, err := tx.exec(ctx, `INSERT INTO destination(dest, paused_by, paused_at, pause_reason) VALUES (?,?,?,?)
		ON CONFLICT(dest) DO UPDATE SET paused_by=excluded.paused_by, paused_at=excluded.paused_at, pause_reason=excluded.pause_reason`,
		dest, by, msNotNull(at), reason)
	return err
}

// Resume ends a pause, and the back-off with it. It reports whether the
// destination was paused.
func (tx *Tx) Resume(ctx context.Context, dest string) (bool, error) {
	n, err := tx.exec(ctx, `UPDATE destination SET paused_by=NULL, paused_at=NULL, pause_reason=NULL, hold_until=0
		WHERE dest=? AND paused_at IS NOT NULL`, dest)
	return n > 0, err
}

// Hold sets the back-off of a destination: nothing is leased before until.
// failures is how often it failed in a row; both zero end the back-off.
func (tx *Tx) Hold(ctx context.Context, dest string, until time.Time, failures int) error {
	_, err := tx.exec(ctx, `INSERT INTO destination(dest, hold_until, failures) VALUES (?,?,?)
		ON CONFLICT(dest) DO UPDATE SET hold_until=excluded.hold_until, failures=excluded.failures`, dest, msNotNull(until), failures)
	return err
}

const destinationColumns = `dest, paused_by, paused_at, pause_reason, hold_until, failures`

func scanDestination(r scanner) (d Destination, err error) {
	err = r.Scan(&d.Dest, intoText{&d.PausedBy}, intoTime{&d.PausedAt}, intoText{&d.PauseReason}, intoTime{&d.HoldUntil}, &d.Failures)
	return d, err
}

// Destination returns what is known about a destination; one that nothing is
// known about is neither paused nor held.
func (s *Snapshot) Destination(ctx context.Context, dest string) (Destination, error) {
	d, err := one(ctx, s, `SELECT `+destinationColumns+` FROM destination WHERE dest = ?`, scanDestination, dest)
	if errors.Is(err, ErrNotFound) {
		return Destination{Dest: dest}, nil
	}
	return d, err
}

// Destinations returns every destination that was ever paused or held, or is
// owed something, by name.
func (s *Snapshot) Destinations(ctx context.Context) ([]Destination, error) {
	return all(ctx, s, `SELECT n.dest, paused_by, paused_at, pause_reason, coalesce(hold_until, 0), coalesce(failures, 0)
		FROM (SELECT dest FROM destination UNION SELECT DISTINCT dest FROM outbox INDEXED BY outbox_open WHERE `+unsent+`) n
		LEFT JOIN destination d ON d.dest = n.dest ORDER BY n.dest`, scanDestination)
}

// OutboxStats is what a destination is owed.
type OutboxStats struct {
	Destination
	Ready, Leased, Parked int
	Tries                 int       // attempts of the entries counted here
	OldestAt              time.Time // of the oldest entry counted here; zero without one
}

// OutboxStats returns the figures of every destination of Destinations.
func (s *Snapshot) OutboxStats(ctx context.Context) ([]OutboxStats, error) {
	return all(ctx, s, `
		SELECT n.dest, paused_by, paused_at, pause_reason, coalesce(hold_until, 0), coalesce(failures, 0),
		  count(o.id) FILTER (WHERE state='ready'), count(o.id) FILTER (WHERE state='leased'), count(o.id) FILTER (WHERE state='parked'),
		  coalesce(sum(o.attempts), 0), min(o.created_at)
		FROM (SELECT dest FROM destination UNION SELECT DISTINCT dest FROM outbox INDEXED BY outbox_open WHERE `+unsent+`) n
		LEFT JOIN destination d ON d.dest = n.dest
		LEFT JOIN (SELECT id, dest, state, attempts, created_at FROM outbox INDEXED BY outbox_open WHERE `+unsent+`) o ON o.dest = n.dest
		GROUP BY n.dest ORDER BY n.dest`,
		func(r scanner) (v OutboxStats, err error) {
			err = r.Scan(&v.Dest, intoText{&v.PausedBy}, intoTime{&v.PausedAt}, intoText{&v.PauseReason}, intoTime{&v.HoldUntil}, &v.Failures,
				&v.Ready, &v.Leased, &v.Parked, &v.Tries, intoTime{&v.OldestAt})
			return v, err
		})
}
