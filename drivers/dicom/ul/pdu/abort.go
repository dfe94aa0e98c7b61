package pdu

// Sources and reasons of an A-ABORT (PS3.8 Table 9-26).
const (
	AbortByUser     byte = 0
	AbortByProvider byte = 2

	AbortNotSpecified     byte = 0
	AbortUnrecognizedPDU  byte = 1
	AbortUnexpectedPDU    byte = 2
	AbortUnrecognizedItem byte = 4
	AbortUnexpectedItem   byte = 5
	AbortInvalidValue     byte = 6
)

// Abort ends the association at once (PS3.8 9.3.8).
type Abort struct {
	Source byte
	Reason byte // meaningful only when Source is AbortByProvider
}

// Decode reads the body of the PDU, the part after the six-byte header.
func (p *Abort) Decode(body []byte) error {
	if err := decodeFixed(TypeAbort, body); err != nil {
		return err
	}
	p.Source, p.Reason = body[2], body[3]
	return nil
}

// AppendTo appends the whole PDU to b, header included.
func (p Abort) AppendTo(b []byte) []byte {
	return append(AppendHeader(b, TypeAbort, 4), 0, 0, p.Source, p.Reason)
}
