package dataset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/suyashkumar/dicom"
	"github.com/suyashkumar/dicom/pkg/frame"
	"github.com/suyashkumar/dicom/pkg/tag"
)

// errSecond is the error of a second reading that differs from the first.
var errSecond = errors.New("dataset: the second reader read something else")

// secondReading lets the library read a copy of what the walker accepted: always
// implicit VR, whose header has only one form, lengths defined and even, without
// (0008,0005), without pixels, and without attributes that the library's
// dictionary takes for sequences while the file does not, or the other way
// round. Bytes that the walker has not vouched for never reach it.
func secondReading(set *Set) error {
	copied := libraryCopy(set)
	b := make([]byte, preamble, preamble+256)
	b = append(b, prefix...)
	b = AppendElement(b, ExplicitLE, FileMetaInformationGroupLength, UL, []byte{26, 0, 0, 0})
	b = AppendElement(b, ExplicitLE, TransferSyntaxUID, UI, []byte(implicitLEUID))
	b = AppendSet(b, ImplicitLE, copied)
	ds, err := libraryParse(b)
	if err != nil {
		return err
	}
	if !sameShape(copied, ds.Elements[2:]) {
		return errSecond
	}
	return nil
}

// libraryParse is the only call of the library's reader.
func libraryParse(b []byte) (ds dicom.Dataset, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("dataset: the second reader panicked")
		}
	}()
	ds, err = dicom.Parse(bytes.NewReader(b), int64(len(b)), nil, dicom.SkipPixelData())
	switch {
	case err != nil: // its text may contain values
		return ds, errors.New("dataset: the second reader failed")
	case len(ds.Elements) < 2:
		return ds, errSecond
	}
	return ds, nil
}

// libraryCopy returns the part of set that the library may see.
func libraryCopy(set *Set) *Set {
	out := &Set{Elements: make([]Element, 0, len(set.Elements))}
	for i := range set.Elements {
		e := set.Elements[i]
		if e.Tag == SpecificCharacterSet || e.Tag == PixelData || e.Encapsulated {
			continue
		}
		info, known := find(e.Tag)
		if (e.VR == SQ) != (known && info.VRs[0] == "SQ") {
			continue
		}
		if e.VR == SQ {
			items := make([]*Set, len(e.Items))
			for j := range e.Items {
				items[j] = libraryCopy(e.Items[j])
			}
			e.Items = items
		}
		out.Elements = append(out.Elements, e)
	}
	return out
}

// sameShape compares tags and sequences.
func sameShape(set *Set, elements []*dicom.Element) bool {
	if len(set.Elements) != len(elements) {
		return false
	}
	for i, e := range elements {
		ours := &set.Elements[i]
		if NewTag(e.Tag.Group, e.Tag.Element) != ours.Tag {
			return false
		}
		if ours.VR != SQ {
			continue
		}
		items, ok := e.Value.GetValue().([]*dicom.SequenceItemValue)
		if !ok || len(items) != len(ours.Items) {
			return false
		}
		for j, item := range items {
			inner, ok := item.GetValue().([]*dicom.Element)
			if !ok || !sameShape(ours.Items[j], inner) {
				return false
			}
		}
	}
	return true
}

// libraryWrite lets the library write a file.
func libraryWrite(meta, set *Set) (b []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("dataset: the writer panicked")
		}
	}()
	var ds dicom.Dataset
	for _, s := range [2]*Set{meta, set} {
		elements, err := libraryElements(s)
		if err != nil {
			return nil, err
		}
		ds.Elements = append(ds.Elements, elements...)
	}
	var out bytes.Buffer
	// Values are encoded and even already. Written as strings, whatever their
	// VR, they reach the file byte by byte.
	err = dicom.Write(&out, ds, dicom.SkipVRVerification(), dicom.SkipValueTypeVerification())
	return out.Bytes(), err
}

func libraryElements(set *Set) ([]*dicom.Element, error) {
	out := make([]*dicom.Element, 0, len(set.Elements))
	for i := range set.Elements {
		e := &set.Elements[i]
		x := &dicom.Element{Tag: tag.Tag{Group: e.Tag.Group(), Element: e.Tag.Element()}}
		vr := e.VR
		switch {
		case e.VR == SQ:
			items := make([][]*dicom.Element, len(e.Items))
			for j := range e.Items {
				inner, err := libraryElements(e.Items[j])
				if err != nil {
					return nil, err
				}
				items[j] = inner
			}
			v, err := dicom.NewValue(items)
			if err != nil {
				return nil, err
			}
			x.Value = v
		case e.Encapsulated:
			v, err := encapsulatedValue(e.Value)
			if err != nil {
				return nil, err
			}
			x.Value, x.ValueLength = v, tag.VLUndefinedLength
		default:
			value := string(e.Value)
			if len(value)&1 == 1 && e.VR != UI { // which the library must see bare, and pads right
				value += string(rune(e.VR.pad()))
			}
			switch { // the library does not know the long form of these
			case vr.long() && (!vr.known() || vr == SV || vr == UV || vr == OV), !vr.long() && len(value) > maxShort:
				vr = UN
			}
			v, err := dicom.NewValue([]string{value})
			if err != nil {
				return nil, err
			}
			x.Value = v
		}
		x.RawValueRepresentation = vr.String()
		x.ValueRepresentation = tag.GetVRKind(x.Tag, x.RawValueRepresentation)
		out = append(out, x)
	}
	return out, nil
}

// encapsulatedValue turns fragments with item headers into the library's form.
func encapsulatedValue(b []byte) (dicom.Value, error) {
	info := dicom.PixelDataInfo{IsEncapsulated: true}
	for first := true; len(b) >= 8; first = false {
		n := binary.LittleEndian.Uint32(b[4:])
		b = b[8:]
		if uint64(n) > uint64(len(b)) {
			return nil, &SyntaxError{Tag: PixelData, Reason: "fragment is longer than the data set"}
		}
		data := b[:n]
		b = b[n:]
		if first { // the basic offset table
			for ; len(data) >= 4; data = data[4:] {
				info.Offsets = append(info.Offsets, binary.LittleEndian.Uint32(data))
			}
			continue
		}
		info.Frames = append(info.Frames, &frame.Frame{Encapsulated: true, EncapsulatedData: frame.EncapsulatedFrame{Data: data}})
	}
	return dicom.NewValue(info)
}
