package pdu

import (
	"reflect"
	"strings"
	"testing"
)

// ordinaryRQ is what a console sends.
func ordinaryRQ() AssociateRQ {
	rq := AssociateRQ{
		ProtocolVersion: 1, ApplicationContext: ApplicationContextUID,
		Contexts: []ProposedContext{
			{1, "1.2.840.10008.1.1", []string{"1.2.840.10008.1.2"}},
			{3, "1.2.840.10008.5.1.4.31", []string{"1.2.840.10008.1.2.1", "1.2.840.10008.1.2"}},
		},
		User: UserInformation{MaximumLength: 16384, ImplementationClassUID: "1.2.276.0.7230010.3.0.3.6.7", ImplementationVersion: "OFFIS_DCMTK_367"},
	}
	rq.SetTitles("RAYHOUND", "DR1")
	return rq
}

func TestAssociateRQ(t *testing.T) {
	rq := ordinaryRQ()
	b := rq.AppendTo(nil)
	if b[0] != 1 || int(b[5])|int(b[4])<<8 != len(b)-HeaderSize {
		t.Fatalf("header % x for %d bytes", b[:6], len(b))
	}
	var got AssociateRQ
	if err := got.Decode(b[HeaderSize:]); err != nil || !reflect.DeepEqual(got, rq) {
		t.Fatalf("%v became %v, %v", rq, got, err)
	}
	if got.CalledAETitle() != "RAYHOUND" || got.CallingAETitle() != "DR1" {
		t.Fatal(got.CalledAETitle(), got.CallingAETitle())
	}
}

func TestAssociateRQLimits(t *testing.T) {
	many := func(n int) []string { return strings.Split(strings.Repeat("1.2,", n-1)+"1.2", ",") }
	contexts := func(n int) (c []ProposedContext) {
		for i := range n {
			c = append(c, ProposedContext{byte(i), "1.2", many(1)}) //nolint:gosec // at most 129
		}
		return c
	}
	tests := []struct {
		name string
		edit func(*AssociateRQ)
		want string
	}{
		{"128 contexts", func(p *AssociateRQ) { p.Contexts = contexts(128) }, ""},
		{"129 contexts", func(p *AssociateRQ) { p.Contexts = contexts(129) }, "more than 128"},
		{"64 transfer syntaxes", func(p *AssociateRQ) { p.Contexts[0].TransferSyntaxes = many(64) }, ""},
		{"65 transfer syntaxes", func(p *AssociateRQ) { p.Contexts[0].TransferSyntaxes = many(65) }, "more than 64"},
		{"NUL-padded UID", func(p *AssociateRQ) { p.Contexts[0].AbstractSyntax += "\x00" }, ""},
		{"long UID", func(p *AssociateRQ) { p.Contexts[0].AbstractSyntax = strings.Repeat("1", 129) }, "longer than 128"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rq := ordinaryRQ()
			tt.edit(&rq)
			var got AssociateRQ
			err := got.Decode(rq.AppendTo(nil)[HeaderSize:])
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Fatal(err)
			}
		})
	}
}

// userItems returns a request whose user information ends with n more items.
func userItems(n int, item []byte) []byte {
	rq := ordinaryRQ()
	b := rq.AppendTo(nil)[HeaderSize:]
	extra := []byte(strings.Repeat(string(item), n))
	at := len(b) - len(rq.User.appendTo(nil))
	size := int(b[at+2])<<8 | int(b[at+3]) + len(extra)
	b[at+2], b[at+3] = byte(size>>8), byte(size) //nolint:gosec // below 64 KiB
	return append(b, extra...)
}

func TestUserItems(t *testing.T) {
	for _, item := range [][]byte{
		{0x53, 0, 0, 4, 0, 0, 0, 0},           // asynchronous operations 0/0
		{0x54, 0, 0, 6, 0, 2, '1', '2', 1, 0}, // roles
		{0x56, 0, 0, 3, 0, 1, '1'},            // extended negotiation
		{0x58, 0, 0, 2, 1, 0},                 // identity
		{0x7F, 0, 0, 0},                       // unknown
	} {
		var p AssociateRQ
		if err := p.Decode(userItems(61, item)); err != nil || p.User != ordinaryRQ().User {
			t.Errorf("% x: %v, %v", item, p.User, err)
		}
		if err := p.Decode(userItems(62, item)); err == nil {
			t.Errorf("% x: 65 items accepted", item)
		}
	}
}

func FuzzAssociateRQ(f *testing.F) {
	rq := ordinaryRQ()
	b := rq.AppendTo(nil)[HeaderSize:]
	f.Add(b)
	f.Add(b[:100])
	f.Add(userItems(3, []byte{0x53, 0, 0, 4, 0, 0, 0, 0}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		var p, q AssociateRQ
		if p.Decode(body) != nil {
			return
		}
		if err := q.Decode(p.AppendTo(nil)[HeaderSize:]); err != nil || !reflect.DeepEqual(p, q) {
			t.Fatalf("%v became %v, %v", p, q, err)
		}
	})
}
