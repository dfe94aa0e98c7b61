package pdu

// ReleaseRQ asks to release the association (PS3.8 9.3.6).
type ReleaseRQ struct{}

// Decode reads the body of the PDU, the part after the six-byte header.
func (*ReleaseRQ) Decode(body []byte) error { return decodeFixed(TypeReleaseRQ, body) }

// AppendTo appends the whole PDU to b, header included.
func (ReleaseRQ) AppendTo(b []byte) []byte {
	return append(AppendHeader(b, TypeReleaseRQ, 4), 0, 0, 0, 0)
}
