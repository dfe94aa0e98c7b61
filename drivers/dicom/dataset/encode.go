package dataset

import "encoding/binary"

// maxShort is the greatest even length that explicit VR can write in 16 bits.
const maxShort = 0xFFFE

// AppendElement appends one element to b, padded to an even length: text with a
// space, UI and binary values with NUL. A value that a 16-bit length cannot
// express is written as UN (PS3.5 6.2.2). It allocates only to let b grow.
//
// The caller keeps the order of tags; [Builder] does so by itself. A value must
// be shorter than 4 GiB.
func AppendElement(b []byte, s Syntax, t Tag, vr VR, value []byte) []byte {
	n := len(value)
	b = AppendHeader(b, s, t, vr, n+n&1)
	b = append(b, value...)
	if n&1 == 1 {
		b = append(b, vr.pad())
	}
	return b
}

// AppendHeader appends tag, VR and length; the value, of exactly length bytes,
// is left to the caller.
func AppendHeader(b []byte, s Syntax, t Tag, vr VR, length int) []byte {
	b = appendTag(b, t)
	if s == ExplicitLE {
		if !vr.long() {
			if length <= maxShort {
				b = append(b, byte(vr>>8), byte(vr))
				return binary.LittleEndian.AppendUint16(b, uint16(length))
			}
			vr = UN
		}
		b = append(b, byte(vr>>8), byte(vr), 0, 0)
	}
	return binary.LittleEndian.AppendUint32(b, uint32(length))
}

// AppendSequence appends a sequence of defined length whose items are encoded
// data sets of the same syntax. Without items it has length 0.
func AppendSequence(b []byte, s Syntax, t Tag, items ...[]byte) []byte {
	n := 0
	for _, item := range items {
		n += 8 + len(item)
	}
	b = AppendHeader(b, s, t, SQ, n)
	for _, item := range items {
		b = AppendItemHeader(b, len(item))
		b = append(b, item...)
	}
	return b
}

// AppendItemHeader appends an item tag with a defined length in bytes.
func AppendItemHeader(b []byte, length int) []byte {
	return binary.LittleEndian.AppendUint32(appendTag(b, tagItem), uint32(length))
}

// AppendSet appends all elements of a set in their order, sequences and items
// with defined lengths, odd values padded. It is the inverse of [Parse]. In
// implicit VR a sequence that the dictionary does not know ends with a delimiter:
// by its undefined length alone a reader can see what it is.
func AppendSet(b []byte, s Syntax, set *Set) []byte {
	for i := range set.Elements {
		e := &set.Elements[i]
		switch {
		case e.VR == SQ:
			b = AppendHeader(b, s, e.Tag, SQ, 0)
			start := len(b)
			open := s == ImplicitLE && VROf(e.Tag) != SQ
			for _, item := range e.Items {
				b = AppendItemHeader(b, 0)
				begin := len(b)
				b = AppendSet(b, s, item)
				binary.LittleEndian.PutUint32(b[begin-4:], uint32(len(b)-begin))
			}
			if open {
				binary.LittleEndian.PutUint32(b[start-4:], undefined)
				b = append(appendTag(b, tagSequenceDelimiter), 0, 0, 0, 0)
				continue
			}
			binary.LittleEndian.PutUint32(b[start-4:], uint32(len(b)-start))
		case e.Encapsulated:
			b = appendTag(b, e.Tag)
			b = append(b, byte(e.VR>>8), byte(e.VR), 0, 0, 0xFF, 0xFF, 0xFF, 0xFF)
			b = append(b, e.Value...)
			b = append(appendTag(b, tagSequenceDelimiter), 0, 0, 0, 0)
		default:
			b = AppendElement(b, s, e.Tag, e.VR, e.Value)
		}
	}
	return b
}

func appendTag(b []byte, t Tag) []byte {
	return append(b, byte(t>>16), byte(t>>24), byte(t), byte(t>>8))
}
