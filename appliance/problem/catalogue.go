package problem

import (
	_ "embed" // the catalogue
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"
)

// Code is the stable number of a problem, such as RH-304.
type Code string

// Severity says how bad a problem is.
type Severity string

// The severities, worst last.
const (
	Info  Severity = "info"
	Warn  Severity = "warn"
	Fault Severity = "error"
)

// Audience says who can act on a problem.
type Audience string

// The audiences.
const (
	Staff Audience = "staff"
	IT    Audience = "it"
)

// Definition is one entry of the catalogue. Title, Text and Help may hold
// places such as {accession}, filled from Args.
type Definition struct {
	Code         Code     `json:"code"`
	Key          string   `json:"key"`
	Severity     Severity `json:"severity"`
	Audience     Audience `json:"audience"`
	VisibleAfter Duration `json:"visible_after"` // how long it must last before a person sees it
	DependsOn    []Code   `json:"depends_on"`    // problems that cause it and then hide it from staff
	Title        string   `json:"title"`
	Text         string   `json:"text"`
	Help         string   `json:"help"`
}

// Duration is a time.Duration written as "2m" in the catalogue.
type Duration time.Duration

// UnmarshalText reads "30s".
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// MarshalText writes "30s".
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

//go:embed problems.json
var catalogueJSON []byte

var catalogue = sync.OnceValue(func() []Definition {
	var defs []Definition
	if err := json.Unmarshal(catalogueJSON, &defs); err != nil {
		return nil // a test reads the catalogue; it cannot be wrong in a release
	}
	return defs
})

// All returns the catalogue, in the order of its codes.
func All() []Definition { return slices.Clone(catalogue()) }

// Lookup returns the definition of a code.
func Lookup(c Code) (Definition, bool) {
	for _, d := range catalogue() {
		if d.Code == c {
			return d, true
		}
	}
	return Definition{}, false
}

// Args fill the places of a text. Values are shown to people: no secrets, no
// owners' names.
type Args map[string]string

// fill replaces {name} by the value of name. A place without a value becomes
// an ellipsis.
func fill(text string, args Args) string {
	if !strings.Contains(text, "{") {
		return text
	}
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "{")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		name, after, ok := strings.Cut(rest, "}")
		if !ok {
			b.WriteString("{" + rest)
			return b.String()
		}
		if v, ok := args[name]; ok && v != "" {
			b.WriteString(v)
		} else {
			b.WriteString("…")
		}
		text = after
	}
}
