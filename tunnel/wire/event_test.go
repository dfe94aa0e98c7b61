package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"
)

func TestEventRoundTrip(t *testing.T) {
	at := time.Date(2026, 11, 3, 8, 1, 2, 123456000, time.UTC)
	for _, body := range [][]byte{nil, {0}, []byte("a=1\x00\xff"), make([]byte, DefaultMaxBody), make([]byte, MaxBody)} {
		e := Event{Seq: 42, ReceivedAt: at, Header: []byte(`{"kind":"test"}`), Body: body}
		b := AppendEvent(nil, e)
		got, err := DecodeEvent(b, Limits{})
		if err != nil || got.Seq != 42 || !got.ReceivedAt.Equal(at) || !bytes.Equal(got.Header, e.Header) || !bytes.Equal(got.Body, body) {
			t.Fatalf("%d bytes became %v, %v", len(body), got, err)
		}
		if len(b) != FixedSize+len(e.Header)+len(body) {
			t.Errorf("%d bytes", len(b))
		}
	}
}

// TestEventFrame is the layout of PROTOCOL.md, byte by byte.
func TestEventFrame(t *testing.T) {
	got := AppendEvent(nil, Event{Seq: 0x0102030405060708, ReceivedAt: time.UnixMicro(0x0005_0607_0809_0a0b), Header: []byte("{}"), Body: []byte("a")})
	want := []byte{
		1, 1, 2, 3, 4, 5, 6, 7, 8, 0, 5, 6, 7, 8, 9, 0xa, 0xb, 0, 0, 0, 2, '{', '}', 'a',
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got % x", got)
	}
}

func TestEventRefusals(t *testing.T) {
	good := AppendEvent(nil, Event{Seq: 1, ReceivedAt: time.UnixMicro(1), Header: []byte("{}"), Body: []byte("x")})
	change := func(at int, b ...byte) []byte {
		c := bytes.Clone(good)
		copy(c[at:], b)
		return c
	}
	for name, row := range map[string]struct {
		b    []byte
		lim  Limits
		want error
	}{
		"empty":             {nil, Limits{}, ErrMalformed},
		"short":             {good[:FixedSize-1], Limits{}, ErrMalformed},
		"type":              {change(0, 2), Limits{}, ErrMalformed},
		"seq 0":             {change(1, 0, 0, 0, 0, 0, 0, 0, 0), Limits{}, ErrMalformed},
		"seq negative":      {change(1, 0xff), Limits{}, ErrMalformed},
		"time negative":     {change(9, 0xff), Limits{}, ErrMalformed},
		"header past end":   {change(17, 0, 0, 0, 9), Limits{}, ErrMalformed},
		"header too large":  {change(17, 0xff, 0xff, 0xff, 0xff), Limits{}, ErrTooLarge},
		"frame too large":   {good, Limits{MaxFrame: len(good) - 1}, ErrTooLarge},
		"header over limit": {good, Limits{MaxHeader: 1}, ErrTooLarge},
	} {
		if _, err := DecodeEvent(row.b, row.lim); !errors.Is(err, row.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecodeEvent(f *testing.F) {
	f.Add(AppendEvent(nil, Event{Seq: 1, ReceivedAt: time.UnixMicro(1), Header: []byte(`{"kind":"test","size":1}`), Body: []byte("x")}))
	f.Add(AppendEvent(nil, Event{Seq: 1<<63 - 1, ReceivedAt: time.UnixMicro(maxMicros)}))
	f.Add(binary.BigEndian.AppendUint32(make([]byte, 17), 1<<31))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeEvent(b, Limits{})
		if err != nil {
			return
		}
		if !bytes.Equal(AppendEvent(nil, e), b) {
			t.Fatalf("%x became %x", b, AppendEvent(nil, e))
		}
		if h, err := ParseHeader(e.Header); err == nil && (!ValidID(h.Kind) || h.Size < 0) {
			t.Fatalf("header %+v", h)
		}
		if _, err := Open(make([]byte, 32), "k", "c", e); err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrSeal) && !errors.Is(err, ErrUnknownKey) {
			t.Fatal(err)
		}
	})
}
