package dimse

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dicomtest"
	"github.com/rayhound/rayhound/drivers/dicom/ul"
	"github.com/rayhound/rayhound/drivers/dicom/ul/pdu"
)

// associated returns a peer with the worklist under context 1, MPPS under 3 and
// Verification under 5.
func associated(tb testing.TB, addr string) *dicomtest.ScriptedPeer {
	tb.Helper()
	p := connect(tb, addr)
	p.Associate(dicomtest.Request(mwlClass, mppsClass, VerificationSOPClassUID))
	return p
}

// mirror answers every find with its own identifier.
var mirror = finderFunc(func(_ context.Context, r *Request, answers *Answers) error {
	return answers.Send(r.Data, Pending)
})

func TestD24Fragments(t *testing.T) {
	_, addr := startServer(t, ServerConfig{Services: map[string]any{mwlClass: mirror}})
	find := CFindRQ{MessageID: 9, AffectedSOPClassUID: mwlClass}.Command()
	set, data := find.AppendTo(nil), []byte("identifier")
	var single []byte
	for i, b := range set {
		single = (&pdu.PDataTF{Values: []pdu.PDV{{ContextID: 1, Command: true, Last: i == len(set)-1, Data: []byte{b}}}}).AppendTo(single)
	}
	for _, b := range data {
		single = (&pdu.PDataTF{Values: []pdu.PDV{{ContextID: 1, Data: []byte{b}}}}).AppendTo(single)
	}
	last := &pdu.PDataTF{Values: []pdu.PDV{{ContextID: 1, Last: true}}}
	tests := map[string][]byte{
		"one PDU":                         dicomtest.Message(1, set, data).AppendTo(nil),
		"two PDUs":                        pdu.AppendFragments(pdu.AppendFragments(nil, 1, true, set, 1000), 1, false, data, 1000),
		"1-byte fragments and empty last": last.AppendTo(single),
	}
	for name, b := range tests {
		t.Run(name, func(t *testing.T) {
			p := associated(t, addr)
			p.SendBytes(b)
			p.ExpectPart()
			if _, command, got := p.ExpectPart(); command || !bytes.Equal(got, data) {
				t.Errorf("%q", got)
			}
			expectStatus(t, p, Success)
			p.Release()
		})
	}
}

func TestD25D26D27WrongFragments(t *testing.T) {
	find := CFindRQ{MessageID: 9, AffectedSOPClassUID: mwlClass}.Command()
	set := find.AppendTo(nil)
	rsp := find.response(Success)
	part := func(id byte, command, last bool, data []byte) pdu.PDV {
		return pdu.PDV{ContextID: id, Command: command, Last: last, Data: data}
	}
	values := func(v ...pdu.PDV) []byte { return (&pdu.PDataTF{Values: v}).AppendTo(nil) }
	empties := make([]pdu.PDV, 65)
	for i := range empties {
		empties[i] = part(1, true, false, nil)
	}
	tests := []struct {
		name   string
		bytes  []byte
		reason byte
	}{
		{"D25 unknown context", values(part(99, true, true, set)), 6},
		{"D25 refused context", values(part(7, true, true, set)), 6},
		{"D25 data first", values(part(1, false, true, set)), 6},
		{"D25 command before data", values(part(1, true, true, set), part(1, true, true, set)), 6},
		{"D25 two contexts", values(part(1, true, true, set), part(3, false, true, nil)), 6},
		{"D25 length 1", []byte{4, 0, 0, 0, 0, 6, 0, 0, 0, 1, 1, 3}, 6},
		{"D25 length FFFFFFFF", []byte{4, 0, 0, 0, 0, 6, 0xFF, 0xFF, 0xFF, 0xFF, 1, 3}, 6},
		{"D25 no value", []byte{4, 0, 0, 0, 0, 0}, 6},
		{"empty fragments", values(empties...), 6},
		{"D26 unknown PDU", []byte{9, 0, 0, 0, 0, 0}, 1},
		{"second request", dicomtest.Request(mwlClass).AppendTo(nil), 2},
		{"release response", pdu.ReleaseRP{}.AppendTo(nil), 2},
		{"long release", []byte{5, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0}, 6},
		{"P-DATA over 128 KiB", []byte{4, 0, 0, 2, 0, 1}, 6},
		{"D27 response", values(part(1, true, true, rsp.AppendTo(nil))), 6},
		{"D32 command set", values(part(1, true, false, make([]byte, 16<<10)), part(1, true, false, []byte{0})), 6},
		{"broken command set", values(part(1, true, true, set[:len(set)-1])), 6},
		{"no command field", values(part(1, true, true, nil)), 6},
	}
	_, addr := startServer(t, ServerConfig{Services: map[string]any{mwlClass: mirror}})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := connect(t, addr)
			p.Associate(dicomtest.Request(mwlClass, VerificationSOPClassUID, VerificationSOPClassUID, "1.2.3"))
			p.SendBytes(tt.bytes)
			p.ExpectAbort(2, tt.reason)
			_ = p.Conn.Close()
		})
	}
}

