package command

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/ui"
)

// Pair takes one code.
func (c *clinic) Pair(_ context.Context, relayURL, code string) (ui.Pairing, error) {
	c.asked = append(c.asked, "pair "+relayURL+" "+code)
	if code != "QRST-BCDF-GHJK" {
		return ui.Pairing{}, problem.New(problem.TunnelPairing, problem.Args{"relay": relayURL, "reason": "it is wrong, used or too old"}, nil)
	}
	return ui.Pairing{RelayURL: relayURL, ClinicID: "c1", Kinds: []string{"worklist.created"}, Replaced: len(c.asked) > 3, Started: true}, nil
}

func TestPair(t *testing.T) {
	d, c := newDesk(t), &clinic{}
	d.want(t, 3, []string{"RH-509"}, "pair", "wss://relay.example.com", "QRST-BCDF-GHJK")
	d.serve(t, c)
	d.want(t, 1, []string{"did not take the pairing code: it is wrong", "RH-118"}, "pair", "wss://relay.example.com", "WRONG")
	if b, err := os.ReadFile(d.config); err != nil || strings.Contains(string(b), "relay_url") {
		t.Errorf("%s %v", b, err)
	}
	d.want(t, 0, []string{"is paired with wss://relay.example.com.", "relay_url is set in", "is starting"}, "pair", "relay.example.com", "QRST-BCDF-GHJK")
	b, err := os.ReadFile(d.config)
	if err != nil || !strings.Contains(string(b), "[tunnel]\nrelay_url = \"wss://relay.example.com\"") {
		t.Errorf("%s %v", b, err)
	}
	d.want(t, 0, []string{`"clinic_id": "c1"`, `"settings"`}, "pair", "--json", "wss://relay.example.com", "QRST-BCDF-GHJK")
	d.want(t, 0, []string{"again; the former pairing has ended"}, "pair", "wss://relay.example.com", "QRST-BCDF-GHJK")
	if err := os.WriteFile(d.config, append([]byte("tunnel = { relay_url = \"wss://other.example\" }\n"), b[:strings.Index(string(b), "[tunnel]")]...), 0o600); err != nil {
		t.Fatal(err)
	}
	d.want(t, 0, []string{"Write this into", `relay_url = "wss://relay.example.com"`}, "pair", "wss://relay.example.com", "QRST-BCDF-GHJK")
	d.want(t, 2, []string{"RH-514"}, "pair", "wss://relay.example.com")
}
