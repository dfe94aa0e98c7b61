package dataset

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// Set is a data set or an item of a sequence, as read by [Parse].
type Set struct {
	// Elements in the order in which they came, which a tolerated peer need not
	// have sorted. Of several with the same tag the first counts.
	Elements []Element

	// Stats counts what was read and what was tolerated, at all levels. It is
	// nil in items.
	Stats *Stats

	size int // bytes of the input that belong to the set
}

// Element is one attribute of a set.
type Element struct {
	Tag Tag
	VR  VR

	// Encapsulated says that Value holds the fragments of compressed pixel data
	// with their item headers (PS3.5 A.4).
	Encapsulated bool

	Value []byte // as encoded, padding included; nil for SQ
	Items []*Set // only for SQ; never nil inside
}

// Stats counts, over all levels of a data set, what was read and what a strict
// reader would have refused.
type Stats struct {
	Elements         int // attributes
	Items            int // items of sequences
	OddLengths       int // values or sequences of odd length
	OutOfOrder       int // tags smaller than the one before
	Duplicates       int // tags equal to the one before
	GroupLengths     int // (gggg,0000)
	Private          int // attributes of odd groups
	UnknownVRs       int // two letters that are no VR of PS3.5
	UnknownSequences int // UN of undefined length, read as implicit VR
	Delimiters       int // delimitation items with a length that is not zero
	Padding          int // bytes from Data Set Trailing Padding to the end
}

// Notes names what was tolerated, for a query log: fixed English phrases
// without values, nil when the set was flawless.
func (s Stats) Notes() []string {
	var notes []string
	for _, n := range []struct {
		count int
		text  string
	}{
		{s.OddLengths, "odd lengths"},
		{s.OutOfOrder, "tags out of order"},
		{s.Duplicates, "duplicate tags"},
		{s.UnknownVRs, "unknown value representations"},
		{s.UnknownSequences, "unknown sequences"},
		{s.Delimiters, "delimiters with a length"},
		{s.Padding, "trailing padding"},
	} {
		if n.count > 0 {
			notes = append(notes, n.text)
		}
	}
	return notes
}

// Find returns the first element with this tag, nil when there is none or s is
// nil. It does not look into sequences.
func (s *Set) Find(t Tag) *Element {
	if s == nil {
		return nil
	}
	for i := range s.Elements {
		if s.Elements[i].Tag == t {
			return &s.Elements[i]
		}
	}
	return nil
}

// Has reports whether the attribute is present, be it empty.
func (s *Set) Has(t Tag) bool { return s.Find(t) != nil }

// Items returns the items of a sequence, nil when it is absent or empty.
func (s *Set) Items(t Tag) []*Set {
	if e := s.Find(t); e != nil {
		return e.Items
	}
	return nil
}

// Item returns the first item of a sequence, nil when there is none. All
// methods of Set that read accept the nil set.
func (s *Set) Item(t Tag) *Set {
	if items := s.Items(t); len(items) > 0 {
		return items[0]
	}
	return nil
}

// Charset returns what Specific Character Set (0008,0005) of this very set
// says, with the spellings that [ParseCharset] tolerates; [DefaultCharset] when
// it is absent or empty. Items without one of their own use that of the set
// around them: see [Set.CharsetWithin].
func (s *Set) Charset() Charset {
	cs, _ := ParseCharset(s.Strings(SpecificCharacterSet))
	return cs
}

// CharsetWithin returns the character set of an item whose surroundings use
// outer: its own (0008,0005) if it has one, else outer.
func (s *Set) CharsetWithin(outer Charset) Charset {
	if e := s.Find(SpecificCharacterSet); e == nil || len(trim(e.Value)) == 0 {
		return outer
	}
	return s.Charset().WithFallback(Charset(outer.fallback()))
}

// Text returns the first value of a text attribute, decoded and without the
// spaces and NULs around it; of LT, ST, UR and UT the whole text without those
// behind it. For other VRs it returns [Set.String].
func (s *Set) Text(t Tag, cs Charset) string {
	e := s.Find(t)
	if e == nil {
		return ""
	}
	text, vr := e.decode(cs)
	if vr.singleText() {
		return strings.TrimRight(text, " \x00")
	}
	first, _, _ := strings.Cut(text, `\`)
	return strings.Trim(first, " \x00")
}

// Texts returns all values of a text attribute, each like [Set.Text]; nil when
// it is absent or empty.
func (s *Set) Texts(t Tag, cs Charset) []string {
	e := s.Find(t)
	if e == nil {
		return nil
	}
	text, vr := e.decode(cs)
	if vr.singleText() {
		if text = strings.TrimRight(text, " \x00"); text == "" {
			return nil
		}
		return []string{text}
	}
	return splitValues(text)
}

// decode returns the text of e and the VR that its tag has.
func (e *Element) decode(cs Charset) (string, VR) {
	vr := e.VR
	if vr == UN {
		vr = VROf(e.Tag)
	}
	if !vr.isText() {
		return DefaultCharset.Decode(e.Value, vr), vr
	}
	return cs.Decode(e.Value, vr), vr
}

// String returns the first value of an attribute in the default repertoire (AE,
// AS, CS, DA, DS, DT, IS, TM, UI, UR), without the spaces and NULs around it.
// Bytes above 7F become U+FFFD.
func (s *Set) String(t Tag) string {
	e := s.Find(t)
	if e == nil {
		return ""
	}
	v := e.Value
	if i := bytes.IndexByte(v, '\\'); i >= 0 && e.VR != UR {
		v = v[:i]
	}
	return decodeASCII(trim(v))
}

// Strings returns all values of such an attribute; nil when it is absent or
// empty.
func (s *Set) Strings(t Tag) []string {
	e := s.Find(t)
	if e == nil {
		return nil
	}
	if e.VR == UR {
		if v := trim(e.Value); len(v) > 0 {
			return []string{decodeASCII(v)}
		}
		return nil
	}
	return splitValues(decodeASCII(e.Value))
}

// Uint16s returns the values of US; nil when the attribute is absent or has
// another length.
func (s *Set) Uint16s(t Tag) []uint16 {
	e := s.Find(t)
	if e == nil || len(e.Value) == 0 || len(e.Value)%2 != 0 {
		return nil
	}
	out := make([]uint16, 0, len(e.Value)/2)
	for v := e.Value; len(v) >= 2; v = v[2:] {
		out = append(out, binary.LittleEndian.Uint16(v))
	}
	return out
}

// splitValues splits a decoded value at its backslashes and trims the parts.
func splitValues(text string) []string {
	if strings.Trim(text, " \x00") == "" {
		return nil
	}
	values := strings.Split(text, `\`)
	for i := range values {
		values[i] = strings.Trim(values[i], " \x00")
	}
	return values
}

func trim(v []byte) []byte { return bytes.Trim(v, " \x00") }

// Equal reports whether two sets carry the same attributes with the same
// values, in the same order.
func Equal(a, b *Set) bool {
	if a == nil || b == nil {
		return a == b
	}
	if len(a.Elements) != len(b.Elements) {
		return false
	}
	for i := range a.Elements {
		x, y := &a.Elements[i], &b.Elements[i]
		if x.Tag != y.Tag || x.VR != y.VR || x.Encapsulated != y.Encapsulated ||
			!bytes.Equal(x.Value, y.Value) || len(x.Items) != len(y.Items) {
			return false
		}
		for j := range x.Items {
			if !Equal(x.Items[j], y.Items[j]) {
				return false
			}
		}
	}
	return true
}
