package hl7sim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"
)

// Answer is what came back for a message of the RIS.
type Answer struct {
	ControlID string // MSH-10 of the message
	Code      hl7.AckCode
	Text      string // MSA-3, else ERR-8
	Raw       []byte
	More      [][]byte // further answers, to what a fault sent besides
}

// Accepted reports whether the answer is AA or CA.
func (a Answer) Accepted() bool { return a.Code == hl7.AA || a.Code == hl7.CA }

// Send sends the bytes of one message, as they are but for the faults in force, and
// returns the answer. It is tried Config.Tries times, with the same bytes. The
// error is ErrNowhere, ErrNoAnswer, or ErrRefused when the answer says so; the
// answer is valid with the latter.
func (r *RIS) Send(ctx context.Context, message []byte) (Answer, error) {
	h := hl7.PeekHeader(message)
	s := Sent{ControlID: h.ControlID, Type: h.Type}
	if m, err := hl7.Parse(message, hl7.Options{}); err == nil {
		if in := readOrders(m); len(in) > 0 {
			s.Control, s.AccessionNumber = in[0].control, in[0].accession
		}
	}
	r.mu.Lock()
	to := r.sendTo
	r.mu.Unlock()
	if to == "" {
		return Answer{ControlID: h.ControlID}, ErrNowhere
	}
	var a Answer
	var err error
	var fault FaultKind
	for s.Tries = 1; ; s.Tries++ {
		f := r.faults.take(func(f Fault) bool {
			side, _ := sideOf(f.Kind)
			return side == Sending && (f.Control == "" || f.Control == s.Control)
		})
		fault = f.Kind
		a, err = r.sendOnce(ctx, to, message, f)
		if err == nil || s.Tries >= r.config.Tries || a.Code == hl7.AR || a.Code == hl7.CR {
			break
		}
		if !wait(ctx, r.config.RetryAfter) {
			break
		}
	}
	a.ControlID, s.Code, s.Text = h.ControlID, string(a.Code), a.Text
	r.mu.Lock()
	r.held.addSent(&r.config, s)
	r.mu.Unlock()
	r.progress(Event{
		Kind: Answered, Type: s.Type, Control: s.Control, ControlID: s.ControlID, AccessionNumber: s.AccessionNumber, Code: s.Code, Text: s.Text,
		Fault: fault, Err: err,
	})
	return a, err
}

// sendOnce tries once.
func (r *RIS) sendOnce(ctx context.Context, to string, message []byte, f Fault) (Answer, error) {
	if f.Kind != "" {
		raws, err := r.sendBadly(ctx, to, message, f)
		return answerOf(raws, err)
	}
	id := hl7.PeekHeader(message).ControlID
	raw, err := r.outgoing(to).Send(ctx, message, func(answer []byte) (ours, final bool) {
		a, err := hl7.ParseAck(answer, hl7.Options{})
		return err == nil && a.ControlID == id, true
	})
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	return answerOf([][]byte{raw}, nil)
}

// answerOf reads the first of the answers.
func answerOf(raws [][]byte, err error) (Answer, error) {
	if len(raws) == 0 {
		if err == nil {
			err = errors.New("the peer closed the connection")
		}
		return Answer{}, fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	out := Answer{Raw: raws[0], More: raws[1:]}
	a, err := hl7.ParseAck(raws[0], hl7.Options{})
	if err != nil {
		return out, fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	out.Code, out.Text = a.Code, a.Text
	if out.Text == "" && len(a.Errors) > 0 {
		out.Text = a.Errors[0].Text
	}
	if !out.Accepted() {
		return out, ErrRefused
	}
	return out, nil
}

// outgoing returns the client that sends to an address.
func (r *RIS) outgoing(to string) *mllp.Client {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.client == nil {
		r.client = mllp.NewClient(mllp.ClientConfig{
			Address: to, TLS: r.config.TLS, Persistent: true, ConnectTimeout: r.config.Timeout, AnswerTimeout: r.config.Timeout,
		})
	}
	return r.client
}

// dial opens a connection of its own, with Config.Timeout as its deadline.
func (r *RIS) dial(ctx context.Context, to string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, r.config.Timeout)
	defer cancel()
	var c net.Conn
	var err error
	if r.config.TLS != nil {
		c, err = (&tls.Dialer{Config: r.config.TLS}).DialContext(ctx, "tcp", to)
	} else {
		c, err = (&net.Dialer{}).DialContext(ctx, "tcp", to)
	}
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(r.config.Timeout))
	return c, nil
}

// sendAnswer sends an application acknowledgement over a connection of its own.
// Nobody answers it; the end of the connection says that it was read.
func (r *RIS) sendAnswer(ctx context.Context, answer []byte, x *exchange) {
	r.mu.Lock()
	to := r.sendTo
	r.mu.Unlock()
	e := Event{Kind: Answered, Type: "ACK", Control: x.control, ControlID: hl7.PeekHeader(answer).ControlID, AccessionNumber: x.accession, Fault: x.fault.Kind}
	if to == "" {
		e.Err = ErrNowhere
		r.progress(e)
		return
	}
	c, err := r.dial(ctx, to)
	if err == nil {
		defer c.Close()
		if err = mllp.Write(c, answer); err == nil {
			readAll(c, closeWrite(c))
		}
	}
	e.Err = err
	r.progress(e)
}

// closeWrite says that nothing more comes.
func closeWrite(c net.Conn) bool {
	w, ok := c.(interface{ CloseWrite() error })
	return ok && w.CloseWrite() == nil
}

// readAll reads messages until the peer closes; with ok false it does not wait.
func readAll(c net.Conn, ok bool) (out [][]byte) {
	reader := mllp.NewReader(onlyRead{c}, mllp.ReaderConfig{})
	for ok && len(out) < maxGroups {
		f, err := reader.Next()
		var bad *mllp.FrameError
		switch {
		case err == nil:
			out = append(out, f.Payload)
		case !errors.As(err, &bad) || bad.Fatal:
			return out
		}
	}
	return out
}

// onlyRead keeps a reader from changing the deadline.
type onlyRead struct{ c net.Conn }

func (o onlyRead) Read(b []byte) (int, error) { return o.c.Read(b) }
