package hl7sim

import (
	"bytes"
	"context"
	"time"

	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"
)

// defaultGap is that of a RIS that takes a message every three seconds.
const defaultGap = 3 * time.Second

// Characters of a frame.
const (
	startBlock = "\x0b"
	endBlock   = "\x1c"
	endFrame   = "\x1c\r"
)

// misbehave answers as the fault wants. done is false when the answer it has
// prepared is to be written as always; else keep says whether the connection goes on.
func (x *exchange) misbehave(ctx context.Context) (keep, done bool) {
	if x.reply.code != hl7.AA && !notApplied[x.fault.Kind] {
		return true, false // a message that is refused anyway is refused properly
	}
	if change := contents[x.fault.Kind]; change != nil {
		change(x)
		return true, false
	}
	if write := wires[x.fault.Kind]; write != nil {
		return write(ctx, x), true
	}
	return true, false
}

// contents are the faults of what an answer says.
var contents = map[FaultKind]func(*exchange){
	WrongID: func(x *exchange) { x.reply.id = "0" + x.m.ControlID() },
	EmptyID: func(x *exchange) { x.reply.noID = true },
	CutID: func(x *exchange) {
		id := x.m.ControlID()
		x.reply.id, x.reply.noID = id[:len(id)/2], len(id) < 2
	},
	GapReject:   func(x *exchange) { x.fail(hl7.AR, hl7.CodeInternalError, "", "The message came too soon.") },
	Internal207: func(x *exchange) { x.fail(hl7.AR, hl7.CodeInternalError, "", "An internal error.") },
	Error101: func(x *exchange) {
		x.fail(hl7.AE, hl7.CodeRequiredFieldMissing, "ORC-1", "A required field is missing.")
	},
	ErrorPlain:  func(x *exchange) { x.reply = reply{code: hl7.AE} },
	RejectPlain: func(x *exchange) { x.reply = reply{code: hl7.AR} },
	AcceptWithError: func(x *exchange) {
		x.reply.errors = []hl7.AckError{{Code: hl7.CodeTableValueNotFound, Where: "PID-8", Text: "The sex is not known here."}}
	},
	AsOrder:    func(x *exchange) { x.reply.as = "ORR^O02" },
	AsMCF:      func(x *exchange) { x.reply.as, x.reply.orders = "MCF", nil },
	OldVersion: func(x *exchange) { x.reply.version = "2.3" },
	Unable: func(x *exchange) {
		x.reply.as, x.reply.text = "ORR^O02", "The order is not taken."
		x.reply.orders = []orderReply{{unables[x.control], x.orders[0].placer, ""}}
	},
}

func (x *exchange) fail(code hl7.AckCode, e, where, text string) {
	x.reply = reply{code: code, text: text, errors: []hl7.AckError{{Code: e, Where: where, Text: text}}}
}

// wires are the faults of how an answer goes out, or does not. They report whether
// the connection goes on.
var wires = map[FaultKind]func(context.Context, *exchange) bool{
	LateAck: func(ctx context.Context, x *exchange) bool {
		b := x.build(x.reply)
		if x.fault.Release != nil {
			select {
			case <-x.fault.Release:
			case <-ctx.Done():
				return false
			}
		} else if !wait(ctx, x.fault.Delay) {
			return false
		}
		return x.write(framed(b))
	},
	NeverAck:       func(_ context.Context, x *exchange) bool { x.answered(""); return true },
	Gap:            func(_ context.Context, x *exchange) bool { x.note(); return true },
	CloseAfterRead: func(_ context.Context, x *exchange) bool { x.note(); return false },
	LoseAnswer:     func(_ context.Context, x *exchange) bool { x.note(); return false },
	HalfFrame: func(_ context.Context, x *exchange) bool {
		b := framed(x.build(x.reply))
		x.write(b[:len(b)/2])
		return false
	},
	DoubleFrame: func(_ context.Context, x *exchange) bool {
		return x.write([]byte(startBlock + startBlock + string(x.build(x.reply)) + endFrame + endFrame))
	},
	DoubleAck: func(_ context.Context, x *exchange) bool {
		b := framed(x.build(x.reply))
		return x.write(append(bytes.Clone(b), b...))
	},
	OldAckFirst: func(_ context.Context, x *exchange) bool {
		other := x.reply
		other.id, other.code = "0"+x.m.ControlID(), hl7.AR
		return x.write(append(framed(x.build(other)), framed(x.build(x.reply))...))
	},
	CommitElsewhere: func(ctx context.Context, x *exchange) bool {
		p := x.reply
		p.code = hl7.CA
		later := x.build(x.reply)
		keep := x.writeAs(p.code, framed(x.build(p)))
		x.r.auto.begin(func(ctx context.Context) { x.r.sendAnswer(ctx, later, x) })
		return keep
	},
	CommitSame: func(_ context.Context, x *exchange) bool {
		p := x.reply
		p.code = hl7.CA
		return x.writeAs(p.code, append(framed(x.build(p)), framed(x.build(x.reply))...))
	},
	LFAck: func(_ context.Context, x *exchange) bool {
		return x.write(framed(bytes.ReplaceAll(x.build(x.reply), []byte("\r"), []byte("\n"))))
	},
	SplitAck: func(_ context.Context, x *exchange) bool {
		x.answered(string(x.reply.code))
		for _, c := range framed(x.build(x.reply)) {
			if _, err := x.conn.Write([]byte{c}); err != nil {
				return false
			}
		}
		return true
	},
	NoEndAck: func(_ context.Context, x *exchange) bool {
		return x.write([]byte(startBlock + string(x.build(x.reply)) + endBlock))
	},
	GarbageAck: func(_ context.Context, x *exchange) bool { return x.write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) },
	HugeAck: func(_ context.Context, x *exchange) bool {
		size := x.fault.Size
		if size == 0 {
			size = 2 << 20
		}
		b := append(x.build(x.reply), "NTE|1||"...)
		return x.write(framed(append(b, bytes.Repeat([]byte("x"), size)...)))
	},
	CloseAfterAck: func(_ context.Context, x *exchange) bool { x.write(framed(x.build(x.reply))); return false },
}

// note records that no answer went out, without counting as one.
func (x *exchange) note() {
	x.r.mu.Lock()
	x.logged.answered("")
	x.r.mu.Unlock()
	x.tell()
}

func (x *exchange) write(b []byte) bool { return x.writeAs(x.reply.code, b) }

func (x *exchange) writeAs(code hl7.AckCode, b []byte) bool {
	x.answered(string(code))
	_, err := x.conn.Write(b)
	return err == nil
}

// framed puts a message into its frame. Messages of the builder hold no frame
// characters.
func framed(payload []byte) []byte {
	b, err := mllp.AppendFrame(nil, payload)
	if err != nil {
		return nil
	}
	return b
}
