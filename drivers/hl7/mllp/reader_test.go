package mllp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	vt  = "\x0B"
	fs  = "\x1C"
	cr  = "\r"
	bom = "\xEF\xBB\xBF"
	one = "MSH|^~\\&|A\rPID|1\r"
	two = "MSH|^~\\&|B\rPID|2\r"
)

// outcome reads until the end and lists what came: messages as they are, bad
// frames as "!reason", notes behind each.
func outcome(r *Reader) (out []string) {
	for {
		f, err := r.Next()
		var bad *FrameError
		switch {
		case err == nil:
			out = append(append(out, string(f.Payload)), f.Notes...)
		case errors.As(err, &bad):
			out = append(out, "!"+bad.Reason.Error()+": "+string(bad.Bytes))
			if bad.Fatal {
				return out
			}
		case errors.Is(err, io.EOF):
			return out
		default:
			return append(out, "!!"+err.Error())
		}
	}
}

// The traps of framing, each sent in the pieces given, with a pause of a second
// between them where a piece is "pause".
func TestFramingTraps(t *testing.T) {
	const pause = "pause"
	bad := func(reason error, b string) string { return "!" + reason.Error() + ": " + b }
	for _, tc := range []struct {
		name   string
		pieces []string
		want   []string
	}{
		{"one", []string{vt + one + fs + cr}, []string{one}},
		{"two messages in one read", []string{vt + one + fs + cr + vt + two + fs + cr}, []string{one, two}},
		{"VT alone", []string{vt, one + fs + cr}, []string{one}},
		{"split everywhere", strings.Split(vt+one+fs+cr+vt+two+fs+cr, ""), []string{one, two}},
		{"FS and CR apart", []string{vt + one + fs, cr + vt + two + fs, cr}, []string{one, two}},
		{"FS and CR a second apart", []string{vt + one + fs, pause, cr + vt + two + fs, pause, cr}, []string{one, NoteNoCR, two, NoteNoCR}},
		{"FS without CR, peer waits", []string{vt + one + fs, pause, vt + two + fs, pause}, []string{one, NoteNoCR, two, NoteNoCR}},
		{"FS without CR, next follows", []string{vt + one + fs + vt + two + fs + cr}, []string{one, NoteNoCR, two}},
		{"FS without CR, peer closes", []string{vt + one + fs}, []string{one, NoteNoCR}},
		{"FS and LF", []string{vt + one + fs + "\n" + vt + two + fs + "\r\n"}, []string{one, NoteEndLF, two}},
		{"no VT", []string{one + fs + cr + vt + two + fs + cr}, []string{one, NoteNoStart, two}},
		{"no VT at all", []string{one + fs + cr + two + fs + cr}, []string{one, NoteNoStart, two, NoteNoStart}},
		{"junk between frames", []string{vt + one + fs + cr + "\r\n\x00" + bom + vt + two + fs + cr}, []string{one, two, NoteStrayBytes}},
		{"BOM before VT", []string{bom + vt + one + fs + cr}, []string{one, NoteStrayBytes}},
		{"BOM after VT", []string{vt + bom + one + fs + cr}, []string{one, NoteByteOrderMark}},
		{"BOM in pieces", []string{"\xEF", "\xBB", "\xBF" + vt + "\xEF", "\xBB\xBF" + one + fs + cr}, []string{one, NoteStrayBytes, NoteByteOrderMark}},
		{"BOM and no VT", []string{bom + one + fs + cr}, []string{one, NoteStrayBytes, NoteNoStart}},
		{"NUL and line ends after VT", []string{vt + "\x00\x00\r\n" + one + fs + cr}, []string{one, NoteNUL, NoteStrayBytes}},
		{"NULs between", []string{vt + one + fs + cr + "\x00\x00\x00\x00" + vt + two + fs + cr + "\x00"}, []string{one, two, NoteStrayBytes}},
		{"double VT and FS", []string{vt + vt + one + fs + fs + cr + vt + two + fs + cr}, []string{one, NoteDoubleStart, NoteDoubleEnd, two}},
		{"framed twice", []string{vt + vt + one + fs + cr + fs + cr + vt + two + fs + cr}, []string{one, NoteDoubleStart, two, NoteStrayBytes}},
		{"FS inside data", []string{vt + "MSH|a" + fs + "b\r" + fs + cr}, []string{"MSH|a" + fs + "b\r", NoteEndInside}},
		{"FS inside data at a piece", []string{vt + "MSH|a" + fs, "b\r" + fs + cr}, []string{"MSH|a" + fs + "b\r", NoteEndInside}},
		{"FS CR inside data", []string{vt + "MSH|a" + fs + cr + "PID|b\r" + fs + cr + vt + two + fs + cr}, []string{"MSH|a", bad(ErrGarbage, "PID|b\r"), two, NoteStrayBytes}},
		{"no FS, next frame begins", []string{vt + one + vt + two + fs + cr}, []string{bad(ErrTruncated, one), two}},
		{"VT as data", []string{vt + "MSH|a\x0Bb\r" + fs + cr}, []string{"MSH|a\x0Bb\r"}},
		{"half a frame", []string{vt + "MSH|a"}, []string{bad(ErrTruncated, "MSH|a")}},
		{"VT and nothing", []string{vt}, []string{bad(ErrTruncated, "")}},
		{"empty frame", []string{vt + fs + cr + vt + one + fs + cr}, []string{bad(ErrEmpty, ""), one}},
		{"garbage, then a frame", []string{"GET / HTTP/1.1\r\n\r\n" + vt + one + fs + cr}, []string{bad(ErrGarbage, "GET / HTTP/1.1\r\n\r\n"), one}},
		{"garbage, peer waits", []string{"hello", pause, vt + one + fs + cr}, []string{bad(ErrGarbage, "hello"), one}},
		{"garbage, peer closes", []string{"hello"}, []string{bad(ErrGarbage, "hello")}},
		{"TLS on a plain port", []string{"\x16\x03\x01\x02\x00\x01"}, []string{bad(ErrTLS, "\x16\x03\x01\x02\x00\x01")}},
		{"too large", []string{vt + strings.Repeat("x", 3000) + fs + cr + vt + one + fs + cr}, []string{bad(ErrTooLarge, strings.Repeat("x", 3000)), one}},
		{"too large in pieces", []string{vt + strings.Repeat("x", 1500), strings.Repeat("x", 1500) + fs, cr + vt + one + fs + cr}, []string{bad(ErrTooLarge, strings.Repeat("x", 3000)), one}},
		{"nothing", nil, nil},
		{"only line ends", []string{"\r\n\r\n"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := net.Pipe()
				go func() {
					defer b.Close()
					for _, p := range tc.pieces {
						if p == pause {
							time.Sleep(time.Second)
							continue
						}
						if _, err := b.Write([]byte(p)); err != nil {
							return
						}
					}
				}()
				got := outcome(NewReader(a, ReaderConfig{MaxFrame: 2000}))
				_ = a.Close()
				if !slices.Equal(got, tc.want) {
					t.Errorf("\ngot  %q\nwant %q", got, tc.want)
				}
			})
		})
	}
}

