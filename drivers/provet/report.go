package provet

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rayhound/rayhound/appliance/order"
)

// Report says which of our fields a tenant (or its OpenAPI file) offers, under
// which names, and which values the status has.
type Report struct {
	Source    string // "probe" or "schema"
	Resources []ResourceReport
	Status    StatusReport
	Notes     []string // what could not be found out, for people
}

// ResourceReport is one resource of a Report.
type ResourceReport struct {
	Resource string
	Seen     []string // names that were there, sorted; at most 400
	Fields   []FieldReport
}

// Verdict says how sure a mapping is.
type Verdict string

// The verdicts.
const (
	Mapped    Verdict = "mapped"    // a candidate exists
	Proposed  Verdict = "proposed"  // no candidate exists, but exactly one name reads like it
	Ambiguous Verdict = "ambiguous" // several names read like it
	Unmapped  Verdict = "unmapped"  // nothing found
)

// FieldReport is one logical field of a resource.
type FieldReport struct {
	Field   string // ours
	Verdict Verdict
	Name    string   // Provet's, when mapped or proposed
	Type    string   // as stated by the metadata; may be empty
	Tried   []string // candidates
	Others  []string // further names that would do
}

// StatusReport is what was learned about the worklist status.
type StatusReport struct {
	Field     string
	Numeric   bool // the values are numbers
	Choices   []Choice
	Proposals []Proposal // by label, for a person to confirm
}

// Resource returns the part of a resource, or nil.
func (r *Report) Resource(name string) *ResourceReport {
	for i := range r.Resources {
		if r.Resources[i].Resource == name {
			return &r.Resources[i]
		}
	}
	return nil
}

// Field returns the part of a logical field, or nil.
func (r *Report) Field(resource, field string) *FieldReport {
	res := r.Resource(resource)
	if res == nil {
		return nil
	}
	for i := range res.Fields {
		if res.Fields[i].Field == field {
			return &res.Fields[i]
		}
	}
	return nil
}

// Fields returns the mapped fields, and the proposed ones if asked for, in the
// form of Config.Fields.
func (r *Report) Fields(proposed bool) Fields {
	out := Fields{}
	for _, res := range r.Resources {
		for _, f := range res.Fields {
			if f.Verdict == Mapped || (proposed && f.Verdict == Proposed) {
				if out[res.Resource] == nil {
					out[res.Resource] = map[string][]string{}
				}
				out[res.Resource][f.Field] = []string{f.Name}
			}
		}
	}
	return out
}

// Needed lists the logical fields without which orders do not work and that
// are not mapped, as FieldErrors (RH-106).
func (r *Report) Needed() []*FieldError {
	var out []*FieldError
	for _, need := range neededFields {
		f := r.Field(resWorklist, need)
		if f == nil || f.Verdict == Mapped {
			continue
		}
		out = append(out, &FieldError{Resource: resWorklist, Field: need, Tried: f.Tried, Seen: r.Resource(resWorklist).Seen})
	}
	return out
}

// Text renders the report for a terminal.
func (r *Report) Text() string {
	var b strings.Builder
	for _, res := range r.Resources {
		fmt.Fprintf(&b, "%s\n", res.Resource)
		for _, f := range res.Fields {
			fmt.Fprintf(&b, "  %-26s %-10s %s\n", f.Field, f.Verdict, fieldLine(f))
		}
		fmt.Fprintf(&b, "  names seen: %s\n\n", joinNames(res.Seen))
	}
	b.WriteString("status values\n")
	if len(r.Status.Choices) == 0 {
		b.WriteString("  none were offered\n")
	}
	for _, ch := range r.Status.Choices {
		line := fmt.Sprintf("  %-10s %s", cleanLine(ch.Value), cleanLine(ch.Label))
		for _, p := range r.Status.Proposals {
			if slices.Contains(p.Choices, ch) {
				line += fmt.Sprintf("   (reads like %s)", p.State)
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", cleanLine(n))
	}
	return b.String()
}

func fieldLine(f FieldReport) string {
	switch f.Verdict {
	case Mapped, Proposed:
		s := cleanLine(f.Name)
		if f.Type != "" {
			s += " (" + cleanLine(f.Type) + ")"
		}
		if len(f.Others) > 0 {
			s += "; also " + joinNames(f.Others)
		}
		return s
	case Ambiguous:
		return "one of " + joinNames(f.Others)
	case Unmapped:
	}
	if len(f.Tried) == 0 {
		return "switched off"
	}
	return "tried " + joinNames(f.Tried)
}

// TOML renders the report as the [provet.fields.*] and [provet.status] part of
// rayhound.toml. What a person has to decide is written as a comment.
func (r *Report) TOML() string {
	var b strings.Builder
	for _, res := range r.Resources {
		var lines []string
		for _, f := range res.Fields {
			switch {
			case f.Verdict == Mapped:
				lines = append(lines, f.Field+" = "+tomlString(f.Name))
			case f.Verdict == Proposed:
				lines = append(lines, "# "+f.Field+" = "+tomlString(f.Name)+"   # reads like it; remove the first # to use it")
			case f.Verdict == Ambiguous:
				lines = append(lines, "# "+f.Field+" = \"\"   # one of "+joinNames(f.Others))
			case len(f.Tried) > 0:
				lines = append(lines, "# "+f.Field+" = \"\"   # not found")
			}
		}
		if len(lines) > 0 {
			fmt.Fprintf(&b, "[provet.fields.%s]\n%s\n\n", res.Resource, strings.Join(lines, "\n"))
		}
	}
	b.WriteString("[provet.status]\n")
	for _, ch := range r.Status.Choices {
		fmt.Fprintf(&b, "# value %s: %s\n", tomlString(ch.Value), cleanLine(ch.Label))
	}
	for _, st := range []order.State{order.Scheduled, order.InProgress, order.Completed, order.Discontinued, order.Cancelled} {
		i := slices.IndexFunc(r.Status.Proposals, func(p Proposal) bool { return p.State == st })
		switch {
		case i < 0:
			fmt.Fprintf(&b, "# %s = \"\"\n", st)
		case len(r.Status.Proposals[i].Choices) > 1:
			fmt.Fprintf(&b, "# %s = \"\"   # several labels read like it\n", st)
		default:
			ch := r.Status.Proposals[i].Choices[0]
			fmt.Fprintf(&b, "# %s = %s   # %s\n", st, tomlString(ch.Value), cleanLine(ch.Label))
		}
	}
	return b.String()
}

// tomlString writes a basic string of TOML 1.0.
func tomlString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range cleanLine(s) {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, "\\u%04X", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
