package hl7

import "strings"

// null is how HL7 writes "delete this value" (v2.5.1 chapter 2.5.3).
const null = `""`

// Segment is one segment of a message. The zero Segment is an absent one: its
// values are empty.
type Segment struct {
	m *Message
	i int
}

// segment finds the index-th segment of a name.
func (m *Message) segment(name string, index int) Segment {
	for i := range m.segments {
		if m.segments[i].name == name {
			if index--; index == 0 {
				return Segment{m, i}
			}
		}
	}
	return Segment{}
}

// Get returns the text of the first leaf at a path: "PID-5.2", "OBX(3)-5",
// "PID-3[2].1". What is not given is the first, so that "PID-5" is PID-5.1.1 of
// the first repetition. It returns "" when there is nothing, for the HL7 null and
// for a path that cannot be.
func (m *Message) Get(at string) string {
	p, ok := parsePath(at)
	if !ok || p.field == 0 {
		return ""
	}
	return m.segment(p.segment, p.index).get(p)
}

// Text returns everything at a path as people would read it: the leaves decoded,
// with the separators that stand between them.
func (m *Message) Text(at string) string {
	p, ok := parsePath(at)
	if !ok || p.field == 0 {
		return ""
	}
	return m.segment(p.segment, p.index).textAt(p)
}

// Has reports whether there is anything at a path, the HL7 null included.
func (m *Message) Has(at string) bool {
	p, ok := parsePath(at)
	if !ok {
		return false
	}
	s := m.segment(p.segment, p.index)
	if p.field == 0 {
		return s.Exists()
	}
	return s.has(p)
}

// Null reports whether the value at a path is the HL7 null: the sender asks to
// delete it.
func (m *Message) Null(at string) bool {
	p, ok := parsePath(at)
	return ok && p.field > 0 && m.segment(p.segment, p.index).null(p)
}

// Count returns how many segments a name has ("OBX"), or how many repetitions a
// field ("PID-3"), 0 when it is empty.
func (m *Message) Count(at string) int {
	p, ok := parsePath(at)
	if !ok {
		return 0
	}
	if p.field > 0 {
		return m.segment(p.segment, p.index).repetitions(p.field)
	}
	n := 0
	for i := range m.segments {
		if m.segments[i].name == p.segment {
			n++
		}
	}
	return n
}

// Segments returns the segments of a name in their order; all when name is "".
func (m *Message) Segments(name string) []Segment {
	var out []Segment
	for i := range m.segments {
		if name == "" || m.segments[i].name == name {
			out = append(out, Segment{m, i})
		}
	}
	return out
}

// Exists reports whether the segment is there.
func (s Segment) Exists() bool { return s.m != nil }

// Name returns "PID".
func (s Segment) Name() string {
	if s.m == nil {
		return ""
	}
	return s.m.segments[s.i].name
}

// Index returns the place of the segment in the message, from 1; 0 when absent.
func (s Segment) Index() int {
	if s.m == nil {
		return 0
	}
	return s.i + 1
}

// Get is [Message.Get] within the segment: "5.2", "3[2].1".
func (s Segment) Get(at string) string {
	if p, ok := parseFieldPath(path{}, at); ok {
		return s.get(p)
	}
	return ""
}

// Text is [Message.Text] within the segment.
func (s Segment) Text(at string) string {
	if p, ok := parseFieldPath(path{}, at); ok {
		return s.textAt(p)
	}
	return ""
}

// Has is [Message.Has] within the segment.
func (s Segment) Has(at string) bool {
	p, ok := parseFieldPath(path{}, at)
	return ok && s.has(p)
}

// Null is [Message.Null] within the segment.
func (s Segment) Null(at string) bool {
	p, ok := parseFieldPath(path{}, at)
	return ok && s.null(p)
}

// Count returns the repetitions of a field, 0 when it is empty.
func (s Segment) Count(field int) int { return s.repetitions(field) }

// Fields returns the number of the last field that is there.
func (s Segment) Fields() int {
	if s.m == nil {
		return 0
	}
	f := s.m.split(s.i).fields
	if len(f) == 0 {
		return 0
	}
	return f[len(f)-1].SeqNum
}

// special returns MSH-1 and MSH-2, which are no text.
func (s Segment) special(p path) (string, bool) {
	if s.m == nil || s.i != 0 || p.field > 2 || p.repetition > 1 || p.component > 1 || p.subcomponent > 1 {
		return "", s.m != nil && s.i == 0 && p.field <= 2
	}
	if p.field == 1 {
		return string(rune(s.m.delimiters.Field)), true
	}
	return s.m.msh2, true
}

func (s Segment) get(p path) string {
	if s.m == nil {
		return ""
	}
	if v, ok := s.special(p); ok {
		return v
	}
	text, _ := s.m.split(s.i).leaf(p.field, max(p.repetition, 1), max(p.component, 1), max(p.subcomponent, 1))
	if text == null {
		return ""
	}
	return unescape(text, s.m.delimiters, s.m.charset)
}

func (s Segment) has(p path) bool {
	if v, ok := s.special(p); ok {
		return v != ""
	}
	found := false
	s.leaves(p, func(_ path, text string) { found = found || text != "" })
	return found
}

func (s Segment) null(p path) bool {
	if _, ok := s.special(p); ok {
		return false
	}
	nulls, others := 0, 0
	s.leaves(p, func(_ path, text string) {
		switch text {
		case null:
			nulls++
		case "":
		default:
			others++
		}
	})
	return nulls == 1 && others == 0
}

func (s Segment) textAt(p path) string {
	if v, ok := s.special(p); ok {
		return v
	}
	var b strings.Builder
	last := path{}
	only := "" // the text while there is but one leaf: a PDF is not copied
	s.leaves(p, func(at path, text string) {
		if text == null {
			text = ""
		}
		text = unescape(text, s.m.delimiters, s.m.charset)
		if last.field == 0 {
			only, last = text, at
			return
		}
		if only != "" {
			b.WriteString(only)
			only = ""
		}
		switch {
		case at.repetition != last.repetition:
			b.WriteByte(s.m.delimiters.Repetition)
		case at.component != last.component:
			b.WriteByte(s.m.delimiters.Component)
		default:
			b.WriteByte(s.m.delimiters.Subcomponent)
		}
		last = at
		b.WriteString(text)
	})
	if only != "" {
		return only
	}
	return b.String()
}

func (s Segment) repetitions(field int) int {
	if s.m == nil || field < 1 || !s.has(path{field: field}) {
		return 0
	}
	n := 0
	for _, f := range s.m.split(s.i).fields {
		if f.SeqNum == field {
			n++
		}
	}
	return n
}

// leaves calls fn for every leaf at or below p, escapes still in the text.
func (s Segment) leaves(p path, fn func(at path, text string)) {
	if s.m == nil {
		return
	}
	t := s.m.split(s.i)
	repetition, last := 0, -1
	for i := range t.fields {
		f := &t.fields[i]
		if f.SeqNum > p.field {
			return
		}
		if f.SeqNum != last {
			repetition, last = 0, f.SeqNum
		}
		repetition++
		if f.SeqNum != p.field || p.repetition != 0 && p.repetition != repetition {
			continue
		}
		for c := range f.Components {
			if p.component != 0 && p.component != c+1 {
				continue
			}
			for k, sub := range f.Components[c].SubComponents {
				if p.subcomponent != 0 && p.subcomponent != k+1 {
					continue
				}
				fn(path{field: p.field, repetition: repetition, component: c + 1, subcomponent: k + 1}, leafText(sub.Value, t.long))
			}
		}
	}
}
