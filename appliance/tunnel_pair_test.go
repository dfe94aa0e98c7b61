package appliance

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// A pairing code works once: it is not spent when its result could not be kept, and when that happens all the same, the error
// says that another code is needed.
func TestPairingKept(t *testing.T) {
	m := newMailbox(t)
	dir := t.TempDir()
	secrets, err := secret.NewStore(secret.Config{Dir: dir})
	m.ok(err)
	m.tunnel.secrets = secrets
	spent := 0
	m.tunnel.join = func(context.Context, *tunnel, string, string) (*pairing, error) {
		spent++
		m.ok(os.RemoveAll(dir))
		return &pairing{RelayURL: testRelay, ClinicID: testMailbox, InstanceID: wire.InstanceID(wire.NewID())}, nil
	}
	pair := func(want problem.Code) *problem.Error {
		t.Helper()
		_, err := m.tunnel.pair(t.Context(), testRelay, "QRST-BCDF-GHJK")
		pe := problem.Of(err)
		if pe == nil || pe.Code != want || spent != 1 {
			t.Fatalf("%v, want %s; %d codes spent", err, want, spent)
		}
		return pe
	}
	pe := pair(problem.TunnelPairingLost)
	if !strings.Contains(pe.Sentence(), "used up") || !strings.Contains(pe.Help(), "another code: rayhound pair "+testRelay) {
		t.Errorf("%s %s", pe.Sentence(), pe.Help())
	}
	pe = pair(problem.SecretUnreadable)
	if !strings.Contains(pe.Sentence(), "no key could be made") {
		t.Error(pe.Sentence())
	}
	m.ok(os.MkdirAll(dir, 0o700))
	m.ok(secrets.Probe())
	m.ok(os.Remove(dir + "/" + secret.FileName))
	m.ok(os.MkdirAll(dir+"/"+secret.FileName+"/in the way", 0o700)) // the key can be read, the file not replaced
	pair(problem.FileUnusable)
}
