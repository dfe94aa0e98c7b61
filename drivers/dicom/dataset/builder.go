package dataset

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Note says what a [Builder] changed or left out. It contains no value.
type Note struct {
	Tag    Tag
	Reason string // one of the Reason constants
}

// Reasons of a [Note].
const (
	ReasonReplaced = "characters replaced"                  // the character set does not have them
	ReasonCut      = "cut to the length of its VR"          // text that was too long
	ReasonInvalid  = "value does not fit its VR"            // left empty
	ReasonTooLong  = "value too long, which may not be cut" // left empty
)

// ErrBuilder is the error of a Builder that was used wrongly: the data set that
// it holds cannot be written.
var ErrBuilder = errors.New("dataset: cannot build the data set")

// Builder puts a data set together: it converts and cleans text, cuts it to the
// length of its VR, leaves empty what does not fit, and sorts. Attributes may be
// given in any order; of several with the same tag the last counts. A Builder is
// not safe for concurrent use. After [Builder.Reset] it can be used again and
// keeps its memory.
type Builder struct {
	syntax Syntax
	cs     Charset
	parts  []part
	values []byte // of all parts
	notes  []Note
	err    error
}

// part is one attribute: values[from:to], encoded but not padded.
type part struct {
	tag      Tag
	vr       VR
	from, to int
}

// NewBuilder makes a Builder that writes in this syntax and encodes text in this
// character set. It does not write (0008,0005) by itself: see [Builder.Charset].
func NewBuilder(s Syntax, cs Charset) *Builder { return &Builder{syntax: s, cs: cs} }

// Reset empties the Builder. Slices returned by Bytes stay valid.
func (b *Builder) Reset() *Builder {
	b.parts, b.values, b.notes, b.err = b.parts[:0], b.values[:0], b.notes[:0], nil
	return b
}

// Charset writes Specific Character Set (0008,0005).
func (b *Builder) Charset() *Builder {
	return b.Raw(SpecificCharacterSet, CS, []byte(b.cs.DefinedTerm()))
}

