package hl7sim_test

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rayhound/rayhound/drivers/hl7/hl7sim"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"
)

// reception is what our listener must make of one misbehaviour of a RIS that sends.
type reception struct {
	answers string // MSA-1 of all answers
	kept    int    // messages kept and accepted
	refused int    // messages kept and refused
	bad     error  // what was no message
	note    string // of the frame
	same    bool   // the first message kept is byte for byte what was meant
}

// sending is every misbehaviour of a RIS that sends.
var sending = map[hl7sim.FaultKind]reception{
	hl7sim.ByteOrderMark: {answers: "AA", kept: 1, note: mllp.NoteStrayBytes, same: true},
	hl7sim.TwoInOne:      {answers: "AA AA", kept: 2, same: true},
	hl7sim.NoCR:          {answers: "AA", kept: 1, note: mllp.NoteNoCR, same: true},
	hl7sim.NoEnd:         {answers: "AR AA", kept: 1, bad: mllp.ErrTruncated},
	hl7sim.NoStart:       {answers: "AA", kept: 1, note: mllp.NoteNoStart, same: true},
	hl7sim.DoubleStart:   {answers: "AA", kept: 1, note: mllp.NoteDoubleStart, same: true},
	hl7sim.NULs:          {answers: "AA", kept: 1, note: mllp.NoteNUL, same: true},
	hl7sim.HalfMessage:   {answers: "AR", bad: mllp.ErrTruncated},
	hl7sim.Slow:          {answers: "AA", kept: 1, same: true},
	hl7sim.LargeDocument: {answers: "AA", kept: 1},
	hl7sim.WrongCharset:  {answers: "AA", kept: 1},
	hl7sim.Garbage:       {answers: "AR AA", kept: 1, bad: mllp.ErrGarbage, same: true},
	hl7sim.WrongVersion:  {answers: "AR", refused: 1},
	hl7sim.WrongType:     {answers: "AR", refused: 1},
	hl7sim.SendTwice:     {answers: "AA AA", kept: 1, same: true},
	hl7sim.Flood:         {}, // TestFlood
	hl7sim.HugeMessage:   {}, // TestHugeMessage
}

func TestReceiverAgainstEveryMisbehaviour(t *testing.T) {
	for _, k := range hl7sim.Kinds() {
		want := sending[k.Kind]
		if k.Side != hl7sim.Sending || want == (reception{}) {
			continue
		}
		t.Run(string(k.Kind), func(t *testing.T) {
			c := openClinic(t, mllp.ServerConfig{})
			ris := reporting(t, c, hl7sim.Config{Timeout: long})
			meant, err := ris.Unsolicited(hl7sim.Order{AccessionNumber: "A1", PatientID: "1001", PatientName: "Müller^Bella"}, "Größe normal.", []byte("%PDF-1.4"))
			if err != nil {
				t.Fatal(err)
			}
			inject(t, ris, hl7sim.Fault{Kind: k.Kind, Count: 1})
			a, err := ris.Send(t.Context(), meant)
			if got := codes(t, a); got != want.answers {
				t.Fatalf("answers %q (%v), want %q", got, err, want.answers)
			}
			if errors.Is(err, hl7sim.ErrRefused) != strings.HasPrefix(want.answers, "AR") {
				t.Errorf("%v", err)
			}
			c.goodPeer(t) // on a connection that was open all the time
			if a, err := ris.Schedule(t.Context(), "A1"); err != nil || !a.Accepted() {
				t.Errorf("the next one: %+v %v", a, err)
			}
			kept, refused := 0, 0
			all := c.received()
			for _, in := range all[:len(all)-1] {
				if in.Refused == "" {
					kept++
				} else {
					refused++
				}
			}
			if kept != want.kept || refused != want.refused {
				t.Errorf("kept %d, refused %d", kept, refused)
			}
			if want.same && !bytes.Equal(all[0].Raw, meant) {
				t.Errorf("kept %q\nwant %q", all[0].Raw, meant)
			}
			bad, raw := c.badFrames()
			if want.bad != nil && (len(bad) != 1 || !errors.Is(bad[0], want.bad) || len(raw[0]) == 0) || want.bad == nil && len(bad) != 0 {
				t.Errorf("bad %v %q", bad, raw)
			}
			if want.note != "" && !slices.Contains(c.notes, want.note) {
				t.Errorf("notes %q", c.notes)
			}
		})
	}
}

