package relay

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

// A caller with very many addresses neither locks others out nor costs more memory.
func TestTriesOfManyAddresses(t *testing.T) {
	tr, now := newTries(5, time.Hour), time.Now()
	var a [16]byte
	a[0] = 0x20
	for i := range maxTryHosts + 1000 {
		binary.BigEndian.PutUint32(a[4:], uint32(i))
		if ok, _ := tr.take(netip.AddrFrom16(a), now); !ok {
			t.Fatalf("address %d is refused", i)
		}
	}
	if n := len(tr.hosts); n > maxTryHosts {
		t.Errorf("%d addresses are kept", n)
	}
	clinic := netip.MustParseAddr("198.51.100.7")
	for i := range 6 {
		if ok, _ := tr.take(clinic, now); ok != (i < 5) {
			t.Errorf("try %d: %v", i+1, ok)
		}
	}
}
