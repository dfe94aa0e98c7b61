package relaybench

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// Opcodes of websocket frames (RFC 6455, section 5.2).
const (
	opText   = 0x1
	opBinary = 0x2
	opClose  = 0x8
	opPing   = 0x9
	opPong   = 0xA
)

const finalFrame, masked = 0x80, 0x80

var errFrame = errors.New("relaybench: a websocket frame that a relay does not send")

// readFrame reads one unfragmented frame into buf, which grows. It is a client's
// side of RFC 6455 and no more than ten thousand agents in one process need.
func readFrame(in *bufio.Reader, buf []byte) (op byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return 0, buf, err
	}
	if head[0]&finalFrame == 0 || head[0]&0x70 != 0 || head[1]&masked != 0 {
		return 0, buf, errFrame
	}
	size := int(head[1])
	if size > 125 {
		wide := make([]byte, 2)
		if size == 127 {
			wide = make([]byte, 8)
		}
		if _, err := io.ReadFull(in, wide); err != nil {
			return 0, buf, err
		}
		size = 0
		for _, b := range wide {
			size = size<<8 | int(b)
		}
	}
	if size < 0 || size > wire.MaxFrame {
		return 0, buf, fmt.Errorf("%w: %d bytes", errFrame, size)
	}
	if cap(buf) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	_, err = io.ReadFull(in, buf)
	return head[0] & 0xF, buf, err
}

// writeFrame writes one masked frame in one write. payload is masked in place.
func writeFrame(c net.Conn, op byte, payload []byte) error {
	if len(payload) > 0xFFFF {
		return errFrame
	}
	b := make([]byte, 0, 8+len(payload))
	b = append(b, finalFrame|op)
	if len(payload) < 126 {
		b = append(b, masked|byte(len(payload)))
	} else {
		b = append(b, masked|126)
		b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	}
	var key [4]byte
	rand.Read(key[:])
	b = append(b, key[:]...)
	for i, p := range payload {
		b = append(b, p^key[i%4])
	}
	_, err := c.Write(b)
	return err
}
