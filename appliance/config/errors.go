package config

import (
	"fmt"
	"slices"
	"strings"
)

// Error is one mistake in the settings.
type Error struct {
	Line    int    `json:"line,omitempty"` // in the file, from 1; 0 when unknown
	Key     string `json:"key,omitempty"`  // such as dicom.ae_title or modality[1].code; lists count from 1
	Message string `json:"message"`        // one sentence without a full stop
	Hint    string `json:"hint,omitempty"` // what was probably meant, or what to do
}

// Error returns "line 12: dicom.ae_title: message (hint)".
func (e Error) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", e.Line)
	}
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Message)
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

// Errors are all mistakes of a file, by line. A nil Errors is no error.
type Errors []Error

// Error returns one line for each mistake.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Detail returns the first mistake and how many more there are, for one
// sentence.
func (e Errors) Detail() string {
	switch len(e) {
	case 0:
		return ""
	case 1:
		return e[0].Error()
	case 2:
		return e[0].Error() + "; and one more mistake"
	}
	return fmt.Sprintf("%s; and %d more mistakes", e[0].Error(), len(e)-1)
}

// add appends a mistake.
func (e *Errors) add(key, hint, format string, args ...any) {
	*e = append(*e, Error{Key: key, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// err returns e as an error, nil when there is no mistake.
func (e Errors) err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

// mentions reports whether a mistake at key or at one of its parents is known.
func (e Errors) mentions(key string) bool {
	return slices.ContainsFunc(e, func(x Error) bool {
		return x.Key == key || strings.HasPrefix(key, x.Key+".") || strings.HasPrefix(key, x.Key+"[")
	})
}

// FileError is Errors with the name of the file.
type FileError struct {
	Path   string
	Errors Errors
}

// Error returns the mistakes, one line each, with the file's name before.
func (e *FileError) Error() string { return e.Path + ": " + e.Errors.Error() }

// Unwrap returns the mistakes.
func (e *FileError) Unwrap() error { return e.Errors }
