package pdu

import (
	"reflect"
	"testing"
)

func FuzzAbort(f *testing.F) {
	f.Add([]byte{0, 0, 2, 6}) // by the provider: invalid PDU parameter value
	f.Add([]byte{0, 0, 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		var p, q Abort
		if p.Decode(body) != nil {
			return
		}
		if err := q.Decode(p.AppendTo(nil)[HeaderSize:]); err != nil || !reflect.DeepEqual(p, q) {
			t.Fatalf("%v became %v, %v", p, q, err)
		}
	})
}
