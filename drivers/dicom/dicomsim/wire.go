package dicomsim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// UIDs that the raw peer speaks of.
const (
	applicationContext = "1.2.840.10008.3.1.1.1"
	implicitVRLE       = "1.2.840.10008.1.2"
	explicitVRLE       = "1.2.840.10008.1.2.1"

	verificationClass = "1.2.840.10008.1.1"
	worklistClass     = "1.2.840.10008.5.1.4.31"
	stepClass         = "1.2.840.10008.3.1.2.3.3"
)

// PDU types of PS3.8 9.3.
const (
	pduAssociateRQ = 1
	pduAssociateAC = 2
	pduAssociateRJ = 3
	pduData        = 4
	pduReleaseRQ   = 5
	pduReleaseRP   = 6
	pduAbort       = 7
)

// wire is a TCP connection that says whatever it is told, right or wrong.
type wire struct {
	conn net.Conn
	stop func() bool // forgets the context
}

// dialWire connects. Reads and writes fail as soon as ctx ends.
func dialWire(ctx context.Context, address string) (*wire, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return &wire{conn: conn, stop: stop}, nil
}

// close closes the connection without any goodbye.
func (w *wire) close() {
	w.stop()
	_ = w.conn.Close()
}

// reset closes the connection so that the other side sees a reset.
func (w *wire) reset() {
	if c, ok := w.conn.(*net.TCPConn); ok {
		_ = c.SetLinger(0)
	}
	w.close()
}

// send writes b as it is.
func (w *wire) send(b []byte) error {
	_, err := w.conn.Write(b)
	return err
}

// maxReadPDU bounds what the raw peer reads of one PDU.
const maxReadPDU = 1 << 20

// read reads one PDU.
func (w *wire) read() (kind byte, body []byte, err error) {
	var head [6]byte
	if _, err := io.ReadFull(w.conn, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[2:])
	if n > maxReadPDU {
		return head[0], nil, fmt.Errorf("dicomsim: a PDU of %d bytes", n)
	}
	body = make([]byte, n)
	_, err = io.ReadFull(w.conn, body)
	return head[0], body, err
}

// hear waits for the next PDU or the end of the connection, and says in words
// what came.
func (w *wire) hear() string {
	kind, body, err := w.read()
	if err != nil {
		return hearError(err)
	}
	return pduWords(kind, body)
}

// hearError says in words how a connection ended.
func hearError(err error) string {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "nothing"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed"
	case errors.As(err, new(*net.OpError)):
		return "closed by reset"
	}
	return err.Error()
}

// pduWords names a PDU with what matters of its body.
func pduWords(kind byte, body []byte) string {
	at := func(i int) byte {
		if i < len(body) {
			return body[i]
		}
		return 0
	}
	switch kind {
	case pduAssociateAC:
		return "A-ASSOCIATE-AC"
	case pduAssociateRJ:
		return fmt.Sprintf("A-ASSOCIATE-RJ %d,%d,%d", at(1), at(2), at(3))
	case pduData:
		return "P-DATA-TF"
	case pduReleaseRQ:
		return "A-RELEASE-RQ"
	case pduReleaseRP:
		return "A-RELEASE-RP"
	case pduAbort:
		return fmt.Sprintf("A-ABORT %d,%d", at(2), at(3))
	}
	return fmt.Sprintf("PDU type %02X", kind)
}

// appendPDU appends a PDU.
func appendPDU(b []byte, kind byte, body []byte) []byte {
	b = append(b, kind, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	return append(b, body...)
}

// appendItem appends an item of an A-ASSOCIATE-RQ.
func appendItem(b []byte, kind byte, body []byte) []byte {
	b = append(b, kind, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

// associateRQ returns an A-ASSOCIATE-RQ that proposes the classes under the
// context ids 1, 3, 5 ... with implicit VR little endian.
func associateRQ(called, calling string, classes ...string) []byte {
	body := []byte{0, 1, 0, 0}
	body = fmt.Appendf(body, "%-16.16s%-16.16s", called, calling)
	body = append(body, make([]byte, 32)...)
	body = appendItem(body, 0x10, []byte(applicationContext))
	for i, class := range classes {
		context := []byte{byte(2*i + 1), 0, 0, 0}
		context = appendItem(context, 0x30, []byte(class))
		context = appendItem(context, 0x40, []byte(implicitVRLE))
		body = appendItem(body, 0x20, context)
	}
	user := appendItem(nil, 0x51, []byte{0, 0, 0x40, 0})
	user = appendItem(user, 0x52, []byte("2.25.1"))
	body = appendItem(body, 0x50, user)
	return appendPDU(nil, pduAssociateRQ, body)
}

// pdv returns a P-DATA-TF with one fragment. header: 1 command, 2 last.
func pdv(contextID, header byte, data []byte) []byte {
	body := binary.BigEndian.AppendUint32(nil, uint32(len(data)+2))
	body = append(body, contextID, header)
	return appendPDU(nil, pduData, append(body, data...))
}

// command returns a command set from (element, value) pairs of group 0000.
func command(elements ...element) []byte {
	var b []byte
	for _, e := range elements {
		b = append(b, 0, 0, byte(e.number), byte(e.number>>8))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(e.value)))
		b = append(b, e.value...)
	}
	group := []byte{0, 0, 0, 0, 4, 0, 0, 0}
	return append(binary.LittleEndian.AppendUint32(group, uint32(len(b))), b...)
}

// element is one element of a command set.
type element struct {
	number uint16
	value  []byte
}

// us is an unsigned short of a command set.
func us(number, value uint16) element {
	return element{number, binary.LittleEndian.AppendUint16(nil, value)}
}

// ui is a UID of a command set.
func ui(number uint16, uid string) element {
	v := []byte(uid)
	if len(v)%2 == 1 {
		v = append(v, 0)
	}
	return element{number, v}
}

// findRQ returns the command of a C-FIND on the worklist.
func findRQ(messageID uint16) []byte {
	return command(ui(0x0002, worklistClass), us(0x0100, 0x0020), us(0x0110, messageID), us(0x0700, 0), us(0x0800, 1))
}

// createRQ returns the command of an N-CREATE of a performed step.
func createRQ(messageID uint16, uid string) []byte {
	return command(ui(0x0002, stepClass), us(0x0100, 0x0140), us(0x0110, messageID), us(0x0800, 1), ui(0x1000, uid))
}
