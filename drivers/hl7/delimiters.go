package hl7

import (
	"bytes"
	"strings"
)

// Delimiters are the encoding characters of a message, MSH-1 and MSH-2
// (HL7 v2.5.1 chapter 2.5.4).
type Delimiters struct {
	Field, Component, Repetition, Escape, Subcomponent byte
}

// DefaultDelimiters are the recommended ones, |^~\&.
var DefaultDelimiters = Delimiters{'|', '^', '~', '\\', '&'}

// separates reports whether c splits text; the escape character does not.
func (d Delimiters) separates(c byte) bool {
	return c == d.Field || c == d.Component || c == d.Repetition || c == d.Subcomponent
}

// has reports whether c is one of the five.
func (d Delimiters) has(c byte) bool { return d.separates(c) || c == d.Escape }

// encodingCharacters returns MSH-2.
func (d Delimiters) encodingCharacters() string {
	return string([]byte{d.Component, d.Repetition, d.Escape, d.Subcomponent})
}

// valid reports whether the five are distinct punctuation characters.
func (d Delimiters) valid() bool {
	all := []byte{d.Field, d.Component, d.Repetition, d.Escape, d.Subcomponent}
	for i, c := range all {
		if !punctuation(c) || bytes.IndexByte(all[:i], c) >= 0 {
			return false
		}
	}
	return true
}

// punctuation reports whether c is printable ASCII, but no letter, digit or blank.
func punctuation(c byte) bool {
	return c > ' ' && c < 0x7F && !letterOrDigit(c)
}

func letterOrDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// header reads MSH-1 and MSH-2 of a message and returns MSH-2 as it stands.
//
// An MSH-2 of fewer than four characters is filled up with the recommended
// ones, or with other punctuation when those are taken; one of more, as the
// fifth "#" of version 2.7 (truncation), counts by its first four.
func header(text string) (d Delimiters, msh2 string, err error) {
	if !strings.HasPrefix(text, "MSH") {
		return d, "", &ParseError{CodeSegmentSequence, "MSH", "the message does not begin with MSH"}
	}
	if len(text) < 5 {
		return d, "", &ParseError{CodeRequiredFieldMissing, "MSH-2", "the header ends before the encoding characters"}
	}
	d.Field = text[3]
	if !punctuation(d.Field) {
		return d, "", &ParseError{CodeDataType, "MSH-1", "the field separator is not a punctuation character"}
	}
	msh2 = text[4:]
	if i := strings.IndexAny(msh2, string([]byte{d.Field, '\r', '\n'})); i >= 0 {
		msh2 = msh2[:i]
	}
	if msh2 == "" {
		return d, "", &ParseError{CodeRequiredFieldMissing, "MSH-2", "there are no encoding characters"}
	}
	four := []byte(msh2[:min(4, len(msh2))])
	for i, c := range four {
		if !punctuation(c) || c == d.Field || bytes.IndexByte(four[:i], c) >= 0 {
			return d, "", &ParseError{CodeDataType, "MSH-2", "the encoding characters are not distinct punctuation characters"}
		}
	}
	const recommended = `^~\&`
	const others = `^~\&#$@!%*+;:`
	for len(four) < 4 {
		pick := recommended[len(four)]
		for i := 0; pick == d.Field || bytes.IndexByte(four, pick) >= 0; i++ {
			pick = others[i]
		}
		four = append(four, pick)
	}
	d.Component, d.Repetition, d.Escape, d.Subcomponent = four[0], four[1], four[2], four[3]
	return d, msh2, nil
}
