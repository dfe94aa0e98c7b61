package provetsim

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// matcher says whether a row is wanted.
type matcher func(*row) bool

// filters are the conditions of one list.
type filters struct {
	all     []matcher
	or      bool
	from    time.Time // bounds of modified, inclusive; already among all
	to      time.Time
	fromID  int // bounds of id, inclusive
	toID    int
	archive bool // archived rows too
}

// fieldErrors is the body of a 400: field -> messages.
type fieldErrors map[string][]string

func (f *filters) match(r *row) bool {
	if r.archived && !f.archive {
		return false
	}
	if len(f.all) == 0 {
		return true
	}
	for _, m := range f.all {
		if m(r) == f.or {
			return f.or
		}
	}
	return !f.or
}

// reserved are query keys that are no filters.
func reserved(key string) bool {
	switch key {
	case "page", "page_size", "ordering", "include_archived", "filter_type", "format":
		return true
	}
	return strings.HasPrefix(key, "expose_")
}

// parseFilters reads the filters of a query. A filter the resource does not
// have is ignored, or, in a strict tenant, an error.
func (s *Sim) parseFilters(t *table, q url.Values) (*filters, fieldErrors) {
	f := &filters{or: q.Get("filter_type") == "or", archive: isTrue(q.Get("include_archived"))}
	errs := fieldErrors{}
	for key, values := range q {
		if reserved(key) {
			continue
		}
		name, method, ok := cutLast(key, "__")
		m, known := (*condition)(nil), false
		if ok {
			m, known = s.condition(t, name, method)
		}
		if !known {
			if s.cfg.StrictFilters {
				errs[key] = []string{"Unknown filter."}
			}
			continue
		}
		for _, v := range values {
			fn, msg := m.matcher(s, method, v)
			if msg != "" {
				errs[key] = append(errs[key], msg)
				continue
			}
			f.all = append(f.all, fn)
			if !f.or {
				f.bound(s, t, m, method, v)
			}
		}
	}
	return f, errs
}

func isTrue(v string) bool { return v == "true" || v == "True" || v == "1" }

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i <= 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// condition is a field, or a field of a related object, that is filtered on.
type condition struct {
	f    *field
	col  int // of the row in question
	via  int // column of the relation that leads there, or -1
	rows map[int]*row
}

func (s *Sim) condition(t *table, name, method string) (*condition, bool) {
	if !knownMethod(method) {
		return nil, false
	}
	name, prop, nested := strings.Cut(name, ".")
	i, ok := t.view.byName[name]
	if !ok || t.view.locked[i] {
		return nil, false
	}
	f := &t.res.fields[i]
	if !nested {
		return &condition{f: f, col: i, via: -1}, f.kind != kindRaw && f.kind != kindSelf
	}
	target := s.tables[f.target]
	if target == nil {
		return nil, false
	}
	j, ok := target.view.byName[prop]
	if !ok {
		return nil, false
	}
	inner := &target.res.fields[j]
	return &condition{f: inner, col: j, via: i, rows: target.rows}, inner.kind != kindRaw && inner.kind != kindSelf
}

func knownMethod(m string) bool {
	switch m {
	case "is", "eq", "is_not", "not_eq", "neq", "lt", "lte", "gt", "gte", "range", "not_in_range",
		"contains", "contains_not", "icontains", "icontains_not", "in", "not_in", "is_null":
		return true
	}
	return false
}

// matcher compiles one filter; msg is the complaint about its value.
func (c *condition) matcher(s *Sim, method, value string) (fn matcher, msg string) {
	one, msg := c.direct(s, method, value)
	if msg != "" || c.via < 0 {
		return one, msg
	}
	return func(r *row) bool {
		ids := r.ints(c.via)
		if id := r.int(c.via); id != 0 {
			ids = []int{id}
		}
		for _, id := range ids {
			if rel := c.rows[id]; rel != nil && one(rel) {
				return true
			}
		}
		return false
	}, ""
}

func (c *condition) direct(s *Sim, method, value string) (matcher, string) {
	switch method {
	case "is_null":
		want := isTrue(value)
		return func(r *row) bool { return isNull(c.f.kind, r.vals[c.col]) == want }, ""
	case "contains", "contains_not", "icontains", "icontains_not":
		return c.contains(s, method, value), ""
	}
	parts := []string{value}
	if method == "in" || method == "not_in" || method == "range" || method == "not_in_range" {
		parts = strings.Split(value, ",")
	}
	if strings.HasSuffix(method, "range") && len(parts) != 2 {
		return nil, "Enter a range of two values."
	}
	ops := make([]operand, len(parts))
	for i, p := range parts {
		var msg string
		if ops[i], msg = c.operand(s, strings.TrimSpace(p)); msg != "" {
			return nil, msg
		}
	}
	test := comparison(method)
	col := c.col
	return func(r *row) bool {
		if c.f.kind == kindRefs {
			return anyRef(r.ints(col), method, ops, test)
		}
		v := valueOf(c.f.kind, r, col, s)
		return test(v, ops)
	}, ""
}

func anyRef(ids []int, method string, ops []operand, test func(operand, []operand) bool) bool {
	negated := strings.HasPrefix(method, "not_") || strings.HasSuffix(method, "_not") || method == "neq"
	for _, id := range ids {
		if test(operand{num: float64(id)}, ops) != negated {
			return !negated
		}
	}
	return negated
}

func (c *condition) contains(s *Sim, method, value string) matcher {
	fold := strings.HasPrefix(method, "i")
	not := strings.HasSuffix(method, "_not")
	if fold {
		value = strings.ToLower(value)
	}
	return func(r *row) bool {
		text := r.text(c.col)
		if c.f.kind == kindChoice {
			if ch := s.statuses[text]; ch != nil {
				text = ch.text
			}
		} else if text == "" {
			text = strings.Trim(string(appendPlain(nil, r.vals[c.col])), `"`)
		}
		if fold {
			text = strings.ToLower(text)
		}
		return strings.Contains(text, value) != not
	}
}

// bound narrows the range of an index by a condition on id or modified.
func (f *filters) bound(s *Sim, t *table, c *condition, method, value string) {
	if c.via >= 0 || c.f.kind != kindID && c.col != t.mod {
		return
	}
	lo, hi := value, value
	switch method {
	case "gt", "gte":
		hi = ""
	case "lt", "lte":
		lo = ""
	case "range":
		lo, hi, _ = strings.Cut(value, ",")
	case "is", "eq":
	default:
		return
	}
	if c.f.kind == kindID {
		if n, err := strconv.Atoi(strings.TrimSpace(lo)); err == nil {
			f.fromID = max(f.fromID, n)
		}
		if n, err := strconv.Atoi(strings.TrimSpace(hi)); err == nil && (f.toID == 0 || n < f.toID) {
			f.toID = n
		}
		return
	}
	if at, ok := s.parseTime(strings.TrimSpace(lo)); ok && at.After(f.from) {
		f.from = at
	}
	if at, ok := s.parseTime(strings.TrimSpace(hi)); ok && (f.to.IsZero() || at.Before(f.to)) {
		f.to = at
	}
}
