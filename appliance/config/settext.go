package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"strings"
)

// ErrByHand is returned by SetText when the file is written in a way that the
// program does not dare to change.
var ErrByHand = errors.New("config: the file has to be changed by hand")

// SetText changes one text of a table in the file at path, such as relay_url in
// [tunnel], and nothing else: comments and order stay. It is written only when
// the result is valid and differs in that setting alone; the former version
// stays beside it, as with Save. When the value stands there already, nothing is
// written.
func SetText(path, table, key, value string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	before, err := Parse(b)
	if err != nil {
		return err
	}
	want := before.text(table, key)
	if want == nil {
		return fmt.Errorf("config: there is no text %s in [%s]", key, table)
	}
	if *want == value {
		return nil
	}
	*want = value // of before: what the file has to mean afterwards
	if err := before.Validate(); err != nil {
		return err
	}
	changed, err := editText(b, table, key, value)
	if err != nil {
		return err
	}
	after, err := Parse(changed)
	if err != nil || !Equal(after, before) {
		return ErrByHand
	}
	now, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !bytes.Equal(now, b) {
		return ErrChanged
	}
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if err := keepVersion(path, now); err != nil {
		return err
	}
	return writeFile(path, changed)
}

// text returns the setting of a table that is a text, nil when there is none.
func (f *File) text(table, key string) *string {
	v := reflect.ValueOf(f).Elem()
	for _, t := range fieldsOf(v.Type()) {
		if t.name != table || v.Field(t.index).Kind() != reflect.Struct {
			continue
		}
		inner := v.Field(t.index)
		for _, k := range fieldsOf(inner.Type()) {
			if p, ok := inner.Field(k.index).Addr().Interface().(*string); ok && k.name == key {
				return p
			}
		}
	}
	return nil
}

var headerRE = regexp.MustCompile(`^\s*\[`)

// editText changes the line of a setting, adds one to its table, or adds the table.
func editText(b []byte, table, key, value string) ([]byte, error) {
	end := "\n"
	if bytes.Contains(b, []byte("\r\n")) {
		end = "\r\n"
	}
	lines := strings.SplitAfter(string(b), "\n")
	own := regexp.MustCompile(`^\s*\[\s*` + regexp.QuoteMeta(table) + `\s*\]\s*(#.*)?$`)
	set := regexp.MustCompile(`^(\s*` + regexp.QuoteMeta(key) + `\s*=\s*)("(?:[^"\\]|\\.)*"|'[^']*')(.*)$`)
	header, in := -1, false
	for i, l := range lines {
		text := strings.TrimRight(l, "\r\n")
		switch {
		case own.MatchString(text):
			header, in = i, true
		case headerRE.MatchString(text):
			in = false
		case in:
			if m := set.FindStringSubmatch(text); m != nil {
				lines[i] = m[1] + quote(value) + m[3] + l[len(text):]
				return []byte(strings.Join(lines, "")), nil
			}
		}
	}
	line := key + " = " + quote(value) + end
	if header >= 0 {
		if !strings.HasSuffix(lines[header], "\n") {
			lines[header] += end
		}
		lines[header] += line
		return []byte(strings.Join(lines, "")), nil
	}
	text := strings.Join(lines, "")
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += end
	}
	return []byte(text + end + "[" + table + "]" + end + line), nil
}
