package pdu

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

func limits() (l Limits) {
	for t := range l {
		l[t] = 131072
	}
	return l
}

func TestReader(t *testing.T) {
	var stream []byte
	sizes := []int{0, 4, 4090, 4096, 5000, 131072, 1, 70000, 0}
	for i, n := range sizes {
		stream = append(AppendHeader(stream, TypePDataTF, n), bytes.Repeat([]byte{byte(i)}, n)...)
	}
	for name, src := range map[string]io.Reader{
		"whole":       bytes.NewReader(stream),
		"single byte": iotest.OneByteReader(bytes.NewReader(stream)),
		"halves":      iotest.HalfReader(bytes.NewReader(stream)),
		"late error":  iotest.DataErrReader(bytes.NewReader(stream)),
	} {
		t.Run(name, func(t *testing.T) {
			r := Reader{Source: src, Limits: limits()}
			for i, n := range sizes {
				kind, body, err := r.Next()
				if err != nil || kind != TypePDataTF || !bytes.Equal(body, bytes.Repeat([]byte{byte(i)}, n)) {
					t.Fatal(i, kind, len(body), err)
				}
			}
			if _, _, err := r.Next(); !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
		})
	}
}

// What a header announces costs nothing until it arrives.
func TestReaderGrowsWithWhatArrives(t *testing.T) {
	r := Reader{Source: bytes.NewReader([]byte{4, 0, 0, 2, 0, 0, 'x'}), Limits: limits()}
	grown := 0
	r.Grow = func(n int) error { grown += n; return nil }
	if _, _, err := r.Next(); !errors.Is(err, io.ErrUnexpectedEOF) || grown > firstBuffer {
		t.Fatal(err, grown)
	}
}

func TestReaderRefuses(t *testing.T) {
	tests := map[string]struct {
		in   string
		want any
	}{
		"HTTP":         {"GET / HTTP/1.1\r\n\r\n", new(*UnknownTypeError)},
		"TLS hello":    {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", new(*UnknownTypeError)},
		"type 0":       {"\x00\x00\x00\x00\x00\x00", new(*UnknownTypeError)},
		"type 8":       {"\x08\x00\x00\x00\x00\x00", new(*UnknownTypeError)},
		"4 GiB":        {"\x01\x00\xff\xff\xff\xff", new(*TooLongError)},
		"over a limit": {"\x04\x00\x00\x02\x00\x01", new(*TooLongError)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := Reader{Source: bytes.NewReader([]byte(tt.in)), Limits: limits()}
			if _, _, err := r.Next(); !errors.As(err, tt.want) {
				t.Fatal(err)
			}
		})
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add(AssociateRJ{1, 1, 7}.AppendTo(ReleaseRQ{}.AppendTo(nil)))
	f.Fuzz(func(t *testing.T, stream []byte) {
		read := func(src io.Reader) (kinds []Type, bodies [][]byte) {
			r := Reader{Source: src, Limits: limits()}
			for {
				kind, body, err := r.Next()
				if err != nil {
					return kinds, bodies
				}
				kinds, bodies = append(kinds, kind), append(bodies, bytes.Clone(body))
			}
		}
		k1, b1 := read(bytes.NewReader(stream))
		k2, b2 := read(iotest.OneByteReader(bytes.NewReader(stream)))
		if len(k1) != len(k2) {
			t.Fatal(k1, k2)
		}
		for i := range k1 {
			if k1[i] != k2[i] || !bytes.Equal(b1[i], b2[i]) {
				t.Fatal(i)
			}
		}
	})
}
