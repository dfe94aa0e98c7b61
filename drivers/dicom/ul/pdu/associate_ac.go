package pdu

import "encoding/binary"

// ContextResult values (PS3.8 Table 9-18).
const (
	ResultAcceptance              byte = 0
	ResultUserRejection           byte = 1
	ResultNoReason                byte = 2
	ResultAbstractSyntaxUnknown   byte = 3
	ResultTransferSyntaxesUnknown byte = 4
)

// AssociateAC accepts an association (PS3.8 9.3.3).
type AssociateAC struct {
	ProtocolVersion    uint16
	Titles             [titlesSize]byte // bytes 11-74 of the request, exactly as received
	ApplicationContext string
	Contexts           []ContextResult
	User               UserInformation
}

// ContextResult answers one proposed presentation context (PS3.8 9.3.3.2).
type ContextResult struct {
	ID             byte
	Result         byte
	TransferSyntax string // meaningful only when Result is ResultAcceptance
}

// Decode reads the body of the PDU, the part after the six-byte header.
// Unknown items are skipped.
func (p *AssociateAC) Decode(body []byte) error {
	*p = AssociateAC{Contexts: p.Contexts[:0]}
	if len(body) < 4+titlesSize {
		return &SyntaxError{TypeAssociateAC, len(body), "truncated before the items"}
	}
	p.ProtocolVersion = binary.BigEndian.Uint16(body)
	copy(p.Titles[:], body[4:])
	it := items{pdu: TypeAssociateAC, b: body[4+titlesSize:], off: 4 + titlesSize}
	for {
		ok, err := it.next()
		if err != nil {
			return err
		}
		if !ok {
			return nil
		}
		switch it.kind {
		case itemApplicationContext:
			if p.ApplicationContext, err = it.text(); err != nil {
				return err
			}
		case itemContextResult:
			if len(p.Contexts) == MaxContexts {
				return &SyntaxError{TypeAssociateAC, it.at, "more than 128 presentation contexts"}
			}
			var c ContextResult
			if err := c.decode(it.val, it.at); err != nil {
				return err
			}
			p.Contexts = append(p.Contexts, c)
		case itemUserInformation:
			if err := p.User.decode(TypeAssociateAC, it.val, it.at); err != nil {
				return err
			}
		}
	}
}

func (c *ContextResult) decode(b []byte, at int) error {
	if len(b) < 4 {
		return &SyntaxError{TypeAssociateAC, at, "truncated presentation context"}
	}
	c.ID, c.Result = b[0], b[2]
	it := items{pdu: TypeAssociateAC, b: b[4:], off: at + 4}
	for {
		ok, err := it.next()
		if err != nil {
			return err
		}
		if !ok {
			return nil
		}
		if it.kind == itemTransferSyntax {
			if c.TransferSyntax, err = it.text(); err != nil {
				return err
			}
		}
	}
}

// AppendTo appends the whole PDU to b, header included.
func (p *AssociateAC) AppendTo(b []byte) []byte {
	b, start := beginPDU(b, TypeAssociateAC)
	b = binary.BigEndian.AppendUint16(b, p.ProtocolVersion)
	b = append(b, 0, 0)
	b = append(b, p.Titles[:]...)
	b = appendItem(b, itemApplicationContext, p.ApplicationContext)
	for i := range p.Contexts {
		c := &p.Contexts[i]
		var at int
		b, at = beginItem(b, itemContextResult)
		b = append(b, c.ID, 0, c.Result, 0)
		b = appendItem(b, itemTransferSyntax, c.TransferSyntax)
		b = endItem(b, at)
	}
	b = p.User.appendTo(b)
	return endPDU(b, start)
}
