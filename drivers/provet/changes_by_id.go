package provet

import (
	"context"
	"net/url"
	"strconv"
	"time"
)

// changedByID reads the rows above the highest id known, and now and then all.
func (c *Client) changedByID(ctx context.Context, st *pollState, since time.Time, seen *seenRows) error {
	now := c.cfg.Now()
	whole := st.fullAt.IsZero() || now.Sub(st.fullAt) >= fullEvery
	last := st.lastID
	if whole {
		last = -1
	}
	for range maxPages {
		q := url.Values{"ordering": {"id"}}
		if last >= 0 {
			q.Set("id__gt", strconv.FormatInt(last, 10))
		}
		p, err := c.page(ctx, 1, pageSize, q)
		if err != nil {
			return err
		}
		top := last
		for _, o := range p.rows {
			r, ok := c.row(o)
			if !ok {
				continue
			}
			n, err := strconv.ParseInt(r.ID, 10, 64)
			if err != nil || n <= last || n < top {
				// Ids that are no numbers, a filter or an order that is ignored.
				*st = pollState{mode: byPage, since: now}
				return c.everyPage(ctx, since, seen)
			}
			top = n
			if err := seen.pass(r); err != nil {
				return err
			}
		}
		if top == last || !p.more {
			st.lastID = max(top, st.lastID)
			break
		}
		last = top
	}
	if whole {
		st.fullAt = now
	}
	return nil
}

// everyPage reads all pages, again when rows moved meanwhile.
func (c *Client) everyPage(ctx context.Context, since time.Time, seen *seenRows) error {
	for range maxPasses {
		ids, count := map[string]bool{}, 0
		pages := 0
		for n := 1; ; n++ {
			p, err := c.page(ctx, n, pageSize, nil)
			if err != nil {
				return err
			}
			pages, count = n, max(count, p.count)
			before := len(ids)
			for _, o := range p.rows {
				r, ok := c.row(o)
				if !ok {
					continue
				}
				ids[r.ID] = true
				if !r.Modified.IsZero() && r.Modified.Before(since) {
					continue
				}
				if err := seen.pass(r); err != nil {
					return err
				}
			}
			if !p.more || len(ids) == before {
				break
			}
		}
		if pages <= 1 || len(ids) >= count {
			return nil
		}
	}
	return nil
}
