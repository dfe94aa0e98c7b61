package pdu

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"
)

func FuzzPDataTF(f *testing.F) {
	f.Add([]byte{0, 0, 0, 4, 1, 3, 'a', 'b'})
	f.Add([]byte{0, 0, 0, 2, 1, 2, 0, 0, 0, 3, 1, 0, 'a'})
	f.Add([]byte{0, 0, 0, 1, 1, 2})
	f.Add([]byte{0xFF, 0xFF, 0xFF, 0xFF, 1, 2})
	f.Fuzz(func(t *testing.T, body []byte) {
		var p, q PDataTF
		if p.Decode(body) != nil {
			return
		}
		if err := q.Decode(p.AppendTo(nil)[HeaderSize:]); err != nil || !reflect.DeepEqual(p, q) {
			t.Fatalf("%v became %v, %v", p, q, err)
		}
	})
}

func TestAppendFragments(t *testing.T) {
	data := make([]byte, 1000)
	for i := range data {
		data[i] = byte(i)
	}
	for _, limit := range []int{8, 9, 16, 128, 512, 1005, 1006, 16000, 65536} {
		for _, n := range []int{0, 2, 999, 1000} {
			b := AppendFragments(nil, 5, false, data[:n], limit)
			var got []byte
			for len(b) > 0 {
				size := int(binary.BigEndian.Uint32(b[2:]))
				if size > limit {
					t.Fatalf("limit %d: body of %d bytes", limit, size)
				}
				v, rest, err := NextPDV(b[HeaderSize : HeaderSize+size])
				if err != nil || len(rest) > 0 || v.ContextID != 5 || v.Command {
					t.Fatal(v, err)
				}
				b = b[HeaderSize+size:]
				if v.Last != (len(b) == 0) || !v.Last && len(v.Data)%2 == 1 {
					t.Fatalf("limit %d, %d bytes: last %v, fragment of %d", limit, n, v.Last, len(v.Data))
				}
				got = append(got, v.Data...)
			}
			if !bytes.Equal(got, data[:n]) {
				t.Fatalf("limit %d: %d bytes became %d", limit, n, len(got))
			}
		}
	}
}
