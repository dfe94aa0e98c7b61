package dimse

import (
	"encoding/binary"
	"fmt"
)

// Command fields (PS3.7 E.1).
const (
	cStoreRQ       uint16 = 0x0001
	cFindRQ        uint16 = 0x0020
	cEchoRQ        uint16 = 0x0030
	nSetRQ         uint16 = 0x0120
	nCreateRQ      uint16 = 0x0140
	cCancelRQ      uint16 = 0x0FFF
	responseBit    uint16 = 0x8000
	noDataSet      uint16 = 0x0101
	dataSetFollows uint16 = 0x0001
)

// Elements of group 0000 we read and write (PS3.7 E.1).
const (
	elGroupLength       = 0x0000
	elAffectedClass     = 0x0002
	elRequestedClass    = 0x0003
	elCommandField      = 0x0100
	elMessageID         = 0x0110
	elRespondedTo       = 0x0120
	elPriority          = 0x0700
	elDataSetType       = 0x0800
	elStatus            = 0x0900
	elOffending         = 0x0901
	elErrorComment      = 0x0902
	elErrorID           = 0x0903
	elAffectedInstance  = 0x1000
	elRequestedInstance = 0x1001
)

// Bits of Command.has: elements whose absence matters.
const (
	hasField = 1 << iota
	hasMessageID
	hasRespondedTo
	hasDataSetType
	hasStatus
)

// maxOffending is how many tags of (0000,0901) are read.
const maxOffending = 64

// Command is a command set (PS3.7 6.3): group 0000, always Implicit VR Little
// Endian. Elements that are not listed here are skipped on reading.
type Command struct {
	AffectedSOPClassUID     string
	RequestedSOPClassUID    string
	Field                   uint16
	MessageID               uint16 // of requests
	RespondedTo             uint16 // of responses and C-CANCEL
	Priority                uint16 // of C-FIND requests
	DataSetType             uint16 // 0101 means that no data set follows
	Status                  uint16 // of responses
	OffendingElements       []uint32
	ErrorComment            string
	ErrorID                 uint16
	AffectedSOPInstanceUID  string
	RequestedSOPInstanceUID string

	has uint8
}

// CommandError says why a command set could not be read.
type CommandError struct {
	Offset int
	Reason string
}

func (e *CommandError) Error() string {
	return fmt.Sprintf("dimse: command set, byte %d: %s", e.Offset, e.Reason)
}

// IsResponse reports whether the command answers a request.
func (c *Command) IsResponse() bool { return c.Field&responseBit != 0 }

// HasDataSet reports whether a data set follows.
func (c *Command) HasDataSet() bool { return c.DataSetType != noDataSet }

// SOPClassUID returns the affected or requested SOP class.
func (c *Command) SOPClassUID() string {
	if c.AffectedSOPClassUID != "" {
		return c.AffectedSOPClassUID
	}
	return c.RequestedSOPClassUID
}

// Decode reads a command set. The group length is ignored, the first of two
// equal elements counts. Without a command field or a data set type the set is
// refused, because nobody could tell where the message ends.
func (c *Command) Decode(b []byte) error {
	*c = Command{}
	for off := 0; off < len(b); {
		if len(b)-off < 8 {
			return &CommandError{off, "truncated element"}
		}
		group, element := binary.LittleEndian.Uint16(b[off:]), binary.LittleEndian.Uint16(b[off+2:])
		n := binary.LittleEndian.Uint32(b[off+4:])
		if group != 0 {
			return &CommandError{off, "element outside group 0000"}
		}
		if uint64(n) > uint64(len(b)-off-8) {
			return &CommandError{off, "element is longer than the command set"}
		}
		v := b[off+8 : off+8+int(n)]
		off += 8 + int(n)
		c.set(element, v)
	}
	if c.has&hasField == 0 {
		return &CommandError{0, "no command field"}
	}
	if c.has&hasDataSetType == 0 {
		return &CommandError{0, "no data set type"}
	}
	return nil
}

func (c *Command) set(element uint16, v []byte) {
	switch element {
	case elAffectedClass:
		setText(&c.AffectedSOPClassUID, v)
	case elRequestedClass:
		setText(&c.RequestedSOPClassUID, v)
	case elCommandField:
		c.setUint16(&c.Field, v, hasField)
	case elMessageID:
		c.setUint16(&c.MessageID, v, hasMessageID)
	case elRespondedTo:
		c.setUint16(&c.RespondedTo, v, hasRespondedTo)
	case elPriority:
		c.setUint16(&c.Priority, v, 0)
	case elDataSetType:
		c.setUint16(&c.DataSetType, v, hasDataSetType)
	case elStatus:
		c.setUint16(&c.Status, v, hasStatus)
	case elOffending:
		for ; len(v) >= 4 && len(c.OffendingElements) < maxOffending; v = v[4:] {
			tag := uint32(binary.LittleEndian.Uint16(v))<<16 | uint32(binary.LittleEndian.Uint16(v[2:]))
			c.OffendingElements = append(c.OffendingElements, tag)
		}
	case elErrorComment:
		setText(&c.ErrorComment, v)
	case elErrorID:
		c.setUint16(&c.ErrorID, v, 0)
	case elAffectedInstance:
		setText(&c.AffectedSOPInstanceUID, v)
	case elRequestedInstance:
		setText(&c.RequestedSOPInstanceUID, v)
	}
}

