package dataset

// VR is a value representation (PS3.5 6.2): its two letters, the first in the
// high byte. A VR that is not among the constants was introduced after this
// package was written and is handled like UN with a length of 32 bits.
type VR uint16

// The value representations of PS3.5 Table 6.2-1.
const (
	AE VR = 'A'<<8 | 'E' // Application Entity
	AS VR = 'A'<<8 | 'S' // Age String
	AT VR = 'A'<<8 | 'T' // Attribute Tag
	CS VR = 'C'<<8 | 'S' // Code String
	DA VR = 'D'<<8 | 'A' // Date
	DS VR = 'D'<<8 | 'S' // Decimal String
	DT VR = 'D'<<8 | 'T' // Date Time
	FD VR = 'F'<<8 | 'D' // Floating Point Double
	FL VR = 'F'<<8 | 'L' // Floating Point Single
	IS VR = 'I'<<8 | 'S' // Integer String
	LO VR = 'L'<<8 | 'O' // Long String
	LT VR = 'L'<<8 | 'T' // Long Text
	OB VR = 'O'<<8 | 'B' // Other Byte
	OD VR = 'O'<<8 | 'D' // Other Double
	OF VR = 'O'<<8 | 'F' // Other Float
	OL VR = 'O'<<8 | 'L' // Other Long
	OV VR = 'O'<<8 | 'V' // Other 64-bit Very Long
	OW VR = 'O'<<8 | 'W' // Other Word
	PN VR = 'P'<<8 | 'N' // Person Name
	SH VR = 'S'<<8 | 'H' // Short String
	SL VR = 'S'<<8 | 'L' // Signed Long
	SQ VR = 'S'<<8 | 'Q' // Sequence of Items
	SS VR = 'S'<<8 | 'S' // Signed Short
	ST VR = 'S'<<8 | 'T' // Short Text
	SV VR = 'S'<<8 | 'V' // Signed 64-bit Very Long
	TM VR = 'T'<<8 | 'M' // Time
	UC VR = 'U'<<8 | 'C' // Unlimited Characters
	UI VR = 'U'<<8 | 'I' // Unique Identifier
	UL VR = 'U'<<8 | 'L' // Unsigned Long
	UN VR = 'U'<<8 | 'N' // Unknown
	UR VR = 'U'<<8 | 'R' // Universal Resource Identifier
	US VR = 'U'<<8 | 'S' // Unsigned Short
	UT VR = 'U'<<8 | 'T' // Unlimited Text
	UV VR = 'U'<<8 | 'V' // Unsigned 64-bit Very Long
)

// String returns the two letters.
func (v VR) String() string { return string([]byte{byte(v >> 8), byte(v)}) }

// parseVR reads two letters of explicit VR.
func parseVR(a, b byte) (VR, bool) {
	if a < 'A' || a > 'Z' || b < 'A' || b > 'Z' {
		return 0, false
	}
	return VR(a)<<8 | VR(b), true
}

// long reports whether explicit VR writes the length of v in 32 bits (PS3.5
// 7.1.2). A VR we do not know has that form too, as PS3.5 prescribes for those
// still to come.
func (v VR) long() bool {
	switch v {
	case AE, AS, AT, CS, DA, DS, DT, FD, FL, IS, LO, LT, PN, SH, SL, SS, ST, TM, UI, UL, US:
		return false
	}
	return true
}

// known reports whether v is one of the constants.
func (v VR) known() bool {
	switch v {
	case OB, OD, OF, OL, OV, OW, SQ, SV, UC, UN, UR, UT, UV:
		return true
	}
	return !v.long()
}

// pad returns the byte that makes a value of v even: space for text, NUL for
// UI and everything binary (PS3.5 6.2).
func (v VR) pad() byte {
	switch v {
	case AE, AS, CS, DA, DS, DT, IS, LO, LT, PN, SH, ST, TM, UC, UR, UT:
		return ' '
	}
	return 0
}

// isText reports whether Specific Character Set (0008,0005) applies to v
// (PS3.5 6.1.2.3).
func (v VR) isText() bool {
	switch v {
	case LO, LT, PN, SH, ST, UC, UT:
		return true
	}
	return false
}

// isASCII reports whether v is text in the default repertoire whatever
// (0008,0005) says.
func (v VR) isASCII() bool {
	switch v {
	case AE, AS, CS, DA, DS, DT, IS, TM, UI, UR:
		return true
	}
	return false
}

// singleText reports whether v is one text in which a backslash is a character
// and not a separator.
func (v VR) singleText() bool {
	switch v {
	case LT, ST, UR, UT:
		return true
	}
	return false
}

// MaxLen returns the greatest length of one value of v in characters (PS3.5
// Table 6.2-1), for PN of one component group. 0 means that only the length
// field bounds it.
func MaxLen(v VR) int {
	switch v {
	case AS:
		return 4
	case DA:
		return 8
	case IS:
		return 12
	case TM:
		return 14
	case AE, CS, DS, SH:
		return 16
	case DT:
		return 26
	case LO, PN, UI:
		return 64
	case ST:
		return 1024
	case LT:
		return 10240
	}
	return 0
}
