package hl7

import (
	"fmt"
	"sort"
	"strconv"
)

// BuilderConfig says how a message is written.
type BuilderConfig struct {
	// Version is MSH-12; "" means "2.5.1". Set("12", …) of MSH overrides it.
	Version string
	// Charset is the character set of the peer, "" for UTF-8: a value of MSH-18,
	// "windows-1252", "ASCII" and so on ([KnownCharset]). MSH-18 is written when
	// the message is not plain ASCII and the set has a name there.
	Charset string
	// Delimiters; the zero value means the recommended ones.
	Delimiters Delimiters
}

// Builder makes one message, segment by segment. The first error sticks and is
// returned by [Builder.Bytes].
type Builder struct {
	config   BuilderConfig
	charset  charset
	segments []*SegmentBuilder
	err      error
}

// SegmentBuilder sets the fields of one segment. Its methods return it.
type SegmentBuilder struct {
	b      *Builder
	name   string
	number int // which segment of that name, from 1
	leaves []leaf
	sorted bool
}

// leaf is one text to write.
type leaf struct {
	at   path
	text string
	null bool
}

// NewBuilder returns a builder for one message. It begins with MSH.
func NewBuilder(c BuilderConfig) *Builder {
	if c.Version == "" {
		c.Version = "2.5.1"
	}
	if c.Delimiters == (Delimiters{}) {
		c.Delimiters = DefaultDelimiters
	}
	b := &Builder{config: c, charset: charsetUTF8}
	if c.Charset != "" {
		cs, ok := findCharset(c.Charset)
		if !ok {
			b.fail("the character set %q is not known", c.Charset)
		}
		b.charset = cs
	}
	if !c.Delimiters.valid() {
		b.fail("the delimiters are not distinct punctuation characters")
	}
	b.segments = make([]*SegmentBuilder, 0, 12)
	b.Segment("MSH").Set("12", c.Version)
	return b
}

func (b *Builder) fail(format string, args ...any) {
	if b.err == nil {
		b.err = fmt.Errorf("hl7: build: "+format, args...)
	}
}

// MSH returns the header segment. MSH-1, MSH-2 and MSH-18 are the builder's own.
func (b *Builder) MSH() *SegmentBuilder { return b.segments[0] }

// Segment appends a segment. Two calls make two segments.
func (b *Builder) Segment(name string) *SegmentBuilder {
	if !segmentName(name) || name == "MSH" && len(b.segments) > 0 {
		b.fail("%q cannot be the name of a segment here", name)
	}
	s := &SegmentBuilder{b: b, name: name, number: 1, sorted: true, leaves: make([]leaf, 0, 16)}
	for _, other := range b.segments {
		if other.name == name {
			s.number++
		}
	}
	b.segments = append(b.segments, s)
	return s
}

func segmentName(s string) bool {
	if len(s) != 3 || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	for i := range 3 {
		if !(s[i] >= 'A' && s[i] <= 'Z' || s[i] >= '0' && s[i] <= '9') {
			return false
		}
	}
	return true
}

// Set sets the leaf at a path, "5.2" or "3[2].1"; what is not given is the first.
// The text is any Unicode text: delimiters and control characters are escaped.
// An empty text leaves the place empty. The last call for a leaf counts.
func (s *SegmentBuilder) Set(at, text string) *SegmentBuilder {
	return s.put(at, leaf{text: text})
}

// SetAll sets the components of a field, "5" or "3[2]", from the first on.
func (s *SegmentBuilder) SetAll(at string, components ...string) *SegmentBuilder {
	p, ok := parseFieldPath(path{}, at)
	if !ok || p.component != 0 {
		s.b.fail("%s-%s is no field", s.name, at)
		return s
	}
	for i, text := range components {
		p.component = i + 1
		s.add(p, leaf{text: text})
	}
	return s
}

// Null writes the HL7 null, "delete this value".
func (s *SegmentBuilder) Null(at string) *SegmentBuilder {
	if s.b.config.Delimiters.has('"') {
		s.b.fail("there is no null when the double quote is a delimiter")
	}
	return s.put(at, leaf{null: true})
}

func (s *SegmentBuilder) put(at string, l leaf) *SegmentBuilder {
	p, ok := parseFieldPath(path{}, at)
	if !ok {
		s.b.fail("%s-%s is no place in a segment", s.name, at)
		return s
	}
	return s.add(p, l)
}

