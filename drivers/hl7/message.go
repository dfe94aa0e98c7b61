package hl7

import (
	"strings"
	"sync/atomic"

	"github.com/lenaten/hl7"
)

// Limits bound what one message may cost. Zero values mean the defaults.
type Limits struct {
	// MaxBytes is the size of a message, default 32 MiB.
	MaxBytes int
	// MaxSegments is the number of segments, default 50 000.
	MaxSegments int
	// MaxFields is the number of fields and repetitions of one segment, default 4096.
	MaxFields int
	// MaxElements is the number of separators in the whole message, default 1 000 000.
	MaxElements int
}

func (l Limits) withDefaults() Limits {
	if l.MaxBytes <= 0 {
		l.MaxBytes = 32 << 20
	}
	if l.MaxSegments <= 0 {
		l.MaxSegments = 50_000
	}
	if l.MaxFields <= 0 {
		l.MaxFields = 4096
	}
	if l.MaxElements <= 0 {
		l.MaxElements = 1_000_000
	}
	return l
}

// Options say how a peer's messages are read.
type Options struct {
	// Charset overrides MSH-18.
	Charset string
	// Default counts when MSH-18 is empty. "" means UTF-8 when the text is that,
	// else windows-1252.
	Default string
	Limits  Limits
}

// Message is one HL7 message. It does not change and may be read by several
// goroutines at once. A segment is split when it is first asked for.
type Message struct {
	segments   []segment
	delimiters Delimiters
	msh2       string
	charset    charset
	notes      []string
	table      *leafTable
	library    *hl7.Delimeters
}

// segment is one line of a message.
type segment struct {
	name string
	text string
	tree atomic.Pointer[tree]
}

// Parse reads one message without its frame. The bytes are copied. It fails with
// a [ParseError] when the header cannot be read and with a [LimitError] when the
// message is too large; a message whose header misses fields is no error.
//
// Segments end with CR, with CR LF or, in a message without any CR, with LF.
func Parse(raw []byte, o Options) (*Message, error) {
	limits := o.Limits.withDefaults()
	if len(raw) > limits.MaxBytes {
		return nil, &LimitError{What: "bytes", Limit: limits.MaxBytes}
	}
	text, cs, notes := o.read(trimJunk(raw))
	text = strings.TrimPrefix(text, "\uFEFF")
	d, msh2, err := header(text)
	if err != nil {
		return nil, err
	}
	m := &Message{
		delimiters: d, msh2: msh2, charset: cs, notes: notes,
		table: newLeafTable(d), library: libraryDelimiters(d),
	}
	if err := m.cut(text, limits); err != nil {
		return nil, err
	}
	head := &m.segments[0]
	t, err := splitHeader(head.text, msh2, d, m.table)
	if err != nil {
		return nil, err
	}
	head.tree.Store(t)
	return m, nil
}

// cut cuts the text into segments and counts.
func (m *Message) cut(text string, limits Limits) error {
	end := byte('\r')
	if strings.IndexByte(text, end) < 0 {
		end = '\n'
	}
	lines := min(strings.Count(text, string(rune(end)))+1, limits.MaxSegments+1)
	m.segments = make([]segment, 0, lines)
	separators := []string{
		string(rune(m.delimiters.Field)), string(rune(m.delimiters.Repetition)),
		string(rune(m.delimiters.Component)), string(rune(m.delimiters.Subcomponent)),
	}
	elements := 0
	for len(text) > 0 {
		line := text
		if i := strings.IndexByte(text, end); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = ""
		}
		if end == '\r' {
			// CR LF ends a segment too; the LF is in front of the next.
			text = strings.TrimPrefix(text, "\n")
			line = strings.TrimSuffix(line, "\n")
		}
		if line == "" || strings.Trim(line, "\x00") == "" {
			continue
		}
		name := line
		if i := strings.IndexByte(line, m.delimiters.Field); i >= 0 {
			name = line[:i]
		}
		if len(m.segments) == limits.MaxSegments {
			return &LimitError{What: "segments", Limit: limits.MaxSegments}
		}
		if name == "MSH" && len(m.segments) > 0 {
			return &ParseError{CodeSegmentSequence, "MSH", "there is a second header in the message"}
		}
		where := printable([]byte(name), 3)
		fields := strings.Count(line, separators[0]) + strings.Count(line, separators[1])
		if fields > limits.MaxFields {
			return &LimitError{What: "fields of a segment", Limit: limits.MaxFields, Where: where}
		}
		elements += fields + strings.Count(line, separators[2]) + strings.Count(line, separators[3])
		if elements > limits.MaxElements {
			return &LimitError{What: "elements", Limit: limits.MaxElements}
		}
		m.segments = append(m.segments, segment{name: name, text: line})
	}
	return nil
}

// split returns the fields of segment i.
func (m *Message) split(i int) *tree {
	s := &m.segments[i]
	if t := s.tree.Load(); t != nil {
		return t
	}
	t := splitSegment(s.text, m.delimiters, m.library, m.table)
	s.tree.CompareAndSwap(nil, t)
	return t
}

// Delimiters returns MSH-1 and MSH-2, filled up when MSH-2 is short.
func (m *Message) Delimiters() Delimiters { return m.delimiters }

// Charset returns the character set the message was read in: a value of MSH-18
// or "windows-1252".
func (m *Message) Charset() string { return m.charset.String() }

// Notes returns what was remarkable about the reading, as a character set that
// was declared and not used.
func (m *Message) Notes() []string { return m.notes }

// Type returns message code and trigger event of MSH-9, "ORU^R01", or the code
// alone.
func (m *Message) Type() string {
	code, event := m.Get("MSH-9.1"), m.Get("MSH-9.2")
	if event == "" {
		return code
	}
	return code + "^" + event
}

// ControlID returns MSH-10.
func (m *Message) ControlID() string { return m.Get("MSH-10") }

// Version returns MSH-12, "2.5.1".
func (m *Message) Version() string { return m.Get("MSH-12") }

// ProcessingID returns MSH-11, "P".
func (m *Message) ProcessingID() string { return m.Get("MSH-11") }

// SendingApplication returns MSH-3.
func (m *Message) SendingApplication() string { return m.Get("MSH-3") }

// SendingFacility returns MSH-4.
func (m *Message) SendingFacility() string { return m.Get("MSH-4") }

// ReceivingApplication returns MSH-5.
func (m *Message) ReceivingApplication() string { return m.Get("MSH-5") }

// ReceivingFacility returns MSH-6.
func (m *Message) ReceivingFacility() string { return m.Get("MSH-6") }

// AcceptAck returns MSH-15 and MSH-16, the conditions of enhanced mode; both are
// "" in original mode.
func (m *Message) AcceptAck() (accept, application string) {
	return m.Get("MSH-15"), m.Get("MSH-16")
}

// versionAtLeast compares versions number by number: "2.5.1" is at least "2.5".
func versionAtLeast(have, want string) bool {
	for {
		h, hrest, _ := strings.Cut(have, ".")
		w, wrest, _ := strings.Cut(want, ".")
		if a, b := leadingNumber(h), leadingNumber(w); a != b {
			return a > b
		}
		if wrest == "" {
			return true
		}
		have, want = hrest, wrest
	}
}

func leadingNumber(s string) int {
	n := 0
	for i := 0; i < len(s) && i < 6 && s[i] >= '0' && s[i] <= '9'; i++ {
		n = n*10 + int(s[i]-'0')
	}
	return n
}
