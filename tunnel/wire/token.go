package wire

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
)

// TokenPrefix starts every agent token of this version.
const TokenPrefix = "rht1_"

// NewToken returns a new agent token, rht1_<kid>_<43 characters of base64url>, and
// its kid. The secret has 256 bits, the kid 80 and no underscore.
func NewToken() (token, kid string) {
	var k [10]byte
	var s [32]byte
	rand.Read(k[:])
	rand.Read(s[:])
	kid = lower32.EncodeToString(k[:])
	return TokenPrefix + kid + "_" + base64.RawURLEncoding.EncodeToString(s[:]), kid
}

// SplitToken returns the parts of a token. Only the first two underscores separate;
// the secret may hold more.
func SplitToken(token string) (kid, secret string, err error) {
	rest, ok := strings.CutPrefix(token, TokenPrefix)
	if !ok || len(token) > 200 {
		return "", "", fmt.Errorf("%w: no agent token", ErrMalformed)
	}
	kid, secret, ok = strings.Cut(rest, "_")
	if !ok || !ValidID(kid) || len(secret) != 43 {
		return "", "", fmt.Errorf("%w: no agent token", ErrMalformed)
	}
	if _, err := base64.RawURLEncoding.Strict().DecodeString(secret); err != nil {
		return "", "", fmt.Errorf("%w: no agent token", ErrMalformed)
	}
	return kid, secret, nil
}

// HashToken is what a store keeps of a token: SHA-256 of all of it.
func HashToken(token string) [32]byte { return sha256.Sum256([]byte(token)) }

// NewSecret returns the secret of an inbound URL: 32 characters of base32, 160 bits.
func NewSecret() string {
	var b [20]byte
	rand.Read(b[:])
	return lower32.EncodeToString(b[:])
}

// ValidSecret tells whether s has the form of an inbound URL's secret.
func ValidSecret(s string) bool {
	if len(s) != 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// HashSecret is what a store keeps of an inbound URL's secret: its SHA-256.
func HashSecret(secret string) [32]byte { return sha256.Sum256([]byte(secret)) }
