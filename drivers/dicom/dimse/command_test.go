package dimse

import (
	"bytes"
	"context"
	"net"
	"reflect"
	"testing"

	"github.com/rayhound/rayhound/drivers/dicom/dicomtest"
)

// faulty dials a connection that breaks after so many bytes read.
func faulty(ctx context.Context, address string, read int) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return dicomtest.NewFaultyConn(conn, read, -1), nil
}

// requests are one command set of each kind.
func requests() map[string]Command {
	status := Status{Code: ProcessingFailure, Comment: "busy", ErrorID: 0xA710, Offending: []uint32{0x00080018, 0x00400252}}
	set := NSetRQ{3, ModalityPerformedProcedureStepSOPClassUID, "2.25.8"}.Command()
	rsp := set.response(Success).withStatus(status)
	rsp.AffectedSOPInstanceUID = "2.25.8"
	return map[string]Command{
		"C-ECHO":   CEchoRQ{1, VerificationSOPClassUID}.Command(),
		"C-FIND":   CFindRQ{2, ModalityWorklistSOPClassUID, 2}.Command(),
		"C-CANCEL": CCancelRQ{2}.Command(),
		"N-CREATE": NCreateRQ{3, ModalityPerformedProcedureStepSOPClassUID, "2.25.7", true}.Command(),
		"N-SET":    set,
		"response": rsp,
	}
}

func TestCommandSets(t *testing.T) {
	for name, c := range requests() {
		var got Command
		b := c.AppendTo(nil)
		if err := got.Decode(b); err != nil {
			t.Fatal(name, err)
		}
		if len(b)%2 == 1 || !bytes.Equal(got.AppendTo(nil), b) {
			t.Errorf("%s: %+v became %+v", name, c, got)
		}
		got.has = 0
		if !reflect.DeepEqual(got, c) {
			t.Errorf("%s: %+v became %+v", name, c, got)
		}
	}
}

// The example every implementation sends: C-ECHO-RQ of DCMTK 3.6.7.
func TestEchoBytes(t *testing.T) {
	want := []byte("\x00\x00\x00\x00\x04\x00\x00\x00\x38\x00\x00\x00" +
		"\x00\x00\x02\x00\x12\x00\x00\x001.2.840.10008.1.1\x00" +
		"\x00\x00\x00\x01\x02\x00\x00\x00\x30\x00" +
		"\x00\x00\x10\x01\x02\x00\x00\x00\x01\x00" +
		"\x00\x00\x00\x08\x02\x00\x00\x00\x01\x01")
	c := CEchoRQ{MessageID: 1, AffectedSOPClassUID: VerificationSOPClassUID}.Command()
	if got := c.AppendTo(nil); !bytes.Equal(got, want) {
		t.Errorf("% x", got)
	}
}

func TestComment(t *testing.T) {
	long := "0123456789012345678901234567890123456789012345678901234567890123456789"
	for in, want := range map[string]string{
		"": "", "plain": "plain", "Müller\n\\x": "M?ller ?x", long: long[:64], " \x00 ": "",
	} {
		if got := comment(in); got != want {
			t.Errorf("%q became %q", in, got)
		}
	}
}

func FuzzCommand(f *testing.F) {
	for _, c := range requests() {
		f.Add(c.AppendTo(nil))
	}
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF})
	f.Fuzz(func(t *testing.T, b []byte) {
		var c, d Command
		if c.Decode(b) != nil {
			return
		}
		first := c.AppendTo(nil)
		if err := d.Decode(first); err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		if second := d.AppendTo(nil); !bytes.Equal(first, second) {
			t.Fatalf("% x became % x", first, second)
		}
	})
}

func fuzzKind[M comparable](f *testing.F, seed string, from func(*Command) (M, bool), command func(M) Command) {
	seeds := requests()
	one := seeds[seed]
	f.Add(one.AppendTo(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var c Command
		if c.Decode(b) != nil {
			return
		}
		m, ok := from(&c)
		if !ok {
			return
		}
		again := command(m)
		if err := c.Decode(again.AppendTo(nil)); err != nil {
			t.Fatal(err)
		}
		if got, ok := from(&c); !ok || got != m {
			t.Fatalf("%+v became %+v", m, got)
		}
	})
}

func FuzzCEchoRQ(f *testing.F) {
	fuzzKind(f, "C-ECHO", func(c *Command) (m CEchoRQ, ok bool) { ok = m.From(c); return m, ok }, CEchoRQ.Command)
}

func FuzzCFindRQ(f *testing.F) {
	fuzzKind(f, "C-FIND", func(c *Command) (m CFindRQ, ok bool) { ok = m.From(c); return m, ok }, CFindRQ.Command)
}

func FuzzCCancelRQ(f *testing.F) {
	fuzzKind(f, "C-CANCEL", func(c *Command) (m CCancelRQ, ok bool) { ok = m.From(c); return m, ok }, CCancelRQ.Command)
}

func FuzzNCreateRQ(f *testing.F) {
	fuzzKind(f, "N-CREATE", func(c *Command) (m NCreateRQ, ok bool) { ok = m.From(c); return m, ok }, NCreateRQ.Command)
}

func FuzzNSetRQ(f *testing.F) {
	fuzzKind(f, "N-SET", func(c *Command) (m NSetRQ, ok bool) { ok = m.From(c); return m, ok }, NSetRQ.Command)
}
