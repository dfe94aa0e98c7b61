package dicomsim

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
)

// findEverything is a C-FIND without keys on context 3.
func findEverything(messageID uint16) []byte {
	return append(pdv(3, 3, findRQ(messageID)), pdv(3, 2, nil)...)
}

// inFind associates, sends a find that matches everything and lets do go on
// after the first PDU of the answer.
func inFind(ctx context.Context, m *Modality, do func(w *wire) string) (string, error) {
	w, heard, err := m.associateRaw(ctx)
	if w == nil {
		return heard, err
	}
	defer w.close()
	if err := w.send(findEverything(1)); err != nil {
		return hearError(err), nil
	}
	if kind, body, err := w.read(); err != nil {
		return hearError(err), nil
	} else if kind != pduData {
		return pduWords(kind, body), nil
	}
	return do(w), nil
}

func vanish(ctx context.Context, m *Modality) (string, error) {
	return inFind(ctx, m, func(w *wire) string {
		w.reset()
		return "gone"
	})
}

func abortMidFind(ctx context.Context, m *Modality) (string, error) {
	return inFind(ctx, m, func(w *wire) string {
		if err := w.send(appendPDU(nil, pduAbort, []byte{0, 0, 0, 0})); err != nil {
			return hearError(err)
		}
		return w.hearEnd()
	})
}

func releaseMidFind(ctx context.Context, m *Modality) (string, error) {
	return inFind(ctx, m, func(w *wire) string {
		if err := w.send(appendPDU(nil, pduReleaseRQ, make([]byte, 4))); err != nil {
			return hearError(err)
		}
		return w.hearEnd()
	})
}

// unreadAnswers asks again and again without reading, until the server's
// buffers are full, and hears how the server ends it.
func unreadAnswers(ctx context.Context, m *Modality) (string, error) {
	w, heard, err := m.associateRaw(ctx)
	if w == nil {
		return heard, err
	}
	defer w.close()
	if c, ok := w.conn.(*net.TCPConn); ok {
		_ = c.SetReadBuffer(4096) // little room for the answers
	}
	for id := uint16(1); ; id++ {
		if err := w.send(findEverything(id)); err != nil {
			return hearError(err), nil
		}
	}
}

func emptyFragments(ctx context.Context, m *Modality) (string, error) {
	w, heard, err := m.associateRaw(ctx)
	if w == nil {
		return heard, err
	}
	defer w.close()
	ended := make(chan string, 1)
	go func() { ended <- w.hear() }()
	burst := bytes.Repeat(pdv(3, 1, nil), 1000)
	for {
		if w.send(burst) != nil {
			return <-ended, nil
		}
		select {
		case h := <-ended:
			return h, nil
		default:
		}
	}
}

// deepReport is an N-CREATE whose data set is 100,000 open sequences inside
// each other, in fragments of 16 KiB.
func deepReport() []byte {
	nested := bytes.Repeat([]byte{
		0x40, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, // a sequence of undefined length
		0xfe, 0xff, 0, 0xe0, 0xff, 0xff, 0xff, 0xff, // with an item of undefined length
	}, 100_000)
	b := pdv(5, 3, createRQ(1, "2.25.2"))
	const step = 16 << 10
	for len(nested) > step {
		b = append(b, pdv(5, 0, nested[:step])...)
		nested = nested[step:]
	}
	return append(b, pdv(5, 2, nested)...)
}

// hearEnd reads until the connection ends, and says with what.
func (w *wire) hearEnd() string {
	for {
		kind, body, err := w.read()
		if err != nil {
			return hearError(err)
		}
		if kind == pduReleaseRP || kind == pduAbort {
			return pduWords(kind, body)
		}
	}
}

// hearMessage reads the next PDU; of a response it says the status.
func (w *wire) hearMessage() string {
	kind, body, err := w.read()
	if err != nil {
		return hearError(err)
	}
	if kind == pduData {
		if status, ok := statusOf(body); ok {
			return fmt.Sprintf("status %04X", status)
		}
	}
	return pduWords(kind, body)
}

// statusOf finds the status (0000,0900) in the first fragment of a P-DATA-TF.
func statusOf(body []byte) (uint16, bool) {
	if len(body) < 6 {
		return 0, false
	}
	_, after, ok := bytes.Cut(body[6:], []byte{0, 0, 0, 9, 2, 0, 0, 0})
	if !ok || len(after) < 2 {
		return 0, false
	}
	return binary.LittleEndian.Uint16(after), true
}
