package hl7

import (
	"strings"

	"github.com/lenaten/hl7"
)

// This is the only file that knows the library. Of the library it uses
// NewMessage, Message.Parse and Segment.Parse; its Decoder, Split, Acknowledge,
// StartMessage, Marshal and Set are wrong in ways no image can mend, and a test
// looks that nobody calls them. Its error texts hold the whole message and are
// never passed on.

// tree is one segment as the library split it.
type tree struct {
	fields []hl7.Field
	long   []string
}

// standIn is the name of every segment but MSH in its image: the name comes from
// the text, and the library treats whatever begins with "MSH" in another way.
const standIn = "ZZZ"

// spare is how many bytes the library may look at behind a message: at exact
// capacity it refuses, with one byte it does too.
const spare = 2

// libraryDelimiters returns d as the library wants it.
func libraryDelimiters(d Delimiters) *hl7.Delimeters {
	return &hl7.Delimeters{
		DelimeterField: d.encodingCharacters(),
		Field:          rune(d.Field),
		Component:      rune(d.Component),
		Repetition:     rune(d.Repetition),
		Escape:         rune(d.Escape),
		SubComponent:   rune(d.Subcomponent),
	}
}

// splitHeader splits the MSH segment. text begins with "MSH" and holds no
// terminator; msh2 is MSH-2 as it stands in it.
func splitHeader(text, msh2 string, d Delimiters, t *leafTable) (*tree, error) {
	rest := text[4+len(msh2):]
	image := make([]byte, 0, len(rest)+len(rest)/4+64)
	image = append(image, "MSH"...)
	image = append(image, d.Field)
	image = append(image, d.encodingCharacters()...)
	image, long := appendImage(image, nil, rest, t)
	image = append(image, '\r')
	padded := make([]byte, len(image), len(image)+spare)
	copy(padded, image)

	m := hl7.NewMessage(padded)
	if err := m.Parse(); err != nil || len(m.Segments) == 0 {
		return nil, &ParseError{CodeSegmentSequence, "MSH", "the header cannot be split"}
	}
	fields := m.Segments[0].Fields
	trimEnd(fields)
	return &tree{fields: fields, long: long}, nil
}

// trimEnd takes the terminator off the last leaf of a segment, where the library
// leaves it.
func trimEnd(fields []hl7.Field) {
	if len(fields) == 0 {
		return
	}
	f := &fields[len(fields)-1]
	f.Value = trimCR(f.Value)
	if n := len(f.Components); n > 0 {
		c := &f.Components[n-1]
		c.Value = trimCR(c.Value)
		if k := len(c.SubComponents); k > 0 {
			s := &c.SubComponents[k-1]
			s.Value = trimCR(s.Value)
		}
	}
}

func trimCR(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\r' {
		return b[:n-1]
	}
	return b
}

// splitSegment splits a segment other than MSH. text holds no terminator.
func splitSegment(text string, d Delimiters, ld *hl7.Delimeters, t *leafTable) *tree {
	rest := ""
	if i := strings.IndexByte(text, d.Field); i >= 0 {
		rest = text[i:]
	}
	size := min(len(rest), 4096)
	image := make([]byte, 0, len(standIn)+size+size/4+longTokenLen)
	image = append(image, standIn...)
	image, long := appendImage(image, nil, rest, t)

	fields := 1
	for _, c := range image {
		if c == d.Field || c == d.Repetition {
			fields++
		}
	}
	s := hl7.Segment{Value: image, Fields: make([]hl7.Field, 0, fields)}
	_ = s.Parse(ld) // fails for fewer than three bytes only
	return &tree{fields: s.Fields, long: long}
}

// field returns the repetition rep (from 1) of field n; nil when absent.
func (t *tree) field(n, rep int) *hl7.Field {
	for i := range t.fields {
		if t.fields[i].SeqNum != n {
			continue
		}
		if i += rep - 1; i < len(t.fields) && t.fields[i].SeqNum == n {
			return &t.fields[i]
		}
		return nil
	}
	return nil
}

// leaf returns the text of a leaf, escapes still in it.
func (t *tree) leaf(n, rep, component, subcomponent int) (string, bool) {
	f := t.field(n, rep)
	if f == nil || component > len(f.Components) {
		return "", false
	}
	c := &f.Components[component-1]
	if subcomponent > len(c.SubComponents) {
		return "", false
	}
	return leafText(c.SubComponents[subcomponent-1].Value, t.long), true
}
