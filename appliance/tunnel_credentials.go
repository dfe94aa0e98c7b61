package appliance

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/rayhound/rayhound/appliance/secret"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// Names of the sealed secrets of the tunnel.
const (
	secretTunnel        = "tunnel.credentials"
	secretProxyUser     = "tunnel.proxy_user"
	secretProxyPassword = "tunnel.proxy_password"
)

// oldKeyLife is how long the sealing keys of a former pairing are kept: the
// relay may still hold events that were sealed to them.
const oldKeyLife = 15 * 24 * time.Hour

// pairing is what joins this computer to a relay. It lies among the sealed
// secrets, which no backup holds: a new computer has to be paired anew.
type pairing struct {
	RelayURL     string                `json:"relay_url"`
	ClinicID     wire.ClinicID         `json:"clinic_id"`
	InstanceID   wire.InstanceID       `json:"instance_id"`
	Token        string                `json:"token"`
	Identity     ed25519.PrivateKey    `json:"identity"`
	Sealing      map[string]sealingKey `json:"sealing"`        // by key id
	SealingKeyID string                `json:"sealing_key_id"` // the newest, which the relay is to seal to
	URLs         []wire.InboundURL     `json:"urls"`
	PairedAt     time.Time             `json:"paired_at"`
}

// sealingKey is the private half of a key that the relay seals to.
type sealingKey struct {
	Private   []byte    `json:"private"`
	RetiredAt time.Time `json:"retired_at,omitzero"` // by a later pairing
}

// keys returns the private sealing keys by id.
func (p *pairing) keys() map[string][]byte {
	all := map[string][]byte{}
	for id, k := range p.Sealing {
		all[id] = k.Private
	}
	return all
}

// succeed takes over what a former pairing with the same mailbox may still be
// needed for: the keys of events that wait at the relay.
func (p *pairing) succeed(old *pairing, now time.Time) {
	if old == nil || old.ClinicID != p.ClinicID {
		return
	}
	kept := map[string]sealingKey{}
	for id, k := range old.Sealing {
		if k.RetiredAt.IsZero() {
			k.RetiredAt = now
		}
		if now.Sub(k.RetiredAt) < oldKeyLife {
			kept[id] = k
		}
	}
	maps.Copy(kept, p.Sealing)
	p.Sealing = kept
}

// loadPairing returns the pairing, nil when there was none.
func loadPairing(s *secret.Store) (*pairing, error) {
	v, err := s.Open(secretTunnel)
	if errors.Is(err, secret.ErrMissing) {
		return nil, nil //nolint:nilnil // that it was never paired is no error
	}
	if err != nil {
		return nil, err
	}
	var p pairing
	if err := json.Unmarshal([]byte(v.Reveal()), &p); err != nil {
		return nil, fmt.Errorf("appliance: the pairing is damaged: %w", err)
	}
	return &p, nil
}

// savePairing seals the pairing; it returns after that is durable.
func savePairing(s *secret.Store, p *pairing) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return s.Seal(secretTunnel, secret.New(string(b)))
}

// optionalSecret returns a secret, empty when it was never set.
func optionalSecret(s *secret.Store, name string) (string, error) {
	v, err := s.Open(name)
	if errors.Is(err, secret.ErrMissing) {
		return "", nil
	}
	return v.Reveal(), err
}
