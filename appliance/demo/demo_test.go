package demo

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rayhound/rayhound/appliance/order"
)

// The demo brings an order through every room: webhook, relay, tunnel, worklist,
// RIS, MPPS, report, status.
func TestDemoOnce(t *testing.T) {
	for _, rename := range []bool{false, true} {
		var out bytes.Buffer
		if err := Run(t.Context(), Options{Once: true, Orders: 3, Seed: 7, DataDir: t.TempDir(), Out: &out, Rename: rename}); err != nil {
			t.Fatalf("renamed %v: %v\n%s", rename, err, out.String())
		}
		for _, want := range []string{
			"Received from Provet Cloud (", "clinic-ris was sent the new order (NW)", "MPPS from", "Report from clinic-ris: final",
			"Provet Cloud shows it as completed", "3 of 3 orders",
		} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("renamed %v: %q is not in\n%s", rename, want, out.String())
			}
		}
		if strings.Contains(out.String(), "(poll)") {
			t.Errorf("an order came by polling, not through the tunnel:\n%s", out.String())
		}
	}
}

func TestToldNeedsEveryPart(t *testing.T) {
	whole := []order.Entry{{Kind: "seen"}, {Kind: string(order.Completed)}, {Kind: "reported"}, {Kind: "report"}}
	if !told(whole) {
		t.Error("a whole story has not come to rest")
	}
	for i := range whole {
		part := append(append([]order.Entry{}, whole[:i]...), whole[i+1:]...)
		if told(part) {
			t.Errorf("a story without %q has come to rest", whole[i].Kind)
		}
	}
}