// Text writes one value. Text VRs are cleaned ([Clean]), converted and cut;
// others go through [Builder.Strings], where a backslash separates values. An
// empty value writes an empty attribute.
func (b *Builder) Text(t Tag, s string) *Builder {
	switch vr := VROf(t); {
	case vr.isText():
		return b.add(t, vr, b.text(b.values, t, vr, s))
	case vr == UR:
		return b.Strings(t, s)
	default:
		return b.Strings(t, strings.Split(s, `\`)...)
	}
}

// Name writes a person name, cut to 64 characters.
func (b *Builder) Name(t Tag, n PersonName) *Builder { return b.Text(t, n.String()) }

// Strings writes several values, each handled like [Builder.Text]. A value in
// the default repertoire that does not fit its VR, such as the date 00000000 or
// a DS of 17 characters, is left empty and noted. Matching keys fit too: ranges
// of dates and times, wildcards.
func (b *Builder) Strings(t Tag, values ...string) *Builder {
	vr := VROf(t)
	if !vr.isText() && !vr.isASCII() {
		return b.fail(t, "no text attribute")
	}
	v := b.values
	for i, s := range values {
		if i > 0 {
			if vr.singleText() {
				return b.fail(t, "only one value allowed")
			}
			v = append(v, '\\')
		}
		if vr.isText() {
			v = b.text(v, t, vr, s)
		} else {
			v = b.plain(v, t, vr, s)
		}
	}
	return b.add(t, vr, v)
}

// Empty writes an attribute without value.
func (b *Builder) Empty(t Tag) *Builder { return b.add(t, VROf(t), b.values) }

// Raw writes a value that is encoded already; it is padded.
func (b *Builder) Raw(t Tag, vr VR, value []byte) *Builder {
	return b.add(t, vr, append(b.values, value...))
}

// Uint16 writes values of US.
func (b *Builder) Uint16(t Tag, values ...uint16) *Builder {
	v := b.values
	for _, x := range values {
		v = append(v, byte(x), byte(x>>8))
	}
	return b.add(t, US, v)
}

// Seq writes a sequence of what the items hold at this moment. They must have
// the syntax of b; their notes become notes of b.
func (b *Builder) Seq(t Tag, items ...*Builder) *Builder {
	v := b.values
	for _, item := range items {
		if item == b || item.syntax != b.syntax {
			return b.fail(t, "item of another transfer syntax")
		}
		if item.err != nil {
			b.err = cmp.Or(b.err, item.err)
			return b
		}
		b.notes = append(b.notes, item.notes...)
		v = AppendItemHeader(v, item.size())
		v = item.AppendTo(v)
	}
	return b.add(t, SQ, v)
}

// Notes returns what was changed or left out so far.
func (b *Builder) Notes() []Note { return slices.Clone(b.notes) }

// Bytes returns the data set.
func (b *Builder) Bytes() ([]byte, error) {
	if b.err != nil {
		return nil, b.err
	}
	return b.AppendTo(make([]byte, 0, b.size())), nil
}

// Err returns the error that Bytes would return.
func (b *Builder) Err() error { return b.err }

// AppendTo appends the data set to dst. A Builder with an error appends what it
// could take.
func (b *Builder) AppendTo(dst []byte) []byte {
	b.sort()
	for _, p := range b.parts {
		dst = AppendElement(dst, b.syntax, p.tag, p.vr, b.values[p.from:p.to])
	}
	return dst
}

// size returns the length of the encoded data set.
func (b *Builder) size() int {
	b.sort()
	n := 0
	for _, p := range b.parts {
		v := p.to - p.from
		v += v & 1
		n += 8 + v
		if b.syntax == ExplicitLE && (p.vr.long() || v > maxShort) {
			n += 4
		}
	}
	return n
}

// sort puts the parts in order and drops those that were overwritten.
func (b *Builder) sort() {
	sorted := true
	for i := 1; i < len(b.parts); i++ {
		if b.parts[i].tag <= b.parts[i-1].tag {
			sorted = false
			break
		}
	}
	if sorted {
		return
	}
	slices.SortStableFunc(b.parts, func(x, y part) int { return cmp.Compare(x.tag, y.tag) })
	out := b.parts[:0]
	for i, p := range b.parts {
		if i+1 < len(b.parts) && b.parts[i+1].tag == p.tag {
			continue
		}
		out = append(out, p)
	}
	b.parts = out
}

// add takes the bytes that v has more than b.values as the value of t.
func (b *Builder) add(t Tag, vr VR, v []byte) *Builder {
	switch t.Group() {
	case 0x0000, 0x0002, 0xFFFE:
		return b.fail(t, "group not allowed in a data set")
	}
	b.parts = append(b.parts, part{t, vr, len(b.values), len(v)})
	b.values = v
	return b
}

func (b *Builder) fail(t Tag, reason string) *Builder {
	if b.err == nil {
		b.err = fmt.Errorf("%w: %s %s", ErrBuilder, t, reason)
	}
	return b
}

func (b *Builder) note(t Tag, reason string) { b.notes = append(b.notes, Note{t, reason}) }

// text appends one converted value to v.
func (b *Builder) text(v []byte, t Tag, vr VR, s string) []byte {
	before := false
	if n := MaxLen(vr); n > 0 && len(s) > 64*n { // do not convert what is cut anyway
		s, before = cut(s, 16*n)
	}
	s, replaced := b.cs.convert(Clean(s, vr))
	if len(replaced) > 0 {
		b.note(t, ReasonReplaced)
		s = Clean(s, vr) // what was dropped may leave spaces at the ends
	}
	short := false
	if vr == PN {
		s, short = cutName(s)
	} else {
		s, short = cut(s, MaxLen(vr))
	}
	if short || before {
		b.note(t, ReasonCut)
	}
	return b.cs.appendEncoded(v, s, vr)
}

// plain appends one value of the default repertoire to v, or nothing.
func (b *Builder) plain(v []byte, t Tag, vr VR, s string) []byte {
	s = strings.Trim(s, " \x00")
	if s == "" {
		return v
	}
	if vr == CS && !validCS(s) {
		s = strings.ToUpper(s)
	}
	if reason := unfit(s, vr); reason != "" {
		b.note(t, reason)
		return v
	}
	return append(v, s...)
}

// cutName shortens each of the at most three component groups to 64 characters
// and five components.
func cutName(s string) (string, bool) {
	groups := strings.SplitN(s, "=", 4)
	short := len(groups) > 3
	groups = groups[:min(len(groups), 3)]
	for i, g := range groups {
		if c := strings.SplitN(g, "^", 6); len(c) > 5 {
			g, short = strings.Join(c[:5], "^"), true
		}
		g, was := cut(g, MaxLen(PN))
		if was {
			g = strings.TrimRight(g, " ^")
		}
		groups[i], short = g, short || was
	}
	if !short {
		return s, false
	}
	return strings.Join(groups, "="), true
}
