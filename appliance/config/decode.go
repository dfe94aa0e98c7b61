package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxRows bounds arrays of tables and lists in a file.
const maxRows = 10_000

var (
	durationType = reflect.TypeFor[Duration]()
	namesType    = reflect.TypeFor[Names]()
	valueType    = reflect.TypeFor[Value]()
)

// decoder fills a struct from the generic form of a file. It goes on after a
// mistake so that all are found.
type decoder struct{ errs Errors }

// table fills the struct out from in. path is that of the table, "" for the
// whole file.
func (d *decoder) table(path string, in map[string]any, out reflect.Value) {
	fields := fieldsOf(out.Type())
	names := make([]string, 0, len(fields))
	for _, f := range fields {
		names = append(names, f.name)
	}
	for _, key := range sortedKeys(in) {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == key })
		if i < 0 {
			hint := ""
			if n := nearest(key, names); n != "" {
				hint = "did you mean " + n + "?"
			} else if len(names) <= 12 {
				hint = "known here: " + strings.Join(names, ", ")
			}
			d.errs.add(join(path, key), hint, "there is no such setting")
			continue
		}
		d.value(join(path, key), in[key], out.Field(fields[i].index))
	}
}

// value fills out, of any kind a setting can have.
func (d *decoder) value(path string, in any, out reflect.Value) {
	switch out.Type() {
	case durationType:
		d.duration(path, in, out)
		return
	case namesType:
		d.names(path, in, out)
		return
	case valueType:
		if s, ok := scalarText(in); ok {
			out.SetString(s)
		} else {
			d.mistaken(path, "a text or a number", in)
		}
		return
	}
	switch kind := out.Kind(); {
	case kind == reflect.String:
		if s, ok := in.(string); ok {
			out.SetString(s)
		} else {
			d.mistaken(path, "a text in quotes", in)
		}
	case kind == reflect.Bool:
		if b, ok := in.(bool); ok {
			out.SetBool(b)
		} else {
			d.mistaken(path, "true or false", in)
		}
	case kind == reflect.Int:
		n, ok := in.(int64)
		if !ok || int64(int(n)) != n {
			d.mistaken(path, "a whole number", in)
			return
		}
		out.SetInt(n)
	case kind == reflect.Struct:
		if m, ok := in.(map[string]any); ok {
			d.table(path, m, out)
		} else {
			d.mistaken(path, "a table ["+path+"]", in)
		}
	case kind == reflect.Slice:
		d.rows(path, in, out)
	case kind == reflect.Map:
		d.mapping(path, in, out)
	default:
		panic("config: no setting has the kind " + out.Kind().String())
	}
}

func (d *decoder) duration(path string, in any, out reflect.Value) {
	s, ok := in.(string)
	if !ok {
		d.mistaken(path, `a duration in quotes, such as "30s", "5m" or "90d"`, in)
		return
	}
	v, err := ParseDuration(s)
	if err != nil {
		d.errs.add(path, `such as "30s", "5m", "24h" or "90d"`, "%v", err)
		return
	}
	out.SetInt(int64(v))
}

// names reads one name or a list.
func (d *decoder) names(path string, in any, out reflect.Value) {
	list, ok := in.([]any)
	if !ok {
		list = []any{in}
	}
	if len(list) > maxRows {
		d.errs.add(path, "", "more than %d entries", maxRows)
		return
	}
	names := make(Names, 0, len(list))
	for _, x := range list {
		s, ok := scalarText(x)
		if !ok {
			d.mistaken(path, "a text or a list of texts", x)
			return
		}
		names = append(names, s)
	}
	out.Set(reflect.ValueOf(names))
}

// rows reads an array of tables.
func (d *decoder) rows(path string, in any, out reflect.Value) {
	list, ok := in.([]any)
	if !ok {
		d.mistaken(path, "tables, each with the heading [["+path+"]]", in)
		return
	}
	if len(list) > maxRows {
		d.errs.add(path, "", "more than %d tables", maxRows)
		return
	}
	rows := reflect.MakeSlice(out.Type(), len(list), len(list))
	for i, x := range list {
		at := fmt.Sprintf("%s[%d]", path, i+1)
		m, ok := x.(map[string]any)
		if !ok {
			d.mistaken(at, "a table with the heading [["+path+"]]", x)
			continue
		}
		setDefaults(rows.Index(i))
		d.table(at, m, rows.Index(i))
	}
	out.Set(rows)
}

func (d *decoder) mapping(path string, in any, out reflect.Value) {
	m, ok := in.(map[string]any)
	if !ok {
		d.mistaken(path, "a table ["+path+"]", in)
		return
	}
	res := reflect.MakeMapWithSize(out.Type(), len(m))
	for _, key := range sortedKeys(m) {
		v := reflect.New(out.Type().Elem()).Elem()
		d.value(join(path, key), m[key], v)
		res.SetMapIndex(reflect.ValueOf(key), v)
	}
	out.Set(res)
}

// mistaken reports a value of the wrong type.
func (d *decoder) mistaken(path, want string, got any) {
	d.errs.add(path, "", "expected %s, found %s", want, describe(got))
}

// scalarText returns a text, or a number in its digits.
func scalarText(in any) (string, bool) {
	switch v := in.(type) {
	case string:
		return v, true
	case int64:
		return strconv.FormatInt(v, 10), true
	}
	return "", false
}

func describe(v any) string {
	switch v := v.(type) {
	case string:
		return "the text " + strconv.Quote(clip(v))
	case int64:
		return "the number " + strconv.FormatInt(v, 10)
	case float64:
		return "the number " + strconv.FormatFloat(v, 'g', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	case time.Time:
		return "a date"
	}
	return "a date or time"
}

// clip shortens a text for a sentence.
func clip(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

// join appends a key to the path of its table.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
