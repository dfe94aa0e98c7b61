package pdu

import "encoding/binary"

// Item types of the A-ASSOCIATE PDUs (PS3.8 9.3.2, 9.3.3).
const (
	itemApplicationContext = 0x10
	itemProposedContext    = 0x20
	itemContextResult      = 0x21
	itemAbstractSyntax     = 0x30
	itemTransferSyntax     = 0x40
	itemUserInformation    = 0x50
)

// titlesSize is the length of the two AE titles and the reserved field behind
// them: bytes 11 to 74, which the acceptor sends back as received.
const titlesSize = 64

// AssociateRQ asks for an association (PS3.8 9.3.2).
type AssociateRQ struct {
	ProtocolVersion    uint16
	Titles             [titlesSize]byte // bytes 11-74: called, calling, reserved
	ApplicationContext string
	Contexts           []ProposedContext
	User               UserInformation
}

// ProposedContext is one presentation context of a request (PS3.8 9.3.2.2).
type ProposedContext struct {
	ID               byte
	AbstractSyntax   string
	TransferSyntaxes []string
}

// CalledAETitle returns the title asked for, trimmed of spaces and NULs.
func (p *AssociateRQ) CalledAETitle() string { return Text(p.Titles[:16]) }

// CallingAETitle returns the title of the requestor, trimmed of spaces and NULs.
func (p *AssociateRQ) CallingAETitle() string { return Text(p.Titles[16:32]) }

// SetTitles writes both titles, padded with spaces.
func (p *AssociateRQ) SetTitles(called, calling string) {
	c, g := AETitle(called), AETitle(calling)
	copy(p.Titles[:16], c[:])
	copy(p.Titles[16:32], g[:])
}

// Decode reads the body of the PDU, the part after the six-byte header.
// Unknown items are skipped.
func (p *AssociateRQ) Decode(body []byte) error {
	*p = AssociateRQ{Contexts: p.Contexts[:0]}
	if len(body) < 4+titlesSize {
		return &SyntaxError{TypeAssociateRQ, len(body), "truncated before the items"}
	}
	p.ProtocolVersion = binary.BigEndian.Uint16(body)
	copy(p.Titles[:], body[4:])
	it := items{pdu: TypeAssociateRQ, b: body[4+titlesSize:], off: 4 + titlesSize}
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
		case itemProposedContext:
			if len(p.Contexts) == MaxContexts {
				return &SyntaxError{TypeAssociateRQ, it.at, "more than 128 presentation contexts"}
			}
			var c ProposedContext
			if err := c.decode(it.val, it.at); err != nil {
				return err
			}
			p.Contexts = append(p.Contexts, c)
		case itemUserInformation:
			if err := p.User.decode(TypeAssociateRQ, it.val, it.at); err != nil {
				return err
			}
		}
	}
}

func (c *ProposedContext) decode(b []byte, at int) error {
	if len(b) < 4 {
		return &SyntaxError{TypeAssociateRQ, at, "truncated presentation context"}
	}
	c.ID = b[0]
	it := items{pdu: TypeAssociateRQ, b: b[4:], off: at + 4}
	for {
		ok, err := it.next()
		if err != nil {
			return err
		}
		if !ok {
			return nil
		}
		switch it.kind {
		case itemAbstractSyntax:
			if c.AbstractSyntax, err = it.text(); err != nil {
				return err
			}
		case itemTransferSyntax:
			if len(c.TransferSyntaxes) == MaxTransferSyntaxes {
				return &SyntaxError{TypeAssociateRQ, it.at, "more than 64 transfer syntaxes"}
			}
			if c.TransferSyntaxes == nil {
				c.TransferSyntaxes = make([]string, 0, 3)
			}
			uid, err := it.text()
			if err != nil {
				return err
			}
			c.TransferSyntaxes = append(c.TransferSyntaxes, uid)
		}
	}
}

// AppendTo appends the whole PDU to b, header included.
func (p *AssociateRQ) AppendTo(b []byte) []byte {
	b, start := beginPDU(b, TypeAssociateRQ)
	b = binary.BigEndian.AppendUint16(b, p.ProtocolVersion)
	b = append(b, 0, 0)
	b = append(b, p.Titles[:]...)
	b = appendItem(b, itemApplicationContext, p.ApplicationContext)
	for i := range p.Contexts {
		c := &p.Contexts[i]
		var at int
		b, at = beginItem(b, itemProposedContext)
		b = append(b, c.ID, 0, 0, 0)
		b = appendItem(b, itemAbstractSyntax, c.AbstractSyntax)
		for _, ts := range c.TransferSyntaxes {
			b = appendItem(b, itemTransferSyntax, ts)
		}
		b = endItem(b, at)
	}
	b = p.User.appendTo(b)
	return endPDU(b, start)
}
