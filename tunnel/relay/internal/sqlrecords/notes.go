package sqlrecords

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/rayhound/rayhound/tunnel/relay"
)

// notesAtOnce bounds one transaction of Note.
const notesAtOnce = 250

// Note implements relay.Registry. What it writes is sorted, so that nodes that note at once lock rows in one order.
func (r *Records) Note(ctx context.Context, n relay.Notes) error {
	presence := slices.SortedFunc(slices.Values(n.Presence), func(a, b relay.Presence) int { return strings.Compare(string(a.Clinic), string(b.Clinic)) })
	for part := range slices.Chunk(presence, notesAtOnce) {
		if err := r.db.Write(ctx, func(tx Tx) error { return notePresence(ctx, tx, part) }); err != nil {
			return err
		}
	}
	urls := slices.SortedFunc(slices.Values(n.URLs), func(a, b relay.URLUse) int { return bytes.Compare(a.Hash[:], b.Hash[:]) })
	for part := range slices.Chunk(urls, notesAtOnce) {
		if err := r.db.Write(ctx, func(tx Tx) error { return noteURLs(ctx, tx, part) }); err != nil {
			return err
		}
	}
	counts := slices.SortedFunc(slices.Values(n.Counts), func(a, b relay.Counts) int { return strings.Compare(string(a.Clinic), string(b.Clinic)) })
	for part := range slices.Chunk(counts, notesAtOnce) {
		if err := r.db.Write(ctx, func(tx Tx) error { return noteCounts(ctx, tx, part) }); err != nil {
			return err
		}
	}
	return nil
}

func notePresence(ctx context.Context, tx Tx, all []relay.Presence) error {
	for _, p := range all {
		heard := micro(p.LastHeard)
		if _, err := tx.Exec(ctx, `UPDATE mailbox SET last_heard = CASE WHEN last_heard < ? THEN ? ELSE last_heard END, connected_since = ?
			WHERE clinic = (SELECT n FROM clinic WHERE id = ?) AND session_epoch = ?`,
			heard, heard, micro(p.ConnectedSince), string(p.Clinic), int64(p.Epoch)); err != nil {
			return err
		}
	}
	return nil
}

func noteURLs(ctx context.Context, tx Tx, all []relay.URLUse) error {
	for _, u := range all {
		at := micro(u.At)
		if _, err := tx.Exec(ctx, `UPDATE url SET first_used = CASE WHEN first_used = 0 OR first_used > ? THEN ? ELSE first_used END,
			last_used = CASE WHEN last_used < ? THEN ? ELSE last_used END, uses = uses + ? WHERE hash = ?`,
			at, at, at, at, u.Uses, u.Hash[:]); err != nil {
			return err
		}
	}
	return nil
}

func noteCounts(ctx context.Context, tx Tx, all []relay.Counts) error {
	for _, c := range all {
		if _, err := tx.Exec(ctx, `UPDATE clinic SET received = received + ?, too_large = too_large + ?, limited = limited + ?,
			gaps = gaps + ?, takeovers = takeovers + ? WHERE id = ?`,
			c.Received, c.TooLarge, c.Limited, c.Gaps, c.Takeovers, string(c.Clinic)); err != nil {
			return err
		}
	}
	return nil
}
