package mwl

import (
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// block is the answer of one item in one form and transfer syntax, encoded
// beforehand: (0008,0005) first, then every attribute of the schema that has a
// value, as whole elements. It never changes.
type block struct {
	form    int
	syntax  dataset.Syntax
	utf8    bool // its character set is ISO_IR 192
	buf     []byte
	off     [slots + 1]uint32
	altered []dataset.Tag // attributes with letters that the set does not have

	item       *item
	roster     *roster
	prev, next *block // in the order of building; of the cache
}

// element returns an encoded attribute.
func (b *block) element(s slot) []byte { return b.buf[b.off[s]:b.off[s+1]] }

// charset returns the encoded (0008,0005).
func (b *block) charset() []byte { return b.buf[:b.off[0]] }

// size is what the block costs, in bytes.
func (b *block) size() int { return cap(b.buf) + int(unsafe.Sizeof(*b)) + 16 }

// newBlock encodes an item.
func newBlock(it *item, set *settings, number int, f *form, syntax dataset.Syntax) *block {
	src := &source{item: it, set: set, form: f}
	var values [slots]string
	for i := range schema {
		if schema[i].text != nil {
			values[i] = src.value(slot(i))
		}
	}
	cs := f.charset
	if f.auto {
		cs = dataset.Choose("auto", values[:]...)
		for i := range schema { // code meanings are text too
			if a := &schema[i]; cs == dataset.Latin1 && a.code != nil && !dataset.Latin1.Fits(a.code(src).Meaning) {
				cs = dataset.UTF8
			}
		}
	}
	b := &block{form: number, syntax: syntax, utf8: cs == dataset.UTF8, item: it}
	e := encoder{syntax: syntax, cs: cs, buf: make([]byte, 0, 1024)}
	e.buf = dataset.AppendElement(e.buf, syntax, dataset.SpecificCharacterSet, dataset.CS, []byte(cs.DefinedTerm()))
	for i := range schema {
		b.off[i] = uint32(len(e.buf))
		switch a := &schema[i]; {
		case a.text != nil:
			e.text(a.tag, a.vr, values[i], a.max(f))
		case a.code != nil:
			e.code(a.tag, a.code(src))
		case a.vetIDs:
			e.microchip(a.tag, src.content().Patient.Microchip)
		}
	}
	b.off[slots] = uint32(len(e.buf))
	b.buf = append(make([]byte, 0, len(e.buf)), e.buf...)
	b.altered = e.altered
	return b
}

// value returns an attribute as text, cleaned for its VR but not cut.
func (s *source) value(n slot) string {
	a := &schema[n]
	v := a.text(s)
	switch a.vr {
	case dataset.CS:
		if v = strings.ToUpper(strings.TrimSpace(v)); v != "" && !validCode(v) {
			return ""
		}
		return v
	case dataset.UI:
		if !dataset.ValidUID(v) {
			return ""
		}
		return v
	}
	return dataset.Clean(v, a.vr)
}

// max returns how many characters the attribute may have in a form.
func (a *attribute) max(f *form) int {
	n := dataset.MaxLen(a.vr)
	if a.limit > 0 {
		n = min(n, a.limit)
	}
	if a.field != "" {
		n = f.limit(a.field, n)
	}
	return n
}

// encoder appends elements in one transfer syntax and character set.
type encoder struct {
	syntax  dataset.Syntax
	cs      dataset.Charset
	buf     []byte
	altered []dataset.Tag
}

// text appends an attribute, cut to a number of characters after conversion.
func (e *encoder) text(t dataset.Tag, vr dataset.VR, v string, limit int) {
	raw, replaced := e.cs.Encode(v, vr)
	if len(replaced) > 0 {
		e.altered = append(e.altered, t)
	}
	if limit > 0 && len(raw) > limit {
		if s := e.cs.Decode(raw, vr); utf8.RuneCountInString(s) > limit {
			raw, _ = e.cs.Encode(strings.TrimRight(cut(s, limit), " \r\n"), vr)
		}
	}
	e.buf = dataset.AppendElement(e.buf, e.syntax, t, vr, raw)
}

// code appends a code sequence with one item, without one when the code is not
// complete.
func (e *encoder) code(t dataset.Tag, c Code) {
	if !c.complete() {
		e.buf = dataset.AppendSequence(e.buf, e.syntax, t)
		return
	}
	in := encoder{syntax: e.syntax, cs: e.cs}
	in.text(dataset.CodeValue, dataset.SH, dataset.Clean(c.Value, dataset.SH), 16)
	in.text(dataset.CodingSchemeDesignator, dataset.SH, dataset.Clean(c.Scheme, dataset.SH), 16)
	if c.Version != "" {
		in.text(dataset.CodingSchemeVersion, dataset.SH, dataset.Clean(c.Version, dataset.SH), 16)
	}
	in.text(dataset.CodeMeaning, dataset.LO, dataset.Clean(c.Meaning, dataset.LO), 64)
	e.buf = dataset.AppendSequence(e.buf, e.syntax, t, in.buf)
	if len(in.altered) > 0 {
		e.altered = append(e.altered, t)
	}
}

// microchip appends Other Patient IDs Sequence.
func (e *encoder) microchip(t dataset.Tag, chip string) {
	if chip = dataset.Clean(chip, dataset.LO); chip == "" {
		e.buf = dataset.AppendSequence(e.buf, e.syntax, t)
		return
	}
	in := encoder{syntax: e.syntax, cs: e.cs}
	in.text(dataset.PatientID, dataset.LO, chip, 64)
	in.text(dataset.TypeOfPatientID, dataset.CS, "RFID", 16)
	e.buf = dataset.AppendSequence(e.buf, e.syntax, t, in.buf)
}
