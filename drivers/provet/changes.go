package provet

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// Row is one worklist row of a list.
type Row struct {
	ID        string
	Status    string    // raw value as text
	Modified  time.Time // zero when the row does not say
	Finished  bool      // as in Upstream
	Withdrawn bool
	InScope   bool // true also when the row names no department
}

const (
	maxPasses = 4 // over a list whose rows move while it is read
	// maxBlindPages is how long a list may be that is read whole for every poll.
	maxBlindPages = 20
	fullEvery     = 30 * time.Minute // whole lists where changes cannot be asked for
	retryModes    = time.Hour        // after which a refused filter is tried again
)

// pollMode is how changes are asked for.
type pollMode uint8

const (
	byModified pollMode = iota // modified__gte, newest first
	byOrder                    // newest first, until rows are too old; where the filter is refused
	byID                       // id__gt, where modified cannot be used
	byPage                     // every page, where nothing can be asked for
)

// pollState is what Changed has learned about the tenant.
type pollState struct {
	mode   pollMode
	field  string    // Provet's name of modified, as seen in rows
	since  time.Time // when the mode was chosen
	lastID int64     // highest id seen in mode byID
	fullAt time.Time // last whole list in the modes without modified
	order  orderTrust
}

// Changed calls fn for every worklist row that was modified at or after since
// (Provet's clock, such as the newest Row.Modified of the call before, less an
// overlap), newest first, page by page to the end. A row that changes while the
// pages are read may be reported twice. A zero since means every row.
//
// The filter is checked on our side, because Provet ignores filters it does not
// know. Where rows have no usable modified time, rows newer than the last known
// id are reported, and every half hour all of them; such rows have a zero
// Modified. fn's error ends the call and is returned as it is.
func (c *Client) Changed(ctx context.Context, since time.Time, fn func(Row) error) error {
	if skew := c.ClockSkew(); skew < -2*time.Second && !since.IsZero() {
		since = since.Add(skew) // since may come from our clock, which is ahead: ask for more, not less
	}
	c.pollMu.Lock()
	st := c.poll
	c.pollMu.Unlock()
	now := c.cfg.Now()
	if st.mode != byModified && now.Sub(st.since) > retryModes {
		st = pollState{}
	}
	seen := &seenRows{fn: fn, at: map[string]time.Time{}}
	for {
		err := c.changedBy(ctx, &st, since, seen)
		if seen.err != nil {
			return seen.err
		}
		if errors.Is(err, errDeep) && st.mode < byID {
			whole := pollState{mode: byID}
			err = c.changedByID(ctx, &whole, since, seen)
		}
		var e *Error
		if errors.As(err, &e) && e.HTTPStatus == http.StatusBadRequest && st.mode < byPage {
			st = pollState{mode: st.mode + 1, since: now}
			c.cfg.Log.Info("provet list filter refused", "next_mode", int(st.mode))
			continue
		}
		if err == nil {
			c.pollMu.Lock()
			c.poll = st
			c.pollMu.Unlock()
		}
		return err
	}
}

func (c *Client) changedBy(ctx context.Context, st *pollState, since time.Time, seen *seenRows) error {
	switch st.mode {
	case byModified, byOrder:
		return c.changedByModified(ctx, st, since, seen)
	case byID:
		return c.changedByID(ctx, st, since, seen)
	case byPage:
		return c.everyPage(ctx, since, seen)
	}
	return nil
}

// orderTrust says whether the order asked for is the order served.
type orderTrust uint8

const (
	orderUntested orderTrust = iota
	orderKept
	orderIgnored
)

// testOrder asks for one row in the opposite order. Rows that merely look sorted
// (by id, say) prove nothing: only another first row does.
func (c *Client) testOrder(ctx context.Context, field string, first Row) (orderTrust, error) {
	p, err := c.page(ctx, 1, 1, url.Values{"ordering": {field + ",-id"}})
	if err != nil {
		return orderUntested, err
	}
	if len(p.rows) == 1 {
		if r, ok := c.row(p.rows[0]); ok && r.ID != first.ID && r.Modified.Before(first.Modified) {
			return orderKept, nil
		}
	}
	return orderIgnored, nil
}

// seenRows passes each state of each row on once.
type seenRows struct {
	fn    func(Row) error
	at    map[string]time.Time
	fresh int   // rows passed on
	err   error // of fn, which ended the call
}

func (s *seenRows) pass(r Row) error {
	if at, ok := s.at[r.ID]; ok && !r.Modified.After(at) {
		return nil
	}
	s.at[r.ID] = r.Modified
	s.fresh++
	s.err = s.fn(r)
	return s.err
}

