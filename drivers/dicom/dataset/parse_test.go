package dataset

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"runtime"
	"strings"
	"testing"
)

// unhex reads hexadecimal digits with spaces.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestHostile are inputs that bring a general library down. Ids as in the
// regression list: L3 and L8 to L11 are files, see TestHostileFiles.
func TestHostile(t *testing.T) {
	open := unhex(t, "40000001 FFFFFFFF FEFF00E0 FFFFFFFF")
	for _, c := range []struct {
		name   string
		syntax Syntax
		input  []byte
		limit  bool
	}{
		{"L1 implicit, length 2 GiB", ImplicitLE, unhex(t, "10002000 F0FFFF7F 4142"), false},
		{"L2 explicit, length FFFF", ExplicitLE, unhex(t, "10002000 4C4FFFFF 4142"), false},
		{"L3 explicit, UT of 2 GiB", ExplicitLE, unhex(t, "10002000 55540000 F0FFFF7F 4142"), false},
		{"L3 explicit, OB of 2 GiB", ExplicitLE, unhex(t, "10002000 4F420000 F0FFFF7F 4142"), false},
		{"L4 fragment of 2 GiB", ExplicitLE, unhex(t, "E07F1000 4F420000 FFFFFFFF FEFF00E0 00000000 FEFF00E0 F0FFFF7F 0102"), false},
		{"L4 fragment of undefined length", ExplicitLE, unhex(t, "E07F1000 4F420000 FFFFFFFF FEFF00E0 FFFFFFFF 0102"), false},
		{"L5 depth 1,000", ImplicitLE, bytes.Repeat(open, 1000), true},
		{"L5 depth 100,000", ImplicitLE, bytes.Repeat(open, 100_000), true},
		{"L6 sequence with a non-item", ImplicitLE, unhex(t, "40000001 0A000000 10002000 02000000 4944"), false},
		{"L6 five bytes and zeros", ImplicitLE, append(unhex(t, "38000001 30"), make([]byte, 60)...), false},
		{"L21 group 0000", ImplicitLE, unhex(t, "00000000 04000000 00000000"), false},
		{"group 0002", ExplicitLE, unhex(t, "02001000 5549 0200 3100"), false},
		{"item outside a sequence", ImplicitLE, unhex(t, "FEFF00E0 00000000"), false},
		{"delimiter outside a sequence", ImplicitLE, unhex(t, "FEFFDDE0 00000000"), false},
		{"undefined length of text", ImplicitLE, unhex(t, "10002000 FFFFFFFF 4142"), false},
		{"undefined length of UT", ExplicitLE, unhex(t, "10002000 55540000 FFFFFFFF 4142"), false},
		{"undefined pixel data in implicit VR", ImplicitLE, unhex(t, "E07F1000 FFFFFFFF FEFFDDE0 00000000"), false},
		{"truncated header", ImplicitLE, unhex(t, "10002000 0000"), false},
		{"truncated long header", ExplicitLE, unhex(t, "10002000 55540000"), false},
		{"VR in lower case", ExplicitLE, unhex(t, "10002000 6c6f0000"), false},
		{"item longer than its sequence", ImplicitLE, unhex(t, "40000001 08000000 FEFF00E0 10000000 10002000 08000000 4142434445464748"), false},
		{"element longer than its item", ImplicitLE, unhex(t, "40000001 12000000 FEFF00E0 0A000000 10002000 04000000 4142 4344"), false},
		{"sequence without delimiter", ImplicitLE, unhex(t, "40000001 FFFFFFFF FEFF00E0 00000000"), false},
		{"item without delimiter", ImplicitLE, unhex(t, "40000001 08000000 FEFF00E0 FFFFFFFF"), false},
		{"sequence delimiter in a sequence of defined length", ImplicitLE, unhex(t, "40000001 08000000 FEFFDDE0 00000000"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			n := allocated(func() { _, err = Parse(c.input, c.syntax, Limits{}) })
			var syntax *SyntaxError
			var limit *LimitError
			if c.limit && !errors.As(err, &limit) || !c.limit && !errors.As(err, &syntax) {
				t.Errorf("error %v", err)
			}
			if n > 1<<20 {
				t.Errorf("%d bytes allocated", n)
			}
		})
	}
}

