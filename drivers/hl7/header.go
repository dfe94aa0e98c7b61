package hl7

import (
	"bytes"
	"strings"
)

// Header is what can be read of the MSH segment of a message that is otherwise
// unreadable, so that even that gets an answer.
type Header struct {
	SendingApplication, SendingFacility     string // MSH-3, MSH-4
	ReceivingApplication, ReceivingFacility string // MSH-5, MSH-6
	Type                                    string // MSH-9, "ORM^O01"
	ControlID                               string // MSH-10
	ProcessingID                            string // MSH-11
	Version                                 string // MSH-12
	AcceptAck, ApplicationAck               string // MSH-15, MSH-16
}

// headerLimit is how much of a message PeekHeader and the search for MSH-18 read.
const headerLimit = 4096

// PeekHeader reads the header as far as it can be read, whatever raw is. It
// neither splits the rest of the message nor decodes a character set; the fields
// hold printable ASCII only, other characters are left out.
func PeekHeader(raw []byte) Header {
	f := rawHeader(raw)
	at := func(n int) string {
		if n-1 >= len(f) {
			return ""
		}
		return printable(f[n-1], 180)
	}
	h := Header{
		SendingApplication: at(3), SendingFacility: at(4), ReceivingApplication: at(5), ReceivingFacility: at(6),
		Type: at(9), ControlID: at(10), ProcessingID: at(11), Version: at(12), AcceptAck: at(15), ApplicationAck: at(16),
	}
	if len(f) > 1 && len(f[1]) > 0 {
		part := string(f[1][:1])
		cut := func(s string) string { s, _, _ = strings.Cut(s, part); return s }
		h.ProcessingID, h.Version = cut(h.ProcessingID), cut(h.Version)
		if c := strings.SplitN(h.Type, part, 3); len(c) > 1 {
			h.Type = c[0] + "^" + c[1]
		}
	}
	return h
}

// printable returns the printable ASCII of b, at most n characters.
func printable(b []byte, n int) string {
	out := make([]byte, 0, min(n, len(b)))
	for _, c := range b {
		if c >= ' ' && c < 0x7F && len(out) < n {
			out = append(out, c)
		}
	}
	return string(out)
}

// rawHeader splits the header: element 0 is MSH-1. nil when there is none.
func rawHeader(raw []byte) [][]byte {
	raw = trimJunk(raw)
	if len(raw) < 8 || string(raw[:3]) != "MSH" || !punctuation(raw[3]) {
		return nil
	}
	line := raw[:min(len(raw), headerLimit)]
	if i := bytes.IndexAny(line, "\r\n"); i >= 0 {
		line = line[:i]
	}
	if len(line) < 4 {
		return nil
	}
	return append([][]byte{line[3:4]}, bytes.Split(line[4:], line[3:4])...)
}

// declaredCharset returns MSH-18, its first value that is not empty. Names of
// character sets are ASCII in every character set.
func declaredCharset(raw []byte) string {
	f := rawHeader(raw)
	if len(f) < 18 {
		return ""
	}
	value := f[17]
	repetition := []byte{'~'}
	if len(f[1]) > 1 {
		repetition = f[1][1:2]
	}
	values := bytes.Split(value, repetition)
	// With "~ISO IR87" the first is ASCII and escapes switch to the second.
	for _, v := range values {
		if s := strings.TrimSpace(printable(v, 40)); s != "" && s != `""` {
			if cs, ok := findCharset(s); ok && cs.enc == nil && !cs.utf8 && len(values) > 1 {
				continue
			}
			return s
		}
	}
	return ""
}

// trimJunk takes off what some senders put before the header: a UTF-8 byte order
// mark, line ends, NUL, the VT of a second frame.
func trimJunk(raw []byte) []byte {
	for {
		switch {
		case bytes.HasPrefix(raw, []byte("\xEF\xBB\xBF")):
			raw = raw[3:]
		case len(raw) > 0 && (raw[0] == '\r' || raw[0] == '\n' || raw[0] == 0 || raw[0] == '\v'):
			raw = raw[1:]
		default:
			return raw
		}
	}
}
