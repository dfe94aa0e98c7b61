package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Limits of files at rest.
const (
	maxMeta   = 64 << 10 // file meta information, group 0002
	maxHeader = 16 << 20 // data set up to the pixels
	firstRead = 64 << 10
	preamble  = 128
	prefix    = "DICM"
	metaStart = preamble + len(prefix)
)

// ErrFile is the error of bytes that are no DICOM file, or of a transfer syntax
// that is not read: Big Endian, Deflated, and unknown ones.
var ErrFile = errors.New("dataset: not a DICOM file that can be read")

// File is what a DICOM file (PS3.10) holds before its pixels.
type File struct {
	// Meta is the file meta information, group 0002.
	Meta *Set
	// TransferSyntaxUID is the one value of (0002,0010).
	TransferSyntaxUID string
	// Set is the data set up to, and not including, group 7FE0. Decode its text
	// with its own Charset.
	Set *Set
	// Second is why a second, independent reader did not read the same
	// attributes, nil when it did. It is a hint for diagnosis: Set is right
	// either way.
	Second error
}

// ReadFile reads a DICOM file up to its pixels: at most 64 KiB of file meta
// information and 16 MiB of data set with 50,000 elements and a depth of 16. It
// does not read on from r where the header ends, except for what was buffered.
// The error is ErrFile, a [*SyntaxError], a [*LimitError] or that of r.
func ReadFile(r io.Reader) (*File, error) {
	const most = metaStart + maxMeta + maxHeader
	var buf bytes.Buffer
	for want := firstRead; ; want *= 4 {
		want = min(want, most)
		_, err := io.CopyN(&buf, r, int64(want-buf.Len()))
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("dataset: reading a file: %w", err)
		}
		whole := err != nil
		f, more, err := parseFile(buf.Bytes())
		switch {
		case !more || whole:
			return f.checked(err)
		case errors.As(err, new(*LimitError)):
			return nil, err
		case want == most:
			return nil, &LimitError{What: "bytes", Limit: maxHeader, Offset: most}
		}
	}
}

// ParseFile is [ReadFile] for bytes. Values of the result are parts of b.
func ParseFile(b []byte) (*File, error) {
	f, _, err := parseFile(b)
	return f.checked(err)
}

// checked adds the second reading to a file that was read.
func (f *File) checked(err error) (*File, error) {
	if err != nil {
		return nil, err
	}
	f.Second = secondReading(f.Set)
	return f, nil
}

// parseFile reads the start of a file. more says that bytes behind b could change
// the result.
func parseFile(b []byte) (f *File, more bool, err error) {
	meta, start, err := parseMeta(b)
	if err != nil {
		return nil, len(b) < metaStart+maxMeta, err
	}
	uid, s, err := transferSyntax(meta)
	if err != nil {
		return nil, false, err
	}
	body := b[start:]
	if len(body) > maxHeader {
		body = body[:maxHeader]
	}
	set, err := parse(body, s, Limits{}, scopeHeader)
	if err != nil {
		return nil, true, shift(err, start)
	}
	if e := set.Find(SpecificCharacterSet); e != nil && e.VR != CS {
		return nil, false, fmt.Errorf("%w: character set is no code string", ErrFile)
	}
	more = start+set.size == len(b)
	f = &File{Meta: meta, TransferSyntaxUID: uid, Set: set}
	return f, more, nil
}

// shift moves the offset of an error from the data set to the file.
func shift(err error, start int) error {
	var syntax *SyntaxError
	if errors.As(err, &syntax) {
		syntax.Offset += start
	}
	var limit *LimitError
	if errors.As(err, &limit) {
		limit.Offset += start
	}
	return err
}

// parseMeta reads preamble, prefix and group 0002, and returns where the data set
// begins. The group length is not trusted.
func parseMeta(b []byte) (*Set, int, error) {
	if len(b) < metaStart || string(b[preamble:metaStart]) != prefix {
		return nil, 0, fmt.Errorf("%w: no DICM after the preamble", ErrFile)
	}
	body := b[metaStart:]
	if len(body) > maxMeta {
		body = body[:maxMeta]
	}
	meta, err := parse(body, ExplicitLE, Limits{MaxElements: 256, MaxDepth: 1}, scopeMeta)
	if err != nil {
		return nil, 0, shift(err, metaStart)
	}
	if meta.size == maxMeta {
		return nil, 0, &LimitError{What: "bytes", Limit: maxMeta, Offset: metaStart + maxMeta}
	}
	return meta, metaStart + meta.size, nil
}

// transferSyntax returns the one transfer syntax that the meta information names.
func transferSyntax(meta *Set) (string, Syntax, error) {
	n := 0
	for i := range meta.Elements {
		if meta.Elements[i].Tag == TransferSyntaxUID {
			n++
		}
	}
	e := meta.Find(TransferSyntaxUID)
	if n != 1 || e.VR != UI {
		return "", 0, fmt.Errorf("%w: not one transfer syntax", ErrFile)
	}
	uid := string(trim(e.Value))
	if s, ok := SyntaxByUID(uid); ok {
		return uid, s, nil
	}
	if ValidUID(uid) && encapsulatedSyntax(uid) {
		return uid, ExplicitLE, nil
	}
	return "", 0, fmt.Errorf("%w: transfer syntax not supported", ErrFile)
}

// encapsulatedSyntax reports whether uid is a syntax with compressed pixels in an
// otherwise plain explicit VR data set (PS3.5 A.4).
func encapsulatedSyntax(uid string) bool {
	switch uid {
	case "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205": // JPIP ... Deflate: deflated as a whole
		return false
	case "1.2.840.10008.1.2.5": // RLE
		return true
	}
	return strings.HasPrefix(uid, "1.2.840.10008.1.2.4.")
}
