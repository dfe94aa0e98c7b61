package pdu

import (
	"reflect"
	"testing"
)

func FuzzReleaseRQ(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		var p, q ReleaseRQ
		if p.Decode(body) != nil {
			return
		}
		if err := q.Decode(p.AppendTo(nil)[HeaderSize:]); err != nil || !reflect.DeepEqual(p, q) {
			t.Fatalf("%v became %v, %v", p, q, err)
		}
	})
}
