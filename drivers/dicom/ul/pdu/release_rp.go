package pdu

// ReleaseRP answers an A-RELEASE-RQ (PS3.8 9.3.7).
type ReleaseRP struct{}

// Decode reads the body of the PDU, the part after the six-byte header.
func (*ReleaseRP) Decode(body []byte) error { return decodeFixed(TypeReleaseRP, body) }

// AppendTo appends the whole PDU to b, header included.
func (ReleaseRP) AppendTo(b []byte) []byte {
	return append(AppendHeader(b, TypeReleaseRP, 4), 0, 0, 0, 0)
}
