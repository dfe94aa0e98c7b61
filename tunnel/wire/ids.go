package wire

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"net/url"
	"strings"
)

// ClinicID names a clinic at its relay.
type ClinicID string

// InstanceID names one installation of the appliance. It is random and kept
// outside backups, so that a restored computer keeps it and a new one has another.
type InstanceID string

// RunID names one start of the agent's process: a restart never comes back with an
// earlier run, so one that does is a clone.
type RunID string

// StoreEpoch names one history of a mailbox. It is opaque: another epoch means that
// the numbers started another life.
type StoreEpoch string

// Seq numbers the events of a clinic. It rises strictly, is never used twice within
// a StoreEpoch, and may skip. An event's number is at least 1; 0 stands for "before
// the first".
type Seq int64

// Epoch counts the sessions of a clinic. Acks carry it, so that a late one of a
// closed connection changes nothing. The first is 1.
type Epoch int64

// MaxID is the longest id in bytes.
const MaxID = 64

// ValidID tells whether s can be a clinic, instance, run, store epoch, key id or
// kid: 1 to 64 letters, digits, '-', '.', '_' and '~' of ASCII.
func ValidID[T ~string](s T) bool {
	if len(s) == 0 || len(s) > MaxID {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
		default:
			return false
		}
	}
	return true
}

var lower32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewID returns a random id of 128 bits: 26 small letters and digits.
func NewID() string {
	var b [16]byte
	rand.Read(b[:])
	return lower32.EncodeToString(b[:])
}

// HostName returns the name of the relay that a hello is signed for: the host of
// rawURL in small letters, without port and trailing dot.
func HostName(rawURL string) (string, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", fmt.Errorf("wire: the relay's address: %w", err)
	}
	h := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if h == "" {
		return "", fmt.Errorf("wire: the relay's address %q names no host", rawURL)
	}
	return h, nil
}
