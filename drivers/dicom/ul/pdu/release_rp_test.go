package pdu

import (
	"reflect"
	"testing"
)

func FuzzReleaseRP(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{1, 2, 3, 4, 5})
	f.Fuzz(func(t *testing.T, body []byte) {
		var p, q ReleaseRP
		if p.Decode(body) != nil {
			return
		}
		if err := q.Decode(p.AppendTo(nil)[HeaderSize:]); err != nil || !reflect.DeepEqual(p, q) {
			t.Fatalf("%v became %v, %v", p, q, err)
		}
	})
}