func (s *SegmentBuilder) add(p path, l leaf) *SegmentBuilder {
	p.repetition, p.component, p.subcomponent = max(p.repetition, 1), max(p.component, 1), max(p.subcomponent, 1)
	if s.name == "MSH" && p.field <= 2 {
		s.b.fail("MSH-%d is written by the builder", p.field)
		return s
	}
	const most = 4096
	if p.field > most || p.repetition > most || p.component > most || p.subcomponent > most {
		s.b.fail("%s-%d: the place is too far", s.name, p.field)
		return s
	}
	l.at = p
	if n := len(s.leaves); n > 0 && !before(s.leaves[n-1].at, p) {
		s.sorted = false
	}
	s.leaves = append(s.leaves, l)
	return s
}

// before orders places within a segment.
func before(a, b path) bool {
	switch {
	case a.field != b.field:
		return a.field < b.field
	case a.repetition != b.repetition:
		return a.repetition < b.repetition
	case a.component != b.component:
		return a.component < b.component
	}
	return a.subcomponent < b.subcomponent
}

// ordered sorts the leaves and lets the last of equals stand.
func (s *SegmentBuilder) ordered() []leaf {
	if s.sorted {
		return s.leaves
	}
	sort.SliceStable(s.leaves, func(i, j int) bool { return before(s.leaves[i].at, s.leaves[j].at) })
	out := s.leaves[:0]
	for _, l := range s.leaves {
		if n := len(out); n > 0 && out[n-1].at == l.at {
			out[n-1] = l
			continue
		}
		out = append(out, l)
	}
	s.leaves, s.sorted = out, true
	return out
}

// where returns the name of a leaf for a note.
func (s *SegmentBuilder) where(p path) string {
	w := s.name
	if s.number > 1 {
		w += "(" + strconv.Itoa(s.number) + ")"
	}
	w += "-" + strconv.Itoa(p.field)
	if p.repetition > 1 {
		w += "[" + strconv.Itoa(p.repetition) + "]"
	}
	if p.component > 1 || p.subcomponent > 1 {
		w += "." + strconv.Itoa(p.component)
	}
	if p.subcomponent > 1 {
		w += "." + strconv.Itoa(p.subcomponent)
	}
	return w
}

// Bytes returns the message, each segment ended by CR, and a note for each
// character the peer's character set could not write. The same calls give the
// same bytes.
func (b *Builder) Bytes() ([]byte, []Note, error) {
	if b.err != nil {
		return nil, nil, b.err
	}
	var notes []Note
	// First what the peer can write, to know whether MSH-18 is needed.
	plain := true
	for _, s := range b.segments {
		leaves := s.ordered()
		for i := range leaves {
			l := &leaves[i]
			if l.null || isASCII(l.text) {
				continue
			}
			l.text, notes = b.charset.writable(l.text, s.where(l.at), notes)
			plain = plain && isASCII(l.text)
		}
	}
	if !plain && b.charset.name != "" {
		b.MSH().Set("18", b.charset.name)
	}
	size := 0
	for _, s := range b.segments {
		size += 8
		for i := range s.leaves {
			size += len(s.leaves[i].text) + len(s.leaves[i].text)/8 + 4
		}
	}
	out := make([]byte, 0, size)
	var err error
	for _, s := range b.segments {
		if out, err = s.append(out); err != nil {
			return nil, nil, fmt.Errorf("hl7: build: %s: %w", s.name, err)
		}
	}
	return out, notes, nil
}

// append appends the segment.
func (s *SegmentBuilder) append(out []byte) ([]byte, error) {
	d := s.b.config.Delimiters
	out = append(out, s.name...)
	now := path{field: 0, repetition: 1, component: 1, subcomponent: 1}
	if s.name == "MSH" {
		out = append(append(out, d.Field), d.encodingCharacters()...)
		now.field = 2
	}
	var escaped []byte
	var err error
	for _, l := range s.ordered() {
		if l.text == "" && !l.null {
			continue
		}
		for ; now.field < l.at.field; now = (path{field: now.field + 1, repetition: 1, component: 1, subcomponent: 1}) {
			out = append(out, d.Field)
		}
		for ; now.repetition < l.at.repetition; now.repetition, now.component, now.subcomponent = now.repetition+1, 1, 1 {
			out = append(out, d.Repetition)
		}
		for ; now.component < l.at.component; now.component, now.subcomponent = now.component+1, 1 {
			out = append(out, d.Component)
		}
		for ; now.subcomponent < l.at.subcomponent; now.subcomponent++ {
			out = append(out, d.Subcomponent)
		}
		switch {
		case l.null:
			out = append(out, null...)
		case isASCII(l.text) || s.b.charset.enc == nil:
			out = appendEscaped(out, l.text, d)
		default:
			escaped = appendEscaped(escaped[:0], l.text, d)
			if out, err = s.b.charset.appendEncoded(out, string(escaped)); err != nil {
				return nil, err
			}
		}
	}
	return append(out, '\r'), nil
}