// 100 MB where 1 MB is allowed: refused without the memory, and given up at eight
// times the limit.
func TestHugeFrameCostsNoMemory(t *testing.T) {
	endless := io.MultiReader(strings.NewReader(vt+"MSH|"), zeros{})
	r := NewReader(endless, ReaderConfig{MaxFrame: 1 << 20})
	_, err := r.Next()
	var bad *FrameError
	if !errors.As(err, &bad) || !errors.Is(err, ErrTooLarge) || !bad.Fatal || len(bad.Bytes) != keepBytes || bad.Size < 8<<20 {
		t.Fatal(err)
	}
	if cap(r.buf) > 1<<20 {
		t.Errorf("the reader holds %d bytes", cap(r.buf))
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

func TestReserve(t *testing.T) {
	held := 0
	r := NewReader(strings.NewReader(vt+strings.Repeat("x", 3<<20)+fs+cr+vt+strings.Repeat("y", 5<<20)+fs+cr+vt+one+fs+cr), ReaderConfig{
		Reserve: func(n int) bool {
			if held+n > 6<<20 {
				return false
			}
			held += n
			return true
		},
	})
	got := outcome(r)
	if len(got) != 3 || len(got[0]) != 3<<20 || !strings.HasPrefix(got[1], "!"+ErrBusy.Error()) || got[2] != one {
		t.Errorf("%.60q", got)
	}
	if r.Release(); held != 0 {
		t.Errorf("%d bytes are still reserved", held)
	}
}

// A frame that drips is cut off; a connection that is silent too.
func TestReaderTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer b.Close()
		go func() {
			for i := range 1000 {
				if i == 0 {
					time.Sleep(time.Minute)
				}
				if _, err := b.Write([]byte(vt)); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		r := NewReader(a, ReaderConfig{})
		r.SetTimeouts(Timeouts{Idle: time.Hour, Frame: 10 * time.Second})
		start := time.Now()
		_, err := r.Next()
		if !errors.Is(err, ErrTruncated) || time.Since(start) != 70*time.Second {
			t.Error(err, time.Since(start))
		}
		_ = a.Close()
		c, d := net.Pipe()
		defer d.Close()
		r = NewReader(c, ReaderConfig{})
		r.SetTimeouts(Timeouts{Idle: time.Hour, Frame: time.Second})
		start = time.Now()
		if _, err = r.Next(); err == nil || time.Since(start) != time.Hour {
			t.Error(err, time.Since(start))
		}
	})
}

func TestWriteIsStrict(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, []byte(one)); err != nil || b.String() != vt+one+fs+cr {
		t.Errorf("%v %q", err, b.String())
	}
	for _, bad := range []string{"", "a" + vt, "a" + fs + "b"} {
		if err := Write(&b, []byte(bad)); !errors.Is(err, ErrFrameCharacter) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Whatever comes, the reader ends, keeps its limits, and a strict frame behind a
// clean end is found.
func FuzzReader(f *testing.F) {
	for _, s := range []string{vt + one + fs + cr, one + fs, vt + vt + fs + fs + cr, bom + vt + bom + one + fs + "x" + fs + cr, "GET", vt + one + vt + two + fs + cr} {
		f.Add([]byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, raw []byte, piece uint8) {
		const limit = 512
		r := NewReader(&pieces{raw, int(piece)%16 + 1}, ReaderConfig{MaxFrame: limit})
		for range 2*len(raw) + 2 {
			frame, err := r.Next()
			var bad *FrameError
			switch {
			case err == nil:
				if len(frame.Payload) == 0 || len(frame.Payload) > limit {
					t.Fatalf("a message of %d bytes", len(frame.Payload))
				}
			case errors.As(err, &bad):
				if bad.Size > int64(len(raw)) || int64(len(bad.Bytes)) > bad.Size {
					t.Fatalf("%d of %d bytes kept", len(bad.Bytes), bad.Size)
				}
				if bad.Fatal {
					return
				}
			default:
				return
			}
		}
		t.Fatal("the reader does not end")
	})
}

type pieces struct {
	rest []byte
	n    int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.rest[:min(p.n, len(p.rest))])
	p.rest = p.rest[n:]
	return n, nil
}
