package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// maxFile bounds the settings file.
const maxFile = 1 << 20

// Parse reads a settings file strictly. Its error is Errors: every mistake of
// the file, by line. Beside an error it returns nil.
func Parse(b []byte) (*File, error) {
	if len(b) > maxFile {
		return nil, Errors{{Message: fmt.Sprintf("the file is larger than %d bytes", maxFile)}}
	}
	clean := bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")) // editors on Windows add a byte order mark
	var tree map[string]any
	if err := toml.Unmarshal(clean, &tree); err != nil {
		return nil, syntaxErrors(err)
	}
	tree, errs := upgrade(tree)
	if len(errs) > 0 {
		return nil, located(errs, clean)
	}
	f := Default()
	d := &decoder{}
	d.table("", tree, reflect.ValueOf(f).Elem())
	errs = d.errs
	for _, e := range f.check() {
		if !errs.mentions(e.Key) {
			errs = append(errs, e)
		}
	}
	if len(errs) > 0 {
		return nil, located(errs, clean)
	}
	f.origin, f.lines = Fingerprint(b), lineIndex(clean)
	return f, nil
}

// Load reads the file at path. Its error is a *FileError for mistakes in the
// file and a *fs.PathError when it cannot be read.
func Load(path string) (*File, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	f, err := Parse(b)
	var errs Errors
	if errors.As(err, &errs) {
		return nil, &FileError{Path: path, Errors: errs}
	}
	return f, err
}

// Validate checks settings that were changed in memory. Its error is Errors,
// without lines.
func (f *File) Validate() error { return f.check().err() }

// syntaxErrors turns the parser's error into ours.
func syntaxErrors(err error) Errors {
	var de *toml.DecodeError
	if !errors.As(err, &de) {
		return Errors{{Message: strings.TrimPrefix(err.Error(), "toml: ")}}
	}
	line, column := de.Position()
	return Errors{{
		Line: line, Key: strings.Join(de.Key(), "."),
		Message: strings.TrimPrefix(de.Error(), "toml: "),
		Hint:    fmt.Sprintf("column %d", column),
	}}
}

// located adds the lines of a file to its mistakes and sorts them.
func located(errs Errors, b []byte) Errors {
	lines := lineIndex(b)
	for i := range errs {
		errs[i].Line = lines.of(errs[i].Key)
	}
	slices.SortStableFunc(errs, func(a, b Error) int { return cmp.Compare(a.Line, b.Line) })
	return errs
}
