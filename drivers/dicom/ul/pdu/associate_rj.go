package pdu

// AssociateRJ refuses an association (PS3.8 9.3.4, Table 9-21).
type AssociateRJ struct {
	Result byte // 1 permanent, 2 transient
	Source byte // 1 service user, 2 service provider (ACSE), 3 service provider (presentation)
	Reason byte // its meaning depends on Source
}

// Decode reads the body of the PDU, the part after the six-byte header.
func (p *AssociateRJ) Decode(body []byte) error {
	if err := decodeFixed(TypeAssociateRJ, body); err != nil {
		return err
	}
	p.Result, p.Source, p.Reason = body[1], body[2], body[3]
	return nil
}

// AppendTo appends the whole PDU to b, header included.
func (p AssociateRJ) AppendTo(b []byte) []byte {
	return append(AppendHeader(b, TypeAssociateRJ, 4), 0, p.Result, p.Source, p.Reason)
}
