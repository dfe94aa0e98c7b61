package command

import (
	"bytes"
	"errors"
)

// maxHL7File is the largest file of messages.
const maxHL7File = 256 << 20

// splitHL7 finds the messages of a file: each begins with MSH at the start of a
// line, in or out of an MLLP frame, and its segments end with CR afterwards. Nothing
// else of it is changed. What stands around the messages of a batch (FHS, BHS, BTS,
// FTS) is left out.
func splitHL7(file []byte) ([][]byte, error) {
	if bytes.HasPrefix(file, []byte("\xff\xfe")) || bytes.HasPrefix(file, []byte("\xfe\xff")) {
		return nil, errors.New("it is UTF-16; save it as UTF-8 or in an 8-bit character set")
	}
	file = bytes.TrimPrefix(file, []byte("\xef\xbb\xbf"))
	var out [][]byte
	begun := false
	lines := bytes.FieldsFunc(file, func(r rune) bool { return r == '\r' || r == '\n' || r == '\v' || r == '\x1c' })
	for _, line := range lines {
		switch {
		case !begun && len(bytes.Trim(line, " \t\x00")) == 0:
			continue
		case beginsSegment(line, "MSH"):
			begun = true
			out = append(out, nil)
		case beginsSegment(line, "FHS"), beginsSegment(line, "BHS"), beginsSegment(line, "BTS"), beginsSegment(line, "FTS"):
			begun = false
			continue
		case !begun:
			return nil, errors.New("there is something that does not belong to a message; messages begin with MSH")
		}
		last := len(out) - 1
		out[last] = append(append(out[last], line...), '\r')
	}
	if len(out) == 0 {
		return nil, errors.New("there is no message in it; messages begin with MSH")
	}
	return out, nil
}

// beginsSegment reports whether a line is a segment of that name with a separator.
func beginsSegment(line []byte, name string) bool {
	if len(line) <= len(name) || string(line[:len(name)]) != name {
		return false
	}
	c := line[len(name)]
	return c > ' ' && c < 0x7f && !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z')
}
