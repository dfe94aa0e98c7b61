package pdu

import "encoding/binary"

// User information sub-items (PS3.7 D.3.3, PS3.8 D.1).
const (
	itemMaximumLength         = 0x51
	itemImplementationClass   = 0x52
	itemImplementationVersion = 0x55
)

// UserInformation holds the user items we read and write: 51, 52 and 55.
// Everything else (asynchronous window 53, roles 54, extended negotiation 56,
// identity 58, unknown ones) is skipped, as PS3.8 D.2 prescribes.
type UserInformation struct {
	// MaximumLength is the longest P-DATA-TF body the sender accepts, in bytes.
	// 0 means no limit; so does an absent item.
	MaximumLength          uint32
	ImplementationClassUID string
	ImplementationVersion  string
}

func (u *UserInformation) decode(t Type, b []byte, at int) error {
	it := items{pdu: t, b: b, off: at}
	for n := 0; ; n++ {
		ok, err := it.next()
		if err != nil {
			return err
		}
		if !ok {
			return nil
		}
		if n == MaxUserItems {
			return &SyntaxError{t, it.at, "more than 64 user items"}
		}
		switch it.kind {
		case itemMaximumLength:
			if len(it.val) != 4 {
				return &SyntaxError{t, it.at, "maximum length must be 4 bytes"}
			}
			u.MaximumLength = binary.BigEndian.Uint32(it.val)
		case itemImplementationClass:
			if u.ImplementationClassUID, err = it.text(); err != nil {
				return err
			}
		case itemImplementationVersion:
			if u.ImplementationVersion, err = it.text(); err != nil {
				return err
			}
		}
	}
}

func (u *UserInformation) appendTo(b []byte) []byte {
	b, at := beginItem(b, itemUserInformation)
	b = append(b, itemMaximumLength, 0, 0, 4)
	b = binary.BigEndian.AppendUint32(b, u.MaximumLength)
	if u.ImplementationClassUID != "" {
		b = appendItem(b, itemImplementationClass, u.ImplementationClassUID)
	}
	if u.ImplementationVersion != "" {
		b = appendItem(b, itemImplementationVersion, u.ImplementationVersion)
	}
	return endItem(b, at)
}
