package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// heading stands at the top of every file that the program writes.
const heading = `# Rayhound settings. Check the file after a change: rayhound config check
# Secrets are not in here: rayhound secret set provet.client_secret

`

// TOML returns the effective settings as a file with comments.
func (f *File) TOML() []byte {
	w := &writer{comments: true}
	w.buf.WriteString(heading)
	w.table("", reflect.ValueOf(f).Elem())
	return w.buf.Bytes()
}

// Template returns a commented file with the defaults and, out-commented,
// examples of the tables that may be there several times.
func Template() []byte {
	b := Default().TOML()
	m := NewModality()
	m.Name, m.AETitle, m.Addresses, m.Serves = "X-ray room 1", "DR1", Names{"192.168.1.40"}, Names{"X-ray"}
	w := &writer{comments: true, disabled: true}
	w.comment("One [[modality]] for each machine; remove the # to use it.")
	w.line("[[modality]]")
	w.table("modality", reflect.ValueOf(&m).Elem())
	w.buf.WriteByte('\n')
	r := NewRIS()
	r.Name, r.Address, r.Serves = "clinic-ris", "192.168.1.20:2575", Names{"X-ray"}
	w.comment("One [[ris]] for each RIS or image manager that gets orders by HL7.")
	w.line("[[ris]]")
	w.table("ris", reflect.ValueOf(&r).Elem())
	w.buf.WriteByte('\n')
	w.comment("Codes of a species, when the machines or the PACS want more than text.")
	w.line("[[species]]")
	w.table("species", reflect.ValueOf(&Species{
		Name: "Dog", DICOM: Code{Value: "448771007", Scheme: "SCT", Meaning: "Dog"}, Orientation: "QUADRUPED",
	}).Elem())
	return append(append(b, '\n'), w.buf.Bytes()...)
}

// MarshalJSON returns the effective settings with the same names as the file.
func (f *File) MarshalJSON() ([]byte, error) {
	return json.Marshal(tree(reflect.ValueOf(f).Elem()))
}

// tree returns the generic form of a setting: what JSON shows and Equal compares.
func tree(v reflect.Value) any {
	switch {
	case v.Type() == durationType:
		return Duration(v.Int()).String()
	case v.Kind() == reflect.Struct:
		m := map[string]any{}
		for _, f := range fieldsOf(v.Type()) {
			m[f.name] = tree(v.Field(f.index))
		}
		return m
	case v.Kind() == reflect.Slice:
		list := make([]any, 0, v.Len())
		for i := range v.Len() {
			list = append(list, tree(v.Index(i)))
		}
		return list
	case v.Kind() == reflect.Map:
		m := map[string]any{}
		for it := v.MapRange(); it.Next(); {
			m[it.Key().String()] = tree(it.Value())
		}
		return m
	case v.Kind() == reflect.String:
		return v.String()
	}
	return v.Interface()
}

// writer writes TOML in the order and with the comments of the structs.
type writer struct {
	buf      bytes.Buffer
	comments bool
	disabled bool // every line is a comment
}

func (w *writer) line(s string) {
	if w.disabled {
		w.buf.WriteString("# ")
	}
	w.buf.WriteString(s + "\n")
}

func (w *writer) comment(s string) {
	if !w.comments || s == "" {
		return
	}
	for line := range strings.SplitSeq(s, "\n") {
		w.line("# " + line)
	}
}

// table writes the keys of a struct and then the tables below it.
func (w *writer) table(path string, v reflect.Value) {
	fields := fieldsOf(v.Type())
	for _, f := range fields {
		fv := v.Field(f.index)
		if isTable(f, fv) {
			continue
		}
		text := f.name + " = " + inlineText(fv)
		switch {
		case !w.comments || f.comment == "":
			w.line(text)
		case len(text)+len(f.comment) < 110:
			w.line(fmt.Sprintf("%-36s # %s", text, f.comment))
		default:
			w.comment(f.comment)
			w.line(text)
		}
	}
	for _, f := range fields {
		fv := v.Field(f.index)
		if !isTable(f, fv) {
			continue
		}
		w.section(join(path, f.name), f, fv)
	}
}

// section writes a table, the rows of an array of tables, or a mapping.
func (w *writer) section(path string, f field, v reflect.Value) {
	switch kind := v.Kind(); {
	case kind == reflect.Struct:
		w.buf.WriteByte('\n')
		w.comment(f.comment)
		w.line("[" + path + "]")
		w.table(path, v)
	case kind == reflect.Slice:
		for i := range v.Len() {
			w.buf.WriteByte('\n')
			w.line("[[" + path + "]]")
			rows := *w
			rows.buf = bytes.Buffer{}
			rows.comments = w.comments && i == 0 // once is enough
			rows.table(path, v.Index(i))
			w.buf.Write(rows.buf.Bytes())
		}
	case kind == reflect.Map:
		if v.Len() == 0 {
			return
		}
		w.buf.WriteByte('\n')
		w.comment(f.comment)
		keys := mapKeys(v)
		if v.Type().Elem().Kind() == reflect.Map { // tables of tables
			for _, k := range keys {
				w.line("[" + path + "." + keyText(k) + "]")
				w.pairs(v.MapIndex(reflect.ValueOf(k)))
			}
			return
		}
		w.line("[" + path + "]")
		w.pairs(v)
	}
}

func (w *writer) pairs(v reflect.Value) {
	for _, k := range mapKeys(v) {
		w.line(keyText(k) + " = " + inlineText(v.MapIndex(reflect.ValueOf(k))))
	}
}

// isTable reports whether a setting is written under a heading of its own.
func isTable(f field, v reflect.Value) bool {
	switch kind := v.Kind(); {
	case kind == reflect.Struct || kind == reflect.Map:
		return !f.inline
	case kind == reflect.Slice:
		return v.Type() != namesType
	}
	return false
}

// inlineText returns a value as it stands behind the equals sign.
func inlineText(v reflect.Value) string {
	switch {
	case v.Type() == durationType:
		return quote(Duration(v.Int()).String())
	case v.Kind() == reflect.String:
		return quote(v.String())
	case v.Kind() == reflect.Slice:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = inlineText(v.Index(i))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case v.Kind() == reflect.Struct:
		var parts []string
		for _, f := range fieldsOf(v.Type()) {
			if fv := v.Field(f.index); !fv.IsZero() {
				parts = append(parts, f.name+" = "+inlineText(fv))
			}
		}
		return braces(parts)
	case v.Kind() == reflect.Map:
		var parts []string
		for _, k := range mapKeys(v) {
			parts = append(parts, keyText(k)+" = "+inlineText(v.MapIndex(reflect.ValueOf(k))))
		}
		return braces(parts)
	case v.Kind() == reflect.Bool:
		return strconv.FormatBool(v.Bool())
	}
	return strconv.FormatInt(v.Int(), 10)
}

func braces(parts []string) string {
	if len(parts) == 0 {
		return "{}"
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}

func mapKeys(v reflect.Value) []string {
	set := map[string]bool{}
	for _, k := range v.MapKeys() {
		set[k.String()] = true
	}
	return sortedKeys(set)
}

// keyText returns a key, in quotes when it needs them.
func keyText(k string) string {
	if k != "" && !strings.ContainsFunc(k, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		return k
	}
	return quote(k)
}

// quote returns a TOML basic string.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
