package hl7sim

import (
	"bytes"
	"context"
	"net"
	"sync"

	"github.com/rayhound/rayhound/drivers/hl7/mllp"
)

// sendBadly sends a message with a fault over a connection of its own, and returns
// the answers. Unless the fault is another, it says that it has ended (a half-closed
// connection) and reads until the peer closes.
func (r *RIS) sendBadly(ctx context.Context, to string, message []byte, f Fault) ([][]byte, error) {
	if f.Kind == Flood {
		return r.flood(ctx, to, message, f)
	}
	c, err := r.dial(ctx, to)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if f.Kind == HugeMessage {
		return writeHuge(c, message, f)
	}
	if err := r.writeBadly(ctx, c, message, f); err != nil {
		return nil, err
	}
	return readAll(c, closeWrite(c)), nil
}

func (r *RIS) writeBadly(ctx context.Context, c net.Conn, message []byte, f Fault) error {
	if f.Kind == Slow {
		for _, b := range framed(message) {
			if _, err := c.Write([]byte{b}); err != nil {
				return err
			}
			if f.Delay > 0 && !wait(ctx, f.Delay) {
				return ctx.Err()
			}
		}
		return nil
	}
	frame := framed(message)
	if spoil := spoils[f.Kind]; spoil != nil {
		frame = spoil(r, message, frame, f)
	}
	_, err := c.Write(frame)
	if err == nil && f.Kind == SendTwice {
		_, err = c.Write(frame)
	}
	return err
}

// spoils are the faults of what goes over the wire: of a message and its frame.
var spoils = map[FaultKind]func(r *RIS, message, frame []byte, f Fault) []byte{
	ByteOrderMark: func(_ *RIS, _, frame []byte, _ Fault) []byte { return append([]byte("\xef\xbb\xbf"), frame...) },
	TwoInOne: func(r *RIS, message, frame []byte, _ Fault) []byte {
		return append(frame, framed(r.renumbered(message))...)
	},
	NoCR: func(_ *RIS, _, frame []byte, _ Fault) []byte { return frame[:len(frame)-1] },
	NoEnd: func(r *RIS, message, frame []byte, _ Fault) []byte {
		return append(frame[:len(frame)-2], framed(r.renumbered(message))...)
	},
	NoStart: func(_ *RIS, _, frame []byte, _ Fault) []byte { return frame[1:] },
	DoubleStart: func(_ *RIS, _, frame []byte, _ Fault) []byte {
		return append(append([]byte(startBlock), frame...), endFrame...)
	},
	NULs: func(_ *RIS, message, _ []byte, _ Fault) []byte {
		return []byte("\x00\x00" + startBlock + "\x00" + string(message) + endFrame + "\x00")
	},
	HalfMessage: func(_ *RIS, _, frame []byte, _ Fault) []byte { return frame[:len(frame)/2] },
	LargeDocument: func(_ *RIS, message, _ []byte, f Fault) []byte {
		size := f.Size
		if size == 0 {
			size = 20 << 20
		}
		b := append(bytes.Clone(message), "OBX|99|ED|PDF^Large||^AP^PDF^Base64^"...)
		b = append(b, bytes.Repeat([]byte("JVBERi0x"), size/8)...)
		return framed(append(b, "||||||F\r"...))
	},
	WrongCharset: func(_ *RIS, message, _ []byte, _ Fault) []byte {
		return framed(latin1(withField(message, 18, "UNICODE UTF-8")))
	},
	Garbage: func(_ *RIS, _, frame []byte, _ Fault) []byte {
		return append([]byte("GET / HTTP/1.1\r\n\r\n"), frame...)
	},
	WrongVersion: func(_ *RIS, message, _ []byte, _ Fault) []byte { return framed(withField(message, 12, "9.9")) },
	WrongType:    func(_ *RIS, message, _ []byte, _ Fault) []byte { return framed(withField(message, 9, "QRY^A19")) },
}

// renumbered is the message with a new MSH-10.
func (r *RIS) renumbered(message []byte) []byte { return withField(message, 10, r.newControlID()) }

