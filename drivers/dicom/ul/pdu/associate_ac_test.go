package pdu

import (
	"reflect"
	"testing"
)

func FuzzAssociateAC(f *testing.F) {
	rq := ordinaryRQ()
	ac := AssociateAC{
		ProtocolVersion: 1, Titles: rq.Titles, ApplicationContext: ApplicationContextUID, User: rq.User,
		Contexts: []ContextResult{{1, ResultAcceptance, "1.2.840.10008.1.2"}, {3, ResultAbstractSyntaxUnknown, ""}},
	}
	b := ac.AppendTo(nil)[HeaderSize:]
	f.Add(b)
	f.Add(b[:90])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		var p, q AssociateAC
		if p.Decode(body) != nil {
			return
		}
		if err := q.Decode(p.AppendTo(nil)[HeaderSize:]); err != nil || !reflect.DeepEqual(p, q) {
			t.Fatalf("%v became %v, %v", p, q, err)
		}
	})
}