func TestWhatIsKeptOfOddReports(t *testing.T) {
	c := openClinic(t, mllp.ServerConfig{})
	ris := reporting(t, c, hl7sim.Config{Timeout: long})
	// Text in 8859/1 that is declared to be UTF-8 is read as what it is.
	inject(t, ris, hl7sim.Fault{Kind: hl7sim.WrongCharset, Count: 1})
	if _, err := ris.Report(t.Context(), "A1", "Größe normal.", nil); err != nil {
		t.Fatal(err)
	}
	in := c.received()[0]
	if !bytes.Contains(in.Raw, []byte("Gr\xf6\xdfe")) || !bytes.Contains(in.Raw, []byte("UNICODE UTF-8")) {
		t.Errorf("the bytes were changed: %q", in.Raw)
	}
	if len(in.Reports) != 1 || in.Reports[0].Text != "Größe normal." || len(in.Message.Notes()) == 0 {
		t.Errorf("%+v %q", in.Reports, in.Message.Notes())
	}
	// A document of 20 MB is one document.
	inject(t, ris, hl7sim.Fault{Kind: hl7sim.LargeDocument, Count: 1})
	if _, err := ris.Report(t.Context(), "A1", "See there.", nil); err != nil {
		t.Fatal(err)
	}
	in = c.received()[1]
	if d := in.Reports[0].Documents; len(in.Raw) < 20<<20 || len(d) != 1 || d[0].Broken || len(d[0].Data) != 15<<20 || !bytes.HasPrefix(d[0].Data, []byte("%PDF-1")) {
		t.Errorf("%d bytes, %d documents", len(in.Raw), len(d))
	}
}

// Connections above the cap of one address are closed, the others answered.
func TestFlood(t *testing.T) {
	c := openClinic(t, mllp.ServerConfig{MaxConnections: 300, MaxPerAddress: 300})
	ris := reporting(t, c, hl7sim.Config{Timeout: long})
	inject(t, ris, hl7sim.Fault{Kind: hl7sim.Flood, Size: 100, Count: 1})
	a, err := ris.Complete(t.Context(), "A1")
	if err != nil || len(a.More) != 99 || strings.Trim(codes(t, a), "A ") != "" {
		t.Errorf("%d answers %v", len(a.More)+1, err)
	}
	if n := len(c.received()); n != 100 {
		t.Errorf("%d kept", n)
	}
	c.goodPeer(t)

	capped := openClinic(t, mllp.ServerConfig{MaxPerAddress: 8})
	ris.SetSendTo(capped.addr)
	inject(t, ris, hl7sim.Fault{Kind: hl7sim.Flood, Size: 100, Count: 1})
	a, err = ris.Complete(t.Context(), "A1")
	answered := len(capped.received())
	bad, _ := capped.badFrames()
	refused := 0
	for _, e := range bad {
		if errors.Is(e, mllp.ErrTooManyFrom) {
			refused++
		}
	}
	if err != nil || len(a.More)+1 > answered || answered+refused < 100 || answered == 0 {
		t.Errorf("%d answers, %d kept, %d refused, %v", len(a.More)+1, answered, refused, err)
	}
	capped.goodPeer(t)
}

// A frame of 100 MB is refused with a sentence and costs next to nothing.
func TestHugeMessage(t *testing.T) {
	c := openClinic(t, mllp.ServerConfig{MaxFrame: 1 << 20})
	ris := reporting(t, c, hl7sim.Config{Timeout: long})
	inject(t, ris, hl7sim.Fault{Kind: hl7sim.HugeMessage, Count: 1})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	a, err := ris.Report(t.Context(), "A1", "See there.", nil)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, hl7sim.ErrRefused) || codes(t, a) != "AR" || !strings.Contains(a.Text, "larger than allowed") {
		t.Errorf("%+v %v", a, err)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("allocated %d bytes", grown)
	}
	bad, raw := c.badFrames()
	if len(bad) != 1 || !errors.Is(bad[0], mllp.ErrTooLarge) || !bytes.Contains(raw[0], []byte("ORU^R01")) {
		t.Errorf("%v %d", bad, len(raw))
	}
	if len(c.received()) != 0 {
		t.Error("a part of it was kept as a message")
	}
	c.goodPeer(t)
}
