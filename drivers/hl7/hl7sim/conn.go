package hl7sim

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"
)

// accept takes connections until ln fails.
func (r *RIS) accept(ctx context.Context, ln net.Listener, wg *sync.WaitGroup) error {
	for {
		c, err := ln.Accept()
		if err != nil {
			var temporary interface{ Timeout() bool }
			if errors.As(err, &temporary) && temporary.Timeout() {
				continue
			}
			return err
		}
		if !r.register(ctx, c) {
			_ = c.Close()
			continue
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer r.unregister(c)
			r.serve(ctx, c)
		}()
	}
}

func (r *RIS) register(ctx context.Context, c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.plugged || ctx.Err() != nil || len(r.conns) >= r.config.MaxConnections {
		return false
	}
	r.conns[c] = struct{}{}
	return true
}

func (r *RIS) unregister(c net.Conn) {
	_ = c.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
}

// Connections returns how many connections there are.
func (r *RIS) Connections() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns)
}

// serve answers the messages of one connection.
func (r *RIS) serve(ctx context.Context, c net.Conn) {
	if f := r.faults.take(func(f Fault) bool { return f.Kind == RefuseConnection || f.Kind == SlowConnection }); f.Kind != "" {
		r.progress(Event{Kind: Received, Fault: f.Kind})
		if f.Kind == SlowConnection {
			<-ctx.Done()
		} else if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // best effort: a plain close is a refusal too
		}
		return
	}
	reader := mllp.NewReader(c, mllp.ReaderConfig{MaxFrame: r.config.MaxFrame})
	for {
		frame, err := reader.Next()
		var bad *mllp.FrameError
		switch {
		case err == nil:
			if !r.answer(ctx, c, frame.Payload) {
				return
			}
		case errors.As(err, &bad) && !bad.Fatal:
			r.unreadable(c, bad.Bytes, bad.Reason.Error())
		default:
			return
		}
	}
}

// unreadable answers what is no message.
func (r *RIS) unreadable(c net.Conn, raw []byte, why string) {
	r.mu.Lock()
	r.held.unreadable++
	id := r.controlID()
	r.mu.Unlock()
	b, _, err := hl7.NewAckTo(hl7.PeekHeader(raw), hl7.Ack{
		Code: hl7.AR, MessageControlID: id, At: r.config.Now(),
		Errors: []hl7.AckError{{Code: hl7.CodeInternalError, Text: "The message cannot be read: " + why + "."}},
	}).Bytes()
	if err == nil {
		_ = mllp.Write(c, b) // the peer sees the end of the connection otherwise
	}
	r.progress(Event{Kind: Received, Code: string(hl7.AR), Text: why})
}

// answer applies one message and answers it; false when the connection ends.
func (r *RIS) answer(ctx context.Context, c net.Conn, raw []byte) bool {
	m, err := hl7.Parse(raw, hl7.Options{Default: r.config.Charset})
	if err != nil {
		r.unreadable(c, raw, "it is no HL7 message")
		return true
	}
	x := &exchange{r: r, conn: c, m: m, raw: raw}
	x.fault = r.faults.take(x.meets)
	x.process()
	if accept, _ := m.AcceptAck(); x.fault.Kind == "" && strings.EqualFold(accept, "AL") && x.reply.code == hl7.AA && !x.isAnswer() {
		return x.enhanced()
	}
	if x.fault.Kind != "" {
		if keep, done := x.misbehave(ctx); done {
			x.tell()
			r.afterwards(x) // what was applied is worked on, whatever became of the answer
			return keep
		}
	}
	ok := true
	if b := x.bytes(); b != nil {
		x.answered(string(x.reply.code))
		ok = mllp.Write(c, b) == nil
	}
	x.tell()
	r.afterwards(x)
	return ok
}

// enhanced answers as MSH-15 asks, with CA, and later as MSH-16 asks.
func (x *exchange) enhanced() bool {
	commit, application := x.reply, x.build(x.reply)
	commit.code = hl7.CA
	keep := x.writeAs(commit.code, framed(x.build(commit)))
	if _, later := x.m.AcceptAck(); strings.EqualFold(later, "AL") || strings.EqualFold(later, "SU") {
		x.r.auto.begin(func(ctx context.Context) { x.r.sendAnswer(ctx, application, x) })
	}
	x.r.afterwards(x)
	return keep
}

// answered notes that an answer went out, or none ("").
func (x *exchange) answered(code string) {
	x.r.mu.Lock()
	x.r.lastAnswer = x.r.config.Now()
	x.logged.answered(code)
	x.code = code
	x.r.mu.Unlock()
	x.tell()
}

// tell tells of the exchange once: before the answer goes out, so that what follows
// from the answer is told after it.
func (x *exchange) tell() {
	if x.told {
		return
	}
	x.told = true
	x.r.progress(Event{
		Kind: Received, Type: x.m.Type(), Control: x.control, ControlID: x.m.ControlID(), AccessionNumber: x.accession,
		Code: x.code, Text: x.reply.text, Duplicate: x.again, Fault: x.fault.Kind,
	})
}

// EventKind is what happened.
type EventKind string

// The kinds of events.
const (
	Received EventKind = "received" // and answered with Code
	Answered EventKind = "sent"     // a message of the RIS, to which the answer was Code
)

// Event is one message, for a log. It holds no name.
type Event struct {
	At              time.Time
	Kind            EventKind
	Type            string // MSH-9
	Control         string // ORC-1
	ControlID       string // MSH-10
	AccessionNumber string
	Code            string // MSA-1 of the answer, "" for none
	Text            string // why it is not accepted
	Duplicate       bool   // it came before
	Fault           FaultKind
	Err             error
}

func (r *RIS) progress(e Event) {
	if r.config.Progress != nil {
		e.At = r.config.Now()
		r.config.Progress(e)
	}
}

// wait waits for d; false when ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