func TestOversizedPDataIsAcceptedAndCounted(t *testing.T) {
	ended := make(chan AssociationSummary, 1)
	_, addr := startServer(t, ServerConfig{
		Services: map[string]any{mwlClass: mirror}, OnEnd: func(_ Peer, s AssociationSummary) { ended <- s },
	})
	p := associated(t, addr)
	find := CFindRQ{MessageID: 1, AffectedSOPClassUID: mwlClass}.Command()
	p.Send(dicomtest.Message(1, find.AppendTo(nil), make([]byte, 130000)))
	p.ExpectPart()
	if _, _, data := p.ExpectPart(); len(data) != 130000 {
		t.Error(len(data))
	}
	expectStatus(t, p, Success)
	p.Release()
	if s := <-ended; s.Oversized != 1 || s.Err != nil || s.Operations != 1 {
		t.Error(s)
	}
}

func TestD27D28D29Responses(t *testing.T) {
	answer := func(_ context.Context, r *Request) (Response, error) {
		switch string(r.Data) {
		case "unknown error.":
			return Response{}, errors.New("Bella 4711")
		case "no such":
			return Response{}, Status{Code: NoSuchSOPInstance}
		case "data":
			return Response{Data: []byte("back")}, nil
		}
		return Response{SOPInstanceUID: "2.25.9"}, nil
	}
	_, addr := startServer(t, ServerConfig{Services: map[string]any{
		mwlClass: mirror, mppsClass: steps{answer, answer}, "1.2.3.4": mirror,
	}})
	echo := CEchoRQ{MessageID: 1, AffectedSOPClassUID: VerificationSOPClassUID}.Command()
	create := NCreateRQ{MessageID: 2, AffectedSOPClassUID: mppsClass, HasAttributes: true}.Command()
	set := NSetRQ{MessageID: 3, RequestedSOPClassUID: mppsClass, RequestedSOPInstanceUID: "2.25.8"}.Command()
	find := CFindRQ{MessageID: 4, AffectedSOPClassUID: mwlClass}.Command()
	edit := func(c Command, f func(*Command)) Command { f(&c); return c }
	tests := []struct {
		name     string
		context  byte
		command  Command
		data     string
		status   uint16
		instance string
	}{
		{"D28 C-ECHO on the worklist's context", 1, echo, "", Success, ""},
		{"C-ECHO", 5, echo, "", Success, ""},
		{"D27 0999", 1, edit(find, func(c *Command) { c.Field = 0x0999 }), "x", UnrecognizedOperation, ""},
		{"C-STORE", 1, edit(find, func(c *Command) { c.Field = cStoreRQ }), "x", UnrecognizedOperation, ""},
		{"N-GET without data", 3, edit(set, func(c *Command) { c.Field, c.DataSetType = 0x0110, noDataSet }), "", UnrecognizedOperation, "2.25.8"},
		{"find on MPPS", 3, edit(find, func(c *Command) { c.AffectedSOPClassUID = mppsClass }), "x", UnrecognizedOperation, ""},
		{"create", 3, create, "", Success, "2.25.9"},
		{"create with answer", 3, create, "data", Success, ""},
		{"set", 3, set, "x", Success, "2.25.9"},
		{"set, refused", 3, set, "no such", NoSuchSOPInstance, "2.25.8"},
		{"set, failed", 3, set, "unknown error.", ProcessingFailure, "2.25.8"},
		{"find on another context", 3, find, "x", SOPClassNotSupported, ""},
		{"create on another context", 1, create, "x", SOPClassNotSupported, ""},
		{"create of an unknown class", 3, edit(create, func(c *Command) { c.AffectedSOPClassUID = "1.2.840" }), "x", NoSuchSOPClass, ""},
		{"set without instance", 3, edit(set, func(c *Command) { c.RequestedSOPInstanceUID = "" }), "x", MistypedArgument, ""},
		{"set without data", 3, edit(set, func(c *Command) { c.DataSetType = noDataSet }), "", MistypedArgument, "2.25.8"},
		{"find without class", 1, edit(find, func(c *Command) { c.AffectedSOPClassUID = "" }), "x", MistypedArgument, ""},
	}
	p := associated(t, addr)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var data []byte
			if tt.command.HasDataSet() {
				data = []byte(tt.data)
			}
			p.Send(dicomtest.Message(tt.context, tt.command.AppendTo(nil), data))
			id, command, raw := p.ExpectPart()
			var c Command
			if err := c.Decode(raw); err != nil || !command || id != tt.context {
				t.Fatal(id, command, err)
			}
			if n := binary.LittleEndian.Uint32(raw[8:]); int(n) != len(raw)-12 {
				t.Errorf("group length %d of %d bytes", n, len(raw))
			}
			if c.Status != tt.status || c.Field != tt.command.Field|0x8000 || c.RespondedTo != tt.command.MessageID ||
				c.AffectedSOPClassUID != tt.command.SOPClassUID() || tt.instance != "" && c.AffectedSOPInstanceUID != tt.instance {
				t.Errorf("%+v", c)
			}
			if bytes.Contains(raw, []byte("Bella")) {
				t.Error("the error's text went out")
			}
			if c.HasDataSet() != (tt.data == "data") {
				t.Error(c.DataSetType)
			}
			if c.HasDataSet() {
				p.ExpectPart()
			} else if c.DataSetType != 0x0101 {
				t.Errorf("%04X", c.DataSetType)
			}
		})
	}
	p.Release()
}

