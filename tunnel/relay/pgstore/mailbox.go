package pgstore

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relay/internal/sqlrecords"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// afterText reads the removed part and what follows in one statement, which is one snapshot. There is always a row.
const afterText = `SELECT m.removed_to, m.removed_why, e.seq, e.received_at, e.kind, e.header, e.body
	FROM mailbox m LEFT JOIN LATERAL (
		SELECT * FROM event e WHERE e.clinic = m.clinic AND e.seq > $1 ORDER BY e.seq LIMIT $3
	) e ON TRUE
	WHERE m.clinic = $2 ORDER BY e.seq`

// After implements relay.Store.
func (s *Store) After(ctx context.Context, c wire.ClinicID, seq wire.Seq, maxMsgs, maxBytes int) ([]relay.Event, error) {
	n, err := s.key(ctx, c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx, readTimeout)
	defer cancel()
	rows, err := s.pool.Query(ctx, afterText, int64(seq), n, int64(max(maxMsgs, 1)))
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	var out []relay.Event
	size := 0
	for rows.Next() {
		var removed int64
		var why string
		var num, at *int64
		var kind *string
		var e relay.Event
		if err := rows.Scan(&removed, &why, &num, &at, &kind, &e.Header, &e.Body); err != nil {
			return nil, failure(err)
		}
		if removed > int64(seq) {
			return nil, &relay.GapError{RemovedTo: wire.Seq(removed), Reason: why}
		}
		if num == nil {
			break
		}
		size += len(e.Header) + len(e.Body)
		if size > maxBytes && len(out) > 0 {
			break
		}
		e.Seq, e.ReceivedAt, e.Kind = wire.Seq(*num), time.UnixMicro(*at).UTC(), *kind
		out = append(out, e)
	}
	rows.Close()
	return out, failure(rows.Err())
}

// settleAcks writes acks that were put off, once a second and a last time when ctx ends.
func (s *Store) settleAcks(ctx context.Context) {
	tick := time.NewTicker(ackEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.flush(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*ackEvery)
			defer cancel()
			s.flush(last)
			return
		}
	}
}

// flush writes all acks that are put off. What fails is tried again with the next.
func (s *Store) flush(ctx context.Context) {
	s.Acks.Due()
	for {
		all := s.Acks.Take()
		if len(all) == 0 {
			return
		}
		slices.SortFunc(all, func(a, b sqlrecords.PendingAck) int { return strings.Compare(string(a.Clinic), string(b.Clinic)) })
		if err := s.settle(ctx, all); err != nil {
			s.cfg.Log.Warn("acks were not written", "clinics", len(all), "error", err)
			s.Acks.Back(all)
			return
		}
	}
}

// The statements of a group of acks, in one transaction: locks in order, then the cursors and marks. Stale acks find no row.
const (
	ackLockText = `SELECT c.id, m.session_epoch FROM mailbox m JOIN clinic c ON c.n = m.clinic
		WHERE c.id = ANY($1) ORDER BY m.clinic FOR UPDATE OF m`
	ackText = `WITH a AS (
		SELECT c.n AS clinic, u.seq, u.epoch, u.at FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) AS u(id, seq, epoch, at)
		JOIN clinic c ON c.id = u.id
	), m AS (
		UPDATE mailbox m SET acked = LEAST(a.seq, m.last_seq) FROM a
		WHERE m.clinic = a.clinic AND m.session_epoch = a.epoch AND m.acked < LEAST(a.seq, m.last_seq)
		RETURNING m.clinic, m.acked, a.at
	)
	INSERT INTO ack_mark (clinic, hour, at, seq) SELECT clinic, at / 3600000000, at, acked FROM m
	ON CONFLICT (clinic, hour) DO UPDATE SET at = excluded.at, seq = excluded.seq`
)

func (s *Store) settle(ctx context.Context, all []sqlrecords.PendingAck) error {
	ids := make([]string, len(all))
	seqs, epochs, times := make([]int64, len(all)), make([]int64, len(all)), make([]int64, len(all))
	for i, a := range all {
		ids[i], seqs[i], epochs[i], times[i] = string(a.Clinic), int64(a.Seq), int64(a.Epoch), a.At.UnixMicro()
	}
	return transactions{s}.Write(ctx, func(tx sqlrecords.Tx) error {
		if err := tx.Query(ctx, ackLockText, func(scan sqlrecords.Scan) error {
			var id string
			var epoch int64
			err := scan(&id, &epoch)
			s.Raise(wire.ClinicID(id), wire.Epoch(epoch))
			return err
		}, ids); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, ackText, ids, seqs, epochs, times)
		return err
	})
}

// Expire implements relay.Store.
func (s *Store) Expire(ctx context.Context, now time.Time, l relay.Limits) (relay.Expired, error) {
	s.flush(ctx)
	return s.Records.Expire(ctx, now, l)
}

// Status implements relay.Registry.
func (s *Store) Status(ctx context.Context) ([]relay.Status, error) {
	s.flush(ctx)
	return s.Records.Status(ctx)
}