func (c *Command) setUint16(to *uint16, v []byte, bit uint8) {
	if len(v) == 2 && (bit == 0 || c.has&bit == 0) {
		*to = binary.LittleEndian.Uint16(v)
		c.has |= bit
	}
}

// setText takes a UID or text over unless it is longer than any of them may be.
func setText(to *string, v []byte) {
	if *to == "" && len(v) <= 128 {
		*to = text(v)
	}
}

// AppendTo appends the command set to b, with the right group length.
func (c *Command) AppendTo(b []byte) []byte {
	b = append(b, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0)
	start := len(b)
	b = appendText(b, elAffectedClass, c.AffectedSOPClassUID, 0)
	b = appendText(b, elRequestedClass, c.RequestedSOPClassUID, 0)
	b = appendUint16(b, elCommandField, c.Field)
	if c.IsResponse() || c.Field == cCancelRQ {
		b = appendUint16(b, elRespondedTo, c.RespondedTo)
	} else {
		b = appendUint16(b, elMessageID, c.MessageID)
	}
	if c.Field == cFindRQ {
		b = appendUint16(b, elPriority, c.Priority)
	}
	b = appendUint16(b, elDataSetType, c.DataSetType)
	if c.IsResponse() {
		b = appendUint16(b, elStatus, c.Status)
	}
	if len(c.OffendingElements) > 0 {
		b = appendElement(b, elOffending, 4*len(c.OffendingElements))
		for _, tag := range c.OffendingElements {
			b = binary.LittleEndian.AppendUint16(b, uint16(tag>>16)) //nolint:gosec // the group
			b = binary.LittleEndian.AppendUint16(b, uint16(tag))     //nolint:gosec // the element
		}
	}
	b = appendText(b, elErrorComment, c.ErrorComment, ' ')
	if c.ErrorID != 0 {
		b = appendUint16(b, elErrorID, c.ErrorID)
	}
	b = appendText(b, elAffectedInstance, c.AffectedSOPInstanceUID, 0)
	b = appendText(b, elRequestedInstance, c.RequestedSOPInstanceUID, 0)
	binary.LittleEndian.PutUint32(b[start-4:], uint32(len(b)-start)) //nolint:gosec // command sets are short
	return b
}

func appendElement(b []byte, element uint16, n int) []byte {
	b = append(b, 0, 0, byte(element), byte(element>>8))
	return binary.LittleEndian.AppendUint32(b, uint32(n)) //nolint:gosec // command sets are short
}

func appendUint16(b []byte, element, v uint16) []byte {
	return binary.LittleEndian.AppendUint16(appendElement(b, element, 2), v)
}

// appendText appends a text element unless it is empty, padded to an even length.
func appendText(b []byte, element uint16, s string, pad byte) []byte {
	if s == "" {
		return b
	}
	b = append(appendElement(b, element, len(s)+len(s)&1), s...)
	if len(s)&1 == 1 {
		b = append(b, pad)
	}
	return b
}

// text trims v and returns the well-known UIDs without allocating.
func text(v []byte) string {
	for len(v) > 0 && (v[len(v)-1] == 0 || v[len(v)-1] == ' ') {
		v = v[:len(v)-1]
	}
	for len(v) > 0 && (v[0] == 0 || v[0] == ' ') {
		v = v[1:]
	}
	switch string(v) {
	case VerificationSOPClassUID:
		return VerificationSOPClassUID
	case ModalityWorklistSOPClassUID:
		return ModalityWorklistSOPClassUID
	case ModalityPerformedProcedureStepSOPClassUID:
		return ModalityPerformedProcedureStepSOPClassUID
	}
	return string(v)
}

// SOP classes every part of the product knows (PS3.6).
const (
	VerificationSOPClassUID                   = "1.2.840.10008.1.1"
	ModalityWorklistSOPClassUID               = "1.2.840.10008.5.1.4.31"
	ModalityPerformedProcedureStepSOPClassUID = "1.2.840.10008.3.1.2.3.3"
)

// response returns the response to c with the rules every response obeys:
// the request's SOP class and message id, no data set unless told otherwise.
func (c *Command) response(status uint16) Command {
	return Command{
		Field: c.Field | responseBit, RespondedTo: c.MessageID, Status: status, DataSetType: noDataSet,
		AffectedSOPClassUID: c.SOPClassUID(),
	}
}

// withStatus adds what a Status carries.
func (c Command) withStatus(s Status) Command {
	c.Status, c.ErrorComment, c.ErrorID, c.OffendingElements = s.Code, comment(s.Comment), s.ErrorID, s.Offending
	if len(c.OffendingElements) > maxOffending {
		c.OffendingElements = c.OffendingElements[:maxOffending]
	}
	return c
}
