package orders

import (
	"net/netip"
	"testing"

	"github.com/rayhound/rayhound/drivers/hl7"
)

// Whose finds peers with a host name or several addresses.
func TestReceiverAsksWhoseAddressItIs(t *testing.T) {
	r := NewReceiver(ReceiverConfig{
		Store: &memory{}, Profiles: []Profile{{Name: "a", Address: "ris.example:2575"}, {Name: "b", Address: "192.0.2.7:2575"}},
		Whose: func(a netip.Addr) string { return map[string]string{"192.0.2.8": "a"}[a.String()] },
	})
	for addr, want := range map[string]string{"192.0.2.8:1": "a", "[::ffff:192.0.2.8]:1": "a", "192.0.2.7:1": "", "192.0.2.9:1": ""} {
		got := ""
		if p := r.profile(hl7.Header{SendingApplication: "X"}, netip.MustParseAddrPort(addr)); p != nil {
			got = p.Name
		}
		if got != want {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
}

// CharsetIn counts before what the message says.
func TestReceiverReadsAnotherCharset(t *testing.T) {
	store := &memory{}
	r := NewReceiver(ReceiverConfig{Store: store, Profiles: []Profile{{Name: "RIS", CharsetIn: "8859/2"}}})
	handle(t, r, msh("ORU^R01"), "OBR|1", "OBX|1|TX|R||\xa3\xf3d\xbc||||||F")
	got := store.last()
	if got == nil || len(got.Reports) != 1 || got.Reports[0].Text != "Łódź" {
		t.Errorf("%+v", got)
	}
}
