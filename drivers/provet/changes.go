package provet

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
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
	maxPages  = 2000 // of one list
	maxPasses = 4    // over a list whose rows move while it is read
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
	since  time.Time // when the mode was chosen
	lastID int64     // highest id seen in mode byID
	fullAt time.Time // last whole list in the modes without modified
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

// seenRows passes each state of each row on once.
type seenRows struct {
	fn    func(Row) error
	at    map[string]time.Time
	fresh int // rows passed on
}

func (s *seenRows) pass(r Row) error {
	if at, ok := s.at[r.ID]; ok && !r.Modified.After(at) {
		return nil
	}
	s.at[r.ID] = r.Modified
	s.fresh++
	return s.fn(r)
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

// listPage is one page of a list.
type listPage struct {
	rows  []object
	count int  // of all pages; -1 when not said
	more  bool // there is a page after this one
}

// page reads page n. The address of the next page is always made here; "next"
// only tells whether there is one.
func (c *Client) page(ctx context.Context, n, size int, q url.Values) (listPage, error) {
	return c.pageOf(ctx, resWorklist, n, size, q)
}

func (c *Client) pageOf(ctx context.Context, res string, n, size int, q url.Values) (listPage, error) {
	query := url.Values{}
	for k, v := range q {
		query[k] = v
	}
	query.Set("page_size", strconv.Itoa(size))
	if n > 1 {
		query.Set("page", strconv.Itoa(n))
	}
	v, err := c.do(ctx, &call{op: opList, res: res, method: http.MethodGet, query: query})
	if err != nil {
		if n > 1 && gone(err) {
			return listPage{count: -1}, nil // the list became shorter
		}
		return listPage{}, err
	}
	p := listPage{count: -1}
	list, bare := v.([]any)
	if !bare {
		o, _ := asObject(v)
		var ok bool
		if list, ok = o["results"].([]any); !ok {
			return p, &Error{Op: opList, Resource: res, Class: Protocol, HTTPStatus: http.StatusOK, Detail: "the list has no results"}
		}
		if f, ok := decimal(o["count"]); ok && f >= 0 && f < 1e9 {
			p.count = int(f)
		}
		if next, said := o["next"]; said {
			s, isText := next.(string)
			p.more = isText && s != ""
		} else if pages, ok := decimal(o["num_pages"]); ok {
			p.more = float64(n) < pages
		} else {
			p.more = len(list) >= size
		}
	}
	for _, e := range list {
		if o, ok := asObject(e); ok {
			p.rows = append(p.rows, o)
		}
	}
	p.more = p.more && len(list) > 0 && n < maxPages
	return p, nil
}

// changedByModified reads newest first with modified__gte. While pages are read
// rows move: a change moves its row to the front, out of our way; a deletion
// moves the rows behind it forward, past us. So a list of several pages is read
// again: from the front until a page shows nothing new, or whole when fewer rows
// were seen than the list had.
func (c *Client) changedByModified(ctx context.Context, st *pollState, since time.Time, seen *seenRows) error {
	q := url.Values{"ordering": {"-modified"}}
	if !since.IsZero() {
		// The documented form has minutes; earlier is never wrong.
		since = since.UTC().Truncate(time.Minute)
		if st.mode == byModified {
			q.Set("modified__gte", since.Format("2006-01-02 15:04")+"+00:00")
		}
	}
	quick := false
	for range maxPasses {
		end, err := c.onePass(ctx, q, since, seen, quick)
		switch {
		case err != nil:
			return err
		case end.blind:
			*st = pollState{mode: byID, since: c.cfg.Now()}
			return c.changedByID(ctx, st, since, seen)
		case end.unsorted && end.pages > maxBlindPages:
			*st = pollState{mode: byID, since: c.cfg.Now()} // from the next call on
		}
		if end.pages <= 1 {
			return nil
		}
		quick = !end.short
	}
	return nil
}

// passEnd says how one reading of a list ended.
type passEnd struct {
	pages    int
	short    bool // fewer rows were seen than the list has
	blind    bool // the rows carry no modified time
	unsorted bool // neither the filter nor the order was kept
}

// onePass reads the pages once. A quick one stops at the first page without news.
func (c *Client) onePass(ctx context.Context, q url.Values, since time.Time, seen *seenRows, quick bool) (passEnd, error) {
	var end passEnd
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
			if !r.Modified.IsZero() {
				timed = true
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
		end.unsorted = ignored && !sorted
		switch {
		case len(ids) > 0 && !timed:
			end.blind = true
			return end, nil
		case !p.more || len(ids) == known:
			end.short = len(ids) < count
			return end, nil
		case ignored && sorted && allOld:
			return end, nil // the filter is ignored, the order is kept: the rest is older still
		case quick && seen.fresh == fresh:
			return end, nil
		}
	}
}

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