func TestD30TolerantCommandSet(t *testing.T) {
	_, addr := startServer(t, ServerConfig{})
	echo := CEchoRQ{MessageID: 1, AffectedSOPClassUID: VerificationSOPClassUID}.Command()
	set := echo.AppendTo(nil)
	set[8] = 0x99                                                  // group length
	set = append(set, 0, 0, 1, 0, 4, 0, 0, 0, 1, 2, 3, 4)          // (0000,0001), retired
	set = append(set, 0, 0, 0x10, 0x50, 3, 0, 0, 0, 'o', 'd', 'd') // unknown, odd
	set = append(set, 0, 0, 0x10, 0x01, 2, 0, 0, 0, 9, 9)          // message id again
	p := connect(t, addr)
	p.Associate(dicomtest.Request(VerificationSOPClassUID))
	p.Send(dicomtest.Message(1, set, nil))
	if c := expectStatus(t, p, Success); c.RespondedTo != 1 {
		t.Error(c)
	}
	p.Release()
}

func TestD31OneAfterTheOther(t *testing.T) {
	var running, most atomic.Int32
	_, addr := startServer(t, ServerConfig{Services: map[string]any{mwlClass: finderFunc(
		func(_ context.Context, r *Request, answers *Answers) error {
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer running.Add(-1)
			runtime.Gosched()
			return answers.Send(r.Data, PendingWarning)
		})}})
	p := associated(t, addr)
	var b []byte
	const finds = 20
	for id := range uint16(finds) {
		stray := CCancelRQ{RespondedTo: 1000}.Command()
		b = dicomtest.Message(1, stray.AppendTo(nil), nil).AppendTo(b)
		find := CFindRQ{MessageID: id + 1, AffectedSOPClassUID: mwlClass}.Command()
		b = dicomtest.Message(1, find.AppendTo(nil), []byte{byte(id), 0}).AppendTo(b)
	}
	p.SendBytes(b)
	for id := range uint16(finds) {
		var c Command
		_, _, raw := p.ExpectPart()
		if err := c.Decode(raw); err != nil || c.Status != PendingWarning || c.RespondedTo != id+1 {
			t.Fatal(c, err)
		}
		if _, _, data := p.ExpectPart(); data[0] != byte(id) {
			t.Fatal(data)
		}
		if c := expectStatus(t, p, Success); c.RespondedTo != id+1 {
			t.Fatal(c)
		}
	}
	p.Release()
	if most.Load() != 1 {
		t.Error(most.Load())
	}
}

func TestDuplicateMessageID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, ended := make(chan struct{}, 1), make(chan error, 1)
		l, _, stop := startPipes(t, ServerConfig{Services: map[string]any{mwlClass: waiting(begun, ended)}})
		defer stop()
		p := pipe(t, l)
		p.Associate(dicomtest.Request(mwlClass))
		beginFind(p, 3)
		p.ExpectPart()
		p.ExpectPart()
		<-begun
		start := time.Now()
		beginFind(p, 3)
		expectStatus(t, p, Deadline) // of the first
		if d := time.Since(start); d != 60*time.Second {
			t.Error(d)
		}
		if err := <-ended; !errors.Is(err, ErrDeadline) {
			t.Error(err)
		}
		expectStatus(t, p, DuplicateInvocation)
		p.Release()
	})
}

