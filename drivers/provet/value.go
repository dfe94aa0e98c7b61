package provet

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Limits of an answer, checked before anything is allocated for it.
const (
	maxBody   = 8 << 20 // bytes of an HTTP answer
	maxValues = 1 << 18 // JSON values in it
	maxDepth  = 32      // nesting
	maxText   = 64 << 10
	maxRefs   = 200 // relations in one list
	maxIDLen  = 64
)

// object is a JSON object. Numbers are json.Number.
type object map[string]any

var (
	errTooDeep    = errors.New("nested too deeply")
	errTooMany    = errors.New("too many values")
	errNotObject  = errors.New("not a JSON object")
	errTrailing   = errors.New("data after the JSON value")
	errTooLarge   = errors.New("answer is too large")
	errNotAnyJSON = errors.New("not JSON")
)

// decode reads one JSON value within the limits.
func decode(b []byte) (any, error) {
	if err := scanLimits(b); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, errNotAnyJSON // the decoder's text may quote the answer
	}
	if rest := bytes.TrimSpace(b[d.InputOffset():]); len(rest) > 0 {
		return nil, errTrailing
	}
	return v, nil
}

// decodeObject reads one JSON object within the limits.
func decodeObject(b []byte) (object, error) {
	v, err := decode(b)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errNotObject
	}
	return m, nil
}

// scanLimits bounds nesting and the number of values without building them.
func scanLimits(b []byte) error {
	depth, values := 0, 0
	inString := false
	for i := 0; i < len(b); i++ {
		c := b[i]
		if inString {
			switch c {
			case '\\':
				i++
			case '"':
				inString = false
			}
			continue
		}
		switch c {
		case '"':
			inString = true
		case '{', '[':
			depth++
			values++
		case '}', ']':
			depth--
		case ',':
			values++
		}
		if depth > maxDepth {
			return errTooDeep
		}
		if values > maxValues {
			return errTooMany
		}
	}
	return nil
}

// at returns the value of a key, or of a path of keys separated by dots.
func (o object) at(name string) (any, bool) {
	if v, ok := o[name]; ok {
		return v, true
	}
	first, rest, dotted := strings.Cut(name, ".")
	if !dotted {
		return nil, false
	}
	inner, ok := asObject(o[first])
	if !ok {
		return nil, false
	}
	return inner.at(rest)
}

func asObject(v any) (object, bool) {
	m, ok := v.(map[string]any)
	return m, ok
}

// nameKeys are the keys under which an embedded object shows its text.
var nameKeys = []string{"name", "label", "display_name", "display", "title", "text", "value"}

// text reads a tolerant text field: a string, a number, an object with a name,
// a list of these. Everything else is empty. The result is NFC, trimmed, with
// line feeds as line ends and without control characters.
func text(v any) string { return textDepth(v, 0) }

func textDepth(v any, depth int) string {
	if depth > 3 {
		return ""
	}
	switch t := v.(type) {
	case string:
		return cleanText(t)
	case json.Number:
		return number(t)
	case map[string]any:
		for _, k := range nameKeys {
			if s := textDepth(t[k], depth+1); s != "" {
				return s
			}
		}
	case []any:
		var parts []string
		for i, e := range t {
			if i == maxRefs {
				break
			}
			if s := textDepth(e, depth+1); s != "" {
				parts = append(parts, s)
			}
		}
		return cleanText(strings.Join(parts, ", "))
	}
	return ""
}

// line is text on one line, for names.
func line(v any) string { return cleanLine(text(v)) }

func cleanText(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.ReplaceAll(s, "\r\n", "\n")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\r':
			return '\n'
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r), r == '\uFEFF':
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(norm.NFC.String(s))
}

func cleanLine(s string) string { return strings.Join(strings.Fields(cleanText(s)), " ") }

// number writes a JSON number as text; integers as decimals ("3", not "3.0").
func number(n json.Number) string {
	s := n.String()
	if _, err := strconv.ParseInt(s, 10, 64); err == nil {
		return s
	}
	f, err := n.Float64()
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return ""
	}
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return strconv.FormatInt(int64(f), 10)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// scalar reads an enum value as text: string, number, boolean, or an object
// that holds one, such as {"value": 3, "label": "Done"} or {"id": 3, "name": "Done"}.
func scalar(v any) (value, label string) {
	switch t := v.(type) {
	case string:
		return cleanLine(t), ""
	case json.Number:
		return number(t), ""
	case bool:
		return strconv.FormatBool(t), ""
	case map[string]any:
		for _, k := range []string{"value", "id", "code", "key"} {
			if value, _ = scalarFlat(t[k]); value != "" {
				break
			}
		}
		for _, k := range []string{"label", "name", "display", "display_name", "title", "text"} {
			if label = line(t[k]); label != "" {
				break
			}
		}
		if value == "" {
			value = label
		}
	}
	return value, label
}

func scalarFlat(v any) (string, bool) {
	switch t := v.(type) {
	case string:
		return cleanLine(t), true
	case json.Number:
		return number(t), true
	}
	return "", false
}

// canonical cleans a configured value as scalar does, so that both compare as text.
func canonical(s string) string { return cleanLine(s) }

// truth reads a flag: true, 1, "1", "true", "yes", or any other non-empty text
// such as a date when dates is set.
func truth(v any, dates bool) bool {
	switch t := v.(type) {
	case bool:
		return t
	case json.Number:
		return number(t) != "0" && number(t) != ""
	case string:
		switch s := strings.ToLower(strings.TrimSpace(t)); s {
		case "", "0", "false", "no", "null", "none":
			return false
		case "1", "true", "yes":
			return true
		default:
			return dates
		}
	}
	return false
}

// decimal reads a number, also one in text with a comma.
func decimal(v any) (float64, bool) {
	var s string
	switch t := v.(type) {
	case json.Number:
		s = t.String()
	case string:
		s = strings.Replace(strings.TrimSpace(t), ",", ".", 1)
	default:
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

// timeLayouts are the forms of a time; the last ones carry no zone.
var timeLayouts = []string{
	"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999Z0700",
	"2006-01-02T15:04Z07:00", "2006-01-02T15:04:05.999999999Z07",
	"2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02",
}

// instant reads a time: ISO 8601 with an offset, with Z, with microseconds, or
// without a zone, which then is the clinic's. The offset given is kept.
func instant(v any, zone *time.Location) time.Time {
	s, ok := v.(string)
	if !ok || len(s) > 64 {
		return time.Time{}
	}
	s = strings.TrimSpace(s)
	if len(s) > 10 && s[10] == ' ' {
		s = s[:10] + "T" + strings.ReplaceAll(s[11:], " ", "")
	}
	for _, layout := range timeLayouts {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			if t.Year() < 1900 || t.Year() > 2999 {
				return time.Time{}
			}
			return t
		}
	}
	return time.Time{}
}

// date reads a calendar date, also from the front of a time; "" when it is none.
func date(v any) string {
	s, ok := v.(string)
	if !ok {
		return ""
	}
	s = strings.TrimSpace(s)
	if len(s) > 10 && (s[10] == 'T' || s[10] == ' ') {
		s = s[:10]
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 1900 {
		return ""
	}
	return s
}
