package dataset

import (
	"encoding/binary"
	"slices"
)

// undefined is the length that leaves the end to a delimiter (PS3.5 7.5).
const undefined = 0xFFFFFFFF

// Limits bounds what [Parse] reads. Zero means the default.
type Limits struct {
	MaxBytes    int // of the whole input; default 16 MiB
	MaxElements int // elements and items at all levels; default 50,000
	MaxDepth    int // sequences within sequences; default 16, at most 64
}

// Defaults and the bound of the recursion.
const (
	defaultMaxBytes    = 16 << 20
	defaultMaxElements = 50_000
	defaultMaxDepth    = 16
	hardMaxDepth       = 64
)

func (l Limits) withDefaults() Limits {
	if l.MaxBytes <= 0 {
		l.MaxBytes = defaultMaxBytes
	}
	if l.MaxElements <= 0 {
		l.MaxElements = defaultMaxElements
	}
	if l.MaxDepth <= 0 {
		l.MaxDepth = defaultMaxDepth
	}
	l.MaxDepth = min(l.MaxDepth, hardMaxDepth)
	return l
}

// Parse reads the data set in b. Zero bytes are an empty set.
//
// Values are parts of b. The error is a [*SyntaxError] or a [*LimitError].
// What is tolerated is counted in [Set.Stats] of the result: odd lengths, tags
// out of order, group lengths, private attributes, lengths of delimiters, and
// whatever follows Data Set Trailing Padding (FFFC,FFFC). Refused are groups
// 0000 and 0002, item tags outside a sequence, anything but items within one,
// undefined lengths where PS3.5 allows none, and elements that end after their
// container. Unknown contents of undefined length are read as implicit VR
// (PS3.5 6.2.2) and become a sequence.
func Parse(b []byte, s Syntax, lim Limits) (*Set, error) {
	return parse(b, s, lim, scopeAll)
}

// scope says which part of a file [parse] reads.
type scope uint8

const (
	scopeAll    scope = iota // a data set to its end
	scopeHeader              // a data set up to group 7FE0, the pixels
	scopeMeta                // group 0002 and nothing else
)

// parse reads until the end of b or of the scope.
func parse(b []byte, s Syntax, lim Limits, sc scope) (*Set, error) {
	lim = lim.withDefaults()
	if len(b) > lim.MaxBytes {
		return nil, &LimitError{What: "bytes", Limit: lim.MaxBytes, Offset: lim.MaxBytes}
	}
	set := &Set{Stats: &Stats{}}
	w := walker{b: b, lim: lim, stats: set.Stats, left: lim.MaxElements, stack: make([]Element, 0, min(48, len(b)/8)), scope: sc, root: set}
	end, err := w.set(set, 0, len(b), s == ImplicitLE, false, 0)
	if err != nil {
		return nil, err
	}
	set.size = end
	return set, nil
}

// walker goes over the bytes in place.
type walker struct {
	b     []byte
	lim   Limits
	stats *Stats
	left  int // elements and items that may still come
	scope scope
	root  *Set

	// stack holds the elements of the sets that are being read, so that each
	// finished set costs one allocation of the right size.
	stack []Element
}

func (w *walker) fail(at int, t Tag, reason string) error {
	return &SyntaxError{Offset: at, Tag: t, Reason: reason}
}

func (w *walker) tag(at int) Tag {
	return Tag(binary.LittleEndian.Uint16(w.b[at:]))<<16 | Tag(binary.LittleEndian.Uint16(w.b[at+2:]))
}

// spend takes one element from the budget.
func (w *walker) spend(at int) error {
	if w.left == 0 {
		return &LimitError{What: "elements", Limit: w.lim.MaxElements, Offset: at}
	}
	w.left--
	return nil
}

// set reads elements from at up to end into s and returns where it stopped.
// open says that an item delimitation item ends the set before end.
func (w *walker) set(s *Set, at, end int, implicit, open bool, depth int) (int, error) {
	base := len(w.stack)
	var last Tag
	for at < end {
		if end-at < 8 {
			return 0, w.fail(at, 0, "truncated element")
		}
		t := w.tag(at)
		if open && t == tagItemDelimiter {
			if binary.LittleEndian.Uint32(w.b[at+4:]) != 0 {
				w.stats.Delimiters++
			}
			w.close(s, base)
			return at + 8, nil
		}
		if depth == 0 {
			if t == DataSetTrailingPadding {
				w.stats.Padding = end - at
				break
			}
			if w.scope == scopeHeader && t.Group() >= 0x7FE0 || w.scope == scopeMeta && t.Group() != 0x0002 {
				break
			}
		}
		switch t.Group() {
		case 0x0000, 0x0002:
			if w.scope != scopeMeta || depth > 0 {
				return 0, w.fail(at, t, "group not allowed in a data set")
			}
		case 0xFFFE:
			return 0, w.fail(at, t, "item tag outside a sequence")
		}
		w.note(t, last)
		last = t
		next, err := w.element(t, at, end, implicit, depth)
		if err != nil {
			return 0, err
		}
		at = next
	}
	if open {
		return 0, w.fail(at, 0, "item without its delimiter")
	}
	w.close(s, base)
	return at, nil
}

// note counts what is tolerated about a tag.
func (w *walker) note(t, last Tag) {
	if t <= last {
		if t == last {
			w.stats.Duplicates++
		} else {
			w.stats.OutOfOrder++
		}
	}
	if t.IsGroupLength() {
		w.stats.GroupLengths++
	}
	if t.IsPrivate() {
		w.stats.Private++
	}
}

