package pdu

import "encoding/binary"

// PDVHeaderSize is the length in bytes of the item length, the context id and
// the message control header in front of each fragment.
const PDVHeaderSize = 6

// Bits of the message control header (PS3.8 E.2).
const (
	controlCommand = 1 << 0
	controlLast    = 1 << 1
)

// PDV is one presentation data value: a fragment of a message (PS3.8 9.3.5.1).
type PDV struct {
	ContextID byte
	Command   bool   // of the command set, else of the data set
	Last      bool   // the last fragment of its part
	Data      []byte // may be empty
}

// PDataTF carries fragments (PS3.8 9.3.5).
type PDataTF struct{ Values []PDV }

// NextPDV splits the first value from the body of a P-DATA-TF. Its data is a
// sub-slice of body.
func NextPDV(body []byte) (v PDV, rest []byte, err error) {
	if len(body) < PDVHeaderSize {
		return v, nil, &SyntaxError{TypePDataTF, 0, "truncated presentation data value"}
	}
	n := binary.BigEndian.Uint32(body)
	if n < 2 {
		return v, nil, &SyntaxError{TypePDataTF, 0, "presentation data value shorter than 2 bytes"}
	}
	if uint64(n) > uint64(len(body)-4) {
		return v, nil, &SyntaxError{TypePDataTF, 0, "presentation data value passes the end of the PDU"}
	}
	v.ContextID = body[4]
	v.Command = body[5]&controlCommand != 0
	v.Last = body[5]&controlLast != 0
	v.Data = body[PDVHeaderSize : 4+n : 4+n]
	return v, body[4+n:], nil
}

// Decode reads the body of the PDU, the part after the six-byte header. The
// data of the values are sub-slices of body.
func (p *PDataTF) Decode(body []byte) error {
	p.Values = p.Values[:0]
	if len(body) == 0 {
		return &SyntaxError{TypePDataTF, 0, "no presentation data value"}
	}
	for len(body) > 0 {
		v, rest, err := NextPDV(body)
		if err != nil {
			return err
		}
		p.Values = append(p.Values, v)
		body = rest
	}
	return nil
}

// AppendTo appends the whole PDU to b, header included.
func (p *PDataTF) AppendTo(b []byte) []byte {
	b, start := beginPDU(b, TypePDataTF)
	for _, v := range p.Values {
		b = appendPDV(b, v)
	}
	return endPDU(b, start)
}

func appendPDV(b []byte, v PDV) []byte {
	var control byte
	if v.Command {
		control |= controlCommand
	}
	if v.Last {
		control |= controlLast
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(v.Data)+2)) //nolint:gosec // fragments stay far below 4 GiB
	b = append(b, v.ContextID, control)
	return append(b, v.Data...)
}

// AppendFragments appends data as one or more P-DATA-TF PDUs whose bodies are
// at most limit bytes long and whose fragments have an even length, except the
// last one when data itself is odd (PS3.8 E.1). The last fragment is marked.
// limit must be at least 8.
func AppendFragments(b []byte, contextID byte, command bool, data []byte, limit int) []byte {
	room := (limit - PDVHeaderSize) &^ 1
	for {
		part := data
		if len(part) > room {
			part = part[:room]
		}
		data = data[len(part):]
		b = AppendHeader(b, TypePDataTF, PDVHeaderSize+len(part))
		b = appendPDV(b, PDV{ContextID: contextID, Command: command, Last: len(data) == 0, Data: part})
		if len(data) == 0 {
			return b
		}
	}
}