func TestTolerated(t *testing.T) {
	for _, c := range []struct {
		name   string
		syntax Syntax
		input  string
		want   Stats
	}{
		{"empty", ImplicitLE, "", Stats{}},
		{"odd length", ImplicitLE, "10002000 01000000 41", Stats{Elements: 1, OddLengths: 1}},
		{"FFFF is odd, not undefined", ExplicitLE, "10002000 4C4F0300 414243", Stats{Elements: 1, OddLengths: 1}},
		{"order", ImplicitLE, "10002000 00000000 08005000 00000000", Stats{Elements: 2, OutOfOrder: 1}},
		{"duplicate", ImplicitLE, "10002000 00000000 10002000 00000000", Stats{Elements: 2, Duplicates: 1}},
		{"group length", ImplicitLE, "10000000 04000000 00000000", Stats{Elements: 1, GroupLengths: 1}},
		{"private", ImplicitLE, "09001000 02000000 4142 09000110 00000000", Stats{Elements: 2, Private: 2}},
		{"unknown VR has 32 bits", ExplicitLE, "10002000 5A5A0000 02000000 4142", Stats{Elements: 1, UnknownVRs: 1}},
		{"delimiter with length", ImplicitLE, "40000001 FFFFFFFF FEFF00E0 FFFFFFFF FEFF0DE0 02000000 FEFFDDE0 01000000", Stats{Elements: 1, Items: 1, Delimiters: 2}},
		{"padding and what follows", ImplicitLE, "10002000 00000000 FCFFFCFF 04000000 00000000 FF", Stats{Elements: 1, Padding: 13}},
		{"L18 UN of undefined length is implicit", ExplicitLE, "40000001 554E0000 FFFFFFFF FEFF00E0 0A000000 08006000 02000000 4458 FEFFDDE0 00000000", Stats{Elements: 2, Items: 1, UnknownSequences: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			set, err := Parse(unhex(t, c.input), c.syntax, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if *set.Stats != c.want {
				t.Errorf("got %+v", *set.Stats)
			}
		})
	}
}

func TestFirstDuplicateCounts(t *testing.T) {
	set, err := Parse(unhex(t, "10002000 02000000 4120 10002000 02000000 4220"), ImplicitLE, Limits{})
	if err != nil || set.String(PatientID) != "A" {
		t.Fatalf("%q, %v", set.String(PatientID), err)
	}
}

// TestReadRight are inputs that a general library reads wrongly.
func TestReadRight(t *testing.T) {
	t.Run("L7 charset as UN", func(t *testing.T) {
		set := mustParse(t, ExplicitLE, append(unhex(t, "08000500 554E0000 0A000000"), "ISO_IR 100"...))
		if cs := set.Charset(); cs != Latin1 {
			t.Errorf("charset %v", cs)
		}
	})
	t.Run("L17 SV, UV, OV", func(t *testing.T) {
		for _, vr := range []VR{SV, UV, OV} {
			b := AppendElement(nil, ExplicitLE, 0x00720082, vr, make([]byte, 8))
			b = AppendElement(b, ExplicitLE, 0x00720084, LO, []byte("after"))
			set := mustParse(t, ExplicitLE, b)
			if got := set.Text(0x00720084, DefaultCharset); len(set.Elements) != 2 || got != "after" {
				t.Errorf("%s: %q", vr, got)
			}
		}
	})
	t.Run("L18 UN of undefined length", func(t *testing.T) {
		set := mustParse(t, ExplicitLE, unhex(t, "40000001 554E0000 FFFFFFFF FEFF00E0 0A000000 08006000 02000000 4458 FEFFDDE0 00000000"))
		if got := set.Item(ScheduledProcedureStepSequence).String(Modality); got != "DX" {
			t.Errorf("%q", got)
		}
	})
	t.Run("L20 backslash in long text", func(t *testing.T) {
		set := mustParse(t, ImplicitLE, AppendElement(nil, ImplicitLE, PatientComments, LT, []byte(` a\b `)))
		if got := set.Texts(PatientComments, DefaultCharset); len(got) != 1 || got[0] != ` a\b` {
			t.Errorf("%q", got)
		}
	})
	t.Run("values are trimmed one by one", func(t *testing.T) {
		set := mustParse(t, ImplicitLE, AppendElement(nil, ImplicitLE, ModalitiesInStudy, CS, []byte("DX \\ CR\\")))
		if got := set.Strings(ModalitiesInStudy); len(got) != 3 || got[0] != "DX" || got[1] != "CR" || got[2] != "" {
			t.Errorf("%q", got)
		}
	})
}

func mustParse(t testing.TB, s Syntax, b []byte) *Set {
	t.Helper()
	set, err := Parse(b, s, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestLimits(t *testing.T) {
	flat := bytes.Repeat(unhex(t, "10002000 00000000"), 11)
	items := append(unhex(t, "40000001 58000000"), bytes.Repeat(unhex(t, "FEFF00E0 00000000"), 11)...)
	nested := func(n int) []byte {
		var b []byte
		for range n {
			b = AppendSequence(nil, ImplicitLE, ScheduledProcedureStepSequence, b)
		}
		return b
	}
	for _, c := range []struct {
		name  string
		input []byte
		lim   Limits
		what  string
	}{
		{"bytes", flat, Limits{MaxBytes: 87}, "bytes"},
		{"bytes exactly", flat, Limits{MaxBytes: 88}, ""},
		{"elements", flat, Limits{MaxElements: 10}, "elements"},
		{"elements exactly", flat, Limits{MaxElements: 11}, ""},
		{"items count too", items, Limits{MaxElements: 11}, "elements"},
		{"items exactly", items, Limits{MaxElements: 12}, ""},
		{"depth", nested(9), Limits{MaxDepth: 8}, "depth"},
		{"depth exactly", nested(8), Limits{MaxDepth: 8}, ""},
		{"depth beyond all", nested(70), Limits{MaxDepth: 1000}, "depth"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(c.input, ImplicitLE, c.lim)
			var limit *LimitError
			if !errors.As(err, &limit) {
				limit = &LimitError{}
			}
			if limit.What != c.what || c.what == "" && err != nil {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestErrorsHoldNoValues(t *testing.T) {
	b := append(AppendElement(nil, ExplicitLE, PatientName, PN, []byte("Owner^Bella ")), unhex(t, "10002000 4C4FFFFF")...)
	b = append(b, "Owner^Bella"...)
	_, err := Parse(b, ExplicitLE, Limits{})
	if err == nil || strings.Contains(err.Error(), "Bella") {
		t.Errorf("error %v", err)
	}
	var syntax *SyntaxError
	if !errors.As(err, &syntax) || syntax.Offset != 20 || syntax.Tag != PatientID {
		t.Errorf("got %+v", syntax)
	}
}

// TestMemoryIsLinear feeds the densest inputs: the memory must stay below a fixed
// multiple of their length.
func TestMemoryIsLinear(t *testing.T) {
	const size = 1 << 20
	for name, b := range map[string][]byte{
		"elements":         bytes.Repeat(unhex(t, "10002000 00000000"), size/8),
		"unknown elements": bytes.Repeat(unhex(t, "1000FF0F 00000000"), size/8),
		"items": append(binary.LittleEndian.AppendUint32(unhex(t, "40000001"), size),
			bytes.Repeat(unhex(t, "FEFF00E0 00000000"), size/8)...),
	} {
		var err error
		n := allocated(func() { _, err = Parse(b, ImplicitLE, Limits{MaxElements: size}) })
		if err != nil || n > 64*size {
			t.Errorf("%s: %d bytes for %d, %v", name, n, len(b), err)
		}
	}
}

func TestParseAllocates(t *testing.T) {
	b := sampleAnswer(t, ImplicitLE)
	if n := testing.AllocsPerRun(100, func() { _, _ = Parse(b, ImplicitLE, Limits{}) }); n > 8 {
		t.Errorf("%v allocations", n)
	}
}
