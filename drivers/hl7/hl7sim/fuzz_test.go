package hl7sim

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/drivers/hl7"
)

// sink is a connection that takes everything.
type sink struct {
	net.Conn
	written []byte
}

func (s *sink) Write(b []byte) (int, error) { s.written = append(s.written, b...); return len(b), nil }

// Whatever comes is answered by a message, or is an answer itself, and what is held
// stays within its bounds.
func FuzzRIS(f *testing.F) {
	const msh = "MSH|^~\\&|A|B|C|D|20261124||ORM^O01|1|P|2.3.1"
	f.Add(msh+"\rPID|1||7||a^b\rORC|NW|A1\rOBR|1|A1\rZDS|1.2\r", uint8(0))
	f.Add(msh+"\rORC|CA|A1\rORC|XO|A2\rORC|DC\r", uint8(1))
	f.Add(strings.Replace(msh, "ORM^O01", "OMI^O23", 1)+"\rORC|NW|A1\rOBR|1\rIPC|A1|R|1.2|S1|DX\rIPC|A1|R|1.2|S2|CT\r", uint8(10))
	f.Add(strings.Replace(msh, "ORM^O01", "ADT^A40", 1)+"\rPID|1||8\rMRG|7\r", uint8(3))
	f.Add("MSH*^~\\&*A*B*C*D*2026**ORM^O01**P\rORC*NW\r", uint8(30))
	f.Add("hello", uint8(2))
	f.Fuzz(func(t *testing.T, message string, n uint8) {
		r, err := New(Config{MaxMessages: 2, MaxOrders: 3, MaxBytes: 500, Now: func() time.Time { return time.Unix(1e9, 0) }})
		if err != nil {
			t.Fatal(err)
		}
		k := kinds[int(n)%len(kinds)]
		if k.Side == Answering && k.Kind != LateAck {
			if _, err := r.Inject(Fault{Kind: k.Kind, Count: 1, Size: 100}); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			s := &sink{}
			r.answer(t.Context(), s, []byte(message))
			if m, err := hl7.Parse([]byte(message), hl7.Options{}); err == nil && len(r.Faults()) == 0 && len(s.written) == 0 && !m.Has("MSA-1") && k.Side == Sending {
				t.Fatalf("no answer to %q", message)
			}
		}
		snap := r.Snapshot()
		bytes := 0
		for _, m := range snap.Messages {
			bytes += len(m.Raw)
		}
		if len(snap.Messages) > 2 || len(snap.Orders) > 3 || bytes > 500 || len(snap.Anomalies) > 2 {
			t.Fatalf("%+v", snap)
		}
		for _, o := range snap.Orders {
			for _, c := range []string{"SC", "IP"} {
				if _, err := r.Status(o.AccessionNumber, c); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

func FuzzParseFault(f *testing.F) {
	for _, s := range []string{"late-ack=3", "ar-207:1", "lose-answer:20%", "flood=64:2", "gap=NaN", "=:%", "late-ack=1e300"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		x, err := ParseFault(s)
		if err == nil && x.check() != nil {
			t.Fatalf("%q: %+v", s, x)
		}
	})
}