func TestPanicInAHandler(t *testing.T) {
	caught := make(chan any, 1)
	s, addr := startServer(t, ServerConfig{
		Services: map[string]any{mwlClass: finderFunc(func(_ context.Context, r *Request, answers *Answers) error {
			if len(r.Data) == 0 {
				panic("a mistake")
			}
			return answers.Send(r.Data, Pending)
		})},
		OnPanic: func(p Peer, value any, stack []byte) {
			if p.CallingAETitle != "DR1" || !bytes.Contains(stack, []byte("TestPanicInAHandler")) {
				t.Errorf("%v\n%s", p, stack)
			}
			caught <- value
		},
	})
	other := dial(t, addr)
	p := associated(t, addr)
	beginFind(p, 1)
	p.ExpectAbort(0, 0)
	_ = p.Conn.Close()
	if v := <-caught; v != "a mistake" {
		t.Error(v)
	}
	if findAll(t, other) != 1 || s.Stats().Panics != 1 {
		t.Error(s.Stats())
	}
	release(t, other)
}

func TestAnswersLimitAndMisuse(t *testing.T) {
	var errs [3]error
	_, addr := startServer(t, ServerConfig{
		Limits: Limits{Answers: 5},
		Services: map[string]any{mwlClass: finderFunc(func(_ context.Context, _ *Request, answers *Answers) error {
			errs[0] = answers.Send([]byte{1}, Pending)
			errs[1] = answers.Send(nil, Success)
			for {
				if err := answers.Send(make([]byte, 2), Pending); err != nil {
					return err
				}
			}
		})},
	})
	c := dial(t, addr)
	n := 0
	for _, err := range c.Find(t.Context(), mwlClass, nil) {
		if errs[2] = err; err == nil {
			n++
		}
	}
	release(t, c)
	if n != 5 || !errors.Is(errs[0], ErrOddLength) || errs[1] == nil || !errors.Is(errs[2], Status{Code: OutOfResources}) {
		t.Error(n, errs)
	}
}

func TestAnswersAllocateNothing(t *testing.T) {
	var allocs float64
	identifier := make([]byte, 500)
	_, addr := startServer(t, ServerConfig{
		Limits: Limits{Answers: 1 << 20},
		Services: map[string]any{mwlClass: finderFunc(func(_ context.Context, _ *Request, answers *Answers) error {
			for range 500 { // until the buffer has its size
				if err := answers.Send(identifier, Pending); err != nil {
					return err
				}
			}
			var err error
			allocs = 100
			for range 10 { // the peer and the tests beside this one allocate too: the calmest round counts
				allocs = min(allocs, testing.AllocsPerRun(200, func() { err = errors.Join(err, answers.Send(identifier, Pending)) }))
			}
			return err
		})},
	})
	p := associated(t, addr)
	beginFind(p, 1)
	for {
		_, command, part := p.ExpectPart()
		var c Command
		if command && c.Decode(part) == nil && c.Status == Success {
			break
		}
	}
	p.Release()
	if allocs >= 1 { // the reader's share is in there
		t.Errorf("%v allocations per answer", allocs)
	}
}

func TestServeReportsTheListener(t *testing.T) {
	l := dicomtest.NewPipeListener()
	_ = l.Close()
	if err := NewServer(ServerConfig{}).Serve(t.Context(), l); err == nil {
		t.Error("no error")
	}
}

func TestFaultyConnections(t *testing.T) {
	_, addr := startServer(t, ServerConfig{Services: map[string]any{mwlClass: matches(300)}})
	for _, limit := range []int{0, 5, 60, 300, 700, 1000, 50000} {
		cfg := clientConfig(addr)
		cfg.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			return faulty(ctx, address, limit)
		}
		c, err := Dial(t.Context(), cfg)
		if err != nil {
			var step *StepError
			if !errors.As(err, &step) || step.Step != StepAssociate || !errors.Is(err, ul.ErrLost) {
				t.Error(limit, err)
			}
			continue
		}
		for _, err = range c.Find(t.Context(), mwlClass, nil) {
			if err != nil {
				break
			}
		}
		var step *StepError
		if !errors.As(err, &step) || step.Step != StepFind || !errors.Is(err, ul.ErrLost) {
			t.Error(limit, err)
		}
		if err := c.Release(t.Context()); err == nil {
			t.Error("released")
		}
	}
}
