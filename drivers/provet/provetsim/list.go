package provetsim

import (
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// sortKey is one element of ordering=.
type sortKey struct {
	col  int
	desc bool
}

func (s *Sim) parseOrdering(t *table, value string) []sortKey {
	var keys []sortKey
	for name := range strings.SplitSeq(value, ",") {
		name, desc := strings.CutPrefix(strings.TrimSpace(name), "-")
		i, ok := t.view.byName[name]
		if !ok || t.view.fixed[i] {
			continue // as Django REST Framework does
		}
		keys = append(keys, sortKey{i, desc})
	}
	return keys
}

// candidates returns the rows a list may show, in the order of one index, and
// which column that index sorts by.
func (t *table) candidates(f *filters, keys []sortKey) (rows []*row, col int) {
	byTime := len(keys) > 0 && keys[0].col == t.mod || !f.from.IsZero() || !f.to.IsZero()
	if t.mod >= 0 && byTime {
		rows = t.byModified
		if !f.from.IsZero() {
			i := sort.Search(len(rows), func(i int) bool { return !rows[i].modified.Before(f.from) })
			rows = rows[i:]
		}
		if !f.to.IsZero() {
			i := sort.Search(len(rows), func(i int) bool { return rows[i].modified.After(f.to) })
			rows = rows[:i]
		}
		return rows, t.mod
	}
	rows = t.byID
	if f.fromID > 0 {
		i := sort.Search(len(rows), func(i int) bool { return rows[i].id >= f.fromID })
		rows = rows[i:]
	}
	if f.toID > 0 {
		i := sort.Search(len(rows), func(i int) bool { return rows[i].id > f.toID })
		rows = rows[:i]
	}
	return rows, 0
}

// window is the part of the matching rows that one page shows.
type window struct{ offset, size int }

// find returns the rows of the window and how many match in all.
func (s *Sim) find(t *table, f *filters, keys []sortKey, w window) ([]*row, int) {
	cand, col := t.candidates(f, keys)
	inOrder := len(keys) == 0 && col == 0 || len(keys) == 1 && keys[0].col == col ||
		len(keys) == 2 && keys[0].col == col && keys[1].col == 0 && keys[0].desc == keys[1].desc
	desc := len(keys) > 0 && keys[0].desc
	if inOrder && len(f.all) == 0 && (f.archive || t.arch < 0) {
		return slice(cand, w, desc), len(cand)
	}
	if !inOrder {
		matches := make([]*row, 0, 64)
		for _, r := range cand {
			if f.match(r) {
				matches = append(matches, r)
			}
		}
		s.sortRows(t, matches, keys)
		return slice(matches, w, false), len(matches)
	}
	page := make([]*row, 0, min(w.size, len(cand)))
	count := 0
	for i := range cand {
		r := cand[i]
		if desc {
			r = cand[len(cand)-1-i]
		}
		if !f.match(r) {
			continue
		}
		if count >= w.offset && len(page) < w.size {
			page = append(page, r)
		}
		count++
	}
	return page, count
}

func slice(rows []*row, w window, desc bool) []*row {
	lo := min(w.offset, len(rows))
	hi := min(lo+w.size, len(rows))
	if !desc {
		return rows[lo:hi]
	}
	out := slices.Clone(rows[len(rows)-hi : len(rows)-lo])
	slices.Reverse(out)
	return out
}

func (s *Sim) sortRows(t *table, rows []*row, keys []sortKey) {
	slices.SortStableFunc(rows, func(a, b *row) int {
		for _, k := range keys {
			kind := t.res.fields[k.col].kind
			c := valueOf(kind, a, k.col, s).compare(valueOf(kind, b, k.col, s))
			if c != 0 && k.desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return cmpID(a, b)
	})
}

func pageSize(q url.Values) int {
	n, err := strconv.Atoi(q.Get("page_size"))
	if err != nil || n <= 0 {
		return defaultPageSize
	}
	return min(n, maxPageSize)
}

// list answers GET on a collection.
func (s *Sim) list(t *table, r *http.Request, base string) answer {
	q := r.URL.Query()
	size := pageSize(q)
	page := 1
	if v := q.Get("page"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > 1<<30 {
			return detail(http.StatusNotFound, "Invalid page.")
		}
		page = n
	}
	if limit := s.cfg.DeepPagingLimit; limit > 0 && (page-1)*size >= limit {
		return detail(http.StatusBadRequest, "Result window is too large, use filters to narrow it.")
	}

	s.mu.RLock()
	defer s.mu.RUnlock()
	f, errs := s.parseFilters(t, q)
	if len(errs) > 0 {
		return jsonAnswer(http.StatusBadRequest, errs)
	}
	rows, count := s.find(t, f, s.parseOrdering(t, q.Get("ordering")), window{(page - 1) * size, size})
	pages := max((count+size-1)/size, 1)
	if page > pages {
		return detail(http.StatusNotFound, "Invalid page.")
	}
	link := func(b []byte, n int) []byte {
		if n < 1 || n > pages {
			return append(b, "null"...)
		}
		q.Set("page", strconv.Itoa(n))
		return appendText(b, base+apiPath+t.res.path+"/?"+q.Encode())
	}
	b := make([]byte, 0, 256+len(rows)*1024)
	b = append(b, `{"count":`...)
	b = strconv.AppendInt(b, int64(count), 10)
	b = append(b, `,"num_pages":`...)
	b = strconv.AppendInt(b, int64(pages), 10)
	b = append(b, `,"next":`...)
	b = link(b, page+1)
	b = append(b, `,"previous":`...)
	b = link(b, page-1)
	b = append(b, `,"results":[`...)
	how := rendering{base: base, expose: exposed(t, q)}
	for i, row := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = s.appendObject(b, t, row, how)
	}
	return answer{status: http.StatusOK, body: append(b, `]}`...)}
}

// exposed returns the columns that expose_<field> asks to embed.
func exposed(t *table, q url.Values) map[int]bool {
	var cols map[int]bool
	for key, values := range q {
		name, ok := strings.CutPrefix(key, "expose_")
		if !ok || len(values) == 0 || values[0] != "" && !isTrue(values[0]) {
			continue
		}
		i, ok := t.view.byName[name]
		if !ok || t.res.fields[i].target == "" {
			continue
		}
		if cols == nil {
			cols = map[int]bool{}
		}
		cols[i] = true
	}
	return cols
}

// get answers GET on one object.
func (s *Sim) get(t *table, id int, r *http.Request, base string) answer {
	s.mu.RLock()
	defer s.mu.RUnlock()
	row := t.rows[id]
	if row == nil {
		return notFound()
	}
	b := s.appendObject(make([]byte, 0, 2048), t, row, rendering{base: base, expose: exposed(t, r.URL.Query())})
	return answer{status: http.StatusOK, body: b}
}
