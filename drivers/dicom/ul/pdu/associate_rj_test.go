package pdu

import (
	"reflect"
	"testing"
)

func FuzzAssociateRJ(f *testing.F) {
	f.Add([]byte{0, 1, 1, 7}) // permanent, by the service user: called AE title not recognized
	f.Add([]byte{0, 2, 3, 2})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		var p, q AssociateRJ
		if p.Decode(body) != nil {
			return
		}
		if err := q.Decode(p.AppendTo(nil)[HeaderSize:]); err != nil || !reflect.DeepEqual(p, q) {
			t.Fatalf("%v became %v, %v", p, q, err)
		}
	})
}
