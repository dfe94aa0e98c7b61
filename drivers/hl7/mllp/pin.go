package mllp

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// ErrPin means that the certificate of a peer is not one of the pinned ones.
var ErrPin = errors.New("mllp: the certificate of the peer is not the pinned one")

// Pin returns a configuration that takes a peer by the SHA-256 fingerprint of its
// certificate, in hexadecimal with or without colons, instead of by authority and
// name: imaging systems often have certificates of their own making. base may be
// nil. MLLP has no name in ALPN, and none is asked for.
func Pin(base *tls.Config, fingerprints ...string) (*tls.Config, error) {
	if len(fingerprints) == 0 {
		return nil, errors.New("mllp: no fingerprint to pin")
	}
	pins := make([][]byte, 0, len(fingerprints))
	for _, f := range fingerprints {
		b, err := hex.DecodeString(strings.NewReplacer(":", "", " ", "").Replace(f))
		if err != nil || len(b) != sha256.Size {
			return nil, fmt.Errorf("mllp: %q is no SHA-256 fingerprint", f)
		}
		pins = append(pins, b)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if base != nil {
		c = base.Clone()
	}
	c.InsecureSkipVerify = true //nolint:gosec // VerifyConnection below decides, also on resumption
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return ErrPin
		}
		have := sha256.Sum256(s.PeerCertificates[0].Raw)
		for _, want := range pins {
			if subtle.ConstantTimeCompare(have[:], want) == 1 {
				return nil
			}
		}
		return ErrPin
	}
	return c, nil
}