// row maps a list row; ok is false when it has no id.
func (c *Client) row(o object) (r Row, ok bool) {
	r.ID = relationTo(resWorklist, map[string]any(o)).ID
	if r.ID == "" {
		return r, false
	}
	r.Status, _ = scalar(c.fields.value(resWorklist, "status", o))
	r.Modified = instant(c.fields.value(resWorklist, "modified", o), c.cfg.Zone)
	r.Finished, r.Withdrawn = c.finished(r.Status), c.withdrawn(r.Status)
	r.InScope = c.inScope(relationTo(resDepartment, c.fields.value(resWorklist, "department", o)).ID)
	return r, true
}

// changedByModified reads newest first with modified__gte. While pages are read
// rows move: a change moves its row to the front, out of our way; a deletion
// moves the rows behind it forward, past us. So a list of several pages is read
// again: from the front until a page shows nothing new, or whole when fewer rows
// were seen than the list had.
func (c *Client) changedByModified(ctx context.Context, st *pollState, since time.Time, seen *seenRows) error {
	field := st.field
	if names := c.fields[resWorklist]["modified"]; field == "" && len(names) > 0 {
		field = names[0]
	}
	if field == "" {
		*st = pollState{mode: byID, since: c.cfg.Now()}
		return c.changedByID(ctx, st, since, seen)
	}
	// The id decides between equal times, so that pages do not overlap by chance.
	q := url.Values{"ordering": {"-" + field + ",-id"}}
	if !since.IsZero() {
		// The documented form has minutes; earlier is never wrong.
		since = since.UTC().Truncate(time.Minute)
		if st.mode == byModified {
			q.Set(field+"__gte", since.Format("2006-01-02 15:04")+"+00:00")
		}
	}
	quick := false
	for range maxPasses {
		end, err := c.onePass(ctx, q, since, seen, quick, func(first Row) (bool, error) {
			if st.order == orderUntested {
				var err error
				if st.order, err = c.testOrder(ctx, field, first); err != nil {
					return false, err
				}
			}
			return st.order == orderKept, nil
		})
		switch {
		case err != nil:
			return err
		case end.blind:
			*st = pollState{mode: byID, since: c.cfg.Now()}
			return c.changedByID(ctx, st, since, seen)
		case end.unsorted && end.ignored && end.pages > maxBlindPages:
			*st = pollState{mode: byID, since: c.cfg.Now()} // from the next call on
		}
		if end.field != "" {
			st.field = end.field
		}
		if end.pages <= 1 {
			return nil
		}
		quick = !end.short && !end.unsorted
	}
	return nil
}

// passEnd says how one reading of a list ended.
type passEnd struct {
	pages    int
	field    string // name of modified in the rows
	short    bool   // fewer rows were seen than the list has
	blind    bool   // the rows carry no modified time
	unsorted bool   // the order was not kept
	ignored  bool   // the filter was not kept
}

// onePass reads the pages once. A quick one stops at the first page without
// news. kept is asked whether the order can be relied on when the filter turns
// out to be ignored, so that the rest, which is older still, need not be read.
func (c *Client) onePass(
	ctx context.Context, q url.Values, since time.Time, seen *seenRows, quick bool, kept func(first Row) (bool, error),
) (passEnd, error) {
	var end passEnd
	var first Row
	ids := map[string]bool{}
	count, timed := 0, false
	sorted, ignored := true, false
	var last time.Time
	for n := 1; ; n++ {
		p, err := c.page(ctx, n, pageSize, q)
		if err != nil {
			return end, err
		}
		end.pages = n
		count = max(count, p.count)
		fresh, known, allOld := seen.fresh, len(ids), len(p.rows) > 0
		for _, o := range p.rows {
			r, ok := c.row(o)
			if !ok {
				continue
			}
			ids[r.ID] = true
			if first.ID == "" {
				first = r
			}
			if !r.Modified.IsZero() {
				timed = true
				end.field, _, _ = c.fields.find(resWorklist, "modified", o)
				sorted = sorted && (last.IsZero() || !r.Modified.After(last))
				last = r.Modified
				if r.Modified.Before(since) {
					ignored = true
					continue
				}
			}
			allOld = false
			if err := seen.pass(r); err != nil {
				return end, err
			}
		}
		end.unsorted = end.unsorted || !sorted
		switch {
		case len(ids) > 0 && !timed:
			end.blind = true
			return end, nil
		case !p.more || len(ids) == known:
			end.short, end.ignored = len(ids) < count, ignored
			return end, nil
		case ignored && sorted && allOld:
			if ok, err := kept(first); err != nil || ok {
				return end, err
			}
			end.unsorted = true
		case quick && seen.fresh == fresh:
			return end, nil
		}
	}
}
