package dataset

import (
	"sync"

	"github.com/suyashkumar/dicom/pkg/tag"
)

// Tag identifies an attribute: group in the high, element in the low 16 bits.
// Tags compare in the order in which a data set carries them.
type Tag uint32

// Tags outside every data set: they structure sequences (PS3.5 7.5).
const (
	tagItem              Tag = 0xFFFEE000
	tagItemDelimiter     Tag = 0xFFFEE00D
	tagSequenceDelimiter Tag = 0xFFFEE0DD
)

// NewTag puts a tag together.
func NewTag(group, element uint16) Tag { return Tag(group)<<16 | Tag(element) }

// Group returns the group number.
func (t Tag) Group() uint16 { return uint16(t >> 16) }

// Element returns the element number.
func (t Tag) Element() uint16 { return uint16(t) }

// IsPrivate reports whether the group number is odd (PS3.5 7.8).
func (t Tag) IsPrivate() bool { return t>>16&1 == 1 }

// IsGroupLength reports whether t is (gggg,0000), the retired length of its group.
func (t Tag) IsGroupLength() bool { return t&0xFFFF == 0 }

// String returns the form "(0008,0050)", digits above 9 in upper case.
func (t Tag) String() string {
	const digits = "0123456789ABCDEF"
	b := [11]byte{0: '(', 5: ',', 10: ')'}
	for i, p := range [8]int{1, 2, 3, 4, 6, 7, 8, 9} {
		b[p] = digits[t>>(28-4*i)&15]
	}
	return string(b[:])
}

// entry is what the dictionary says about one tag.
type entry struct {
	tag     Tag
	vr      VR
	keyword string
}

// index answers most look-ups without touching the library, whose own answer
// is a copy of a large struct and, for an unknown tag, a formatted error.
type index struct {
	byTag     map[Tag]*entry
	byKeyword map[string]*entry
}

// names is built once, on first use, and never written again.
var names = sync.OnceValue(func() index {
	x := index{make(map[Tag]*entry, len(named)), make(map[string]*entry, len(named))}
	for i := range named {
		x.byTag[named[i].tag] = &named[i]
		x.byKeyword[named[i].keyword] = &named[i]
	}
	return x
})

// learned remembers answers of TagByKeyword that needed a walk through the
// library's dictionary. Only standard keywords enter, so it is bounded by it.
var learned sync.Map // string to Tag

// find asks the library. Group lengths and private tags are answered before.
func find(t Tag) (tag.Info, bool) {
	i, err := tag.Find(tag.Tag{Group: repeating(t.Group()), Element: t.Element()})
	return i, err == nil && len(i.VRs) > 0 && len(i.VRs[0]) == 2
}

// repeating maps the retired repeating groups 50xx and 60xx to the one that the
// dictionary lists (PS3.5 7.6).
func repeating(group uint16) uint16 {
	if hi := group &^ 0xFF; (hi == 0x5000 || hi == 0x6000) && group&0xFF <= 0x1E {
		return hi
	}
	return group
}

// Keyword returns the keyword of a standard attribute, such as
// "AccessionNumber", "" for private and unknown ones.
func Keyword(t Tag) string {
	if e := names().byTag[t]; e != nil {
		return e.keyword
	}
	if t.IsPrivate() || t.IsGroupLength() {
		return ""
	}
	i, ok := find(t)
	if !ok || t.Group() == 0xFFFE {
		return ""
	}
	return i.Keyword
}

// TagByKeyword finds a standard attribute by its keyword, spelled exactly as in
// PS3.6. The first look-up of one of the rarer keywords walks through the
// dictionary (some 100 µs).
func TagByKeyword(keyword string) (Tag, bool) {
	if e := names().byKeyword[keyword]; e != nil {
		return e.tag, true
	}
	if len(keyword) == 0 || len(keyword) > 128 {
		return 0, false
	}
	if t, ok := learned.Load(keyword); ok {
		return t.(Tag), true
	}
	i, err := tag.FindByKeyword(keyword)
	if err != nil || i.Keyword != keyword || i.Tag.Group == 0xFFFE {
		return 0, false
	}
	t := NewTag(i.Tag.Group, i.Tag.Element)
	learned.Store(keyword, t)
	return t, true
}

// VROf returns the value representation that implicit VR implies for t: UL for
// a group length, LO for a private creator, UN for what is unknown. Where PS3.6
// allows several, it is the one that implicit VR prescribes or, failing that,
// the first.
func VROf(t Tag) VR {
	if e := names().byTag[t]; e != nil {
		return e.vr
	}
	switch {
	case t.IsGroupLength():
		return UL
	case t.IsPrivate():
		if e := t.Element(); e >= 0x10 && e <= 0xFF {
			return LO // PS3.5 7.8.1
		}
		return UN
	}
	i, ok := find(t)
	if !ok {
		return UN
	}
	for _, s := range i.VRs { // PS3.5 A.1: of OB and OW, implicit VR means OW
		if s == "OW" {
			return OW
		}
	}
	v, ok := parseVR(i.VRs[0][0], i.VRs[0][1])
	if !ok || !v.known() { // "NA", the structure of sequences
		return UN
	}
	return v
}
