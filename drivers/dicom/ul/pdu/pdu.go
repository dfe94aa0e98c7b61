// Package pdu reads and writes the protocol data units of the DICOM upper layer
// (PS3.8 9.3): one type per PDU, each with Decode for the body and AppendTo for
// the whole unit. Nothing here allocates in proportion to a length that a peer
// has only announced.
package pdu

import (
	"encoding/binary"
	"fmt"
)

// Type is the first byte of a PDU (PS3.8 9.3.1).
type Type byte

// The seven PDUs.
const (
	TypeAssociateRQ Type = 0x01
	TypeAssociateAC Type = 0x02
	TypeAssociateRJ Type = 0x03
	TypePDataTF     Type = 0x04
	TypeReleaseRQ   Type = 0x05
	TypeReleaseRP   Type = 0x06
	TypeAbort       Type = 0x07
)

// String names the type as PS3.8 does.
func (t Type) String() string {
	switch t {
	case TypeAssociateRQ:
		return "A-ASSOCIATE-RQ"
	case TypeAssociateAC:
		return "A-ASSOCIATE-AC"
	case TypeAssociateRJ:
		return "A-ASSOCIATE-RJ"
	case TypePDataTF:
		return "P-DATA-TF"
	case TypeReleaseRQ:
		return "A-RELEASE-RQ"
	case TypeReleaseRP:
		return "A-RELEASE-RP"
	case TypeAbort:
		return "A-ABORT"
	}
	return fmt.Sprintf("PDU type %02X", byte(t))
}

// HeaderSize is the length in bytes of type, reserved byte and length.
const HeaderSize = 6

// Limits on what one A-ASSOCIATE PDU may hold.
const (
	MaxContexts         = 128 // identifiers are the odd numbers of one byte, PS3.8 9.3.2.2
	MaxTransferSyntaxes = 64  // of one presentation context
	MaxUserItems        = 64
)

// maxText is the longest UID or name we read, in bytes. A UID has 64
// characters at most (PS3.5 9.1); twice that leaves room for padding.
const maxText = 128

// SyntaxError says why a PDU could not be read. It never holds a value that
// the peer has sent.
type SyntaxError struct {
	PDU    Type
	Offset int // in bytes from the start of the body
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("pdu: %v, byte %d: %s", e.PDU, e.Offset, e.Reason)
}

// UnknownTypeError reports a PDU type that PS3.8 does not define.
type UnknownTypeError struct{ Type Type }

func (e *UnknownTypeError) Error() string { return "pdu: " + e.Type.String() + " is not defined" }

// TooLongError reports a PDU whose announced length is over the limit.
type TooLongError struct {
	PDU           Type
	Length, Limit uint32 // bytes of the body
}

func (e *TooLongError) Error() string {
	return fmt.Sprintf("pdu: %v announces %d bytes, the limit is %d", e.PDU, e.Length, e.Limit)
}

// AppendHeader appends a PDU header for a body of n bytes.
func AppendHeader(b []byte, t Type, n int) []byte {
	b = append(b, byte(t), 0)
	return binary.BigEndian.AppendUint32(b, uint32(n)) //nolint:gosec // bodies stay far below 4 GiB
}

// beginPDU appends a header whose length endPDU fills in.
func beginPDU(b []byte, t Type) ([]byte, int) {
	b = append(b, byte(t), 0, 0, 0, 0, 0)
	return b, len(b)
}

func endPDU(b []byte, start int) []byte {
	binary.BigEndian.PutUint32(b[start-4:], uint32(len(b)-start)) //nolint:gosec // bodies stay far below 4 GiB
	return b
}

// beginItem appends an item header whose 16-bit length endItem fills in.
func beginItem(b []byte, kind byte) ([]byte, int) {
	b = append(b, kind, 0, 0, 0)
	return b, len(b)
}

func endItem(b []byte, start int) []byte {
	binary.BigEndian.PutUint16(b[start-2:], uint16(len(b)-start)) //nolint:gosec // what was decoded fits, what we make is short
	return b
}

func appendItem(b []byte, kind byte, value string) []byte {
	b = append(b, kind, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(value))) //nolint:gosec // UIDs and names
	return append(b, value...)
}

// items walks the items of a body: kind, value and the value's offset.
type items struct {
	pdu  Type
	b    []byte
	off  int // of b in the body
	kind byte
	val  []byte
	at   int // of val in the body
}

// next moves to the next item. It returns false at the end.
func (it *items) next() (bool, error) {
	if len(it.b) == 0 {
		return false, nil
	}
	if len(it.b) < 4 {
		return false, &SyntaxError{it.pdu, it.off, "truncated item header"}
	}
	n := int(binary.BigEndian.Uint16(it.b[2:]))
	if n > len(it.b)-4 {
		return false, &SyntaxError{it.pdu, it.off, "item is longer than what holds it"}
	}
	it.kind, it.val, it.at = it.b[0], it.b[4:4+n], it.off+4
	it.b, it.off = it.b[4+n:], it.off+4+n
	return true, nil
}

// text returns the item's value as a UID or name, trimmed.
func (it *items) text() (string, error) {
	if len(it.val) > maxText {
		return "", &SyntaxError{it.pdu, it.at, "UID or name longer than 128 bytes"}
	}
	return Text(it.val), nil
}

// decodeFixed checks the body of the PDUs that have four bytes.
func decodeFixed(t Type, body []byte) error {
	if len(body) != 4 {
		return &SyntaxError{t, 0, "body must be 4 bytes"}
	}
	return nil
}
