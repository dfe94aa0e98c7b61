package provetsim

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// operand is a value made comparable: a number, a text or a time.
type operand struct {
	null bool
	num  float64
	text string
	at   time.Time
}

func (o operand) compare(p operand) int {
	switch {
	case !o.at.IsZero() || !p.at.IsZero():
		return o.at.Compare(p.at)
	case o.num < p.num:
		return -1
	case o.num > p.num:
		return 1
	}
	return strings.Compare(o.text, p.text)
}

func isNull(k kind, v any) bool {
	if v == nil {
		return true
	}
	switch v := v.(type) {
	case int:
		return k == kindRef && v == 0
	case []int:
		return len(v) == 0
	case time.Time:
		return v.IsZero()
	}
	return false
}

func valueOf(k kind, r *row, col int, s *Sim) operand {
	if k == kindID {
		return operand{num: float64(r.id)}
	}
	if isNull(k, r.vals[col]) {
		return operand{null: true}
	}
	switch v := r.vals[col].(type) {
	case int:
		return operand{num: float64(v)}
	case float64:
		return operand{num: v}
	case bool:
		if v {
			return operand{num: 1}
		}
		return operand{}
	case time.Time:
		return operand{at: v}
	case string:
		if k == kindChoice {
			if c := s.statuses[v]; c != nil {
				return c.value
			}
			return operand{null: true}
		}
		return operand{text: v}
	}
	return operand{null: true}
}

func choiceOperand(text string) operand {
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return operand{num: n}
	}
	return operand{text: text}
}

func (c *condition) operand(s *Sim, v string) (operand, string) {
	switch c.f.kind {
	case kindText:
		return operand{text: v}, ""
	case kindChoice:
		return choiceOperand(v), ""
	case kindBool:
		switch v {
		case "true", "True", "1":
			return operand{num: 1}, ""
		case "false", "False", "0":
			return operand{}, ""
		}
		return operand{}, "Must be a valid boolean."
	case kindDate:
		if _, err := time.Parse(time.DateOnly, v); err != nil {
			return operand{}, "Enter a valid date."
		}
		return operand{text: v}, ""
	case kindTime:
		at, ok := s.parseTime(v)
		if !ok {
			return operand{}, "Enter a valid date/time."
		}
		return operand{at: at}, ""
	case kindID, kindInt, kindFloat, kindRef, kindRefs, kindSelf, kindRaw:
	}
	n, err := strconv.ParseFloat(v, 64)
	if err != nil {
		return operand{}, "Enter a number."
	}
	return operand{num: n}, ""
}

// parseTime reads the spellings of times the API accepts. A time without an
// offset is local to the tenant.
func (s *Sim) parseTime(v string) (time.Time, bool) {
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04Z07:00", "2006-01-02T15:04Z07:00",
		"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", time.DateOnly,
	} {
		if at, err := time.ParseInLocation(layout, v, s.cfg.Zone); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

func comparison(method string) func(operand, []operand) bool {
	in := func(v operand, ops []operand) bool {
		return !v.null && slices.ContainsFunc(ops, func(o operand) bool { return v.compare(o) == 0 })
	}
	within := func(v operand, ops []operand) bool {
		return !v.null && v.compare(ops[0]) >= 0 && v.compare(ops[1]) <= 0
	}
	switch method {
	case "is", "eq", "in":
		return in
	case "is_not", "not_eq", "neq", "not_in":
		return func(v operand, ops []operand) bool { return !in(v, ops) }
	case "lt":
		return func(v operand, ops []operand) bool { return !v.null && v.compare(ops[0]) < 0 }
	case "lte":
		return func(v operand, ops []operand) bool { return !v.null && v.compare(ops[0]) <= 0 }
	case "gt":
		return func(v operand, ops []operand) bool { return !v.null && v.compare(ops[0]) > 0 }
	case "gte":
		return func(v operand, ops []operand) bool { return !v.null && v.compare(ops[0]) >= 0 }
	case "range":
		return within
	default: // not_in_range
		return func(v operand, ops []operand) bool { return !within(v, ops) }
	}
}
