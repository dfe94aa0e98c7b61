package provetsim

import (
	"encoding/json"
	"strconv"
	"time"
)

// rendering is how one answer is written.
type rendering struct {
	base   string // URL of the tenant, without a slash at the end
	expose map[int]bool
}

// appendText appends s as a JSON string.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			q, err := json.Marshal(s)
			if err != nil { // never for a string
				return append(b, `""`...)
			}
			return append(b, q...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// appendObject appends r in full.
func (s *Sim) appendObject(b []byte, t *table, r *row, how rendering) []byte {
	return s.appendFields(b, t, r, how, false)
}

// appendEmbedded appends r without its id, the way expose_ shows it.
func (s *Sim) appendEmbedded(b []byte, t *table, r *row, base string) []byte {
	return s.appendFields(b, t, r, rendering{base: base}, true)
}

func (s *Sim) appendFields(b []byte, t *table, r *row, how rendering, embedded bool) []byte {
	b = append(b, '{')
	first := true
	for i := range t.res.fields {
		f := &t.res.fields[i]
		if t.view.names[i] == "" || embedded && f.kind == kindID {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, t.view.keys[i]...)
		shape := t.view.shapes[i]
		switch {
		case how.expose[i]:
			shape = ShapeObject
		case embedded && (shape == ShapeObject || shape == ShapeIDObject):
			shape = ShapeURL // one level only
		}
		b = s.appendValue(b, t, r, i, shape, how.base)
	}
	return append(b, '}')
}

func (s *Sim) appendValue(b []byte, t *table, r *row, col int, shape Shape, base string) []byte {
	f := &t.res.fields[col]
	switch f.kind {
	case kindID:
		return strconv.AppendInt(b, int64(r.id), 10)
	case kindSelf:
		return s.appendURL(b, base, t.res.path, r.id)
	case kindChoice:
		return s.appendStatus(b, r.text(col))
	case kindRaw:
		return append(b, r.text(col)...)
	case kindRef:
		if r.int(col) == 0 {
			return append(b, "null"...)
		}
		return s.appendRef(b, f.target, r.int(col), shape, base)
	case kindRefs:
		b = append(b, '[')
		for i, id := range r.ints(col) {
			if i > 0 {
				b = append(b, ',')
			}
			b = s.appendRef(b, f.target, id, shape, base)
		}
		return append(b, ']')
	case kindTime:
		if at, ok := r.vals[col].(time.Time); ok && !at.IsZero() {
			return s.appendTime(b, at, r.id+col)
		}
		return append(b, "null"...)
	case kindInt, kindFloat, kindBool, kindText, kindDate:
	}
	return appendPlain(b, r.vals[col])
}

func appendPlain(b []byte, v any) []byte {
	switch v := v.(type) {
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case float64:
		return strconv.AppendFloat(b, v, 'f', -1, 64)
	case bool:
		return strconv.AppendBool(b, v)
	case string:
		return appendText(b, v)
	default:
		return append(b, "null"...)
	}
}

func (s *Sim) appendStatus(b []byte, key string) []byte {
	if c := s.statuses[key]; c != nil {
		return append(b, c.json...)
	}
	return append(b, "null"...)
}

// status is a choice made ready for answers and comparisons.
type status struct {
	json  []byte
	text  string
	value operand
}

func newStatuses(choices []Choice) map[string]*status {
	m := make(map[string]*status, len(choices))
	for _, c := range choices {
		j, err := json.Marshal(c.Value)
		if err != nil {
			j = appendText(nil, c.Text())
		}
		m[c.Key] = &status{json: j, text: c.Text(), value: choiceOperand(c.Text())}
	}
	return m
}

func (s *Sim) appendURL(b []byte, base, path string, id int) []byte {
	b = append(b, '"')
	b = append(b, base...)
	b = append(b, apiPath...)
	b = append(b, path...)
	b = append(b, '/')
	b = strconv.AppendInt(b, int64(id), 10)
	return append(b, `/"`...)
}

// appendRef appends the relation to object id of the resource named target.
// A relation to an object that is gone keeps its URL, but has nothing to embed.
func (s *Sim) appendRef(b []byte, target string, id int, shape Shape, base string) []byte {
	t := s.tables[target]
	path := target
	var r *row
	if t != nil {
		path, r = t.res.path, t.rows[id]
	}
	switch {
	case shape == ShapeID:
		return strconv.AppendInt(b, int64(id), 10)
	case shape == ShapeIDString:
		return appendText(b, strconv.Itoa(id))
	case shape == ShapeRelativeURL:
		return s.appendURL(b, "/"+s.cfg.ProvetID, path, id)
	case shape == ShapeObject && r != nil:
		return s.appendEmbedded(b, t, r, base)
	case shape == ShapeIDObject:
		b = append(b, `{"id":`...)
		b = strconv.AppendInt(b, int64(id), 10)
		if name := displayName(t, r); name != "" {
			b = append(b, `,"name":`...)
			b = appendText(b, name)
		}
		return append(b, '}')
	case shape == ShapeName && displayName(t, r) != "":
		return appendText(b, displayName(t, r))
	default:
		return s.appendURL(b, base, path, id)
	}
}

func displayName(t *table, r *row) string {
	if r == nil {
		return ""
	}
	for _, n := range []string{"name", "last_name", "lastname", "organization_name"} {
		if i := t.res.col(n); i >= 0 && r.text(i) != "" {
			return r.text(i)
		}
	}
	return ""
}

const (
	layoutMicro   = "2006-01-02T15:04:05.000000"
	layoutSeconds = "2006-01-02T15:04:05"
)

// appendTime appends at in the tenant's style. The number n makes the mixed
// style vary from object to object, and stay the same for one.
func (s *Sim) appendTime(b []byte, at time.Time, n int) []byte {
	at = at.In(s.cfg.Zone)
	layout := layoutMicro
	if at.Nanosecond() < 1000 {
		layout = layoutSeconds // as Django writes a time of a whole second
	}
	style := s.cfg.Datetimes
	if style == DatetimeMixed {
		style = DatetimeOffset
		if n%4 == 3 {
			style = DatetimeUTC
		}
	}
	b = append(b, '"')
	switch style {
	case DatetimeUTC:
		b = at.UTC().AppendFormat(b, layout+"Z")
	case DatetimeSeconds:
		b = at.AppendFormat(b, layoutSeconds+"-07:00")
	case DatetimeNaive:
		b = at.AppendFormat(b, layout)
	case DatetimeOffset, DatetimeMixed:
		b = at.AppendFormat(b, layout+"-07:00")
	}
	return append(b, '"')
}