// push adds an element to the set that is being read. The stack doubles, so that
// all its copies together stay below three times the elements.
func (w *walker) push(e Element) {
	if len(w.stack) == cap(w.stack) {
		w.stack = slices.Grow(w.stack, len(w.stack))
	}
	w.stack = append(w.stack, e)
}

// close moves the elements of a finished set from the stack into it.
func (w *walker) close(s *Set, base int) {
	if s == w.root { // the last one keeps the stack
		s.Elements = w.stack[:len(w.stack):len(w.stack)]
		return
	}
	if n := len(w.stack) - base; n > 0 {
		s.Elements = make([]Element, n)
		copy(s.Elements, w.stack[base:])
		w.stack = w.stack[:base]
	}
}

// header reads VR and length of the element at at, of which 8 bytes exist.
func (w *walker) header(t Tag, at, end int, implicit bool) (vr VR, length uint32, value int, err error) {
	if implicit {
		return VROf(t), binary.LittleEndian.Uint32(w.b[at+4:]), at + 8, nil
	}
	vr, ok := parseVR(w.b[at+4], w.b[at+5])
	if !ok {
		return 0, 0, 0, w.fail(at, t, "value representation is not two capital letters")
	}
	if !vr.long() {
		return vr, uint32(binary.LittleEndian.Uint16(w.b[at+6:])), at + 8, nil
	}
	if end-at < 12 {
		return 0, 0, 0, w.fail(at, t, "truncated element")
	}
	if !vr.known() {
		w.stats.UnknownVRs++
	}
	return vr, binary.LittleEndian.Uint32(w.b[at+8:]), at + 12, nil
}

// element reads one element and returns where the next one starts.
func (w *walker) element(t Tag, at, end int, implicit bool, depth int) (int, error) {
	vr, length, value, err := w.header(t, at, end, implicit)
	if err != nil {
		return 0, err
	}
	if length != undefined && uint64(length) > uint64(end-value) {
		return 0, w.fail(at, t, "element is longer than its container")
	}
	if err := w.spend(at); err != nil {
		return 0, err
	}
	w.stats.Elements++
	switch {
	case vr == SQ, vr == UN && length == undefined:
		if vr == UN {
			w.stats.UnknownSequences++
			implicit = true // PS3.5 6.2.2
		}
		return w.sequence(t, value, end, length, implicit, depth)
	case length == undefined:
		if t != PixelData || implicit || vr != OB && vr != OW {
			return 0, w.fail(at, t, "undefined length not allowed here")
		}
		return w.encapsulated(t, vr, value, end)
	}
	if length&1 == 1 {
		w.stats.OddLengths++
	}
	next := value + int(length)
	w.push(Element{Tag: t, VR: vr, Value: w.b[value:next:next]})
	return next, nil
}

// sequence reads the items of t.
func (w *walker) sequence(t Tag, at, end int, length uint32, implicit bool, depth int) (int, error) {
	if depth >= w.lim.MaxDepth {
		return 0, &LimitError{What: "depth", Limit: w.lim.MaxDepth, Offset: at}
	}
	if length != undefined {
		end = at + int(length)
		if length&1 == 1 {
			w.stats.OddLengths++
		}
	}
	var items []*Set
	for at < end {
		if end-at < 8 {
			return 0, w.fail(at, t, "truncated item")
		}
		head, n := w.tag(at), binary.LittleEndian.Uint32(w.b[at+4:])
		if head == tagSequenceDelimiter && length == undefined {
			if n != 0 {
				w.stats.Delimiters++
			}
			w.push(Element{Tag: t, VR: SQ, Items: items})
			return at + 8, nil
		}
		if head != tagItem {
			return 0, w.fail(at, t, "sequence holds something that is no item")
		}
		at += 8
		if n != undefined && uint64(n) > uint64(end-at) {
			return 0, w.fail(at, t, "item is longer than its sequence")
		}
		if err := w.spend(at); err != nil {
			return 0, err
		}
		w.stats.Items++
		stop := end
		if n != undefined {
			stop = at + int(n)
		}
		item := &Set{}
		next, err := w.set(item, at, stop, implicit, n == undefined, depth+1)
		if err != nil {
			return 0, err
		}
		items = append(items, item)
		at = next
	}
	if length == undefined {
		return 0, w.fail(at, t, "sequence without its delimiter")
	}
	w.push(Element{Tag: t, VR: SQ, Items: items})
	return at, nil
}

// encapsulated reads compressed pixel data (PS3.5 A.4): fragments of defined
// length up to a sequence delimiter. The value keeps them as they are, without
// that delimiter.
func (w *walker) encapsulated(t Tag, vr VR, at, end int) (int, error) {
	start := at
	for end-at >= 8 {
		head, n := w.tag(at), binary.LittleEndian.Uint32(w.b[at+4:])
		if head == tagSequenceDelimiter {
			if n != 0 {
				w.stats.Delimiters++
			}
			w.push(Element{Tag: t, VR: vr, Value: w.b[start:at:at], Encapsulated: true})
			return at + 8, nil
		}
		if head != tagItem {
			return 0, w.fail(at, t, "pixel data holds something that is no fragment")
		}
		at += 8
		if uint64(n) > uint64(end-at) { // an undefined length never fits
			return 0, w.fail(at, t, "fragment is longer than the data set")
		}
		if err := w.spend(at); err != nil {
			return 0, err
		}
		at += int(n)
	}
	return 0, w.fail(at, t, "pixel data without its delimiter")
}