// withField replaces a field of MSH, which must have a usual field separator.
func withField(message []byte, n int, value string) []byte {
	header, rest, _ := bytes.Cut(message, []byte("\r"))
	fields := bytes.Split(header, []byte("|"))
	for len(fields) < n {
		fields = append(fields, nil)
	}
	fields[n-1] = []byte(value)
	return append(append(bytes.Join(fields, []byte("|")), '\r'), rest...)
}

// latin1 writes UTF-8 text in 8859/1; what that lacks becomes ÿ.
func latin1(message []byte) []byte {
	out := make([]byte, 0, len(message))
	for _, c := range string(message) {
		out = append(out, byte(min(c, 0xFF)))
	}
	return out
}

// writeHuge writes a frame piece by piece, so that it costs nothing here either,
// and reads what the peer says while it does.
func writeHuge(c net.Conn, message []byte, f Fault) ([][]byte, error) {
	size := f.Size
	if size == 0 {
		size = 100 << 20
	}
	answers := make(chan [][]byte, 1)
	go func() { answers <- readAll(c, true) }()
	_, err := c.Write(append([]byte(startBlock), append(bytes.Clone(message), "OBX|99|ED|||"...)...))
	piece := bytes.Repeat([]byte("A"), 64<<10)
	for n := 0; err == nil && n < size; n += len(piece) {
		_, err = c.Write(piece)
	}
	if err == nil {
		_, err = c.Write([]byte("\r" + endFrame))
	}
	closeWrite(c)
	got := <-answers
	if len(got) > 0 {
		err = nil // refused before the end
	}
	return got, err
}

// flood opens connections at once and sends the message on each with a control id
// of its own; the first has that of the message. A connection that the peer does
// not take has no answer.
func (r *RIS) flood(ctx context.Context, to string, message []byte, f Fault) ([][]byte, error) {
	n := f.Size
	if n == 0 {
		n = 64
	}
	var wg sync.WaitGroup
	answers := make([][]byte, min(n, 10_000))
	errs := make([]error, len(answers))
	for i := range answers {
		wg.Go(func() {
			c, err := r.dial(ctx, to)
			if err != nil {
				errs[i] = err
				return
			}
			defer c.Close()
			m := message
			if i > 0 {
				m = r.renumbered(message)
			}
			if errs[i] = mllp.Write(c, m); errs[i] == nil {
				if got := readAll(c, closeWrite(c)); len(got) > 0 {
					answers[i] = got[0]
				}
			}
		})
	}
	wg.Wait()
	var out [][]byte
	for _, a := range answers {
		if a != nil {
			out = append(out, a)
		}
	}
	if len(out) == 0 {
		return nil, errs[0]
	}
	return out, nil
}

// Status builds the message that tells a status without sending it: "SC", "IP",
// "CM", "CA" or "DC" in ORC-5. It is for tests that send the bytes themselves.
func (r *RIS) Status(accession, orc5 string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.held.orders[accession]
	if o == nil {
		return nil, ErrUnknownOrder
	}
	s := statement{news: news{control: "SC", orc5: orc5}, order: o.copied(), id: r.controlID(), kind: r.config.Message, receiver: r.receiver}
	return s.build(&r.config)
}

// Unsolicited builds a report about an order that the RIS need not hold: an
// accession number nobody knows. Sending it is for [RIS.Send].
func (r *RIS) Unsolicited(o Order, text string, pdf []byte) ([]byte, error) {
	r.mu.Lock()
	s := statement{
		news:  news{control: "RE", orc5: "CM", obr25: "F", obx11: "F", text: text, pdf: pdf, report: true},
		order: o.copied(), id: r.controlID(), kind: ORU, receiver: r.receiver,
	}
	r.mu.Unlock()
	if len(s.order.Steps) == 0 {
		s.order.Steps = []Step{{}}
	}
	s.order.PlacerOrderNumber = first(s.order.PlacerOrderNumber, o.AccessionNumber)
	return s.build(&r.config)
}
