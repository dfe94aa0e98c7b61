package sqlrecords

import (
	"context"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

const (
	// batchRows is how many rows one transaction of Expire removes, about.
	batchRows = 1000
	// keepPairing is how long a pairing is kept after its end of validity, so that a late try gets a true answer.
	keepPairing = 24 * time.Hour
	// microHour is an hour in the unit of the columns.
	microHour = int64(time.Hour / time.Microsecond)
	// largestEvent bounds the size of an event: body and header.
	largestEvent = relay.MaxBodyLimit + relay.MaxSealing + wire.MaxHeader
)

// candidate is a mailbox that may have something to remove.
type candidate struct {
	n  int64
	id wire.ClinicID
}

// expiry is one call of Expire.
type expiry struct {
	r       *Records
	l       relay.Limits
	batches int // left
	hourly  bool

	unackedBefore, ackedBefore int64 // what is older goes, in microseconds

	out relay.Expired
}

// Expire implements relay.Store.
func (r *Records) Expire(ctx context.Context, now time.Time, l relay.Limits) (relay.Expired, error) {
	l = l.WithDefaults()
	x := &expiry{r: r, l: l, batches: l.Batches, unackedBefore: micro(now.Add(-l.Unacked)), ackedBefore: micro(now.Add(-l.Acked))}
	todo, err := x.candidates(ctx)
	if err != nil {
		return x.out, err
	}
	for len(todo) > 0 {
		if x.batches <= 0 {
			x.out.More = true
			return x.out, nil
		}
		if todo, err = x.batch(ctx, todo); err != nil {
			return x.out, err
		}
	}
	if err := x.metadata(ctx, now); err != nil {
		return x.out, err
	}
	return x.out, x.rest(ctx, now)
}

// candidates looks at every mailbox without disturbing the writers.
func (x *expiry) candidates(ctx context.Context) ([]candidate, error) {
	var out, doubtful []candidate
	err := x.r.db.Read(ctx, func(tx Tx) error {
		out, doubtful = nil, nil
		var clinics int
		if _, err := one(ctx, tx, `SELECT count(*) FROM clinic WHERE revoked_at = 0`, []any{&clinics}); err != nil {
			return err
		}
		x.hourly = clinics > x.l.HourlyAbove
		few := min(int64(x.l.Events), x.l.Bytes/largestEvent) // so many unacked events are never too much
		var acked []int64
		if err := tx.Query(ctx, `SELECT m.clinic, c.id, m.acked, `+x.r.dialect.Head+`,
			CASE WHEN EXISTS (SELECT 1 FROM ack_mark a WHERE a.clinic = m.clinic AND a.at <= ?) THEN 1 ELSE 0 END,
			coalesce((SELECT e.received_at FROM event e WHERE e.clinic = m.clinic AND e.seq > m.acked ORDER BY e.seq LIMIT 1), 0)
			FROM mailbox m JOIN clinic c ON c.n = m.clinic`, func(scan Scan) error {
			var c candidate
			var a, head, ripe, oldest int64
			if err := scan(&c.n, (*string)(&c.id), &a, &head, &ripe, &oldest); err != nil {
				return err
			}
			switch {
			case ripe == 1, oldest != 0 && oldest < x.unackedBefore:
				out = append(out, c)
			case oldest != 0 && head-a > few:
				doubtful, acked = append(doubtful, c), append(acked, a)
			}
			return nil
		}, x.ackedBefore); err != nil {
			return err
		}
		for i, c := range doubtful {
			n, bytes, err := unacked(ctx, tx, c.n, acked[i])
			if err != nil {
				return err
			}
			if n > int64(x.l.Events) || bytes > x.l.Bytes {
				out = append(out, c)
			}
		}
		return nil
	})
	return out, err
}

func unacked(ctx context.Context, tx Tx, n, acked int64) (events, bytes int64, err error) {
	_, err = one(ctx, tx, `SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM event WHERE clinic = ? AND seq > ?`, []any{&events, &bytes}, n, acked)
	return events, bytes, err
}

// pruned is what one transaction removed from one mailbox.
type pruned struct {
	rows    int
	acked   int
	dropped relay.Dropped
	more    bool
}

// batch works on candidates until it has removed enough rows for one transaction, and returns those left.
func (x *expiry) batch(ctx context.Context, todo []candidate) ([]candidate, error) {
	var done []pruned
	left := todo
	err := x.r.db.Write(ctx, func(tx Tx) error {
		done, left = nil, todo
		for rows, looked := 0, 0; len(left) > 0 && rows < batchRows && looked < batchRows; looked++ {
			p, err := x.prune(ctx, tx, left[0], batchRows-rows)
			if err != nil {
				return err
			}
			done = append(done, p)
			rows += p.rows
			if p.more {
				return nil
			}
			left = left[1:]
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	x.batches--
	for _, p := range done {
		x.out.Acked += p.acked
		x.drop(p.dropped)
	}
	return left, nil
}

// drop adds a hole to the result; the batches of one mailbox make one hole.
func (x *expiry) drop(d relay.Dropped) {
	if d.Events == 0 {
		return
	}
	if n := len(x.out.Dropped); n > 0 && x.out.Dropped[n-1].Clinic == d.Clinic && x.out.Dropped[n-1].Reason == d.Reason {
		x.out.Dropped[n-1].To = d.To
		x.out.Dropped[n-1].Events += d.Events
		return
	}
	x.out.Dropped = append(x.out.Dropped, d)
}

// mailbox is what prune knows while it walks.
type mailbox struct {
	acked, ripe   int64
	events, bytes int64 // unacked and not dropped
	must          bool  // an unacked event has to go, and with it all before it
}

// prune removes the oldest events of one mailbox, at most about limit, always a prefix.
func (x *expiry) prune(ctx context.Context, tx Tx, c candidate, limit int) (p pruned, err error) {
	var m mailbox
	if _, err := one(ctx, tx, `SELECT acked FROM mailbox WHERE clinic = ?`+x.r.dialect.ForUpdate, []any{&m.acked}, c.n); err != nil {
		return p, err
	}
	if _, err := one(ctx, tx, `SELECT coalesce(max(seq), 0) FROM ack_mark WHERE clinic = ? AND at <= ?`, []any{&m.ripe}, c.n, x.ackedBefore); err != nil {
		return p, err
	}
	if m.events, m.bytes, err = unacked(ctx, tx, c.n, m.acked); err != nil {
		return p, err
	}
	var oldest int64
	if _, err := one(ctx, tx, `SELECT received_at FROM event WHERE clinic = ? AND seq > ? ORDER BY seq LIMIT 1`, []any{&oldest}, c.n, m.acked); err != nil {
		return p, err
	}
	m.must = m.events > int64(x.l.Events) || m.bytes > x.l.Bytes || (oldest != 0 && oldest < x.unackedBefore)
	to, received, reason, stopped := int64(0), int64(0), wire.GapExpired, false
	p.dropped.Clinic = c.id
	if err := tx.Query(ctx, `SELECT seq, received_at, size FROM event WHERE clinic = ? ORDER BY seq LIMIT ?`, func(scan Scan) error {
		var seq, at, size int64
		if err := scan(&seq, &at, &size); err != nil || stopped {
			return err
		}
		why := x.goes(&m, seq, at)
		if stopped = why == ""; stopped {
			return nil
		}
		to, received, reason = seq, at, why
		p.rows++
		if seq <= m.acked {
			p.acked++
			return nil
		}
		m.events, m.bytes = m.events-1, m.bytes-size
		if p.dropped.From == 0 {
			p.dropped.From = wire.Seq(seq)
		}
		p.dropped.To, p.dropped.Reason = wire.Seq(seq), why
		p.dropped.Events++
		return nil
	}, c.n, int64(limit)); err != nil {
		return p, err
	}
	p.more = !stopped && p.rows >= limit
	if !p.more {
		if _, err := tx.Exec(ctx, `DELETE FROM ack_mark WHERE clinic = ? AND at <= ?`, c.n, x.ackedBefore); err != nil {
			return p, err
		}
	}
	if p.rows == 0 {
		return p, nil
	}
	return p, x.remove(ctx, tx, c.n, to, received, reason)
}

// goes says why an event is removed; empty: it stays.
func (x *expiry) goes(m *mailbox, seq, at int64) string {
	if seq <= m.acked {
		if seq <= m.ripe || m.must {
			return wire.GapExpired
		}
		return ""
	}
	switch {
	case at < x.unackedBefore:
		return wire.GapExpired
	case m.events > int64(x.l.Events), m.bytes > x.l.Bytes:
		return wire.GapQuota
	}
	return ""
}

// remove takes a prefix out of a mailbox and keeps its metadata, and when its last event was received.
func (x *expiry) remove(ctx context.Context, tx Tx, n, to, received int64, reason string) error {
	keep := `INSERT INTO metadata (clinic, seq, kind, size, received_at) SELECT clinic, seq, kind, size, received_at FROM event
		WHERE clinic = ? AND seq <= ?`
	if x.hourly {
		keep = `INSERT INTO hourly (clinic, hour, kind, events, bytes)
			SELECT clinic, received_at / 3600000000, kind, count(*), CAST(sum(size) AS BIGINT) FROM event WHERE clinic = ? AND seq <= ?
			GROUP BY clinic, received_at / 3600000000, kind
			ON CONFLICT (clinic, hour, kind) DO UPDATE SET events = hourly.events + excluded.events, bytes = hourly.bytes + excluded.bytes`
	}
	if _, err := tx.Exec(ctx, keep, n, to); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM event WHERE clinic = ? AND seq <= ?`, n, to); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE mailbox SET removed_to = ?, removed_at = ?, removed_why = ? WHERE clinic = ?`, to, received, reason, n)
	return err
}

// metadata removes old metadata, in batches.
func (x *expiry) metadata(ctx context.Context, now time.Time) error {
	before := now.Add(-x.l.Metadata)
	for {
		if x.batches <= 0 {
			x.out.More = true
			return nil
		}
		var n int64
		if err := x.r.db.Write(ctx, func(tx Tx) (err error) {
			n, err = tx.Exec(ctx, `DELETE FROM metadata WHERE (clinic, seq) IN (
				SELECT clinic, seq FROM metadata WHERE received_at < ? ORDER BY received_at LIMIT ?)`, micro(before), int64(batchRows))
			return err
		}); err != nil {
			return err
		}
		x.batches--
		x.out.Metadata += int(n)
		if n < batchRows {
			return nil
		}
	}
}

// rest removes what is small: nobody makes thousands of these a day.
func (x *expiry) rest(ctx context.Context, now time.Time) error {
	metadata := micro(now.Add(-x.l.Metadata))
	return x.r.db.Write(ctx, func(tx Tx) error {
		for _, d := range []struct {
			text string
			arg  int64
		}{
			{`DELETE FROM hourly WHERE hour < ?`, metadata / microHour},
			{`DELETE FROM pairing WHERE expires_at < ?`, micro(now.Add(-keepPairing))},
			{`DELETE FROM notice WHERE at < ?`, metadata},
			{`DELETE FROM audit WHERE at < ?`, micro(now.Add(-x.l.Audit))},
			{`DELETE FROM token WHERE dies_at <> 0 AND dies_at < ?`, micro(now)},
			{`DELETE FROM url WHERE retired_at <> 0 AND retired_at < ?`, metadata},
		} {
			if _, err := tx.Exec(ctx, d.text, d.arg); err != nil {
				return err
			}
		}
		return nil
	})
}
